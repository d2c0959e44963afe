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

// The kinds of documents that are listed.
const (
	KindRun   = "run"
	KindEvent = "event"
)

// DefaultRetention is how long what has ended is kept where Options do not say. The record of an event detects
// duplicates: it is not to be kept for less than 30 days.
const DefaultRetention = 90 * 24 * time.Hour

// largePayload is from which size on, in bytes, a payload is kept in the state bucket.
const largePayload = 32 << 10

// largeInput is from which size on, in bytes, an input that is given as a file is only known by that file's URI. What is
// not given as a file fits in the overrides of a task, so a Spec stays far below the 400 KB that DynamoDB takes.
const largeInput = 4 << 10

// Verdict is what became of an event for a model.
type Verdict string

const (
	Started   Verdict = "run"       // it has a run of its own
	Joined    Verdict = "joined"    // it joined a run that waited for more events of its group
	Duplicate Verdict = "duplicate" // it was there before, and has its run already
	Rejected  Verdict = "rejected"  // it cannot be used: recorded with its payload, for replay
	Awaited   Verdict = "awaited"   // no model takes it, and runs waited for its object
	Unmatched Verdict = "unmatched" // no model takes it
)

// Decision is what became of an event for a model, and why.
type Decision struct {
	Model   string  `json:"model,omitempty"`
	Key     string  `json:"key,omitempty"` // for-each values
	Verdict Verdict `json:"decision"`
	Run     string  `json:"run,omitempty"`
	Reason  string  `json:"reason,omitempty"`
}

// Record is the document of an event: one for each model (and for-each value) that it concerns.
type Record struct {
	Schema   int        `json:"schema"`
	Identity string     `json:"identity"`
	Kind     model.Kind `json:"kind"`
	Source   string     `json:"source,omitempty"`
	Decision
	Time       time.Time       `json:"time"`     // of the event
	Received   time.Time       `json:"received"` // by us
	Payload    json.RawMessage `json:"payload,omitempty"`
	PayloadURI string          `json:"payloadUri,omitempty"` // where a large payload lies
	Duplicates int             `json:"duplicates,omitempty"`
	Sequence   int             `json:"sequence,omitempty"`
	Outbox     run.Outbox      `json:"outbox,omitzero"`
}

// RunKey is where a run's document is.
func RunKey(id string) store.Key { return store.Key{PK: "run/" + id, SK: "run"} }

// SpecKey is where what a run was accepted with is.
func SpecKey(id string) store.Key { return store.Key{PK: "run/" + id, SK: "spec"} }

// AttemptKey is where an attempt of a run is.
func AttemptKey(id string, number int) store.Key {
	return store.Key{PK: "run/" + id, SK: fmt.Sprintf("attempt/%04d", number)}
}

// EventKey is where the record of an event is for a model and its for-each values; "-" is for no model.
func EventKey(identity, model, key string) store.Key {
	sort := model
	if sort == "" {
		sort = "-"
	}
	if key != "" {
		sort += "/" + key
	}
	return store.Key{PK: EventPartition(identity), SK: sort}
}

// EventPartition holds all records of one event.
func EventPartition(identity string) string {
	sum := sha256.Sum256([]byte(identity))
	return "event/" + hex.EncodeToString(sum[:16])
}

// RunID is the id of the run that an event makes of a model: the same for each delivery of it.
func RunID(model, identity, key string) string {
	sum := sha256.Sum256([]byte(model + "\x00" + identity + "\x00" + key))
	return model + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:12]
}

func encode(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("a document that cannot be encoded: %v", err)) // plain data: cannot happen
	}
	return text
}

// expires is when a document may go that nobody needs any more since a time; the zero time is not yet.
func (d *Dispatcher) expires(since time.Time) time.Time {
	if since.IsZero() {
		return since
	}
	return since.Add(cmp.Or(d.Retention, DefaultRetention))
}

// runDoc is the document of a run, at the version it was read.
func (d *Dispatcher) runDoc(r run.Run, version int64) store.Doc {
	return store.Doc{
		Key: RunKey(r.ID), Version: version, Body: encode(r), Due: r.Outbox.Next(r.Due), Expires: d.expires(r.Ended),
		Index: store.Index{Kind: KindRun, Model: r.Model, State: string(r.State), Time: r.Accepted},
	}
}

func (d *Dispatcher) recordDoc(key store.Key, r Record, version int64) store.Doc {
	return store.Doc{
		Key: key, Version: version, Body: encode(r), Due: r.Outbox.Next(time.Time{}), Expires: d.expires(r.Received),
		Index: store.Index{Kind: KindEvent, Model: r.Model, State: string(r.Verdict), Time: r.Received},
	}
}

// Read reads a document of this program's. One of newer code's schema is an error: it is put
// back, for code that knows it.
func Read[T run.Run | run.Spec | run.Attempt | Record | Control | Expectation | pace | line | group](ctx context.Context, s store.Store, key store.Key) (T, int64, error) {
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

// Decode reads the body of a document.
func Decode(doc store.Doc, v any) error {
	var head struct{ Schema int }
	if err := json.Unmarshal(doc.Body, &head); err != nil {
		return fmt.Errorf("decoding %s: %w", doc.Key, err)
	}
	if head.Schema > model.Schema {
		return fmt.Errorf("decoding %s: it has schema %d, and this code knows up to %d; newer code wrote it", doc.Key, head.Schema, model.Schema)
	}
	if err := json.Unmarshal(doc.Body, v); err != nil {
		return fmt.Errorf("decoding %s: %w", doc.Key, err)
	}
	return nil
}

// record is the document of an event that was just received.
func (d *Dispatcher) record(e event.Event, decision Decision) Record {
	return Record{
		Schema: model.Schema, Identity: e.Identity, Kind: e.Kind, Source: e.Source, Decision: decision,
		Time: e.Time, Received: d.Now(), Payload: e.Payload,
	}
}

// CatalogURI is where the copy of the catalog lies that a deployment works with.
func CatalogURI(bucket string) string { return "s3://" + bucket + "/catalog.json" }

// Publish lays that copy: the command line reads it.
func (d *Dispatcher) Publish(ctx context.Context) error {
	compiled, err := d.Catalog.Compile()
	if err != nil {
		return err
	}
	return d.Objects.Put(ctx, CatalogURI(d.Bucket), compiled)
}
