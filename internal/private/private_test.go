package private_test

import (
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	_ "modernc.org/sqlite" // the driver

	"modeldispatch/internal/private"
)

// checkMode checks the mode of a file or folder.
func checkMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != want && runtime.GOOS != "windows" {
		t.Errorf("%s has the mode %o, want %o", filepath.Base(path), got, want)
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	parent := filepath.Join(t.TempDir(), "parent")
	for range 2 {
		if err := private.Folder(filepath.Join(parent, "folder")); err != nil {
			t.Fatal(err)
		}
		checkMode(t, filepath.Join(parent, "folder"), private.FolderMode)
		if err := os.Chmod(filepath.Join(parent, "folder"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	checkMode(t, parent, private.FolderMode)
}

// TestDatabase checks a new database, the files that SQLite creates beside it, and the same files after their mode was
// widened.
func TestDatabase(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	all := []string{file, file + "-wal", file + "-shm"}
	if err := private.Database(file); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(file)+"?_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), `CREATE TABLE x (y)`); err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		checkMode(t, name, private.FileMode)
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := private.Database(file); err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		checkMode(t, name, private.FileMode)
	}
}
