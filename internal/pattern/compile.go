package pattern

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Compile reads an event pattern. Its errors name the path inside the pattern.
func Compile(pattern []byte) (Pattern, error) {
	if _, err := Decode(pattern); err != nil {
		return Pattern{}, fmt.Errorf("event pattern: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, pattern); err != nil {
		return Pattern{}, fmt.Errorf("event pattern: %w", err)
	}
	if n := utf8.RuneCount(compact.Bytes()); n > maxCharacters {
		return Pattern{}, fmt.Errorf("event pattern: has %d characters; EventBridge takes at most %d", n, maxCharacters)
	}
	root, ok := readTree(compact.Bytes()).(object)
	if !ok {
		return Pattern{}, errors.New(`event pattern: must be an object, such as {"source": ["aws.s3"]}`)
	}
	var c compiler
	combinations, err := c.object([]combination{{}}, "", root, false)
	if err != nil {
		return Pattern{}, err
	}
	return c.pattern(compact.String(), combinations)
}

// object is a JSON object in the order of its text, which matters: of two members with one name
// the last wins, and what comes after $or overrides what is in it.
type object []member

type member struct {
	name  string
	value any
}

// readTree reads valid JSON: object, []any, string, json.Number, bool or nil.
func readTree(text []byte) any {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return readValue(d)
}

func readValue(d *json.Decoder) any {
	token, _ := d.Token() // valid, because Decode took it
	switch token {
	case json.Delim('{'):
		o := object{}
		for d.More() {
			name, _ := d.Token()
			o = append(o, member{name: fmt.Sprint(name), value: readValue(d)})
		}
		_, _ = d.Token()
		return o
	case json.Delim('['):
		a := []any{}
		for d.More() {
			a = append(a, readValue(d))
		}
		_, _ = d.Token()
		return a
	}
	return token
}

// combination is a way through the $or, as it is built: a field for each path.
type combination map[string]int

// compiler collects the fields of a pattern.
type compiler struct{ fields []field }

// object adds the fields of an object to each of the combinations.
func (c *compiler) object(all []combination, path string, o object, inOr bool) ([]combination, error) {
	if len(o) == 0 {
		return nil, wrong(path, `an empty object is not allowed; what is not named is ignored anyway`)
	}
	for _, m := range o {
		var err error
		if m.name == "$or" {
			all, err = c.or(all, join(path, m.name), path, m.value)
		} else {
			all, err = c.member(all, path, m, inOr)
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (c *compiler) member(all []combination, path string, m member, inOr bool) ([]combination, error) {
	below := join(path, m.name)
	if inOr && reserved(m.name) {
		return nil, wrong(below, "EventBridge keeps this name for itself inside $or; an operator goes in an array: [{%q: …}]", m.name)
	}
	switch v := m.value.(type) {
	case object:
		return c.object(all, below, v, inOr)
	case []any:
		return all, c.leaf(all, below, v)
	}
	text := jsonText(m.value)
	if slices.Contains(operators(), m.name) && path != "" {
		return nil, wrong(path, "an operator goes in an array: [{%q: %s}]", m.name, text)
	}
	return nil, wrong(below, "%s must be in an array: [%s]", text, text)
}

// leaf compiles the alternatives of a field and adds it to each of the combinations.
func (c *compiler) leaf(all []combination, path string, alternatives []any) error {
	if len(alternatives) == 0 {
		return wrong(path, `an empty array matches nothing; to match an absent field write [{"exists": false}]`)
	}
	f := field{path: path}
	for _, a := range alternatives {
		if isAbsent(a) {
			f.absent = true
			continue
		}
		m, err := alternative(path, a)
		if err != nil {
			return err
		}
		f.tests = append(f.tests, m)
	}
	c.fields = append(c.fields, f)
	for _, combination := range all {
		combination[path] = len(c.fields) - 1
	}
	return nil
}

// or multiplies the combinations by the objects of an $or.
func (c *compiler) or(all []combination, at, path string, v any) ([]combination, error) {
	branches, ok := v.([]any)
	if !ok || len(branches) < 2 {
		return nil, wrong(at, "wants an array of two or more objects")
	}
	var multiplied []combination
	for _, branch := range branches {
		o, ok := branch.(object)
		if !ok {
			return nil, wrong(at, "%s must be an object", jsonText(branch))
		}
		copies := make([]combination, len(all))
		for i, combination := range all {
			copies[i] = maps.Clone(combination)
		}
		copies, err := c.object(copies, path, o, true)
		if err != nil {
			return nil, err
		}
		if multiplied = append(multiplied, copies...); len(multiplied) > maxCombinations {
			return nil, wrong(at, "gives more than %d combinations, EventBridge's most; each $or multiplies them", maxCombinations)
		}
	}
	return multiplied, nil
}

// pattern puts the parts together.
func (c *compiler) pattern(text string, all []combination) (Pattern, error) {
	p := Pattern{text: text, fields: c.fields, steps: map[string]bool{}}
	for _, f := range c.fields {
		for _, path := range above(f.path) {
			p.steps[path] = true
		}
	}
	for _, combination := range all {
		if len(combination) > maxFields {
			return Pattern{}, fmt.Errorf("event pattern: has %d fields; EventBridge takes at most %d", len(combination), maxFields)
		}
		fields := slices.Collect(maps.Values(combination))
		slices.SortFunc(fields, func(a, b int) int { return strings.Compare(c.fields[a].path, c.fields[b].path) })
		p.combinations = append(p.combinations, fields)
	}
	return p, nil
}

// wrong is an error at a path of the pattern.
func wrong(path, format string, arguments ...any) error {
	if path == "" {
		path = "event pattern"
	}
	return fmt.Errorf("%s: %s", path, fmt.Sprintf(format, arguments...))
}
