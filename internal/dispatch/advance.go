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

// pageSize is how many due documents of a shard a sweep takes at a time.
const pageSize = 100

// sweepReserve is how long before its end a sweep takes no more: what is left is the next one's.
const sweepReserve = 10 * time.Second

// Advance does what is due for a run: effects that were not struck out, a silent task, its timers.
func (d *Dispatcher) Advance(ctx context.Context, id string) error { return d.advance(ctx, id)[0] }

// advance advances several runs, and describes all of their tasks together. Each has its own error.
func (d *Dispatcher) advance(ctx context.Context, ids ...string) []error {
	due, errs := make([]run.Run, len(ids)), make([]error, len(ids))
	d.Each(len(ids), func(i int) { due[i], errs[i] = d.due(ctx, ids[i]) })
	var arns []string
	for _, r := range due {
		arns = append(arns, watched(r)...)
	}
	found := looked{at: d.Now()}
	if len(arns) > 0 {
		found.described = d.Watcher.DescribeTasks(ctx, arns...)
	}
	d.Each(len(ids), func(i int) {
		if due[i].ID != "" && errs[i] == nil {
			errs[i] = d.advanceOne(ctx, due[i], found)
		}
	})
	return errs
}

// due carries out the effects of a run that were not struck out, and gives the run if more is due.
func (d *Dispatcher) due(ctx context.Context, id string) (run.Run, error) {
	r, _, err := Read[run.Run](ctx, d.Store, RunKey(id))
	if err != nil {
		return run.Run{}, err
	}
	now := d.Now()
	d.carryOut(ctx, RunKey(id), r.Outbox.Overdue(now))
	if now.Before(r.Due) || r.State.Ended() {
		return run.Run{}, nil
	}
	return r, nil
}

func (d *Dispatcher) advanceOne(ctx context.Context, r run.Run, found looked) error {
	if err := d.look(ctx, r, found); err != nil {
		return err
	}
	if r.For == run.Objects {
		return d.lookForObjects(ctx, r.ID)
	}
	var line string
	if r.For == run.Debounce {
		var err error
		if line, err = d.lineFor(ctx, r.Model, r.Line); err != nil {
			return err
		}
	}
	return d.move(ctx, r.ID, func(r run.Run) (run.Run, bool) { return r.Stand(line).Advance(d.Now()) })
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
	shards := make([]error, store.Shards)
	d.Each(store.Shards, func(shard int) { shards[shard] = d.sweepShard(ctx, shard) })
	failed := append(shards, d.expect(ctx))
	err := errors.Join(failed...)
	if err == nil && d.Notice.Swept != nil {
		d.Notice.Swept()
	}
	return err
}

// sweepShard takes what is due in a shard page by page, each document once: one that cannot be moved stays due.
func (d *Dispatcher) sweepShard(ctx context.Context, shard int) error {
	var failed []error
	seen := map[store.Key]bool{}
	for limit := pageSize; ; limit = len(seen) + pageSize {
		if end, limited := ctx.Deadline(); limited && time.Until(end) < sweepReserve {
			if len(seen) == 0 {
				return fmt.Errorf("shard %d: no time was left to look at it", shard)
			}
			log(ctx).Warn().Int("shard", shard).Int("documents", len(seen)).Msg("sweep leaves the rest to the next one")
			return errors.Join(failed...)
		}
		keys, err := d.Store.Due(ctx, shard, d.Now(), limit)
		if err != nil {
			return errors.Join(append(failed, fmt.Errorf("listing what is due: %w", err))...)
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

// sweepPage does what is due for some documents. Those that are gone by now are no errors.
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

// sweepOne does what is due for a document that is no run's.
func (d *Dispatcher) sweepOne(ctx context.Context, key store.Key) error {
	if key == paceKey {
		return d.openGates(ctx)
	}
	doc, err := d.Store.Get(ctx, key)
	if err != nil {
		return err
	}
	outbox, err := outboxOf(doc)
	if err != nil {
		return err
	}
	d.carryOut(ctx, key, outbox.Overdue(d.Now()))
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
		if err := d.commit(ctx, before, after, version); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// commit stores a move of a run, with what else belongs to it, and carries out its effects.
func (d *Dispatcher) commit(ctx context.Context, before, after run.Run, version int64, more ...store.Write) error {
	writes, err := d.writes(ctx, before, after, version)
	if err != nil {
		return err
	}
	if err := d.Store.Commit(ctx, append(writes, more...)...); err != nil {
		return fmt.Errorf("moving run %s: %w", after.ID, err)
	}
	d.moved(ctx, before, after)
	d.carryOut(ctx, RunKey(after.ID), after.Outbox.Since(before.Outbox.Last))
	return nil
}

// writes are the documents that change with a run: its own, its place in a line, the objects that it
// waits for, the attempt that was closed; and its spec, which may go some time after its end.
func (d *Dispatcher) writes(ctx context.Context, before, after run.Run, version int64) ([]store.Write, error) {
	writes := []store.Write{store.Update(d.runDoc(after, version))}
	waits, err := d.waitWrites(ctx, before, after)
	if err != nil {
		return nil, err
	}
	expected, err := d.expectWrites(ctx, before, after)
	if err != nil {
		return nil, err
	}
	writes = append(append(writes, waits...), expected...)
	if after.State.Ended() && !before.State.Ended() {
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
	a, at, err := Read[run.Attempt](ctx, d.Store, AttemptKey(after.ID, after.Attempt))
	if err != nil {
		return nil, err
	}
	a.Task, a.Outcome, a.Started, a.Ended = after.Task.ARN, after.Outcome, after.Task.Started, d.Now()
	return append(writes, store.Update(store.Doc{Key: AttemptKey(after.ID, a.Number), Version: at, Body: encode(a), Expires: d.expires(a.Ended)})), nil
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
