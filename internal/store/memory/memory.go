// Package memory implements store.Store in memory, for simulations and tests. The documents are lost with the process.
//
// Answers depend only on the calls made before, so that a simulation with the same seed runs the same way again: the
// store reads everything in sorted order, and has no goroutines, timers or clocks.
//
// The store gives callers nothing that sqlite and dynamodb cannot give. Times keep milliseconds, and documents are
// copied on the way in and out, so that a caller cannot change a stored body. Due and List never lag. Unlike the other
// two, this store never deletes an expired document, because it has no clock.
//
// New returns an empty store. In it, an entry is the position of a document in a sorted slice. There is one such slice
// for each partition, for each shard of the due index and for each kind of listed document.
package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"modeldispatch/internal/store"
)

// Store holds documents in memory. It is safe for concurrent use.
type Store struct {
	mu         sync.Mutex
	docs       map[store.Key]store.Doc
	partitions map[string][]entry    // the documents of each partition key; the Time of these entries is 0
	due        [store.Shards][]entry // the documents with a due time, by shard
	listed     map[string][]entry    // the documents of each kind
}

var _ store.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{
		docs:       map[store.Key]store.Doc{},
		partitions: map[string][]entry{},
		listed:     map[string][]entry{},
	}
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key store.Key) (store.Doc, error) {
	if err := ctx.Err(); err != nil {
		return store.Doc{}, fmt.Errorf("reading %s: %w", key, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.docs[key]
	if !ok {
		return store.Doc{}, fmt.Errorf("reading %s: %w", key, store.ErrNotFound)
	}
	return clone(d), nil
}

// Partition implements store.Store.
func (s *Store) Partition(ctx context.Context, pk, skPrefix string, limit int) ([]store.Doc, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("reading partition %s: %w", pk, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var docs []store.Doc
	for _, e := range entriesFrom(s.partitions[pk], entry{Key: store.Key{PK: pk, SK: skPrefix}}) {
		if !strings.HasPrefix(e.SK, skPrefix) || limit > 0 && len(docs) == limit {
			break
		}
		docs = append(docs, clone(s.docs[e.Key]))
	}
	return docs, nil
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, writes ...store.Write) error {
	if err := store.Check(writes); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range writes {
		if s.docs[w.Doc.Key].Version != w.IfVersion { // an absent document has version 0
			return fmt.Errorf("committing %s: %w", w.Doc.Key, store.ErrConflict)
		}
	}
	for _, w := range writes {
		s.remove(w.Doc.Key)
		if !w.Delete {
			s.put(w)
		}
	}
	return nil
}

// Due implements store.Store.
func (s *Store) Due(ctx context.Context, shard int, before time.Time, limit int) ([]store.DueDoc, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("reading the due documents of shard %d: %w", shard, err)
	}
	if err := store.CheckShard(shard); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []store.DueDoc
	for _, e := range s.due[shard] {
		if e.Time > before.UnixMilli() || limit > 0 && len(due) == limit {
			break
		}
		due = append(due, store.DueDoc{Key: e.Key, Kind: s.docs[e.Key].Kind})
	}
	return due, nil
}

// Close does nothing.
func (s *Store) Close() error { return nil }

// remove deletes a document, if it exists, and its entries.
func (s *Store) remove(key store.Key) {
	d, ok := s.docs[key]
	if !ok {
		return
	}
	delete(s.docs, key)
	s.partitions[key.PK] = removeEntry(s.partitions[key.PK], entry{Key: key})
	if !d.Due.IsZero() {
		s.due[key.Shard()] = removeEntry(s.due[key.Shard()], entry{d.Due.UnixMilli(), key})
	}
	if !d.Index.Time.IsZero() {
		s.listed[d.Kind] = removeEntry(s.listed[d.Kind], entry{d.Index.Time.UnixMilli(), key})
	}
}

// put adds a document and its entries. The caller has removed an older version.
func (s *Store) put(w store.Write) {
	d := clone(w.Doc)
	d.Version = w.IfVersion + 1
	d.Due, d.Expires, d.Index.Time = truncate(d.Due), truncate(d.Expires), truncate(d.Index.Time)
	if d.Index.Time.IsZero() {
		d.Index = store.Index{}
	}
	s.docs[d.Key] = d
	s.partitions[d.PK] = insertEntry(s.partitions[d.PK], entry{Key: d.Key})
	if !d.Due.IsZero() {
		s.due[d.Shard()] = insertEntry(s.due[d.Shard()], entry{d.Due.UnixMilli(), d.Key})
	}
	if !d.Index.Time.IsZero() {
		s.listed[d.Kind] = insertEntry(s.listed[d.Kind], entry{d.Index.Time.UnixMilli(), d.Key})
	}
}

// clone returns a copy of d with its own body, so that a caller cannot change the stored one. An empty body becomes
// nil.
func clone(d store.Doc) store.Doc {
	if d.Body = bytes.Clone(d.Body); len(d.Body) == 0 {
		d.Body = nil
	}
	return d
}

// truncate drops the part of t below a millisecond and converts it to UTC.
func truncate(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

// entry is the position of a document in a sorted slice: by time, then by key.
type entry struct {
	Time int64 // milliseconds since 1970
	store.Key
}

func compare(a, b entry) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.PK, b.PK), cmp.Compare(a.SK, b.SK))
}

func insertEntry(sorted []entry, e entry) []entry {
	i, _ := slices.BinarySearchFunc(sorted, e, compare)
	return slices.Insert(sorted, i, e)
}

func removeEntry(sorted []entry, e entry) []entry {
	i, found := slices.BinarySearchFunc(sorted, e, compare)
	if !found {
		return sorted
	}
	return slices.Delete(sorted, i, i+1)
}

// entriesFrom returns the part of sorted that is not before e.
func entriesFrom(sorted []entry, e entry) []entry {
	i, _ := slices.BinarySearchFunc(sorted, e, compare)
	return sorted[i:]
}
