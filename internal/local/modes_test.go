//go:build unix

package local_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"modeldispatch/internal/local"
)

// TestDataIsPrivate checks the modes of all files that a stack writes with the umask 0, and of files that were readable
// by others before. The stack runs in a process of its own, because a umask applies to a whole process.
func TestDataIsPrivate(t *testing.T) {
	t.Parallel()
	dir := project(t, never)
	data := filepath.Join(dir, ".modeldispatch")
	for _, name := range []string{"store.db", "ecs.db", "sqs.db"} {
		write(t, filepath.Join(data, name), "")
		widen(t, filepath.Join(data, name))
	}
	widen(t, data)
	lines := serveOpenly(t, dir)
	address, err := local.Endpoint(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	client := awss3.NewFromConfig(endpoint(address), func(o *awss3.Options) { o.UsePathStyle = true })
	uploadParts(t, client)
	if err := put(t.Context(), client, "s3://landing/copy/a.txt", []byte("a")); err != nil {
		t.Fatal(err)
	}
	for !strings.HasPrefix(lines.Text(), "succeeded ") {
		if !lines.Scan() {
			t.Fatal("the stack ended before the run")
		}
	}
	seen := checkModes(t, data)
	for _, pattern := range []string{
		".gitignore", "credentials", "endpoint", "logs/worker-*/1-model.log",
		"store.db", "store.db-wal", "store.db-shm", "ecs.db", "ecs.db-wal", "ecs.db-shm", "sqs.db", "sqs.db-wal",
		"s3/sequencer", "s3/buckets/landing/objects/*", "s3/buckets/results/objects/*", "s3/incoming/*/1",
	} {
		if found, err := filepath.Glob(filepath.Join(data, pattern)); err != nil || len(found) == 0 {
			t.Errorf("no file %s, so the test does not check its mode; the data folder has %q", pattern, seen)
		}
	}
}

// widen gives all users access to a file or folder.
func widen(t *testing.T, path string) {
	t.Helper()
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
}

// serveOpenly starts the stack of a project with the umask 0, and returns the lines that it prints after its URL.
func serveOpenly(t *testing.T, dir string) *bufio.Scanner {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	process := exec.CommandContext(ctx, "sh", "-c", `umask 0; exec "$0"`, binary)
	process.Env = append(os.Environ(), projectVariable+"="+dir)
	process.Stderr = os.Stderr
	out, err := process.StdoutPipe()
	if err == nil {
		err = process.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_, _ = io.Copy(io.Discard, out)
		_ = process.Wait() // it was killed
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the stack did not start")
	}
	return lines
}

// uploadParts starts two multipart uploads of one part each, and completes the second.
func uploadParts(t *testing.T, client *awss3.Client) {
	t.Helper()
	bucket, key := aws.String("landing"), aws.String("parts")
	for _, complete := range []bool{false, true} {
		created, err := client.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		part, err := client.UploadPart(t.Context(), &awss3.UploadPartInput{
			Bucket: bucket, Key: key, UploadId: created.UploadId, PartNumber: aws.Int32(1), Body: bytes.NewReader([]byte("part")),
		})
		if err == nil && complete {
			_, err = client.CompleteMultipartUpload(t.Context(), &awss3.CompleteMultipartUploadInput{
				Bucket: bucket, Key: key, UploadId: created.UploadId,
				MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{ETag: part.ETag, PartNumber: aws.Int32(1)}}},
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// checkModes checks the modes of a folder and of everything in it, and returns the paths.
func checkModes(t *testing.T, folder string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if entry.IsDir() {
			want = fs.ModeDir | 0o700
		}
		if info.Mode() != want {
			t.Errorf("%s has the mode %s, want %s", path, info.Mode(), want)
		}
		all = append(all, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
