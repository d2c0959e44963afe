package pattern_test

import (
	"strings"
	"testing"

	"modeldispatch/internal/jsonread"
	"modeldispatch/internal/pattern"
)

// seeds returns patterns and events that use every operator.
func seeds() [][2]string {
	return [][2]string{
		{
			`{"source":["aws.s3"],"detail":{"object":{"key":[{"prefix":"in/"},{"suffix":".csv"}]}}}`,
			`{"source":"aws.s3","detail":{"object":{"key":"in/a"}}}`,
		},
		{`{"a":[{"anything-but":["x","y"]},{"numeric":[">",0,"<=",5]},{"exists":false}]}`, `{"a":[1,"x",null]}`},
		{`{"a":[{"anything-but":{"wildcard":["*a*","\\*"]}},{"cidr":"10.0.0.0/8"}]}`, `{"a":"10.0.0.1"}`},
		{`{"$or":[{"a":["1"]},{"$or":[{"b":[2]},{"c":[{"exists":true}]}]}],"d.e":[null,true]}`, `{"d":{"e":[[{}],null]},"c":{}}`},
		{`{"a":{"b":["1"],"c":[{"equals-ignore-case":"ß"},{"prefix":{"equals-ignore-case":"İ"}}]}}`, `{"a":[{"b":"1"},{"c":"SS"}]}`},
		{`{"a":[1e400,0.1,-0]}`, `{"a":1E-400}`},
		{`{"a":[{"wildcrad":"x"}]}`, `{"a"`},
	}
}

// FuzzCompile checks that Compile accepts any text or returns an error with a path. A compiled pattern
// compiles from its own String to an equal pattern, and matches some events without a panic.
func FuzzCompile(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s[0])
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := pattern.Compile([]byte(text))
		if err != nil {
			if !strings.Contains(err.Error(), ": ") {
				t.Errorf("pattern %q: the error has no path: %q", text, err)
			}
			return
		}
		again, err := pattern.Compile([]byte(p.String()))
		if err != nil || again.String() != p.String() {
			t.Errorf("pattern %q: String() = %q, which compiles to %q, error %v", text, p, again, err)
		}
		for _, s := range seeds()[:6] {
			event := decode(t, s[1])
			if p.Match(event) != again.Match(event) {
				t.Errorf("pattern %s: compiled from its own String, it gives another result for %s", p, s[1])
			}
		}
	})
}

// FuzzMatch checks that Match and Mismatch agree on any event. It also checks that an event that matches
// still matches with an additional field, unless the pattern requires a field to be absent.
func FuzzMatch(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, patternText, eventText string) {
		p, err := pattern.Compile([]byte(patternText))
		if err != nil {
			return
		}
		event, err := jsonread.Value([]byte(eventText))
		if err != nil {
			return
		}
		match, why := p.Match(event), p.Mismatch(event)
		if match != (why == "") {
			t.Errorf("pattern %s, event %s: Match = %t, Mismatch = %q", p, eventText, match, why)
		}
		if o, ok := event.(map[string]any); ok && match && !strings.Contains(patternText, "exists") {
			o["additional field"] = "x"
			if !p.Match(o) && !strings.Contains(patternText, "additional field") {
				t.Errorf("pattern %s no longer matches %s with an additional field", p, eventText)
			}
		}
	})
}
