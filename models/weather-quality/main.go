// Command weather-quality is the sample model of that name. The arrival of a file with one station's daily weather
// observations of a year starts it.
//
// It reads the file from INPUT_FILE, checks each line, and writes a report to OUTPUT_REPORT as JSON: the problems by
// line, the share of usable days, and statistics of the months and the year from those days.
//
// Exit codes:
//
//   - 0: the report is written.
//   - 3: the file is not a complete table of observations: a column is missing, or the upload was cut short. The sender
//     must deliver the file again.
//   - 1: the share of usable days is below INPUT_MIN_COVERAGE, or another error occurred.
//
// Read parses the file (read.go), Check finds the problems (check.go), and NewReport computes the report (report.go).
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"modeldispatch/models/objects"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	store, err := objects.Open(ctx)
	if err == nil {
		err = run(ctx, store, os.Getenv)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "weather-quality:", err)
	}
	os.Exit(exitCode(err))
}

func exitCode(err error) int {
	var structure *StructureError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &structure):
		return 3
	}
	return 1
}

func run(ctx context.Context, store *objects.Store, getenv func(string) string) error {
	year, err := strconv.Atoi(getenv("INPUT_YEAR"))
	if err != nil {
		return fmt.Errorf("INPUT_YEAR: %w", err)
	}
	needed, err := strconv.ParseFloat(getenv("INPUT_MIN_COVERAGE"), 64)
	if err != nil {
		return fmt.Errorf("INPUT_MIN_COVERAGE: %w", err)
	}
	source := getenv("INPUT_FILE")
	file, err := store.Get(ctx, source)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	observations, err := Read(file)
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	report := NewReport(getenv("INPUT_STATION"), year, observations)
	report.Source = source
	fmt.Println(report)
	if report.Coverage < needed {
		return fmt.Errorf("%s: only %d of the %d days of %d are usable; at least %.0f %% must be",
			source, report.Usable, report.Expected, year, 100*needed)
	}
	return write(ctx, store, getenv("OUTPUT_REPORT"), report)
}

func write(ctx context.Context, store *objects.Store, uri string, report Report) error {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return store.Put(ctx, uri, "application/json", bytes.NewReader(append(text, '\n')))
}
