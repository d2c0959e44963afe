package model_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"modeldispatch/internal/model"
)

func ExampleTemplate_Expand() {
	t, _ := model.ParseTemplate("s3://results/{date:%Y/%m}/{region}.csv")
	values := map[string]model.Value{"date": {Type: model.Date, Text: "2026-01-05"}, "region": model.Text("eu")}
	v, _ := t.Expand(func(p model.Placeholder) (model.Value, bool) {
		v, found := values[p.Name]
		return v, found
	})
	fmt.Println(v.Text)
	// Output: s3://results/2026/01/eu.csv
}

func TestParseTemplate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		names string // the placeholders, or a part of the error
		bad   bool
	}{
		{text: "plain", names: ""},
		{text: "{a}{b}", names: "{a}{b}"},
		{text: "{{literal}} {a}", names: "{a}"},
		{text: "{scheduled.date-1d}", names: "{scheduled.date-1d}"},
		{text: "{scheduled.time+30min:%H:%M}", names: "{scheduled.time+30min:%H:%M}"},
		{text: "{body.order-1d}", names: "{body.order-1d}"}, // only scheduled times take an offset
		{text: "{a", names: "a { without its }", bad: true},
		{text: "a}", names: "a } without its {", bad: true},
		{text: "{}", names: "is not a placeholder", bad: true},
		{text: "{a b}", names: "is not a placeholder", bad: true},
		{text: "{date:%Q}", names: "%Q is unknown", bad: true},
		{text: "{date:%}", names: "ends in a %", bad: true},
	} {
		got, err := model.ParseTemplate(c.text)
		if c.bad {
			if err == nil || !strings.Contains(err.Error(), c.names) {
				t.Errorf("ParseTemplate(%q): error %v, want one with %q", c.text, err, c.names)
			}
			continue
		}
		var names strings.Builder
		for _, p := range got.Placeholders() {
			names.WriteString(p.String())
		}
		if err != nil || names.String() != c.names {
			t.Errorf("ParseTemplate(%q) has placeholders %s and error %v, want %s", c.text, &names, err, c.names)
		}
	}
}

func TestExpandKeepsTheTypeOfASinglePlaceholder(t *testing.T) {
	t.Parallel()
	lookup := func(p model.Placeholder) (model.Value, bool) {
		return model.Value{Type: model.Date, Text: "2026-01-05"}, p.Name == "date"
	}
	for text, want := range map[string]model.Value{
		"{date}":       {Type: model.Date, Text: "2026-01-05"},
		"{date:%Y%m}":  model.Text("202601"),
		"on {date}":    model.Text("on 2026-01-05"),
		"{{{date}}}":   model.Text("{2026-01-05}"),
		"no such name": model.Text("no such name"),
	} {
		template, err := model.ParseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, absent := template.Expand(lookup); got != want || absent != "" {
			t.Errorf("%q expands to %v, %q; want %v", text, got, absent, want)
		}
	}
	template, _ := model.ParseTemplate("{date} {region}")
	if _, absent := template.Expand(lookup); absent != "region" {
		t.Errorf("the absent name is %q, want region", absent)
	}
}

func TestOffset(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from   time.Time
		offset model.Offset
		want   string
	}{
		{time.Date(2026, 3, 29, 6, 0, 0, 0, berlin), model.Offset{Count: -1, Unit: "d"}, "2026-03-28T06:00:00+01:00"}, // the clocks change
		{time.Date(2026, 3, 29, 6, 0, 0, 0, berlin), model.Offset{Count: -24, Unit: "h"}, "2026-03-28T05:00:00+01:00"},
		{time.Date(2026, 3, 31, 6, 0, 0, 0, berlin), model.Offset{Count: -1, Unit: "month"}, "2026-02-28T06:00:00+01:00"},
		{time.Date(2026, 1, 15, 6, 0, 0, 0, berlin), model.Offset{Count: 30, Unit: "min"}, "2026-01-15T06:30:00+01:00"},
		{time.Date(2026, 1, 31, 6, 0, 0, 0, berlin), model.Offset{Count: 1, Unit: "month"}, "2026-02-28T06:00:00+01:00"},
	} {
		if got := c.offset.Apply(c.from).Format(time.RFC3339); got != c.want {
			t.Errorf("%s %s is %s, want %s", c.from, c.offset, got, c.want)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"", "{a}", "{{", "}}", "{a:%Y}", "{scheduled.date-1month:%d}", "{", "é{x}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		template, err := model.ParseTemplate(text)
		if err != nil {
			return
		}
		if !utf8.ValidString(text) {
			return // encoding/json replaces invalid UTF-8
		}
		var again model.Template
		source, err := json.Marshal(template)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(source, &again); err != nil || again.String() != text {
			t.Fatalf("%q is decoded as %q, %v", text, again, err)
		}
		if len(template.Placeholders()) == 0 {
			want := strings.NewReplacer("{{", "{", "}}", "}").Replace(text)
			if got, _ := template.Expand(nil); got.Text != want {
				t.Fatalf("%q expands to %q, want %q", text, got.Text, want)
			}
		}
	})
}
