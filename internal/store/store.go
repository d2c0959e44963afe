// Package store defines the durable storage of a deployment: everything that must survive a process, such as runs,
// their attempts, event records and the members of concurrency groups.
//
// In the flow event -> binding -> run -> launch -> task -> outcome -> announcement, packages dispatch, limiter and groups
// write to the store, and packages operate, cli and local read from it. Dispatch commits a change here first and calls other services
// afterwards. If such a call is lost, the sweep finds the document through Due and repeats the call. The exception is
// an object in the state bucket, such as a large payload: dispatch writes it before it commits the document that refers
// to it. This package does not know the content of a document: package records has the keys and encodes the
// bodies.
//
// Terms:
//
//   - A document ([Doc]) is a JSON body under a key, with a version.
//   - A key ([Key]) consists of a partition key and a sort key. Partition reads the documents that share a partition
//     key, in the order of their sort keys. All documents of one run share a partition.
//   - A version counts the commits that put a document, from 1. A document that is removed and created again starts
//     at 1 again.
//   - A write ([Write]) puts or deletes one document under one condition: the document is absent ([Create]), or it
//     still has the version that the caller read ([Update], [Remove]).
//   - A commit is a list of 1 to [MaxWrites] writes. The store carries out all of them or none.
//   - A conflict ([ErrConflict]) means that the condition of a write did not hold, so that the store wrote nothing. The
//     one exception: if an answer of DynamoDB is lost and another commit then overwrites the document, the repeated
//     request ends in a conflict although the first one succeeded (see package dynamodb).
//   - The kind (Doc.Kind) names the type of a document's content. The caller chooses it.
//   - A cursor is the text with which List continues after a page. It holds a [Position] and the filters of its query, and
//     it is the same for all stores.
//   - The due time (Doc.Due) of a document says when the sweep must process it.
//   - A shard is one of [Shards] parts of the index of due documents. The hash of the partition key selects it.
//     Shards keep the writes off a single partition of a DynamoDB index, and let the sweep read them in parallel.
//
// Entry points: [Store] is the interface. Its implementations are packages dynamodb (an AWS account), sqlite (a laptop)
// and memory (simulations). They check writes with [Check] and queries with [Query.Page]. The conformance suite in
// package storetest runs against all of them.
//
// Rules for callers:
//
//   - To change a document, read it, decide, and commit with the version that was read. After a conflict, start again
//     from the read.
//   - Get and Partition read consistently. Due and List may lag behind commits, because DynamoDB's global secondary
//     indexes do. Read a document again with Get before you act on a key from Due.
//   - After any other error of Commit, the writes may have happened: the answer may have been lost. Read again to find
//     out.
//   - Times keep milliseconds. The store truncates finer times and returns all times in UTC.
//   - Expiry is not exact. DynamoDB deletes an expired document some time later, sqlite at its next Open, memory never.
//   - DynamoDB limits an item to 400 KB. The dispatcher moves large values to the state bucket.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"
)

var (
	// ErrNotFound is the error that Get wraps when no document has the key.
	ErrNotFound = errors.New("no such document")
	// ErrConflict is the error that Commit wraps when the condition of a write did not hold. Nothing was written.
	ErrConflict = errors.New("a document has changed since it was read")
)

// MaxWrites is the maximum number of writes in one commit. DynamoDB's TransactWriteItems allows 100:
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
const MaxWrites = 100

// MaxConflicts is the maximum number of tries of a commit that ends in a conflict. After that the caller returns an error,
// and its work is repeated later: an effect stays in the outbox, and SQS delivers a message again.
const MaxConflicts = 100

// Shards is the number of shards of the index of due documents.
const Shards = 4

// Key identifies a document. Neither part may be empty.
type Key struct {
	PK string // the partition key
	SK string // the sort key, unique within the partition
}

// String returns both parts, separated by a space, for errors and logs.
func (k Key) String() string { return k.PK + " " + k.SK }

// Shard returns the shard of the due index that holds the document, from 0 to Shards-1.
func (k Key) Shard() int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(k.PK))
	return int(h.Sum32() % Shards)
}

// Doc is a document.
type Doc struct {
	Key
	// Kind names the type of the content, such as run. The store does not interpret it.
	Kind string
	// Version counts the commits that put the document, from 1. The store sets it; Create ignores it.
	Version int64
	Body    json.RawMessage
	// Due tells when the sweep must process the document: Store.Due returns it from then on. Zero means that the document
	// is never due.
	Due time.Time
	// Expires is the earliest time for the store to delete the document. Zero means that it never expires.
	Expires time.Time
	// Index makes the document listable. Store.List finds only documents whose Index has a time.
	Index Index
}

// Index holds the fields by which Store.List finds and orders a document.
type Index struct {
	Model string    // the model's name; empty for an event that no model matches
	State string    // the state of a run, or the decision about an event
	Time  time.Time // the time that orders a list, newest first
}

// DueDoc identifies a document that is due.
type DueDoc struct {
	Key
	Kind string
}

// Write is one write of a commit. It puts Doc, or deletes the document with Doc's key, if its condition holds.
type Write struct {
	Doc    Doc
	Delete bool
	// IfVersion is the condition. 0 requires that the document is absent; any other value is the version that the
	// document must still have. A put stores version IfVersion+1.
	IfVersion int64
}

// Create returns a write that puts d if no document has its key.
func Create(d Doc) Write { return Write{Doc: d} }

// Update returns a write that puts d if the stored document still has version d.Version.
func Update(d Doc) Write { return Write{Doc: d, IfVersion: d.Version} }

// Remove returns a write that deletes the document if it still has version d.Version.
func Remove(d Doc) Write {
	return Write{Doc: Doc{Key: d.Key, Kind: d.Kind}, Delete: true, IfVersion: d.Version}
}

// Query selects documents to list. Kind is required; any other empty field selects everything.
type Query struct {
	Kind   string // the kind of document: run or event
	Model  string // the exact name of a model
	State  string // the exact state of a run, or decision about an event
	Day    string // a day in UTC, as 2006-01-02
	Limit  int    // the maximum number of documents in a page; 0 means 100
	Cursor string // the cursor that the previous page of the same query returned; empty for the first page
}

// Store reads and writes documents. All methods are safe for concurrent use, and return the context's error when the
// context is cancelled.
type Store interface {
	// Get reads one document, consistently. It returns ErrNotFound if no document has the key.
	Get(ctx context.Context, key Key) (Doc, error)
	// Partition reads the documents of a partition whose sort keys begin with skPrefix, consistently, in the byte
	// order of their sort keys. Limit 0 means all. A partition without such documents is no error.
	Partition(ctx context.Context, pk, skPrefix string, limit int) ([]Doc, error)
	// Commit carries out all writes or none. It returns ErrConflict if the condition of a write did not hold, and
	// the error of Check, before it writes anything, if the writes are not well-formed.
	Commit(ctx context.Context, writes ...Write) error
	// Due returns the documents of one shard whose Due is not after before, earliest first. Limit 0 means all. It may
	// lag behind commits. A shard outside 0 to Shards-1 is an error.
	Due(ctx context.Context, shard int, before time.Time, limit int) ([]DueDoc, error)
	// List returns a page of the documents that q selects, newest first, and the cursor of the next page, which is
	// empty at the end. It may lag behind commits. It returns the error of Query.Page if the query is not well-formed.
	List(ctx context.Context, q Query) ([]Doc, string, error)
	// Close releases the resources of the store.
	Close() error
}

// Check returns an error if the writes of a commit are not well-formed: there must be 1 to MaxWrites of them, each with
// a complete key that no other write has, and a deletion needs the version that was read.
func Check(writes []Write) error {
	if len(writes) == 0 || len(writes) > MaxWrites {
		return fmt.Errorf("a commit has 1 to %d writes, not %d", MaxWrites, len(writes))
	}
	seen := make(map[Key]bool, len(writes))
	for _, w := range writes {
		switch k := w.Doc.Key; {
		case k.PK == "" || k.SK == "":
			return fmt.Errorf("a write has an incomplete key %q: it needs a partition key and a sort key", k)
		case seen[k]:
			return fmt.Errorf("a commit writes %s twice", k)
		case w.Delete && w.IfVersion == 0:
			return fmt.Errorf("a deletion of %s needs the version that was read", k)
		default:
			seen[k] = true
		}
	}
	return nil
}
