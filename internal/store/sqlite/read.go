package sqlite

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"modeldispatch/internal/store"
)

const columns = `SELECT pk, sk, version, body, due, expires, coalesce(kind, ''), model, state, time FROM document `

// pageSize is the limit of a page whose query names none.
const pageSize = 100

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key store.Key) (store.Doc, error) {
	d, err := scan(s.read.QueryRowContext(ctx, columns+`WHERE pk = ? AND sk = ?`, key.PK, key.SK))
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Doc{}, fmt.Errorf("reading %s: %w", key, err)
	}
	return d, nil
}

// Partition implements store.Store.
func (s *Store) Partition(ctx context.Context, pk, skPrefix string, limit int) ([]store.Doc, error) {
	// No text contains the byte FF, so that all that begins with the prefix sorts before the
	// prefix followed by it.
	docs, err := s.docs(ctx, columns+`WHERE pk = ? AND sk >= ? AND sk < ? ORDER BY sk LIMIT ?`, pk, skPrefix, skPrefix+"\xff", rows(limit))
	if err != nil {
		return nil, fmt.Errorf("reading partition %s: %w", pk, err)
	}
	return docs, nil
}

// Due implements store.Store.
func (s *Store) Due(ctx context.Context, shard int, before time.Time, limit int) ([]store.Key, error) {
	if shard < 0 || shard >= store.Shards {
		return nil, fmt.Errorf("there is no shard %d: they are 0 to %d", shard, store.Shards-1)
	}
	keys, err := query(ctx, s.read, func(r row) (key store.Key, err error) { return key, r.Scan(&key.PK, &key.SK) },
		`SELECT pk, sk FROM document WHERE shard = ? AND due <= ? ORDER BY due, pk, sk LIMIT ?`, shard, before.UnixMilli(), rows(limit))
	if err != nil {
		return nil, fmt.Errorf("reading what is due in shard %d: %w", shard, err)
	}
	return keys, nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, q store.Query) ([]store.Doc, string, error) {
	where, args, err := conditions(q)
	if err != nil {
		return nil, "", err
	}
	limit := q.Limit
	if limit <= 0 {
		limit = pageSize
	}
	docs, err := s.docs(ctx, columns+where+` ORDER BY time DESC, pk DESC, sk DESC LIMIT ?`, append(args, limit+1)...)
	if err != nil {
		return nil, "", fmt.Errorf("listing %s: %w", q.Kind, err)
	}
	if len(docs) <= limit {
		return docs, "", nil
	}
	last := docs[limit-1]
	return docs[:limit], position{last.Index.Time.UnixMilli(), last.Key}.cursor(), nil
}

// conditions are the rows that a query selects, as SQL.
func conditions(q store.Query) (where string, args []any, err error) {
	if q.Kind == "" {
		return "", nil, errors.New("a query needs a kind of documents to list")
	}
	terms, args := []string{"kind = ?"}, []any{q.Kind}
	add := func(term string, values ...any) { terms, args = append(terms, term), append(args, values...) }
	if q.Model != "" {
		add("model = ?", q.Model)
	}
	if q.State != "" {
		add("state = ?", q.State)
	}
	if q.Day != "" {
		day, err := time.Parse(time.DateOnly, q.Day)
		if err != nil {
			return "", nil, fmt.Errorf("the day of a query is of the form 2006-01-02, not %q", q.Day)
		}
		add("time >= ? AND time < ?", day.UnixMilli(), day.AddDate(0, 0, 1).UnixMilli())
	}
	if q.Cursor != "" {
		p, err := parseCursor(q.Cursor)
		if err != nil {
			return "", nil, err
		}
		add("(time, pk, sk) < (?, ?, ?)", p.Time, p.PK, p.SK)
	}
	return "WHERE " + strings.Join(terms, " AND "), args, nil
}

// position is a place in the order of a list. The next page starts behind it, whatever is written
// in between, even when its own document goes.
type position struct {
	Time int64
	store.Key
}

func (p position) cursor() string {
	text, _ := json.Marshal(p) // strings and a number: cannot fail
	return base64.RawURLEncoding.EncodeToString(text)
}

func parseCursor(cursor string) (position, error) {
	var p position
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		return p, fmt.Errorf("%q is not the cursor of a page of this store: %w", cursor, err)
	}
	return p, nil
}

// rows is a limit as SQL has it: none is -1.
func rows(limit int) int {
	if limit <= 0 {
		return -1
	}
	return limit
}

func (s *Store) docs(ctx context.Context, statement string, args ...any) ([]store.Doc, error) {
	return query(ctx, s.read, scan, statement, args...)
}

type row interface{ Scan(dest ...any) error }

// query reads all rows of a statement.
func query[T any](ctx context.Context, db *sql.DB, scan func(row) (T, error), statement string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err says what there is to say
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

func scan(r row) (store.Doc, error) {
	var d store.Doc
	var body []byte
	var due, expires sql.NullInt64
	var listed int64
	if err := r.Scan(&d.PK, &d.SK, &d.Version, &body, &due, &expires, &d.Index.Kind, &d.Index.Model, &d.Index.State, &listed); err != nil {
		return store.Doc{}, err
	}
	d.Due, d.Expires = moment(due), moment(expires)
	if len(body) > 0 {
		d.Body = body
	}
	if d.Index.Kind == "" {
		d.Index = store.Index{}
	} else {
		d.Index.Time = time.UnixMilli(listed).UTC()
	}
	return d, nil
}

func moment(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}
