package cron

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxSeconds is the longest step of a rate(): a century. What is longer is a mistake, and far
// from where seconds overflow.
const maxSeconds = 100 * 366 * 24 * 60 * 60

// interval is rate(): anchor, anchor + step, anchor + 2 steps, …
type interval struct {
	seconds int64 // the step
	anchor  time.Time
}

func parseInterval(arguments string) (rule, error) {
	words := strings.Fields(arguments)
	if len(words) != 2 {
		return nil, errors.New("rate() takes a number and a unit, such as rate(5 minutes)")
	}
	n, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil || n < 1 || words[0][0] == '+' {
		return nil, fmt.Errorf("value %q: a whole number of 1 or more is wanted, such as rate(5 minutes)", words[0])
	}
	unit, err := unitSeconds(n, words[1])
	if err != nil {
		return nil, err
	}
	if n > maxSeconds/unit {
		return nil, fmt.Errorf("value %q: longer than a century", words[0])
	}
	return interval{seconds: n * unit, anchor: time.Unix(0, 0)}, nil
}

// unitSeconds takes the plural for every value, because Scheduler's own page writes
// "rate(1 days)", and the singular for 1 only.
func unitSeconds(n int64, unit string) (int64, error) {
	seconds := map[string]int64{"minute": 60, "hour": 60 * 60, "day": 24 * 60 * 60}
	singular, plural := strings.CutSuffix(unit, "s")
	s, known := seconds[singular]
	switch {
	case !known:
		return 0, fmt.Errorf("unit %q: one of minutes, hours, days is wanted%s", unit, otherUnit(n, unit))
	case !plural && n != 1:
		return 0, fmt.Errorf("unit %q: plural from 2 on: rate(%d %ss)", unit, n, unit)
	}
	return s, nil
}

// otherUnit is the way to say what a rate() has no unit for.
func otherUnit(n int64, unit string) string {
	switch strings.TrimSuffix(strings.ToLower(unit), "s") {
	case "second", "sec":
		return "; a schedule is due at most once a minute"
	case "week":
		return fmt.Sprintf("; in days: rate(%d days)", 7*min(n, maxSeconds))
	case "month":
		return "; the first of each month at midnight is cron(0 0 1 * ? *)"
	case "year":
		return "; the first of each year at midnight is cron(0 0 1 1 ? *)"
	}
	return ""
}

func (i interval) next(after time.Time) time.Time {
	if after.Before(i.anchor) {
		return i.anchor
	}
	steps := (after.Unix() - i.anchor.Unix()) / i.seconds
	t := i.after(steps)
	if !t.After(after) {
		t = i.after(steps + 1)
	}
	return t
}

func (i interval) after(steps int64) time.Time {
	return time.Unix(i.anchor.Unix()+steps*i.seconds, int64(i.anchor.Nanosecond()))
}
