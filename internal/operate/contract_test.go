package operate_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/operate"
	"modeldispatch/internal/run"
)

var update = flag.Bool("update", false, "Write output.schema.json.")

const schemaFile = "../../output.schema.json"

// outputs lists a value of each type that a command prints. A slice stands for a list.
var outputs = []any{
	[]operate.Run{}, operate.Run{}, operate.Decision{}, []operate.Event{}, operate.Pause{}, operate.Line{},
}

// TestPageDescribesTheTypes compares docs/json.md with the Go types: the names of the fields, their order, their types,
// and which are always present.
func TestPageDescribesTheTypes(t *testing.T) {
	t.Parallel()
	page := readPage(t)
	types := structs(t)
	for _, s := range types {
		var code, doc []string
		for _, f := range fields(t, s) {
			code = append(code, f.name+" | "+wordFor(t, f.kind)+" | "+strconv.FormatBool(f.required))
		}
		for _, r := range page[s.Name()] {
			doc = append(doc, r.name+" | "+r.kind+" | "+strconv.FormatBool(r.present == "always"))
		}
		if !slices.Equal(code, doc) {
			t.Errorf("%s: the code has\n  %s\nand docs/json.md has\n  %s", s.Name(), strings.Join(code, "\n  "), strings.Join(doc, "\n  "))
		}
		delete(page, s.Name())
	}
	for name := range page {
		t.Errorf("docs/json.md describes %s, and no output has this type", name)
	}
}

// TestPageNamesWhatEachCommandPrints checks the types in the table of commands of docs/json.md.
func TestPageNamesWhatEachCommandPrints(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	table, _, _ := strings.Cut(string(text), "## Rules")
	var got []string
	for row := range strings.Lines(table) {
		cells := strings.Split(row, "|")
		if len(cells) == 4 && strings.Contains(cells[2], "](#") {
			types := regexp.MustCompile(`\]\(#(\w+)\)`).FindAllStringSubmatch(cells[2], -1)
			for _, m := range types {
				got = append(got, strings.TrimSpace(cells[1])+" "+m[1])
			}
		}
	}
	want := []string{
		"`runs` run", "`show` run", "`run` decision", "`events` event", "`pause`, `resume` pause", "`local` line", "`local` report",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the commands print %q, want %q", got, want)
	}
}

// TestPageNamesEachValue checks that the row of a field with a fixed set of values names all constants of the Go type.
func TestPageNamesEachValue(t *testing.T) {
	t.Parallel()
	page := readPage(t)
	checked := 0
	for _, s := range structs(t) {
		for i, f := range fields(t, s) {
			for _, value := range constants(t, f.kind) {
				checked++
				if i < len(page[s.Name()]) && !strings.Contains(page[s.Name()][i].meaning, "`"+value+"`") {
					t.Errorf("docs/json.md: the row %s of %s does not name the value %q", f.name, s.Name(), value)
				}
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d values were found in the code", checked)
	}
}

// TestSchemaMatches compares output.schema.json with the schema of the Go types, with docs/json.md for descriptions.
func TestSchemaMatches(t *testing.T) {
	t.Parallel()
	defs := map[string]any{}
	page := readPage(t)
	for _, s := range structs(t) {
		properties, required := map[string]any{}, []string{}
		for _, f := range fields(t, s) {
			property := schemaFor(t, f.kind)
			for _, r := range page[s.Name()] {
				if r.name == f.name {
					property["description"] = plain(r.meaning)
				}
			}
			if properties[f.name] = property; f.required {
				required = append(required, f.name)
			}
		}
		defs[s.Name()] = map[string]any{"type": "object", "properties": properties, "required": required}
	}
	var anyOf []any
	for _, o := range outputs {
		anyOf = append(anyOf, schemaFor(t, reflect.TypeOf(o)))
	}
	want := encode(t, map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "modeldispatch --json",
		"description": "The output of the commands runs, show, run, events, pause, resume and local with --json. docs/json.md explains it.",
		"anyOf":       anyOf, "$defs": defs,
	})
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("output.schema.json differs from the types or from docs/json.md at %s; go test ./internal/operate -update writes it",
			firstDifference(got, want))
	}
}

func firstDifference(got, want []byte) string {
	a, b := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return "line " + strconv.Itoa(i+1) + ": " + a[i] + "; want " + b[i]
		}
	}
	return "its end"
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	var text bytes.Buffer
	out := json.NewEncoder(&text)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	if err := out.Encode(v); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// field is a field of a type as its JSON has it.
type field struct {
	name     string
	kind     reflect.Type // without the pointer
	required bool         // the JSON always has the field
}

func fields(t *testing.T, s reflect.Type) []field {
	t.Helper()
	var all []field
	for i := range s.NumField() {
		f := s.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || f.Anonymous {
			t.Errorf("%s.%s has no name in JSON", s.Name(), f.Name)
		}
		all = append(all, field{name, element(f.Type, reflect.Pointer), options == ""})
	}
	return all
}

// element returns the type of the elements of one of these kinds, and any other type unchanged.
func element(kind reflect.Type, of ...reflect.Kind) reflect.Type {
	if slices.Contains(of, kind.Kind()) {
		return kind.Elem()
	}
	return kind
}

var (
	timeType = reflect.TypeFor[time.Time]()
	rawType  = reflect.TypeFor[json.RawMessage]()
)

// structs returns the types of the outputs, and of their fields.
func structs(t *testing.T) []reflect.Type {
	t.Helper()
	var all []reflect.Type
	var add func(reflect.Type)
	add = func(kind reflect.Type) {
		kind = element(element(kind, reflect.Pointer), reflect.Slice)
		if kind.Kind() != reflect.Struct || kind == timeType || slices.Contains(all, kind) {
			return
		}
		all = append(all, kind)
		for _, f := range fields(t, kind) {
			add(f.kind)
		}
	}
	for _, o := range outputs {
		add(reflect.TypeOf(o))
	}
	return all
}

// wordFor returns the words of docs/json.md for a type.
func wordFor(t *testing.T, kind reflect.Type) string {
	t.Helper()
	switch kind {
	case timeType:
		return "time"
	case rawType:
		return "any JSON"
	}
	switch kind.Kind() {
	case reflect.String:
		return "text"
	case reflect.Int:
		return "integer"
	case reflect.Float64:
		return "number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "list of " + wordFor(t, kind.Elem())
	case reflect.Map:
		return "map of " + wordFor(t, kind.Elem())
	case reflect.Struct:
		return "[" + kind.Name() + "](#" + strings.ToLower(kind.Name()) + ")"
	}
	t.Fatalf("a field of type %s has no form in JSON", kind)
	return ""
}

// schemaFor returns the JSON schema of a type.
func schemaFor(t *testing.T, kind reflect.Type) map[string]any {
	t.Helper()
	switch kind {
	case timeType:
		return map[string]any{"type": "string", "format": "date-time", "pattern": "Z$"}
	case rawType:
		return map[string]any{}
	}
	switch kind.Kind() {
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaFor(t, kind.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaFor(t, kind.Elem())}
	case reflect.Struct:
		return map[string]any{"$ref": "#/$defs/" + kind.Name()}
	case reflect.String:
		if values := constants(t, kind); len(values) > 0 {
			return map[string]any{"type": "string", "enum": values}
		}
		return map[string]any{"type": "string"}
	}
	return map[string]any{"type": map[string]string{"integer": "integer", "number": "number", "true or false": "boolean"}[wordFor(t, kind)]}
}

// constants returns the values of a text type with a fixed set of values. run.Class is open: docs/runbook.md lists it.
func constants(t *testing.T, kind reflect.Type) []string {
	t.Helper()
	if kind.Kind() != reflect.String || kind.PkgPath() == "" || kind == reflect.TypeFor[run.Class]() {
		return nil
	}
	files, err := filepath.Glob("../" + path.Base(kind.PkgPath()) + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, isValue := n.(*ast.ValueSpec); isValue {
				all = append(all, constantsOf(kind.Name(), spec)...)
			}
			return true
		})
	}
	if len(all) == 0 {
		t.Errorf("no constant of type %s was found", kind)
	}
	return all
}

func constantsOf(name string, spec *ast.ValueSpec) []string {
	kind, isName := spec.Type.(*ast.Ident)
	if !isName || kind.Name != name || len(spec.Values) != 1 {
		return nil
	}
	literal, isLiteral := spec.Values[0].(*ast.BasicLit)
	if !isLiteral {
		return nil
	}
	value, err := strconv.Unquote(literal.Value)
	if err != nil {
		return nil
	}
	return []string{value}
}

// row is a row of a table in docs/json.md.
type row struct{ name, kind, present, meaning string }

var (
	section  = regexp.MustCompile(`(?m)^### (\w+)$`)
	tableRow = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| ([^|]+) \\| (always|if it applies|runs, show|show) \\| ([^|]+) \\|$")
	mdLink   = regexp.MustCompile(`\[([^\]]+)\]\([^)]+\)`)
)

// readPage returns the rows of docs/json.md below each heading of a type.
func readPage(t *testing.T) map[string][]row {
	t.Helper()
	text, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	page := map[string][]row{}
	headings := section.FindAllSubmatchIndex(text, -1)
	for i, at := range headings {
		end := len(text)
		if i+1 < len(headings) {
			end = headings[i+1][0]
		}
		for _, m := range tableRow.FindAllSubmatch(text[at[1]:end], -1) {
			name := string(text[at[2]:at[3]])
			page[name] = append(page[name], row{string(m[1]), string(m[2]), string(m[3]), string(m[4])})
		}
	}
	return page
}

// plain returns Markdown text without links and code marks, as a sentence.
func plain(text string) string {
	text = strings.ReplaceAll(mdLink.ReplaceAllString(text, "$1"), "`", "")
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
