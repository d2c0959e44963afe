package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// pageSize is the number of due documents of a shard that a sweep processes at a time.
const pageSize = 100

// sweepReserve is the time before the deadline at which a sweep stops. It leaves the other documents to the next sweep.
const sweepReserve = 10 * time.Second

// Advance does the work that is due for a run: it carries out overdue effects, asks ECS about tasks that have been
// silent, and applies timers. It does nothing early, so it may be called at any time. It returns store.ErrNotFound for
// an unknown run.
func (d *Dispatcher) Advance(ctx context.Context, id string) error { return d.advance(ctx, id)[0] }

// advance advances several runs. It describes the tasks of all of them together. It returns one error for each run, in
// the order of the ids.
func (d *Dispatcher) advance(ctx context.Context, ids ...string) []error {
	due, errs := make([]run.Run, len(ids)), make([]error, len(ids))
	d.ForEach(len(ids), func(i int) { due[i], errs[i] = d.dueRun(ctx, ids[i]) })
	var arns []string
	for _, r := range due {
		arns = append(arns, watchedTasks(r)...)
	}
	found := taskLookup{at: d.Now()}
	if len(arns) > 0 {
		found.described = d.Watcher.DescribeTasks(ctx, arns...)
	}
	d.ForEach(len(ids), func(i int) {
		if due[i].ID != "" && errs[i] == nil {
			errs[i] = d.advanceOne(ctx, due[i], found)
		}
	})
	return errs
}

// dueRun carries out the overdue effects of a run, and returns the run if it is due itself. Otherwise it returns a run
// without an id.
func (d *Dispatcher) dueRun(ctx context.Context, id string) (run.Run, error) {
	r, _, err := Read[run.Run](ctx, d.Store, RunKey(id))
	if err != nil {
		return run.Run{}, err
	}
	now := d.Now()
	d.carryOut(ctx, RunKey(id), r.Outbox.Due(now))
	if now.Before(r.Due) || r.State.Ended() {
		return run.Run{}, nil
	}
	return r, nil
}

// advanceOne gives a due run the description of its tasks, and then applies its timers.
func (d *Dispatcher) advanceOne(ctx context.Context, r run.Run, found taskLookup) error {
	if err := d.applyLookup(ctx, r, found); err != nil {
		return err
	}
	if r.WaitingFor == run.ForObjects {
		return d.checkObjects(ctx, r.ID)
	}
	var paused run.Group
	if r.WaitingFor == run.ForDebounce {
		var err error
		if paused, err = d.groupOrPaused(ctx, r.Model, r.Group); err != nil {
			return err
		}
	}
	return d.update(ctx, r.ID, func(r run.Run) run.Transition { return r.Advance(paused, d.Now()) })
}

// Cancel cancels a run, with a reason and the name of the user. A waiting run ends at once; a run with a task ends when
// its task has stopped, which the sweep asks ECS for. Cancel does nothing to a run that has ended, and returns
// store.ErrNotFound for an unknown run.
func (d *Dispatcher) Cancel(ctx context.Context, id, reason, by string) error {
	return d.update(ctx, id, func(r run.Run) run.Transition {
		return r.Stop(run.StopRequest{Class: run.ClassCancelled, Reason: reason, By: by, At: d.Now()})
	})
}

// Sweep does the work that is due in the whole deployment: it processes every due document and checks the
// expectations. The error of one document does not delay the others. Sweep joins all errors and returns them at its
// end.
func (d *Dispatcher) Sweep(ctx context.Context) error {
	shards := make([]error, store.Shards)
	d.ForEach(store.Shards, func(shard int) { shards[shard] = d.sweepShard(ctx, shard) })
	failed := append(shards, d.checkExpectations(ctx))
	err := errors.Join(failed...)
	if err == nil && d.Hooks.Swept != nil {
		d.Hooks.Swept()
	}
	return err
}

// sweepShard processes the due documents of a shard, page by page. It processes each document once: a document that
// fails stays due, and the next page contains it again.
func (d *Dispatcher) sweepShard(ctx context.Context, shard int) error {
	var failed []error
	seen := map[store.Key]bool{}
	for limit := pageSize; ; limit = len(seen) + pageSize {
		if end, limited := ctx.Deadline(); limited && time.Until(end) < sweepReserve {
			if len(seen) == 0 {
				return fmt.Errorf("shard %d: the sweep had no time left to start it", shard)
			}
			log(ctx).Warn().Int("shard", shard).Int("documents", len(seen)).Msg("sweep out of time, the rest is left to the next one")
			return errors.Join(failed...)
		}
		keys, err := d.Store.Due(ctx, shard, d.Now(), limit)
		if err != nil {
			return errors.Join(append(failed, fmt.Errorf("listing the due documents of shard %d: %w", shard, err))...)
		}
		fresh := slices.DeleteFunc(slices.Clone(keys), func(key store.Key) bool { return seen[key] })
		failed = append(failed, d.sweepPage(ctx, fresh)...)
		for _, key := range fresh {
			seen[key] = true
		}
		if len(keys) < limit || len(fresh) == 0 {
			return errors.Join(failed...)
		}
	}
}

// sweepPage does the work that is due for some documents, and returns their errors. A document that no longer exists
// is no error.
func (d *Dispatcher) sweepPage(ctx context.Context, keys []store.Key) []error {
	var failed []error
	var ids []string
	for _, key := range keys {
		if id, isRun := strings.CutPrefix(key.PK, "run/"); isRun {
			ids = append(ids, id)
			continue
		}
		failed = append(failed, d.sweepOne(ctx, key))
	}
	failed = append(failed, d.advance(ctx, ids...)...)
	return slices.DeleteFunc(failed, func(err error) bool { return errors.Is(err, store.ErrNotFound) })
}

// sweepOne does the work that is due for a document that is not a run.
func (d *Dispatcher) sweepOne(ctx context.Context, key store.Key) error {
	if key == limiterKey {
		return d.probeBreakers(ctx)
	}
	doc, err := d.Store.Get(ctx, key)
	if err != nil {
		return err
	}
	outbox, err := outboxOf(doc)
	if err != nil {
		return err
	}
	d.carryOut(ctx, key, outbox.Due(d.Now()))
	return nil
}

// update applies an input to a run, stores the result and carries out its effects. After a conflict it reads the run
// again and repeats the input. It stores nothing if the run ignores the input.
func (d *Dispatcher) update(ctx context.Context, id string, input func(run.Run) run.Transition) error {
	for {
		before, version, err := Read[run.Run](ctx, d.Store, RunKey(id))
		if err != nil {
			return err
		}
		t := input(before)
		if t.Kind == run.Ignored {
			return nil
		}
		if err := d.commit(ctx, before, t, version); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// commit stores a changed run together with the other documents that change with it, and carries out the run's new
// effects. The version is the one at which the run was read.
func (d *Dispatcher) commit(ctx context.Context, before run.Run, t run.Transition, version int64, more ...store.Write) error {
	writes, err := d.writes(ctx, before, t, version)
	if err != nil {
		return err
	}
	if err := d.Store.Commit(ctx, append(writes, more...)...); err != nil {
		return fmt.Errorf("updating run %s: %w", t.Run.ID, err)
	}
	d.afterUpdate(ctx, t)
	d.carryOut(ctx, RunKey(t.Run.ID), t.Effects)
	return nil
}

// writes returns the writes of a changed run: the run itself, its waiter or its slot in a group, the objects that
// it waits for, the expectation of its model, the attempt that was closed, and at the end of the run the expiry of its
// spec.
func (d *Dispatcher) writes(ctx context.Context, before run.Run, t run.Transition, version int64) ([]store.Write, error) {
	after := t.Run
	writes := []store.Write{store.Update(d.runDoc(after, version))}
	waits, err := d.waitWrites(ctx, before, after)
	if err != nil {
		return nil, err
	}
	expected, err := d.expectationWrites(ctx, t)
	if err != nil {
		return nil, err
	}
	writes = append(append(writes, waits...), expected...)
	if t.Ended {
		spec, err := d.Store.Get(ctx, SpecKey(after.ID))
		if err != nil {
			return nil, err
		}
		spec.Expires = d.expires(after.Ended)
		writes = append(writes, store.Update(spec))
	}
	if before.Closed || !after.Closed || before.Attempt == 0 {
		return writes, nil
	}
	a, attemptVersion, err := Read[run.Attempt](ctx, d.Store, AttemptKey(after.ID, after.Attempt))
	if err != nil {
		return nil, err
	}
	a.Task, a.Outcome, a.Started, a.Ended = after.Task.ARN, after.Outcome, after.Task.Started, d.Now()
	return append(writes, store.Update(store.Doc{
		Key: AttemptKey(after.ID, a.Number), Version: attemptVersion, Body: encode(a), Expires: d.expires(a.Ended),
	})), nil
}

// afterUpdate calls the hook for a transition, and logs a change of the run's state.
func (d *Dispatcher) afterUpdate(ctx context.Context, t run.Transition) {
	if d.Hooks.Transitioned != nil {
		d.Hooks.Transitioned(t)
	}
	entry := log(ctx).Info().Str("run", t.Run.ID).Str("model", t.Run.Model).Int("attempt", t.Run.Attempt).
		Str("transition", string(t.Kind)).Str("state", string(t.Run.State))
	if t.Class != "" {
		entry = entry.Str("class", string(t.Class)).Str("detail", t.Run.Outcome.Detail)
	}
	entry.Msg("run changed")
}
