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

	"modeldispatch/internal/jsonread"
)

// Compile reads an event pattern. It returns an error if the pattern is not valid JSON, if EventBridge
// would reject it, or if it exceeds a limit. The error starts with the path in the pattern.
func Compile(pattern []byte) (Pattern, error) {
	tree, err := jsonread.Ordered(pattern)
	if err != nil {
		return Pattern{}, fmt.Errorf("event pattern: it is %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, pattern); err != nil {
		return Pattern{}, fmt.Errorf("event pattern: %w", err)
	}
	if n := utf8.RuneCount(compact.Bytes()); n > maxCharacters {
		return Pattern{}, fmt.Errorf("event pattern: has %d characters; EventBridge allows at most %d", n, maxCharacters)
	}
	root, ok := tree.(object)
	if !ok {
		return Pattern{}, errors.New(`event pattern: must be an object, such as {"source": ["aws.s3"]}`)
	}
	var c compiler
	combinations, err := c.addObject([]combination{{}}, "", root, false)
	if err != nil {
		return Pattern{}, err
	}
	return c.build(compact.String(), combinations)
}

// object is a JSON object with its members in the order of the text. The order matters: if two members
// have the same name, the last one applies, and a member after $or overrides one inside it.
type object = jsonread.Members

// member is a name of a JSON object with its value.
type member = jsonread.Member

// combination is a combination during compilation: the index of a field by its path.
type combination map[string]int

// compiler collects the fields of a pattern.
type compiler struct{ fields []field }

// addObject adds the fields of an object to each of the combinations.
func (c *compiler) addObject(all []combination, path string, o object, inOr bool) ([]combination, error) {
	if len(o) == 0 {
		return nil, errorAt(path, `an empty object is not allowed; name at least one field in it`)
	}
	for _, m := range o {
		var err error
		if m.Name == "$or" {
			all, err = c.addOr(all, join(path, m.Name), path, m.Value)
		} else {
			all, err = c.addMember(all, path, m, inOr)
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// addMember adds a member of an object to each of the combinations.
func (c *compiler) addMember(all []combination, path string, m member, inOr bool) ([]combination, error) {
	below := join(path, m.Name)
	if inOr && isReserved(m.Name) {
		return nil, errorAt(below, "EventBridge reserves this name inside $or; an operator must be in an array: [{%q: …}]", m.Name)
	}
	switch v := m.Value.(type) {
	case object:
		return c.addObject(all, below, v, inOr)
	case []any:
		return all, c.addField(all, below, v)
	}
	text := jsonText(m.Value)
	if slices.Contains(operators(), m.Name) && path != "" {
		return nil, errorAt(path, "an operator must be in an array: [{%q: %s}]", m.Name, text)
	}
	return nil, errorAt(below, "%s must be in an array: [%s]", text, text)
}

// addField compiles the alternatives of a field and adds the field to each of the combinations.
func (c *compiler) addField(all []combination, path string, alternatives []any) error {
	if len(alternatives) == 0 {
		return errorAt(path, `an empty array matches nothing; to match an absent field write [{"exists": false}]`)
	}
	f := field{path: path}
	for _, a := range alternatives {
		if isExistsFalse(a) {
			f.absent = true
			continue
		}
		m, err := parseAlternative(path, a)
		if err != nil {
			return err
		}
		f.matchers = append(f.matchers, m)
	}
	c.fields = append(c.fields, f)
	for _, combination := range all {
		combination[path] = len(c.fields) - 1
	}
	return nil
}

// addOr multiplies the combinations by the objects of a $or.
func (c *compiler) addOr(all []combination, at, path string, v any) ([]combination, error) {
	branches, ok := v.([]any)
	if !ok || len(branches) < 2 {
		return nil, errorAt(at, "must be an array of two or more objects")
	}
	var multiplied []combination
	for _, branch := range branches {
		o, ok := branch.(object)
		if !ok {
			return nil, errorAt(at, "%s must be an object", jsonText(branch))
		}
		copies := make([]combination, len(all))
		for i, combination := range all {
			copies[i] = maps.Clone(combination)
		}
		copies, err := c.addObject(copies, path, o, true)
		if err != nil {
			return nil, err
		}
		if multiplied = append(multiplied, copies...); len(multiplied) > maxCombinations {
			return nil, errorAt(at, "produces more than %d combinations, the limit of EventBridge; each $or multiplies the number",
				maxCombinations)
		}
	}
	return multiplied, nil
}

// build returns the compiled pattern. It checks the number of fields in each combination.
func (c *compiler) build(text string, all []combination) (Pattern, error) {
	p := Pattern{text: text, fields: c.fields, paths: map[string]bool{}}
	for _, f := range c.fields {
		for _, path := range withAncestors(f.path) {
			p.paths[path] = true
		}
	}
	for _, combination := range all {
		if len(combination) > maxFields {
			return Pattern{}, fmt.Errorf("event pattern: has %d fields; EventBridge allows at most %d", len(combination), maxFields)
		}
		fields := slices.Collect(maps.Values(combination))
		slices.SortFunc(fields, func(a, b int) int { return strings.Compare(c.fields[a].path, c.fields[b].path) })
		p.combinations = append(p.combinations, fields)
	}
	return p, nil
}

// errorAt returns an error at a path of the pattern.
func errorAt(path, format string, arguments ...any) error {
	if path == "" {
		path = "event pattern"
	}
	return fmt.Errorf("%s: %s", path, fmt.Sprintf(format, arguments...))
}
