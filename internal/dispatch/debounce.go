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

// group is the document of a group of debounced events: the run that they join. It is a hint; the
// run itself says whether it still waits for more.
type group struct {
	Schema int    `json:"schema"`
	Run    string `json:"run"`
}

// groupKey is where the group is to which a run with these inputs belongs.
func groupKey(m model.Model, inputs model.Inputs) store.Key {
	text := ""
	if per := m.Policy.Debounce.Per; !per.IsZero() {
		v, _ := per.Expand(m.Lookup(inputs))
		text = v.Text
	} else {
		for _, name := range slices.Sorted(maps.Keys(inputs)) {
			text += name + "=" + inputs[name] + "\x00"
		}
	}
	return store.Key{PK: "debounce/" + m.Name + "/" + hash(text), SK: "-"}
}

// opened is a group as it was read: with a run that can be joined, or to be opened by a new one.
type opened struct {
	key        store.Key // "" where nothing is debounced
	version    int64
	run        run.Run // its ID is "" where there is none to join
	runVersion int64
}

func (d *Dispatcher) openGroup(ctx context.Context, e event.Event, b route.Binding) (opened, error) {
	if b.Model.Policy.Debounce == nil || e.Kind == model.Manual {
		return opened{}, nil
	}
	o := opened{key: groupKey(b.Model, b.Inputs)}
	g, version, err := Read[group](ctx, d.Store, o.key)
	if errors.Is(err, store.ErrNotFound) {
		return o, nil
	}
	if err != nil {
		return o, err
	}
	o.version = version
	r, runVersion, err := Read[run.Run](ctx, d.Store, RunKey(g.Run))
	if err == nil && r.State == run.Waiting && r.For == run.Debounce {
		o.run, o.runVersion = r, runVersion
	}
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return o, err
}

// opens makes a new run the one that later events of the group join.
func (d *Dispatcher) opens(o opened, r run.Run) []store.Write {
	if o.key.PK == "" {
		return nil
	}
	return []store.Write{{Doc: store.Doc{Key: o.key, Body: encode(group{model.Schema, r.ID}), Expires: d.expires(r.Accepted)}, Was: o.version}}
}

// join commits that an event joins the run of its group, whose inputs become the event's.
func (d *Dispatcher) join(ctx context.Context, e event.Event, decision Decision, o opened, spec run.Spec, line string, writes []store.Write) error {
	before, version, err := Read[run.Spec](ctx, d.Store, SpecKey(o.run.ID))
	if err != nil {
		return err
	}
	spec.Event, spec.Key, spec.Kind = before.Event, before.Key, before.Kind
	r, joined := o.run.Join(line, d.Now())
	if !joined {
		return fmt.Errorf("joining run %s: %w", r.ID, store.ErrConflict)
	}
	writes = append(writes, store.Update(d.runDoc(r, o.runVersion)), store.Update(store.Doc{Key: SpecKey(r.ID), Version: version, Body: encode(spec)}))
	if err := d.Store.Commit(ctx, writes...); err != nil {
		return fmt.Errorf("joining run %s: %w", r.ID, err)
	}
	d.decided(ctx, e, decision)
	d.carryOut(ctx, RunKey(r.ID), r.Outbox.Since(o.run.Outbox.Last))
	return nil
}
