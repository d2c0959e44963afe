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

// Times are milliseconds since 1970, as SQS gives them.
const schema = `
CREATE TABLE IF NOT EXISTS queue (
	name     TEXT PRIMARY KEY,
	hidden   INTEGER NOT NULL,
	settings TEXT NOT NULL,    -- the attributes that were set, a JSON object
	created  INTEGER NOT NULL,
	modified INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS message (
	seq        INTEGER PRIMARY KEY,
	id         TEXT NOT NULL UNIQUE,
	queue      TEXT NOT NULL,
	body       BLOB NOT NULL,
	attributes TEXT NOT NULL,              -- message attributes, a JSON object
	system     TEXT NOT NULL,              -- system attributes given by the sender, a JSON object
	source     TEXT NOT NULL DEFAULT '',   -- the queue that gave the message up as a dead letter
	sent       INTEGER NOT NULL,
	visible    INTEGER NOT NULL,           -- from when on it can be received
	received   INTEGER NOT NULL DEFAULT 0, -- times, over all queues
	carried    INTEGER NOT NULL DEFAULT 0, -- times it had been received when it came to this queue
	first      INTEGER NOT NULL DEFAULT 0, -- first receive
	taken      INTEGER NOT NULL DEFAULT 0, -- latest receive
	held       INTEGER NOT NULL DEFAULT 0  -- the latest receiver lives in this process
) STRICT;
CREATE INDEX IF NOT EXISTS message_visible ON message (queue, visible, seq);
CREATE INDEX IF NOT EXISTS message_sent ON message (queue, sent);
`

// open opens the database with one connection: SQLite has one writer anyway, and an in-memory
// database lives as long as its connection. The exclusive lock keeps a second process out, which
// would take this one's messages for orphans; it dies with the process.
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
			err = fmt.Errorf("another process has it open; stop that one first: %w", err)
		}
		return nil, errors.Join(fmt.Errorf("opening the queues in %s: %w", file, err), db.Close())
	}
	return db, nil
}

func dataSource(file string) (string, error) {
	if file == "" {
		return "file::memory:", nil
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	// synchronous=NORMAL with a write-ahead log: a commit survives the death of the process.
	// What a power cut may take is the price of not waiting for the disk at each message.
	query := url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(2000)", "locking_mode(EXCLUSIVE)", "journal_mode(WAL)", "synchronous(NORMAL)"},
	}
	address := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: query.Encode()}
	return address.String(), nil
}

// transact runs f in one transaction. A call that has begun is carried out whole, whatever
// becomes of its context; the context that f gets says so.
func (s *Server) transact(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.failure(err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if err := f(ctx, tx); err != nil {
		return s.failure(err)
	}
	return s.failure(tx.Commit())
}

// failure turns what the database says of being closed into ErrClosed.
func (s *Server) failure(err error) error {
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

func (s *Server) releaseHeld(ctx context.Context) error {
	return s.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		now := s.options.Now().UnixMilli()
		_, err := tx.ExecContext(ctx, `UPDATE message SET visible = ?1, held = 0 WHERE held = 1 AND visible > ?1`, now)
		return err
	})
}
