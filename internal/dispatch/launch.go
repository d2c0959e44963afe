package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/limiter"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// Reserve gives a reservation to each run of a batch that is ready to be launched, in the order of the ids. A run that is
// not ready, or cannot be read, gets none. Reserve also pauses the models that the loop guard stops.
func (d *Dispatcher) Reserve(ctx context.Context, ids ...string) (map[string]limiter.Reservation, error) {
	found := make([]run.Run, len(ids))
	d.o.ForEach(len(ids), func(i int) {
		// Launch reports the error of a run that cannot be read.
		if r, _, err := records.Read[run.Run](ctx, d.o.Store, records.RunKey(ids[i])); err == nil && r.CanCall(d.o.Now()) {
			found[i] = r
		}
	})
	var ready []run.Run // without duplicates, in the order of the ids
	for _, r := range found {
		if r.ID != "" && !slices.ContainsFunc(ready, func(other run.Run) bool { return other.ID == r.ID }) {
			ready = append(ready, r)
		}
	}
	if len(ready) == 0 {
		return nil, nil
	}
	reservations, lag, err := d.limiter.Reserve(ctx, ready)
	if err != nil {
		return nil, err
	}
	if d.o.Hooks.LaunchLag != nil {
		d.o.Hooks.LaunchLag(lag)
	}
	return reservations, d.pauseLooping(ctx, ready, reservations)
}

// pauseLooping pauses the models that the loop guard has stopped: most likely they start themselves.
func (d *Dispatcher) pauseLooping(ctx context.Context, ready []run.Run, reservations map[string]limiter.Reservation) error {
	for _, r := range ready {
		if !reservations[r.ID].Looping {
			continue
		}
		reason := fmt.Sprintf("it was launched %d times in one clock hour, which looks like a loop; "+
			"if it is not one, raise max-launches-per-hour, and resume the model", d.limiter.MaxLaunchesPerHour(r.Model))
		if _, err := d.Pause(ctx, r.Model, reason, "max-launches-per-hour"); err != nil {
			return err
		}
	}
	return nil
}

// Launch does what a reservation says for a run: it launches the run, makes it wait until its time has come, or holds
// it at an open breaker or by the loop guard. The reservation comes from Reserve, and is zero if Reserve gave none.
// Launch may be called for any run at any time, and by several callers at once: only the caller that claims the run
// calls RunTask. It returns store.ErrNotFound for an unknown run.
func (d *Dispatcher) Launch(ctx context.Context, id string, reservation limiter.Reservation) error {
	switch now := d.o.Now(); {
	case reservation.Looping:
		return d.runs.update(ctx, id, func(r run.Run) run.Transition { return r.DelayByLoopGuard(now) })
	case reservation.WaitFor != "":
		return d.runs.update(ctx, id, func(r run.Run) run.Transition { return r.WaitAtBreaker(reservation.WaitFor, now) })
	case now.Before(reservation.At):
		return d.runs.update(ctx, id, func(r run.Run) run.Transition { return r.Reserve(reservation.At, now) })
	}
	spec, _, err := records.Read[run.Spec](ctx, d.o.Store, records.SpecKey(id))
	if err != nil {
		return err
	}
	for {
		err := d.launcher.try(ctx, id, spec, reservation)
		// After a conflict the run is read again, and decides again: perhaps another caller only removed an effect.
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// launcher makes the RunTask calls of runs.
type launcher struct {
	*Options
	runs    *runs
	limiter *limiter.Limiter
	tasks   tasks
}

// try claims a run and does the step that the claim asks for. It returns store.ErrConflict if another caller
// changed the run meanwhile.
func (l launcher) try(ctx context.Context, id string, spec run.Spec, reservation limiter.Reservation) error {
	r, version, err := records.Read[run.Run](ctx, l.Store, records.RunKey(id))
	if err != nil {
		return err
	}
	claimed := r.Claim(l.Now())
	if reservation.At.IsZero() && claimed.Kind != run.Ignored {
		return errNoReservation
	}
	switch {
	case claimed.Kind == run.AttemptStarted:
		claimed.Run.CapacityIndex = reservation.CapacityIndex
		return l.newAttempt(ctx, claimed, spec, version)
	case claimed.Kind == run.CallRepeated:
		return l.repeatCall(ctx, claimed, version)
	case r.MustList(l.Now()):
		return l.listTasks(ctx, r)
	}
	return nil
}

// errNoReservation reports that a run became ready after Reserve was called for its batch. SQS delivers the message of
// the run again, and Reserve then gives the run a reservation.
var errNoReservation = errors.New("the run became ready after the reservations of its batch were made")

// newAttempt builds the request of a new attempt, commits it together with the claim, and only then sends it.
func (l launcher) newAttempt(ctx context.Context, claimed run.Transition, spec run.Spec, version int64) error {
	r := claimed.Run
	if r.Definition == "" {
		definition, err := l.Launcher.Definition(ctx, spec.Task.Family, spec.Task.Container)
		if err != nil {
			return err
		}
		r.Definition, r.ContainerMemoryMiB, r.AWSVPC = definition.ARN, definition.ContainerMemoryMiB, definition.AWSVPC
	}
	request := fargate.NewRequest(spec.Task, fargate.Launch{
		Deployment: l.Deployment, Run: r.ID, Attempt: r.Attempt, Definition: r.Definition, AWSVPC: r.AWSVPC,
		Capacity: r.Capacities[r.CapacityIndex], Placement: l.Placement, Size: r.Size, ContainerMemoryMiB: r.ContainerMemoryMiB,
	})
	a := run.Attempt{
		Schema: model.Schema, Number: r.Attempt, Token: request.ClientToken, Request: records.Encode(request), FirstCall: r.FirstCall,
	}
	err := l.Store.Commit(ctx,
		store.Update(records.RunDoc(r, version, l.Retention)),
		store.Create(records.AttemptDoc(r.ID, a, 0, l.Retention)))
	if err != nil {
		return fmt.Errorf("claiming run %s: %w", r.ID, err)
	}
	claimed.Run = r
	l.runs.tell(ctx, claimed)
	return l.call(ctx, r, a.Request)
}

// repeatCall commits the claim and sends the stored request of the current attempt once more, byte for byte: ECS
// answers a client token with ConflictException if the request differs from the first one.
func (l launcher) repeatCall(ctx context.Context, claimed run.Transition, version int64) error {
	r := claimed.Run
	a, _, err := records.Read[run.Attempt](ctx, l.Store, records.AttemptKey(r.ID, r.Attempt))
	if err != nil {
		return err
	}
	if err := l.Store.Commit(ctx, store.Update(records.RunDoc(r, version, l.Retention))); err != nil {
		return fmt.Errorf("claiming run %s: %w", r.ID, err)
	}
	l.runs.tell(ctx, claimed)
	return l.call(ctx, r, a.Request)
}

// call sends a request to RunTask, and applies the answer to the run. A refusal for missing capacity or a quota first
// opens the breaker of the capacity type.
func (l launcher) call(ctx context.Context, r run.Run, request json.RawMessage) error {
	answer, err := l.Launcher.RunTask(ctx, request, r.LastCall.Add(run.CallTimeout))
	if err != nil {
		return fmt.Errorf("launching run %s: %w", r.ID, err)
	}
	attempt, call := r.Attempt, r.Call
	if answer.Refusal != nil && answer.Refusal.Class.OpensBreaker() {
		if err := l.limiter.OpenBreaker(ctx, r.Capacities[r.CapacityIndex]); err != nil {
			return err
		}
	}
	if answer.Refusal != nil {
		log(ctx).Warn().Str("run", r.ID).Int("attempt", attempt).Str("class", string(answer.Refusal.Class)).
			Str("detail", answer.Refusal.Detail).Msg("RunTask refused")
		return l.runs.update(ctx, r.ID, func(r run.Run) run.Transition {
			return r.Refused(attempt, call, *answer.Refusal, !answer.Indefinite, l.retryInputs(), l.Now())
		})
	}
	log(ctx).Info().Str("run", r.ID).Int("attempt", attempt).Str("task", answer.Task.ARN).Msg("task launched")
	seen := run.TaskObservation{ARN: answer.Task.ARN, Call: call}
	if s := answer.Task.LastStatus; s != event.TaskStopped {
		// The answer to a repeated client token shows only the statuses of a stopped task, and not how it ended. The
		// outcome follows from its event, or from its description.
		seen.Status, seen.Running, seen.Version, seen.Started = s, s == event.TaskRunning, answer.Task.Version, answer.Task.StartedAt
	}
	return l.tasks.apply(ctx, r.ID, attempt, seen)
}

// listTasks asks ECS which tasks an attempt has. It takes the place of a repeated call where that could start a task
// that is not wanted: the run was cancelled, or its client token is too old.
func (l launcher) listTasks(ctx context.Context, r run.Run) error {
	a, _, err := records.Read[run.Attempt](ctx, l.Store, records.AttemptKey(r.ID, r.Attempt))
	if err != nil {
		return err
	}
	var request fargate.Request
	if err := json.Unmarshal(a.Request, &request); err != nil {
		return fmt.Errorf("reading the request of run %s: %w", r.ID, err)
	}
	attempt, asked := r.Attempt, l.Now()
	arns, err := l.Watcher.ListTasks(ctx, request.Cluster, request.StartedBy)
	if err != nil {
		return err
	}
	return l.runs.update(ctx, r.ID, func(r run.Run) run.Transition { return r.Listed(attempt, arns, l.retryInputs(), asked) })
}
