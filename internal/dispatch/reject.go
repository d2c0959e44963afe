package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"modeldispatch/internal/event"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// Payload returns the payload of a recorded event as compact JSON. It returns store.ErrNotFound if no event with this
// identity is recorded for the model; an empty model stands for an event that no model matches.
func (d *Dispatcher) Payload(ctx context.Context, identity, model string) (json.RawMessage, error) {
	r, _, err := records.Read[records.EventRecord](ctx, d.o.Store, records.EventKey(identity, model, ""))
	if err != nil {
		return nil, err
	}
	if r.PayloadURI != "" {
		if r.Payload, err = d.o.Objects.Get(ctx, r.PayloadURI); err != nil {
			return nil, err
		}
	}
	var compact bytes.Buffer
	err = json.Compact(&compact, r.Payload)
	return compact.Bytes(), err
}

// Reject records that an event cannot be used, with its payload and the reason, and announces that. The given decision
// names the model, the combination and the reason. If the event has a record already, Reject counts a duplicate.
func (d *Dispatcher) Reject(ctx context.Context, e event.Event, decision records.Decision) (records.Decision, error) {
	return d.decisions.reject(ctx, e, decision)
}

// reject records that an event cannot be used, with its payload and the reason, and announces that. The given decision
// names the model, the combination and the reason. If the event has a record already, Reject counts a duplicate.
func (x decisions) reject(ctx context.Context, e event.Event, decision records.Decision) (records.Decision, error) {
	decision.Kind = records.Rejected
	record, err := x.record(ctx, e, decision)
	if err != nil {
		return decision, err
	}
	record.Sequence = 1
	record.Outbox = record.Outbox.Add(run.AnnounceRejection{Sequence: 1}, record.Received)
	key := records.EventKey(e.Identity, decision.Model, decision.Combination)
	err = x.Store.Commit(ctx, store.Create(records.EventDoc(record, 0, x.Retention)))
	if errors.Is(err, store.ErrConflict) {
		return x.countDuplicate(ctx, e, decision.Model, decision.Combination)
	}
	if err != nil {
		return decision, fmt.Errorf("recording the rejection of %s: %w", e.Identity, err)
	}
	x.report(ctx, e, decision)
	x.outbox.carryOut(ctx, owner{key: key}, record.Outbox.Effects)
	return decision, nil
}

// countDuplicate counts another delivery of an event that has a record already. It does nothing else: if an effect of
// the first delivery is not done yet, it is in the outbox, and the sweep carries it out.
func (x decisions) countDuplicate(ctx context.Context, e event.Event, model, combination string) (records.Decision, error) {
	key := records.EventKey(e.Identity, model, combination)
	for {
		record, version, err := records.Read[records.EventRecord](ctx, x.Store, key)
		if err != nil {
			return records.Decision{}, err
		}
		record.Duplicates++
		switch err := x.Store.Commit(ctx, store.Update(records.EventDoc(record, version, x.Retention))); {
		case errors.Is(err, store.ErrConflict):
			continue
		case err != nil:
			return records.Decision{}, fmt.Errorf("counting a duplicate of %s: %w", e.Identity, err)
		}
		decision := record.Decision
		decision.Kind = records.Duplicate
		decision.Reason = fmt.Sprintf("delivery %d of an event that %s", record.Duplicates+1, firstDecisionText[record.Kind])
		return x.report(ctx, e, decision), nil
	}
}

// firstDecisionText says what the first delivery of an event led to, for the reason of a duplicate.
var firstDecisionText = map[records.DecisionKind]string{
	records.Started: "has a run already", records.Joined: "joined a run", records.Rejected: "was rejected",
}
