package dispatch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// awaitWrites returns the writes that note that a run waits for the objects of its spec, or that remove these notes.
func awaitWrites(spec run.Spec, remove bool) []store.Write {
	var writes []store.Write
	for _, uri := range spec.Objects {
		doc := records.ObjectDoc(uri, spec.Run)
		if remove {
			writes = append(writes, store.Remove(doc))
		} else {
			writes = append(writes, store.Create(doc))
		}
	}
	return writes
}

// checkObjects looks for the objects that a run waits for, and applies the result to the run. The object documents were
// committed before. So an object that arrives after the check is not missed: its arrival finds the run.
func (d *Dispatcher) checkObjects(ctx context.Context, id string) error {
	spec, _, err := records.Read[run.Spec](ctx, d.o.Store, records.SpecKey(id))
	if err != nil {
		return err
	}
	r, _, err := records.Read[run.Run](ctx, d.o.Store, records.RunKey(id))
	if err != nil || r.WaitingFor != run.ForObjects {
		return err
	}
	var missing []string
	for _, uri := range spec.Objects {
		modified, exists, err := d.o.Objects.Stat(ctx, uri)
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
	var paused run.Group
	if r.Group == (run.Group{}) {
		if paused, err = d.pauses.pausedGroup(ctx, r.Model); err != nil {
			return err
		}
	}
	return d.runs.update(ctx, id, func(r run.Run) run.Transition {
		return r.ObjectsChecked(missing, paused, d.o.Now())
	})
}

// awaitedObjects returns the URIs of the objects that a run with these inputs waits for, sorted and without duplicates.
// It returns an error if a URI is not valid.
func awaitedObjects(m model.Model, inputs model.Inputs) ([]string, error) {
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
