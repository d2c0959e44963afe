package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"modeldispatch/internal/groups"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// maxPausedGroups is the maximum number of groups in Control.Groups. A resume does not admit the waiters of other
// groups; they continue when the sweep checks them, at most half an hour (run.RequeueAfter) later.
const maxPausedGroups = 500

// Pause pauses a model until Resume is called: its runs that do not have their slot yet get none. A run of a model
// without a concurrency limit then waits as if it needed a slot. Runs that are already queued for launch, waiting for
// capacity or a retry, or running are not affected; use Cancel to stop them. Pause reports whether it changed anything;
// false means that the model is paused already.
func (d *Dispatcher) Pause(ctx context.Context, name, reason, by string) (bool, error) {
	return d.pauses.update(ctx, name, false, func(c records.Control) records.Control {
		c.Paused, c.Reason = true, reason
		return d.pauses.note(c, by)
	})
}

// Resume resumes a paused model: its waiting runs are admitted in the order in which they were accepted, and the loop
// guard counts its launches from 0. Resume reports whether it changed anything; false means that the model is not
// paused.
func (d *Dispatcher) Resume(ctx context.Context, name, by string) (bool, error) {
	c, err := d.Control(ctx, name)
	if err == nil && c.Paused {
		err = d.limiter.ResetLaunchCount(ctx, name)
	}
	if err != nil {
		return false, err
	}
	return d.pauses.update(ctx, name, true, func(c records.Control) records.Control {
		for _, g := range c.Groups {
			c.Outbox = c.Outbox.Add(run.Admit{Group: g}, d.o.Now())
		}
		c.Paused, c.Reason, c.Groups = false, "", nil
		return d.pauses.note(c, by)
	})
}

// Control returns the control document of a model. It is not paused for a model that was never paused.
func (d *Dispatcher) Control(ctx context.Context, name string) (records.Control, error) {
	c, _, err := records.ReadControl(ctx, d.o.Store, name)
	return c, err
}

// pauses keeps which models are paused.
type pauses struct {
	*Options
	outbox *outbox
}

// note notes who changed a control document, and adds the effect that announces the change.
func (p pauses) note(c records.Control, by string) records.Control {
	c.By, c.At = by, p.Now()
	c.Sequence++
	c.Outbox = c.Outbox.Add(run.AnnouncePause{Paused: c.Paused, Sequence: c.Sequence}, p.Now())
	return c
}

// update changes the control document of a model, and carries out its new effects. It does so only if the state of the
// model, paused or not, equals the argument paused. It reports whether it changed the document.
func (p pauses) update(ctx context.Context, name string, paused bool, change func(records.Control) records.Control) (bool, error) {
	for {
		before, version, err := records.ReadControl(ctx, p.Store, name)
		if err != nil || before.Paused != paused {
			return false, err
		}
		after := change(before)
		switch err := p.Store.Commit(ctx, after.Write(version)); {
		case errors.Is(err, store.ErrConflict):
			continue
		case err != nil:
			return false, fmt.Errorf("pausing or resuming model %s: %w", name, err)
		}
		p.outbox.carryOut(ctx, owner{key: records.ControlKey(name)}, after.Outbox.Since(before.Outbox.Last))
		return true, nil
	}
}

// NoteIfPaused reports whether a model is paused. If so, it notes the group in the control document first: a later
// resume admits the group's waiters.
func (p pauses) NoteIfPaused(ctx context.Context, name string, g run.Group) (bool, error) {
	c, version, err := records.ReadControl(ctx, p.Store, name)
	if err != nil || !c.Paused || slices.Contains(c.Groups, g) || len(c.Groups) >= maxPausedGroups {
		return c.Paused, err
	}
	c.Groups = append(c.Groups, g)
	return true, p.Store.Commit(ctx, c.Write(version))
}

// admit carries out an Admit effect: it grants the free slots of a concurrency group.
func (d *Dispatcher) admit(ctx context.Context, e run.Admit) error {
	return groups.New(groups.Options{
		Store: d.o.Store, Runs: d.runs, Pauses: d.pauses, Catalog: d.o.Catalog, Now: d.o.Now,
	}).Admit(ctx, e.Group)
}
