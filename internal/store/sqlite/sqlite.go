// Package sqlite implements store.Store in a SQLite file, for a single machine. The local stack keeps its runs in it.
//
// Several processes may open the file at the same time: the local stack, and commands that read its runs.
//
// A document is a row of the table document. A commit is a transaction that takes SQLite's write lock at its start.
// Each of its writes must change exactly one row, which still has the expected version; otherwise the transaction is
// rolled back and Commit returns store.ErrConflict. Due and List read the file itself, so they never lag.
//
// Durability: a commit that returned without an error survives the death of the process. A power failure may undo the
// last commits before it (WAL with synchronous=NORMAL, see https://www.sqlite.org/pragma.html#pragma_synchronous), but
// never a part of a commit.
//
// Open opens or creates the file, brings it to the current schema (see migrations), and deletes expired documents. It
// returns an error for a file that newer code wrote.
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

// Store holds documents in a SQLite file.
type Store struct {
	// SQLite allows one writer at a time. The writers of this process queue in order for the one connection of write.
	// Writers of different processes poll for the lock of the file. Neither blocks a reader.
	write *sql.DB
	read  *sql.DB
}

var _ store.Store = (*Store)(nil)

// Open opens the store in a file, and deletes expired documents. It creates the file if there is none, but not its
// folder. It returns an error if the folder does not exist, the file is not a database, or newer code wrote it.
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
	if s.write, err = sql.Open("sqlite", dataSourceName(path, "journal_mode(WAL)", "synchronous(NORMAL)")); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", dataSourceName(path, "query_only(true)")); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(4)
	return nil
}

// dataSourceName returns the URI of a database file, with the pragmas that each connection to it sets. A connection
// waits up to 10 s for the lock of another process, unless the context ends first.
func dataSourceName(path string, pragmas ...string) string {
	query := url.Values{"_txlock": {"immediate"}, "_pragma": append(pragmas, "busy_timeout(10000)")}
	address := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: query.Encode()}
	return address.String()
}

// Close closes the file.
func (s *Store) Close() error {
	var failed []error
	for _, db := range []*sql.DB{s.read, s.write} { // the last connection to close moves the log into the file
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

// transact runs f in a transaction, and rolls it back if f returns an error.
func (s *Store) transact(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("to SQLite: %w", err)
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // if this fails too, nothing was written either
		return err
	}
	return tx.Commit()
}

const (
	insert = `INSERT INTO document (pk, sk, version, body, shard, due, expires, kind, model, state, time)
		VALUES (?1, ?2, ?3 + 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING`
	update = `UPDATE document SET version = ?3 + 1, body = ?4, shard = ?5, due = ?6, expires = ?7,
			kind = ?8, model = ?9, state = ?10, time = ?11
		WHERE pk = ?1 AND sk = ?2 AND version = ?3`
	remove = `DELETE FROM document WHERE pk = ?1 AND sk = ?2 AND version = ?3`
)

// apply carries out one write. It returns store.ErrConflict if no row meets the condition of the write.
func apply(ctx context.Context, tx *sql.Tx, w store.Write) error {
	d := w.Doc
	statement, args := update, []any{
		d.PK, d.SK, w.IfVersion, []byte(d.Body), d.Shard(), milliseconds(d.Due), milliseconds(d.Expires),
		d.Kind, d.Index.Model, d.Index.State, milliseconds(d.Index.Time),
	}
	switch {
	case w.Delete:
		statement, args = remove, args[:3]
	case w.IfVersion == 0:
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

// milliseconds returns the column value of a time. The zero time becomes NULL, which keeps the row out of the time's
// index.
func milliseconds(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}
