// Package store is the durable record of runs, events and lines.
//
// It holds documents, each under a partition key and a sort key, each with a version. A commit
// writes several of them, all or none, and every write carries one of two conditions: the
// document must be absent, or its version is still the one that was read. Nothing else is
// needed to move a run safely, and every database worth using can do it.
//
// Three implementations stand behind it: memory (simulations), sqlite (a laptop) and dynamodb
// (an account). One conformance suite, in storetest, holds for all of them.
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
	// ErrNotFound is returned by Get when no document has the key.
	ErrNotFound = errors.New("no such document")
	// ErrConflict is wrapped by Commit's error when a condition did not hold; nothing was written.
	ErrConflict = errors.New("a document changed in between")
)

// MaxWrites is how many writes one commit takes (DynamoDB's TransactWriteItems allows 100).
const MaxWrites = 100

// Shards is how many shards the index of due documents has.
const Shards = 4

// Key names a document.
type Key struct {
	PK string // partition
	SK string // sort key, unique within the partition
}

func (k Key) String() string { return k.PK + " " + k.SK }

// Shard is the shard of the due index in which the document is found.
func (k Key) Shard() int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(k.PK))
	return int(h.Sum32() % Shards)
}

// Doc is a document. Version counts its commits from 1.
type Doc struct {
	Key
	Version int64
	Body    json.RawMessage
	// Due, when not zero, is when the document wants attention: it is then found by Store.Due.
	Due time.Time
	// Expires, when not zero, is when the document may be deleted by the store.
	Expires time.Time
	// Index, when its Kind is set, makes the document listable.
	Index Index
}

// Index is what a document is listed by.
type Index struct {
	Kind  string    // run or event
	Model string    // may be empty for an event that names no model
	State string    // a run's state, an event's decision
	Time  time.Time // newest first; kept in milliseconds
}

// Write is one write of a commit: Doc is put, or its key deleted, when the condition holds.
type Write struct {
	Doc    Doc
	Delete bool
	// Was is the condition: 0 means that the document must be absent, else its version must
	// still be this. The put document gets version Was+1.
	Was int64
}

// Create puts a document that must be absent.
func Create(d Doc) Write { return Write{Doc: d} }

// Update puts d, which was read at d.Version, if it has not changed since.
func Update(d Doc) Write { return Write{Doc: d, Was: d.Version} }

// Remove deletes d, which was read at d.Version, if it has not changed since.
func Remove(d Doc) Write { return Write{Doc: Doc{Key: d.Key}, Delete: true, Was: d.Version} }

// Query selects documents to list. Empty fields select everything.
type Query struct {
	Kind   string // required
	Model  string
	State  string
	Day    string // 2006-01-02, UTC
	Limit  int    // of one page; 0 means 100
	Cursor string // from the page before
}

// Store is the durable record.
type Store interface {
	// Get reads one document, consistently. ErrNotFound when there is none.
	Get(ctx context.Context, key Key) (Doc, error)
	// Partition reads the documents of a partition whose sort keys begin with skPrefix,
	// consistently, in ascending order of sort key; limit 0 means all.
	Partition(ctx context.Context, pk, skPrefix string, limit int) ([]Doc, error)
	// Commit carries out all writes (1 to MaxWrites, each of another key) or none.
	Commit(ctx context.Context, writes ...Write) error
	// Due lists keys of one shard whose Due is not after before, earliest first. It may lag.
	Due(ctx context.Context, shard int, before time.Time, limit int) ([]Key, error)
	// List reads a page of listed documents, newest first, and the cursor of the next page
	// ("" at the end). It may lag.
	List(ctx context.Context, q Query) ([]Doc, string, error)
	Close() error
}

// Check says what is wrong with a commit's writes before any of them is tried.
func Check(writes []Write) error {
	if len(writes) == 0 || len(writes) > MaxWrites {
		return fmt.Errorf("a commit has 1 to %d writes, not %d", MaxWrites, len(writes))
	}
	seen := make(map[Key]bool, len(writes))
	for _, w := range writes {
		switch k := w.Doc.Key; {
		case k.PK == "" || k.SK == "":
			return fmt.Errorf("a write has an incomplete key %q", k)
		case seen[k]:
			return fmt.Errorf("a commit writes %s twice", k)
		case w.Delete && w.Was == 0:
			return fmt.Errorf("a deletion of %s needs the version that was read", k)
		default:
			seen[k] = true
		}
	}
	return nil
}
