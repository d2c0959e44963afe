package storetest_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"modeldispatch/internal/store"
	"modeldispatch/internal/store/memory"
	"modeldispatch/internal/store/sqlite"
)

// pair holds two stores that receive the same calls.
type pair struct {
	test           *testing.T
	memory, sqlite store.Store
}

// TestMemoryAndSQLiteAnswerTheSame makes random calls on both stores and compares the answers. So a result that a
// simulation finds with the memory store holds for SQLite too.
func TestMemoryAndSQLiteAnswerTheSame(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	files := 0
	rapid.Check(t, func(r *rapid.T) {
		files++
		file, err := sqlite.Open(t.Context(), filepath.Join(folder, fmt.Sprint(files)))
		if err != nil {
			r.Fatal(err)
		}
		defer func() {
			if err := file.Close(); err != nil {
				r.Error(err)
			}
		}()
		p := pair{t, memory.New(), file}
		r.Repeat(map[string]func(*rapid.T){
			"commit":    p.commit,
			"get":       p.get,
			"partition": p.partition,
			"due":       p.due,
			"list":      p.list,
		})
	})
}

// There are few keys, times and names, so that random calls often concern the same document.
var (
	partitions = rapid.SampledFrom([]string{"a", "b", "é", "a%"})
	sorts      = rapid.SampledFrom([]string{"1", "10", "2", "w/1", "w/2", "w_", "😀", "w"})
	keys       = rapid.Custom(func(r *rapid.T) store.Key {
		return store.Key{PK: partitions.Draw(r, "pk"), SK: sorts.Draw(r, "sk")}
	})
	names   = rapid.SampledFrom([]string{"", "x", "y"})
	filters = rapid.SampledFrom([]string{"", "", "", "x", "y"})
	times   = rapid.Custom(func(r *rapid.T) time.Time {
		if rapid.Bool().Draw(r, "none") {
			return time.Time{}
		}
		// The hours lie on both sides of midnight, the years on both sides of 1970. Some times are not whole
		// milliseconds.
		hour := rapid.IntRange(-3, 3).Draw(r, "hour")
		year := rapid.SampledFrom([]int{1969, 2026}).Draw(r, "year")
		ns := rapid.SampledFrom([]int{0, 999_999, 1_000_000}).Draw(r, "ns")
		return time.Date(year, 5, 1, hour, 0, 0, ns, time.UTC)
	})
	docs = rapid.Custom(func(r *rapid.T) store.Doc {
		return store.Doc{
			Key: keys.Draw(r, "key"), Body: []byte(rapid.SampledFrom([]string{"", `1`, `{"a": 1}`}).Draw(r, "body")),
			Due:  times.Draw(r, "due"),
			Kind: rapid.SampledFrom([]string{"", "run", "run", "run", "event"}).Draw(r, "kind"),
			Index: store.Index{
				Model: names.Draw(r, "model"), State: names.Draw(r, "state"), Time: times.Draw(r, "time"),
			},
		}
	})
)

// commit commits random writes. Most of their conditions hold.
func (p pair) commit(r *rapid.T) {
	writes := make([]store.Write, 0, 4)
	for _, d := range rapid.SliceOfN(docs, 0, 4).Draw(r, "docs") {
		w := store.Write{Doc: d, Delete: rapid.IntRange(0, 3).Draw(r, "delete") == 0}
		if there, err := p.memory.Get(p.test.Context(), d.Key); err == nil {
			w.IfVersion = there.Version
		}
		if rapid.IntRange(0, 7).Draw(r, "wrong") == 0 {
			w.IfVersion = int64(rapid.IntRange(0, 3).Draw(r, "was"))
		}
		writes = append(writes, w)
	}
	a, b := p.memory.Commit(p.test.Context(), writes...), p.sqlite.Commit(p.test.Context(), writes...)
	if kind(a) != kind(b) {
		r.Fatalf("Commit(%v): memory returned %v, SQLite %v", writes, a, b)
	}
}

func (p pair) get(r *rapid.T) {
	key := keys.Draw(r, "key")
	a, errA := p.memory.Get(p.test.Context(), key)
	b, errB := p.sqlite.Get(p.test.Context(), key)
	compare(r, fmt.Sprintf("Get(%s)", key), a, errA, b, errB)
}

func (p pair) partition(r *rapid.T) {
	pk, limit := partitions.Draw(r, "pk"), rapid.IntRange(0, 4).Draw(r, "limit")
	prefix := rapid.SampledFrom([]string{"", "1", "w", "w/", "w_", "😀", "%"}).Draw(r, "prefix")
	a, errA := p.memory.Partition(p.test.Context(), pk, prefix, limit)
	b, errB := p.sqlite.Partition(p.test.Context(), pk, prefix, limit)
	compare(r, fmt.Sprintf("Partition(%s, %q, %d)", pk, prefix, limit), a, errA, b, errB)
}

func (p pair) due(r *rapid.T) {
	shard, limit := rapid.IntRange(-1, store.Shards).Draw(r, "shard"), rapid.IntRange(0, 4).Draw(r, "limit")
	before := times.Draw(r, "before")
	a, errA := p.memory.Due(p.test.Context(), shard, before, limit)
	b, errB := p.sqlite.Due(p.test.Context(), shard, before, limit)
	compare(r, fmt.Sprintf("Due(%d, %s, %d)", shard, before, limit), a, errA, b, errB)
}

// list reads all pages of a random query. Both stores return the same cursors.
func (p pair) list(r *rapid.T) {
	q := store.Query{
		Kind:  rapid.SampledFrom([]string{"run", "run", "run", "event", ""}).Draw(r, "kind"),
		Model: filters.Draw(r, "model"), State: filters.Draw(r, "state"),
		Day:   rapid.SampledFrom([]string{"", "", "", "", "2026-05-01", "2026-04-30", "1969-05-01", "0001-01-01", "today"}).Draw(r, "day"),
		Limit: rapid.IntRange(0, 3).Draw(r, "limit"),
	}
	for more := true; more; more = q.Cursor != "" {
		a, cursorA, errA := p.memory.List(p.test.Context(), q)
		b, cursorB, errB := p.sqlite.List(p.test.Context(), q)
		compare(r, fmt.Sprintf("List(%+v)", q), a, errA, b, errB)
		if cursorA != cursorB {
			r.Fatalf("List(%+v): memory returned cursor %q, SQLite %q", q, cursorA, cursorB)
		}
		q.Cursor = cursorA
	}
}

// compare compares two answers exactly, and the kinds of their errors.
func compare(r *rapid.T, what string, a any, errA error, b any, errB error) {
	if kind(errA) != kind(errB) {
		r.Fatalf("%s: memory returned %v, SQLite %v", what, errA, errB)
	}
	if x, y := fmt.Sprintf("%#v", a), fmt.Sprintf("%#v", b); x != y {
		r.Fatalf("%s:\nmemory returned %s\nSQLite returned %s", what, x, y)
	}
}

func kind(err error) string {
	switch {
	case err == nil:
		return "none"
	case errors.Is(err, store.ErrConflict):
		return "conflict"
	case errors.Is(err, store.ErrNotFound):
		return "not found"
	default:
		return "another"
	}
}
