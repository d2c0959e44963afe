// Package sqlite is the store of one machine: a SQLite file.
//
// Several processes may have the file open at the same time: the local stack, and a command line
// that looks at its runs. Every commit is a transaction that takes the write lock at its start,
// and each of its writes has to change exactly one row that still has the expected version, or
// the whole is rolled back. A commit that was acknowledged survives the death of the process; what
// a power cut may take is the last moments before it, never part of a commit.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver

	"modeldispatch/internal/private"
	"modeldispatch/internal/store"
)

// Store is a SQLite file of documents.
type Store struct {
	// SQLite has one writer at a time. Within this process they queue for one connection, in
	// order; only between processes do they poll for the file's lock. Readers are never blocked.
	write *sql.DB
	read  *sql.DB
}

var _ store.Store = (*Store)(nil)

// Open opens the store in a file, which is made if it is not there, and deletes documents that
// have expired. The file's folder has to exist.
func Open(ctx context.Context, file string) (*Store, error) {
	s := &Store{}
	err := s.connect(file)
	if err == nil {
		err = s.migrate(ctx)
	}
	if err == nil {
		_, err = s.write.ExecContext(ctx, `DELETE FROM document WHERE expires <= ?`, time.Now().UnixMilli())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the store in %s: %w", file, err), s.Close())
	}
	return s, nil
}

func (s *Store) connect(file string) error {
	path, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	if err := private.Database(path); err != nil {
		return err
	}
	if s.write, err = sql.Open("sqlite", source(path, "journal_mode(WAL)", "synchronous(NORMAL)")); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", source(path, "query_only(true)")); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(4)
	return nil
}

// source names a database file and how each connection to it is set up. A wait for another
// process's lock ends after 10 s, or with the context.
func source(path string, pragmas ...string) string {
	query := url.Values{"_txlock": {"immediate"}, "_pragma": append(pragmas, "busy_timeout(10000)")}
	address := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: query.Encode()}
	return address.String()
}

// Close closes the file.
func (s *Store) Close() error {
	var failed []error
	for _, db := range []*sql.DB{s.read, s.write} { // the last one to go folds the log into the file
		if db != nil {
			failed = append(failed, db.Close())
		}
	}
	return errors.Join(failed...)
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, writes ...store.Write) error {
	if err := store.Check(writes); err != nil {
		return err
	}
	err := s.transact(ctx, func(tx *sql.Tx) error {
		for _, w := range writes {
			if err := apply(ctx, tx, w); err != nil {
				return fmt.Errorf("%s: %w", w.Doc.Key, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("committing %w", err)
	}
	return nil
}

func (s *Store) transact(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("to SQLite: %w", err)
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // nothing was written either way
		return err
	}
	return tx.Commit()
}

const (
	insert = `INSERT INTO document (pk, sk, version, body, shard, due, expires, kind, model, state, time)
		VALUES (?1, ?2, ?3 + 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING`
	update = `UPDATE document SET version = ?3 + 1, body = ?4, shard = ?5, due = ?6, expires = ?7, kind = ?8, model = ?9, state = ?10, time = ?11
		WHERE pk = ?1 AND sk = ?2 AND version = ?3`
	remove = `DELETE FROM document WHERE pk = ?1 AND sk = ?2 AND version = ?3`
)

// apply carries out one write: one row is changed, or its condition does not hold.
func apply(ctx context.Context, tx *sql.Tx, w store.Write) error {
	d := w.Doc
	statement, args := update, []any{
		d.PK, d.SK, w.Was, []byte(d.Body), d.Shard(), milliseconds(d.Due), milliseconds(d.Expires),
		nullable(d.Index.Kind), d.Index.Model, d.Index.State, d.Index.Time.UnixMilli(),
	}
	switch {
	case w.Delete:
		statement, args = remove, args[:3]
	case w.Was == 0:
		statement = insert
	}
	result, err := tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return store.ErrConflict
}

// milliseconds is how a time is kept; none is NULL, which keeps a document out of the index.
func milliseconds(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func nullable(text string) any {
	if text == "" {
		return nil
	}
	return text
}
