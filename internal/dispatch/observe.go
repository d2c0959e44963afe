package dispatch

import (
	"context"
	"errors"
	"time"

	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// Observe takes a state change of a task. Tasks of others, and of runs that are not known, are
// none of ours: logged, and otherwise ignored.
func (d *Dispatcher) Observe(ctx context.Context, t event.Task) error {
	id, attempt, ours := fargate.ParseStartedBy(d.Deployment, t.StartedBy)
	if !ours {
		log(ctx).Info().Str("startedBy", t.StartedBy).Str("task", t.ARN).Msg("task of somebody else")
		return nil
	}
	spec, _, err := Read[run.Spec](ctx, d.Store, SpecKey(id))
	if errors.Is(err, store.ErrNotFound) {
		log(ctx).Warn().Str("run", id).Str("task", t.ARN).Msg("task of an unknown run")
		return nil
	}
	if err != nil {
		return err
	}
	seen, err := d.sighting(ctx, t, spec)
	if err != nil {
		return err
	}
	return d.observed(ctx, id, attempt, seen)
}

// observed gives what was seen of a task to its run. Where there was no place for the task, others are kept from
// trying first.
func (d *Dispatcher) observed(ctx context.Context, id string, attempt int, seen run.Sighting) error {
	if seen.Outcome != nil && seen.Outcome.Class.NoPlace() {
		r, _, err := Read[run.Run](ctx, d.Store, RunKey(id))
		if err == nil && r.Attempt == attempt && !r.Closed {
			err = d.closeGate(ctx, r.Capacities[r.Capacity])
		}
		if err != nil {
			return err
		}
	}
	old := false
	err := d.move(ctx, id, func(r run.Run) (run.Run, bool) {
		r, changed := r.Observed(attempt, seen, d.plan(), d.Now())
		old = !changed
		return r, changed
	})
	if err == nil && old {
		log(ctx).Info().Str("run", id).Int("attempt", attempt).Str("task", seen.ARN).Int64("version", seen.Version).Str("status", seen.Status).Msg("state of a task is known already, or older")
	}
	return err
}

// watched are the tasks of a run that are to be described once it has been silent: its own, and those that nobody knows.
func watched(r run.Run) []string {
	if r.State == run.Running && r.Task.ARN != "" {
		return append([]string{r.Task.ARN}, r.Strays...)
	}
	return r.Strays
}

// looked is what ECS said of tasks, and when it was asked.
type looked struct {
	at        time.Time
	described map[string]fargate.Described
}

// look takes what ECS says of the tasks of a run.
func (d *Dispatcher) look(ctx context.Context, r run.Run, found looked) error {
	arns := watched(r)
	if len(arns) == 0 {
		return nil
	}
	spec, _, err := Read[run.Spec](ctx, d.Store, SpecKey(r.ID))
	for _, arn := range arns {
		if err == nil {
			err = d.lookAt(ctx, r, arn, found, spec)
		}
	}
	return err
}

func (d *Dispatcher) lookAt(ctx context.Context, of run.Run, arn string, found looked, spec run.Spec) error {
	task, err := found.described[arn].Task, found.described[arn].Err
	if errors.Is(err, fargate.ErrMissing) {
		return d.move(ctx, of.ID, func(r run.Run) (run.Run, bool) {
			if r.Task.ARN == arn {
				return r.Missed(of.Attempt, arn, d.plan(), found.at)
			}
			return r.StrayGone(arn, d.Now())
		})
	}
	if err != nil {
		return err
	}
	seen, err := d.sighting(ctx, task, spec)
	if err != nil {
		return err
	}
	return d.observed(ctx, of.ID, of.Attempt, seen)
}
