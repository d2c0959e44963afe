package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Finding describes a problem in one line of the file.
type Finding struct {
	Line    int    `json:"line"`
	Date    string `json:"date,omitempty"`
	Problem string `json:"problem"`
	// Dropped means that the report does not use the line. Otherwise the value is only suspicious, and the report uses
	// it.
	Dropped bool `json:"dropped,omitempty"`
}

// These are the limits of possible and of unsuspicious values.
const (
	coldest, hottest = -89.2, 56.7 // °C: the records of Vostok, 1983, and Death Valley, 1913
	wettest          = 1825        // mm in a day: the record of Foc-Foc, 1966
	windiest         = 113         // m/s: the record of Barrow Island, 1996

	jump  = 15 // °C of change in the maximum from one day to the next that is suspicious
	stuck = 5  // days in a row with the same minimum that are suspicious
)

// Check returns the observations of a year that the report can use, in the order of the file, and the findings.
func Check(year int, observations []Observation) (days []Observation, findings []Finding) {
	seen := make(map[time.Time]int)
	for _, o := range observations {
		if problem := o.problem(year); problem != "" {
			findings = append(findings, Finding{o.Line, o.day(), problem, true})
		} else if first, twice := seen[o.Date]; twice {
			findings = append(findings, Finding{o.Line, o.day(), fmt.Sprintf("line %d has the same day", first), true})
		} else {
			seen[o.Date] = o.Line
			days = append(days, o)
		}
	}
	return days, append(findings, suspicions(days)...)
}

// problem returns why the report cannot use the observation, or "".
func (o Observation) problem(year int) string {
	outside := func(v, low, high float64) bool { return math.IsNaN(v) || v < low || v > high }
	switch {
	case len(o.Unreadable) > 0:
		return "unreadable: " + strings.Join(o.Unreadable, ", ")
	case o.Date.Year() != year:
		return fmt.Sprintf("not a day of %d", year)
	case outside(o.TempMin, coldest, hottest) || outside(o.TempMax, coldest, hottest):
		return fmt.Sprintf("%g to %g °C is outside the range ever measured on earth", o.TempMin, o.TempMax)
	case o.TempMin > o.TempMax:
		return fmt.Sprintf("the minimum of %g °C is above the maximum of %g °C", o.TempMin, o.TempMax)
	case outside(o.Precipitation, 0, wettest):
		return fmt.Sprintf("%g mm of precipitation is not possible", o.Precipitation)
	case outside(o.Wind, 0, windiest):
		return fmt.Sprintf("a wind of %g m/s is not possible", o.Wind)
	}
	return ""
}

// suspicions returns findings about values that are possible but unlikely, so that the instrument may be faulty.
func suspicions(days []Observation) (findings []Finding) {
	same := 1
	for i, o := range days {
		suspect := func(problem string, values ...any) {
			findings = append(findings, Finding{Line: o.Line, Date: o.day(), Problem: fmt.Sprintf(problem, values...)})
		}
		if (o.Weather == "rain" || o.Weather == "snow") && o.Precipitation == 0 {
			suspect("%s was observed, but no precipitation was measured", o.Weather)
		}
		if i == 0 || !o.Date.Equal(days[i-1].Date.AddDate(0, 0, 1)) {
			same = 1
			continue
		}
		if change := o.TempMax - days[i-1].TempMax; math.Abs(change) >= jump {
			suspect("the maximum changed by %+.1f °C from the day before", change)
		}
		if o.TempMin != days[i-1].TempMin {
			same = 1
		} else if same++; same == stuck {
			suspect("the minimum has been %g °C for %d days: is the sensor stuck?", o.TempMin, stuck)
		}
	}
	return findings
}

// day returns the date, or "" if the file has none.
func (o Observation) day() string {
	if o.Date.IsZero() {
		return ""
	}
	return o.Date.Format(time.DateOnly)
}
