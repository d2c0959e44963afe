package pattern

import (
	"fmt"
	"net/netip"
	"strings"
)

// A value is a leaf of an event: a string, a number, true, false or null.
type value struct {
	text    string
	quoted  bool     // the value is a string: "5" and 5 are different values
	numeric bool     // the value is a number that can be compared by value
	number  float64  // the number, if numeric is true
	in      *element // the innermost array element around the value; nil outside of arrays
}

// String returns the value as JSON, cut to 80 characters for messages.
func (v value) String() string {
	text := v.text
	if r := []rune(text); len(r) > 80 {
		text = string(r[:80]) + "…"
	}
	if v.quoted {
		return fmt.Sprintf("%q", text)
	}
	return text
}

// address returns the value as an IP address, and reports whether it is one. It returns an
// IPv4-mapped IPv6 address as IPv4.
func (v value) address() (netip.Addr, bool) {
	if !v.quoted {
		return netip.Addr{}, false
	}
	return parseAddress(v.text)
}

// An element identifies one element of an array of the event. Only arrays and objects inside an array
// get one: two scalars of the same array may match two different fields.
type element struct {
	array  int      // the number of the array in this evaluation
	index  int      // the index in the array
	around *element // the element that contains the array; nil if none does
}

// An evaluation holds the state while one event is matched against one pattern.
type evaluation struct {
	pattern Pattern
	values  map[string][]value // the event's values by dotted path
	arrays  int                // the number of arrays found so far
	views   []*view            // one for each field of the pattern; nil until the field is first used
	steps   int                // the steps of all searches so far, limited by maxSteps
}

// evaluate starts an evaluation. It collects the event's values at the paths of the pattern.
func (p Pattern) evaluate(root map[string]any) *evaluation {
	e := &evaluation{pattern: p, values: map[string][]value{}, views: make([]*view, len(p.fields))}
	e.collectObject("", root, nil)
	return e
}

func (e *evaluation) collectObject(path string, o map[string]any, in *element) {
	for name, v := range o {
		if below := join(path, name); e.pattern.paths[below] {
			e.collect(below, v, in)
		}
	}
}

func (e *evaluation) collect(path string, v any, in *element) {
	switch v := v.(type) {
	case map[string]any:
		e.collectObject(path, v, in)
	case []any:
		e.collectArray(path, v, in)
	default:
		leaf := scalar(v)
		leaf.in = in
		e.values[path] = append(e.values[path], leaf)
	}
}

func (e *evaluation) collectArray(path string, elements []any, in *element) {
	e.arrays++
	array := e.arrays
	for i, v := range elements {
		switch v.(type) {
		case map[string]any, []any:
			e.collect(path, v, &element{array: array, index: i, around: in})
		default:
			e.collect(path, v, in)
		}
	}
}

// scalar converts a decoded leaf to a value.
func scalar(v any) value {
	switch v := v.(type) {
	case string:
		return value{text: v, quoted: true}
	case nil:
		return value{text: "null"}
	case bool:
		return value{text: fmt.Sprint(v)}
	}
	text := fmt.Sprint(v) // json.Number
	number, ok := parseNumber(text)
	return value{text: text, numeric: ok, number: number}
}

// join appends a name to a dotted path.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// withAncestors returns a path and the paths of all objects that contain it.
func withAncestors(path string) []string {
	paths := []string{path}
	for i := strings.LastIndexByte(path, '.'); i >= 0; i = strings.LastIndexByte(path, '.') {
		path = path[:i]
		paths = append(paths, path)
	}
	return paths
}
