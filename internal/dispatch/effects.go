package dispatch

import (
	"cmp"
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

// ErrPermanent is wrapped by the error of a call that would fail each time.
var ErrPermanent = errors.New("trying again would not help")

// carryOut does effects and strikes them out of their document. What cannot be done now stays
// there for the sweep, so it is logged and not an error: whoever called has done its part. What never can be
// done is struck out with its reason.
func (d *Dispatcher) carryOut(ctx context.Context, key store.Key, effects []run.Effect) {
	var done, failed []int
	var dropped []string
	for _, e := range effects {
		err := d.do(ctx, key, e)
		if errors.Is(err, ErrPermanent) {
			log(ctx).Error().Err(err).Str("document", key.PK).Str("effect", string(e.Kind)).Msg("effect dropped")
			dropped = append(dropped, fmt.Sprintf("%s %s: %v", e.Kind, cmp.Or(e.What, e.Line, e.Task), err))
			if d.Notice.Dropped != nil {
				d.Notice.Dropped(e)
			}
		} else if err != nil {
			log(ctx).Error().Err(err).Str("document", key.PK).Str("effect", string(e.Kind)).Int("tries", e.Tries+1).Msg("effect postponed")
			failed = append(failed, e.ID)
			continue
		}
		done = append(done, e.ID)
	}
	if len(effects) == 0 {
		return
	}
	if err := d.strike(ctx, key, done, failed, dropped); err != nil {
		log(ctx).Error().Err(err).Str("document", key.PK).Msg("effects not struck out")
	}
}

func (d *Dispatcher) do(ctx context.Context, key store.Key, e run.Effect) error {
	id := strings.TrimPrefix(key.PK, "run/")
	switch e.Kind {
	case run.Enqueue:
		return d.Queue.Enqueue(ctx, id, max(e.At.Sub(d.Now()), 0))
	case run.Wake:
		return d.Queue.Wake(ctx, id, max(e.At.Sub(d.Now()), 0))
	case run.StopTask:
		return d.stopTask(ctx, id, e)
	case run.Announce:
		return d.announce(ctx, key, e)
	case run.Admit:
		if strings.HasPrefix(e.Line, "gate/") {
			return d.atGate(ctx, e)
		}
		return d.Admit(ctx, e.Line)
	case run.Downstream:
		return d.downstream(ctx, id)
	}
	return fmt.Errorf("effect %q is not known to this code", e.Kind)
}

// gone is after how long a task that ECS does not know is taken for gone: it forgets a task an hour after that has stopped.
const gone = 2 * time.Hour

// stopTask stops a task. One that ECS does not know is told again, as ECS may only not show it, until it was seen stopped, or
// the run has ended and nothing more is known of it.
func (d *Dispatcher) stopTask(ctx context.Context, id string, e run.Effect) error {
	err := d.Watcher.StopTask(ctx, e.Task, e.Reason)
	if !errors.Is(err, fargate.ErrMissing) {
		return err
	}
	r, _, readErr := Read[run.Run](ctx, d.Store, RunKey(id))
	switch {
	case readErr != nil:
		return readErr
	case slices.Contains(r.Stopped, e.Task), r.State.Ended() && (!slices.Contains(r.Strays, e.Task) || d.Now().Sub(e.At) > gone):
		return nil
	}
	return err
}

// strike takes effects that are done with out of a document's outbox, and puts off those that failed.
func (d *Dispatcher) strike(ctx context.Context, key store.Key, done, failed []int, dropped []string) error {
	for {
		doc, err := d.Store.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("reading %s: %w", key, err)
		}
		struck, err := d.struck(doc, done, failed, dropped)
		if err != nil {
			return err
		}
		switch err := d.Store.Commit(ctx, store.Update(struck)); {
		case errors.Is(err, store.ErrConflict):
			continue
		case err != nil:
			return fmt.Errorf("striking effects of %s: %w", key, err)
		}
		return nil
	}
}

func (d *Dispatcher) struck(doc store.Doc, done, failed []int, dropped []string) (store.Doc, error) {
	outbox, err := outboxOf(doc)
	if err != nil {
		return doc, err
	}
	outbox = outbox.Strike(done).Postpone(failed, d.Now()).Drop(dropped...)
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
		return controlDoc(c, doc.Version).Doc, err
	case "expect":
		var x Expectation
		err = Decode(doc, &x)
		x.Outbox = outbox
		return expectWrite(x, doc.Version).Doc, err
	}
	var r Record
	err = Decode(doc, &r)
	r.Outbox = outbox
	return d.recordDoc(doc.Key, r, doc.Version), err
}

// kindOf is what kind of document a key is of: the first part of its partition.
func kindOf(key store.Key) string {
	kind, _, _ := strings.Cut(key.PK, "/")
	return kind
}

// outboxOf is the outbox of a document of any kind that has one.
func outboxOf(doc store.Doc) (run.Outbox, error) {
	var has struct {
		Schema int
		Outbox run.Outbox
	}
	err := Decode(doc, &has)
	return has.Outbox, err
}

// announce emits the EventBridge event about a run, a model or a rejected event, as it stands now.
func (d *Dispatcher) announce(ctx context.Context, key store.Key, e run.Effect) error {
	a, err := d.announcement(ctx, key, e)
	if err != nil || a.DetailType == "" {
		return err
	}
	if err := d.Bus.Announce(ctx, a); err != nil {
		return err
	}
	if d.Notice.Announced != nil {
		d.Notice.Announced(a)
	}
	return nil
}
