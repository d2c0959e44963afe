package yamldoc

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var memoryForm = regexp.MustCompile(`^([0-9]+) ?(MB|MiB|GB|GiB)?$`)

// Memory reads an amount of memory in a range and returns it in MiB. It accepts 30720, 30720MB and 30GB. As in ECS's
// task definitions, 1 GB is 1024 MiB.
func (v Value) Memory(what string, from, to int) (int, bool) {
	text, ok := v.Text(what)
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
		v.Errorf("%s is %q; expected an amount of memory from %d MiB to %d MiB, such as 30720 or 30GB", what, text, from, to)
		return 0, false
	}
	return n, true
}

var durationForm = regexp.MustCompile(`^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$`)

// Duration reads a positive duration such as 45m, 2h30m, 1d or 30s.
func (v Value) Duration(what string) (time.Duration, bool) {
	text, ok := v.Text(what)
	if !ok {
		return 0, false
	}
	d, err := parseDuration(text)
	if err != nil {
		v.Errorf("%s is %q; expected a duration such as 30s, 45m, 2h30m or 1d", what, text)
	}
	return d, err == nil
}

// DurationRange reads a range of durations such as 30s .. 15m, or one duration, which is then both ends of the range.
func (v Value) DurationRange(what string) (from, to time.Duration) {
	text, ok := v.Text(what)
	if !ok {
		return 0, 0
	}
	low, high, two := strings.Cut(text, "..")
	from, lowErr := parseDuration(strings.TrimSpace(low))
	to, highErr := from, lowErr
	if two {
		to, highErr = parseDuration(strings.TrimSpace(high))
	}
	if lowErr != nil || highErr != nil {
		v.Errorf("%s is %q; expected a range such as 30s .. 15m", what, text)
		return 0, 0
	}
	if to < from {
		v.Errorf("%s is %q: the first duration must not be longer than the second", what, text)
	}
	return from, to
}

// TimeZone reads the name of a time zone. It returns "" after an error.
func (v Value) TimeZone(what string) string {
	name, ok := v.Text(what)
	if !ok {
		return ""
	}
	if _, err := time.LoadLocation(name); err != nil || name == "" || name == "Local" {
		v.Errorf("there is no time zone %q; use an IANA name such as Europe/Berlin or UTC", name)
		return ""
	}
	return name
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
