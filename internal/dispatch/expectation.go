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

// AnnounceOverdue is the detail type of the announcement that no run of a model has succeeded in time.
const AnnounceOverdue = "Model Run Overdue"

// Expectation is the document of a model's `expect`, for one value of its `per`. The model promises a success by each
// time of a cron schedule.
type Expectation struct {
	Schema   int        `json:"schema"`
	Model    string     `json:"model"`
	Value    string     `json:"value,omitempty"`    // the value of `per`, for example eu, or region=eu,kind=daily
	From     time.Time  `json:"from"`               // the last promised time that has passed: a success counts from here
	Success  time.Time  `json:"success,omitzero"`   // the time of the last success
	Overdue  time.Time  `json:"overdue,omitzero"`   // the last promised time without a success
	Sequence int        `json:"sequence,omitempty"` // the number of announcements so far
	Outbox   run.Outbox `json:"outbox,omitzero"`
}

// expectationKey returns the key of a model's expectation for a value of `per`.
func expectationKey(name, value string) store.Key {
	return store.Key{PK: "expect/" + name, SK: "-" + value}
}

// expectationWrite returns the write of an expectation that was read at this version; 0 creates it.
func expectationWrite(x Expectation, version int64) store.Write {
	doc := store.Doc{Key: expectationKey(x.Model, x.Value), Version: version, Body: encode(x), Due: x.Outbox.Next(time.Time{})}
	return store.Write{Doc: doc, IfVersion: version}
}

// expectation returns an expectation and its version. A new one has version 0, and counts successes from now on.
func (d *Dispatcher) expectation(ctx context.Context, name, value string) (Expectation, int64, error) {
	x, version, err := Read[Expectation](ctx, d.Store, expectationKey(name, value))
	if errors.Is(err, store.ErrNotFound) {
		return Expectation{Schema: model.Schema, Model: name, Value: value, From: d.Now()}, 0, nil
	}
	return x, version, err
}

// checkExpectations checks the expectations of all models. A model is overdue whether or not it was started. A
// conflict is no error: the next sweep checks again.
func (d *Dispatcher) checkExpectations(ctx context.Context) error {
	var failed []error
	for _, e := range d.Catalog.Index() {
		if !e.Expects || d.Catalog.Paused {
			continue
		}
		m := e.Model()
		for _, combination := range m.ExpectedCombinations() {
			err := d.checkExpectation(ctx, m, m.Policy.Expect.Per.Value(combination))
			if err != nil && !errors.Is(err, store.ErrConflict) {
				failed = append(failed, fmt.Errorf("checking the expectation of model %s: %w", m.Name, err))
			}
		}
	}
	return errors.Join(failed...)
}

// checkExpectation checks the expectation of a model for one value of `per`.
func (d *Dispatcher) checkExpectation(ctx context.Context, m model.Model, value string) error {
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
	after := before.advance(schedule, d.Now())
	if version != 0 && after.From.Equal(before.From) {
		return nil
	}
	if err := d.Store.Commit(ctx, expectationWrite(after, version)); err != nil {
		return err
	}
	d.carryOut(ctx, expectationKey(m.Name, value), after.Outbox.Since(before.Outbox.Last))
	return nil
}

// advance returns the expectation after all promised times up to now have passed. If several of them had no success, as
// after an outage of the sweep, it announces only the last one.
func (x Expectation) advance(schedule cron.Schedule, now time.Time) Expectation {
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
	e := run.AnnounceOverdue{ExpectedBy: missed.UTC(), Sequence: x.Sequence}
	x.Outbox = x.Outbox.Add(e, now)
	return x
}

// expectationWrites returns the write that notes the success of a run in its model's expectation. It returns none if
// the run has not succeeded in this change, or if its model has no expectation.
func (d *Dispatcher) expectationWrites(ctx context.Context, t run.Transition) ([]store.Write, error) {
	after := t.Run
	m, known := d.Catalog.Model(after.Model)
	if !t.Ended || after.State != run.Succeeded || !known || m.Policy.Expect == nil {
		return nil, nil
	}
	spec, _, err := Read[run.Spec](ctx, d.Store, SpecKey(after.ID))
	if err != nil {
		return nil, err
	}
	x, version, err := d.expectation(ctx, after.Model, m.Policy.Expect.Per.Value(spec.Inputs))
	if err != nil {
		return nil, err
	}
	x.Success = d.Now()
	return []store.Write{expectationWrite(x, version)}, nil
}
