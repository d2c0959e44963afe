package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/store"
)

func partitionOrder(t *testing.T, s store.Store) {
	// The order is that of the UTF-8 bytes, not of an alphabet, of numbers or of UTF-16: 😀 comes after U+FFFD.
	ascending := []string{"!", "0", "10", "9", "A", "Z", "_", "a", "aa", "b", "z", "~", "ä", "€", "\ufffd", "😀"}
	for _, i := range []int{7, 3, 15, 0, 12, 9, 1, 14, 5, 11, 2, 8, 13, 4, 10, 6} {
		commit(t, s, store.Create(doc("p", ascending[i], `{}`)), store.Create(doc("p2", ascending[i], `{}`)))
	}
	for limit, want := range map[int][]string{0: ascending, 1: ascending[:1], 5: ascending[:5], 16: ascending, 1000: ascending} {
		docs, err := s.Partition(t.Context(), "p", "", limit)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprintf("Partition with limit %d", limit), sortKeys(docs), want)
	}
}

func partitionPrefix(t *testing.T, s store.Store) {
	all := []string{
		"%", "%a", "_", "_a", "a", "a%b", "a_b", "axb", "attempt/0001", "attempt/0002", "attempt/0010", "attempt0",
		"w", "w/", "w/1", "w0", "ä", "äb", "å", "€", "😀", "😀😀", "A",
	}
	prefixes := []string{
		"", "%", "_", "a", "a%", "a_", "attempt/", "attempt/00", "attempt/0001", "w", "w/", "ä", "€", "😀", "A",
		"nothing", "a*", "\U0010ffff",
	}
	for _, key := range all {
		commit(t, s, store.Create(doc("p", key, `{}`)), store.Create(doc("other", key+"!", `{}`)))
	}
	slices.Sort(all)
	for _, prefix := range prefixes {
		var want []string
		for _, key := range all {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		docs, err := s.Partition(t.Context(), "p", prefix, 0)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprintf("Partition with prefix %q", prefix), sortKeys(docs), want)
	}
	docs, err := s.Partition(t.Context(), "p", "attempt/", 2)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "Partition with prefix and limit", sortKeys(docs), []string{"attempt/0001", "attempt/0002"})
}

// due returns the keys of the due documents of one shard.
func due(t *testing.T, s store.Store, shard int, before time.Time, limit int) []store.Key {
	t.Helper()
	docs, err := s.Due(t.Context(), shard, before, limit)
	if err != nil {
		t.Fatalf("Due: %v", err)
	}
	var keys []store.Key
	for _, d := range docs {
		if want := get(t, s, d.Key).Kind; d.Kind != want {
			t.Errorf("Due returned %s with the kind %q, want %q", d.Key, d.Kind, want)
		}
		keys = append(keys, d.Key)
	}
	return keys
}

func dueOrder(t *testing.T, s store.Store) {
	const pk = "run/a" // documents of one partition are in one shard
	shard := store.Key{PK: pk}.Shard()
	var keys []store.Key
	names := []string{"b", "e", "a", "d", "c"} // by minute: the order of the times differs from that of the keys
	for _, minute := range []int{3, 1, 4, 0, 2} {
		d := doc(pk, names[minute], `{}`)
		d.Kind = "run"
		d.Due = noon().Add(time.Duration(minute) * time.Minute)
		commit(t, s, store.Create(d))
	}
	for _, name := range names {
		keys = append(keys, store.Key{PK: pk, SK: name})
	}
	commit(t, s, store.Create(doc(pk, "bb", `{}`)))

	at := func(d time.Duration) time.Time { return noon().Add(d) }
	equal(t, "before the first", due(t, s, shard, at(-time.Millisecond), 10), nil)
	equal(t, "at the first", due(t, s, shard, at(0), 10), keys[:1])
	equal(t, "a millisecond before the third", due(t, s, shard, at(2*time.Minute-time.Millisecond), 10), keys[:2])
	equal(t, "at the third", due(t, s, shard, at(2*time.Minute), 10), keys[:3])
	equal(t, "at the third, in another time zone", due(t, s, shard, at(2*time.Minute).In(time.FixedZone("elsewhere", -7*3600)), 10), keys[:3])
	equal(t, "long after", due(t, s, shard, at(1000*time.Hour), 10), keys)
	equal(t, "long after, limit 2", due(t, s, shard, at(1000*time.Hour), 2), keys[:2])
}

func dueShards(t *testing.T, s store.Store) {
	want := map[store.Key]bool{}
	for i := range 40 {
		d := doc(fmt.Sprintf("run/%d", i), "run", `{}`)
		d.Due = noon()
		want[d.Key] = true
		commit(t, s, store.Create(d))
	}
	for shard := range store.Shards {
		found := due(t, s, shard, noon(), 1000)
		if len(found) == 0 {
			t.Errorf("shard %d is empty", shard)
		}
		for _, key := range found {
			if key.Shard() != shard || !want[key] {
				t.Errorf("shard %d has %s, which belongs to shard %d or was returned before", shard, key, key.Shard())
			}
			delete(want, key)
		}
	}
	if len(want) > 0 {
		t.Errorf("Due returned %d documents in no shard: %v", len(want), want)
	}
}

func dueChanges(t *testing.T, s store.Store) {
	d := doc("run/a", "run", `{}`)
	shard := d.Shard()
	later := noon().Add(time.Hour)
	d.Due = noon()
	commit(t, s, store.Create(d))
	equal(t, "when created", due(t, s, shard, noon(), 10), []store.Key{d.Key})

	d = get(t, s, d.Key)
	d.Due = later
	commit(t, s, store.Update(d))
	equal(t, "postponed", due(t, s, shard, noon(), 10), nil)
	equal(t, "postponed, later", due(t, s, shard, later, 10), []store.Key{d.Key})

	d = get(t, s, d.Key)
	d.Due = time.Time{}
	commit(t, s, store.Update(d))
	equal(t, "cleared", due(t, s, shard, later, 10), nil)

	d = get(t, s, d.Key)
	d.Due = noon()
	commit(t, s, store.Update(d))
	equal(t, "set again", due(t, s, shard, noon(), 10), []store.Key{d.Key})
	commit(t, s, store.Remove(get(t, s, d.Key)))
	equal(t, "removed", due(t, s, shard, later, 10), nil)
}
