package dispatch

import (
	"context"
	"errors"

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
		log(ctx).Debug().Str("startedBy", t.StartedBy).Msg("task of somebody else")
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
	return d.move(ctx, id, func(r run.Run) (run.Run, bool) { return r.Observed(attempt, seen, d.plan(), d.Now()) })
}

// look describes the tasks of a run that has been silent: its own, and those that nobody knows.
func (d *Dispatcher) look(ctx context.Context, r run.Run) error {
	spec, _, err := Read[run.Spec](ctx, d.Store, SpecKey(r.ID))
	if err != nil {
		return err
	}
	attempt := r.Attempt
	for _, arn := range append([]string{r.Task.ARN}, r.Strays...) {
		if arn == "" || r.State != run.Running && arn == r.Task.ARN {
			continue
		}
		err := d.lookAt(ctx, r.ID, attempt, arn, spec)
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Dispatcher) lookAt(ctx context.Context, id string, attempt int, arn string, spec run.Spec) error {
	t, err := d.Watcher.DescribeTask(ctx, arn)
	if errors.Is(err, fargate.ErrMissing) {
		return d.move(ctx, id, func(r run.Run) (run.Run, bool) {
			if r.Task.ARN == arn {
				return r.Missed(attempt, arn, d.plan(), d.Now())
			}
			return r.StrayGone(arn)
		})
	}
	if err != nil {
		return err
	}
	seen, err := d.sighting(ctx, t, spec)
	if err != nil {
		return err
	}
	return d.move(ctx, id, func(r run.Run) (run.Run, bool) { return r.Observed(attempt, seen, d.plan(), d.Now()) })
}
