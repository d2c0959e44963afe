package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// Launch does what a reservation says for a run: it launches the run, makes it wait until its time has come, or holds
// it at an open breaker or by the loop guard. The reservation comes from Reserve, and is zero if Reserve gave none.
// Launch may be called for any run at any time, and by several callers at once: only the caller that claims the run
// calls RunTask. It returns store.ErrNotFound for an unknown run.
func (d *Dispatcher) Launch(ctx context.Context, id string, reservation Reservation) error {
	switch now := d.Now(); {
	case reservation.Looping:
		return d.update(ctx, id, func(r run.Run) run.Transition { return r.DelayByLoopGuard(now) })
	case reservation.WaitFor != "":
		return d.update(ctx, id, func(r run.Run) run.Transition { return r.WaitAtBreaker(reservation.WaitFor, now) })
	case now.Before(reservation.At):
		return d.update(ctx, id, func(r run.Run) run.Transition { return r.Reserve(reservation.At, now) })
	}
	spec, _, err := Read[run.Spec](ctx, d.Store, SpecKey(id))
	if err != nil {
		return err
	}
	for {
		err := d.tryLaunch(ctx, id, spec, reservation)
		// After a conflict the run is read again, and decides again: perhaps another caller only removed an effect.
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// tryLaunch claims a run and does the step that the claim asks for. It returns store.ErrConflict if another caller
// changed the run meanwhile.
func (d *Dispatcher) tryLaunch(ctx context.Context, id string, spec run.Spec, reservation Reservation) error {
	r, version, err := Read[run.Run](ctx, d.Store, RunKey(id))
	if err != nil {
		return err
	}
	claimed := r.Claim(d.Now())
	if reservation.At.IsZero() && claimed.Kind != run.Ignored {
		return errNoReservation
	}
	switch {
	case claimed.Kind == run.AttemptStarted:
		claimed.Run.CapacityIndex = reservation.CapacityIndex
		return d.callNewAttempt(ctx, claimed, spec, version)
	case claimed.Kind == run.CallRepeated:
		return d.repeatCall(ctx, claimed, version)
	case r.MustList(d.Now()):
		return d.listTasks(ctx, r)
	}
	return nil
}

// errNoReservation reports that a run became ready after Reserve was called for its batch. SQS delivers the message of
// the run again, and Reserve then gives the run a reservation.
var errNoReservation = errors.New("the run became ready after the reservations of its batch were made")

// callNewAttempt builds the request of a new attempt, commits it together with the claim, and only then sends it.
func (d *Dispatcher) callNewAttempt(ctx context.Context, claimed run.Transition, spec run.Spec, version int64) error {
	r := claimed.Run
	if r.Definition == "" {
		definition, err := d.Launcher.Definition(ctx, spec.Task.Family, spec.Task.Container)
		if err != nil {
			return err
		}
		r.Definition, r.ContainerMemoryMiB, r.AWSVPC = definition.ARN, definition.ContainerMemoryMiB, definition.AWSVPC
	}
	request := fargate.NewRequest(spec.Task, fargate.Launch{
		Deployment: d.Deployment, Run: r.ID, Attempt: r.Attempt, Definition: r.Definition, AWSVPC: r.AWSVPC,
		Capacity: r.Capacities[r.CapacityIndex], Placement: d.Placement, Size: r.Size, ContainerMemoryMiB: r.ContainerMemoryMiB,
	})
	a := run.Attempt{Schema: model.Schema, Number: r.Attempt, Token: request.ClientToken, Request: encode(request), FirstCall: r.FirstCall}
	err := d.Store.Commit(ctx,
		store.Update(d.runDoc(r, version)),
		store.Create(store.Doc{Key: AttemptKey(r.ID, a.Number), Body: encode(a)}))
	if err != nil {
		return fmt.Errorf("claiming run %s: %w", r.ID, err)
	}
	claimed.Run = r
	d.afterUpdate(ctx, claimed)
	return d.call(ctx, r, a.Request)
}

// repeatCall commits the claim and sends the stored request of the current attempt once more, byte for byte: ECS
// answers a client token with ConflictException if the request differs from the first one.
func (d *Dispatcher) repeatCall(ctx context.Context, claimed run.Transition, version int64) error {
	r := claimed.Run
	a, _, err := Read[run.Attempt](ctx, d.Store, AttemptKey(r.ID, r.Attempt))
	if err != nil {
		return err
	}
	if err := d.Store.Commit(ctx, store.Update(d.runDoc(r, version))); err != nil {
		return fmt.Errorf("claiming run %s: %w", r.ID, err)
	}
	d.afterUpdate(ctx, claimed)
	return d.call(ctx, r, a.Request)
}

// call sends a request to RunTask, and applies the answer to the run. A refusal for missing capacity or a quota first
// opens the breaker of the capacity type.
func (d *Dispatcher) call(ctx context.Context, r run.Run, request json.RawMessage) error {
	answer, err := d.Launcher.RunTask(ctx, request, r.LastCall.Add(run.CallTimeout))
	if err != nil {
		return fmt.Errorf("launching run %s: %w", r.ID, err)
	}
	attempt, call := r.Attempt, r.Call
	if answer.Refusal != nil && answer.Refusal.Class.OpensBreaker() {
		if err := d.openBreaker(ctx, r.Capacities[r.CapacityIndex]); err != nil {
			return err
		}
	}
	if answer.Refusal != nil {
		log(ctx).Warn().Str("run", r.ID).Int("attempt", attempt).Str("class", string(answer.Refusal.Class)).
			Str("detail", answer.Refusal.Detail).Msg("RunTask refused")
		return d.update(ctx, r.ID, func(r run.Run) run.Transition {
			return r.Refused(attempt, call, *answer.Refusal, !answer.Indefinite, d.retryInputs(), d.Now())
		})
	}
	log(ctx).Info().Str("run", r.ID).Int("attempt", attempt).Str("task", answer.Task.ARN).Msg("task launched")
	seen := run.TaskObservation{ARN: answer.Task.ARN, Call: call}
	if s := answer.Task.LastStatus; s != stopped {
		// The answer to a repeated client token shows only the statuses of a stopped task, and not how it ended. The
		// outcome follows from its event, or from its description.
		seen.Status, seen.Version, seen.Started = s, answer.Task.Version, answer.Task.StartedAt
	}
	return d.applyObservation(ctx, r.ID, attempt, seen)
}

// listTasks asks ECS which tasks an attempt has. It takes the place of a repeated call where that could start a task
// that is not wanted: the run was cancelled, or its client token is too old.
func (d *Dispatcher) listTasks(ctx context.Context, r run.Run) error {
	a, _, err := Read[run.Attempt](ctx, d.Store, AttemptKey(r.ID, r.Attempt))
	if err != nil {
		return err
	}
	var request fargate.Request
	if err := json.Unmarshal(a.Request, &request); err != nil {
		return fmt.Errorf("reading the request of run %s: %w", r.ID, err)
	}
	attempt, asked := r.Attempt, d.Now()
	arns, err := d.Watcher.ListTasks(ctx, request.Cluster, request.StartedBy)
	if err != nil {
		return err
	}
	return d.update(ctx, r.ID, func(r run.Run) run.Transition { return r.Listed(attempt, arns, d.retryInputs(), asked) })
}

// stopped is the lastStatus of a task that has ended.
const stopped = "STOPPED"

// observationOf turns a task, as ECS shows it, into a task observation. For a stopped task it adds the outcome. If the
// container exited with 0, it looks for the declared outputs; a missing one changes the class to output-missing.
func (d *Dispatcher) observationOf(ctx context.Context, t event.Task, spec run.Spec) (run.TaskObservation, error) {
	seen := run.TaskObservation{ARN: t.ARN, Status: t.LastStatus, Version: t.Version, Started: t.StartedAt, Size: t.Size()}
	if t.LastStatus != stopped {
		return seen, nil
	}
	o := fargate.Outcome(t, spec.Task.Container)
	if o.Class == run.ClassSucceeded {
		missing, err := d.missingOutput(ctx, spec)
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
func (d *Dispatcher) missingOutput(ctx context.Context, spec run.Spec) (*model.Object, error) {
	for _, output := range spec.Task.Outputs {
		_, exists, err := d.Objects.Stat(ctx, output.URI)
		if err != nil {
			return nil, fmt.Errorf("looking for output %q: %w", output.Name, err)
		}
		if !exists {
			return &output, nil
		}
	}
	return nil, nil
}
