package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"modeldispatch/internal/cron"
	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// AnnounceOverdue is the detail type of the announcement that no run has succeeded in time.
const AnnounceOverdue = "Model Run Overdue"

// Expectation is the document of a model's `expect`, for one value of its `per`.
type Expectation struct {
	Schema   int        `json:"schema"`
	Model    string     `json:"model"`
	Value    string     `json:"value,omitempty"` // of the input that `per` names
	From     time.Time  `json:"from"`            // a success counts from here: the last time there should have been one
	Success  time.Time  `json:"success,omitzero"`
	Overdue  time.Time  `json:"overdue,omitzero"` // the last time there should have been one, and was not
	Sequence int        `json:"sequence,omitempty"`
	Outbox   run.Outbox `json:"outbox,omitzero"`
}

func expectKey(name, value string) store.Key {
	return store.Key{PK: "expect/" + name, SK: "-" + value}
}

func expectWrite(x Expectation, version int64) store.Write {
	return store.Write{Doc: store.Doc{Key: expectKey(x.Model, x.Value), Version: version, Body: encode(x), Due: x.Outbox.Next(time.Time{})}, Was: version}
}

// expectation reads an expectation; one that is new counts from now.
func (d *Dispatcher) expectation(ctx context.Context, name, value string) (Expectation, int64, error) {
	x, version, err := Read[Expectation](ctx, d.Store, expectKey(name, value))
	if errors.Is(err, store.ErrNotFound) {
		return Expectation{Schema: model.Schema, Model: name, Value: value, From: d.Now()}, 0, nil
	}
	return x, version, err
}

// expect looks at what should have succeeded by now, whether or not anything was ever started.
func (d *Dispatcher) expect(ctx context.Context) error {
	var failed []error
	for _, e := range d.Catalog.Index() {
		if !e.Expects || d.Catalog.Paused {
			continue
		}
		m := e.Model()
		values := []string{""}
		if in, per := m.Input(m.Policy.Expect.Per); per {
			values = in.Enum
		}
		for _, value := range values {
			if err := d.expectOne(ctx, m, value); err != nil && !errors.Is(err, store.ErrConflict) {
				failed = append(failed, fmt.Errorf("looking at what is expected of model %s: %w", m.Name, err))
			}
		}
	}
	return errors.Join(failed...)
}

func (d *Dispatcher) expectOne(ctx context.Context, m model.Model, value string) error {
	zone, err := time.LoadLocation(m.Policy.Expect.Timezone)
	if err != nil {
		return err
	}
	schedule, err := cron.Parse(m.Policy.Expect.SuccessBy, zone)
	if err != nil {
		return err
	}
	before, version, err := d.expectation(ctx, m.Name, value)
	if err != nil {
		return err
	}
	after := before.at(schedule, d.Now())
	if version != 0 && after.From.Equal(before.From) {
		return nil
	}
	if err := d.Store.Commit(ctx, expectWrite(after, version)); err != nil {
		return err
	}
	d.carryOut(ctx, expectKey(m.Name, value), after.Outbox.Since(before.Outbox.Last))
	return nil
}

// at is the expectation once all times have passed up to now. After an outage of the sweep only the
// last time that was missed is announced.
func (x Expectation) at(schedule cron.Schedule, now time.Time) Expectation {
	missed := time.Time{}
	for by := schedule.Next(x.From); !by.IsZero() && !by.After(now); by = schedule.Next(by) {
		if x.Success.Before(x.From) {
			missed = by
		}
		x.From = by
	}
	if missed.IsZero() {
		return x
	}
	x.Overdue = missed
	x.Sequence++
	x.Outbox = x.Outbox.Add(run.Effect{Kind: run.Announce, What: AnnounceOverdue, Reason: missed.UTC().Format(time.RFC3339), Sequence: x.Sequence}, now)
	return x
}

// expectWrites note a success, in the commit of the run.
func (d *Dispatcher) expectWrites(ctx context.Context, before, after run.Run) ([]store.Write, error) {
	m, known := d.Catalog.Model(after.Model)
	if after.State != run.Succeeded || before.State.Ended() || !known || m.Policy.Expect == nil {
		return nil, nil
	}
	spec, _, err := Read[run.Spec](ctx, d.Store, SpecKey(after.ID))
	if err != nil {
		return nil, err
	}
	x, version, err := d.expectation(ctx, after.Model, spec.Inputs[m.Policy.Expect.Per])
	if err != nil {
		return nil, err
	}
	x.Success = d.Now()
	return []store.Write{expectWrite(x, version)}, nil
}
