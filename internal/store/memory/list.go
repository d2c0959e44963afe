package memory

import (
	"context"
	"fmt"
	"slices"

	"modeldispatch/internal/store"
)

// List implements store.Store.
func (s *Store) List(ctx context.Context, q store.Query) ([]store.Doc, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", fmt.Errorf("listing %s: %w", q.Kind, err)
	}
	page, err := q.Page()
	if err != nil {
		return nil, "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := s.listed[q.Kind]
	if page.After != nil {
		entries = entries[:len(entries)-len(entriesFrom(entries, entry(*page.After)))]
	}
	docs, next := s.newest(q, page, entries)
	return docs, next, nil
}

// newest returns the newest documents among the entries that the query selects, up to the limit of the page. The cursor
// is empty if no more documents match.
func (s *Store) newest(q store.Query, page store.Page, entries []entry) (docs []store.Doc, cursor string) {
	var last entry
	for _, e := range slices.Backward(entries) {
		d := s.docs[e.Key]
		if !matches(q, page, d.Index) {
			continue
		}
		if len(docs) == page.Limit {
			return docs, page.Cursor(store.Position(last))
		}
		docs, last = append(docs, clone(d)), e
	}
	return docs, ""
}

func matches(q store.Query, page store.Page, i store.Index) bool {
	return (q.Model == "" || q.Model == i.Model) && (q.State == "" || q.State == i.State) &&
		(q.Day == "" || !i.Time.Before(page.From) && i.Time.Before(page.To))
}
