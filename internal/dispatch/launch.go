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

// Launch launches a run if it is its turn, which Turns has given to those who need one. It may be called for
// any run at any time, and by several callers at once: only who claims the run calls RunTask.
func (d *Dispatcher) Launch(ctx context.Context, id string, t Turn) error {
	switch now := d.Now(); {
	case t.Braked:
		return d.move(ctx, id, func(r run.Run) (run.Run, bool) { return r.Brake(now) })
	case t.Gate != "":
		return d.move(ctx, id, func(r run.Run) (run.Run, bool) { return r.Hold(t.Gate, now) })
	case now.Before(t.At):
		return d.move(ctx, id, func(r run.Run) (run.Run, bool) { return r.Postpone(t.At, now) })
	}
	spec, _, err := Read[run.Spec](ctx, d.Store, SpecKey(id))
	if err != nil {
		return err
	}
	for {
		err := d.tryLaunch(ctx, id, spec, t)
		// A conflict may only be an effect that was struck out meanwhile: the run, read again,
		// says whether there is still something to claim.
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

func (d *Dispatcher) tryLaunch(ctx context.Context, id string, spec run.Spec, t Turn) error {
	r, version, err := Read[run.Run](ctx, d.Store, RunKey(id))
	if err != nil {
		return err
	}
	claimed, step := r.Claim(d.Now())
	if t.At.IsZero() && (step == run.First || step == run.Again) {
		return errNoTurn
	}
	switch step {
	case run.First:
		claimed.Capacity = t.Capacity
		return d.launchFirst(ctx, r, claimed, spec, version)
	case run.Again:
		return d.launchAgain(ctx, r, claimed, version)
	case run.List:
		return d.list(ctx, r)
	}
	return nil
}

// errNoTurn says that a run became ready after the turns of its batch were given.
var errNoTurn = errors.New("it has no turn yet")

// launchFirst makes the request of a new attempt, stores it, and only then sends it.
func (d *Dispatcher) launchFirst(ctx context.Context, before, r run.Run, spec run.Spec, version int64) error {
	if r.Definition == "" {
		definition, err := d.Launcher.Definition(ctx, spec.Task.Family, spec.Task.Container)
		if err != nil {
			return err
		}
		r.Definition, r.Limit, r.AWSVPC = definition.ARN, definition.Limit, definition.AWSVPC
	}
	request := fargate.NewRequest(spec.Task, fargate.Launch{
		Deployment: d.Deployment, Run: r.ID, Attempt: r.Attempt, Definition: r.Definition, AWSVPC: r.AWSVPC,
		Capacity: r.Capacities[r.Capacity], Placement: d.Placement, Size: r.Size, Limit: r.Limit,
	})
	a := run.Attempt{Schema: model.Schema, Number: r.Attempt, Token: request.ClientToken, Request: encode(request), FirstCall: r.FirstCall}
	err := d.Store.Commit(ctx,
		store.Update(d.runDoc(r, version)),
		store.Create(store.Doc{Key: AttemptKey(r.ID, a.Number), Body: encode(a)}))
	if err != nil {
		return fmt.Errorf("claiming run %s: %w", r.ID, err)
	}
	d.moved(ctx, before, r)
	return d.call(ctx, r, a.Request)
}

// launchAgain sends the stored request of the current attempt once more.
func (d *Dispatcher) launchAgain(ctx context.Context, before, r run.Run, version int64) error {
	a, _, err := Read[run.Attempt](ctx, d.Store, AttemptKey(r.ID, r.Attempt))
	if err != nil {
		return err
	}
	if err := d.Store.Commit(ctx, store.Update(d.runDoc(r, version))); err != nil {
		return fmt.Errorf("claiming run %s: %w", r.ID, err)
	}
	d.moved(ctx, before, r)
	return d.call(ctx, r, a.Request)
}

// call sends a request and takes the answer.
func (d *Dispatcher) call(ctx context.Context, r run.Run, request json.RawMessage) error {
	answer, err := d.Launcher.RunTask(ctx, request, r.LastCall.Add(run.CallTime))
	if err != nil {
		return fmt.Errorf("launching run %s: %w", r.ID, err)
	}
	attempt, call := r.Attempt, r.Call
	if answer.Refusal != nil && answer.Refusal.Class.NoPlace() {
		if err := d.closeGate(ctx, r.Capacities[r.Capacity]); err != nil {
			return err
		}
	}
	if answer.Refusal != nil {
		log(ctx).Warn().Str("run", r.ID).Int("attempt", attempt).Str("class", string(answer.Refusal.Class)).Str("detail", answer.Refusal.Detail).Msg("RunTask refused")
		return d.move(ctx, r.ID, func(r run.Run) (run.Run, bool) {
			return r.Refused(attempt, call, *answer.Refusal, !answer.Indefinite, d.plan(), d.Now())
		})
	}
	log(ctx).Info().Str("run", r.ID).Int("attempt", attempt).Str("task", answer.Task.ARN).Msg("task launched")
	seen := run.Sighting{ARN: answer.Task.ARN, Call: call}
	if s := answer.Task.LastStatus; s != stopped {
		// An answer to a token that is sent again does not say how a task has ended: that is said
		// by its event, or when it is described.
		seen.Status, seen.Version, seen.Started = s, answer.Task.Version, answer.Task.StartedAt
	}
	return d.observed(ctx, r.ID, attempt, seen)
}

// list asks ECS which tasks an attempt has, where calling again could start a second one.
func (d *Dispatcher) list(ctx context.Context, r run.Run) error {
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
	return d.move(ctx, r.ID, func(r run.Run) (run.Run, bool) { return r.Listed(attempt, arns, d.plan(), asked) })
}

// stopped is ECS's last status of a task.
const stopped = "STOPPED"

// sighting turns what ECS says of a task into what the run is told: a stopped task has its
// outcome, for which the declared outputs are looked for.
func (d *Dispatcher) sighting(ctx context.Context, t event.Task, spec run.Spec) (run.Sighting, error) {
	s := run.Sighting{ARN: t.ARN, Status: t.LastStatus, Version: t.Version, Started: t.StartedAt, Size: t.Size()}
	if t.LastStatus != stopped {
		return s, nil
	}
	o := fargate.Outcome(t, spec.Task.Container)
	if o.Class == run.OK {
		missing, err := d.missing(ctx, spec)
		if err != nil {
			return s, err
		}
		if missing != nil {
			o.Class, o.Detail = run.OutputMissing, fmt.Sprintf("exit code 0, but output %q is not there: %s", missing.Name, missing.URI)
		}
	}
	s.Outcome = &o
	return s, nil
}

// missing is the first declared output that is not there.
func (d *Dispatcher) missing(ctx context.Context, spec run.Spec) (*model.Object, error) {
	for _, output := range spec.Task.Outputs {
		_, there, err := d.Objects.Find(ctx, output.URI)
		if err != nil {
			return nil, fmt.Errorf("looking for output %q: %w", output.Name, err)
		}
		if !there {
			return &output, nil
		}
	}
	return nil, nil
}
