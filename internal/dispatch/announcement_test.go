package dispatch_test

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
)

var (
	inBackticks = regexp.MustCompile("`([^`]+)`")
	inBrackets  = regexp.MustCompile(`\([^)]*\)`)
)

// TestFieldsOfAnnouncements compares the fields of each detail with its own list in docs/announcements.md. A field that is
// renamed in one of the two places differs.
func TestFieldsOfAnnouncements(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/announcements.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		detail     any
		begin, end string // the texts around the list
	}{
		{dispatch.RunDetail{}, "| field of `detail` | meaning |", "## About models"},
		{dispatch.ControlDetail{}, "`Model Resumed` have these fields:", "`Model Run Overdue` is sent"},
		{dispatch.OverdueDetail{}, "Its fields are", "`value` is the value"},
		{dispatch.EventDetail{}, "an event cannot be used. Its fields are", "`modeldispatch events"},
	} {
		_, list, found := strings.Cut(string(text), c.begin)
		list, _, ends := strings.Cut(list, c.end)
		if !found || !ends {
			t.Fatalf("docs/announcements.md has no list from %q to %q", c.begin, c.end)
		}
		if _, isRun := c.detail.(dispatch.RunDetail); isRun {
			list = regexp.MustCompile(`(?m)^(\|[^|]*\|).*$`).ReplaceAllString(list, "$1") // the first column
		}
		var documented, fields []string
		for _, m := range inBackticks.FindAllStringSubmatch(inBrackets.ReplaceAllString(list, ""), -1) {
			documented = append(documented, m[1])
		}
		of := reflect.TypeOf(c.detail)
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			fields = append(fields, name)
		}
		slices.Sort(documented)
		slices.Sort(fields)
		if !slices.Equal(documented, fields) {
			t.Errorf("%s has the fields\n%q, and docs/announcements.md has\n%q", of.Name(), fields, documented)
		}
	}
}

// TestAnnouncementsAreDocumented checks that docs/announcements.md names every detail type, and every field of an outcome
// and an output.
func TestAnnouncementsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/announcements.md")
	if err != nil {
		t.Fatal(err)
	}
	words := []string{
		run.DetailStarted, run.DetailWaiting, run.DetailRetrying, run.DetailSucceeded, run.DetailFailed,
		run.DetailCancelled, run.DetailSkipped,
		dispatch.DetailRejected, dispatch.DetailPaused, dispatch.DetailResumed, dispatch.DetailOverdue,
	}
	for _, detail := range []any{run.Outcome{}, model.Object{}} {
		for typ, i := reflect.TypeOf(detail), 0; i < typ.NumField(); i++ {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			words = append(words, name)
		}
	}
	for _, word := range words {
		if !strings.Contains(string(text), "`"+word+"`") {
			t.Errorf("docs/announcements.md does not document `%s`", word)
		}
	}
}
