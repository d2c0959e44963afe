package dispatch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// AnnounceRejected is the detail type of the announcement that an event was rejected.
const AnnounceRejected = "Event Rejected"

// Accept decides what an event does for each model that it concerns, and returns the decisions. When it returns without
// an error, each of these models has its run, or a record that says why it has none. After an error, the caller must
// call Accept again with the same event: the decisions made so far are kept, and are then returned as duplicates.
//
// An event that no model matches yields one decision: Awaited if a run waits for its object, Rejected for a message or
// a schedule, and Unmatched otherwise.
func (d *Dispatcher) Accept(ctx context.Context, e event.Event) ([]Decision, error) {
	// Paused triggers do not hold back manual runs, and they do not cut off the models downstream of a run.
	if d.Catalog.Paused && e.Kind != model.Manual && e.Kind != model.After {
		return d.unmatched(ctx, e, fmt.Sprintf("triggers are paused in environment %q", d.Catalog.Environment)), nil
	}
	waiting, err := d.objectArrived(ctx, e)
	if err != nil {
		return nil, err
	}
	result := d.Routes.Route(e)
	var decisions []Decision
	for _, b := range result.Bindings {
		decision, err := d.AcceptBinding(ctx, e, b)
		if err != nil {
			return decisions, fmt.Errorf("accepting %s for model %q: %w", e.Identity, b.Model.Name, err)
		}
		decisions = append(decisions, decision)
	}
	for _, r := range result.Rejections {
		decision, err := d.Reject(ctx, e, Decision{Model: r.Model, Combination: r.Combination, Reason: r.Reason})
		if err != nil {
			return decisions, err
		}
		decisions = append(decisions, decision)
	}
	if len(decisions) > 0 {
		return decisions, nil
	}
	if len(waiting) > 0 {
		decision := Decision{Kind: Awaited, Reason: "waited for by " + strings.Join(waiting, ", ")}
		return []Decision{d.reportDecision(ctx, e, decision)}, nil
	}
	return d.acceptUnmatched(ctx, e)
}

// acceptUnmatched decides what happens to an event that no model matches. It records a message or a schedule, which was
// sent to this deployment on purpose and must not get lost. It only logs other events, since a bucket or a bus may be
// busy.
func (d *Dispatcher) acceptUnmatched(ctx context.Context, e event.Event) ([]Decision, error) {
	reason := d.nearestMiss(e)
	if e.Kind == model.Message || e.Kind == model.Schedule {
		decision, err := d.Reject(ctx, e, Decision{Reason: reason})
		return []Decision{decision}, err
	}
	return d.unmatched(ctx, e, reason), nil
}

// nearestMiss returns why no model matches an event. It names the model whose triggers came closest.
func (d *Dispatcher) nearestMiss(e event.Event) string {
	misses := d.Routes.Explain(e).Misses
	if len(misses) == 0 {
		return "no model matches it: the catalog has no models"
	}
	return fmt.Sprintf("no model matches it; the nearest is %s: %s", misses[0].Model, misses[0].Reason)
}

func (d *Dispatcher) unmatched(ctx context.Context, e event.Event, reason string) []Decision {
	return []Decision{d.reportDecision(ctx, e, Decision{Kind: Unmatched, Reason: reason})}
}

// AcceptBinding makes the run of one binding. One commit creates the event record, the run and its spec. If the model
// is debounced and its debounce window is open, the event joins the run of the window instead. A binding that was
// accepted before yields a decision of kind Duplicate.
func (d *Dispatcher) AcceptBinding(ctx context.Context, e event.Event, b route.Binding) (Decision, error) {
	for range maxConflicts {
		decision, err := d.tryAccept(ctx, e, b)
		if !errors.Is(err, store.ErrConflict) {
			return decision, err
		}
		_, err = d.Store.Get(ctx, EventKey(e.Identity, b.Model.Name, b.Combination))
		if !errors.Is(err, store.ErrNotFound) {
			return d.countDuplicate(ctx, e, b.Model.Name, b.Combination)
		}
	}
	return Decision{}, fmt.Errorf("gave up after %d conflicts with other writers", maxConflicts)
}

// tryAccept accepts a binding in one commit. It returns store.ErrConflict if another caller changed a document
// meanwhile.
func (d *Dispatcher) tryAccept(ctx context.Context, e event.Event, b route.Binding) (Decision, error) {
	w, err := d.readWindow(ctx, e, b)
	if err != nil {
		return Decision{}, err
	}
	decision := Decision{Model: b.Model.Name, Combination: b.Combination, Kind: Started, Run: RunID(b.Model.Name, e.Identity, b.Combination)}
	if w.run.ID != "" {
		decision.Kind, decision.Run = Joined, w.run.ID
	}
	spec, err := d.newSpec(ctx, e, b, decision.Run)
	if invalid := (*invalidInputsError)(nil); errors.As(err, &invalid) {
		return d.Reject(ctx, e, Decision{Model: b.Model.Name, Combination: b.Combination, Reason: invalid.Error()})
	}
	if err != nil {
		return Decision{}, err
	}
	group, err := d.groupOrPaused(ctx, b.Model.Name, groupOf(b.Model, b.Inputs))
	if err != nil {
		return Decision{}, err
	}
	record, err := d.newEventRecord(ctx, e, decision)
	if err != nil {
		return Decision{}, err
	}
	writes := []store.Write{store.Create(d.recordDoc(EventKey(e.Identity, b.Model.Name, b.Combination), record, 0))}
	if decision.Kind == Joined {
		return decision, d.joinWindow(ctx, e, decision, w, spec, group, writes)
	}
	t := run.Accept(run.AcceptInput{
		ID: decision.Run, Model: b.Model, Trigger: b.Trigger.Name, Manual: e.Kind == model.Manual,
		StartsDownstream: e.Kind != model.Manual || b.StartsDownstream, Group: group,
	}, d.Now())
	r := t.Run
	waits, err := d.groupWrites(ctx, run.Run{}, r)
	if err != nil {
		return Decision{}, err
	}
	if r.WaitingFor == run.ForObjects {
		waits = append(waits, objectWrites(r.ID, spec, false)...)
	}
	writes = append(append(append(writes, waits...), d.windowWrites(w, r)...),
		store.Create(d.runDoc(r, 0)), store.Create(store.Doc{Key: SpecKey(r.ID), Body: encode(spec)}))
	if err := d.Store.Commit(ctx, writes...); err != nil {
		return Decision{}, fmt.Errorf("committing run %s: %w", r.ID, err)
	}
	d.reportDecision(ctx, e, decision)
	d.afterUpdate(ctx, t)
	d.carryOut(ctx, RunKey(r.ID), t.Effects)
	return decision, nil
}

// invalidInputsError reports that a task cannot be launched with the inputs of a binding. The event is then rejected.
type invalidInputsError struct{ error }

// newSpec returns the spec of a run of a binding. Before that, it writes the inputs that the model takes as files to
// the state bucket. It returns an invalidInputsError if a task cannot be launched with the inputs.
func (d *Dispatcher) newSpec(ctx context.Context, e event.Event, b route.Binding, id string) (run.Spec, error) {
	files := InputFileURIs(d.Bucket, RunID(b.Model.Name, e.Identity, b.Combination), b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := d.Objects.Put(ctx, files[name], []byte(b.Inputs[name])); err != nil {
			return run.Spec{}, err
		}
	}
	task, err := b.Model.Render(id, b.Inputs, files)
	if err == nil {
		err = fargate.NewRequest(task, fargate.Launch{Deployment: d.Deployment, Run: id, Attempt: 1, Placement: d.Placement}).Check()
	}
	objects, objectsErr := waitedObjects(b.Model, b.Inputs)
	if err := cmp.Or(err, objectsErr); err != nil {
		return run.Spec{}, &invalidInputsError{err}
	}
	inputs := maps.Clone(b.Inputs)
	var external []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if len(inputs[name]) > maxInlineInput {
			inputs[name], external = files[name], append(external, name)
		}
	}
	return run.Spec{
		Schema: model.Schema, Run: id, Catalog: d.Catalog.Version, Event: e.Identity, Kind: e.Kind, Combination: b.Combination,
		Inputs: inputs, ExternalInputs: external, From: b.From, Task: task, Objects: objects,
	}, nil
}

// groupOrPaused returns the group in which a run must wait. A run of a model without a concurrency limit waits in none
// ("") as long as its model is not paused, and in the group of paused runs while it is.
func (d *Dispatcher) groupOrPaused(ctx context.Context, name string, g run.Group) (run.Group, error) {
	if g != (run.Group{}) {
		return g, nil
	}
	c, _, err := d.Control(ctx, name)
	if err != nil || !c.Paused {
		return run.Group{}, err
	}
	return pausedGroup(name), nil
}

// InputFileURIs returns the URIs of the objects in the state bucket that hold a run's inputs, by name, for the inputs
// that its model takes as files.
func InputFileURIs(bucket, id string, b route.Binding) map[string]string {
	files := map[string]string{}
	for _, in := range b.Model.Inputs {
		if _, set := b.Inputs[in.Name]; in.AsFile && set {
			files[in.Name] = fmt.Sprintf("s3://%s/inputs/%s/%s", bucket, id, in.FileName())
		}
	}
	return files
}

// newEventRecord returns the record of an event. Before that, it writes a large payload to the state bucket.
func (d *Dispatcher) newEventRecord(ctx context.Context, e event.Event, decision Decision) (EventRecord, error) {
	r := d.record(e, decision)
	if len(e.Payload) < minExternalPayload {
		return r, nil
	}
	r.Payload, r.PayloadURI = nil, fmt.Sprintf("s3://%s/%s.json", d.Bucket, EventPartition(e.Identity))
	return r, d.Objects.Put(ctx, r.PayloadURI, e.Payload)
}

// Payload returns the payload of a recorded event as compact JSON. It returns store.ErrNotFound if no event with this
// identity is recorded for the model; an empty model stands for an event that no model matches.
func (d *Dispatcher) Payload(ctx context.Context, identity, model string) (json.RawMessage, error) {
	r, _, err := Read[EventRecord](ctx, d.Store, EventKey(identity, model, ""))
	if err != nil {
		return nil, err
	}
	if r.PayloadURI != "" {
		if r.Payload, err = d.Objects.Get(ctx, r.PayloadURI); err != nil {
			return nil, err
		}
	}
	var compact bytes.Buffer
	err = json.Compact(&compact, r.Payload)
	return compact.Bytes(), err
}

// Reject records that an event cannot be used, with its payload and the reason, and announces that. The given decision
// names the model, the combination and the reason. If the event has a record already, Reject counts a duplicate.
func (d *Dispatcher) Reject(ctx context.Context, e event.Event, decision Decision) (Decision, error) {
	decision.Kind = Rejected
	record, err := d.newEventRecord(ctx, e, decision)
	if err != nil {
		return decision, err
	}
	record.Sequence = 1
	record.Outbox = record.Outbox.Add(run.AnnounceRejection{Sequence: 1}, record.Received)
	key := EventKey(e.Identity, decision.Model, decision.Combination)
	err = d.Store.Commit(ctx, store.Create(d.recordDoc(key, record, 0)))
	if errors.Is(err, store.ErrConflict) {
		return d.countDuplicate(ctx, e, decision.Model, decision.Combination)
	}
	if err != nil {
		return decision, fmt.Errorf("recording the rejection of %s: %w", e.Identity, err)
	}
	d.reportDecision(ctx, e, decision)
	d.carryOut(ctx, key, record.Outbox.Effects)
	return decision, nil
}

// countDuplicate counts another delivery of an event that has a record already. It does nothing else: if an effect of
// the first delivery is not done yet, it is in the outbox, and the sweep carries it out.
func (d *Dispatcher) countDuplicate(ctx context.Context, e event.Event, model, combination string) (Decision, error) {
	key := EventKey(e.Identity, model, combination)
	for {
		record, version, err := Read[EventRecord](ctx, d.Store, key)
		if err != nil {
			return Decision{}, err
		}
		record.Duplicates++
		switch err := d.Store.Commit(ctx, store.Update(d.recordDoc(key, record, version))); {
		case errors.Is(err, store.ErrConflict):
			continue
		case err != nil:
			return Decision{}, fmt.Errorf("counting a duplicate of %s: %w", e.Identity, err)
		}
		decision := record.Decision
		decision.Kind = Duplicate
		decision.Reason = fmt.Sprintf("delivery %d of an event that %s", record.Duplicates+1, firstDecisionText[record.Kind])
		return d.reportDecision(ctx, e, decision), nil
	}
}

// firstDecisionText says what the first delivery of an event led to, for the reason of a duplicate.
var firstDecisionText = map[DecisionKind]string{Started: "has a run already", Joined: "joined a run", Rejected: "was rejected"}

// reportDecision logs a decision, calls the hook for it, and returns it.
func (d *Dispatcher) reportDecision(ctx context.Context, e event.Event, decision Decision) Decision {
	if d.Hooks.Decided != nil {
		d.Hooks.Decided(e, decision)
	}
	log(ctx).Info().Str("event", e.Identity).Str("decision", string(decision.Kind)).Str("model", decision.Model).
		Str("run", decision.Run).Str("reason", decision.Reason).Msg("event decided")
	return decision
}
