package dispatch

import (
	"cmp"
	"context"
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

// AnnounceRejected is the detail type of the announcement that an event could not be used.
const AnnounceRejected = "Event Rejected"

// Accept takes an event for every model that it concerns. When it returns without an error, each
// of them has its run, or the record of why not; after an error it is to be called again.
func (d *Dispatcher) Accept(ctx context.Context, e event.Event) ([]Decision, error) {
	// What is run by hand is run, and what comes after it if that was asked for.
	if d.Catalog.Paused && e.Kind != model.Manual && e.Kind != model.After {
		return d.unmatched(ctx, e, fmt.Sprintf("triggers are paused in environment %q", d.Catalog.Environment)), nil
	}
	waited, err := d.arrived(ctx, e)
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
		decision, err := d.Reject(ctx, e, Decision{Model: r.Model, Key: r.Key, Reason: r.Reason})
		if err != nil {
			return decisions, err
		}
		decisions = append(decisions, decision)
	}
	if len(decisions) > 0 {
		return decisions, nil
	}
	if len(waited) > 0 {
		return []Decision{d.decided(ctx, e, Decision{Verdict: Awaited, Reason: "waited for by " + strings.Join(waited, ", ")})}, nil
	}
	return d.nobody(ctx, e)
}

// nobody decides about an event that no model takes. What was sent to us by name must not get
// lost, so it is recorded; a busy bucket or bus is only logged.
func (d *Dispatcher) nobody(ctx context.Context, e event.Event) ([]Decision, error) {
	reason := d.nearest(e)
	if e.Kind == model.Message || e.Kind == model.Schedule {
		decision, err := d.Reject(ctx, e, Decision{Reason: reason})
		return []Decision{decision}, err
	}
	return d.unmatched(ctx, e, reason), nil
}

// nearest is why no model takes an event, by the model that nearly did.
func (d *Dispatcher) nearest(e event.Event) string {
	misses := d.Routes.Explain(e).Misses
	if len(misses) == 0 {
		return "no model takes it: there are none"
	}
	return fmt.Sprintf("no model takes it; the nearest is %s: %s", misses[0].Model, misses[0].Reason)
}

func (d *Dispatcher) unmatched(ctx context.Context, e event.Event, reason string) []Decision {
	return []Decision{d.decided(ctx, e, Decision{Verdict: Unmatched, Reason: reason})}
}

// AcceptBinding makes the run of one binding: its record, document and spec in one commit. Where the
// model is debounced, the event joins the run of its group instead, if that still waits.
func (d *Dispatcher) AcceptBinding(ctx context.Context, e event.Event, b route.Binding) (Decision, error) {
	for range conflicts {
		decision, err := d.tryAccept(ctx, e, b)
		if !errors.Is(err, store.ErrConflict) {
			return decision, err
		}
		_, err = d.Store.Get(ctx, EventKey(e.Identity, b.Model.Name, b.Key))
		if !errors.Is(err, store.ErrNotFound) {
			return d.again(ctx, e, b.Model.Name, b.Key)
		}
	}
	return Decision{}, fmt.Errorf("others were ahead %d times", conflicts)
}

func (d *Dispatcher) tryAccept(ctx context.Context, e event.Event, b route.Binding) (Decision, error) {
	open, err := d.openGroup(ctx, e, b)
	if err != nil {
		return Decision{}, err
	}
	decision := Decision{Model: b.Model.Name, Key: b.Key, Verdict: Started, Run: RunID(b.Model.Name, e.Identity, b.Key)}
	if open.run.ID != "" {
		decision.Verdict, decision.Run = Joined, open.run.ID
	}
	spec, err := d.newSpec(ctx, e, b, decision.Run)
	if unfit := (*unfitError)(nil); errors.As(err, &unfit) {
		return d.Reject(ctx, e, Decision{Model: b.Model.Name, Key: b.Key, Reason: unfit.Error()})
	}
	if err != nil {
		return Decision{}, err
	}
	line, err := d.lineFor(ctx, b.Model.Name, lineOf(b.Model, b.Inputs))
	if err != nil {
		return Decision{}, err
	}
	record, err := d.prepare(ctx, e, decision)
	if err != nil {
		return Decision{}, err
	}
	writes := []store.Write{store.Create(d.recordDoc(EventKey(e.Identity, b.Model.Name, b.Key), record, 0))}
	if decision.Verdict == Joined {
		return decision, d.join(ctx, e, decision, open, spec, line, writes)
	}
	r := run.Accept(run.Accepted{
		ID: decision.Run, Model: b.Model, Trigger: b.Trigger.Name, ByHand: e.Kind == model.Manual,
		Alone: e.Kind == model.Manual && !b.Downstream, Line: line,
	}, d.Now())
	waits, err := d.lineWrites(ctx, run.Run{}, r)
	if err != nil {
		return Decision{}, err
	}
	if r.For == run.Objects {
		waits = append(waits, objectWrites(r.ID, spec, false)...)
	}
	writes = append(append(append(writes, waits...), d.opens(open, r)...),
		store.Create(d.runDoc(r, 0)), store.Create(store.Doc{Key: SpecKey(r.ID), Body: encode(spec)}))
	if err := d.Store.Commit(ctx, writes...); err != nil {
		return Decision{}, fmt.Errorf("committing run %s: %w", r.ID, err)
	}
	d.decided(ctx, e, decision)
	d.moved(ctx, run.Run{}, r)
	d.carryOut(ctx, RunKey(r.ID), r.Outbox.Effects)
	return decision, nil
}

// unfitError is why inputs cannot be given to a task.
type unfitError struct{ error }

// newSpec is what a run of a binding is accepted with. Inputs that are given as files are laid into the
// state bucket first.
func (d *Dispatcher) newSpec(ctx context.Context, e event.Event, b route.Binding, id string) (run.Spec, error) {
	files := Files(d.Bucket, RunID(b.Model.Name, e.Identity, b.Key), b)
	for name, uri := range files {
		if err := d.Objects.Put(ctx, uri, []byte(b.Inputs[name])); err != nil {
			return run.Spec{}, err
		}
	}
	task, err := b.Model.Render(id, b.Inputs, files)
	if err == nil {
		err = fargate.NewRequest(task, fargate.Launch{Deployment: d.Deployment, Run: id, Attempt: 1, Placement: d.Placement}).Check()
	}
	objects, objectsErr := rendered(b.Model, b.Inputs)
	if err := cmp.Or(err, objectsErr); err != nil {
		return run.Spec{}, &unfitError{err}
	}
	inputs := maps.Clone(b.Inputs)
	var large []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if len(inputs[name]) > largeInput {
			inputs[name], large = files[name], append(large, name)
		}
	}
	return run.Spec{
		Schema: model.Schema, Run: id, Catalog: d.Catalog.Version, Event: e.Identity, Kind: e.Kind, Key: b.Key,
		Inputs: inputs, Large: large, From: b.From, Task: task, Objects: objects,
	}, nil
}

// lineFor is the line in which a run of a model has to stand: its own, or while the model is paused the one of the pause.
func (d *Dispatcher) lineFor(ctx context.Context, name, line string) (string, error) {
	if line != "" {
		return line, nil
	}
	c, _, err := d.Control(ctx, name)
	if err != nil || !c.Paused {
		return "", err
	}
	return pausedLine(name), nil
}

// Files are the objects in which a run finds the inputs that are given to it as files.
func Files(bucket, id string, b route.Binding) map[string]string {
	files := map[string]string{}
	for _, in := range b.Model.Inputs {
		if _, set := b.Inputs[in.Name]; in.AsFile && set {
			files[in.Name] = fmt.Sprintf("s3://%s/inputs/%s/%s", bucket, id, in.FileName())
		}
	}
	return files
}

// prepare makes the record of an event; a large payload is laid into the state bucket first.
func (d *Dispatcher) prepare(ctx context.Context, e event.Event, decision Decision) (Record, error) {
	r := d.record(e, decision)
	if len(e.Payload) < largePayload {
		return r, nil
	}
	r.Payload, r.PayloadURI = nil, fmt.Sprintf("s3://%s/%s.json", d.Bucket, EventPartition(e.Identity))
	return r, d.Objects.Put(ctx, r.PayloadURI, e.Payload)
}

// Reject records that an event cannot be used, with its payload and the reason, and announces it.
func (d *Dispatcher) Reject(ctx context.Context, e event.Event, decision Decision) (Decision, error) {
	decision.Verdict = Rejected
	record, err := d.prepare(ctx, e, decision)
	if err != nil {
		return decision, err
	}
	record.Sequence = 1
	record.Outbox = record.Outbox.Add(run.Effect{Kind: run.Announce, What: AnnounceRejected, Sequence: 1}, record.Received)
	key := EventKey(e.Identity, decision.Model, decision.Key)
	err = d.Store.Commit(ctx, store.Create(d.recordDoc(key, record, 0)))
	if errors.Is(err, store.ErrConflict) {
		return d.again(ctx, e, decision.Model, decision.Key)
	}
	if err != nil {
		return decision, fmt.Errorf("recording the rejection of %s: %w", e.Identity, err)
	}
	d.decided(ctx, e, decision)
	d.carryOut(ctx, key, record.Outbox.Effects)
	return decision, nil
}

// again counts one more delivery of an event that has its record already. What is left to do
// about the first one is the outbox's and the sweep's.
func (d *Dispatcher) again(ctx context.Context, e event.Event, model, key string) (Decision, error) {
	at := EventKey(e.Identity, model, key)
	for {
		record, version, err := Read[Record](ctx, d.Store, at)
		if err != nil {
			return Decision{}, err
		}
		record.Duplicates++
		switch err := d.Store.Commit(ctx, store.Update(d.recordDoc(at, record, version))); {
		case errors.Is(err, store.ErrConflict):
			continue
		case err != nil:
			return Decision{}, fmt.Errorf("counting a duplicate of %s: %w", e.Identity, err)
		}
		decision := record.Decision
		decision.Verdict, decision.Reason = Duplicate, fmt.Sprintf("delivery %d of an event that %s", record.Duplicates+1, became[record.Verdict])
		return d.decided(ctx, e, decision), nil
	}
}

// became says what an earlier delivery of an event led to.
var became = map[Verdict]string{Started: "has its run", Joined: "joined a run", Rejected: "was rejected"}

// decided says what became of an event.
func (d *Dispatcher) decided(ctx context.Context, e event.Event, decision Decision) Decision {
	if d.Notice.Decided != nil {
		d.Notice.Decided(e, decision)
	}
	log(ctx).Info().Str("event", e.Identity).Str("decision", string(decision.Verdict)).Str("model", decision.Model).
		Str("run", decision.Run).Str("reason", decision.Reason).Msg("event decided")
	return decision
}
