// Package storetest holds the conformance suite for implementations of store.Store. It tests what the comments of
// store.Store promise, and each implementation runs it:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store { return memory.New() })
//	}
//
// The suite does not test what the promises leave open: whether an expired document still exists, how many documents a
// page has below its limit, and in which order List returns documents with the same millisecond.
//
// Run runs the suite, Benchmark measures a store, and Add shows how a store is used: read, decide, commit, and start
// again after a conflict. The package's own test compares memory with sqlite: it runs the same random calls on both.
package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"modeldispatch/internal/store"
)

// Run runs the suite. It calls open once for each test, from several tests at once. open returns an empty store and
// closes it when the test ends.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	tests := []struct {
		name string
		run  func(*testing.T, store.Store)
	}{
		{"Get returns the document as committed", wholeDocument},
		{"Get of an absent document returns ErrNotFound", notFound},
		{"bodies are kept byte for byte", bodies},
		{"callers do not share memory with the store", copies},
		{"versions count commits", versions},
		{"times keep milliseconds", precision},
		{"a condition that does not hold is a conflict", conflicts},
		{"a commit is all or none", allOrNone},
		{"a malformed commit is an error", malformed},
		{"a commit takes 100 writes", hundredWrites},
		{"keys may have any characters", unusualKeys},
		{"a cancelled call does nothing", cancelled},
		{"Partition returns documents in ascending order", partitionOrder},
		{"Partition filters by prefix", partitionPrefix},
		{"Due returns the earliest documents first", dueOrder},
		{"Due returns the documents of one shard", dueShards},
		{"Due follows the last commit", dueChanges},
		{"List returns the newest documents first", listOrder},
		{"List filters", listFilters},
		{"List follows the last commit", listChanges},
		{"each page starts after the one before", listPages},
		{"writes do not disturb paging", listWhileWriting},
		{"an invalid query is an error", invalidQueries},
		{"a cursor is of one query", foreignCursors},
		{"concurrent increments are not lost", increments},
		{"concurrent transfers keep the sum", transfers},
		{"one of many concurrent creates succeeds", concurrentCreates},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open(t))
		})
	}
}

// noon returns the start time of the tests.
func noon() time.Time { return time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC) }

func doc(pk, sk, body string) store.Doc {
	return store.Doc{Key: store.Key{PK: pk, SK: sk}, Body: json.RawMessage(body)}
}

// commit commits writes, which must succeed.
func commit(t *testing.T, s store.Store, writes ...store.Write) {
	t.Helper()
	if err := s.Commit(t.Context(), writes...); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// get reads a document, which must exist.
func get(t *testing.T, s store.Store, key store.Key) store.Doc {
	t.Helper()
	d, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("Get(%s): %v", key, err)
	}
	return d
}

// absent checks that no document has the key.
func absent(t *testing.T, s store.Store, key store.Key) {
	t.Helper()
	if d, err := s.Get(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get(%s) = %v, %v, want ErrNotFound", key, d, err)
	}
}

// same compares two documents. Times are equal if they are the same instant.
func same(t *testing.T, what string, got, want store.Doc) {
	t.Helper()
	if a, b := describe(got), describe(want); a != b {
		t.Errorf("%s:\n got %s\nwant %s", what, a, b)
	}
}

func describe(d store.Doc) string {
	return fmt.Sprintf("%q %q %s version %d body %q due %s expires %s index %q %q %s",
		d.PK, d.SK, d.Kind, d.Version, d.Body, instant(d.Due), instant(d.Expires),
		d.Index.Model, d.Index.State, instant(d.Index.Time))
}

func instant(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// equal compares two lists, in order.
func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

func sortKeys(docs []store.Doc) []string {
	keys := make([]string, 0, len(docs))
	for _, d := range docs {
		keys = append(keys, d.SK)
	}
	return keys
}
