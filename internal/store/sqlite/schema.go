package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// unreleased is the schema of development versions before the first release. Its files cannot be read any more.
const unreleased = 1

// migrations lists the statements that bring an empty file to the current schema. Migration i brings a file to schema
// unreleased+1+i. A file keeps the number of its schema in user_version. Never change a migration that has been released: append a
// new one.
//
// Times are milliseconds since 1970; a document without a time is not listed. Each index is partial, and holds only the
// rows that have its columns. The index of listed documents includes model and state, so that SQLite filters by them
// before it reads a document.
var migrations = [...]string{`
CREATE TABLE document (
	pk      TEXT NOT NULL,
	sk      TEXT NOT NULL,
	version INTEGER NOT NULL,
	body    BLOB,
	shard   INTEGER NOT NULL,
	due     INTEGER,
	expires INTEGER,
	kind    TEXT NOT NULL,
	model   TEXT NOT NULL,
	state   TEXT NOT NULL,
	time    INTEGER,
	PRIMARY KEY (pk, sk)
) STRICT;
CREATE INDEX document_due ON document (shard, due, pk, sk) WHERE due IS NOT NULL;
CREATE INDEX document_expires ON document (expires) WHERE expires IS NOT NULL;
CREATE INDEX document_listed ON document (kind, time, pk, sk, model, state) WHERE time IS NOT NULL;
`}

// migrate brings the file to the current schema. It returns an error, and changes nothing, if newer code or a
// development version wrote the file.
func (s *Store) migrate(ctx context.Context) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		var version int
		if err := tx.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
			return err
		}
		const newest = unreleased + len(migrations)
		switch {
		case version == unreleased:
			return errors.New("a development version of modeldispatch wrote it, and this version cannot read it: remove its folder")
		case version > newest:
			return fmt.Errorf("it has schema %d, and this program knows up to %d: use the newer modeldispatch that wrote it", version, newest)
		}
		for version = max(version, unreleased); version < newest; version++ {
			if _, err := tx.ExecContext(ctx, migrations[version-unreleased]); err != nil {
				return fmt.Errorf("bringing it to schema %d: %w", version+1, err)
			}
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, version))
		return err
	})
}
