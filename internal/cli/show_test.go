package cli_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/cli"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/sqlite"
)

// TestShowOfCancelledRun shows a run whose task is being stopped. The output must have the reason and the user.
func TestShowOfCancelledRun(t *testing.T) {
	t.Parallel()
	project := t.TempDir()
	data := filepath.Join(project, ".modeldispatch")
	if err := os.CopyFS(project, os.DirFS("testdata/project")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(data, 0o755); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), filepath.Join(data, "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	const id = "forecast-aaaaaaaaaaaa"
	now := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	r := run.Run{
		ID: id, Model: "forecast", State: run.Running, Attempt: 1, Accepted: now,
		StopRequest: &run.StopRequest{Class: run.ClassCancelled, Reason: "its data is wrong", By: "ada", At: now},
	}
	err = db.Commit(t.Context(), store.Create(records.RunDoc(r, 0, 0)))
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	code := cli.Main(t.Context(), []string{"--project", project, "show", id}, cli.Streams{Out: &out, Err: io.Discard})
	want := regexp.MustCompile(`(?m)^stopping +its data is wrong, by ada, since 2026-01-0`)
	if code != 0 || !want.MatchString(out.String()) {
		t.Errorf("the exit code is %d, want 0; the output must match %s:\n%s", code, want, &out)
	}
}
