package memory

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"modeldispatch/internal/store"
)

// pageSize is the limit of a page whose query names none.
const pageSize = 100

// List implements store.Store.
func (s *Store) List(ctx context.Context, q store.Query) ([]store.Doc, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", fmt.Errorf("listing %s: %w", q.Kind, err)
	}
	if err := check(q); err != nil {
		return nil, "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := s.listed[q.Kind]
	if q.Cursor != "" {
		last, err := position(q.Cursor)
		if err != nil {
			return nil, "", err
		}
		entries = entries[:len(entries)-len(from(entries, last))]
	}
	docs, next := s.page(q, entries)
	return docs, next, nil
}

func check(q store.Query) error {
	if q.Kind == "" {
		return fmt.Errorf("a query needs a kind of documents to list")
	}
	if q.Day == "" {
		return nil
	}
	if _, err := time.Parse(time.DateOnly, q.Day); err != nil {
		return fmt.Errorf("the day of a query is of the form 2006-01-02, not %q", q.Day)
	}
	return nil
}

// page takes the newest documents of the entries that the query selects, and the cursor to go on
// with if there are more.
func (s *Store) page(q store.Query, entries []entry) (docs []store.Doc, cursor string) {
	limit := q.Limit
	if limit <= 0 {
		limit = pageSize
	}
	var last entry
	for _, e := range slices.Backward(entries) {
		d := s.docs[e.Key]
		if !selects(q, d.Index) {
			continue
		}
		if len(docs) == limit {
			return docs, last.cursor()
		}
		docs, last = append(docs, detached(d)), e
	}
	return docs, ""
}

func selects(q store.Query, i store.Index) bool {
	return (q.Model == "" || q.Model == i.Model) && (q.State == "" || q.State == i.State) &&
		(q.Day == "" || q.Day == i.Time.Format(time.DateOnly))
}

// cursor is a position that the next page starts behind: it stays right whatever is written in
// between, even when its own document goes.
func (e entry) cursor() string {
	text, _ := json.Marshal(e) // strings and a number: cannot fail
	return base64.RawURLEncoding.EncodeToString(text)
}

func position(cursor string) (entry, error) {
	var e entry
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	if err != nil {
		return e, fmt.Errorf("%q is not the cursor of a page of this store: %w", cursor, err)
	}
	return e, nil
}
