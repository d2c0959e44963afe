package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/limiter"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// Observe applies the state change of a task to the run that the task belongs to. It logs and ignores a task that this
// deployment did not start, and a task of an unknown run. An observation that is older than what the run knows, or that
// repeats it, changes nothing.
func (d *Dispatcher) Observe(ctx context.Context, t event.Task) error {
	id, attempt, ours := fargate.ParseStartedBy(d.o.Deployment, t.StartedBy)
	if !ours {
		log(ctx).Info().Str("startedBy", t.StartedBy).Str("task", t.ARN).Msg("task of another deployment or program")
		return nil
	}
	spec, _, err := records.Read[run.Spec](ctx, d.o.Store, records.SpecKey(id))
	if errors.Is(err, store.ErrNotFound) {
		log(ctx).Warn().Str("run", id).Str("task", t.ARN).Msg("task of an unknown run")
		return nil
	}
	if err != nil {
		return err
	}
	seen, err := d.tasks.observation(ctx, t, spec)
	if err != nil {
		return err
	}
	return d.tasks.apply(ctx, id, attempt, seen)
}

// tasks applies what ECS says about tasks to their runs.
type tasks struct {
	*Options
	runs    *runs
	limiter *limiter.Limiter
}

// apply applies a task observation to a run. If ECS had no capacity for the task, it opens the breaker
// first, so that other runs do not try in vain.
func (k tasks) apply(ctx context.Context, id string, attempt int, seen run.TaskObservation) error {
	if seen.Outcome != nil && seen.Outcome.Class.OpensBreaker() {
		r, _, err := records.Read[run.Run](ctx, k.Store, records.RunKey(id))
		if err == nil && r.Attempt == attempt && !r.Closed {
			err = k.limiter.OpenBreaker(ctx, r.Capacities[r.CapacityIndex])
		}
		if err != nil {
			return err
		}
	}
	outdated := false
	err := k.runs.update(ctx, id, func(r run.Run) run.Transition {
		t := r.Observed(attempt, seen, k.retryInputs(), k.Now())
		outdated = t.Kind == run.Ignored
		return t
	})
	if err == nil && outdated {
		log(ctx).Info().Str("run", id).Int("attempt", attempt).Str("task", seen.ARN).Int64("version", seen.Version).
			Str("status", seen.Status).Msg("task state is known already, or older")
	}
	return err
}

// watchedTasks returns the ARNs of a run's tasks that are described when the run is due: the running task and the
// orphans.
func watchedTasks(r run.Run) []string {
	if r.State == run.Running && r.Task.ARN != "" {
		return append([]string{r.Task.ARN}, r.OrphanTasks...)
	}
	return r.OrphanTasks
}

// taskLookup holds the result of DescribeTasks, and when ECS was asked.
type taskLookup struct {
	at        time.Time
	described map[string]fargate.Described
}

// applyLookup applies the descriptions of a run's tasks to the run.
func (k tasks) applyLookup(ctx context.Context, r run.Run, found taskLookup) error {
	arns := watchedTasks(r)
	if len(arns) == 0 {
		return nil
	}
	spec, _, err := records.Read[run.Spec](ctx, k.Store, records.SpecKey(r.ID))
	for _, arn := range arns {
		if err == nil {
			err = k.applyTaskLookup(ctx, r, arn, found, spec)
		}
	}
	return err
}

// applyTaskLookup applies the description of one task to the run. A task that ECS does not know is not lost at once:
// the run counts how often that happens (run.Run.ObservedMissing). An orphan that ECS does not know is gone.
func (k tasks) applyTaskLookup(ctx context.Context, watched run.Run, arn string, found taskLookup, spec run.Spec) error {
	task, err := found.described[arn].Task, found.described[arn].Err
	if errors.Is(err, fargate.ErrMissing) {
		return k.runs.update(ctx, watched.ID, func(r run.Run) run.Transition {
			if r.Task.ARN == arn {
				return r.ObservedMissing(watched.Attempt, arn, k.retryInputs(), found.at)
			}
			return r.OrphanEnded(arn, k.Now())
		})
	}
	if err != nil {
		return err
	}
	seen, err := k.observation(ctx, task, spec)
	if err != nil {
		return err
	}
	return k.apply(ctx, watched.ID, watched.Attempt, seen)
}

// observation turns a task, as ECS shows it, into a task observation. For a stopped task it adds the outcome. If the
// container exited with 0, it looks for the declared outputs; a missing one changes the class to output-missing.
func (k tasks) observation(ctx context.Context, t event.Task, spec run.Spec) (run.TaskObservation, error) {
	seen := run.TaskObservation{
		ARN: t.ARN, Status: t.LastStatus, Running: t.LastStatus == event.TaskRunning, Version: t.Version, Started: t.StartedAt,
		Size: fargate.SizeOf(t),
	}
	if t.LastStatus != event.TaskStopped {
		return seen, nil
	}
	o := fargate.Outcome(t, spec.Task.Container)
	if o.Class == run.ClassSucceeded {
		missing, err := k.missingOutput(ctx, spec)
		if err != nil {
			return seen, err
		}
		if missing != nil {
			o.Class = run.ClassOutputMissing
			o.Detail = fmt.Sprintf("exit code 0, but output %q is not there: %s", missing.Name, missing.URI)
		}
	}
	seen.Outcome = &o
	return seen, nil
}

// missingOutput returns the first declared output that does not exist, and nil if all exist.
func (k tasks) missingOutput(ctx context.Context, spec run.Spec) (*model.Object, error) {
	for _, output := range spec.Task.Outputs {
		_, exists, err := k.Objects.Stat(ctx, output.URI)
		if err != nil {
			return nil, fmt.Errorf("looking for output %q: %w", output.Name, err)
		}
		if !exists {
			return &output, nil
		}
	}
	return nil, nil
}
