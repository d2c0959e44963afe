package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"modeldispatch/internal/cron"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// expectations checks the `expect` of each model: it promises a success by each time of a cron schedule.
type expectations struct {
	*Options
	outbox *outbox
}

// read returns an expectation and its version. A new one has version 0, and counts successes from now on.
func (x expectations) read(ctx context.Context, name, value string) (records.Expectation, int64, error) {
	e, version, err := records.Read[records.Expectation](ctx, x.Store, records.ExpectationKey(name, value))
	if errors.Is(err, store.ErrNotFound) {
		return records.Expectation{Schema: model.Schema, Model: name, Value: value, From: x.Now()}, 0, nil
	}
	return e, version, err
}

// check checks the expectations of all models. A model is overdue whether or not it was started. A
// conflict is no error: the next sweep checks again.
func (x expectations) check(ctx context.Context) error {
	var failed []error
	for _, e := range x.Catalog.Index() {
		if !e.Expects || x.Catalog.Paused {
			continue
		}
		m := e.Model()
		for _, combination := range m.ExpectedCombinations() {
			err := x.checkOne(ctx, m, m.Policy.Expect.Per.Value(combination))
			if err != nil && !errors.Is(err, store.ErrConflict) {
				failed = append(failed, fmt.Errorf("checking the expectation of model %s: %w", m.Name, err))
			}
		}
	}
	return errors.Join(failed...)
}

// checkOne checks the expectation of a model for one value of `per`.
func (x expectations) checkOne(ctx context.Context, m model.Model, value string) error {
	zone, err := time.LoadLocation(m.Policy.Expect.Timezone)
	if err != nil {
		return err
	}
	schedule, err := cron.Parse(m.Policy.Expect.SuccessBy, zone)
	if err != nil {
		return err
	}
	before, version, err := x.read(ctx, m.Name, value)
	if err != nil {
		return err
	}
	after := advanced(before, schedule, x.Now())
	if version != 0 && after.From.Equal(before.From) {
		return nil
	}
	if err := x.Store.Commit(ctx, after.Write(version)); err != nil {
		return err
	}
	x.outbox.carryOut(ctx, owner{key: records.ExpectationKey(m.Name, value)}, after.Outbox.Since(before.Outbox.Last))
	return nil
}

// advanced returns the expectation after all promised times up to now have passed. If several of them had no success, as
// after an outage of the sweep, it announces only the last one.
func advanced(x records.Expectation, schedule cron.Schedule, now time.Time) records.Expectation {
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

// success returns the write that notes the success of a run in its model's expectation.
func (x expectations) success(ctx context.Context, m model.Model, id string) ([]store.Write, error) {
	spec, _, err := records.Read[run.Spec](ctx, x.Store, records.SpecKey(id))
	if err != nil {
		return nil, err
	}
	e, version, err := x.read(ctx, m.Name, m.Policy.Expect.Per.Value(spec.Inputs))
	if err != nil {
		return nil, err
	}
	e.Success = x.Now()
	return []store.Write{e.Write(version)}, nil
}
