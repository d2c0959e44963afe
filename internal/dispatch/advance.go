package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// sweepPage is how many due documents of a shard one sweep takes at a time.
const sweepPage = 100

// Advance does what is due for a run: effects that were not struck out, a silent task, its timers.
func (d *Dispatcher) Advance(ctx context.Context, id string) error {
	r, _, err := Read[run.Run](ctx, d.Store, RunKey(id))
	if err != nil {
		return err
	}
	now := d.Now()
	d.carryOut(ctx, RunKey(id), r.Outbox.Overdue(now))
	if now.Before(r.Due) || r.State.Ended() {
		return nil
	}
	if r.State == run.Running || len(r.Strays) > 0 {
		if err := d.look(ctx, r); err != nil {
			return err
		}
	}
	return d.move(ctx, id, func(r run.Run) (run.Run, bool) { return r.Advance(d.Now()) })
}

// Cancel stops a run by hand.
func (d *Dispatcher) Cancel(ctx context.Context, id, why, by string) error {
	return d.move(ctx, id, func(r run.Run) (run.Run, bool) {
		return r.Stop(run.Cancel{Class: run.Stopped, Why: why, By: by, At: d.Now()})
	})
}

// Sweep does what is due in the whole deployment. One document that cannot be moved does not
// hold up the others; its error is returned in the end.
func (d *Dispatcher) Sweep(ctx context.Context) error {
	var failed []error
	for shard := range store.Shards {
		keys, err := d.Store.Due(ctx, shard, d.Now(), sweepPage)
		if err != nil {
			failed = append(failed, fmt.Errorf("listing what is due: %w", err))
			continue
		}
		for _, key := range keys {
			if err := d.sweepOne(ctx, key); err != nil && !errors.Is(err, store.ErrNotFound) {
				failed = append(failed, err)
			}
		}
	}
	return errors.Join(failed...)
}

func (d *Dispatcher) sweepOne(ctx context.Context, key store.Key) error {
	if id, isRun := strings.CutPrefix(key.PK, "run/"); isRun {
		return d.Advance(ctx, id)
	}
	record, _, err := Read[Record](ctx, d.Store, key)
	if err != nil {
		return err
	}
	d.carryOut(ctx, key, record.Outbox.Overdue(d.Now()))
	return nil
}

// move gives an input to a run and stores what comes of it; when the run changed in between, the
// input is given to it as it is now. Then the new effects are carried out.
func (d *Dispatcher) move(ctx context.Context, id string, input func(run.Run) (run.Run, bool)) error {
	for {
		before, version, err := Read[run.Run](ctx, d.Store, RunKey(id))
		if err != nil {
			return err
		}
		after, changed := input(before)
		if !changed {
			return nil
		}
		writes, err := d.writes(ctx, before, after, version)
		if err != nil {
			return err
		}
		switch err := d.Store.Commit(ctx, writes...); {
		case errors.Is(err, store.ErrConflict):
			continue
		case err != nil:
			return fmt.Errorf("moving run %s: %w", id, err)
		}
		d.moved(ctx, before, after)
		d.carryOut(ctx, RunKey(id), after.Outbox.Since(before.Outbox.Last))
		return nil
	}
}

// writes are the documents that change with a run: its own, and the attempt that was closed.
func (d *Dispatcher) writes(ctx context.Context, before, after run.Run, version int64) ([]store.Write, error) {
	writes := []store.Write{store.Update(runDoc(after, version))}
	if before.Closed || !after.Closed || before.Attempt == 0 {
		return writes, nil
	}
	a, at, err := Read[run.Attempt](ctx, d.Store, AttemptKey(after.ID, after.Attempt))
	if err != nil {
		return nil, err
	}
	a.Task, a.Outcome, a.Started, a.Ended = after.Task.ARN, after.Outcome, after.Task.Started, d.Now()
	return append(writes, store.Update(store.Doc{Key: AttemptKey(after.ID, a.Number), Version: at, Body: encode(a)})), nil
}

func (d *Dispatcher) moved(ctx context.Context, before, after run.Run) {
	if d.Notice.Moved != nil {
		d.Notice.Moved(before, after)
	}
	if before.State == after.State {
		return
	}
	entry := log(ctx).Info().Str("run", after.ID).Str("model", after.Model).Int("attempt", after.Attempt).Str("state", string(after.State))
	if after.Closed && after.Outcome != nil {
		entry = entry.Str("class", string(after.Outcome.Class)).Str("detail", after.Outcome.Detail)
	}
	entry.Msg("run moved")
}
