package model_test

import (
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/model"
)

func TestInputParse(t *testing.T) {
	t.Parallel()
	region := model.Input{Name: "region", Type: model.String, Enum: []string{"us", "eu", "apac"}}
	day := model.Input{Name: "date", Type: model.Date, Format: "%Y%m%d"}
	for _, c := range []struct {
		in   model.Input
		give model.Value
		want string
		bad  string // part of the error
	}{
		{in: region, give: model.Text("eu"), want: "eu"},
		{in: region, give: model.Text("xx"), bad: `"xx" is not one of us, eu, apac`},
		{in: day, give: model.Text("20260105"), want: "2026-01-05"},
		{in: day, give: model.Value{Type: model.Date, Text: "2026-01-05"}, want: "2026-01-05"},
		{in: day, give: model.Text("20260231"), bad: `is not a date of the form %Y%m%d`},
		{in: day, give: model.Text("2026-01-05"), bad: `is not a date of the form %Y%m%d`},
		{in: model.Input{Type: model.Date}, give: model.Text("2026-01-05"), want: "2026-01-05"},
		{in: model.Input{Type: model.DateTime}, give: model.Text("2026-01-05T06:00:00+01:00"), want: "2026-01-05T06:00:00+01:00"},
		{in: model.Input{Type: model.DateTime}, give: model.Text("yesterday"), bad: "RFC 3339"},
		{in: model.Input{Type: model.Integer}, give: model.Text("007"), want: "7"},
		{in: model.Input{Type: model.Integer}, give: model.Value{Type: model.Number, Text: "1.5"}, bad: "not an integer"},
		{in: model.Input{Type: model.Number}, give: model.Text("-0.5e3"), want: "-0.5e3"},
		{in: model.Input{Type: model.Number}, give: model.Text("NaN"), bad: "not a number"},
		{in: model.Input{Type: model.Boolean}, give: model.Text("true"), want: "true"},
		{in: model.Input{Type: model.Boolean}, give: model.Text("yes"), bad: "true or false"},
		{in: model.Input{Type: model.S3URI}, give: model.Text("s3://landing/a b/ü.csv"), want: "s3://landing/a b/ü.csv"},
		{in: model.Input{Type: model.S3URI}, give: model.Text("s3://landing"), bad: "s3://bucket/key"},
		{in: model.Input{Type: model.S3URI}, give: model.Text("https://x/y"), bad: "s3://bucket/key"},
		{in: model.Input{Type: model.JSON}, give: model.Text(`{ "a": [1, 2] }`), want: `{"a":[1,2]}`},
		{in: model.Input{Type: model.JSON}, give: model.Text(`{`), bad: "is not JSON"},
		{in: model.Input{Type: model.String}, give: model.Text("a\xffb"), bad: "is not text"},
		{in: model.Input{Type: model.String}, give: model.Text("a\x00b"), bad: "is not text"},
	} {
		got, err := c.in.Parse(c.give)
		if c.bad == "" && (err != nil || got != c.want) || c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad)) {
			t.Errorf("%s %v gives %q, %v; want %q %s", c.in.Type, c.give, got, err, c.want, c.bad)
		}
	}
}

func TestStrptimeReadsWhatStrftimeWrites(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 12, 31, 23, 5, 9, 0, time.UTC)
	for _, format := range []string{"%Y-%m-%d %H:%M:%S", "%y%j %H%M%S", "%%%d.%m.%Y-%H%M%S", "2006-01-02 %Y%m%d%H%M%S"} {
		text := model.Strftime(format, at)
		if got, err := model.Strptime(format, text); err != nil || !got.Equal(at) {
			t.Errorf("%s: %q is read as %s, %v", format, text, got, err)
		}
	}
}

func FuzzStrptime(f *testing.F) {
	f.Add("%Y%m%d", "20260105")
	f.Add("%", "%")
	f.Fuzz(func(t *testing.T, format, text string) {
		if at, err := model.Strptime(format, text); err == nil && model.Strftime(format, at) != text {
			t.Fatalf("%q in %q is %s, which is written %q", text, format, at, model.Strftime(format, at))
		}
	})
}
