package dispatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// window is the document of a debounce window: it names the last run that was opened for its key. The run itself
// decides whether the window is open: more events can join the run as long as it waits for them (run.ForDebounce).
type window struct {
	Schema int    `json:"schema"`
	Run    string `json:"run"`
}

// windowKey returns the key of the debounce window for these inputs. Without `per`, all inputs must be equal.
func windowKey(m model.Model, inputs model.Inputs) store.Key {
	text := ""
	if per := m.Policy.Debounce.Per; per != nil {
		text = per.Key(inputs)
	} else {
		for _, name := range slices.Sorted(maps.Keys(inputs)) {
			text += name + "=" + inputs[name] + "\x00"
		}
	}
	return store.Key{PK: "window/" + m.Name + "/" + hash(text), SK: "-"}
}

// windowState holds a debounce window as it was read. The zero windowState is for an event that is not debounced.
type windowState struct {
	key        store.Key // the key of the window; empty for an event that is not debounced
	version    int64     // the version of the window; 0 if it does not exist
	run        run.Run   // the run to join; without an id if the window is not open
	runVersion int64     // the version of that run
}

// readWindow reads the debounce window of a binding, and its run. Manual runs are not debounced.
func (d *Dispatcher) readWindow(ctx context.Context, e event.Event, b route.Binding) (windowState, error) {
	if b.Model.Policy.Debounce == nil || e.Kind == model.Manual {
		return windowState{}, nil
	}
	w := windowState{key: windowKey(b.Model, b.Inputs)}
	stored, version, err := Read[window](ctx, d.Store, w.key)
	if errors.Is(err, store.ErrNotFound) {
		return w, nil
	}
	if err != nil {
		return w, err
	}
	w.version = version
	r, runVersion, err := Read[run.Run](ctx, d.Store, RunKey(stored.Run))
	if err == nil && r.State == run.Waiting && r.WaitingFor == run.ForDebounce {
		w.run, w.runVersion = r, runVersion
	}
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return w, err
}

// windowWrites returns the write after which later events of a debounce window join a new run. It returns
// none for a run that is not debounced.
func (d *Dispatcher) windowWrites(w windowState, r run.Run) []store.Write {
	if w.key.PK == "" {
		return nil
	}
	doc := store.Doc{Key: w.key, Body: encode(window{model.Schema, r.ID}), Expires: d.expires(r.Accepted)}
	return []store.Write{{Doc: doc, IfVersion: w.version}}
}

// joinWindow commits that an event joins the run of an open debounce window, together with the event's own writes. The
// run's spec gets the inputs of this event, but keeps the identity and the kind of the event that opened the window.
func (d *Dispatcher) joinWindow(
	ctx context.Context, e event.Event, decision Decision, w windowState, spec run.Spec, group run.Group, writes []store.Write,
) error {
	before, version, err := Read[run.Spec](ctx, d.Store, SpecKey(w.run.ID))
	if err != nil {
		return err
	}
	spec.Event, spec.Combination, spec.Kind = before.Event, before.Combination, before.Kind
	t := w.run.Join(group, d.Now())
	r := t.Run
	if t.Kind == run.Ignored {
		return fmt.Errorf("joining run %s: %w", r.ID, store.ErrConflict)
	}
	writes = append(writes, store.Update(d.runDoc(r, w.runVersion)),
		store.Update(store.Doc{Key: SpecKey(r.ID), Version: version, Body: encode(spec)}))
	if err := d.Store.Commit(ctx, writes...); err != nil {
		return fmt.Errorf("joining run %s: %w", r.ID, err)
	}
	d.reportDecision(ctx, e, decision)
	d.carryOut(ctx, RunKey(r.ID), t.Effects)
	return nil
}
