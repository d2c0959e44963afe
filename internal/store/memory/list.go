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

// pageSize is the maximum number of documents in a page if the query sets no limit.
const pageSize = 100

// List implements store.Store.
func (s *Store) List(ctx context.Context, q store.Query) ([]store.Doc, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", fmt.Errorf("listing %s: %w", q.Kind, err)
	}
	if err := checkQuery(q); err != nil {
		return nil, "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := s.listed[q.Kind]
	if q.Cursor != "" {
		last, err := parseCursor(q.Cursor)
		if err != nil {
			return nil, "", err
		}
		entries = entries[:len(entries)-len(entriesFrom(entries, last))]
	}
	docs, next := s.page(q, entries)
	return docs, next, nil
}

func checkQuery(q store.Query) error {
	if q.Kind == "" {
		return fmt.Errorf("a query needs a kind of document to list")
	}
	if q.Day == "" {
		return nil
	}
	if _, err := time.Parse(time.DateOnly, q.Day); err != nil {
		return fmt.Errorf("the day of a query must have the form 2006-01-02, not %q", q.Day)
	}
	return nil
}

// page returns the newest documents among the entries that the query selects, up to its limit. The cursor is empty if
// no more documents match.
func (s *Store) page(q store.Query, entries []entry) (docs []store.Doc, cursor string) {
	limit := q.Limit
	if limit <= 0 {
		limit = pageSize
	}
	var last entry
	for _, e := range slices.Backward(entries) {
		d := s.docs[e.Key]
		if !matches(q, d.Index) {
			continue
		}
		if len(docs) == limit {
			return docs, last.cursor()
		}
		docs, last = append(docs, clone(d)), e
	}
	return docs, ""
}

func matches(q store.Query, i store.Index) bool {
	return (q.Model == "" || q.Model == i.Model) && (q.State == "" || q.State == i.State) &&
		(q.Day == "" || q.Day == i.Time.Format(time.DateOnly))
}

// cursor encodes e as the cursor of the page that starts after e. The cursor stays valid when documents are written or
// removed between two pages, even if the document of e is removed.
func (e entry) cursor() string {
	text, _ := json.Marshal(e) // cannot fail: e holds strings and a number
	return base64.RawURLEncoding.EncodeToString(text)
}

func parseCursor(cursor string) (entry, error) {
	var e entry
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	if err != nil {
		return e, fmt.Errorf("%q is not a cursor of this store: %w", cursor, err)
	}
	return e, nil
}
