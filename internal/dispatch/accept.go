package dispatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/groups"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/route"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// minExternalPayload is the smallest size, in bytes, of an event payload that is stored in the state bucket instead of
// the event record.
const minExternalPayload = 32 << 10

// maxInlineInput is the largest size, in bytes, of a file input whose value is stored in the spec. The spec holds only
// the file's URI for a larger one. Other inputs must fit in the overrides of a task, so that a spec stays far below the
// 400 KB that DynamoDB allows for an item.
const maxInlineInput = 4 << 10

// Accept decides what an event does for each model that it concerns, and returns the decisions. When it returns without
// an error, each of these models has its run, or a record that says why it has none. After an error, the caller must
// call Accept again with the same event: the decisions made so far are kept, and are then returned as duplicates.
//
// An event that no model matches yields one decision: Awaited if a run waits for its object, Rejected for a message or
// a schedule, and Unmatched otherwise.
func (d *Dispatcher) Accept(ctx context.Context, e event.Event) ([]records.Decision, error) {
	// Paused triggers do not hold back manual runs, and they do not cut off the models downstream of a run.
	if d.o.Catalog.Paused && e.Kind != model.Manual && e.Kind != model.After {
		return d.unmatched(ctx, e, fmt.Sprintf("triggers are paused in environment %q", d.o.Catalog.Environment)), nil
	}
	waiting, err := d.awaitingRuns(ctx, e)
	if err != nil {
		return nil, err
	}
	for _, id := range waiting {
		if err := d.checkObjects(ctx, id); err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	result := d.o.Routes.Route(e)
	var decisions []records.Decision
	for _, b := range result.Bindings {
		decision, err := d.AcceptBinding(ctx, e, b)
		if err != nil {
			return decisions, fmt.Errorf("accepting %s for model %q: %w", e.Identity, b.Model.Name, err)
		}
		decisions = append(decisions, decision)
	}
	for _, r := range result.Rejections {
		decision, err := d.decisions.reject(ctx, e, records.Decision{Model: r.Model, Combination: r.Combination, Reason: r.Reason})
		if err != nil {
			return decisions, err
		}
		decisions = append(decisions, decision)
	}
	if len(decisions) > 0 {
		return decisions, nil
	}
	if len(waiting) > 0 {
		decision := records.Decision{Kind: records.Awaited, Reason: "waited for by " + strings.Join(waiting, ", ")}
		return []records.Decision{d.decisions.report(ctx, e, decision)}, nil
	}
	return d.acceptUnmatched(ctx, e)
}

// acceptUnmatched decides what happens to an event that no model matches. It records a message or a schedule, which was
// sent to this deployment on purpose and must not get lost. It only logs other events, since a bucket or a bus may be
// busy.
func (d *Dispatcher) acceptUnmatched(ctx context.Context, e event.Event) ([]records.Decision, error) {
	reason := d.nearestMiss(e)
	if e.Kind == model.Message || e.Kind == model.Schedule {
		decision, err := d.decisions.reject(ctx, e, records.Decision{Reason: reason})
		return []records.Decision{decision}, err
	}
	return d.unmatched(ctx, e, reason), nil
}

// nearestMiss returns why no model matches an event. It names the model whose triggers came closest.
func (d *Dispatcher) nearestMiss(e event.Event) string {
	misses := d.o.Routes.Explain(e).Misses
	if len(misses) == 0 {
		return "no model matches it: the catalog has no models"
	}
	return fmt.Sprintf("no model matches it; the nearest is %s: %s", misses[0].Model, misses[0].Reason)
}

func (d *Dispatcher) unmatched(ctx context.Context, e event.Event, reason string) []records.Decision {
	return []records.Decision{d.decisions.report(ctx, e, records.Decision{Kind: records.Unmatched, Reason: reason})}
}

// AcceptBinding makes the run of one binding. One commit creates the event record, the run and its spec. If the model
// is debounced and its debounce window is open, the event joins the run of the window instead. A binding that was
// accepted before yields a decision of kind Duplicate.
func (d *Dispatcher) AcceptBinding(ctx context.Context, e event.Event, b route.Binding) (records.Decision, error) {
	for range store.MaxConflicts {
		decision, err := d.tryAccept(ctx, e, b)
		if !errors.Is(err, store.ErrConflict) {
			return decision, err
		}
		_, err = d.o.Store.Get(ctx, records.EventKey(e.Identity, b.Model.Name, b.Combination))
		if !errors.Is(err, store.ErrNotFound) {
			return d.decisions.countDuplicate(ctx, e, b.Model.Name, b.Combination)
		}
	}
	return records.Decision{}, fmt.Errorf("gave up after %d conflicts with other writers", store.MaxConflicts)
}

// tryAccept accepts a binding in one commit. It returns store.ErrConflict if another caller changed a document
// meanwhile.
func (d *Dispatcher) tryAccept(ctx context.Context, e event.Event, b route.Binding) (records.Decision, error) {
	isDebounced := b.Model.Policy.Debounce != nil && e.Kind != model.Manual
	var w windowState
	if isDebounced {
		var err error
		if w, err = d.readWindow(ctx, b); err != nil {
			return records.Decision{}, err
		}
	}
	decision := records.Decision{
		Model: b.Model.Name, Combination: b.Combination, Kind: records.Started,
		Run: records.RunID(b.Model.Name, e.Identity, b.Combination),
	}
	if w.run.ID != "" {
		decision.Kind, decision.Run = records.Joined, w.run.ID
	}
	spec, err := d.newSpec(ctx, e, b, decision.Run)
	if invalid := (*invalidInputsError)(nil); errors.As(err, &invalid) {
		return d.decisions.reject(ctx, e, records.Decision{Model: b.Model.Name, Combination: b.Combination, Reason: invalid.Error()})
	}
	if err != nil {
		return records.Decision{}, err
	}
	group, err := d.pauses.groupOf(ctx, b)
	if err != nil {
		return records.Decision{}, err
	}
	record, err := d.decisions.record(ctx, e, decision)
	if err != nil {
		return records.Decision{}, err
	}
	writes := []store.Write{store.Create(records.EventDoc(record, 0, d.o.Retention))}
	if decision.Kind == records.Joined {
		return decision, d.joinWindow(ctx, e, decision, w, spec, group, writes)
	}
	t := run.Accept(run.AcceptInput{
		ID: decision.Run, Model: b.Model, Trigger: b.Trigger.Name, Manual: e.Kind == model.Manual,
		StartsDownstream: e.Kind != model.Manual || b.StartsDownstream, Group: group,
	}, d.o.Now())
	writes = append(writes, store.Create(records.SpecDoc(spec, 0)))
	if t.Run.WaitingFor == run.ForObjects {
		writes = append(writes, awaitWrites(spec, false)...)
	}
	if isDebounced {
		writes = append(writes, w.opening(t.Run, d.o.Retention))
	}
	if err := d.runs.store(ctx, run.Run{}, t, 0, writes...); err != nil {
		return records.Decision{}, err
	}
	d.decisions.report(ctx, e, decision)
	d.runs.follow(ctx, t)
	return decision, nil
}

// invalidInputsError reports that a task cannot be launched with the inputs of a binding. The event is then rejected.
type invalidInputsError struct{ error }

// newSpec returns the spec of a run of a binding. Before that, it writes the inputs that the model takes as files to
// the state bucket. It returns an invalidInputsError if a task cannot be launched with the inputs.
func (d *Dispatcher) newSpec(ctx context.Context, e event.Event, b route.Binding, id string) (run.Spec, error) {
	files := InputFileURIs(d.o.Bucket, records.RunID(b.Model.Name, e.Identity, b.Combination), b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := d.o.Objects.Put(ctx, files[name], []byte(b.Inputs[name])); err != nil {
			return run.Spec{}, err
		}
	}
	task, err := b.Model.Render(id, b.Inputs, files)
	if err == nil {
		err = fargate.NewRequest(task, fargate.Launch{Deployment: d.o.Deployment, Run: id, Attempt: 1, Placement: d.o.Placement}).Check()
	}
	var objects []string
	if err == nil && b.Model.Policy.WaitFor != nil {
		objects, err = awaitedObjects(b.Model, b.Inputs)
	}
	if err != nil {
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
		Schema: model.Schema, Run: id, Catalog: d.o.Catalog.Version, Event: e.Identity, Kind: e.Kind, Combination: b.Combination,
		Inputs: inputs, ExternalInputs: external, From: b.From, Task: task, Objects: objects,
	}, nil
}

// groupOf returns the group in which the run of a binding must wait for a slot. It returns the zero group if the model
// has no concurrency limit and is not paused.
func (p pauses) groupOf(ctx context.Context, b route.Binding) (run.Group, error) {
	if b.Model.Policy.Concurrency != nil {
		return groups.Of(b.Model, b.Inputs), nil
	}
	return p.pausedGroup(ctx, b.Model.Name)
}

// pausedGroup returns the group in which the runs of a model without a concurrency limit wait while it is paused. It
// returns the zero group if the model is not paused.
func (p pauses) pausedGroup(ctx context.Context, name string) (run.Group, error) {
	c, _, err := records.ReadControl(ctx, p.Store, name)
	if err != nil || !c.Paused {
		return run.Group{}, err
	}
	return groups.Paused(name), nil
}

// awaitingRuns returns the ids of the runs that wait for the object of an event, and none for an event that is not about
// an object.
func (d *Dispatcher) awaitingRuns(ctx context.Context, e event.Event) ([]string, error) {
	if e.Object == nil {
		return nil, nil
	}
	docs, err := d.o.Store.Partition(ctx, records.ObjectPartition(e.Object.String()), "", 0)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, doc := range docs {
		w, err := records.Decode[records.Waiter](doc)
		if err != nil {
			return nil, err
		}
		ids = append(ids, w.Run)
	}
	return ids, nil
}

// InputFileURIs returns the URIs of the objects in the state bucket that hold a run's inputs, by name, for the inputs
// that its model takes as files.
func InputFileURIs(bucket, id string, b route.Binding) map[string]string {
	files := map[string]string{}
	for _, in := range b.Model.Inputs {
		if _, set := b.Inputs[in.Name]; in.AsFile && set {
			files[in.Name] = model.ObjectURI{Bucket: bucket, Key: "inputs/" + id + "/" + in.FileName()}.String()
		}
	}
	return files
}

// decisions records what became of events.
type decisions struct {
	*Options
	outbox *outbox
}

// record returns the record of an event. Before that, it writes a large payload to the state bucket.
func (x decisions) record(ctx context.Context, e event.Event, decision records.Decision) (records.EventRecord, error) {
	r := records.EventRecord{
		Schema: model.Schema, Identity: e.Identity, EventKind: e.Kind, Source: e.Source, Decision: decision,
		Time: e.Time, Received: x.Now(), Payload: e.Payload,
	}
	if len(e.Payload) < minExternalPayload {
		return r, nil
	}
	r.Payload, r.PayloadURI = nil, model.ObjectURI{Bucket: x.Bucket, Key: records.EventPartition(e.Identity) + ".json"}.String()
	return r, x.Objects.Put(ctx, r.PayloadURI, e.Payload)
}

// report logs a decision, calls the hook for it, and returns it.
func (x decisions) report(ctx context.Context, e event.Event, decision records.Decision) records.Decision {
	if x.Hooks.Decided != nil {
		x.Hooks.Decided(e, decision)
	}
	log(ctx).Info().Str("event", e.Identity).Str("decision", string(decision.Kind)).Str("model", decision.Model).
		Str("run", decision.Run).Str("reason", decision.Reason).Msg("event decided")
	return decision
}

// CatalogURI returns the URI of the object in the state bucket that holds a copy of the deployment's catalog.
func CatalogURI(bucket string) model.ObjectURI {
	return model.ObjectURI{Bucket: bucket, Key: "catalog.json"}
}

// Publish writes the deployment's catalog to CatalogURI. The command line reads it there.
func (d *Dispatcher) Publish(ctx context.Context) error {
	compiled, err := d.o.Catalog.Encode()
	if err != nil {
		return err
	}
	return d.o.Objects.Put(ctx, CatalogURI(d.o.Bucket).String(), compiled)
}
