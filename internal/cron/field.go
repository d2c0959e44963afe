package cron

import (
	"fmt"
	"strconv"
	"strings"
)

// A field is one of the six of cron(): its name in errors, the values it takes and their names.
type field struct {
	name      string
	low, high int
	names     []string // of the values from low on; nil when they have none
	symbols   string   // what AWS allows here beside values, for errors
	line      bool     // values do not come round again, so that a range cannot wrap
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
	return field{name: "year", low: firstYear, high: lastYear, symbols: ", - * /", line: true}
}

// set holds some of the values of a field, each as its distance from the field's low.
type set [4]uint64

func (s *set) add(n int)     { s[n/64] |= 1 << (n % 64) }
func (s set) has(n int) bool { return s[n/64]&(1<<(n%64)) != 0 }

// wrong is the error for a part of the field.
func (f field) wrong(part, why string) error {
	return fmt.Errorf("%s %q: %s", f.name, part, why)
}

// right says what the field takes.
func (f field) right() string {
	names := ""
	if f.names != nil {
		names = fmt.Sprintf(" or %s-%s", f.names[0], f.names[len(f.names)-1])
	}
	return fmt.Sprintf("%d-%d%s, with %s", f.low, f.high, names, f.symbols)
}

// set reads the whole field: a list of values, ranges and steps.
func (f field) set(text string) (set, error) {
	var s set
	for part := range strings.SplitSeq(text, ",") {
		if err := f.addPart(&s, part); err != nil {
			return set{}, err
		}
	}
	return s, nil
}

// addPart reads `*`, `a`, `a-b`, each with or without `/step`.
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
		if f.line || stepped {
			return f.wrong(part, fmt.Sprintf("the range runs backwards; %d-%d?", last, first))
		}
		last += size // it wraps: FRI-MON, 22-2
	}
	for v := first; v <= last; v += step {
		s.add((v - f.low) % size)
	}
	return nil
}

// span is the first and the last value of a part without its step. A single value with a step
// runs to the end of the field.
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

func (f field) step(part, text string) (int, error) {
	n, ok := number(text)
	size := f.high - f.low + 1
	switch {
	case !ok || n == 0:
		return 0, f.wrong(part, fmt.Sprintf("the step after / is a whole number of 1 to %d", size))
	case n > size:
		return 0, f.wrong(part, fmt.Sprintf("a step of %d never comes round within %d values; rate() counts across them", n, size))
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
		return 0, f.wrong(text, "takes "+f.right())
	}
	if n < f.low || n > f.high {
		return 0, f.wrong(text, fmt.Sprintf("not within %s", f.right()))
	}
	return n, nil
}

// number reads digits only: strconv also takes signs.
func number(text string) (int, bool) {
	if strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}
