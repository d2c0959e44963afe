package cron

import (
	"fmt"
	"strings"
	"time"
)

// The years of cron() (Scheduler user guide, "Cron-based schedules").
const (
	firstYear = 1970
	lastYear  = 2199
)

// calendar is cron(): the minutes of a wall clock at which it fires.
type calendar struct {
	minutes, hours, months, years set
	day                           dayRule
	zone                          *time.Location
}

// parseCalendar reads the inside of cron(). The year may be left out: then it is every year.
func parseCalendar(arguments string, zone *time.Location) (rule, error) {
	texts := strings.Fields(arguments)
	switch {
	case len(texts) == 5 && !strings.Contains(arguments, "?"):
		return nil, fromUnix(texts)
	case len(texts) == 5:
		texts = append(texts, "*")
	case len(texts) != 6:
		return nil, fmt.Errorf("cron() has %d fields; wanted: minutes hours day-of-month month day-of-week year, such as cron(0 6 ? * MON *)", len(texts))
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

// next walks the calendar from the day of `after`. Every year and month that is not meant is
// passed in one step, so that the longest walk is the days of 230 years.
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
			if t := c.inMonth(date{year, month, 1}, from); !t.IsZero() {
				return t
			}
		}
	}
	return time.Time{}
}

// inMonth is the first fire time of a month that comes after from.
func (c calendar) inMonth(d date, from time.Time) time.Time {
	last := d.lastDay()
	if d.year == from.Year() && d.month == from.Month() {
		d.day = from.Day()
	}
	for ; d.day <= last; d.day++ {
		if !c.day(d) {
			continue
		}
		if t := c.onDay(d, from); !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// onDay is the first fire time of a day that comes after from. A time in a gap of the clock is
// passed over. So is one that has its second turn: its first came before from.
func (c calendar) onDay(d date, from time.Time) time.Time {
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

// onWallClock is the moment at which a clock in the zone first shows what wall shows, and false
// if it never does. time.Date does not say which of two such moments it gives, and moves a time
// that does not exist.
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
