package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modeldispatch/models/objects"
	"modeldispatch/models/objects/objectstest"
)

func TestUploadThenDownload(t *testing.T) {
	t.Parallel()
	store, dir := objectstest.Open(t, "results"), t.TempDir()
	from, to := filepath.Join(dir, "from.csv"), filepath.Join(dir, "to.csv")
	if err := os.WriteFile(from, []byte("a,b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{from, "s3://results/a b.csv"}, {"s3://results/a b.csv", to}} {
		if err := run(t.Context(), store, args); err != nil {
			t.Fatal(err)
		}
	}
	if content, err := os.ReadFile(to); err != nil || string(content) != "a,b\n" {
		t.Errorf("the downloaded file holds %q, %v, want the uploaded content", content, err)
	}
}

func TestFailedDownloadLeavesNoFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file.csv")
	if err := run(t.Context(), objectstest.Open(t, "landing"), []string{"s3://landing/absent.csv", file}); err == nil {
		t.Error("copying a missing object succeeded")
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("Stat of the file = %v, want not exist", err)
	}
}

func TestWrongArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"s3://a/b"}, {"a", "b"}, {"s3://a/b", "s3://a/c"}, {"s3://a/b", "c", "d"}} {
		if err := run(t.Context(), (*objects.Store)(nil), args); err == nil || !strings.Contains(err.Error(), "s3cp s3://bucket/key FILE") {
			t.Errorf("s3cp %q: %v, want an error with the usage", args, err)
		}
	}
}
