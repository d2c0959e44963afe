package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// The detail types of the announcements about a model that is paused or resumed.
const (
	AnnouncePaused  = "Model Paused"
	AnnounceResumed = "Model Resumed"
)

// Control is the document of a model that was paused, by a user or by the loop guard, or resumed.
type Control struct {
	Schema   int         `json:"schema"`
	Model    string      `json:"model"`
	Paused   bool        `json:"paused"`
	Reason   string      `json:"reason,omitempty"`   // why the model is paused
	By       string      `json:"by,omitempty"`       // the user of the last pause or resume, or max-launches-per-hour
	At       time.Time   `json:"at,omitzero"`        // the time of the last pause or resume
	Groups   []run.Group `json:"groups,omitempty"`   // the concurrency groups in which runs wait because of the pause
	Sequence int         `json:"sequence,omitempty"` // the number of pauses and resumes so far
	Outbox   run.Outbox  `json:"outbox,omitzero"`
}

// controlKey returns the key of a model's control document.
func controlKey(name string) store.Key { return store.Key{PK: "control/" + name, SK: "-"} }

// maxPausedGroups is the maximum number of groups in Control.Groups. A resume does not admit the waiters of other
// groups; they continue when the sweep checks them, at most half an hour (run.RequeueAfter) later.
const maxPausedGroups = 500

// Control returns the control document of a model and its version. A model that was never paused has none; Control
// then returns an empty document, not paused, with version 0.
func (d *Dispatcher) Control(ctx context.Context, name string) (Control, int64, error) {
	c, version, err := Read[Control](ctx, d.Store, controlKey(name))
	if errors.Is(err, store.ErrNotFound) {
		return Control{Schema: model.Schema, Model: name}, 0, nil
	}
	return c, version, err
}

// controlWrite returns the write of a control document that was read at this version; 0 creates it.
func controlWrite(c Control, version int64) store.Write {
	doc := store.Doc{Key: controlKey(c.Model), Version: version, Body: encode(c), Due: c.Outbox.Next(time.Time{})}
	return store.Write{Doc: doc, IfVersion: version}
}

// Pause pauses a model until Resume is called: its runs that do not have their slot yet get none. A run of a model
// without a concurrency limit then waits as if it needed a slot. Runs that are already queued for launch, waiting for
// capacity or a retry, or running are not affected; use Cancel to stop them. Pause reports whether it changed anything;
// false means that the model is paused already.
func (d *Dispatcher) Pause(ctx context.Context, name, reason, by string) (bool, error) {
	return d.updateControl(ctx, name, func(c Control) Control {
		c.Paused, c.Reason = true, reason
		return c.announce(by, d.Now())
	}, false)
}

// Resume resumes a paused model: its waiting runs are admitted in the order in which they were accepted, and the loop
// guard counts its launches from 0. Resume reports whether it changed anything; false means that the model is not
// paused.
func (d *Dispatcher) Resume(ctx context.Context, name, by string) (bool, error) {
	c, _, err := d.Control(ctx, name)
	if err == nil && c.Paused {
		err = d.resetLaunchCount(ctx, name)
	}
	if err != nil {
		return false, err
	}
	return d.updateControl(ctx, name, func(c Control) Control {
		for _, g := range c.Groups {
			c.Outbox = c.Outbox.Add(run.Admit{Group: g}, d.Now())
		}
		c.Paused, c.Reason, c.Groups = false, "", nil
		return c.announce(by, d.Now())
	}, true)
}

// announce notes who changed the control document, and adds the effect that announces the change.
func (c Control) announce(by string, now time.Time) Control {
	c.By, c.At = by, now
	c.Sequence++
	c.Outbox = c.Outbox.Add(run.AnnouncePause{Paused: c.Paused, Sequence: c.Sequence}, now)
	return c
}

// updateControl changes the control document of a model, and carries out its new effects. It does so only if the state
// of the model, paused or not, equals the argument paused. It reports whether it changed the document.
func (d *Dispatcher) updateControl(ctx context.Context, name string, change func(Control) Control, paused bool) (bool, error) {
	for {
		before, version, err := d.Control(ctx, name)
		if err != nil || before.Paused != paused {
			return false, err
		}
		after := change(before)
		switch err := d.Store.Commit(ctx, controlWrite(after, version)); {
		case errors.Is(err, store.ErrConflict):
			continue
		case err != nil:
			return false, fmt.Errorf("pausing or resuming model %s: %w", name, err)
		}
		d.carryOut(ctx, controlKey(name), after.Outbox.Since(before.Outbox.Last))
		return true, nil
	}
}

// noteIfPaused reports whether a model is paused. If so, it notes the group in the control document first: a later
// resume admits the group's waiters.
func (d *Dispatcher) noteIfPaused(ctx context.Context, name string, g run.Group) (bool, error) {
	c, version, err := d.Control(ctx, name)
	if err != nil || !c.Paused || slices.Contains(c.Groups, g) || len(c.Groups) >= maxPausedGroups {
		return c.Paused, err
	}
	c.Groups = append(c.Groups, g)
	return true, d.Store.Commit(ctx, controlWrite(c, version))
}
