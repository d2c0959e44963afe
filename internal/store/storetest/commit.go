package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/store"
)

func wholeDocument(t *testing.T, s store.Store) {
	want := store.Doc{
		Key: store.Key{PK: "run/a", SK: "run"}, Body: json.RawMessage(`{"state":"waiting"}`),
		Due: noon().Add(1500 * time.Millisecond), Expires: noon().AddDate(100, 0, 0),
		Kind: "run", Index: store.Index{Model: "sales", State: "waiting", Time: noon().Add(time.Millisecond)},
	}
	plain := doc("run/a", "spec", `{}`)
	commit(t, s, store.Create(want), store.Create(plain))

	want.Version, plain.Version = 1, 1
	same(t, "Get of a full document", get(t, s, want.Key), want)
	same(t, "Get of a plain document", get(t, s, plain.Key), plain)
	docs, err := s.Partition(t.Context(), "run/a", "", 0)
	if err != nil || len(docs) != 2 {
		t.Fatalf("Partition = %v, %v, want two documents", docs, err)
	}
	same(t, "Partition", docs[0], want)
	docs, _, err = s.List(t.Context(), store.Query{Kind: "run"})
	if err != nil || len(docs) != 1 {
		t.Fatalf("List = %v, %v, want one document", docs, err)
	}
	same(t, "List", docs[0], want)
}

func notFound(t *testing.T, s store.Store) {
	commit(t, s, store.Create(doc("a", "1", `{}`)))
	for _, key := range []store.Key{{PK: "a", SK: "2"}, {PK: "b", SK: "1"}, {PK: "A", SK: "1"}, {PK: "a", SK: "1 "}} {
		absent(t, s, key)
	}
	_, err := s.Get(t.Context(), store.Key{PK: "unused", SK: "absent"})
	if err == nil || !strings.Contains(err.Error(), "unused absent") {
		t.Errorf("Get of an absent document = %v, want an error that names the key", err)
	}
	if docs, err := s.Partition(t.Context(), "unused", "", 0); err != nil || len(docs) != 0 {
		t.Errorf("Partition of an unused key = %v, %v, want no documents and no error", docs, err)
	}
}

func bodies(t *testing.T, s store.Store) {
	tests := map[string]string{
		"none":            "",
		"an empty object": `{}`,
		"spaces and order of keys": `{ "z" : 1,
			"a":2 }`,
		"a number as written": `{"n":1.0000000000000000000001e+3}`,
		"escapes as written":  `"\u00e4\/\u0000<>&"`,
		"any unicode":         `"ä€😀` + "\u2028" + `"`,
		"350 KB":              `"` + strings.Repeat("x", 350<<10-2) + `"`,
	}
	for name, body := range tests {
		key := store.Key{PK: "bodies", SK: name}
		commit(t, s, store.Create(store.Doc{Key: key, Body: json.RawMessage(body)}))
		if got := string(get(t, s, key).Body); got != body {
			t.Errorf("%s: read %d bytes %.40q, want %d bytes %.40q", name, len(got), got, len(body), body)
		}
	}
	full := get(t, s, store.Key{PK: "bodies", SK: "an empty object"})
	full.Body = nil
	commit(t, s, store.Update(full))
	if got := get(t, s, full.Key).Body; len(got) != 0 {
		t.Errorf("after an update without a body, the body is still %q", got)
	}
}

func copies(t *testing.T, s store.Store) {
	d := doc("a", "1", `{"n":1}`)
	d.Kind, d.Index = "run", store.Index{Time: noon()}
	commit(t, s, store.Create(d))
	d.Body[5] = '2'
	read := get(t, s, d.Key)
	read.Body[5] = '3'
	part, err := s.Partition(t.Context(), "a", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	part[0].Body[5] = '4'
	listed, _, err := s.List(t.Context(), store.Query{Kind: "run"})
	if err != nil {
		t.Fatal(err)
	}
	listed[0].Body[5] = '5'
	if got := string(get(t, s, d.Key).Body); got != `{"n":1}` {
		t.Errorf("the stored body became %s after a caller changed its copy", got)
	}
}

func versions(t *testing.T, s store.Store) {
	key := store.Key{PK: "a", SK: "1"}
	commit(t, s, store.Create(store.Doc{Key: key, Version: 0}))
	for want := int64(1); want <= 4; want++ {
		d := get(t, s, key)
		if d.Version != want {
			t.Fatalf("after %d commits the version is %d", want, d.Version)
		}
		commit(t, s, store.Update(d))
	}
	// Create ignores the version of the document.
	fresh := store.Doc{Key: store.Key{PK: "a", SK: "2"}, Version: 7}
	commit(t, s, store.Create(fresh))
	if got := get(t, s, fresh.Key).Version; got != 1 {
		t.Errorf("a created document has version %d, want 1", got)
	}
	commit(t, s, store.Remove(get(t, s, key)))
	absent(t, s, key)
	commit(t, s, store.Create(store.Doc{Key: key}))
	if got := get(t, s, key).Version; got != 1 {
		t.Errorf("a document that was removed and created again has version %d, want 1", got)
	}
}

func precision(t *testing.T, s store.Store) {
	odd := noon().Add(1_234_567 * time.Nanosecond)
	kept := noon().Add(time.Millisecond)
	d := doc("a", "1", `{}`)
	d.Kind, d.Due, d.Index = "run", odd.In(time.FixedZone("elsewhere", 3600)), store.Index{Time: odd}
	commit(t, s, store.Create(d))
	read := get(t, s, d.Key)
	if !read.Due.Equal(kept) || !read.Index.Time.Equal(kept) {
		t.Errorf("due %s and time %s came back as %s and %s, want both %s",
			instant(d.Due), instant(odd), instant(read.Due), instant(read.Index.Time), instant(kept))
	}

	epoch := doc("a", "2", `{}`)
	epoch.Due = time.UnixMilli(0)
	commit(t, s, store.Create(epoch))
	if got := get(t, s, epoch.Key).Due; !got.Equal(epoch.Due) || got.IsZero() {
		t.Errorf("due at the beginning of 1970 came back as %s", instant(got))
	}
}

func conflicts(t *testing.T, s store.Store) {
	there := doc("run/a", "run", `{}`)
	commit(t, s, store.Create(there))
	stale := get(t, s, there.Key)
	commit(t, s, store.Update(stale))
	future := get(t, s, there.Key)
	future.Version++
	missing := doc("run/b", "run", `{}`)
	missing.Version = 1

	tests := map[string]store.Write{
		"create an existing document": store.Create(there),
		"update a changed document":   store.Update(stale),
		"update at a future version":  store.Update(future),
		"update an absent document":   store.Update(missing),
		"remove a changed document":   store.Remove(stale),
		"remove an absent document":   store.Remove(missing),
	}
	for name, w := range tests {
		err := s.Commit(t.Context(), w)
		if !errors.Is(err, store.ErrConflict) || !strings.Contains(fmt.Sprint(err), w.Doc.Key.String()) {
			t.Errorf("%s: Commit = %v, want ErrConflict and the key %q", name, err, w.Doc.Key)
		}
	}
	if got := get(t, s, there.Key); got.Version != 2 {
		t.Errorf("after these conflicts the version is %d, want 2", got.Version)
	}
	absent(t, s, missing.Key)
}

func allOrNone(t *testing.T, s store.Store) {
	old := doc("p", "old", `1`)
	gone := doc("p", "gone", `1`)
	commit(t, s, store.Create(old), store.Create(gone))
	old, gone = get(t, s, old.Key), get(t, s, gone.Key)
	stale := old
	stale.Version = 9
	failing := map[string]store.Write{
		"create": store.Create(doc("p", "taken", `2`)),
		"update": store.Update(store.Doc{Key: store.Key{PK: "p", SK: "taken"}, Version: 9, Body: json.RawMessage(`2`)}),
		"remove": store.Remove(store.Doc{Key: store.Key{PK: "p", SK: "taken"}, Version: 9}),
	}
	commit(t, s, store.Create(doc("p", "taken", `1`)))
	changed := old
	changed.Kind, changed.Body, changed.Due, changed.Index = "run", json.RawMessage(`2`), noon(), store.Index{Time: noon()}
	for name, bad := range failing {
		for place := range 4 {
			writes := []store.Write{store.Create(doc("q", "new", `2`)), store.Update(changed), store.Remove(gone)}
			writes = append(writes[:place:place], append([]store.Write{bad}, writes[place:]...)...)
			if err := s.Commit(t.Context(), writes...); !errors.Is(err, store.ErrConflict) {
				t.Fatalf("Commit with a failing %s at position %d = %v, want ErrConflict", name, place, err)
			}
			absent(t, s, store.Key{PK: "q", SK: "new"})
			same(t, "the document to be updated", get(t, s, old.Key), old)
			same(t, "the document to be removed", get(t, s, gone.Key), gone)
		}
	}
	if docs, _, err := s.List(t.Context(), store.Query{Kind: "run"}); err != nil || len(docs) != 0 {
		t.Errorf("List after failed commits = %v, %v, want no documents", docs, err)
	}
	// The same commit succeeds without the failing write.
	commit(t, s, store.Create(doc("q", "new", `2`)), store.Update(changed), store.Remove(gone))
	absent(t, s, gone.Key)
	changed.Version = 2
	same(t, "the updated document", get(t, s, old.Key), changed)
	get(t, s, store.Key{PK: "q", SK: "new"})
}

func malformed(t *testing.T, s store.Store) {
	many := make([]store.Write, store.MaxWrites+1)
	for i := range many {
		many[i] = store.Create(doc("many", fmt.Sprint(i), `{}`))
	}
	good := store.Create(doc("a", "good", `{}`))
	tests := map[string][]store.Write{
		"no writes":                   nil,
		"101 writes":                  many,
		"a key twice":                 {good, good},
		"no partition key":            {good, store.Create(doc("", "1", `{}`))},
		"no sort key":                 {good, store.Create(doc("a", "", `{}`))},
		"a removal without a version": {good, store.Remove(doc("a", "1", ``))},
	}
	for name, writes := range tests {
		if err := s.Commit(t.Context(), writes...); err == nil || errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: Commit = %v, want an error other than ErrConflict", name, err)
		}
	}
	absent(t, s, good.Doc.Key)
	absent(t, s, many[0].Doc.Key)
}

func hundredWrites(t *testing.T, s store.Store) {
	var writes []store.Write
	for i := range store.MaxWrites {
		writes = append(writes, store.Create(doc(fmt.Sprintf("p/%d", i%3), fmt.Sprintf("%03d", i), `{}`)))
	}
	commit(t, s, writes...)
	total := 0
	for i := range 3 {
		docs, err := s.Partition(t.Context(), fmt.Sprintf("p/%d", i), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		total += len(docs)
	}
	if total != store.MaxWrites {
		t.Errorf("the partitions hold %d documents after a commit of %d", total, store.MaxWrites)
	}
	// A conflict in the last write prevents all the others.
	for i := range writes {
		writes[i].Doc.SK += "'"
	}
	writes[len(writes)-1].Doc.SK = "099"
	if err := s.Commit(t.Context(), writes...); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("Commit = %v, want ErrConflict", err)
	}
	absent(t, s, writes[0].Doc.Key)
}

func unusualKeys(t *testing.T, s store.Store) {
	keys := []string{
		" ", "a b", "a  b", "%", "_", "a%", "'", `"`, `\`, "''; DROP TABLE document; --", "a/../b", "ä", "a\u0308", "é€", "😀", "\n", "\t",
		"a", "A", "#", "a#b", ":", "?1", "null", "0", "00", "-", "\u200b", "\ufffd", "a\x00b", "a\x00c", strings.Repeat("k", 900),
	}
	for i, key := range keys {
		commit(t, s, store.Create(doc(key, key, fmt.Sprint(i))), store.Create(doc("all", key, fmt.Sprint(i))))
	}
	for i, key := range keys {
		for _, pk := range []string{key, "all"} {
			if d := get(t, s, store.Key{PK: pk, SK: key}); string(d.Body) != fmt.Sprint(i) || d.SK != key || d.PK != pk {
				t.Errorf("Get(%q %q) = %q %q with body %s, want body %d", pk, key, d.PK, d.SK, d.Body, i)
			}
		}
		if docs, err := s.Partition(t.Context(), key, key, 0); err != nil || len(docs) != 1 {
			t.Errorf("Partition(%q) = %v, %v, want one document", key, docs, err)
		}
	}
}

func cancelled(t *testing.T, s store.Store) {
	there := doc("a", "there", `{}`)
	commit(t, s, store.Create(there))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func() error{
		"Get":       func() error { _, err := s.Get(ctx, there.Key); return err },
		"Partition": func() error { _, err := s.Partition(ctx, "a", "", 0); return err },
		"Commit":    func() error { return s.Commit(ctx, store.Create(doc("a", "late", `{}`))) },
		"Due":       func() error { _, err := s.Due(ctx, 0, noon(), 10); return err },
		"List":      func() error { _, _, err := s.List(ctx, store.Query{Kind: "run"}); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context = %v, want context.Canceled", name, err)
		}
	}
	absent(t, s, store.Key{PK: "a", SK: "late"})
}
