package pattern

import (
	"encoding/binary"
	"slices"
)

// maxSteps bounds the searches in one event, which then does not match. No honest event comes near: it takes several arrays at one dotted
// path (`a` and `a.b` side by side), each with thousands of elements.
const maxSteps = 1 << 22

// A view is what a field of the pattern sees of an event.
type view struct {
	values []value
	fits   []bool // values[i] satisfies an alternative
}

func (r *reading) view(i int) *view {
	if r.views[i] == nil {
		f := r.pattern.fields[i]
		v := &view{values: r.values[f.path]}
		v.fits = make([]bool, len(v.values))
		for n, value := range v.values {
			v.fits[n] = f.fits(value)
		}
		r.views[i] = v
	}
	return r.views[i]
}

// mayHold tells whether the field can match, looked at by itself. What is in arrays can be absent
// from the element that the other fields choose.
func (r *reading) mayHold(i int) bool {
	v := r.view(i)
	inArray := func(v value) bool { return v.in != nil }
	return slices.Contains(v.fits, true) ||
		r.pattern.fields[i].absent && (len(v.values) == 0 || slices.ContainsFunc(v.values, inArray))
}

// satisfies tells whether the fields of a combination match together: one value for each, no two
// of them from different elements of one array.
func (r *reading) satisfies(combination []int) bool {
	for _, i := range combination {
		if v := r.view(i); !slices.Contains(v.fits, true) && !r.pattern.fields[i].absent {
			return false
		}
	}
	s := search{reading: r, fields: combination, last: map[int]int{}, failed: map[string]bool{}}
	for n, i := range combination {
		for _, v := range r.view(i).values {
			for e := v.in; e != nil; e = e.around {
				s.last[e.array] = n
			}
		}
	}
	return s.from(0, nil)
}

// search chooses a value for one field after the other, in the order of their paths, which is
// event-ruler's. The order shows in one case only: {"exists": false} looks for values that agree
// with the choices made before it.
type search struct {
	*reading
	fields []int
	last   map[int]int     // the last of the fields with a value in the array
	failed map[string]bool // choices that lead nowhere: a field's position and the pins there
}

// A pin says that an array is used at an index.
type pin struct{ array, index int }

// from tells whether the fields from position n on can match, with some arrays pinned already.
func (s *search) from(n int, pins []pin) bool {
	if n == len(s.fields) {
		return true
	}
	key := memo(n, pins)
	if s.failed[key] {
		return false
	}
	field, view, present := s.pattern.fields[s.fields[n]], s.view(s.fields[n]), false
	for i, v := range view.values {
		if s.steps++; s.steps > maxSteps {
			return false
		}
		chosen, agrees := choose(pins, v.in)
		if !agrees {
			continue
		}
		present = true
		if view.fits[i] && s.from(n+1, s.relevant(n+1, chosen)) {
			return true
		}
	}
	if field.absent && !present && s.from(n+1, s.relevant(n+1, pins)) {
		return true
	}
	s.failed[key] = true
	return false
}

// choose adds the place of a value to the pins, unless it contradicts one.
func choose(pins []pin, in *element) ([]pin, bool) {
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

// relevant drops pins of arrays in which the fields from position n on have no values. That keeps
// the number of different choices near the size of the event.
func (s *search) relevant(n int, pins []pin) []pin {
	var kept []pin
	for _, p := range pins {
		if s.last[p.array] >= n {
			kept = append(kept, p)
		}
	}
	slices.SortFunc(kept, func(a, b pin) int { return a.array - b.array })
	return kept
}

func memo(n int, pins []pin) string {
	key := binary.AppendUvarint(nil, uint64(n))
	for _, p := range pins {
		key = binary.AppendUvarint(key, uint64(p.array))
		key = binary.AppendUvarint(key, uint64(p.index))
	}
	return string(key)
}
