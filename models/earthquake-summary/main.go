// Command earthquake-summary is the sample model of that name. A schedule starts it once a week for each region.
//
// It reads the region's earthquake catalogue from INPUT_FILE, and summarises the seven days that end with INPUT_DATE,
// in UTC: the number of earthquakes by day and by magnitude, the strongest ones, the released energy, and the b-value
// of the Gutenberg-Richter law. It writes the summary to OUTPUT_SUMMARY as JSON.
//
// Read parses the catalogue (catalogue.go), Summarise computes the summary (summary.go), and EstimateB the b-value
// (bvalue.go). Any error ends the program with exit code 1.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

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
		fmt.Fprintln(os.Stderr, "earthquake-summary:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, store *objects.Store, getenv func(string) string) error {
	last, err := time.Parse(time.DateOnly, getenv("INPUT_DATE"))
	if err != nil {
		return fmt.Errorf("INPUT_DATE: %w", err)
	}
	source := getenv("INPUT_FILE")
	file, err := store.Get(ctx, source)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	events, err := Read(file)
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	summary := Summarise(getenv("INPUT_REGION"), last, events)
	fmt.Println(summary)
	text, err := json.MarshalIndent(summary, "", "  ")
	if err != nil {
		return err
	}
	return store.Put(ctx, getenv("OUTPUT_SUMMARY"), "application/json", bytes.NewReader(append(text, '\n')))
}
