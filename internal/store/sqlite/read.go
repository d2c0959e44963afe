package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"modeldispatch/internal/store"
)

const columns = `SELECT pk, sk, version, body, due, expires, kind, model, state, time FROM document `

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
	// UTF-8 never contains the byte FF. So every sort key that begins with the prefix is less than the prefix plus FF.
	docs, err := s.docs(ctx, columns+`WHERE pk = ? AND sk >= ? AND sk < ? ORDER BY sk LIMIT ?`,
		pk, skPrefix, skPrefix+"\xff", sqlLimit(limit))
	if err != nil {
		return nil, fmt.Errorf("reading partition %s: %w", pk, err)
	}
	return docs, nil
}

// Due implements store.Store.
func (s *Store) Due(ctx context.Context, shard int, before time.Time, limit int) ([]store.DueDoc, error) {
	if err := store.CheckShard(shard); err != nil {
		return nil, err
	}
	due, err := query(ctx, s.read, func(r row) (d store.DueDoc, err error) { return d, r.Scan(&d.PK, &d.SK, &d.Kind) },
		`SELECT pk, sk, kind FROM document WHERE shard = ? AND due <= ? ORDER BY due, pk, sk LIMIT ?`, shard, before.UnixMilli(), sqlLimit(limit))
	if err != nil {
		return nil, fmt.Errorf("reading the due documents of shard %d: %w", shard, err)
	}
	return due, nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, q store.Query) ([]store.Doc, string, error) {
	page, err := q.Page()
	if err != nil {
		return nil, "", err
	}
	where, args := conditions(q, page)
	docs, err := s.docs(ctx, columns+where+` ORDER BY time DESC, pk DESC, sk DESC LIMIT ?`, append(args, page.Limit+1)...)
	if err != nil {
		return nil, "", fmt.Errorf("listing %s: %w", q.Kind, err)
	}
	if len(docs) <= page.Limit {
		return docs, "", nil
	}
	last := docs[page.Limit-1]
	return docs[:page.Limit], page.Cursor(store.Position{Time: last.Index.Time.UnixMilli(), Key: last.Key}), nil
}

// conditions returns the WHERE clause that selects the rows of a query, and its arguments.
func conditions(q store.Query, page store.Page) (where string, args []any) {
	terms, args := []string{"kind = ?", "time IS NOT NULL"}, []any{q.Kind}
	add := func(term string, values ...any) { terms, args = append(terms, term), append(args, values...) }
	if q.Model != "" {
		add("model = ?", q.Model)
	}
	if q.State != "" {
		add("state = ?", q.State)
	}
	if q.Day != "" {
		add("time >= ? AND time < ?", page.From.UnixMilli(), page.To.UnixMilli())
	}
	if p := page.After; p != nil {
		add("(time, pk, sk) < (?, ?, ?)", p.Time, p.PK, p.SK)
	}
	return "WHERE " + strings.Join(terms, " AND "), args
}

// sqlLimit returns the value of a LIMIT clause. No limit is -1 in SQLite.
func sqlLimit(limit int) int {
	if limit <= 0 {
		return -1
	}
	return limit
}

// docs returns the documents that a statement selects.
func (s *Store) docs(ctx context.Context, statement string, args ...any) ([]store.Doc, error) {
	return query(ctx, s.read, scan, statement, args...)
}

type row interface{ Scan(dest ...any) error }

// query runs a statement and returns all its rows, each converted by scan.
func query[T any](ctx context.Context, db *sql.DB, scan func(row) (T, error), statement string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err returns what went wrong
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// scan converts a row of columns to a document.
func scan(r row) (store.Doc, error) {
	var d store.Doc
	var body []byte
	var due, expires, listed sql.NullInt64
	if err := r.Scan(&d.PK, &d.SK, &d.Version, &body, &due, &expires, &d.Kind, &d.Index.Model, &d.Index.State, &listed); err != nil {
		return store.Doc{}, err
	}
	d.Due, d.Expires, d.Index.Time = timeOf(due), timeOf(expires), timeOf(listed)
	if len(body) > 0 {
		d.Body = body
	}
	if !listed.Valid {
		d.Index = store.Index{}
	}
	return d, nil
}

// timeOf returns the time of a column value. NULL becomes the zero time.
func timeOf(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}
