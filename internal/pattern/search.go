package pattern

import (
	"encoding/binary"
	"slices"
)

// maxSteps limits the search in one event. An event that reaches the limit does not match. Real events
// stay far below it: only several arrays at one dotted path (`a` and `a.b` side by side), each with
// thousands of elements, can reach it.
const maxSteps = 1 << 22

// A view holds the values of an event at the path of one field.
type view struct {
	values   []value
	accepted []bool // accepted[i] reports whether an alternative accepts values[i]
}

// view returns the view of field i. It builds the view on first use.
func (e *evaluation) view(i int) *view {
	if e.views[i] == nil {
		f := e.pattern.fields[i]
		v := &view{values: e.values[f.path]}
		v.accepted = make([]bool, len(v.values))
		for n, value := range v.values {
			v.accepted[n] = f.accepts(value)
		}
		e.views[i] = v
	}
	return e.views[i]
}

// mayMatch reports whether field i can match if no other field pins an array. A field with
// {"exists": false} can match although it has values in arrays: the other fields may choose an element
// without it.
func (e *evaluation) mayMatch(i int) bool {
	v := e.view(i)
	inArray := func(v value) bool { return v.in != nil }
	return slices.Contains(v.accepted, true) ||
		e.pattern.fields[i].absent && (len(v.values) == 0 || slices.ContainsFunc(v.values, inArray))
}

// satisfies reports whether the fields of a combination match together. Each field needs an accepted
// value, unless it is absent and has {"exists": false}. No two of these values may be in different elements
// of the same array.
func (e *evaluation) satisfies(combination []int) bool {
	for _, i := range combination {
		if v := e.view(i); !slices.Contains(v.accepted, true) && !e.pattern.fields[i].absent {
			return false
		}
	}
	s := search{evaluation: e, fields: combination, last: map[int]int{}, failed: map[string]bool{}}
	for n, i := range combination {
		for _, v := range e.view(i).values {
			for at := v.in; at != nil; at = at.around {
				s.last[at.array] = n
			}
		}
	}
	return s.matchFrom(0, nil)
}

// A search chooses a value for one field after the other, in the order of their paths, as event-ruler
// does. The order matters in one case only: {"exists": false} matches if no value of its field agrees
// with the choices before it.
type search struct {
	*evaluation
	fields []int
	last   map[int]int     // by array: the position of the last field with a value in the array
	failed map[string]bool // the states without a match, by their memoKey
}

// A pin fixes an array of the event to one of its elements.
type pin struct{ array, index int }

// matchFrom reports whether the fields from position n on can match, given the pins of the fields
// before them.
func (s *search) matchFrom(n int, pins []pin) bool {
	if n == len(s.fields) {
		return true
	}
	key := memoKey(n, pins)
	if s.failed[key] {
		return false
	}
	field, view, present := s.pattern.fields[s.fields[n]], s.view(s.fields[n]), false
	for i, v := range view.values {
		if s.steps++; s.steps > maxSteps {
			return false
		}
		chosen, agrees := addPins(pins, v.in)
		if !agrees {
			continue
		}
		present = true
		if view.accepted[i] && s.matchFrom(n+1, s.relevantPins(n+1, chosen)) {
			return true
		}
	}
	if field.absent && !present && s.matchFrom(n+1, s.relevantPins(n+1, pins)) {
		return true
	}
	s.failed[key] = true
	return false
}

// addPins adds the elements around a value to the pins. It reports false if one of them contradicts a
// pin.
func addPins(pins []pin, in *element) ([]pin, bool) {
	chosen := pins
	for e := in; e != nil; e = e.around {
		at := slices.IndexFunc(pins, func(p pin) bool { return p.array == e.array })
		switch {
		case at < 0:
			chosen = append(slices.Clip(chosen), pin{e.array, e.index})
		case pins[at].index != e.index:
			return nil, false
		}
	}
	return chosen, true
}

// relevantPins returns the pins of arrays in which a field from position n on has values, sorted by
// array. Without the other pins, the number of different states stays close to the size of the event.
func (s *search) relevantPins(n int, pins []pin) []pin {
	var kept []pin
	for _, p := range pins {
		if s.last[p.array] >= n {
			kept = append(kept, p)
		}
	}
	slices.SortFunc(kept, func(a, b pin) int { return a.array - b.array })
	return kept
}

// memoKey encodes a state of the search: a position and the pins there.
func memoKey(n int, pins []pin) string {
	key := binary.AppendUvarint(nil, uint64(n))
	for _, p := range pins {
		key = binary.AppendUvarint(key, uint64(p.array))
		key = binary.AppendUvarint(key, uint64(p.index))
	}
	return string(key)
}
