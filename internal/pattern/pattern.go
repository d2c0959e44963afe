// Package pattern compiles event patterns of EventBridge and matches events against them, the way
// EventBridge does.
//
//	p, err := pattern.Compile([]byte(`{"source": ["aws.s3"], "detail": {"object": {"key": [{"prefix": "in/"}]}}}`))
//	event, err := pattern.Decode(body)
//	if !p.Match(event) {
//		log.Print(p.Mismatch(event)) // detail.object.key: "out/a.csv" does not match prefix "in/"
//	}
//
// A pattern has the shape of the events it takes. Its leaves are arrays of alternatives: values,
// or operators such as {"prefix": "in/"}. All fields of a pattern must match, one alternative
// each; what a pattern does not name is ignored. $or takes a list of objects of which one must
// match. A field that holds an array in the event matches if one of its elements does.
//
// Four rules are easy to miss:
//
//   - Where the event has arrays of objects, fields below one array must match in one and the same
//     element.
//   - An absent field matches nothing but {"exists": false}; {"anything-but": …} wants the field.
//     An empty array or object counts as absent.
//   - Numbers are compared by value: 300 matches 300.0 and 3.0e2. A number that no float64 holds
//     exactly (more than 17 digits, say) matches itself only, as it is written.
//   - A dot in a name is not told apart from a step: {"a.b": […]} and {"a": {"b": […]}} are one.
//
// The grammar is that of the EventBridge user guide ("Comparison operators for use in event
// patterns"); matching follows AWS's own engine, event-ruler 1.8.1, whose answers TestRuler
// compares with ours. Where the two differ on purpose, TestRuler says so.
package pattern

import (
	"slices"
	"sort"
)

// Limits of EventBridge and of its engine.
const (
	// maxCharacters is the API's longest EventPattern. An account's quota is 2,048 unless raised.
	maxCharacters = 4096
	// maxCombinations is how many combinations the $or of a pattern may give.
	maxCombinations = 1000
	// maxFields is how many fields one combination may have.
	maxFields = 256
)

// Pattern is a compiled event pattern, an immutable value. The zero Pattern matches nothing.
type Pattern struct {
	text   string
	fields []field
	// combinations are the ways through the $or: each lists fields that must match together,
	// ordered by path. A pattern without $or has one.
	combinations [][]int
	// steps are the paths of the fields and of everything above them: the only parts of an event
	// that need a look.
	steps map[string]bool
}

// A field is a path of the pattern with its alternatives.
type field struct {
	path   string
	tests  []matcher
	absent bool // {"exists": false} is one of the alternatives
}

// fits tells whether one value satisfies an alternative.
func (f field) fits(v value) bool {
	return slices.ContainsFunc(f.tests, func(m matcher) bool { return m.matches(v) })
}

// String is the pattern as compact JSON.
func (p Pattern) String() string { return p.text }

// Match tells whether the event, as Decode gives it, matches. Anything but an object does not.
func (p Pattern) Match(event any) bool {
	root, ok := event.(map[string]any)
	if !ok {
		return false
	}
	e := p.read(root)
	return slices.ContainsFunc(p.combinations, func(c []int) bool { return e.satisfies(c) })
}

// Literals is the closed set of strings that the pattern wants at a dotted path: an event matches
// only if a value at that path is one of them. It is nil when the pattern takes anything else
// there too. (It is for an index of many patterns.)
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
		for _, test := range f.tests {
			s, ok := test.(exactString)
			if !ok {
				return nil
			}
			literals = append(literals, string(s))
		}
	}
	return literals
}
