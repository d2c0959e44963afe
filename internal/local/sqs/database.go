package sqs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"modeldispatch/internal/private"
)

// schema creates the tables. Times are in milliseconds since 1970, as in SQS's own attributes.
const schema = `
CREATE TABLE IF NOT EXISTS queue (
	name     TEXT PRIMARY KEY,
	hidden   INTEGER NOT NULL,
	settings TEXT NOT NULL,    -- the attributes that were set, as a JSON object
	created  INTEGER NOT NULL,
	modified INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS message (
	seq        INTEGER PRIMARY KEY,
	id         TEXT NOT NULL UNIQUE,
	queue      TEXT NOT NULL,
	body       BLOB NOT NULL,
	attributes TEXT NOT NULL,              -- the message attributes, as a JSON object
	system     TEXT NOT NULL,              -- the system attributes that the sender gave, as a JSON object
	source     TEXT NOT NULL DEFAULT '',   -- for a dead letter, the queue that it came from
	sent       INTEGER NOT NULL,
	visible    INTEGER NOT NULL,           -- the time from which on it can be received
	received   INTEGER NOT NULL DEFAULT 0, -- the number of receives, in all queues
	carried    INTEGER NOT NULL DEFAULT 0, -- the number of receives in earlier queues
	first      INTEGER NOT NULL DEFAULT 0, -- the time of the first receive
	taken      INTEGER NOT NULL DEFAULT 0, -- the time of the latest receive
	held       INTEGER NOT NULL DEFAULT 0  -- 1 if the latest receiver lives in the process that has the file open
) STRICT;
CREATE INDEX IF NOT EXISTS message_visible ON message (queue, visible, seq);
CREATE INDEX IF NOT EXISTS message_sent ON message (queue, sent);
`

// open opens the database with one connection, because SQLite has one writer and an in-memory database
// lives only as long as its connection. An exclusive lock keeps other processes out: they would
// release the messages that receivers in this process hold. The lock ends with the process.
func open(ctx context.Context, file string) (*sql.DB, error) {
	source, err := dataSource(file)
	if err == nil && file != "" {
		err = private.Database(file)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the queues in %s: %w", file, err)
	}
	db, err := sql.Open("sqlite", source)
	if err != nil {
		return nil, fmt.Errorf("opening the queues in %s: %w", file, err)
	}
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	if _, err := db.ExecContext(ctx, schema); err != nil {
		var failure *sqlite.Error
		if errors.As(err, &failure) && failure.Code()&0xff == sqlite3.SQLITE_BUSY {
			err = fmt.Errorf("another process has it open; stop that process first: %w", err)
		}
		return nil, errors.Join(fmt.Errorf("opening the queues in %s: %w", file, err), db.Close())
	}
	return db, nil
}

// dataSource returns SQLite's data source name for a file, or for a database in memory if file is "".
func dataSource(file string) (string, error) {
	if file == "" {
		return "file::memory:", nil
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	// With synchronous=NORMAL and a write-ahead log a commit survives a crash of the process. A power cut
	// can lose the last commits. That is the price of not waiting for the disk at each message.
	query := url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(2000)", "locking_mode(EXCLUSIVE)", "journal_mode(WAL)", "synchronous(NORMAL)"},
	}
	address := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: query.Encode()}
	return address.String(), nil
}

// transact runs f in one transaction, and commits it unless f returns an error. Once begun, the
// transaction runs to its end even if ctx is cancelled, so f gets a context without cancellation.
func (s *Server) transact(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.closedError(err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if err := f(ctx, tx); err != nil {
		return s.closedError(err)
	}
	return s.closedError(tx.Commit())
}

// closedError returns ErrClosed in place of any error after Close, because the database's own error
// then says only that it is closed.
func (s *Server) closedError(err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-s.done:
		return ErrClosed
	default:
		return err
	}
}

// releaseHeld makes visible all messages that receivers of an earlier process held.
func (s *Server) releaseHeld(ctx context.Context) error {
	return s.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		now := s.options.Now().UnixMilli()
		_, err := tx.ExecContext(ctx, `UPDATE message SET visible = ?1, held = 0 WHERE held = 1 AND visible > ?1`, now)
		return err
	})
}
