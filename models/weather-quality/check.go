package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Finding is something in the file that a person should know of.
type Finding struct {
	Line    int    `json:"line"`
	Date    string `json:"date,omitempty"`
	Problem string `json:"problem"`
	// Dropped says that the line could not be used. Any other finding is a suspicion, and its line counts.
	Dropped bool `json:"dropped,omitempty"`
}

// What is taken for possible, and from when on values are suspicious.
const (
	coldest, hottest = -89.2, 56.7 // °C: the records of Vostok, 1983, and Death Valley, 1913
	wettest          = 1825        // mm in a day: the record of Foc-Foc, 1966
	windiest         = 113         // m/s: the record of Barrow Island, 1996

	jump  = 15 // °C from one day's maximum to the next
	stuck = 5  // days with the same minimum
)

// Check sorts a year's observations into days that can be used, in the file's order, and findings.
func Check(year int, observations []Observation) (days []Observation, findings []Finding) {
	seen := make(map[time.Time]int)
	for _, o := range observations {
		if problem := o.impossible(year); problem != "" {
			findings = append(findings, Finding{o.Line, o.day(), problem, true})
		} else if first, twice := seen[o.Date]; twice {
			findings = append(findings, Finding{o.Line, o.day(), fmt.Sprintf("the day is already in line %d", first), true})
		} else {
			seen[o.Date] = o.Line
			days = append(days, o)
		}
	}
	return days, append(findings, suspicions(days)...)
}

// impossible is why an observation cannot be used, or nothing.
func (o Observation) impossible(year int) string {
	outside := func(v, low, high float64) bool { return math.IsNaN(v) || v < low || v > high }
	switch {
	case len(o.Unreadable) > 0:
		return "not readable: " + strings.Join(o.Unreadable, ", ")
	case o.Date.Year() != year:
		return fmt.Sprintf("not a day of %d", year)
	case outside(o.TempMin, coldest, hottest) || outside(o.TempMax, coldest, hottest):
		return fmt.Sprintf("%g to %g °C was never measured on earth", o.TempMin, o.TempMax)
	case o.TempMin > o.TempMax:
		return fmt.Sprintf("the minimum of %g °C is above the maximum of %g °C", o.TempMin, o.TempMax)
	case outside(o.Precipitation, 0, wettest):
		return fmt.Sprintf("%g mm of precipitation is not possible", o.Precipitation)
	case outside(o.Wind, 0, windiest):
		return fmt.Sprintf("a wind of %g m/s is not possible", o.Wind)
	}
	return ""
}

// suspicions look at what is possible, and yet worth a second look at the instrument.
func suspicions(days []Observation) (findings []Finding) {
	same := 1
	for i, o := range days {
		suspect := func(problem string, values ...any) {
			findings = append(findings, Finding{Line: o.Line, Date: o.day(), Problem: fmt.Sprintf(problem, values...)})
		}
		if (o.Weather == "rain" || o.Weather == "snow") && o.Precipitation == 0 {
			suspect("%s was observed, and none measured", o.Weather)
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

func (o Observation) day() string {
	if o.Date.IsZero() {
		return ""
	}
	return o.Date.Format(time.DateOnly)
}
