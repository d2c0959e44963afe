package storetest

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/store"
)

// listed returns a document that List finds.
func listed(pk, kind string, index store.Index) store.Doc {
	d := doc(pk, "run", `{}`)
	d.Kind, d.Index = kind, index
	return d
}

// list reads all pages of a query, and returns the partition keys of the documents. It checks that no page exceeds the
// limit, and that no document is returned twice.
func list(t *testing.T, s store.Store, q store.Query) []string {
	t.Helper()
	var found []string
	limit := q.Limit
	if limit == 0 {
		limit = 100
	}
	for pages := 0; ; pages++ {
		docs, cursor, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatalf("List(%+v): %v", q, err)
		}
		if len(docs) > limit || pages > 1000 {
			t.Fatalf("List(%+v): page %d has %d documents, want at most %d, and at most 1,000 pages", q, pages, len(docs), limit)
		}
		for _, d := range docs {
			if slices.Contains(found, d.PK) {
				t.Fatalf("List(%+v) returned %s twice", q, d.PK)
			}
			found = append(found, d.PK)
		}
		if cursor == "" {
			return found
		}
		q.Cursor = cursor
	}
}

func listOrder(t *testing.T, s store.Store) {
	var want []string
	for _, minute := range []int{3, 1, 4, 0, 2} {
		pk := fmt.Sprintf("%d minutes", minute)
		commit(t, s, store.Create(listed(pk, "run", store.Index{Time: noon().Add(time.Duration(minute) * time.Minute)})))
	}
	commit(t, s, store.Create(listed("another kind", "event", store.Index{Time: noon()})))
	commit(t, s, store.Create(listed("not listed", "run", store.Index{})))
	for minute := 4; minute >= 0; minute-- {
		want = append(want, fmt.Sprintf("%d minutes", minute))
	}
	for limit := range 7 {
		equal(t, fmt.Sprintf("runs, %d a page", limit), list(t, s, store.Query{Kind: "run", Limit: limit}), want)
	}
	equal(t, "events", list(t, s, store.Query{Kind: "event"}), []string{"another kind"})
	equal(t, "nothing", list(t, s, store.Query{Kind: "nothing"}), nil)
}

func listFilters(t *testing.T, s store.Store) {
	midnight := time.Date(2026, 3, 15, 0, 0, 0, 0, time.UTC)
	east := time.FixedZone("east", 9*3600)
	runs := []store.Index{ // oldest first
		{Model: "sales", State: "failed", Time: midnight.Add(-24 * time.Hour)},
		{Model: "sales", State: "succeeded", Time: midnight.Add(-time.Millisecond).In(east)},
		{Model: "sales", State: "succeeded", Time: midnight.In(east)},
		{Model: "rates", State: "succeeded", Time: midnight.Add(time.Hour)},
		{Model: "", State: "failed", Time: midnight.Add(2 * time.Hour)},
		{Model: "rates", State: "failed", Time: midnight.Add(24*time.Hour - time.Millisecond)},
		{Model: "Sales", State: "", Time: midnight.Add(24 * time.Hour)},
	}
	for i, index := range runs {
		commit(t, s, store.Create(listed(fmt.Sprint(i), "run", index)))
	}
	commit(t, s, store.Create(listed("7", "event", store.Index{Model: "sales", State: "failed", Time: midnight})))
	tests := []struct {
		query store.Query
		want  []string
	}{
		{store.Query{Kind: "run"}, []string{"6", "5", "4", "3", "2", "1", "0"}},
		{store.Query{Kind: "run", Model: "sales"}, []string{"2", "1", "0"}},
		{store.Query{Kind: "run", State: "failed"}, []string{"5", "4", "0"}},
		{store.Query{Kind: "run", Day: "2026-03-14"}, []string{"1", "0"}},
		{store.Query{Kind: "run", Day: "2026-03-15"}, []string{"5", "4", "3", "2"}},
		{store.Query{Kind: "run", Day: "2026-03-16"}, []string{"6"}},
		{store.Query{Kind: "run", Day: "2026-03-17"}, nil},
		{store.Query{Kind: "run", Model: "sales", State: "succeeded"}, []string{"2", "1"}},
		{store.Query{Kind: "run", Model: "sales", State: "succeeded", Day: "2026-03-15"}, []string{"2"}},
		{store.Query{Kind: "run", Model: "rates", State: "waiting"}, nil},
		{store.Query{Kind: "run", Model: "sal%"}, nil},
		{store.Query{Kind: "event", Model: "sales"}, []string{"7"}},
	}
	for _, test := range tests {
		for _, limit := range []int{0, 1, 2} {
			test.query.Limit = limit
			equal(t, fmt.Sprintf("%+v", test.query), list(t, s, test.query), test.want)
		}
	}
}

func listChanges(t *testing.T, s store.Store) {
	d := listed("a", "run", store.Index{Model: "sales", State: "waiting", Time: noon()})
	commit(t, s, store.Create(d))

	d = get(t, s, d.Key)
	d.Index.State = "running"
	commit(t, s, store.Update(d))
	equal(t, "the previous state", list(t, s, store.Query{Kind: "run", State: "waiting"}), nil)
	equal(t, "the current state", list(t, s, store.Query{Kind: "run", State: "running"}), []string{"a"})

	d = get(t, s, d.Key)
	d.Index = store.Index{}
	commit(t, s, store.Update(d))
	equal(t, "no longer listed", list(t, s, store.Query{Kind: "run"}), nil)

	d = get(t, s, d.Key)
	d.Index = store.Index{Time: noon()}
	commit(t, s, store.Update(d))
	equal(t, "listed again", list(t, s, store.Query{Kind: "run"}), []string{"a"})
	commit(t, s, store.Remove(get(t, s, d.Key)))
	equal(t, "removed", list(t, s, store.Query{Kind: "run"}), nil)
}

// commitMany commits n listed documents, of which each three share a millisecond, and returns their partition keys.
func commitMany(t *testing.T, s store.Store, n int) []string {
	t.Helper()
	var names []string
	var writes []store.Write
	for i := range n {
		name := fmt.Sprintf("%04d", i)
		names = append(names, name)
		index := store.Index{Model: fmt.Sprint(i % 2), Time: noon().Add(time.Duration(i/3) * time.Millisecond)}
		writes = append(writes, store.Create(listed(name, "run", index)))
	}
	for batch := range slices.Chunk(writes, store.MaxWrites) {
		commit(t, s, batch...)
	}
	return names
}

func listPages(t *testing.T, s store.Store) {
	names := commitMany(t, s, 250)
	for _, limit := range []int{0, 1, 7, 250, 1000} {
		found := list(t, s, store.Query{Kind: "run", Limit: limit})
		if slices.Sort(found); !slices.Equal(found, names) {
			t.Errorf("with limit %d List returned %d documents, want all %d", limit, len(found), len(names))
		}
	}
	if found := list(t, s, store.Query{Kind: "run", Model: "1", Limit: 7}); len(found) != 125 {
		t.Errorf("List returned %d documents of one of two models, want 125", len(found))
	}
}

// listWhileWriting pages through a list while it creates newer documents, removes the last document of each page, and
// removes a document that has not been read yet.
func listWhileWriting(t *testing.T, s store.Store) {
	names := commitMany(t, s, 90)
	q := store.Query{Kind: "run", Limit: 10}
	seen := map[string]bool{}
	for page := 0; ; page++ {
		docs, cursor, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			if seen[d.PK] {
				t.Fatalf("List returned %s twice", d.PK)
			}
			seen[d.PK] = true
		}
		if cursor == "" {
			break
		}
		if len(docs) > 0 {
			commit(t, s, store.Remove(docs[len(docs)-1]))
		}
		newer := store.Index{Time: noon().Add(time.Hour + time.Duration(page)*time.Minute)}
		commit(t, s, store.Create(listed(fmt.Sprintf("newer %d", page), "run", newer)))
		if page == 1 {
			commit(t, s, store.Remove(get(t, s, store.Key{PK: names[5], SK: "run"})))
		}
		q.Cursor = cursor
	}
	for i, name := range names {
		if want := i != 5; seen[name] != want {
			t.Errorf("List returned %s: %v, want %v", name, seen[name], want)
		}
	}
	if len(seen) != len(names)-1 {
		t.Errorf("List returned %d documents, want the %d that existed before the first page and were not removed unread",
			len(seen), len(names)-1)
	}
}

func invalidQueries(t *testing.T, s store.Store) {
	commitMany(t, s, 3)
	encode := base64.RawURLEncoding.EncodeToString
	tests := map[string]store.Query{
		"no kind":                    {Model: "0"},
		"a malformed day":            {Kind: "run", Day: "14.03.2026"},
		"a malformed cursor":         {Kind: "run", Cursor: "not a cursor!"},
		"a cursor without JSON":      {Kind: "run", Cursor: encode([]byte("a cursor"))},
		"a cursor without position":  {Kind: "run", Cursor: encode([]byte(`{"Query":{"Kind":"run"}}`))},
		"a cursor without sort key":  {Kind: "run", Cursor: encode([]byte(`{"Query":{"Kind":"run"},"Position":{"PK":"a"}}`))},
		"a cursor without partition": {Kind: "run", Cursor: encode([]byte(`{"Query":{"Kind":"run"},"Position":{"SK":"a"}}`))},
		"a cursor of another type":   {Kind: "run", Cursor: encode([]byte(`["run"]`))},
	}
	for name, q := range tests {
		if docs, _, err := s.List(t.Context(), q); err == nil {
			t.Errorf("%s: List returned %d documents, want an error", name, len(docs))
		}
	}
}

// foreignCursors passes the cursor of one query to others. Only the limit may change from page to page.
func foreignCursors(t *testing.T, s store.Store) {
	names := commitMany(t, s, 9)
	first := store.Query{Kind: "run", Limit: 2}
	docs, cursor, err := s.List(t.Context(), first)
	if err != nil || len(docs) != 2 || cursor == "" {
		t.Fatalf("the first page has %d documents and the cursor %q, %v; want 2 and a cursor", len(docs), cursor, err)
	}
	if rest := list(t, s, store.Query{Kind: "run", Limit: 3, Cursor: cursor}); len(rest) != len(names)-2 {
		t.Errorf("with another limit List returned %d further documents, want %d", len(rest), len(names)-2)
	}
	for name, q := range map[string]store.Query{
		"another kind":  {Kind: "event"},
		"another model": {Kind: "run", Model: "0"},
		"another state": {Kind: "run", State: "failed"},
		"another day":   {Kind: "run", Day: "2026-03-14"},
	} {
		q.Cursor = cursor
		if _, _, err := s.List(t.Context(), q); err == nil || !strings.Contains(err.Error(), "another query") {
			t.Errorf("%s: the error is %v, want one about the cursor of another query", name, err)
		}
	}
}
