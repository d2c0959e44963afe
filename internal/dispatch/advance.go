package dispatch

import (
	"context"

	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// Advance does the work that is due for a run: it carries out overdue effects, asks ECS about tasks that have been
// silent, and applies timers. It does nothing early, so it may be called at any time. It returns store.ErrNotFound for
// an unknown run.
func (d *Dispatcher) Advance(ctx context.Context, id string) error {
	return d.advance(ctx, records.RunKey(id))[0]
}

// advance advances several runs, given by the keys of their documents. It describes the tasks of all of them together.
// It returns one error for each run, in the order of the keys.
func (d *Dispatcher) advance(ctx context.Context, keys ...store.Key) []error {
	due, errs := make([]run.Run, len(keys)), make([]error, len(keys))
	d.o.ForEach(len(keys), func(i int) { due[i], errs[i] = d.dueRun(ctx, keys[i]) })
	var arns []string
	for _, r := range due {
		arns = append(arns, watchedTasks(r)...)
	}
	found := taskLookup{at: d.o.Now()}
	if len(arns) > 0 {
		found.described = d.o.Watcher.DescribeTasks(ctx, arns...)
	}
	d.o.ForEach(len(keys), func(i int) {
		if due[i].ID != "" && errs[i] == nil {
			errs[i] = d.advanceOne(ctx, due[i], found)
		}
	})
	return errs
}

// dueRun carries out the overdue effects of a run, and returns the run if it is due itself. Otherwise it returns a run
// without an id.
func (d *Dispatcher) dueRun(ctx context.Context, key store.Key) (run.Run, error) {
	r, _, err := records.Read[run.Run](ctx, d.o.Store, key)
	if err != nil {
		return run.Run{}, err
	}
	now := d.o.Now()
	d.outbox.carryOut(ctx, ofRun(r.ID), r.Outbox.Due(now))
	if now.Before(r.Due) || r.State.Ended() {
		return run.Run{}, nil
	}
	return r, nil
}

// advanceOne gives a due run the description of its tasks, and then applies its timers.
func (d *Dispatcher) advanceOne(ctx context.Context, r run.Run, found taskLookup) error {
	if err := d.tasks.applyLookup(ctx, r, found); err != nil {
		return err
	}
	if r.WaitingFor == run.ForObjects {
		return d.checkObjects(ctx, r.ID)
	}
	var paused run.Group
	if r.WaitingFor == run.ForDebounce && r.Group == (run.Group{}) {
		var err error
		if paused, err = d.pauses.pausedGroup(ctx, r.Model); err != nil {
			return err
		}
	}
	return d.runs.update(ctx, r.ID, func(r run.Run) run.Transition { return r.Advance(paused, d.o.Now()) })
}

// Cancel cancels a run, with a reason and the name of the user. A waiting run ends at once; a run with a task ends when
// its task has stopped, which the sweep asks ECS for. Cancel does nothing to a run that has ended, and returns
// store.ErrNotFound for an unknown run.
func (d *Dispatcher) Cancel(ctx context.Context, id, reason, by string) error {
	return d.runs.update(ctx, id, func(r run.Run) run.Transition {
		return r.Stop(run.StopRequest{Class: run.ClassCancelled, Reason: reason, By: by, At: d.o.Now()})
	})
}
