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

// Observation is one line of the file. Unreadable lists the fields that are not a number or a date.
type Observation struct {
	Line          int
	Date          time.Time // zero if the field is not a date
	Precipitation float64   // mm
	TempMax       float64   // °C
	TempMin       float64   // °C
	Wind          float64   // m/s
	Weather       string    // sun, drizzle, rain, snow or fog
	Unreadable    []string  // name and content of each malformed field, as in `wind "n/a"`
}

// StructureError is the error for a file that is not a complete table of observations.
type StructureError struct {
	Line  int
	Cause string
}

func (e *StructureError) Error() string {
	return fmt.Sprintf("line %d: %s; this is not a complete file of observations", e.Line, e.Cause)
}

// columns lists the columns that a file must have. Their order is free, and a file may have more.
var columns = [...]string{"date", "precipitation", "temp_max", "temp_min", "wind", "weather"}

// Read reads a file. It returns a StructureError if the file is malformed, or the error of file. A malformed value is
// no error: Check reports it.
func Read(file io.Reader) ([]Observation, error) {
	table := csv.NewReader(file)
	header, err := table.Read()
	if err != nil {
		return nil, structural(err)
	}
	position, err := positions(header)
	if err != nil {
		return nil, err
	}
	var observations []Observation
	for {
		row, err := table.Read()
		if errors.Is(err, io.EOF) {
			return observations, nil
		}
		if err != nil {
			return nil, structural(err)
		}
		line, _ := table.FieldPos(0)
		field := func(column int) string { return strings.TrimSpace(row[position[column]]) }
		observations = append(observations, observation(line, field))
	}
}

// structural converts the errors of a malformed table to a StructureError. It returns other errors unchanged.
func structural(err error) error {
	var parse *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return &StructureError{1, "the file is empty"}
	case errors.As(err, &parse):
		return &StructureError{parse.Line, parse.Err.Error()}
	}
	return err
}

// positions returns the position of each of the columns in a header.
func positions(header []string) (position [len(columns)]int, err error) {
	var missing []string
	for i, name := range columns {
		if position[i] = slices.Index(header, name); position[i] < 0 {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return position, &StructureError{1, "the header lacks " + strings.Join(missing, ", ")}
	}
	return position, nil
}

// observation converts a line. field returns the text of a column.
func observation(line int, field func(column int) string) Observation {
	o := Observation{Line: line, Weather: field(5)}
	unreadable := func(column int) {
		o.Unreadable = append(o.Unreadable, fmt.Sprintf("%s %q", columns[column], field(column)))
	}
	var err error
	if o.Date, err = time.Parse(time.DateOnly, field(0)); err != nil {
		unreadable(0)
	}
	for i, number := range []*float64{&o.Precipitation, &o.TempMax, &o.TempMin, &o.Wind} {
		if *number, err = strconv.ParseFloat(field(i+1), 64); err != nil {
			unreadable(i + 1)
		}
	}
	return o
}
