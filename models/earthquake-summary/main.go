// Command earthquake-summary is the model of that name: once a week, for each region, it sums up
// the seven days of the region's earthquake catalogue that end with INPUT_DATE (in UTC, as
// catalogues are): how many there were and how strong, the strongest of them, the energy they
// released, and the Gutenberg-Richter b-value, whose fall over some weeks is worth a phone call.
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
