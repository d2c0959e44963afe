// Package pattern compiles EventBridge event patterns and matches events against them, with the
// same result as EventBridge.
//
//	p, err := pattern.Compile([]byte(`{"source": ["aws.s3"], "detail": {"object": {"key": [{"prefix": "in/"}]}}}`))
//	event, err := jsonread.Value(body)
//	if !p.Match(event) {
//		log.Print(p.Mismatch(event)) // detail.object.key: "out/a.csv" does not match prefix "in/"
//	}
//
// A trigger in model.yaml can have a pattern, in its event or where field. The catalog compiles it to check it. Package
// route compiles it again and decides with it which bindings an event gets. The local stack uses it in place of an
// EventBridge rule.
//
// # Terms
//
//   - A pattern is a JSON object with the shape of the events that it matches.
//   - A path is the position of a value in an event: the names from the root, joined by dots.
//   - A field is a path of the pattern together with its array of alternatives.
//   - An alternative is a plain value, or an operator such as {"prefix": "in/"}. A field matches if at
//     least one alternative accepts at least one value at its path.
//   - $or holds two or more objects, of which at least one must match.
//   - A combination is one choice of an object from each $or. A pattern matches if all fields of at
//     least one combination match. A pattern without $or has exactly one combination.
//   - A pin fixes an array of the event to one of its elements while fields are matched.
//
// # Entry points
//
//   - Compile checks a pattern and compiles it.
//   - Pattern.Match reports whether an event matches.
//   - Pattern.Mismatch explains why an event does not match.
//   - Pattern.Literals returns the strings that an index of many patterns can use as keys.
//
// # Rules
//
// A pattern ignores every part of an event that it does not name. Four more rules are easy to miss:
//
//   - If the event has an array of objects, fields below that array must match in the same element.
//   - An absent field matches only {"exists": false}. {"anything-but": …} needs the field to be
//     present. An empty array or object counts as absent.
//   - Numbers are compared by value: 300 matches 300.0 and 3.0e2. A number that a float64 cannot hold
//     exactly, for example one with more than 17 digits, matches only the same text.
//   - A dot in a name is the same as a nested object: {"a.b": […]} and {"a": {"b": […]}} are equal.
//
// The grammar is the one of the EventBridge user guide, "Comparison operators for use in event
// patterns". Matching follows AWS's own engine, event-ruler 1.8.1: TestRuler compares the results.
// The comment of TestRuler lists the deliberate differences.
//
// The work for one event is bounded (maxSteps). Every error of Compile starts with the path in the
// pattern at which the mistake is, or with "event pattern" if the mistake has no path.
package pattern

import (
	"slices"
	"sort"
)

// Limits of EventBridge and of its engine.
const (
	// maxCharacters is the maximum length of an EventPattern in the API. The default quota of an
	// account is lower: 2,048.
	maxCharacters = 4096
	// maxCombinations is the maximum number of combinations that the $or of a pattern may produce.
	maxCombinations = 1000
	// maxFields is the maximum number of fields in one combination.
	maxFields = 256
)

// Pattern is a compiled event pattern, an immutable value. The zero Pattern matches nothing.
type Pattern struct {
	text   string
	fields []field
	// combinations holds, for each combination, the indexes of the fields that must match together,
	// ordered by path.
	combinations [][]int
	// paths holds the paths of all fields and their ancestors. Matching reads no other part of an
	// event.
	paths map[string]bool
}

// A field is a path of the pattern with its alternatives.
type field struct {
	path     string
	matchers []matcher // all alternatives except {"exists": false}
	absent   bool      // {"exists": false} is one of the alternatives
}

// accepts reports whether at least one alternative accepts the value.
func (f field) accepts(v value) bool {
	return slices.ContainsFunc(f.matchers, func(m matcher) bool { return m.matches(v) })
}

// String returns the pattern as compact JSON.
func (p Pattern) String() string { return p.text }

// Match reports whether the event matches. The event is a value that Decode returned; an event that
// is not a JSON object never matches.
func (p Pattern) Match(event any) bool {
	root, ok := event.(map[string]any)
	if !ok {
		return false
	}
	e := p.evaluate(root)
	return slices.ContainsFunc(p.combinations, func(c []int) bool { return e.satisfies(c) })
}

// Literals returns the complete set of strings that the pattern accepts at a dotted path, sorted: an
// event matches only if it has one of them at that path. Literals returns nil if the pattern does not
// restrict the path to such a set. An index of many patterns can use the strings as keys.
func (p Pattern) Literals(path string) []string {
	var all []string
	for _, combination := range p.combinations {
		literals := p.literals(combination, path)
		if literals == nil {
			return nil
		}
		all = append(all, literals...)
	}
	sort.Strings(all)
	return slices.Compact(all)
}

// literals returns the set for one combination, or nil.
func (p Pattern) literals(combination []int, path string) []string {
	var literals []string
	for _, i := range combination {
		f := p.fields[i]
		if f.path != path {
			continue
		}
		if f.absent {
			return nil
		}
		for _, test := range f.matchers {
			s, ok := test.(exactString)
			if !ok {
				return nil
			}
			literals = append(literals, string(s))
		}
	}
	return literals
}
