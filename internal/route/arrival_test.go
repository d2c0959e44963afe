package route_test

import (
	"maps"
	"strings"
	"testing"

	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
)

type captured = map[string]string

// A nil map in the table means that the pattern does not match.
func TestArrival(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, pattern, key string
		want               captured
	}{
		{"text matches itself", "sales/all.csv", "sales/all.csv", captured{}},
		{"text matches nothing else", "sales/all.csv", "sales/all.csv.gz", nil},
		{"a dot matches only a dot", "sales/all.csv", "sales/allxcsv", nil},
		{"{x} matches within a segment", "sales/{region}/{date}.csv", "sales/us/20260105.csv", captured{"region": "us", "date": "20260105"}},
		{"{x} does not cross segments", "sales/{region}.csv", "sales/us/20260105.csv", nil},
		{"{x} is not empty", "sales/{region}/{date}.csv", "sales//20260105.csv", nil},
		{"{x*} crosses segments", "raw/{path*}.csv", "raw/a/b/c.csv", captured{"path": "a/b/c"}},
		{"{x*} may be one segment", "raw/{path*}.csv", "raw/a.csv", captured{"path": "a"}},
		{"{x*} is not empty", "raw/{path*}.csv", "raw/.csv", nil},
		{"* matches within a segment", "raw/*.csv", "raw/a.csv", captured{}},
		{"* may be empty", "raw/*.csv", "raw/.csv", captured{}},
		{"* does not cross segments", "raw/*.csv", "raw/a/b.csv", nil},
		{"** crosses segments", "raw/**.csv", "raw/a/b.csv", captured{}},
		{"** may be empty", "raw/**", "raw/", captured{}},
		{"** between segments", "raw/**/{name}.csv", "raw/a/b/c.csv", captured{"name": "c"}},
		{"the first of two captures takes the shortest text", "{a}-{b}.csv", "x-y-z.csv", captured{"a": "x", "b": "y-z"}},
		{"a name twice captures the same text", "{date}/sales-{date}.csv", "2026/sales-2026.csv", captured{"date": "2026"}},
		{"a name twice does not capture two texts", "{date}/sales-{date}.csv", "2026/sales-2025.csv", nil},
		{"a doubled brace is a literal brace", "raw/{{{x}}}.csv", "raw/{a}.csv", captured{"x": "a"}},
		{"blanks and signs are text", "new york/a+b (1).csv", "new york/a+b (1).csv", captured{}},
		{"unicode", "umsatz/{stadt}.csv", "umsatz/münchen 📈.csv", captured{"stadt": "münchen 📈"}},
		{"a character of several bytes is captured whole", "{a}*", "éa", captured{"a": "é"}},
		{"{x} matches a line break", "raw/{x}.csv", "raw/a\nb.csv", captured{"x": "a\nb"}},
		{"a name with hyphens", "{min-coverage}.csv", "0.9.csv", captured{"min-coverage": "0.9"}},
		{"case matters", "Sales/{x}", "sales/a", nil},
		{"the whole key", "{key*}", "a/b/c", captured{"key": "a/b/c"}},
		{"a key that begins with a slash", "/{x}", "/a", captured{"x": "a"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a, err := route.ParseArrival("s3://landing/" + test.pattern)
			if err != nil {
				t.Fatal(err)
			}
			got, matched := a.Match(model.ObjectURI{Bucket: "landing", Key: test.key})
			if matched != (test.want != nil) || !maps.Equal(got, test.want) {
				t.Errorf("%s and %q: captures %v, matched %v, want %v", test.pattern, test.key, got, matched, test.want)
			}
			if _, elsewhere := a.Match(model.ObjectURI{Bucket: "archive", Key: test.key}); elsewhere {
				t.Errorf("%s takes a key of another bucket", test.pattern)
			}
		})
	}
}

// Every key that matches begins with the prefix.
func TestArrivalPrefix(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"s3://landing/sales/{region}/{date}.csv": "sales/", "s3://landing/sales/all.csv": "sales/all.csv", "s3://landing/{x}": "",
		"s3://landing/raw-*": "raw-", "s3://landing/**": "", "s3://landing/{{a}}/{x}": "{a}/",
	} {
		a, err := route.ParseArrival(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if a.Prefix() != want || a.Bucket() != "landing" || a.String() != pattern {
			t.Errorf("%s: prefix %q of bucket %q, want %q", pattern, a.Prefix(), a.Bucket(), want)
		}
	}
}

func TestParseArrivalErrors(t *testing.T) {
	t.Parallel()
	for pattern, says := range map[string]string{
		"sales/{region}.csv":             "is not of the form s3://bucket/key",
		"s3://landing":                   "is not of the form s3://bucket/key",
		"s3://landing/":                  "is not of the form s3://bucket/key",
		"s3://{bucket}/sales.csv":        "the bucket cannot have placeholders",
		"s3://landing/{region":           "a { without its }",
		"s3://landing/region}":           "a } without its {",
		"s3://landing/{}":                "{} is not a capture",
		"s3://landing/{object.key}":      "{object.key} is not a capture",
		"s3://landing/{date:%Y}":         "{date:%Y} is not a capture",
		"s3://landing/{x**}":             "{x**} is not a capture",
		"s3://b/" + repeat("a", 1<<10):   "at most 1024 bytes",
		"https://landing.s3/sales/x.csv": "is not of the form s3://bucket/key",
	} {
		if _, err := route.ParseArrival(pattern); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40s: error %v, want an error that contains %q", pattern, err, says)
		}
	}
}

func repeat(text string, n int) string { return strings.Repeat(text, n) }

// A matcher that backtracks would not end on this pattern.
func TestArrivalTakesLinearTime(t *testing.T) {
	t.Parallel()
	a, err := route.ParseArrival("s3://landing/" + repeat("{a*}x*", 1) + repeat("*a", 300) + "b")
	if err != nil {
		t.Fatal(err)
	}
	if captures, matched := a.Match(model.ObjectURI{Bucket: "landing", Key: repeat("a", 1024)}); matched {
		t.Errorf("captures %v", captures)
	}
}

// The captures, put back into the pattern, give the key. No capture is empty, and only {x*} captures a slash.
func FuzzArrival(f *testing.F) {
	f.Add("sales/{region}/{date}.csv", "sales/us/20260105.csv")
	f.Add("{a}-{b}{c}", "x-y-z")
	f.Add("{date}/sales-{date}.csv", "2026/sales-2026.csv")
	f.Add("raw/{path*}/{{{x}}}.csv", "raw/a/b/{c}.csv")
	f.Add("{a*}é{b}", "éé\xffé📈")
	f.Add("**{x}*", "a/b/c")
	f.Fuzz(func(t *testing.T, pattern, key string) {
		a, err := route.ParseArrival("s3://landing/" + pattern)
		if err != nil {
			return
		}
		captures, matched := a.Match(model.ObjectURI{Bucket: "landing", Key: key})
		if !matched {
			return
		}
		if !strings.HasPrefix(key, a.Prefix()) {
			t.Errorf("%q matches %q, which does not begin with %q", pattern, key, a.Prefix())
		}
		if len(captures) != len(a.Names()) {
			t.Errorf("captures %v of names %v", captures, a.Names())
		}
		expanded, ok := expand(pattern, captures)
		if ok && expanded != key {
			t.Errorf("%q captures %v of %q, which give %q", pattern, captures, key, expanded)
		}
		for name, text := range captures {
			if text == "" || strings.Contains(text, "/") && !strings.Contains(pattern, "{"+name+"*}") {
				t.Errorf("%q captures %q as %s of %q", pattern, text, name, key)
			}
		}
	})
}

// expand puts captures into a pattern. It reports false if the pattern has a wildcard.
func expand(pattern string, captures captured) (string, bool) {
	var out strings.Builder
	for pattern != "" {
		switch {
		case strings.HasPrefix(pattern, "{{"), strings.HasPrefix(pattern, "}}"):
			out.WriteString(pattern[:1])
			pattern = pattern[2:]
		case pattern[0] == '{':
			name, rest, _ := strings.Cut(pattern[1:], "}")
			out.WriteString(captures[strings.TrimSuffix(name, "*")])
			pattern = rest
		case pattern[0] == '*':
			return "", false
		default:
			out.WriteString(pattern[:1])
			pattern = pattern[1:]
		}
	}
	return out.String(), true
}
