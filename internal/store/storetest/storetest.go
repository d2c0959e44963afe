// Package storetest is the conformance suite of stores: what store.Store's comments promise, as
// tests that each implementation runs.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store { return memory.New() })
//	}
//
// It leaves the freedom that the promises leave: whether a document that has expired is still
// there, how many documents fewer than its limit a page has, and in which order documents of the
// same millisecond are listed.
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

// Run runs the suite. open is called once for each test, at the same time from several, and gives
// an empty store, which it closes when its test ends.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	tests := []struct {
		name string
		run  func(*testing.T, store.Store)
	}{
		{"a document is read as it was committed", wholeDocument},
		{"an absent document is not found", notFound},
		{"bodies are kept byte for byte", bodies},
		{"nobody shares memory with the store", detached},
		{"versions count commits", versions},
		{"times are kept in milliseconds", precision},
		{"a condition that does not hold is a conflict", conflicts},
		{"a commit is all or none", allOrNone},
		{"a commit that is not well-formed is refused", malformed},
		{"a commit takes 100 writes", hundredWrites},
		{"keys may have any characters", strangeKeys},
		{"a cancelled call does nothing", cancelled},
		{"a partition is read in ascending order", partitionOrder},
		{"a partition is read by prefix", partitionPrefix},
		{"due documents are found, earliest first", dueOrder},
		{"due documents are found in their shard", dueShards},
		{"a document is due as its last commit says", dueChanges},
		{"documents are listed newest first", listOrder},
		{"lists are filtered", listFilters},
		{"a document is listed as its last commit says", listChanges},
		{"pages go on where they stopped", listPages},
		{"paging is not disturbed by writes", listWhileWriting},
		{"a wrong query is refused", wrongQueries},
		{"no increment is lost", increments},
		{"transfers keep the sum", transfers},
		{"one of many creators wins", creators},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open(t))
		})
	}
}

// noon is when everything in the suite begins.
func noon() time.Time { return time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC) }

func doc(pk, sk, body string) store.Doc {
	return store.Doc{Key: store.Key{PK: pk, SK: sk}, Body: json.RawMessage(body)}
}

// commit commits what must succeed.
func commit(t *testing.T, s store.Store, writes ...store.Write) {
	t.Helper()
	if err := s.Commit(t.Context(), writes...); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// get reads what must be there.
func get(t *testing.T, s store.Store, key store.Key) store.Doc {
	t.Helper()
	d, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("Get(%s): %v", key, err)
	}
	return d
}

// absent checks that nothing is there.
func absent(t *testing.T, s store.Store, key store.Key) {
	t.Helper()
	if d, err := s.Get(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get(%s) = %v, %v, want ErrNotFound", key, d, err)
	}
}

// same compares documents, times as moments.
func same(t *testing.T, what string, got, want store.Doc) {
	t.Helper()
	if a, b := describe(got), describe(want); a != b {
		t.Errorf("%s:\n got %s\nwant %s", what, a, b)
	}
}

func describe(d store.Doc) string {
	return fmt.Sprintf("%q %q version %d body %q due %s expires %s index %q %q %q %s",
		d.PK, d.SK, d.Version, d.Body, moment(d.Due), moment(d.Expires), d.Index.Kind, d.Index.Model, d.Index.State, moment(d.Index.Time))
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// equal compares what was read, in its order.
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
