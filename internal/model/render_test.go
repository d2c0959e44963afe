package model_test

import (
	"reflect"
	"strings"
	"testing"

	"modeldispatch/internal/model"
)

// template parses a template that is valid.
func template(t *testing.T, text string) model.Template {
	t.Helper()
	parsed, err := model.ParseTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestRender(t *testing.T) {
	t.Parallel()
	m := model.Model{
		Name: "sales-forecast", Owner: "analytics",
		Task: model.Task{Family: "modeldispatch-sales-forecast", Container: "model", Memory: 4096, CPU: 1024},
		Inputs: []model.Input{
			{Name: "region", Type: model.String},
			{Name: "date", Type: model.Date, Format: "%Y%m%d"},
			{Name: "rows", Type: model.JSON, AsFile: true},
			{Name: "note", Type: model.String, Optional: true},
		},
		Outputs:     []model.Output{{Name: "forecast", URI: template(t, "s3://results/{date:%Y/%m}/{region}.csv")}},
		Command:     []model.Template{template(t, "--region={region}"), template(t, "--date={date}"), template(t, "--note={note}")},
		Environment: []model.Variable{{Name: "SOURCE", Value: template(t, "{rows}")}, {Name: "NOTE", Value: template(t, "{note}")}},
	}
	inputs := model.Inputs{"region": "eu", "date": "2026-01-05", "rows": "[1]"}
	got, err := m.Render("sales-forecast-abc", inputs, map[string]string{"rows": "s3://state/rows.json"})
	if err != nil {
		t.Fatal(err)
	}
	want := model.Rendered{
		Family: "modeldispatch-sales-forecast", Container: "model", Memory: 4096, CPU: 1024,
		Command: []string{"--region=eu", "--date=20260105"}, // a date is written in the format of its input
		Environment: []model.EnvironmentPair{
			{Name: "MODEL_NAME", Value: "sales-forecast"}, {Name: "RUN_ID", Value: "sales-forecast-abc"},
			{Name: "INPUT_REGION", Value: "eu"}, {Name: "INPUT_DATE", Value: "20260105"}, {Name: "INPUT_ROWS", Value: "s3://state/rows.json"},
			{Name: "OUTPUT_FORECAST", Value: "s3://results/2026/01/eu.csv"},
			{Name: "SOURCE", Value: "s3://state/rows.json"},
		},
		Outputs: []model.Object{{Name: "forecast", URI: "s3://results/2026/01/eu.csv"}},
		Tags:    map[string]string{"model": "sales-forecast", "owner": "analytics"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestRenderRefusesAnOutputWithAnUnsetInput(t *testing.T) {
	t.Parallel()
	m := model.Model{
		Name: "m", Inputs: []model.Input{{Name: "note", Type: model.String, Optional: true}},
		Outputs: []model.Output{{Name: "out", URI: template(t, "s3://results/{note}.csv")}},
	}
	if _, err := m.Render("m-1", nil, nil); err == nil || !strings.Contains(err.Error(), `output "out" needs input "note"`) {
		t.Errorf("the error is %v, want one about output \"out\" and input \"note\"", err)
	}
}
