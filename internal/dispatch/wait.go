package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// objectKey is where it is noted that a run waits for an object.
func objectKey(uri, id string) store.Key { return store.Key{PK: "object/" + hash(uri), SK: id} }

// objectDoc notes that a run waits for an object.
func objectDoc(uri, id string) store.Doc {
	return store.Doc{Key: objectKey(uri, id), Version: 1, Body: encode(waiter{model.Schema, id})}
}

// waitWrites are what else changes when a run begins or ends to wait for something.
func (d *Dispatcher) waitWrites(ctx context.Context, before, after run.Run) ([]store.Write, error) {
	writes, err := d.lineWrites(ctx, before, after)
	began, ended := after.For == run.Objects, before.For == run.Objects
	if err != nil || began == ended {
		return writes, err
	}
	spec, _, err := Read[run.Spec](ctx, d.Store, SpecKey(after.ID))
	if err != nil {
		return nil, err
	}
	return append(writes, objectWrites(after.ID, spec, ended)...), nil
}

func objectWrites(id string, spec run.Spec, remove bool) []store.Write {
	var writes []store.Write
	for _, uri := range spec.Objects {
		write := store.Create(objectDoc(uri, id))
		if remove {
			write = store.Remove(objectDoc(uri, id))
		}
		writes = append(writes, write)
	}
	return writes
}

// lookForObjects looks for the objects that a run waits for. They were noted before, so that the
// arrival of one that is not there yet finds the run.
func (d *Dispatcher) lookForObjects(ctx context.Context, id string) error {
	spec, _, err := Read[run.Spec](ctx, d.Store, SpecKey(id))
	if err != nil {
		return err
	}
	r, _, err := Read[run.Run](ctx, d.Store, RunKey(id))
	if err != nil || r.For != run.Objects {
		return err
	}
	var missing []string
	for _, uri := range spec.Objects {
		modified, there, err := d.Objects.Find(ctx, uri)
		switch newer := r.Policy.WaitFor.NewerThan; {
		case err != nil:
			return fmt.Errorf("looking for %s: %w", uri, err)
		case !there:
			missing = append(missing, uri)
		case newer > 0 && modified.Before(r.Accepted.Add(-newer)):
			missing = append(missing, fmt.Sprintf("%s (the one of %s is older than %s)", uri, modified.UTC().Format(time.RFC3339), newer))
		}
	}
	line, err := d.lineFor(ctx, r.Model, r.Line)
	if err != nil {
		return err
	}
	return d.move(ctx, id, func(r run.Run) (run.Run, bool) { return r.Stand(line).Found(missing, d.Now()) })
}

// arrived has the runs looked at that wait for an object, and says which these are.
func (d *Dispatcher) arrived(ctx context.Context, e event.Event) ([]string, error) {
	if e.Object == nil {
		return nil, nil
	}
	waiting, err := d.Store.Partition(ctx, objectKey(e.Object.URI(), "").PK, "", 0)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, doc := range waiting {
		if err := d.lookForObjects(ctx, doc.SK); err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		ids = append(ids, doc.SK)
	}
	return ids, nil
}

// downstream starts the models that run after one whose run has succeeded.
func (d *Dispatcher) downstream(ctx context.Context, id string) error {
	r, _, err := Read[run.Run](ctx, d.Store, RunKey(id))
	if err != nil {
		return err
	}
	if !d.Routes.Follows(r.Model) {
		return nil
	}
	spec, _, err := Read[run.Spec](ctx, d.Store, SpecKey(id))
	if err != nil {
		return err
	}
	up := event.Upstream{Model: r.Model, Run: id, Inputs: map[string]model.Value{}, Outputs: map[string]string{}}
	m, known := d.Catalog.Model(r.Model)
	for name, text := range spec.Inputs {
		if slices.Contains(spec.Large, name) { // the value is bound, and not where it lies
			value, err := d.Objects.Get(ctx, text)
			if err != nil {
				return fmt.Errorf("input %q of run %s: %w", name, id, err)
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

// rendered are the objects that a run waits for.
func rendered(m model.Model, inputs model.Inputs) ([]string, error) {
	if m.Policy.WaitFor == nil {
		return nil, nil
	}
	var uris []string
	for _, t := range m.Policy.WaitFor.Objects {
		v, absent := t.Expand(m.Lookup(inputs))
		if absent != "" {
			continue // an optional input that is not set: there is nothing to wait for
		}
		if _, _, err := model.SplitS3(v.Text); err != nil {
			return nil, fmt.Errorf("wait-for: %w", err)
		}
		uris = append(uris, v.Text)
	}
	slices.Sort(uris)
	return slices.Compact(uris), nil
}
