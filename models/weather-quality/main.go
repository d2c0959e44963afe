// Command weather-quality is the model of that name: it checks one station's year of daily weather
// observations when the file arrives, and leaves a report: what is wrong in which line, how much
// of the year can be used, and the months' and the year's figures from the days that can be.
//
// Exit codes: 0 with a report; 3 when the file is not a table of observations (a column is missing,
// an upload was cut short): whoever delivers it must send it again; 1 when too few of its days can
// be used, or when anything else fails.
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
		return fmt.Errorf("%s: only %d of the %d days of %d can be used, and %.0f %% are needed", source, report.Usable, report.Expected, year, 100*needed)
	}
	return leave(ctx, store, getenv("OUTPUT_REPORT"), report)
}

func leave(ctx context.Context, store *objects.Store, uri string, report Report) error {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return store.Put(ctx, uri, "application/json", bytes.NewReader(append(text, '\n')))
}
