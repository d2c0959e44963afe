package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Summary describes one region's week.
type Summary struct {
	Region      string  `json:"region"`
	From        string  `json:"from"` // the first day
	To          string  `json:"to"`   // the last day
	Earthquakes int     `json:"earthquakes"`
	Unmeasured  int     `json:"without_magnitude"` // earthquakes without a magnitude, included in Earthquakes
	Blasts      int     `json:"other_events"`      // quarry blasts and explosions, not included in Earthquakes
	Outside     int     `json:"outside_the_week"`  // events of other days
	Energy      float64 `json:"energy_joule"`
	Bands       []Band  `json:"bands"`
	Days        []Day   `json:"days"`
	Strongest   []Event `json:"strongest"`
	BValue      *BValue `json:"b_value"` // null if too few earthquakes are above the completeness
}

// Band counts the earthquakes between one whole magnitude and the next.
type Band struct {
	From  int `json:"from"`
	Count int `json:"count"`
}

// Day describes the earthquakes of one day.
type Day struct {
	Date    string   `json:"date"`
	Count   int      `json:"count"`
	Largest *float64 `json:"largest,omitempty"`
}

const (
	days      = 7 // the days that a summary covers
	strongest = 5 // the number of events in Summary.Strongest
)

// Summarise summarises the seven days that end with last.
func Summarise(region string, last time.Time, events []Event) Summary {
	from, end := last.AddDate(0, 0, 1-days), last.AddDate(0, 0, 1)
	s := Summary{Region: region, From: from.Format(time.DateOnly), To: last.Format(time.DateOnly)}
	s.Days = make([]Day, days)
	for i := range s.Days {
		s.Days[i].Date = from.AddDate(0, 0, i).Format(time.DateOnly)
	}
	measured := []Event{}
	for _, e := range events {
		switch {
		case e.Time.Before(from) || !e.Time.Before(end):
			s.Outside++
		case !e.IsEarthquake():
			s.Blasts++
		default:
			s.Earthquakes++
			s.Days[int(e.Time.Sub(from)/(24*time.Hour))].count(e)
			if e.Magnitude == nil {
				s.Unmeasured++
			} else {
				measured = append(measured, e)
			}
		}
	}
	s.measure(measured)
	return s
}

func (d *Day) count(e Event) {
	d.Count++
	if e.Magnitude != nil && (d.Largest == nil || *e.Magnitude > *d.Largest) {
		d.Largest = e.Magnitude
	}
}

// measure sets the fields that depend on magnitudes. All events of measured have one.
func (s *Summary) measure(measured []Event) {
	slices.SortStableFunc(measured, func(a, b Event) int { return cmp.Compare(*b.Magnitude, *a.Magnitude) })
	s.Strongest = measured[:min(strongest, len(measured))]
	s.Bands = []Band{}
	magnitudes := make([]float64, 0, len(measured))
	for _, e := range measured {
		m := *e.Magnitude
		magnitudes = append(magnitudes, m)
		s.Energy += energy(m)
		if band := int(math.Floor(m)); len(s.Bands) == 0 || s.Bands[len(s.Bands)-1].From != band {
			s.Bands = append(s.Bands, Band{band, 1})
		} else {
			s.Bands[len(s.Bands)-1].Count++
		}
	}
	s.BValue = EstimateB(magnitudes)
}

// energy returns the energy that an earthquake radiates, in joules (Gutenberg and Richter, 1956).
func energy(magnitude float64) float64 { return math.Pow(10, 4.8+1.5*magnitude) }

// String returns the summary in one line, for the log.
func (s Summary) String() string {
	line := fmt.Sprintf("%s %s..%s: %d earthquakes", s.Region, s.From, s.To, s.Earthquakes)
	if len(s.Strongest) > 0 {
		line += fmt.Sprintf(", the strongest %.1f %s", *s.Strongest[0].Magnitude, s.Strongest[0].Place)
	}
	if s.BValue != nil {
		line += fmt.Sprintf(", b = %.2f ± %.2f", s.BValue.B, s.BValue.Error)
	}
	return line
}
