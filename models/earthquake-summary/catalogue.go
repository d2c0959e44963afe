package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Event is one line of a catalogue. It need not be an earthquake: seismic networks record quarry blasts too.
type Event struct {
	Time      time.Time `json:"time"`
	Latitude  float64   `json:"latitude"`
	Longitude float64   `json:"longitude"`
	Depth     *float64  `json:"depth_km,omitempty"`
	Magnitude *float64  `json:"magnitude,omitempty"` // nil until the network has computed it
	Type      string    `json:"-"`
	Place     string    `json:"place"`
}

// IsEarthquake reports whether the event is an earthquake.
func (e Event) IsEarthquake() bool { return e.Type == "earthquake" }

var columns = []string{"time", "latitude", "longitude", "depth", "mag", "type", "place"}

// Read reads a catalogue: CSV with the columns in the order of columns. A malformed line is an error, because no
// summary is better than a summary that lacks an earthquake.
func Read(file io.Reader) ([]Event, error) {
	table := csv.NewReader(file)
	header, err := table.Read()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !slices.Equal(header, columns) {
		return nil, fmt.Errorf("the columns are %q; they must be %s", header, strings.Join(columns, ","))
	}
	var events []Event
	for {
		row, err := table.Read()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return nil, err
		}
		event, err := parse(row)
		if err != nil {
			line, _ := table.FieldPos(0)
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		events = append(events, event)
	}
}

func parse(row []string) (Event, error) {
	at, err := time.Parse(time.RFC3339, row[0])
	latitude, latitudeErr := number(row[1])
	longitude, longitudeErr := number(row[2])
	depth, depthErr := number(row[3])
	magnitude, magnitudeErr := number(row[4])
	if err := errors.Join(err, latitudeErr, longitudeErr, depthErr, magnitudeErr); err != nil {
		return Event{}, err
	}
	if latitude == nil || longitude == nil {
		return Event{}, errors.New("the event has no latitude or no longitude")
	}
	return Event{at.UTC(), *latitude, *longitude, depth, magnitude, row[5], row[6]}, nil
}

// number parses a number. It returns nil for an empty text.
func number(text string) (*float64, error) {
	if text == "" {
		return nil, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	return &v, err
}
