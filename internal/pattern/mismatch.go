package pattern

import (
	"fmt"
	"slices"
	"strings"
)

// Mismatch explains in one line why the event does not match. It returns "" if the event matches. The
// text names the first field of the pattern that does not match. With $or, it describes the
// combination with the fewest fields that do not match.
func (p Pattern) Mismatch(event any) string {
	_, why := p.MismatchedField(event)
	return why
}

// MismatchedField returns the text of Mismatch, and before it the path of the field that the text is
// about. The path is "" if the text is about several fields, or about none.
func (p Pattern) MismatchedField(event any) (path, why string) {
	root, ok := event.(map[string]any)
	if !ok {
		return "", "the event is not a JSON object"
	}
	e := p.evaluate(root)
	var nearest, together []int // failing fields; a combination whose fields match only separately
	for _, combination := range p.combinations {
		if e.satisfies(combination) {
			return "", ""
		}
		failing := e.failing(combination)
		switch {
		case len(failing) == 0 && together == nil:
			together = combination
		case len(failing) > 0 && (nearest == nil || len(failing) < len(nearest)):
			nearest = failing
		}
	}
	why = "the pattern is empty"
	switch {
	case together != nil:
		why = e.explainSeparate(together)
	case nearest != nil:
		field := slices.Min(nearest)
		path, why = p.fields[field].path, e.explainField(field)
	}
	if n := len(p.combinations); n > 1 {
		why += fmt.Sprintf(" (closest of %d $or combinations)", n)
	}
	return path, why
}

// failing returns the fields of a combination that cannot match even without the other fields.
func (e *evaluation) failing(combination []int) []int {
	var failing []int
	for _, i := range combination {
		if !e.mayMatch(i) {
			failing = append(failing, i)
		}
	}
	return failing
}

// explainSeparate explains why the fields of a combination do not match together, although each of
// them matches on its own.
func (e *evaluation) explainSeparate(combination []int) string {
	var paths []string
	for _, i := range slices.Sorted(slices.Values(combination)) { // in the order of the pattern
		if slices.ContainsFunc(e.view(i).values, func(v value) bool { return v.in != nil }) {
			paths = append(paths, e.pattern.fields[i].path)
		}
	}
	return strings.Join(paths, ", ") + ": no single array element matches all of them"
}

// explainField explains why one field does not match.
func (e *evaluation) explainField(i int) string {
	f, values := e.pattern.fields[i], e.view(i).values
	switch {
	case len(values) == 0:
		return f.path + ": absent"
	case len(f.matchers) == 0:
		return fmt.Sprintf("%s: %s is present but must be absent", f.path, shorten(values))
	}
	alternatives := list(f.matchers)
	if f.absent {
		alternatives += ", absent"
	}
	verb := "is not one of"
	if slices.ContainsFunc(f.matchers, func(m matcher) bool { return !isPlain(m) }) {
		verb = "does not match"
		if len(f.matchers) > 1 || f.absent {
			verb = "matches none of"
		}
	}
	return fmt.Sprintf("%s: %s %s %s", f.path, shorten(values), verb, alternatives)
}

// isPlain reports whether an alternative is a plain value rather than an operator.
func isPlain(m matcher) bool {
	switch m.(type) {
	case exactString, exactScalar:
		return true
	}
	return false
}

// shorten lists the first three values of a field and counts the others.
func shorten(values []value) string {
	const limit = 3
	var texts []string
	for _, v := range values[:min(len(values), limit)] {
		texts = append(texts, v.String())
	}
	if n := len(values) - limit; n > 0 {
		texts = append(texts, fmt.Sprintf("… (%d more)", n))
	}
	return strings.Join(texts, ", ")
}
