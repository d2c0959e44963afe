package yamldoc_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/yamldoc"
)

// document returns a document with the variables ONE and EMPTY, whose problems go to the report.
func document(r *yamldoc.Report) *yamldoc.Document {
	variables := map[string]string{"ONE": "1", "EMPTY": ""}
	return &yamldoc.Document{Report: r, File: "a.yaml", Model: "m", Minimum: "a: 1", Variables: variables}
}

// lines returns the problems of a report, warnings first, one on each line.
func lines(r *yamldoc.Report) string {
	warnings, errors := r.Split()
	return yamldoc.Problems(append(warnings, errors...)).Error()
}

// TestParse checks the errors about a file that cannot be read as a whole.
func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a: 1":                       ``,
		"\uFEFFa: 1":                 ``,
		"":                           `a.yaml:1:1: model "m": the file is empty; expected a: 1`,
		" \n# nothing\n":             `a.yaml:1:1: model "m": the file is empty; expected a: 1`,
		"a: [":                       `a.yaml:1:4: model "m": the file is not valid YAML: sequence end token ']' not found`,
		"a: 1\n---\nb: 2\n":          `a.yaml:1:1: model "m": the file has 2 YAML documents; expected one`,
		"a: ü\xff":                   `a.yaml:1:5: model "m": the file is not valid UTF-8: unexpected byte 0xff; save the file as UTF-8`,
		"!secret a":                  `a.yaml:1:1: model "m": the YAML tag !secret is not allowed: remove it`,
		strings.Repeat("#", 1<<20+1): `a.yaml: model "m": the file has 1048577 bytes; the maximum is 1048576`,
	} {
		r := &yamldoc.Report{}
		_, ok := document(r).Parse([]byte(text))
		if got := lines(r); got != want || ok != (want == "") {
			t.Errorf("Parse(%.20q) = %t with the problems\n%s\nwant\n%s", text, ok, got, want)
		}
	}
}

func TestJSONMustBeJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"a": 1}`:        ``,
		"{\n\"a\": 1,\n}": `3:1: invalid character '}' looking for beginning of object key string`,
		`{"a": 1} x`:      `1:10: invalid character 'x' after top-level value`,
		`a: 1`:            `1:1: invalid character 'a' looking for beginning of value`,
	} {
		r := &yamldoc.Report{}
		d := document(r)
		d.JSON = true
		_, ok := d.Parse([]byte(text))
		got := strings.TrimPrefix(strings.Replace(lines(r), `model "m": the file is not valid JSON: `, "", 1), "a.yaml:")
		if got != want || ok != (want == "") {
			t.Errorf("Parse(%q) = %t with the problems\n%s\nwant\n%s", text, ok, got, want)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	r, dir := &yamldoc.Report{}, t.TempDir()
	if _, ok := document(r).Read(dir); ok || lines(r) != `a.yaml: model "m": cannot read the file: no such file or directory` {
		t.Errorf("Read of a missing file = %t with the problems %s", ok, lines(r))
	}
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	v, _ := document(r).Read(dir)
	if got, ok := v.Text("a"); got != "text" || !ok {
		t.Errorf("Text = %q, %t, want text", got, ok)
	}
}

// TestReaders reads one value with one reader, and compares the result and the problem.
func TestReaders(t *testing.T) {
	t.Parallel()
	type value = yamldoc.Value
	text := func(v value) any { got, _ := v.Text("x"); return got }
	forCloudFormation := func(v value) any { got, _ := v.TextForCloudFormation("x"); return got }
	raw := func(v value) any { got, _ := v.Raw(); return got }
	word := func(v value) any { got, _ := v.Word("x", "queue", "skip"); return got }
	integer := func(v value) any { got, _ := v.Integer("x", 1, 10); return got }
	boolean := func(v value) any { return v.Boolean("x") }
	memory := func(v value) any { got, _ := v.Memory("x", 512, 4096); return got }
	duration := func(v value) any { got, _ := v.Duration("x"); return got }
	durations := func(v value) any { from, to := v.DurationRange("x"); return [2]time.Duration{from, to} }
	zone := func(v value) any { return v.TimeZone("x") }
	const badMemory = `; expected an amount of memory from 512 MiB to 4096 MiB, such as 30720 or 30GB`
	const badDuration = `; expected a duration such as 30s, 45m, 2h30m or 1d`
	for _, test := range []struct {
		name    string
		read    func(value) any
		text    string
		want    any
		problem string // without its beginning, or "" for none
	}{
		{"Text", text, `${ONE}-${ONE}`, "1-1", ""},
		{"Text", text, `007`, "007", ""},
		{"Text", text, "|\n  two\n  lines\n", "two\nlines\n", ""},
		{"Text", text, `[a]`, "", `x must be text, not a list`},
		{"Text", text, `${TWO}`, "", `the environment has no variable ${TWO}; known variables: EMPTY, ONE`},
		{"Text", text, `${ONEE}`, "", `the environment has no variable ${ONEE}; did you mean "ONE"?`},
		{"Text", text, `${AWS::Region}`, "", `x is "${AWS::Region}", but only CloudFormation replaces ${AWS::…}: ` +
			`it may be used in task definitions, task.image and policies; use a variable of the environment here`},
		{"TextForCloudFormation", forCloudFormation, `${AWS::Region}-${ONE}`, "${AWS::Region}-1", ""},
		{"Raw", raw, `${ONE}`, "${ONE}", ""},
		{"Raw", raw, `{a: 1}`, "", ""},
		{"Word", word, `skip`, "skip", ""},
		{"Word", word, `skipp`, "", `x is "skipp"; did you mean "skip"?`},
		{"Word", word, `replace`, "", `x is "replace"; expected one of queue, skip`},
		{"Integer", integer, `10`, 10, ""},
		{"Integer", integer, `"10"`, 10, ""},
		{"Integer", integer, `11`, 0, `x is "11"; expected a whole number from 1 to 10`},
		{"Integer", integer, `1.5`, 0, `x is "1.5"; expected a whole number from 1 to 10`},
		{"Boolean", boolean, `true`, true, ""},
		{"Boolean", boolean, `yes`, false, `x is "yes"; expected one of true, false`},
		{"Memory", memory, `512`, 512, ""},
		{"Memory", memory, `512MiB`, 512, ""},
		{"Memory", memory, `4 GB`, 4096, ""},
		{"Memory", memory, `511`, 0, `x is "511"` + badMemory},
		{"Memory", memory, `5GB`, 0, `x is "5GB"` + badMemory},
		{"Memory", memory, `9007199254740993GB`, 0, `x is "9007199254740993GB"` + badMemory},
		{"Memory", memory, `1TB`, 0, `x is "1TB"` + badMemory},
		{"Duration", duration, `1d2h30m5s`, 26*time.Hour + 30*time.Minute + 5*time.Second, ""},
		{"Duration", duration, `3650d`, 3650 * 24 * time.Hour, ""},
		{"Duration", duration, `3651d`, time.Duration(0), `x is "3651d"` + badDuration},
		{"Duration", duration, `99999999999h`, time.Duration(0), `x is "99999999999h"` + badDuration},
		{"Duration", duration, `0s`, time.Duration(0), `x is "0s"` + badDuration},
		{"Duration", duration, `30s1m`, time.Duration(0), `x is "30s1m"` + badDuration},
		{"DurationRange", durations, `30s .. 15m`, [2]time.Duration{30 * time.Second, 15 * time.Minute}, ""},
		{"DurationRange", durations, `30s`, [2]time.Duration{30 * time.Second, 30 * time.Second}, ""},
		{"DurationRange", durations, `30s .. soon`, [2]time.Duration{}, `x is "30s .. soon"; expected a range such as 30s .. 15m`},
		{"DurationRange", durations, `2m .. 1m`, [2]time.Duration{2 * time.Minute, time.Minute},
			`x is "2m .. 1m": the first duration must not be longer than the second`},
		{"TimeZone", zone, `Europe/Berlin`, "Europe/Berlin", ""},
		{"TimeZone", zone, `Local`, "", `there is no time zone "Local"; use an IANA name such as Europe/Berlin or UTC`},
	} {
		r := &yamldoc.Report{}
		v, _ := document(r).Parse([]byte(test.text))
		got := test.read(v)
		if _, problem, _ := strings.Cut(lines(r), `model "m": `); got != test.want || problem != test.problem {
			t.Errorf("%s of %s = %v with the problem %q, want %v with %q", test.name, test.text, got, problem, test.want, test.problem)
		}
	}
}

// TestVariablesStayUntilTheyAreKnown checks that a document without variables keeps ${…} in its texts.
func TestVariablesStayUntilTheyAreKnown(t *testing.T) {
	t.Parallel()
	r := &yamldoc.Report{}
	d := document(r)
	d.Variables = nil
	v, _ := d.Parse([]byte("${TWO} ${AWS::Region}"))
	if got, ok := v.Text("x"); got != "${TWO} ${AWS::Region}" || !ok || lines(r) != "" {
		t.Errorf("Text = %q, %t with the problems %q, want the text as it is", got, ok, lines(r))
	}
}

// TestFields checks which fields an object may have, and where problems with their names are reported.
func TestFields(t *testing.T) {
	t.Parallel()
	r := &yamldoc.Report{}
	v, ok := document(r).Parse([]byte("port: 1\nhots: x\nuser:\n\"path\": /\n"))
	if !ok {
		t.Fatal(lines(r))
	}
	read := map[string]string{}
	take := func(m yamldoc.Member) { read[m.Name], _ = m.Text(m.Name) }
	if !v.Fields("a server", yamldoc.Readers{"host": take, "port": take, "user": take, "path": take}) {
		t.Error("Fields = false for an object, want true")
	}
	want := "a.yaml:2:1: model \"m\": a server has no field \"hots\"; did you mean \"host\"?\n" +
		"a.yaml:3:6: model \"m\": \"user\" has no value"
	if got := lines(r); got != want || len(read) != 2 || read["port"] != "1" || read["path"] != "/" {
		t.Errorf("Fields read %v with the problems\n%s\nwant port and path with\n%s", read, got, want)
	}
	r = &yamldoc.Report{}
	v, _ = document(r).Parse([]byte("[1]"))
	if v.Fields("a server", nil) || lines(r) != `a.yaml:1:1: model "m": a server must be an object (name: value), not a list` {
		t.Errorf("Fields of a list has the problems %s", lines(r))
	}
}

// TestDecode decodes values as JSON, with aliases and merged objects.
func TestDecode(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 42) + strings.Repeat("]", 42)
	for text, test := range map[string]struct{ json, problem string }{
		`{a: [1, 1.5, true, null, "${ONE}"]}`: {`{"a":[1,1.5,true,null,"1"]}`, ``},
		"a: &x {b: 1}\nc: *x":                 {`{"a":{"b":1},"c":{"b":1}}`, ``},
		"a: &x {b: 1}\nc: {<<: *x, d: 2}":     {`{"a":{"b":1},"c":{"b":1,"d":2}}`, ``},
		"c: *x":                               {``, `a.yaml:1:4: model "m": there is no anchor &x above this alias`},
		"a: ${AWS::Region}": {``, `a.yaml:1:4: model "m": a pattern's value is "${AWS::Region}", but only CloudFormation ` +
			`replaces ${AWS::…}: it may be used in task definitions, task.image and policies; use a variable of the environment here`},
		deep: {``, `a.yaml:1:42: model "m": the value is nested more than 40 levels deep`},
	} {
		r := &yamldoc.Report{}
		v, _ := document(r).Parse([]byte(text))
		decoded, _ := v.Decode("a pattern")
		got, err := json.Marshal(decoded)
		if lines(r) != test.problem || test.problem == "" && (err != nil || string(got) != test.json) {
			t.Errorf("Decode of %q = %s, %v with the problems\n%s\nwant %s with\n%s", text, got, err, lines(r), test.json, test.problem)
		}
	}
}

// TestLargeFilesStop checks that a file whose aliases multiply is not read without end.
func TestLargeFilesStop(t *testing.T) {
	t.Parallel()
	text := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 8 {
		name := string(rune('b' + i))
		text += name + ": &" + name + " [" + strings.TrimSuffix(strings.Repeat("*"+string(rune('a'+i))+", ", 10), ", ") + "]\n"
	}
	r := &yamldoc.Report{}
	v, _ := document(r).Parse([]byte(text))
	v.Decode("x")
	if !strings.Contains(lines(r), "the file has too many values or is nested too deeply") {
		t.Errorf("Decode has the problems %.200s", lines(r))
	}
}

// TestReport checks the order of the problems of several documents, and that a problem appears once.
func TestReport(t *testing.T) {
	t.Parallel()
	r := &yamldoc.Report{}
	b := &yamldoc.Document{Report: r, File: "b.yaml"}
	b.Errorf("wrong as a whole")
	for range 2 {
		d := document(r)
		v, _ := d.Parse([]byte("[x, y]"))
		v.List()[1].Errorf("second %s", "item")
		v.List()[0].Warnf("doubtful")
		v.List()[0].Errorf("first item")
	}
	warnings, errors := r.Split()
	if len(warnings) != 1 || warnings[0].String() != `a.yaml:1:2: warning: model "m": doubtful` {
		t.Errorf("the warnings are %v, want one about the first item", warnings)
	}
	want := "a.yaml:1:2: model \"m\": first item\na.yaml:1:5: model \"m\": second item\nb.yaml: wrong as a whole"
	if errors.Error() != want {
		t.Errorf("the errors are\n%v\nwant\n%s", errors, want)
	}
}

func TestHint(t *testing.T) {
	t.Parallel()
	many := strings.Fields("aa bb cc dd ee ff gg hh ii jj kk ll mm")
	for _, test := range []struct {
		word  string
		known []string
		want  string
	}{
		{"regoin", []string{"date", "region"}, `did you mean "region"?`},
		{"colour", []string{"region", "date", "date"}, `known inputs: date, region`},
		{"colour", nil, `none defined`},
		{"colour", many, `no known name is similar`},
	} {
		if got := yamldoc.Hint("inputs", test.word, test.known); got != test.want {
			t.Errorf("Hint(%q, %v) = %s, want %s", test.word, test.known, got, test.want)
		}
	}
}

// TestUnmarshal decodes files into a Go value. The YAML library panics on the last one.
func TestUnmarshal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"list: [a]":  "",
		"lists: [a]": `unknown field "lists"`,
		"list: 1":    `int was used where sequence is expected`,
		"list: !a b": `it cannot be decoded: runtime error`,
	} {
		var v struct{ List []string }
		err := yamldoc.Unmarshal([]byte(text), &v)
		if want == "" && (err != nil || len(v.List) != 1) {
			t.Errorf("Unmarshal(%q) = %v, %v, want [a]", text, v.List, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("Unmarshal(%q) = %v, want %q", text, err, want)
		}
	}
}
