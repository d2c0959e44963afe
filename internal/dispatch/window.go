package dispatch

import (
	"context"
	"errors"
	"fmt"

	"modeldispatch/internal/event"
	"modeldispatch/internal/records"
	"modeldispatch/internal/route"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// windowState holds a debounce window as it was read. The zero windowState is for an event that is not debounced.
type windowState struct {
	key        store.Key // the key of the window; empty for an event that is not debounced
	version    int64     // the version of the window; 0 if it does not exist
	run        run.Run   // the run to join; without an id if the window is not open
	runVersion int64     // the version of that run
}

// readWindow reads the debounce window of a binding, and its run.
func (d *Dispatcher) readWindow(ctx context.Context, b route.Binding) (windowState, error) {
	w := windowState{key: records.WindowKey(b.Model, b.Inputs)}
	stored, version, err := records.Read[records.Window](ctx, d.o.Store, w.key)
	if errors.Is(err, store.ErrNotFound) {
		return w, nil
	}
	if err != nil {
		return w, err
	}
	w.version = version
	r, runVersion, err := records.Read[run.Run](ctx, d.o.Store, records.RunKey(stored.Run))
	if err == nil && r.State == run.Waiting && r.WaitingFor == run.ForDebounce {
		w.run, w.runVersion = r, runVersion
	}
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return w, err
}

// opening returns the write after which later events of a debounce window join a new run.
func (w windowState) opening(r run.Run, keep records.Retention) store.Write {
	return store.Write{Doc: records.WindowDoc(w.key, r, keep), IfVersion: w.version}
}

// joinWindow commits that an event joins the run of an open debounce window, together with the event's own writes. The
// run's spec gets the inputs of this event, but keeps the identity and the kind of the event that opened the window.
func (d *Dispatcher) joinWindow(
	ctx context.Context, e event.Event, decision records.Decision, w windowState, spec run.Spec, group run.Group, writes []store.Write,
) error {
	before, version, err := records.Read[run.Spec](ctx, d.o.Store, records.SpecKey(w.run.ID))
	if err != nil {
		return err
	}
	spec.Event, spec.Combination, spec.Kind = before.Event, before.Combination, before.Kind
	t := w.run.Join(group, d.o.Now())
	if t.Kind == run.Ignored {
		return fmt.Errorf("joining run %s: %w", w.run.ID, store.ErrConflict)
	}
	writes = append(writes, store.Update(records.SpecDoc(spec, version)))
	if err := d.runs.store(ctx, w.run, t, w.runVersion, writes...); err != nil {
		return err
	}
	d.decisions.report(ctx, e, decision)
	d.runs.follow(ctx, t)
	return nil
}
