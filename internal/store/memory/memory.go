// Package memory is the store of simulations: documents in maps and sorted slices, gone with the
// process.
//
// What it answers depends on nothing but the calls that were made: everything is read in sorted
// order, and there are no goroutines, timers or clocks. It is safe for concurrent use, and keeps
// to what the other stores can do: times have milliseconds, and nobody shares memory with it.
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

// Store holds documents in memory. Expired ones stay: it has no clock, and may keep them.
type Store struct {
	mu         sync.Mutex
	docs       map[store.Key]store.Doc
	partitions map[string][]entry // by partition key; their Time is 0
	due        [store.Shards][]entry
	listed     map[string][]entry // by kind
}

var _ store.Store = (*Store)(nil)

// New makes an empty store.
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
	return detached(d), nil
}

// Partition implements store.Store.
func (s *Store) Partition(ctx context.Context, pk, skPrefix string, limit int) ([]store.Doc, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("reading partition %s: %w", pk, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var docs []store.Doc
	for _, e := range from(s.partitions[pk], entry{Key: store.Key{PK: pk, SK: skPrefix}}) {
		if !strings.HasPrefix(e.SK, skPrefix) || limit > 0 && len(docs) == limit {
			break
		}
		docs = append(docs, detached(s.docs[e.Key]))
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
		if s.docs[w.Doc.Key].Version != w.Was { // an absent one has version 0
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
func (s *Store) Due(ctx context.Context, shard int, before time.Time, limit int) ([]store.Key, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("reading what is due in shard %d: %w", shard, err)
	}
	if shard < 0 || shard >= store.Shards {
		return nil, fmt.Errorf("there is no shard %d: they are 0 to %d", shard, store.Shards-1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []store.Key
	for _, e := range s.due[shard] {
		if e.Time > before.UnixMilli() || limit > 0 && len(keys) == limit {
			break
		}
		keys = append(keys, e.Key)
	}
	return keys, nil
}

// Close does nothing.
func (s *Store) Close() error { return nil }

// remove takes a document out of everything that leads to it.
func (s *Store) remove(key store.Key) {
	d, ok := s.docs[key]
	if !ok {
		return
	}
	delete(s.docs, key)
	s.partitions[key.PK] = without(s.partitions[key.PK], entry{Key: key})
	if !d.Due.IsZero() {
		s.due[key.Shard()] = without(s.due[key.Shard()], entry{d.Due.UnixMilli(), key})
	}
	if kind := d.Index.Kind; kind != "" {
		s.listed[kind] = without(s.listed[kind], entry{d.Index.Time.UnixMilli(), key})
	}
}

func (s *Store) put(w store.Write) {
	d := detached(w.Doc)
	d.Version = w.Was + 1
	d.Due, d.Expires, d.Index.Time = milliseconds(d.Due), milliseconds(d.Expires), milliseconds(d.Index.Time)
	if d.Index.Kind == "" {
		d.Index = store.Index{}
	}
	s.docs[d.Key] = d
	s.partitions[d.PK] = with(s.partitions[d.PK], entry{Key: d.Key})
	if !d.Due.IsZero() {
		s.due[d.Shard()] = with(s.due[d.Shard()], entry{d.Due.UnixMilli(), d.Key})
	}
	if kind := d.Index.Kind; kind != "" {
		s.listed[kind] = with(s.listed[kind], entry{d.Index.Time.UnixMilli(), d.Key})
	}
}

// detached is a document with a body of its own, so that a caller cannot change what is stored.
func detached(d store.Doc) store.Doc {
	if d.Body = bytes.Clone(d.Body); len(d.Body) == 0 {
		d.Body = nil
	}
	return d
}

func milliseconds(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

// entry is a document's place in a sorted slice: by time, then by key.
type entry struct {
	Time int64 // in milliseconds
	store.Key
}

func compare(a, b entry) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.PK, b.PK), cmp.Compare(a.SK, b.SK))
}

func with(sorted []entry, e entry) []entry {
	i, _ := slices.BinarySearchFunc(sorted, e, compare)
	return slices.Insert(sorted, i, e)
}

func without(sorted []entry, e entry) []entry {
	i, found := slices.BinarySearchFunc(sorted, e, compare)
	if !found {
		return sorted
	}
	return slices.Delete(sorted, i, i+1)
}

// from is the part of sorted that is not before e.
func from(sorted []entry, e entry) []entry {
	i, _ := slices.BinarySearchFunc(sorted, e, compare)
	return sorted[i:]
}
