package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Report is the output of the model: the quality of the year's data, and statistics.
type Report struct {
	Station  string    `json:"station"`
	Year     int       `json:"year"`
	Source   string    `json:"source"`
	Expected int       `json:"expected_days"`
	Usable   int       `json:"usable_days"`
	Missing  []string  `json:"missing"`  // periods without a usable day, as 2012-03-01..2012-03-04
	Coverage float64   `json:"coverage"` // the share of usable days, from 0 to 1
	Findings []Finding `json:"findings"`
	Figures  *Figures  `json:"figures,omitempty"` // nil without a usable day
	Months   []Month   `json:"months"`
}

// Month holds the statistics of a month's usable days. A month without usable days has no Month.
type Month struct {
	Month         string  `json:"month"`
	Days          int     `json:"days"`
	MeanMax       float64 `json:"mean_temp_max"`
	MeanMin       float64 `json:"mean_temp_min"`
	Precipitation float64 `json:"precipitation"`
	WetDays       int     `json:"wet_days"`   // days with at least 1 mm, the WMO's definition
	FrostDays     int     `json:"frost_days"` // days with a minimum below 0 °C
}

// Figures holds the extremes of the year.
type Figures struct {
	Hottest  Extreme `json:"hottest"`
	Coldest  Extreme `json:"coldest"`
	Wettest  Extreme `json:"wettest"`
	DrySpell Spell   `json:"longest_dry_spell"`
}

// Extreme holds a value and the first day with this value.
type Extreme struct {
	Date  string  `json:"date"`
	Value float64 `json:"value"`
}

// Spell is a period of consecutive usable days.
type Spell struct {
	From string `json:"from,omitempty"`
	Days int    `json:"days"`
}

const wetDay = 1.0 // the minimum precipitation of a wet day in mm

// NewReport checks the observations of a year and returns the report.
func NewReport(station string, year int, observations []Observation) Report {
	days, findings := Check(year, observations)
	if findings == nil {
		findings = []Finding{} // an empty list in JSON, not null
	}
	slices.SortFunc(days, func(a, b Observation) int { return a.Date.Compare(b.Date) })
	slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	r := Report{
		Station: station, Year: year, Expected: daysIn(year), Usable: len(days),
		Missing: missing(year, days), Findings: findings, Months: months(days),
	}
	r.Coverage = round(float64(r.Usable)/float64(r.Expected), 4)
	if len(days) > 0 {
		r.Figures = figures(days)
	}
	return r
}

// String returns the report in one line, for the log.
func (r Report) String() string {
	return fmt.Sprintf("%s %d: %d of %d days are usable, %d findings", r.Station, r.Year, r.Usable, r.Expected, len(r.Findings))
}

func daysIn(year int) int { return time.Date(year, time.December, 31, 0, 0, 0, 0, time.UTC).YearDay() }

// missing returns the periods of the year without an observation. days is sorted by date.
func missing(year int, days []Observation) []string {
	spans := []string{}
	next := time.Date(year, time.January, 1, 0, 0, 0, 0, time.UTC)
	open := func(until time.Time) {
		if next.Before(until) {
			spans = append(spans, next.Format(time.DateOnly)+".."+until.AddDate(0, 0, -1).Format(time.DateOnly))
		}
		next = until.AddDate(0, 0, 1)
	}
	for _, o := range days {
		open(o.Date)
	}
	open(time.Date(year+1, time.January, 1, 0, 0, 0, 0, time.UTC))
	return spans
}

// months returns the statistics of each month. days is sorted by date.
func months(days []Observation) []Month {
	all := []Month{}
	for len(days) > 0 {
		n := slices.IndexFunc(days, func(o Observation) bool { return o.Date.Month() != days[0].Date.Month() })
		if n < 0 {
			n = len(days)
		}
		all = append(all, month(days[:n]))
		days = days[n:]
	}
	return all
}

func month(days []Observation) Month {
	m := Month{Month: days[0].Date.Format("2006-01"), Days: len(days)}
	for _, o := range days {
		m.MeanMax += o.TempMax
		m.MeanMin += o.TempMin
		m.Precipitation += o.Precipitation
		if o.Precipitation >= wetDay {
			m.WetDays++
		}
		if o.TempMin < 0 {
			m.FrostDays++
		}
	}
	m.MeanMax = round(m.MeanMax/float64(m.Days), 1)
	m.MeanMin = round(m.MeanMin/float64(m.Days), 1)
	m.Precipitation = round(m.Precipitation, 1)
	return m
}

func figures(days []Observation) *Figures {
	hottest := slices.MaxFunc(days, func(a, b Observation) int { return cmp.Compare(a.TempMax, b.TempMax) })
	coldest := slices.MinFunc(days, func(a, b Observation) int { return cmp.Compare(a.TempMin, b.TempMin) })
	wettest := slices.MaxFunc(days, func(a, b Observation) int { return cmp.Compare(a.Precipitation, b.Precipitation) })
	return &Figures{
		Hottest:  Extreme{hottest.day(), hottest.TempMax},
		Coldest:  Extreme{coldest.day(), coldest.TempMin},
		Wettest:  Extreme{wettest.day(), wettest.Precipitation},
		DrySpell: drySpell(days),
	}
}

// drySpell returns the longest period without a wet day. A day without an observation ends a period, because it may
// have been wet.
func drySpell(days []Observation) (longest Spell) {
	var spell Spell
	var last time.Time
	for _, o := range days {
		switch {
		case o.Precipitation >= wetDay:
			spell = Spell{}
		case spell.Days > 0 && o.Date.Equal(last.AddDate(0, 0, 1)):
			spell.Days++
		default:
			spell = Spell{From: o.day(), Days: 1}
		}
		if last = o.Date; spell.Days > longest.Days {
			longest = spell
		}
	}
	return longest
}

func round(v float64, places int) float64 {
	unit := math.Pow10(places)
	return math.Round(v*unit) / unit
}
