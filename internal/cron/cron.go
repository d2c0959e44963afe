// Package cron parses the schedule expressions of EventBridge Scheduler and computes when they fire.
//
//	s, err := cron.Parse("cron(0 6 ? * MON *)", berlin)   // Mondays at six, Berlin time
//	next := s.Next(time.Now())
//
// In an account, EventBridge Scheduler itself evaluates the expressions. This package returns the same
// times wherever the program needs them: to check a model's schedule, to fire it in the local stack, to
// list the next times on the command line, and to know by when a run is expected to succeed.
//
// An expression has one of three forms:
//
//	cron(minutes hours day-of-month month day-of-week [year])
//	rate(5 minutes)                 in minutes, hours or days; a day is always 24 hours
//	at(2026-11-24T06:00:00)         once, on the wall clock of the schedule's time zone
//
// # Terms
//
//   - A schedule is a parsed expression together with its time zone.
//   - A rule computes the times of one form: calendar for cron(), interval for rate(), moment for at().
//   - A fire time is a time at which the schedule starts its target.
//   - A field is one of the six parts of cron(). A field is a list of parts, separated by commas.
//   - A day rule reports whether cron() fires on a date. It comes from the one day field that is not ?.
//   - The anchor is the time that a rate() counts from: the Unix epoch, unless Anchored sets another.
//
// # Entry points
//
//   - Parse checks an expression and returns its Schedule.
//   - Schedule.Next returns the first fire time after a given time.
//   - Schedule.Anchored sets the anchor of a rate().
//
// # Rules
//
// The cron() of AWS differs from Unix cron: Sunday is 1, one of the two day fields must be ?, and the
// day fields also accept L, W and #. The error for an expression in Unix form shows the same schedule in
// AWS's form.
//
// When clocks go forward, a cron() time inside the gap does not exist, and the schedule skips it. When
// clocks go back, a time that occurs twice fires only once, the first time. (EventBridge Scheduler user
// guide, "Schedule types", "Daylight saving time".) A time of at() inside the gap is an error.
//
// Next does a bounded amount of work for every expression, also if it never fires.
package cron

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// maxLength is the maximum length of a ScheduleExpression in the Scheduler API, in characters.
const maxLength = 256

// Schedule is a parsed schedule expression in its time zone. It is an immutable value; the zero
// Schedule never fires.
type Schedule struct {
	text string
	zone *time.Location
	rule rule
}

// A rule is one of the three forms: calendar (cron), interval (rate), moment (at).
type rule interface {
	// next returns the first fire time strictly after the given time, in any zone. It returns the zero
	// time if there is none.
	next(after time.Time) time.Time
}

// Parse reads a schedule expression. The cron() fields and the at() time refer to the wall clock in the
// zone; a nil zone means UTC. It returns an error if EventBridge Scheduler would reject the expression,
// or if an at() time does not exist in the zone. An expression whose times are all in the past is
// valid, as it is for AWS.
func Parse(expression string, zone *time.Location) (Schedule, error) {
	if zone == nil {
		zone = time.UTC
	}
	r, err := parse(expression, zone)
	if err != nil {
		return Schedule{}, fmt.Errorf("%q: %w", expression, err)
	}
	return Schedule{text: expression, zone: zone, rule: r}, nil
}

// parse selects the rule by the form of the expression.
func parse(expression string, zone *time.Location) (rule, error) {
	if n := utf8.RuneCountInString(expression); n > maxLength {
		return nil, fmt.Errorf("has %d characters; a schedule expression may have at most %d", n, maxLength)
	}
	form, rest, open := strings.Cut(expression, "(")
	arguments, closed := strings.CutSuffix(rest, ")")
	if !open || !closed {
		return nil, unknownForm(expression)
	}
	switch form {
	case "cron":
		return parseCalendar(arguments, zone)
	case "rate":
		return parseInterval(arguments)
	case "at":
		return parseMoment(arguments, zone)
	}
	return nil, unknownForm(expression)
}

// Next returns the first fire time strictly after the given time, in the schedule's zone. It returns
// the zero time if the schedule never fires again.
func (s Schedule) Next(after time.Time) time.Time {
	if s.rule == nil {
		return time.Time{}
	}
	t := s.rule.next(after)
	if t.IsZero() {
		return t
	}
	return t.In(s.zone)
}

// String returns the expression in the form that Parse received.
func (s Schedule) String() string { return s.text }

// Anchored returns a copy of the schedule in which a rate() counts from start and first fires at start.
// AWS counts from the schedule's StartDate, or from its creation if it has none. Without an anchor, a
// rate counts from the Unix epoch, so that all processes compute the same times. Anchored does not
// change the other forms.
func (s Schedule) Anchored(start time.Time) Schedule {
	if i, ok := s.rule.(interval); ok {
		i.anchor = start
		s.rule = i
	}
	return s
}
