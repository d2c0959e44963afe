package store

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// defaultLimit is the maximum number of documents in a page if the query sets no limit.
const defaultLimit = 100

// Position is the place of a document in the order of a list: by time, then by key. It stays valid when documents are
// written or removed between two pages, even if its own document is removed.
type Position struct {
	Time int64 // milliseconds since 1970
	Key
}

// Page is a checked query, as an implementation of Store.List needs it. Query.Page returns it.
type Page struct {
	Limit    int       // the maximum number of documents, at least 1
	From, To time.Time // the times of the query's day, To excluded; both are zero for a query without a day
	After    *Position // the last document of the previous page; nil for the first page

	query Query
}

// Page checks a query. It returns an error for a query without a kind, with a malformed day, or with a cursor that no
// page of the same query returned.
func (q Query) Page() (Page, error) {
	p := Page{Limit: q.Limit, query: q}
	if p.Limit <= 0 {
		p.Limit = defaultLimit
	}
	if q.Kind == "" {
		return p, errors.New("a query needs a kind of document to list")
	}
	if q.Day != "" {
		day, err := time.Parse(time.DateOnly, q.Day)
		if err != nil {
			return p, fmt.Errorf("the day of a query must have the form 2006-01-02, not %q", q.Day)
		}
		p.From, p.To = day, day.AddDate(0, 0, 1)
	}
	var err error
	if q.Cursor != "" {
		p.After, err = readCursor(q)
	}
	return p, err
}

// Cursor returns the cursor of the page that follows this one. last is the position of this page's last document.
func (p Page) Cursor(last Position) string {
	text, _ := json.Marshal(cursor{filtersOf(p.query), last}) // cannot fail: it holds texts and a number
	return base64.RawURLEncoding.EncodeToString(text)
}

// cursor is the content of a cursor. It has the filters of its query, because it is a position among the documents that
// they select.
type cursor struct {
	Query    filters
	Position Position
}

// filters holds the fields of a query that must stay the same from page to page.
type filters struct {
	Kind  string
	Model string `json:",omitempty"`
	State string `json:",omitempty"`
	Day   string `json:",omitempty"`
}

func filtersOf(q Query) filters { return filters{q.Kind, q.Model, q.State, q.Day} }

// readCursor returns the position in the cursor of a query.
func readCursor(q Query) (*Position, error) {
	var c cursor
	text, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil || c.Position.PK == "" || c.Position.SK == "" {
		return nil, fmt.Errorf("%q is not a cursor: use the one that the previous page of the list returned", q.Cursor)
	}
	if of := c.Query; of != filtersOf(q) {
		const text = "the cursor is of another query: it lists kind %q, model %q, state %q and day %q; " +
			"only the limit may change from page to page"
		return nil, fmt.Errorf(text, of.Kind, of.Model, of.State, of.Day)
	}
	return &c.Position, nil
}

// CheckShard returns an error if there is no such shard of the index of due documents.
func CheckShard(shard int) error {
	if shard < 0 || shard >= Shards {
		return fmt.Errorf("there is no shard %d: shards are 0 to %d", shard, Shards-1)
	}
	return nil
}
