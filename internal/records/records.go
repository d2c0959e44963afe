package records

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// The kinds of documents: the values of store.Doc.Kind.
const (
	KindRun         = "run"
	KindSpec        = "spec"
	KindAttempt     = "attempt"
	KindEvent       = "event"
	KindHolders     = "holders"
	KindWaiter      = "waiter"
	KindObject      = "object-waiter"
	KindWindow      = "window"
	KindControl     = "control"
	KindLimiter     = "limiter"
	KindExpectation = "expectation"
)

// DefaultRetention is the retention if none is set.
const DefaultRetention = Retention(90 * 24 * time.Hour)

// Retention tells how long a document stays after its run has ended, and an event record after the event was received.
// 0 means DefaultRetention. Event records detect duplicates, so a retention below 30 days is not safe.
type Retention time.Duration

// Since returns when a document expires that was last needed at a time. For the zero time it returns the zero time: the
// document is still needed, and does not expire.
func (r Retention) Since(at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return at.Add(time.Duration(cmp.Or(r, DefaultRetention)))
}

// RunDoc returns the document of a run. Pass the version that you read, or 0 for a new run.
func RunDoc(r run.Run, version int64, keep Retention) store.Doc {
	return store.Doc{
		Key: RunKey(r.ID), Kind: KindRun, Version: version, Body: Encode(r), Due: r.Outbox.Next(r.Due), Expires: keep.Since(r.Ended),
		Index: store.Index{Model: r.Model, State: string(r.State), Time: r.Accepted},
	}
}

// SpecDoc returns the document of a run's spec. It does not expire before the run has ended.
func SpecDoc(s run.Spec, version int64) store.Doc {
	return store.Doc{Key: SpecKey(s.Run), Kind: KindSpec, Version: version, Body: Encode(s)}
}

// AttemptDoc returns the document of an attempt of a run.
func AttemptDoc(id string, a run.Attempt, version int64, keep Retention) store.Doc {
	return store.Doc{
		Key: AttemptKey(id, a.Number), Kind: KindAttempt, Version: version, Body: Encode(a), Expires: keep.Since(a.Ended),
	}
}

// EventDoc returns the document of an event record. Pass the version that you read, or 0 for a new record.
func EventDoc(r EventRecord, version int64, keep Retention) store.Doc {
	return store.Doc{
		Key: EventKey(r.Identity, r.Model, r.Combination), Kind: KindEvent, Version: version, Body: Encode(r),
		Due: r.Outbox.Next(time.Time{}), Expires: keep.Since(r.Received),
		Index: store.Index{Model: r.Model, State: string(r.Kind), Time: r.Received},
	}
}

// HoldersDoc returns the document of a concurrency group. Pass the version that you read, or 0 for a new group.
func HoldersDoc(g run.Group, h Holders, version int64) store.Doc {
	return store.Doc{Key: HoldersKey(g), Kind: KindHolders, Version: version, Body: Encode(h)}
}

// WaiterDoc returns the document of a run that waits for a slot or for capacity.
func WaiterDoc(r run.Run) store.Doc {
	return store.Doc{Key: WaiterKey(r), Kind: KindWaiter, Version: 1, Body: Encode(Waiter{model.Schema, r.ID})}
}

// ObjectDoc returns the document of a run that waits for an object.
func ObjectDoc(uri, id string) store.Doc {
	key := store.Key{PK: ObjectPartition(uri), SK: id}
	return store.Doc{Key: key, Kind: KindObject, Version: 1, Body: Encode(Waiter{model.Schema, id})}
}

// WindowDoc returns the document of a debounce window whose run has just been accepted.
func WindowDoc(key store.Key, r run.Run, keep Retention) store.Doc {
	return store.Doc{Key: key, Kind: KindWindow, Body: Encode(Window{model.Schema, r.ID}), Expires: keep.Since(r.Accepted)}
}

// ReadControl returns the control document of a model and its version. A model that was never paused has none;
// ReadControl then returns an empty document, not paused, with version 0.
func ReadControl(ctx context.Context, s store.Store, name string) (Control, int64, error) {
	c, version, err := Read[Control](ctx, s, ControlKey(name))
	if errors.Is(err, store.ErrNotFound) {
		return Control{Schema: model.Schema, Model: name}, 0, nil
	}
	return c, version, err
}

// Write returns the write of a control document that was read at this version; 0 creates it.
func (c Control) Write(version int64) store.Write {
	return store.Write{IfVersion: version, Doc: store.Doc{
		Key: ControlKey(c.Model), Kind: KindControl, Version: version, Body: Encode(c), Due: c.Outbox.Next(time.Time{}),
	}}
}

// Write returns the write of an expectation that was read at this version; 0 creates it.
func (x Expectation) Write(version int64) store.Write {
	return store.Write{IfVersion: version, Doc: store.Doc{
		Key: ExpectationKey(x.Model, x.Value), Kind: KindExpectation, Version: version, Body: Encode(x),
		Due: x.Outbox.Next(time.Time{}),
	}}
}

// Write returns the write of a limiter that was read at this version; 0 creates it. It is due at its next probe.
func (l Limiter) Write(version int64) store.Write {
	due := time.Time{}
	for _, probe := range l.Breakers {
		if due.IsZero() || probe.Before(due) {
			due = probe
		}
	}
	return store.Write{IfVersion: version, Doc: store.Doc{
		Key: LimiterKey(), Kind: KindLimiter, Version: version, Body: Encode(l), Due: due,
	}}
}

// ChangeOutbox returns a document of any kind with a changed outbox, and with the due time that follows from it.
func ChangeOutbox(doc store.Doc, change func(run.Outbox) run.Outbox) (store.Doc, error) {
	switch doc.Kind {
	case KindRun:
		return changeOutbox(doc, change, func(r *run.Run) (*run.Outbox, time.Time) { return &r.Outbox, r.Due })
	case KindEvent:
		return changeOutbox(doc, change, func(r *EventRecord) (*run.Outbox, time.Time) { return &r.Outbox, time.Time{} })
	case KindControl:
		return changeOutbox(doc, change, func(c *Control) (*run.Outbox, time.Time) { return &c.Outbox, time.Time{} })
	case KindExpectation:
		return changeOutbox(doc, change, func(x *Expectation) (*run.Outbox, time.Time) { return &x.Outbox, time.Time{} })
	}
	return doc, fmt.Errorf("document %s of kind %q has no outbox", doc.Key, doc.Kind)
}

// changeOutbox changes the outbox of a document with content of type T. fields returns the outbox and the own due time
// of the content.
func changeOutbox[T document](
	doc store.Doc, change func(run.Outbox) run.Outbox, fields func(*T) (*run.Outbox, time.Time),
) (store.Doc, error) {
	v, err := Decode[T](doc)
	if err != nil {
		return doc, err
	}
	outbox, due := fields(&v)
	*outbox = change(*outbox)
	doc.Body, doc.Due = Encode(v), outbox.Next(due)
	return doc, nil
}

// OutboxOf returns the outbox of a document of any kind. It is empty for a kind without one.
func OutboxOf(doc store.Doc) (run.Outbox, error) {
	has, err := Decode[struct{ Outbox run.Outbox }](doc)
	return has.Outbox, err
}

// document lists the types of the documents.
type document interface {
	run.Run | run.Spec | run.Attempt | EventRecord | Control | Expectation | Limiter | Holders | Window | Waiter
}

// Read reads a document and its version. It returns store.ErrNotFound if no document has the key, and an error if newer
// code wrote the document with a schema that this code does not know.
func Read[T document](ctx context.Context, s store.Store, key store.Key) (T, int64, error) {
	var v T
	doc, err := s.Get(ctx, key)
	if err != nil {
		return v, 0, fmt.Errorf("reading %s: %w", key, err)
	}
	v, err = Decode[T](doc)
	return v, doc.Version, err
}

// Decode returns the content of a document. It returns an error if the document has a newer schema than this code.
func Decode[T any](doc store.Doc) (T, error) {
	var head struct{ Schema int }
	var v, none T
	if err := json.Unmarshal(doc.Body, &head); err != nil {
		return none, fmt.Errorf("decoding %s: %w", doc.Key, err)
	}
	if head.Schema > model.Schema {
		return none, fmt.Errorf("decoding %s: newer code wrote it, with schema %d; this code knows schemas up to %d",
			doc.Key, head.Schema, model.Schema)
	}
	if err := json.Unmarshal(doc.Body, &v); err != nil {
		return none, fmt.Errorf("decoding %s: %w", doc.Key, err)
	}
	return v, nil
}

// Encode returns the JSON form of a value, such as the content of a document. The value must be plain data.
func Encode(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("a document that cannot be encoded: %v", err)) // plain data: cannot happen
	}
	return text
}

// RunKey returns the key of a run's document.
func RunKey(id string) store.Key { return store.Key{PK: "run/" + id, SK: "run"} }

// SpecKey returns the key of a run's spec.
func SpecKey(id string) store.Key { return store.Key{PK: "run/" + id, SK: "spec"} }

// AttemptKey returns the key of an attempt of a run. Attempts are numbered from 1.
func AttemptKey(id string, number int) store.Key {
	return store.Key{PK: "run/" + id, SK: fmt.Sprintf("attempt/%04d", number)}
}

// RunID returns the id of the run that an event starts for a model and a combination of for-each values. It is the same
// for each delivery of the event.
func RunID(model, identity, combination string) string {
	sum := sha256.Sum256([]byte(model + "\x00" + identity + "\x00" + combination))
	return model + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:12]
}

// EventKey returns the key of an event's record for a model and a combination of for-each values. An empty model stands
// for an event that no model matches.
func EventKey(identity, model, combination string) store.Key {
	sort := model
	if sort == "" {
		sort = "-"
	}
	if combination != "" {
		sort += "/" + combination
	}
	return store.Key{PK: EventPartition(identity), SK: sort}
}

// EventPartition returns the partition key of all records of one event.
func EventPartition(identity string) string { return "event/" + Hash(identity) }

// HoldersKey returns the key of a concurrency group's document.
func HoldersKey(g run.Group) store.Key { return store.Key{PK: GroupPartition(g), SK: "holders"} }

// GroupPartition returns the partition key of a concurrency group's documents.
func GroupPartition(g run.Group) string { return "group/" + g.String() }

// BreakerPartition returns the partition key of the waiters at the breaker of a capacity type.
func BreakerPartition(c model.Capacity) string { return "breaker/" + string(c) }

// WaiterPrefix begins the sort keys of the waiters in the partition of a concurrency group or of a breaker.
const WaiterPrefix = "w/"

// WaiterKey returns the key of a run that waits for a slot or for capacity. The sort keys order the waiters by when
// their runs were accepted.
func WaiterKey(r run.Run) store.Key {
	partition := GroupPartition(r.Group)
	if r.WaitingFor == run.ForCapacity {
		partition = BreakerPartition(r.Breaker)
	}
	return store.Key{PK: partition, SK: fmt.Sprintf("%s%015d/%s", WaiterPrefix, r.Accepted.UnixMilli(), r.ID)}
}

// WindowKey returns the key of the debounce window for these inputs. Without `per`, all inputs must be equal.
func WindowKey(m model.Model, inputs model.Inputs) store.Key {
	text := ""
	if per := m.Policy.Debounce.Per; per != nil {
		text = per.Key(inputs)
	} else {
		for _, name := range slices.Sorted(maps.Keys(inputs)) {
			text += name + "=" + inputs[name] + "\x00"
		}
	}
	return store.Key{PK: "window/" + m.Name + "/" + Hash(text), SK: "-"}
}

// ObjectPartition returns the partition key of the runs that wait for an object.
func ObjectPartition(uri string) string { return "object/" + Hash(uri) }

// ControlKey returns the key of a model's control document.
func ControlKey(name string) store.Key { return store.Key{PK: "control/" + name, SK: "-"} }

// LimiterKey returns the key of the limiter. No model can have the name -.
func LimiterKey() store.Key { return store.Key{PK: "control/-", SK: "rate-limiter"} }

// ExpectationKey returns the key of a model's expectation for a value of `per`.
func ExpectationKey(name, value string) store.Key {
	return store.Key{PK: "expect/" + name, SK: "-" + value}
}

// Hash returns 32 hexadecimal characters of the SHA-256 of a text, for keys.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}
