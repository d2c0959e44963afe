package pattern

import (
	"fmt"
	"slices"
	"strings"
)

// Mismatch says in one line why the event does not match, and is empty when it does. It names the
// first field of the pattern that does not match; with $or, that of the combination which is
// nearest to a match.
func (p Pattern) Mismatch(event any) string {
	root, ok := event.(map[string]any)
	if !ok {
		return "the event is not a JSON object"
	}
	r := p.read(root)
	var nearest, together []int
	for _, combination := range p.combinations {
		if r.satisfies(combination) {
			return ""
		}
		failing := r.failing(combination)
		switch {
		case len(failing) == 0 && together == nil:
			together = combination
		case len(failing) > 0 && (nearest == nil || len(failing) < len(nearest)):
			nearest = failing
		}
	}
	why := "the pattern is empty"
	switch {
	case together != nil:
		why = r.apart(together)
	case nearest != nil:
		why = r.why(slices.Min(nearest))
	}
	if n := len(p.combinations); n > 1 {
		why += fmt.Sprintf(" (nearest of %d combinations of $or)", n)
	}
	return why
}

// failing lists the fields that cannot match, each looked at by itself.
func (r *reading) failing(combination []int) []int {
	var failing []int
	for _, i := range combination {
		if !r.mayHold(i) {
			failing = append(failing, i)
		}
	}
	return failing
}

// apart is why fields that each match do not match together.
func (r *reading) apart(combination []int) string {
	var paths []string
	for _, i := range slices.Sorted(slices.Values(combination)) { // in the order of the pattern
		if slices.ContainsFunc(r.view(i).values, func(v value) bool { return v.in != nil }) {
			paths = append(paths, r.pattern.fields[i].path)
		}
	}
	return strings.Join(paths, ", ") + ": no one element of the array matches them all"
}

// why is the reason for one field.
func (r *reading) why(i int) string {
	f, values := r.pattern.fields[i], r.view(i).values
	switch {
	case len(values) == 0:
		return f.path + ": absent"
	case len(f.tests) == 0:
		return fmt.Sprintf("%s: %s is there, and must be absent", f.path, shorten(values))
	}
	alternatives := list(f.tests)
	if f.absent {
		alternatives += ", absent"
	}
	verb := "is not one of"
	if slices.ContainsFunc(f.tests, func(m matcher) bool { return !isPlain(m) }) {
		verb = "does not match"
		if len(f.tests) > 1 || f.absent {
			verb = "matches none of"
		}
	}
	return fmt.Sprintf("%s: %s %s %s", f.path, shorten(values), verb, alternatives)
}

// isPlain tells a value from an operator.
func isPlain(m matcher) bool {
	switch m.(type) {
	case exactString, exactScalar:
		return true
	}
	return false
}

// shorten lists the first values of a field.
func shorten(values []value) string {
	const most = 3
	var texts []string
	for _, v := range values[:min(len(values), most)] {
		texts = append(texts, v.String())
	}
	if n := len(values) - most; n > 0 {
		texts = append(texts, fmt.Sprintf("… (%d more)", n))
	}
	return strings.Join(texts, ", ")
}
