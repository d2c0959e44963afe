package catalog

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var memoryForm = regexp.MustCompile(`^([0-9]+) ?(MB|MiB|GB|GiB)?$`)

// memory reads an amount of memory in a range and returns it in MiB. It accepts 30720, 30720MB and 30GB. As in ECS's
// task definitions, 1 GB is 1024 MiB.
func (v value) memory(what string, from, to int) (int, bool) {
	text, ok := v.text(what)
	if !ok {
		return 0, false
	}
	m := memoryForm.FindStringSubmatch(text)
	n := 0
	if m != nil {
		n, _ = strconv.Atoi(m[1]) // a number that is too large for Atoi stays out of range
	}
	if m != nil && strings.HasPrefix(m[2], "G") && n <= to { // a larger number is out of range already, and could overflow
		n *= 1024
	}
	if n < from || n > to {
		v.errorf("%s is %q; expected an amount of memory from %d MiB to %d MiB, such as 30720 or 30GB", what, text, from, to)
		return 0, false
	}
	return n, true
}

var durationForm = regexp.MustCompile(`^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$`)

// duration reads a positive duration such as 45m, 2h30m, 1d or 30s.
func (v value) duration(what string) (time.Duration, bool) {
	text, ok := v.text(what)
	if !ok {
		return 0, false
	}
	d, err := parseDuration(text)
	if err != nil {
		v.errorf("%s is %q; expected a duration such as 30s, 45m, 2h30m or 1d", what, text)
	}
	return d, err == nil
}

var errDuration = errors.New("not a duration")

func parseDuration(text string) (time.Duration, error) {
	m := durationForm.FindStringSubmatch(text)
	if m == nil || text == "" {
		return 0, errDuration
	}
	days := 0
	if m[1] != "" {
		var err error
		if days, err = strconv.Atoi(strings.TrimSuffix(m[1], "d")); err != nil || days > 3650 {
			return 0, errDuration
		}
	}
	rest := time.Duration(0)
	if tail := strings.TrimPrefix(text, m[1]); tail != "" {
		var err error
		if rest, err = time.ParseDuration(tail); err != nil {
			return 0, err
		}
	}
	d := time.Duration(days)*24*time.Hour + rest
	if d <= 0 {
		return 0, errDuration
	}
	return d, nil
}
