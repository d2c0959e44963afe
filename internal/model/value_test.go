package model_test

import (
	"strings"
	"testing"
	"time"
	"unicode"

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
		{in: model.Input{Type: model.S3URI}, give: model.Text("s3:///y"), bad: "s3://bucket/key"},
		{in: model.Input{Type: model.S3URI}, give: model.Text("s3://a/b"), bad: `bucket "a" is not a valid name: use 3 to 63 lowercase letters`},
		{in: model.Input{Type: model.S3URI}, give: model.Text("s3://a..b/c"), bad: `bucket "a..b" is not a valid name`},
		{in: model.Input{Type: model.JSON}, give: model.Text(`{ "a": [1, 2] }`), want: `{"a":[1,2]}`},
		{in: model.Input{Type: model.JSON}, give: model.Text(`{`), bad: "is not JSON"},
		{in: model.Input{Type: model.String}, give: model.Text("a\xffb"), bad: "is not text"},
		{in: model.Input{Type: model.JSON}, give: model.Text("\"a\xffb\""), bad: "is not text"},
	} {
		got, err := c.in.Parse(c.give)
		if c.bad == "" && (err != nil || got != c.want) || c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad)) {
			t.Errorf("%s %v gives %q, %v; want %q %s", c.in.Type, c.give, got, err, c.want, c.bad)
		}
	}
}

// TestInputParseRefusesControlCharacters parses values with control characters, for each type.
func TestInputParseRefusesControlCharacters(t *testing.T) {
	t.Parallel()
	const allowed = ", and only tab and newline are allowed: take it out, or send it escaped in an input of type json"
	long, text := "x"+strings.Repeat("ü", 100), model.Input{Type: model.String}
	for _, c := range []struct {
		in        model.Input
		give      model.Value
		want, bad string
	}{
		{in: text, give: model.Text("a\tb\nü\u00a0\u202e"), want: "a\tb\nü\u00a0\u202e"},
		{in: text, give: model.Text("eu\x01"), bad: `"eu\x01" has the control character '\x01' at character 3` + allowed},
		// A line end of Windows.
		{in: text, give: model.Text("a,b\r\n"), bad: `"a,b\r\n" has the control character '\r' at character 4` + allowed},
		{in: text, give: model.Text("ü\x1b[2J"), bad: `"ü\x1b[2J" has the control character '\x1b' at character 2` + allowed},
		{in: text, give: model.Text("\x7f"), bad: `"\x7f" has the control character '\x7f' at character 1` + allowed},
		{in: text, give: model.Text("x\u009b31m\u202e"), bad: `"x\u009b31m\u202e" has the control character '\u009b' at character 2` + allowed},
		{in: text, give: model.Text("a\x00b"), bad: `'\x00' at character 2`},
		{in: text, give: model.Text(long + "\x00"),
			bad: `"x` + strings.Repeat("ü", 39) + `"… has the control character '\x00' at character 102` + allowed},
		{in: model.Input{Type: model.String, Enum: []string{"eu"}}, give: model.Text("eu\x01"), bad: allowed},
		{in: model.Input{Type: model.S3URI}, give: model.Text("s3://landing/a\x01"), bad: allowed},
		{in: model.Input{Type: model.S3URI}, give: model.Value{Type: model.S3URI, Text: "s3://landing/a\x01"}, bad: allowed},
		{in: model.Input{Type: model.Integer}, give: model.Text("7\r"), bad: allowed},
		// The value of an upstream run, whose input once had another type.
		{in: model.Input{Type: model.Date}, give: model.Value{Type: model.Date, Text: "2026-01-05\x01"}, bad: allowed},
		{in: model.Input{Type: model.JSON}, give: model.Text(`{"a":"\u0001"}`), want: `{"a":"\u0001"}`},
		{in: model.Input{Type: model.JSON}, give: model.Value{Type: model.JSON, Text: "[\"\u007f\u009b\"]"}, want: "[\"\u007f\u009b\"]"},
		{in: model.Input{Type: model.JSON}, give: model.Text("{\"a\":\"\x01\"}"), bad: `is not JSON: invalid character '\x01' in string literal`},
	} {
		got, err := c.in.Parse(c.give)
		if c.bad == "" && (err != nil || got != c.want) || c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad)) {
			t.Errorf("%s %q gives %q, %v; want %q %s", c.in.Type, c.give.Text, got, err, c.want, c.bad)
		}
		if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("the error %q has characters that cannot be printed", err)
		}
	}
}

func TestStrptimeReadsWhatStrftimeWrites(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 12, 31, 23, 5, 9, 0, time.UTC)
	for _, format := range []string{"%Y-%m-%d %H:%M:%S", "%y%j %H%M%S", "%%%d.%m.%Y-%H%M%S", "2006-01-02 %Y%m%d%H%M%S"} {
		text := model.Strftime(format, at)
		if got, err := model.Strptime(format, text); err != nil || !got.Equal(at) {
			t.Errorf("%s: Strptime(%q) returns %s, %v; want %s", format, text, got, err, at)
		}
	}
}

func FuzzStrptime(f *testing.F) {
	f.Add("%Y%m%d", "20260105")
	f.Add("%", "%")
	f.Fuzz(func(t *testing.T, format, text string) {
		if at, err := model.Strptime(format, text); err == nil && model.Strftime(format, at) != text {
			t.Fatalf("Strptime(%q, %q) returns %s, and Strftime writes that as %q", format, text, at, model.Strftime(format, at))
		}
	})
}
