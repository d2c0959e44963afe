package operate

import (
	"context"
	"fmt"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// ListRuns returns the runs that q selects, newest first, with their inputs and outputs. It sets q.Kind. It returns an
// error if a document cannot be read, and no run then.
func ListRuns(ctx context.Context, db store.Store, q store.Query) ([]Run, error) {
	q.Kind = dispatch.KindRun
	docs, _, err := db.List(ctx, q)
	if err != nil {
		return nil, err
	}
	all := []Run{}
	for _, doc := range docs {
		var r run.Run
		if err := dispatch.Decode(doc, &r); err != nil {
			return nil, err
		}
		spec, _, err := dispatch.Read[run.Spec](ctx, db, dispatch.SpecKey(r.ID))
		if err != nil {
			return nil, err
		}
		all = append(all, NewRun(r).WithSpec(spec))
	}
	return all, nil
}

// ReadRun returns a run with all its fields, except the names of its logs. It returns store.ErrNotFound if there is no
// such run.
func ReadRun(ctx context.Context, db store.Store, id string) (Run, error) {
	key := dispatch.RunKey(id)
	docs, err := db.Partition(ctx, key.PK, "", 0)
	if err != nil {
		return Run{}, err
	}
	if len(docs) == 0 {
		return Run{}, fmt.Errorf("run %s: %w", id, store.ErrNotFound)
	}
	var r run.Run
	var spec run.Spec
	var attempts []run.Attempt
	for _, doc := range docs {
		switch doc.Key {
		case key:
			err = dispatch.Decode(doc, &r)
		case dispatch.SpecKey(id):
			err = dispatch.Decode(doc, &spec)
		default:
			var a run.Attempt
			err = dispatch.Decode(doc, &a)
			attempts = append(attempts, a)
		}
		if err != nil {
			return Run{}, err
		}
	}
	return NewRun(r).WithSpec(spec).withDetail(r, spec, attempts), nil
}

// NewestRun returns the id of the newest run of a model, or "" if the model has none.
func NewestRun(ctx context.Context, db store.Store, name string) (string, error) {
	docs, _, err := db.List(ctx, store.Query{Kind: dispatch.KindRun, Model: name, Limit: 1})
	if err != nil || len(docs) == 0 {
		return "", err
	}
	var r run.Run
	err = dispatch.Decode(docs[0], &r)
	return r.ID, err
}

// ListEvents returns the records of events that q selects, newest first. It sets q.Kind.
func ListEvents(ctx context.Context, db store.Store, q store.Query) ([]Event, error) {
	q.Kind = dispatch.KindEvent
	docs, _, err := db.List(ctx, q)
	if err != nil {
		return nil, err
	}
	all := []Event{}
	for _, doc := range docs {
		var r dispatch.EventRecord
		if err := dispatch.Decode(doc, &r); err != nil {
			return nil, err
		}
		all = append(all, newEvent(r))
	}
	return all, nil
}
