package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
)

var quoted = regexp.MustCompile("`([^`]+)`")

// fieldsIn returns the names of event fields between backticks in a text, sorted. Behind `object.uri`, `.key` means
// object.key. `body.<path>` means the field body. fieldsIn skips offsets such as `-1d`.
func fieldsIn(text string) []string {
	var all []string
	namespace := ""
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		name, _, _ := strings.Cut(m[1], ".<")
		switch {
		case strings.ContainsAny(name[:1], "+-"):
			continue
		case name[0] == '.':
			name = namespace + name
		}
		namespace, _, _ = strings.Cut(name, ".")
		all = append(all, name)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// names returns the sorted names of the fields for which a condition holds.
func names(fields []event.Field, condition func(event.Field) bool) []string {
	var all []string
	for _, f := range fields {
		if condition(f) {
			all = append(all, f.Name)
		}
	}
	slices.Sort(all)
	return all
}

// match returns the first group of the only match of an expression in a page.
func match(t *testing.T, page, expression string) string {
	t.Helper()
	all := regexp.MustCompile(expression).FindAllStringSubmatch(page, -1)
	if len(all) != 1 {
		t.Fatalf("%d places match %s, want 1", len(all), expression)
	}
	return all[0][1]
}

var triggerKinds = []model.Kind{model.Schedule, model.Arrival, model.Message, model.After, model.Event}

// The README lists the fields to which package event decodes, for each kind of trigger.
func TestReadmeListsTheFieldsOfEvents(t *testing.T) {
	t.Parallel()
	readme := pages(t)["README.md"]
	isPlaceholder := func(f event.Field) bool { return f.Placeholder }
	var fields []event.Field
	var words []string
	for _, k := range triggerKinds {
		row := match(t, readme, "(?m)^\\| `"+string(k)+": .*\\| ([^|]+) \\|$")
		if k == model.Arrival {
			_, row, _ = strings.Cut(row, "; ") // before it, the cell describes captures
		}
		if got, want := fieldsIn(row), names(event.Fields(k), isPlaceholder); !slices.Equal(got, want) {
			t.Errorf("the row of %s lists the placeholders\n%q, want\n%q", k, got, want)
		}
		fields = append(fields, event.Fields(k)...)
		if word := event.InputsWord(k); word != "" {
			words = append(words, word)
		}
	}
	common := match(t, readme, "All kinds have (.*), and take these fields:")
	if got, want := fieldsIn(common), names(event.CommonFields(), isPlaceholder); !slices.Equal(got, want) {
		t.Errorf("all kinds have %q, want %q", got, want)
	}
	where := match(t, readme, "(?m)^\\| `where` \\|(.*)\\|$")
	fields = append(fields, event.CommonFields()...)
	if got, want := fieldsIn(where), names(fields, func(f event.Field) bool { return f.Where != f.Placeholder }); !slices.Equal(got, want) {
		t.Errorf("the row of where lists as exceptions\n%q, want\n%q", got, want)
	}
	slices.Sort(words)
	if got := fieldsIn(match(t, readme, "(?m)^\\| `inputs` \\|.*; or (.*): each field")); !slices.Equal(got, words) {
		t.Errorf("the row of inputs lists the words %q, want %q", got, words)
	}
}

var placeholder = regexp.MustCompile(`[^$]\{([a-z-]+\.[a-z.-]*[a-z])`)

// A placeholder such as {object.key} in a page or a sample is a field of some event.
func TestPlaceholdersOfPagesAndSamplesExist(t *testing.T) {
	t.Parallel()
	fields := event.CommonFields()
	for _, k := range triggerKinds {
		fields = append(fields, event.Fields(k)...)
	}
	texts := pages(t)
	delete(texts, "CHANGELOG.md") // it also names what no longer exists
	for _, glob := range []string{"models/*/model.yaml", "internal/*/doc.go"} {
		files, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			texts[name] = string(text)
		}
	}
	found := 0
	for name, text := range texts {
		for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
			found++
			if !slices.ContainsFunc(fields, func(f event.Field) bool { return f.Placeholder && f.Has(m[1]) }) {
				t.Errorf("%s has the placeholder {%s}, which no event has", name, m[1])
			}
		}
	}
	if found == 0 {
		t.Error("no page has a placeholder of an event")
	}
}
