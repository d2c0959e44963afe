package cron

import (
	"fmt"
	"strings"
	"time"
)

// The first and the last year of cron() (EventBridge Scheduler user guide, "Cron-based schedules").
const (
	firstYear = 1970
	lastYear  = 2199
)

// sixFields names the fields of cron() in errors.
const sixFields = "minutes hours day-of-month month day-of-week year, such as cron(0 6 ? * MON *)"

// calendar is the rule of cron(). It fires when the wall clock in the zone shows a minute that all fields
// accept.
type calendar struct {
	minutes, hours, months, years set
	day                           dayRule
	zone                          *time.Location
}

// parseCalendar reads the arguments of cron(). Without a year, the schedule fires in every year.
func parseCalendar(arguments string, zone *time.Location) (rule, error) {
	texts := strings.Fields(arguments)
	switch {
	case len(texts) == 5 && !strings.Contains(arguments, "?"):
		return nil, unixError(texts)
	case len(texts) == 5:
		texts = append(texts, "*")
	case len(texts) != 6:
		return nil, fmt.Errorf("cron() has %d fields; want six: %s", len(texts), sixFields)
	}
	c := calendar{zone: zone}
	for _, f := range []struct {
		field field
		text  string
		into  *set
	}{
		{minutes(), texts[0], &c.minutes},
		{hours(), texts[1], &c.hours},
		{months(), texts[3], &c.months},
		{years(), texts[5], &c.years},
	} {
		s, err := f.field.set(f.text)
		if err != nil {
			return nil, err
		}
		*f.into = s
	}
	var err error
	c.day, err = parseDays(texts[2], texts[4])
	return c, err
}

// next searches the calendar from the day of after on. It skips a year or a month that the fields
// exclude in one step. The longest search covers the days of 230 years.
func (c calendar) next(after time.Time) time.Time {
	from := after.In(c.zone)
	for year := max(from.Year(), firstYear); year <= lastYear; year++ {
		if !c.years.has(year - firstYear) {
			continue
		}
		for month := time.January; month <= time.December; month++ {
			if !c.months.has(int(month)-1) || year == from.Year() && month < from.Month() {
				continue
			}
			if t := c.nextInMonth(date{year, month, 1}, from); !t.IsZero() {
				return t
			}
		}
	}
	return time.Time{}
}

// nextInMonth returns the first fire time after from in the month of d, or the zero time.
func (c calendar) nextInMonth(d date, from time.Time) time.Time {
	last := d.lastDay()
	if d.year == from.Year() && d.month == from.Month() {
		d.day = from.Day()
	}
	for ; d.day <= last; d.day++ {
		if !c.day(d) {
			continue
		}
		if t := c.nextOnDay(d, from); !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// nextOnDay returns the first fire time after from on the day d, or the zero time. It skips a time in a
// gap of the clock. It also skips the second occurrence of a repeated time, because onWallClock returns
// the first one, which is not after from.
func (c calendar) nextOnDay(d date, from time.Time) time.Time {
	for hour := range 24 {
		if !c.hours.has(hour) {
			continue
		}
		for minute := range 60 {
			if !c.minutes.has(minute) {
				continue
			}
			wall := time.Date(d.year, d.month, d.day, hour, minute, 0, 0, time.UTC)
			if t, exists := onWallClock(wall, c.zone); exists && t.After(from) {
				return t
			}
		}
	}
	return time.Time{}
}

// onWallClock returns the first time at which a clock in the zone shows the date and time of wall. It
// reports false if the clock never shows them. It does not rely on time.Date alone: for a repeated time,
// time.Date does not guarantee which of the two it returns, and it shifts a time that does not exist.
func onWallClock(wall time.Time, zone *time.Location) (time.Time, bool) {
	t := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, zone)
	_, offset := t.Zone()
	if !t.Equal(wall.Add(-time.Duration(offset) * time.Second)) {
		return time.Time{}, false
	}
	change, _ := t.ZoneBounds()
	if change.IsZero() {
		return t, true
	}
	_, before := change.Add(-time.Second).Zone()
	if twin := wall.Add(-time.Duration(before) * time.Second); twin.Before(change) {
		return twin.In(zone), true
	}
	return t, true
}
