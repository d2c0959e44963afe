package pattern_test

import (
	"strings"
	"testing"

	"modeldispatch/internal/pattern"
)

// seeds are patterns and events that reach every operator.
func seeds() [][2]string {
	return [][2]string{
		{`{"source":["aws.s3"],"detail":{"object":{"key":[{"prefix":"in/"},{"suffix":".csv"}]}}}`, `{"source":"aws.s3","detail":{"object":{"key":"in/a"}}}`},
		{`{"a":[{"anything-but":["x","y"]},{"numeric":[">",0,"<=",5]},{"exists":false}]}`, `{"a":[1,"x",null]}`},
		{`{"a":[{"anything-but":{"wildcard":["*a*","\\*"]}},{"cidr":"10.0.0.0/8"}]}`, `{"a":"10.0.0.1"}`},
		{`{"$or":[{"a":["1"]},{"$or":[{"b":[2]},{"c":[{"exists":true}]}]}],"d.e":[null,true]}`, `{"d":{"e":[[{}],null]},"c":{}}`},
		{`{"a":{"b":["1"],"c":[{"equals-ignore-case":"ß"},{"prefix":{"equals-ignore-case":"İ"}}]}}`, `{"a":[{"b":"1"},{"c":"SS"}]}`},
		{`{"a":[1e400,0.1,-0]}`, `{"a":1E-400}`},
		{`{"a":[{"wildcrad":"x"}]}`, `{"a"`},
	}
}

// Any text compiles or is refused with words; what compiles compiles again to itself from its own
// text, and answers for some events without a panic.
func FuzzCompile(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s[0])
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := pattern.Compile([]byte(text))
		if err != nil {
			if !strings.Contains(err.Error(), ": ") {
				t.Errorf("%q: no path in %q", text, err)
			}
			return
		}
		again, err := pattern.Compile([]byte(p.String()))
		if err != nil || again.String() != p.String() {
			t.Errorf("%q became %q: %v", text, p, err)
		}
		for _, s := range seeds()[:6] {
			event := decode(t, s[1])
			if p.Match(event) != again.Match(event) {
				t.Errorf("%s and itself differ on %s", p, s[1])
			}
		}
	})
}

// Any event gets the same answer from Match and Mismatch, and an event that matches still does
// with one more field, for a pattern that does not ask for absence.
func FuzzMatch(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, patternText, eventText string) {
		p, err := pattern.Compile([]byte(patternText))
		if err != nil {
			return
		}
		event, err := pattern.Decode([]byte(eventText))
		if err != nil {
			return
		}
		match, why := p.Match(event), p.Mismatch(event)
		if match != (why == "") {
			t.Errorf("%s on %s: match %t, mismatch %q", p, eventText, match, why)
		}
		if o, ok := event.(map[string]any); ok && match && !strings.Contains(patternText, "exists") {
			o["one more field"] = "x"
			if !p.Match(o) && !strings.Contains(patternText, "one more field") {
				t.Errorf("%s no longer matches %s with one more field", p, eventText)
			}
		}
	})
}
