package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/fargate"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// ErrPermanent is the error that a call of another service wraps if the same call would fail each time.
var ErrPermanent = errors.New("trying again would not help")

// carryOut carries out effects and removes them from their document. It logs an effect that fails, and leaves it to
// the sweep. It returns no error, because the change that asked for the effects is stored already. It removes an
// effect that can never succeed (ErrPermanent) too, and notes its reason in the outbox.
func (d *Dispatcher) carryOut(ctx context.Context, key store.Key, effects []run.Pending) {
	var done, failed []int
	var dropped []string
	for _, e := range effects {
		err := d.carryOutOne(ctx, key, e.Effect)
		if err != nil && !errors.Is(err, ErrPermanent) {
			log(ctx).Error().Err(err).Str("document", key.PK).Str("effect", string(e.Effect.Kind())).Int("tries", e.Tries+1).
				Msg("effect postponed")
			failed = append(failed, e.ID)
			continue
		}
		if err != nil {
			log(ctx).Error().Err(err).Str("document", key.PK).Str("effect", string(e.Effect.Kind())).Msg("effect dropped")
			dropped = append(dropped, fmt.Sprintf("%s: %v", e.Effect.Kind(), err))
			if d.Hooks.EffectDropped != nil {
				d.Hooks.EffectDropped(e.Effect)
			}
		}
		done = append(done, e.ID)
	}
	if len(effects) == 0 {
		return
	}
	if err := d.removeEffects(ctx, key, done, failed, dropped); err != nil {
		log(ctx).Error().Err(err).Str("document", key.PK).Msg("effects not removed from the outbox")
	}
}

// carryOutOne carries out one effect of the document with this key.
func (d *Dispatcher) carryOutOne(ctx context.Context, key store.Key, e run.Effect) error {
	id := strings.TrimPrefix(key.PK, "run/")
	switch e := e.(type) {
	case run.Enqueue:
		return d.Queue.Enqueue(ctx, id, max(e.At.Sub(d.Now()), 0))
	case run.Wake:
		return d.Queue.Wake(ctx, id, max(e.At.Sub(d.Now()), 0))
	case run.StopTask:
		return d.stopTask(ctx, id, e)
	case run.Admit:
		return d.Admit(ctx, e.Group)
	case run.CheckBreaker:
		return d.checkBreaker(ctx, e.Capacity)
	case run.ReplaceTask:
		return d.releaseWaiters(ctx, e.Capacity, 1, run.ReleasedAsReplacement)
	case run.ConfirmProbe:
		return d.releaseWaiters(ctx, e.Capacity, 2, run.ReleasedAsProbe)
	case run.StartDownstream:
		return d.startDownstream(ctx, id)
	case run.AnnounceRun:
		return d.announce(ctx, func() (Announcement, error) { return d.runAnnouncement(ctx, key, e) })
	case run.AnnounceRejection:
		return d.announce(ctx, func() (Announcement, error) { return d.rejection(ctx, key, e) })
	case run.AnnouncePause:
		return d.announce(ctx, func() (Announcement, error) { return d.pauseAnnouncement(ctx, key, e) })
	case run.AnnounceOverdue:
		return d.announce(ctx, func() (Announcement, error) { return d.overdue(ctx, key, e) })
	}
	return fmt.Errorf("this code does not know the effect %q: newer code may have written it", e.Kind())
}

// forgottenAfter is the time after which a task that ECS does not know counts as stopped. ECS forgets a task one hour
// after it has stopped.
const forgottenAfter = 2 * time.Hour

// stopTask carries out a StopTask effect. If ECS does not know the task, stopTask returns fargate.ErrMissing, so that
// the effect is tried again: ECS may show the task later. It gives up when the task was seen STOPPED. It also gives up
// when the run has ended, unless the task is an orphan and the stop was asked for less than forgottenAfter ago.
func (d *Dispatcher) stopTask(ctx context.Context, id string, e run.StopTask) error {
	err := d.Watcher.StopTask(ctx, e.Task, e.Reason)
	if !errors.Is(err, fargate.ErrMissing) {
		return err
	}
	r, _, readErr := Read[run.Run](ctx, d.Store, RunKey(id))
	switch {
	case readErr != nil:
		return readErr
	case slices.Contains(r.StoppedTasks, e.Task):
		return nil
	case r.State.Ended() && (!slices.Contains(r.OrphanTasks, e.Task) || d.Now().Sub(e.At) > forgottenAfter):
		return nil
	}
	return err
}

// removeEffects updates the outbox of a document: it removes the effects that are done, postpones the failed ones, and
// notes the reasons of the dropped ones. The effects are given by their ids.
func (d *Dispatcher) removeEffects(ctx context.Context, key store.Key, done, failed []int, dropped []string) error {
	for {
		doc, err := d.Store.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("reading %s: %w", key, err)
		}
		changed, err := d.withoutEffects(doc, done, failed, dropped)
		if err != nil {
			return err
		}
		switch err := d.Store.Commit(ctx, store.Update(changed)); {
		case errors.Is(err, store.ErrConflict):
			continue
		case err != nil:
			return fmt.Errorf("removing effects of %s: %w", key, err)
		}
		return nil
	}
}

// withoutEffects returns the document with the changes that removeEffects makes to its outbox.
func (d *Dispatcher) withoutEffects(doc store.Doc, done, failed []int, dropped []string) (store.Doc, error) {
	outbox, err := outboxOf(doc)
	if err != nil {
		return doc, err
	}
	outbox = outbox.Remove(done).Postpone(failed, d.Now()).Drop(dropped...)
	switch kindOf(doc.Key) {
	case "run":
		var r run.Run
		err = Decode(doc, &r)
		r.Outbox = outbox
		return d.runDoc(r, doc.Version), err
	case "control":
		var c Control
		err = Decode(doc, &c)
		c.Outbox = outbox
		return controlWrite(c, doc.Version).Doc, err
	case "expect":
		var x Expectation
		err = Decode(doc, &x)
		x.Outbox = outbox
		return expectationWrite(x, doc.Version).Doc, err
	}
	var r EventRecord
	err = Decode(doc, &r)
	r.Outbox = outbox
	return d.recordDoc(doc.Key, r, doc.Version), err
}

// kindOf returns the kind of the document with this key: the first part of its partition key, for example run.
func kindOf(key store.Key) string {
	kind, _, _ := strings.Cut(key.PK, "/")
	return kind
}

// outboxOf returns the outbox of a document of any kind.
func outboxOf(doc store.Doc) (run.Outbox, error) {
	var has struct {
		Schema int
		Outbox run.Outbox
	}
	err := Decode(doc, &has)
	return has.Outbox, err
}

// announce emits an announcement, unless there is nothing to announce any more.
func (d *Dispatcher) announce(ctx context.Context, build func() (Announcement, error)) error {
	a, err := build()
	if err != nil || a.DetailType == "" {
		return err
	}
	if err := d.Bus.Announce(ctx, a); err != nil {
		return fmt.Errorf("announcing %s: %w", a.DetailType, err)
	}
	if d.Hooks.Announced != nil {
		d.Hooks.Announced(a)
	}
	return nil
}
