package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/store"
	"modeldispatch/internal/store/sqlite"
	"modeldispatch/internal/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, filepath.Join(t.TempDir(), "store.db")) })
}

func BenchmarkStore(b *testing.B) {
	storetest.Benchmark(b, open(b, filepath.Join(b.TempDir(), "store.db")))
}

func open(t testing.TB, file string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// raw opens the file without the store, as any SQLite tool does.
func raw(t *testing.T, file string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func number(n int) store.Doc {
	return store.Doc{Key: store.Key{PK: "number", SK: fmt.Sprint(n)}, Body: []byte(fmt.Sprint(n))}
}

func TestDocumentsSurviveARestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "store.db")
	for n := range 3 {
		s, err := sqlite.Open(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context(), store.Create(number(n))); err != nil {
			t.Fatal(err)
		}
		docs, err := s.Partition(t.Context(), "number", "", 0)
		if err != nil || len(docs) != n+1 {
			t.Errorf("after start %d there are %d documents, %v, want %d", n+1, len(docs), err, n+1)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFileNamesWithSpecialCharacters(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"store.db", "with space.db", "100%.db", "%41.db", "what?.db", "a#b.db", "ä€😀.db", "a&_txlock=x.db"} {
		file := filepath.Join(t.TempDir(), name)
		s := open(t, file)
		if err := s.Commit(t.Context(), store.Create(number(1))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if found, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*.db")); err != nil || len(found) != 1 || found[0] != file {
			t.Errorf("Open(%s) created %v", file, found)
		}
	}
}

func TestUnusableFiles(t *testing.T) {
	t.Parallel()
	withSchema := func(number int) string {
		file := filepath.Join(t.TempDir(), "other.db")
		open(t, file)
		if _, err := raw(t, file).ExecContext(t.Context(), fmt.Sprintf(`PRAGMA user_version = %d`, number)); err != nil {
			t.Fatal(err)
		}
		return file
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ file, want string }{
		"development":    {withSchema(1), "a development version of modeldispatch wrote it, and this version cannot read it: remove its folder"},
		"newer schema":   {withSchema(99), "it has schema 99, and this program knows up to 2: use the newer modeldispatch that wrote it"},
		"no folder":      {filepath.Join(t.TempDir(), "missing", "store.db"), "store.db: open "},
		"a folder":       {t.TempDir(), "unable to open database file"},
		"not a database": {text, "file is not a database"},
	}
	for name, test := range tests {
		s, err := sqlite.Open(t.Context(), test.file)
		if err == nil {
			_ = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.file) {
			t.Errorf("%s: Open = %v, want an error that names the file and contains %q", name, err, test.want)
		}
	}
}

func TestExpiredDocumentsAreDeletedAtTheNextStart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "store.db")
	old, young, forever := number(1), number(2), number(3)
	old.Expires, young.Expires = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Now().Add(time.Hour)
	first := open(t, file)
	if err := first.Commit(t.Context(), store.Create(old), store.Create(young), store.Create(forever)); err != nil {
		t.Fatal(err)
	}
	second := open(t, file)
	if _, err := second.Get(t.Context(), old.Key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of the expired document = %v, want ErrNotFound", err)
	}
	for _, d := range []store.Doc{young, forever} {
		if _, err := second.Get(t.Context(), d.Key); err != nil {
			t.Errorf("Get of a document that has not expired = %v", err)
		}
	}
}

// TestCancelledWhileWaitingForALock cancels commits that wait for a lock that another process holds.
func TestCancelledWhileWaitingForALock(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "store.db")
	s := open(t, file)
	other := raw(t, file)
	if _, err := other.ExecContext(t.Context(), `BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	for n := range 2 { // one waits for the file, one for the connection
		go func() { failed <- s.Commit(ctx, store.Create(number(n))) }()
	}
	if _, err := s.Get(t.Context(), number(0).Key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get while another process holds the lock = %v, want ErrNotFound", err)
	}
	cancel()
	for range 2 {
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("Commit = %v, want context.Canceled", err)
		}
	}
	if _, err := other.ExecContext(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), store.Create(number(0)), store.Create(number(1))); err != nil {
		t.Errorf("Commit after the lock was released = %v", err)
	}
}

// TestQueriesUseTheirIndex checks that neither the sweep nor a list reads the whole file.
func TestQueriesUseTheirIndex(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "store.db")
	open(t, file)
	tests := map[string]string{
		"document_due": `SELECT pk, sk FROM document WHERE shard = 1 AND due <= 2 ORDER BY due, pk, sk LIMIT 3`,
		"document_listed": `SELECT body FROM document WHERE kind = 'run' AND time IS NOT NULL AND model = 'm' AND (time, pk, sk) < (1, 'a', 'b')
			ORDER BY time DESC, pk DESC, sk DESC LIMIT 3`,
		"sqlite_autoindex_document_1": `SELECT body FROM document WHERE pk = 'a' AND sk >= 'b' AND sk < 'c' ORDER BY sk LIMIT -1`,
		"document_expires":            `DELETE FROM document WHERE expires <= 1`,
	}
	for index, statement := range tests {
		plan := explain(t, raw(t, file), statement)
		if !strings.Contains(plan, "SEARCH document USING") || !strings.Contains(plan, index) || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("the plan of\n%s\nis %s, want a search of %s without sorting", statement, plan, index)
		}
	}
}

// explain returns the query plan of a statement.
func explain(t *testing.T, db *sql.DB, statement string) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+statement)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(detail + "; ")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
