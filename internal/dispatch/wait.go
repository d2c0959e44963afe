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

// objectKey returns the key of the document that notes that a run waits for an object.
func objectKey(uri, id string) store.Key { return store.Key{PK: "object/" + hash(uri), SK: id} }

// objectDoc returns the document that notes that a run waits for an object.
func objectDoc(uri, id string) store.Doc {
	return store.Doc{Key: objectKey(uri, id), Version: 1, Body: encode(waiter{model.Schema, id})}
}

// waitWrites returns the extra writes when a run starts or stops waiting for a slot, for capacity or for objects.
func (d *Dispatcher) waitWrites(ctx context.Context, before, after run.Run) ([]store.Write, error) {
	writes, err := d.groupWrites(ctx, before, after)
	waitsNow, waitedBefore := after.WaitingFor == run.ForObjects, before.WaitingFor == run.ForObjects
	if err != nil || waitsNow == waitedBefore {
		return writes, err
	}
	spec, _, err := Read[run.Spec](ctx, d.Store, SpecKey(after.ID))
	if err != nil {
		return nil, err
	}
	return append(writes, objectWrites(after.ID, spec, waitedBefore)...), nil
}

// objectWrites returns the writes that note that a run waits for the objects of its spec, or that remove these notes.
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

// checkObjects looks for the objects that a run waits for, and applies the result to the run. The object documents were
// committed before. So an object that arrives after the check is not missed: its arrival finds the run.
func (d *Dispatcher) checkObjects(ctx context.Context, id string) error {
	spec, _, err := Read[run.Spec](ctx, d.Store, SpecKey(id))
	if err != nil {
		return err
	}
	r, _, err := Read[run.Run](ctx, d.Store, RunKey(id))
	if err != nil || r.WaitingFor != run.ForObjects {
		return err
	}
	var missing []string
	for _, uri := range spec.Objects {
		modified, exists, err := d.Objects.Stat(ctx, uri)
		switch maxAge := r.Policy.WaitFor.MaxAge; {
		case err != nil:
			return fmt.Errorf("looking for %s: %w", uri, err)
		case !exists:
			missing = append(missing, uri)
		case maxAge > 0 && modified.Before(r.Accepted.Add(-maxAge)):
			missing = append(missing, fmt.Sprintf("%s (last modified %s, more than %s before the run was accepted)",
				uri, modified.UTC().Format(time.RFC3339), maxAge))
		}
	}
	groupName, err := d.groupOrPaused(ctx, r.Model, r.Group)
	if err != nil {
		return err
	}
	return d.update(ctx, id, func(r run.Run) (run.Run, bool) {
		return r.AssignGroup(groupName).ObjectsChecked(missing, d.Now())
	})
}

// objectArrived checks the objects of each run that waits for the object of an event. It returns the ids of these runs,
// and none for an event that is not about an object.
func (d *Dispatcher) objectArrived(ctx context.Context, e event.Event) ([]string, error) {
	if e.Object == nil {
		return nil, nil
	}
	waiting, err := d.Store.Partition(ctx, objectKey(e.Object.String(), "").PK, "", 0)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, doc := range waiting {
		if err := d.checkObjects(ctx, doc.SK); err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		ids = append(ids, doc.SK)
	}
	return ids, nil
}

// startDownstream carries out a Downstream effect: it accepts the success of a run as an event for the models that run
// after the run's model.
func (d *Dispatcher) startDownstream(ctx context.Context, id string) error {
	r, _, err := Read[run.Run](ctx, d.Store, RunKey(id))
	if err != nil {
		return err
	}
	if !d.Routes.HasDownstream(r.Model) {
		return nil
	}
	spec, _, err := Read[run.Spec](ctx, d.Store, SpecKey(id))
	if err != nil {
		return err
	}
	up := event.Upstream{Model: r.Model, Run: id, Inputs: map[string]model.Value{}, Outputs: map[string]string{}}
	m, known := d.Catalog.Model(r.Model)
	for name, text := range spec.Inputs {
		if slices.Contains(spec.ExternalInputs, name) { // the text is a URI: downstream models get the value
			value, err := d.Objects.Get(ctx, text)
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

// waitedObjects returns the URIs of the objects that a run with these inputs waits for, sorted and without duplicates.
// It returns an error if a URI is not valid.
func waitedObjects(m model.Model, inputs model.Inputs) ([]string, error) {
	if m.Policy.WaitFor == nil {
		return nil, nil
	}
	var uris []string
	for _, t := range m.Policy.WaitFor.Objects {
		v, absent := t.Expand(m.Lookup(inputs))
		if absent != "" {
			continue // without the optional input there is no object to wait for
		}
		if _, err := model.ParseObjectURI(v.Text); err != nil {
			return nil, fmt.Errorf("wait-for: %w", err)
		}
		uris = append(uris, v.Text)
	}
	slices.Sort(uris)
	return slices.Compact(uris), nil
}
