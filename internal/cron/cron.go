// Package cron reads the schedule expressions of EventBridge Scheduler and says when they fire.
//
//	s, err := cron.Parse("cron(0 6 ? * MON *)", berlin)   // Mondays at six, Berlin time
//	next := s.Next(time.Now())
//
// There are three forms:
//
//	cron(minutes hours day-of-month month day-of-week [year])
//	rate(5 minutes)                 minutes, hours, days; a day is 24 hours, whatever the clocks do
//	at(2026-11-24T06:00:00)         once, by the wall clock of the schedule's time zone
//
// cron() is not Unix cron: Sunday is 1, one of the two day fields must be ?, and there are L, W
// and #. An expression in Unix form is an error that shows the same schedule in AWS's form.
//
// When clocks go forward, a cron() time inside the gap does not exist and is skipped. When they
// go back, a time that comes twice fires once, the first time. (EventBridge Scheduler user guide,
// "Schedule types", "Daylight saving time".)
package cron

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// maxLength is the longest ScheduleExpression that the Scheduler API takes, in characters.
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
	// next is the first fire time strictly after a time, in any zone; the zero time for never again.
	next(after time.Time) time.Time
}

// Parse reads a schedule expression. Its cron() fields and at() time are those of a wall clock in
// the zone; nil is UTC. An expression all of whose times are past is valid, as it is for AWS.
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

func parse(expression string, zone *time.Location) (rule, error) {
	if n := utf8.RuneCountInString(expression); n > maxLength {
		return nil, fmt.Errorf("has %d characters; a schedule expression has at most %d", n, maxLength)
	}
	form, rest, open := strings.Cut(expression, "(")
	arguments, closed := strings.CutSuffix(rest, ")")
	if !open || !closed {
		return nil, notAWS(expression)
	}
	switch form {
	case "cron":
		return parseCalendar(arguments, zone)
	case "rate":
		return parseInterval(arguments)
	case "at":
		return parseMoment(arguments, zone)
	}
	return nil, notAWS(expression)
}

// Next is the first fire time strictly after the given time, in the schedule's zone. It is the
// zero time when the schedule never fires again. The work is bounded for every expression.
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

// String is the expression as it was given to Parse.
func (s Schedule) String() string { return s.text }

// Anchored is the schedule with a rate() that counts from start, and first fires then. AWS counts
// from the schedule's StartDate, else from its creation. Without an anchor a rate counts from the
// Unix epoch, so that every process agrees. Other forms are returned as they are.
func (s Schedule) Anchored(start time.Time) Schedule {
	if i, ok := s.rule.(interval); ok {
		i.anchor = start
		s.rule = i
	}
	return s
}
