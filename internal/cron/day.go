package cron

import (
	"fmt"
	"strings"
	"time"
)

// date is a day of the calendar, of no zone.
type date struct {
	year  int
	month time.Month
	day   int
}

func (d date) weekday() time.Weekday {
	return time.Date(d.year, d.month, d.day, 0, 0, 0, 0, time.UTC).Weekday()
}

// lastDay is the number of days in the date's month.
func (d date) lastDay() int {
	return time.Date(d.year, d.month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// A dayRule is the one day field that is not `?`: it says whether a date is meant.
type dayRule func(date) bool

// parseDays reads the two day fields, of which AWS wants one to be `?`.
func parseDays(ofMonth, ofWeek string) (dayRule, error) {
	switch {
	case ofMonth == "?" && ofWeek == "?":
		return nil, fmt.Errorf("day-of-month and day-of-week are both ?; every day is * ?, as in cron(0 6 * * ? *)")
	case ofMonth == "?":
		return anyOf(ofWeek, parseDayOfWeek)
	case ofWeek == "?":
		return anyOf(ofMonth, parseDayOfMonth)
	case ofWeek == "*":
		return nil, fmt.Errorf(`day-of-week "*": one of the two day fields must be ?; write ? here`)
	case ofMonth == "*":
		return nil, fmt.Errorf(`day-of-month "*": one of the two day fields must be ?; write ? here`)
	}
	return nil, fmt.Errorf("day-of-month %q and day-of-week %q: one of the two must be ?; use two schedules", ofMonth, ofWeek)
}

// anyOf is the rule that one of the parts of a list holds.
func anyOf(list string, parse func(string) (dayRule, error)) (dayRule, error) {
	parts := strings.Split(list, ",")
	if len(parts) > 1 && strings.Contains(list, "#") {
		return nil, daysOfWeek().wrong(list, "# stands alone, not in a list; use two schedules")
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
		for _, holds := range rules {
			if holds(d) {
				return true
			}
		}
		return false
	}, nil
}

// parseDayOfMonth reads one part: `L` the last day, `L-3` three before it, `LW` the last weekday,
// `15W` the weekday nearest the 15th, or values.
func parseDayOfMonth(part string) (dayRule, error) {
	f := daysOfMonth()
	upper := strings.ToUpper(part)
	if upper == "LW" {
		return func(d date) bool { return d.day == nearestWeekday(d, d.lastDay()) }, nil
	}
	if before, ok := strings.CutPrefix(upper, "L"); ok {
		return lastDayOfMonth(part, before)
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

func lastDayOfMonth(part, before string) (dayRule, error) {
	if before == "" {
		return func(d date) bool { return d.day == d.lastDay() }, nil
	}
	n, ok := number(strings.TrimPrefix(before, "-"))
	if !ok || before[0] != '-' || n < 1 || n > 30 {
		return nil, daysOfMonth().wrong(part, "L is the last day, L-3 the third before it, LW the last weekday")
	}
	return func(d date) bool { return d.day == d.lastDay()-n }, nil
}

// nearestWeekday is the Monday to Friday nearest to a day of the date's month, within the month.
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

// parseDayOfWeek reads one part: `6L` the last Friday, `3#2` the second Tuesday, `L` Saturday (the
// last day of a week), or values.
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
		return nil, f.wrong(part, "/ is not for days of the week; list them, such as MON,WED,FRI")
	}
	s, err := f.set(part)
	return func(d date) bool { return s.has(int(d.weekday())) }, err
}

func nthOfMonth(part, name, nth string) (dayRule, error) {
	f := daysOfWeek()
	weekday, err := f.value(name)
	if err != nil {
		return nil, err
	}
	n, ok := number(nth)
	if !ok || n < 1 || n > 5 {
		return nil, f.wrong(part, "after # comes which one of the month, 1-5: 3#2 is the second Tuesday")
	}
	return func(d date) bool { return int(d.weekday()) == weekday-f.low && (d.day-1)/7 == n-1 }, nil
}
