package dispatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// ErrPermanent is the error that a call of another service wraps if the same call would fail each time.
var ErrPermanent = errors.New("trying again would not help")

// owner identifies the document whose outbox holds an effect.
type owner struct {
	key store.Key
	run string // the id of the run; empty for a document that is no run
}

// ofRun returns the owner of the effects of a run.
func ofRun(id string) owner { return owner{records.RunKey(id), id} }

// outbox carries out effects, and removes them from their documents.
type outbox struct {
	*Options
	perform func(context.Context, owner, run.Effect) error
}

// carryOut carries out effects and removes them from their document. It logs an effect that fails, and leaves it to
// the sweep. It returns no error, because the change that asked for the effects is stored already. It removes an
// effect that can never succeed (ErrPermanent) too, and notes its reason in the outbox.
func (x *outbox) carryOut(ctx context.Context, of owner, effects []run.Pending) {
	var done, failed []int
	var dropped []string
	for _, p := range effects {
		err := x.perform(ctx, of, p.Effect)
		if err != nil && !errors.Is(err, ErrPermanent) {
			log(ctx).Error().Err(err).Str("document", of.key.PK).Str("effect", string(p.Effect.Kind())).Int("tries", p.Tries+1).
				Msg("effect postponed")
			failed = append(failed, p.ID)
			continue
		}
		if err != nil {
			log(ctx).Error().Err(err).Str("document", of.key.PK).Str("effect", string(p.Effect.Kind())).Msg("effect dropped")
			dropped = append(dropped, fmt.Sprintf("%s: %v", p.Effect.Kind(), err))
			if x.Hooks.EffectDropped != nil {
				x.Hooks.EffectDropped(p.Effect)
			}
		}
		done = append(done, p.ID)
	}
	if len(effects) == 0 {
		return
	}
	change := func(box run.Outbox) run.Outbox { return box.Remove(done).Postpone(failed, x.Now()).Drop(dropped...) }
	if err := x.update(ctx, of.key, change); err != nil {
		log(ctx).Error().Err(err).Str("document", of.key.PK).Msg("effects not removed from the outbox")
	}
}

// update changes the outbox of a document, and repeats the change after a conflict.
func (x *outbox) update(ctx context.Context, key store.Key, change func(run.Outbox) run.Outbox) error {
	for {
		doc, err := x.Store.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("reading %s: %w", key, err)
		}
		changed, err := records.ChangeOutbox(doc, change)
		if err != nil {
			return err
		}
		switch err := x.Store.Commit(ctx, store.Update(changed)); {
		case errors.Is(err, store.ErrConflict):
			continue
		case err != nil:
			return fmt.Errorf("removing effects of %s: %w", key, err)
		}
		return nil
	}
}

// perform carries out one effect of a document.
func (d *Dispatcher) perform(ctx context.Context, of owner, e run.Effect) error {
	switch e := e.(type) {
	case run.Enqueue:
		return d.o.Queue.Enqueue(ctx, of.run, max(e.At.Sub(d.o.Now()), 0))
	case run.Wake:
		return d.o.Queue.Wake(ctx, of.run, max(e.At.Sub(d.o.Now()), 0))
	case run.StopTask:
		return d.stopTask(ctx, of.run, e)
	case run.Admit:
		return d.admit(ctx, e)
	case run.CheckBreaker:
		return d.limiter.CheckBreaker(ctx, e.Capacity)
	case run.ReplaceTask:
		return d.limiter.Release(ctx, e.Capacity, 1, run.ReleasedAsReplacement)
	case run.ConfirmProbe:
		return d.limiter.Release(ctx, e.Capacity, 2, run.ReleasedAsProbe)
	case run.StartDownstream:
		return d.startDownstream(ctx, of.run)
	case run.AnnounceRun:
		return d.announcer.announceRun(ctx, of.key, e)
	case run.AnnounceWait:
		return d.announcer.announceWait(ctx, of.key, e)
	case run.AnnounceRejection:
		return d.announcer.announceRejection(ctx, of.key, e)
	case run.AnnouncePause:
		return d.announcer.announcePause(ctx, of.key, e)
	case run.AnnounceOverdue:
		return d.announcer.announceOverdue(ctx, of.key, e)
	}
	return fmt.Errorf("%w: %q; newer code may have stored it", errUnknownEffect, e.Kind())
}

// errUnknownEffect reports that this code cannot carry out an effect. The effect stays in its outbox.
var errUnknownEffect = errors.New("this code does not know the effect")

// forgottenAfter is the time after which a task that ECS does not know counts as stopped. ECS forgets a task one hour
// after it has stopped.
const forgottenAfter = 2 * time.Hour

// stopTask carries out a StopTask effect. If ECS does not know the task, stopTask returns fargate.ErrMissing, so that
// the effect is tried again: ECS may show the task later. It gives up when the task was seen STOPPED. It also gives up
// when the run has ended, unless the task is an orphan and the stop was asked for less than forgottenAfter ago.
func (d *Dispatcher) stopTask(ctx context.Context, id string, e run.StopTask) error {
	err := d.o.Watcher.StopTask(ctx, e.Task, e.Reason)
	if !errors.Is(err, fargate.ErrMissing) {
		return err
	}
	r, _, readErr := records.Read[run.Run](ctx, d.o.Store, records.RunKey(id))
	switch {
	case readErr != nil:
		return readErr
	case slices.Contains(r.StoppedTasks, e.Task):
		return nil
	case r.State.Ended() && (!slices.Contains(r.OrphanTasks, e.Task) || d.o.Now().Sub(e.At) > forgottenAfter):
		return nil
	}
	return err
}

// startDownstream carries out a StartDownstream effect: it accepts the success of a run as an event for the models that run
// after the run's model.
func (d *Dispatcher) startDownstream(ctx context.Context, id string) error {
	r, _, err := records.Read[run.Run](ctx, d.o.Store, records.RunKey(id))
	if err != nil {
		return err
	}
	if !d.o.Routes.HasDownstream(r.Model) {
		return nil
	}
	spec, _, err := records.Read[run.Spec](ctx, d.o.Store, records.SpecKey(id))
	if err != nil {
		return err
	}
	up := event.Upstream{Model: r.Model, Run: id, Inputs: map[string]model.Value{}, Outputs: map[string]string{}}
	m, known := d.o.Catalog.Model(r.Model)
	for _, name := range slices.Sorted(maps.Keys(spec.Inputs)) {
		text := spec.Inputs[name]
		if slices.Contains(spec.ExternalInputs, name) { // the text is a URI: downstream models get the value
			value, err := d.o.Objects.Get(ctx, text)
			if err != nil {
				return fmt.Errorf("reading input %q of run %s: %w", name, id, err)
			}
			text = string(value)
		}
		up.Inputs[name] = model.Text(text)
		if in, declared := m.Input(name); known && declared {
			up.Inputs[name] = model.Value{Type: in.Type, Text: text}
		}
	}
	for _, output := range spec.Task.Outputs {
		up.Outputs[output.Name] = output.URI
	}
	_, err = d.Accept(ctx, event.After(up, r.Ended))
	return err
}
