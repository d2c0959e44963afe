package cron

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxSeconds is the maximum step of a rate(): a century. A longer step is a mistake. The limit also
// keeps the arithmetic far from an overflow.
const maxSeconds = 100 * 366 * 24 * 60 * 60

// interval is the rule of rate(). It fires at anchor, anchor + step, anchor + 2 steps, …
type interval struct {
	seconds int64 // the step
	anchor  time.Time
}

// parseInterval reads the arguments of rate().
func parseInterval(arguments string) (rule, error) {
	words := strings.Fields(arguments)
	if len(words) != 2 {
		return nil, errors.New("rate() takes a number and a unit, such as rate(5 minutes)")
	}
	n, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil || n < 1 || words[0][0] == '+' {
		return nil, fmt.Errorf("value %q: want a whole number of 1 or more, such as rate(5 minutes)", words[0])
	}
	unit, err := unitSeconds(n, words[1])
	if err != nil {
		return nil, err
	}
	if n > maxSeconds/unit {
		return nil, fmt.Errorf("value %q: the interval is longer than a century", words[0])
	}
	return interval{seconds: n * unit, anchor: time.Unix(0, 0)}, nil
}

// unitSeconds returns the length of a unit. It accepts the plural for every value, because the page of
// Scheduler itself writes "rate(1 days)". It accepts the singular for 1 only.
func unitSeconds(n int64, unit string) (int64, error) {
	seconds := map[string]int64{"minute": 60, "hour": 60 * 60, "day": 24 * 60 * 60}
	singular, plural := strings.CutSuffix(unit, "s")
	s, known := seconds[singular]
	switch {
	case !known:
		return 0, fmt.Errorf("unit %q: want minutes, hours or days%s", unit, unitHint(n, unit))
	case !plural && n != 1:
		return 0, fmt.Errorf("unit %q: from 2 on, write the plural: rate(%d %ss)", unit, n, unit)
	}
	return s, nil
}

// unitHint returns another way to write an interval in a unit that rate() does not have, or "".
func unitHint(n int64, unit string) string {
	switch strings.TrimSuffix(strings.ToLower(unit), "s") {
	case "second", "sec":
		return "; a schedule fires at most once a minute"
	case "week":
		return fmt.Sprintf("; write rate(%d days)", 7*min(n, maxSeconds))
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
	t := i.at(steps)
	if !t.After(after) {
		t = i.at(steps + 1)
	}
	return t
}

// at returns the time of the given number of steps after the anchor.
func (i interval) at(steps int64) time.Time {
	return time.Unix(i.anchor.Unix()+steps*i.seconds, int64(i.anchor.Nanosecond()))
}
