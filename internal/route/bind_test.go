package route_test

import (
	"strings"
	"testing"

	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
)

// An input of a manual run is text. The input's type parses it.
func TestBind(t *testing.T) {
	t.Parallel()
	m := forecast()
	inputs, from, err := table(t, m).Bind(m, map[string]string{"region": "us", "date": "20260105", "rows": `[{"a": 1}]`})
	if err != nil {
		t.Fatal(err)
	}
	want := model.Inputs{"region": "us", "date": "2026-01-05", "file": "s3://landing/sales/us/20260105.csv", "rows": `[{"a":1}]`}
	for name, want := range want {
		if inputs[name] != want || from[name] == "" {
			t.Errorf("%s is %q from %q, want %q", name, inputs[name], from[name], want)
		}
	}
	if from["region"] != "the command line" || from["file"] != route.FromDefault {
		t.Errorf("a given input comes from %q, and a default from %q", from["region"], from["file"])
	}
	if without, _, err := table(t, m).Bind(m, map[string]string{"region": "us", "date": "20260105"}); err != nil || len(without) != 3 {
		t.Errorf("without its optional input: %v, error %v", without, err)
	}
}

// The error names everything that is wrong.
func TestBindErrorNamesAllMistakes(t *testing.T) {
	t.Parallel()
	m := forecast()
	inputs, _, err := table(t, m).Bind(m, map[string]string{"region": "xx", "regoin": "us", "rows": `[`})
	if err == nil {
		t.Fatalf("inputs %v, want an error", inputs)
	}
	for _, says := range []string{
		`region: "xx" is not one of us, eu, apac`, `no input "regoin"`, "the inputs are region, date, file, rows",
		"date: it is not given, and has no default", "file: it is not given, and has a default that uses {region}, which has no value", "rows: ",
	} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("error %v does not contain %q", err, says)
		}
	}
}

func TestBindWithoutInputs(t *testing.T) {
	t.Parallel()
	m := model.Model{Name: "m"}
	if inputs, _, err := table(t, m).Bind(m, nil); err != nil || len(inputs) != 0 {
		t.Errorf("inputs %v, error %v", inputs, err)
	}
	if _, _, err := table(t, m).Bind(m, map[string]string{"x": "1"}); err == nil || !strings.Contains(err.Error(), "has no inputs") {
		t.Errorf("error %v, want an error that contains %q", err, "has no inputs")
	}
}
