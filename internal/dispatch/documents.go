package dispatch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// The values of store.Index.Kind for documents that store.Store.List finds.
const (
	KindRun   = "run"
	KindEvent = "event"
)

// DefaultRetention is the retention if Options.Retention is 0: how long a document stays after its run has ended, and
// an event record after the event was received. Event records detect duplicates, so a retention below 30 days is not
// safe.
const DefaultRetention = 90 * 24 * time.Hour

// minExternalPayload is the smallest size, in bytes, of an event payload that is stored in the state bucket instead of
// the event record.
const minExternalPayload = 32 << 10

// maxInlineInput is the largest size, in bytes, of a file input whose value is stored in the spec. The spec holds only
// the file's URI for a larger one. Other inputs must fit in the overrides of a task, so that a spec stays far below the
// 400 KB that DynamoDB allows for an item.
const maxInlineInput = 4 << 10

// DecisionKind names the result of an event for a model.
type DecisionKind string

const (
	Started   DecisionKind = "started"   // the event has a run of its own
	Joined    DecisionKind = "joined"    // the event joined the run of an open debounce window
	Duplicate DecisionKind = "duplicate" // the event was delivered before, and has a decision already
	Rejected  DecisionKind = "rejected"  // the event cannot be used; it is recorded with its payload, for replay
	Awaited   DecisionKind = "awaited"   // no model matches the event, but a run waits for its object
	Unmatched DecisionKind = "unmatched" // no model matches the event
)

// Decision is the result of an event for a model, with its reason.
type Decision struct {
	Model       string       `json:"model,omitempty"`       // empty if no model matches the event
	Combination string       `json:"combination,omitempty"` // the for-each values, for example region=us
	Kind        DecisionKind `json:"decision"`
	Run         string       `json:"run,omitempty"`    // the id of the run that was started or joined
	Reason      string       `json:"reason,omitempty"` // empty for a run that was started or joined
}

// EventRecord is the document of an event. An event has one for each model and combination of for-each values that it
// concerns. It makes a second delivery of the event a duplicate.
type EventRecord struct {
	Schema    int        `json:"schema"`
	Identity  string     `json:"identity"` // the same for each delivery of the event
	EventKind model.Kind `json:"kind"`
	Source    string     `json:"source,omitempty"`
	Decision
	Time       time.Time       `json:"time"`                 // the time of the event
	Received   time.Time       `json:"received"`             // the time of its first delivery
	Payload    json.RawMessage `json:"payload,omitempty"`    // empty if PayloadURI is set
	PayloadURI string          `json:"payloadUri,omitempty"` // the object in the state bucket that holds a large payload
	Duplicates int             `json:"duplicates,omitempty"` // the number of deliveries after the first
	Sequence   int             `json:"sequence,omitempty"`   // the number of the last announcement about the event
	Outbox     run.Outbox      `json:"outbox,omitzero"`
}

// RunKey returns the key of a run's document.
func RunKey(id string) store.Key { return store.Key{PK: "run/" + id, SK: "run"} }

// SpecKey returns the key of a run's spec.
func SpecKey(id string) store.Key { return store.Key{PK: "run/" + id, SK: "spec"} }

// AttemptKey returns the key of an attempt of a run. Attempts are numbered from 1.
func AttemptKey(id string, number int) store.Key {
	return store.Key{PK: "run/" + id, SK: fmt.Sprintf("attempt/%04d", number)}
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
func EventPartition(identity string) string {
	sum := sha256.Sum256([]byte(identity))
	return "event/" + hex.EncodeToString(sum[:16])
}

// RunID returns the id of the run that an event starts for a model and a combination of for-each values. It is the same
// for each delivery of the event.
func RunID(model, identity, combination string) string {
	sum := sha256.Sum256([]byte(model + "\x00" + identity + "\x00" + combination))
	return model + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:12]
}

func encode(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("a document that cannot be encoded: %v", err)) // plain data: cannot happen
	}
	return text
}

// expires returns when a document expires: the retention after it was last needed. For the zero time it returns the
// zero time: the document is still needed, and does not expire.
func (d *Dispatcher) expires(since time.Time) time.Time {
	if since.IsZero() {
		return since
	}
	return since.Add(cmp.Or(d.Retention, DefaultRetention))
}

// runDoc returns the document of a run. The version is the version that was read, and 0 for a new run.
func (d *Dispatcher) runDoc(r run.Run, version int64) store.Doc {
	return store.Doc{
		Key: RunKey(r.ID), Version: version, Body: encode(r), Due: r.Outbox.Next(r.Due), Expires: d.expires(r.Ended),
		Index: store.Index{Kind: KindRun, Model: r.Model, State: string(r.State), Time: r.Accepted},
	}
}

// recordDoc returns the document of an event record, like runDoc.
func (d *Dispatcher) recordDoc(key store.Key, r EventRecord, version int64) store.Doc {
	return store.Doc{
		Key: key, Version: version, Body: encode(r), Due: r.Outbox.Next(time.Time{}), Expires: d.expires(r.Received),
		Index: store.Index{Kind: KindEvent, Model: r.Model, State: string(r.Kind), Time: r.Received},
	}
}

// document lists the types of the documents that this package stores.
type document interface {
	run.Run | run.Spec | run.Attempt | EventRecord | Control | Expectation | limiter | group | window
}

// Read reads a document and its version. It returns store.ErrNotFound if no document has the key, and an error if newer
// code wrote the document with a schema that this code does not know.
func Read[T document](ctx context.Context, s store.Store, key store.Key) (T, int64, error) {
	var v T
	doc, err := s.Get(ctx, key)
	if err != nil {
		return v, 0, fmt.Errorf("reading %s: %w", key, err)
	}
	if err := Decode(doc, &v); err != nil {
		return v, 0, err
	}
	return v, doc.Version, nil
}

// Decode decodes the body of a document into v. It returns an error if the document has a newer schema than this code.
func Decode(doc store.Doc, v any) error {
	var head struct{ Schema int }
	if err := json.Unmarshal(doc.Body, &head); err != nil {
		return fmt.Errorf("decoding %s: %w", doc.Key, err)
	}
	if head.Schema > model.Schema {
		return fmt.Errorf("decoding %s: newer code wrote it, with schema %d; this code knows schemas up to %d",
			doc.Key, head.Schema, model.Schema)
	}
	if err := json.Unmarshal(doc.Body, v); err != nil {
		return fmt.Errorf("decoding %s: %w", doc.Key, err)
	}
	return nil
}

// record returns the record of an event that was received just now.
func (d *Dispatcher) record(e event.Event, decision Decision) EventRecord {
	return EventRecord{
		Schema: model.Schema, Identity: e.Identity, EventKind: e.Kind, Source: e.Source, Decision: decision,
		Time: e.Time, Received: d.Now(), Payload: e.Payload,
	}
}

// CatalogURI returns the URI of the object in the state bucket that holds a copy of the deployment's catalog.
func CatalogURI(bucket string) string { return "s3://" + bucket + "/catalog.json" }

// Publish writes the deployment's catalog to CatalogURI. The command line reads it there.
func (d *Dispatcher) Publish(ctx context.Context) error {
	compiled, err := d.Catalog.Encode()
	if err != nil {
		return err
	}
	return d.Objects.Put(ctx, CatalogURI(d.Bucket), compiled)
}
