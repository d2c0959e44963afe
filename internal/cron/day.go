package cron

import (
	"fmt"
	"strings"
	"time"
)

// date is a day of the calendar, without a time zone.
type date struct {
	year  int
	month time.Month
	day   int
}

func (d date) weekday() time.Weekday {
	return time.Date(d.year, d.month, d.day, 0, 0, 0, 0, time.UTC).Weekday()
}

// lastDay returns the last day of the date's month: 28 to 31.
func (d date) lastDay() int {
	return time.Date(d.year, d.month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// A dayRule reports whether cron() fires on a date. It represents the one day field that is not `?`.
type dayRule func(date) bool

// parseDays reads the two day fields. AWS requires one of them to be `?`.
func parseDays(ofMonth, ofWeek string) (dayRule, error) {
	switch {
	case ofMonth == "?" && ofWeek == "?":
		return nil, fmt.Errorf("day-of-month and day-of-week are both ?; for every day write * ?, as in cron(0 6 * * ? *)")
	case ofMonth == "?":
		return parseList(ofWeek, parseDayOfWeek)
	case ofWeek == "?":
		return parseList(ofMonth, parseDayOfMonth)
	case ofWeek == "*":
		return nil, fmt.Errorf(`day-of-week "*": one of the two day fields must be ?; write ? here`)
	case ofMonth == "*":
		return nil, fmt.Errorf(`day-of-month "*": one of the two day fields must be ?; write ? here`)
	}
	return nil, fmt.Errorf("day-of-month %q and day-of-week %q: one of the two must be ?; use two schedules", ofMonth, ofWeek)
}

// parseList reads a day field. Its rule accepts a date if one of the parts of the list does.
func parseList(list string, parse func(string) (dayRule, error)) (dayRule, error) {
	parts := strings.Split(list, ",")
	if len(parts) > 1 && strings.Contains(list, "#") {
		return nil, daysOfWeek().errorAt(list, "# is not allowed in a list; use two schedules")
	}
	var rules []dayRule
	for _, part := range parts {
		r, err := parse(part)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return func(d date) bool {
		for _, matches := range rules {
			if matches(d) {
				return true
			}
		}
		return false
	}, nil
}

// parseDayOfMonth reads one part of day-of-month: `L` is the last day, `L-3` is the third day before the
// last, `LW` is the last weekday, and `15W` is the weekday nearest to the 15th. Any other part holds
// values.
func parseDayOfMonth(part string) (dayRule, error) {
	f := daysOfMonth()
	upper := strings.ToUpper(part)
	if upper == "LW" {
		return func(d date) bool { return d.day == nearestWeekday(d, d.lastDay()) }, nil
	}
	if offset, ok := strings.CutPrefix(upper, "L"); ok {
		return lastDayOfMonth(part, offset)
	}
	if text, ok := strings.CutSuffix(upper, "W"); ok {
		n, err := f.value(text)
		if err != nil {
			return nil, err
		}
		return func(d date) bool { return n <= d.lastDay() && d.day == nearestWeekday(d, n) }, nil
	}
	s, err := f.set(part)
	return func(d date) bool { return s.has(d.day - f.low) }, err
}

// lastDayOfMonth reads `L` or `L-3`. The argument offset is the text after the L.
func lastDayOfMonth(part, offset string) (dayRule, error) {
	if offset == "" {
		return func(d date) bool { return d.day == d.lastDay() }, nil
	}
	n, ok := number(strings.TrimPrefix(offset, "-"))
	if !ok || offset[0] != '-' || n < 1 || n > 30 {
		return nil, daysOfMonth().errorAt(part, "L is the last day, L-3 the third day before the last, LW the last weekday")
	}
	return func(d date) bool { return d.day == d.lastDay()-n }, nil
}

// nearestWeekday returns the weekday, Monday to Friday, that is nearest to a day of the date's month. The
// result is in the same month.
func nearestWeekday(d date, day int) int {
	d.day = day
	switch d.weekday() {
	case time.Saturday:
		if day == 1 {
			return 3
		}
		return day - 1
	case time.Sunday:
		if day == d.lastDay() {
			return day - 2
		}
		return day + 1
	}
	return day
}

// parseDayOfWeek reads one part of day-of-week: `6L` is the last Friday of the month, `3#2` is the second
// Tuesday of the month, and `L` is Saturday, the last day of the week. Any other part holds values.
func parseDayOfWeek(part string) (dayRule, error) {
	f := daysOfWeek()
	upper := strings.ToUpper(part)
	if upper == "L" {
		return func(d date) bool { return d.weekday() == time.Saturday }, nil
	}
	if name, nth, ok := strings.Cut(upper, "#"); ok {
		return nthOfMonth(part, name, nth)
	}
	if name, ok := strings.CutSuffix(upper, "L"); ok {
		n, err := f.value(name)
		return func(d date) bool { return int(d.weekday()) == n-f.low && d.day > d.lastDay()-7 }, err
	}
	if strings.Contains(part, "/") {
		return nil, f.errorAt(part, "/ is not allowed for days of the week; list them, such as MON,WED,FRI")
	}
	s, err := f.set(part)
	return func(d date) bool { return s.has(int(d.weekday())) }, err
}

// nthOfMonth reads a part such as `3#2`: a day of the week and its number in the month.
func nthOfMonth(part, name, nth string) (dayRule, error) {
	f := daysOfWeek()
	weekday, err := f.value(name)
	if err != nil {
		return nil, err
	}
	n, ok := number(nth)
	if !ok || n < 1 || n > 5 {
		return nil, f.errorAt(part, "after # write the number in the month, 1-5: 3#2 is the second Tuesday")
	}
	return func(d date) bool { return int(d.weekday()) == weekday-f.low && (d.day-1)/7 == n-1 }, nil
}
