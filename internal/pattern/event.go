package pattern

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// Decode reads one JSON value, with numbers as json.Number: the digits of an event must survive.
// It is an error if anything follows the value.
func Decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, malformed(text, err)
	}
	end := d.InputOffset()
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("malformed JSON: something follows the value, after %d bytes; one value is wanted", end)
	}
	return v, nil
}

// malformed says where in the text the JSON broke.
func malformed(text []byte, err error) error {
	var syntax *json.SyntaxError
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return errors.New("malformed JSON: empty")
	case errors.As(err, &syntax) && syntax.Offset < int64(len(text)):
		return fmt.Errorf("malformed JSON: %w, at byte %d", err, syntax.Offset)
	case errors.Is(err, io.ErrUnexpectedEOF), syntax != nil:
		return errors.New("malformed JSON: it ends too early")
	}
	return fmt.Errorf("malformed JSON: %w", err)
}

// A value is a leaf of an event. Only strings are quoted: "5" and 5 are different values.
type value struct {
	text    string
	quoted  bool
	numeric bool
	number  float64 // when numeric
	in      *element
}

// String is the value as in JSON, shortened for people.
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

// address is the value as an IP address. An IPv4 address within IPv6 is the IPv4 one.
func (v value) address() (netip.Addr, bool) {
	if !v.quoted {
		return netip.Addr{}, false
	}
	return parseAddress(v.text)
}

// An element is the place of a value in an array: the array by number, the index in it, and the
// element around that array. Only arrays and objects have places: the scalars of one array do not
// exclude each other.
type element struct {
	array, index int
	around       *element
}

// reading is the part of an event that a pattern looks at.
type reading struct {
	pattern Pattern
	values  map[string][]value // by dotted path
	arrays  int
	views   []*view // of the pattern's fields, once looked at
	steps   int     // of all searches
}

// read collects the event's values at the pattern's paths.
func (p Pattern) read(root map[string]any) *reading {
	r := &reading{pattern: p, values: map[string][]value{}, views: make([]*view, len(p.fields))}
	r.object("", root, nil)
	return r
}

func (r *reading) object(path string, o map[string]any, in *element) {
	for name, v := range o {
		if below := join(path, name); r.pattern.steps[below] {
			r.visit(below, v, in)
		}
	}
}

func (r *reading) visit(path string, v any, in *element) {
	switch v := v.(type) {
	case map[string]any:
		r.object(path, v, in)
	case []any:
		r.array(path, v, in)
	default:
		leaf := scalar(v)
		leaf.in = in
		r.values[path] = append(r.values[path], leaf)
	}
}

func (r *reading) array(path string, elements []any, in *element) {
	r.arrays++
	array := r.arrays
	for i, v := range elements {
		switch v.(type) {
		case map[string]any, []any:
			r.visit(path, v, &element{array: array, index: i, around: in})
		default:
			r.visit(path, v, in)
		}
	}
}

// scalar makes a value of a decoded leaf.
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

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// above lists a path and the paths above it.
func above(path string) []string {
	paths := []string{path}
	for i := strings.LastIndexByte(path, '.'); i >= 0; i = strings.LastIndexByte(path, '.') {
		path = path[:i]
		paths = append(paths, path)
	}
	return paths
}
