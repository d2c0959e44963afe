package operate

import (
	"context"
	"fmt"

	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// ListRuns returns the runs that q selects, newest first, with their inputs and outputs. It sets q.Kind. It returns an
// error if a document cannot be read, and no run then.
func ListRuns(ctx context.Context, db store.Store, q store.Query) ([]Run, error) {
	q.Kind = records.KindRun
	docs, _, err := db.List(ctx, q)
	if err != nil {
		return nil, err
	}
	all := []Run{}
	for _, doc := range docs {
		r, err := records.Decode[run.Run](doc)
		if err != nil {
			return nil, err
		}
		spec, _, err := records.Read[run.Spec](ctx, db, records.SpecKey(r.ID))
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
	docs, err := db.Partition(ctx, records.RunKey(id).PK, "", 0)
	if err != nil {
		return Run{}, err
	}
	var r run.Run
	var spec run.Spec
	var attempts []run.Attempt
	for _, doc := range docs {
		switch doc.Kind {
		case records.KindRun:
			r, err = records.Decode[run.Run](doc)
		case records.KindSpec:
			spec, err = records.Decode[run.Spec](doc)
		case records.KindAttempt:
			var a run.Attempt
			a, err = records.Decode[run.Attempt](doc)
			attempts = append(attempts, a)
		}
		if err != nil {
			return Run{}, err
		}
	}
	if r.ID == "" {
		return Run{}, fmt.Errorf("run %s: %w", id, store.ErrNotFound)
	}
	return NewRun(r).WithSpec(spec).withDetail(r, spec, attempts), nil
}

// NewestRun returns the id of the newest run of a model, or "" if the model has none.
func NewestRun(ctx context.Context, db store.Store, name string) (string, error) {
	docs, _, err := db.List(ctx, store.Query{Kind: records.KindRun, Model: name, Limit: 1})
	if err != nil || len(docs) == 0 {
		return "", err
	}
	r, err := records.Decode[run.Run](docs[0])
	return r.ID, err
}

// ListEvents returns the records of events that q selects, newest first. It sets q.Kind.
func ListEvents(ctx context.Context, db store.Store, q store.Query) ([]Event, error) {
	q.Kind = records.KindEvent
	docs, _, err := db.List(ctx, q)
	if err != nil {
		return nil, err
	}
	all := []Event{}
	for _, doc := range docs {
		r, err := records.Decode[records.EventRecord](doc)
		if err != nil {
			return nil, err
		}
		all = append(all, newEvent(r))
	}
	return all, nil
}
