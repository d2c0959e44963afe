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

// The detail types of announcements about a model.
const (
	AnnouncePaused  = "Model Paused"
	AnnounceResumed = "Model Resumed"
)

// Control is the document of what people (or a brake) say about a model.
type Control struct {
	Schema   int        `json:"schema"`
	Model    string     `json:"model"`
	Paused   bool       `json:"paused"`
	Why      string     `json:"why,omitempty"`
	By       string     `json:"by,omitempty"`
	At       time.Time  `json:"at,omitzero"`
	Lines    []string   `json:"lines,omitempty"` // that hold somebody back because of the pause
	Sequence int        `json:"sequence,omitempty"`
	Outbox   run.Outbox `json:"outbox,omitzero"`
}

// controlKey is where what is said about a model is.
func controlKey(name string) store.Key { return store.Key{PK: "control/" + name, SK: "-"} }

// mostLines is how many lines a pause remembers. The runs of further ones are let go when they are
// looked at again, half an hour later at most.
const mostLines = 500

// Control reads what is said about a model.
func (d *Dispatcher) Control(ctx context.Context, name string) (Control, int64, error) {
	c, version, err := Read[Control](ctx, d.Store, controlKey(name))
	if errors.Is(err, store.ErrNotFound) {
		return Control{Schema: model.Schema, Model: name}, 0, nil
	}
	return c, version, err
}

func controlDoc(c Control, version int64) store.Write {
	return store.Write{Doc: store.Doc{Key: controlKey(c.Model), Version: version, Body: encode(c), Due: c.Outbox.Next(time.Time{})}, Was: version}
}

// Pause has no new run of a model launched until it is resumed; those that were launched go on. It says
// whether that changed anything.
func (d *Dispatcher) Pause(ctx context.Context, name, why, by string) (bool, error) {
	return d.control(ctx, name, func(c Control) Control {
		c.Paused, c.Why = true, why
		return c.announce(AnnouncePaused, by, d.Now())
	}, false)
}

// Resume lets the runs of a paused model go, in their order. It says whether that changed anything.
func (d *Dispatcher) Resume(ctx context.Context, name, by string) (bool, error) {
	c, _, err := d.Control(ctx, name)
	if err == nil && c.Paused {
		err = d.release(ctx, name)
	}
	if err != nil {
		return false, err
	}
	return d.control(ctx, name, func(c Control) Control {
		for _, line := range c.Lines {
			c.Outbox = c.Outbox.Add(run.Effect{Kind: run.Admit, Line: line}, d.Now())
		}
		c.Paused, c.Why, c.Lines = false, "", nil
		return c.announce(AnnounceResumed, by, d.Now())
	}, true)
}

func (c Control) announce(what, by string, now time.Time) Control {
	c.By, c.At = by, now
	c.Sequence++
	c.Outbox = c.Outbox.Add(run.Effect{Kind: run.Announce, What: what, Attempt: c.Sequence, Sequence: c.Sequence}, now)
	return c
}

// control changes what is said about a model that is paused, or not.
func (d *Dispatcher) control(ctx context.Context, name string, change func(Control) Control, paused bool) (bool, error) {
	for {
		before, version, err := d.Control(ctx, name)
		if err != nil || before.Paused != paused {
			return false, err
		}
		after := change(before)
		switch err := d.Store.Commit(ctx, controlDoc(after, version)); {
		case errors.Is(err, store.ErrConflict):
			continue
		case err != nil:
			return false, fmt.Errorf("controlling model %s: %w", name, err)
		}
		d.carryOut(ctx, controlKey(name), after.Outbox.Since(before.Outbox.Last))
		return true, nil
	}
}

// held says whether a model is paused, and then notes the line that waits for its resuming: who
// resumes after that has the line admitted.
func (d *Dispatcher) held(ctx context.Context, name, line string) (bool, error) {
	c, version, err := d.Control(ctx, name)
	if err != nil || !c.Paused || slices.Contains(c.Lines, line) || len(c.Lines) >= mostLines {
		return c.Paused, err
	}
	c.Lines = append(c.Lines, line)
	return true, d.Store.Commit(ctx, controlDoc(c, version))
}
