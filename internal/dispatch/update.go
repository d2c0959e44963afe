package dispatch

import (
	"context"
	"errors"
	"fmt"

	"modeldispatch/internal/groups"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// runs applies inputs to stored runs. It stores each change of a run together with the documents that change with it, and
// carries out the effects afterwards.
type runs struct {
	*Options
	outbox       *outbox
	expectations expectations
}

// update applies an input to a run, stores the result and carries out its effects. After a conflict it reads the run
// again and repeats the input. It stores nothing if the run ignores the input.
func (u *runs) update(ctx context.Context, id string, input func(run.Run) run.Transition) error {
	for {
		err := u.TryUpdate(ctx, id, input)
		switch {
		case errors.Is(err, store.ErrConflict):
			continue
		case errors.Is(err, run.ErrIgnored):
			return nil
		}
		return err
	}
}

// TryUpdate applies an input to a run, and stores the result in one commit with more writes. It returns run.ErrIgnored
// if the run ignores the input, and store.ErrConflict if another caller changed a document meanwhile.
func (u *runs) TryUpdate(ctx context.Context, id string, input func(run.Run) run.Transition, more ...store.Write) error {
	before, version, err := records.Read[run.Run](ctx, u.Store, records.RunKey(id))
	if err != nil {
		return err
	}
	t := input(before)
	if t.Kind == run.Ignored {
		return fmt.Errorf("run %s: %w", id, run.ErrIgnored)
	}
	if err := u.store(ctx, before, t, version, more...); err != nil {
		return err
	}
	u.follow(ctx, t)
	return nil
}

// store stores a transition of a run together with the other documents that change with it, in one commit. The version
// is the one at which the run was read, and 0 for a new run.
func (u *runs) store(ctx context.Context, before run.Run, t run.Transition, version int64, more ...store.Write) error {
	writes, err := u.writes(ctx, before, t, version)
	if err != nil {
		return err
	}
	if err := u.Store.Commit(ctx, append(writes, more...)...); err != nil {
		return fmt.Errorf("updating run %s: %w", t.Run.ID, err)
	}
	return nil
}

// follow tells of a transition that is stored, and carries out its effects.
func (u *runs) follow(ctx context.Context, t run.Transition) {
	u.tell(ctx, t)
	u.outbox.carryOut(ctx, ofRun(t.Run.ID), t.Effects)
}

// writes returns the writes of a transition: the run itself, the documents of what it waits for, the slot that it gives
// back, the expectation of its model, the attempt that was closed, and at the end of the run the expiry of its spec.
func (u *runs) writes(ctx context.Context, before run.Run, t run.Transition, version int64) ([]store.Write, error) {
	writes := append([]store.Write{store.Update(records.RunDoc(t.Run, version, u.Retention))}, waiterWrites(before, t.Run)...)
	for _, more := range []func(context.Context, run.Run, run.Transition) ([]store.Write, error){
		u.slotWrites, u.objectWrites, u.expectationWrites, u.specWrites, u.attemptWrites,
	} {
		some, err := more(ctx, before, t)
		if err != nil {
			return nil, err
		}
		writes = append(writes, some...)
	}
	return writes, nil
}

// isWaiter reports whether a run waits for a slot or for capacity.
func isWaiter(r run.Run) bool { return r.WaitingFor == run.ForSlot || r.WaitingFor == run.ForCapacity }

// waiterWrites returns the writes for a run that starts or stops waiting for a slot or for capacity.
func waiterWrites(before, after run.Run) []store.Write {
	var writes []store.Write
	if before.WaitingFor == after.WaitingFor {
		return nil
	}
	if isWaiter(before) {
		writes = append(writes, store.Remove(records.WaiterDoc(before)))
	}
	if isWaiter(after) {
		writes = append(writes, store.Create(records.WaiterDoc(after)))
	}
	return writes
}

// slotWrites returns the write that gives back the slot of a run that has ended.
func (u *runs) slotWrites(ctx context.Context, before run.Run, t run.Transition) ([]store.Write, error) {
	if !t.Run.State.Ended() || t.Run.Group == (run.Group{}) || before.WaitingFor == run.ForSlot {
		return nil, nil
	}
	return groups.Leave(ctx, u.Store, t.Run, u.Retention)
}

// objectWrites returns the writes for a run that starts or stops waiting for objects. The acceptance of a run has them
// with the run's spec, which is not stored yet.
func (u *runs) objectWrites(ctx context.Context, before run.Run, t run.Transition) ([]store.Write, error) {
	waitsNow, waitedBefore := t.Run.WaitingFor == run.ForObjects, before.WaitingFor == run.ForObjects
	if waitsNow == waitedBefore || t.Kind == run.Accepted {
		return nil, nil
	}
	spec, _, err := records.Read[run.Spec](ctx, u.Store, records.SpecKey(t.Run.ID))
	if err != nil {
		return nil, err
	}
	return awaitWrites(spec, waitedBefore), nil
}

// expectationWrites returns the write that notes the success of a run in its model's expectation.
func (u *runs) expectationWrites(ctx context.Context, _ run.Run, t run.Transition) ([]store.Write, error) {
	m, known := u.Catalog.Model(t.Run.Model)
	if !t.Ended || t.Run.State != run.Succeeded || !known || m.Policy.Expect == nil {
		return nil, nil
	}
	return u.expectations.success(ctx, m, t.Run.ID)
}

// specWrites returns the write that lets the spec of a run that has ended expire.
func (u *runs) specWrites(ctx context.Context, _ run.Run, t run.Transition) ([]store.Write, error) {
	if !t.Ended {
		return nil, nil
	}
	spec, err := u.Store.Get(ctx, records.SpecKey(t.Run.ID))
	if err != nil {
		return nil, err
	}
	spec.Expires = u.Retention.Since(t.Run.Ended)
	return []store.Write{store.Update(spec)}, nil
}

// attemptWrites returns the write of the attempt that a transition has closed.
func (u *runs) attemptWrites(ctx context.Context, before run.Run, t run.Transition) ([]store.Write, error) {
	if before.Closed || !t.Run.Closed || before.Attempt == 0 {
		return nil, nil
	}
	a, version, err := records.Read[run.Attempt](ctx, u.Store, records.AttemptKey(t.Run.ID, t.Run.Attempt))
	if err != nil {
		return nil, err
	}
	a.Task, a.Outcome, a.Started, a.Ended = t.Run.Task.ARN, t.Run.Outcome, t.Run.Task.Started, u.Now()
	return []store.Write{store.Update(records.AttemptDoc(t.Run.ID, a, version, u.Retention))}, nil
}

// tell calls the hook for a transition that is stored, and logs it. It does not log that a run was only looked at.
func (u *runs) tell(ctx context.Context, t run.Transition) {
	if u.Hooks.Transitioned != nil {
		u.Hooks.Transitioned(t)
	}
	switch t.Kind {
	case run.TaskObserved, run.Repeated, run.Postponed, run.Reserved:
		return
	}
	entry := log(ctx).Info().Str("run", t.Run.ID).Str("model", t.Run.Model).Int("attempt", t.Run.Attempt).
		Str("transition", string(t.Kind)).Str("state", string(t.Run.State))
	if t.Class != "" {
		entry = entry.Str("class", string(t.Class)).Str("detail", t.Run.Outcome.Detail)
	}
	entry.Msg("run changed")
}
