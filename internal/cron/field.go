package cron

import (
	"fmt"
	"strconv"
	"strings"
)

// A field describes one of the six fields of cron().
type field struct {
	name      string   // the name of the field in errors
	low, high int      // the first and the last value
	names     []string // the names of the values from low on; nil if they have no names
	symbols   string   // the symbols that AWS allows in the field, for errors
	noWrap    bool     // a range cannot wrap around, because no value follows high
}

func minutes() field {
	return field{name: "minutes", low: 0, high: 59, symbols: ", - * /"}
}

func hours() field {
	return field{name: "hours", low: 0, high: 23, symbols: ", - * /"}
}

func daysOfMonth() field {
	return field{name: "day-of-month", low: 1, high: 31, symbols: ", - * ? / L W"}
}

func months() field {
	return field{name: "month", low: 1, high: 12, symbols: ", - * /",
		names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}}
}

func daysOfWeek() field {
	return field{name: "day-of-week", low: 1, high: 7, symbols: ", - * ? L #",
		names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}}
}

func years() field {
	return field{name: "year", low: firstYear, high: lastYear, symbols: ", - * /", noWrap: true}
}

// set holds some of the values of a field, each as its distance from the first value of the field.
type set [4]uint64

func (s *set) add(n int)     { s[n/64] |= 1 << (n % 64) }
func (s set) has(n int) bool { return s[n/64]&(1<<(n%64)) != 0 }

// errorAt returns an error about a part of the field.
func (f field) errorAt(part, why string) error {
	return fmt.Errorf("%s %q: %s", f.name, part, why)
}

// allowed describes the values and symbols of the field.
func (f field) allowed() string {
	names := ""
	if f.names != nil {
		names = fmt.Sprintf(" or %s-%s", f.names[0], f.names[len(f.names)-1])
	}
	return fmt.Sprintf("%d-%d%s or the symbols %s", f.low, f.high, names, f.symbols)
}

// set reads the text of the field: a list of values, ranges and steps.
func (f field) set(text string) (set, error) {
	var s set
	for part := range strings.SplitSeq(text, ",") {
		if err := f.addPart(&s, part); err != nil {
			return set{}, err
		}
	}
	return s, nil
}

// addPart reads one part, `*`, `a` or `a-b`, each with or without `/step`, and adds its values.
func (f field) addPart(s *set, part string) error {
	span, stepText, stepped := strings.Cut(part, "/")
	first, last, err := f.span(span, stepped)
	if err != nil {
		return err
	}
	step := 1
	if stepped {
		if step, err = f.step(part, stepText); err != nil {
			return err
		}
	}
	size := f.high - f.low + 1
	if last < first {
		if f.noWrap || stepped {
			return f.errorAt(part, fmt.Sprintf("the range runs backwards; did you mean %d-%d?", last, first))
		}
		last += size // the range wraps around: FRI-MON, 22-2
	}
	for v := first; v <= last; v += step {
		s.add((v - f.low) % size)
	}
	return nil
}

// span returns the first and the last value of a part without its step. A single value with a step
// extends to the end of the field.
func (f field) span(text string, stepped bool) (first, last int, err error) {
	if text == "*" {
		return f.low, f.high, nil
	}
	from, to, ranged := strings.Cut(text, "-")
	if first, err = f.value(from); err != nil {
		return 0, 0, err
	}
	switch {
	case ranged:
		last, err = f.value(to)
	case stepped:
		last = f.high
	default:
		last = first
	}
	return first, last, err
}

// step reads the step of a part.
func (f field) step(part, text string) (int, error) {
	n, ok := number(text)
	size := f.high - f.low + 1
	switch {
	case !ok || n == 0:
		return 0, f.errorAt(part, fmt.Sprintf("the step after / must be a whole number from 1 to %d", size))
	case n > size:
		return 0, f.errorAt(part, fmt.Sprintf("the step %d is larger than the %d values of the field; use rate() for longer intervals", n, size))
	}
	return n, nil
}

// value reads a number or a name.
func (f field) value(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.low + i, nil
		}
	}
	n, ok := number(text)
	if !ok {
		return 0, f.errorAt(text, "want "+f.allowed())
	}
	if n < f.low || n > f.high {
		return 0, f.errorAt(text, "out of range; want "+f.allowed())
	}
	return n, nil
}

// number reads a number that consists only of digits; strconv.Atoi also accepts a sign.
func number(text string) (int, bool) {
	if strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}
