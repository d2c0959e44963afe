package s3_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// begin starts a multipart upload and uploads its first part.
func (s *testServer) begin(t *testing.T, key, body string) (id string, part types.CompletedPart) {
	t.Helper()
	out, err := s.CreateMultipartUpload(t.Context(), &client.CreateMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &key, ContentType: aws.String("text/csv"), Metadata: map[string]string{"owner": "analytics"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.UploadId, s.part(t, key, *out.UploadId, 1, body)
}

// part uploads one part.
func (s *testServer) part(t *testing.T, key, id string, number int32, body string) types.CompletedPart {
	t.Helper()
	out, err := s.UploadPart(t.Context(), &client.UploadPartInput{
		Bucket: aws.String(bucket), Key: &key, UploadId: &id, PartNumber: &number, Body: strings.NewReader(body),
	})
	if err != nil {
		t.Fatal(err)
	}
	return types.CompletedPart{PartNumber: &number, ETag: out.ETag}
}

// complete completes an upload with the given parts.
func (s *testServer) complete(t *testing.T, key, id string, parts ...types.CompletedPart) error {
	t.Helper()
	_, err := s.CompleteMultipartUpload(t.Context(), &client.CompleteMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &key, UploadId: &id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	return err
}

// upload creates an object by a multipart upload of one part.
func (s *testServer) upload(t *testing.T, key, body string) {
	t.Helper()
	id, part := s.begin(t, key, body)
	if err := s.complete(t, key, id, part); err != nil {
		t.Fatal(err)
	}
}

// fullPart returns a body with the minimum size of a part that is not the last.
func fullPart(letter string) string { return strings.Repeat(letter, 5<<20) }

// incoming returns the files and folders in the server's folder for drafts and parts.
func incoming(t *testing.T, folder string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "incoming", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestMultipartUpload(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := start(t, folder)
	const key = "big/ä +.csv"
	s.put(t, "source", "0123456789")
	s.takeCreated()
	id, _ := s.begin(t, key, "replaced later")
	third := s.part(t, key, id, 30, "end")
	unused := s.part(t, key, id, 4, "not in the list")
	second := s.part(t, key, id, 2, fullPart("b"))
	first := s.part(t, key, id, 1, fullPart("a"))

	listed, err := s.ListParts(t.Context(), &client.ListPartsInput{Bucket: aws.String(bucket), Key: aws.String(key), UploadId: &id})
	if err != nil || len(listed.Parts) != 4 || *listed.Parts[2].ETag != *unused.ETag {
		t.Errorf("ListParts = %+v, %v, want four parts", listed, err)
	}
	if len(s.takeCreated()) > 0 || slices.Contains(s.keys(t), key) {
		t.Error("the object exists before the upload was completed")
	}
	if err := s.complete(t, key, id, first, second, third); err != nil {
		t.Fatal(err)
	}
	want := fullPart("a") + fullPart("b") + "end"
	for when, s := range map[string]*testServer{"at once": s, "after a restart": start(t, folder)} {
		if got := s.get(t, key); got != want {
			t.Errorf("%s: the object has %d bytes, want %d", when, len(got), len(want))
		}
		head, err := s.HeadObject(t.Context(), &client.HeadObjectInput{
			Bucket: aws.String(bucket), Key: aws.String(key), PartNumber: aws.Int32(3),
		})
		if err != nil || *head.ContentLength != 3 || *head.PartsCount != 3 || *head.ContentType != "text/csv" ||
			head.Metadata["owner"] != "analytics" || *head.ETag != `"`+etag(want)+`"` {
			t.Errorf("%s: the third part is %+v, %v", when, head, err)
		}
	}
	created := s.takeCreated()
	if len(created) != 1 || created[0].Key != key || created[0].Size != int64(len(want)) || created[0].ETag != etag(want) {
		t.Errorf("OnCreated was called with %+v", created)
	}
	if err := s.complete(t, key, id, first, second, third); err != nil || len(s.takeCreated()) > 0 {
		t.Errorf("completing again, as after a lost response: %v, want success and no second object", err)
	}
	if left := incoming(t, folder); len(left) > 0 {
		t.Errorf("the files %v remain after the upload", left)
	}
}

func TestUploadPartCopy(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "source", "0123456789")
	id, _ := s.begin(t, "k", "")
	out, err := s.UploadPartCopy(t.Context(), &client.UploadPartCopyInput{
		Bucket: aws.String(bucket), Key: aws.String("k"), UploadId: &id, PartNumber: aws.Int32(2),
		CopySource: aws.String(bucket + "/source"), CopySourceRange: aws.String("bytes=2-5"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.complete(t, "k", id, types.CompletedPart{PartNumber: aws.Int32(2), ETag: out.CopyPartResult.ETag}); err != nil {
		t.Fatal(err)
	}
	if got := s.get(t, "k"); got != "2345" {
		t.Errorf("the copied part has %q", got)
	}
}

func TestInvalidCompletions(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := start(t, folder)
	id, first := s.begin(t, "k", "small")
	second := s.part(t, "k", id, 2, "end")
	wrong := types.CompletedPart{PartNumber: aws.Int32(1), ETag: second.ETag}
	missing := types.CompletedPart{PartNumber: aws.Int32(3), ETag: second.ETag}
	wantError(t, "parts in the wrong order", s.complete(t, "k", id, second, first), "InvalidPartOrder", http.StatusBadRequest)
	wantError(t, "a part twice", s.complete(t, "k", id, second, second), "InvalidPartOrder", http.StatusBadRequest)
	wantError(t, "another part's ETag", s.complete(t, "k", id, wrong), "InvalidPart", http.StatusBadRequest)
	wantError(t, "a part that was not sent", s.complete(t, "k", id, missing), "InvalidPart", http.StatusBadRequest)
	wantError(t, "a small part before the last", s.complete(t, "k", id, first, second), "EntityTooSmall", http.StatusBadRequest)
	wantError(t, "no parts", s.complete(t, "k", id), "MalformedXML", http.StatusBadRequest)
	wantError(t, "another key", s.complete(t, "other", id, first), "NoSuchUpload", http.StatusNotFound)
	if created := s.takeCreated(); len(created) > 0 || len(s.keys(t)) > 0 {
		t.Errorf("OnCreated was called with %+v, and the keys are %v; want none", created, s.keys(t))
	}
	if err := s.complete(t, "k", id, first); err != nil {
		t.Errorf("a valid completion after the invalid ones: %v", err)
	}

	id, first = s.begin(t, "aborted", "x")
	abort := &client.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("aborted"), UploadId: &id}
	if _, err := s.AbortMultipartUpload(t.Context(), abort); err != nil {
		t.Fatal(err)
	}
	wantError(t, "an aborted upload", s.complete(t, "aborted", id, first), "NoSuchUpload", http.StatusNotFound)
	if left := incoming(t, folder); len(left) > 0 {
		t.Errorf("the files %v remain after the uploads", left)
	}
}

// TestConcurrentCompletionsCreateOneObject completes the same upload in eight requests at once.
func TestConcurrentCompletionsCreateOneObject(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	id, part := s.begin(t, "k", "x")
	var running sync.WaitGroup
	var completed atomic.Int32
	for range 8 {
		running.Go(func() {
			err := s.complete(t, "k", id, part)
			if err == nil {
				completed.Add(1)
				return
			}
			// gofakes3 removes an upload from its list shortly before it records the completion.
			wantError(t, "a completion during another one", err, "NoSuchUpload", http.StatusNotFound)
		})
	}
	running.Wait()
	if completed.Load() == 0 {
		t.Error("none of the completions succeeded")
	}
	if err := s.complete(t, "k", id, part); err != nil {
		t.Errorf("completing again: %v", err)
	}
	if created := s.takeCreated(); len(created) != 1 {
		t.Errorf("OnCreated was called %d times, want once", len(created))
	}
}

func TestUploadEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	id, part := start(t, folder).begin(t, "k", "x")
	if len(incoming(t, folder)) == 0 {
		t.Fatal("the part is in no file")
	}
	s := start(t, folder)
	wantError(t, "an upload from before the restart", s.complete(t, "k", id, part), "NoSuchUpload", http.StatusNotFound)
	if left, err := os.ReadDir(filepath.Join(folder, "incoming")); err != nil || len(left) > 0 {
		t.Errorf("the part of the upload remains: %v, %v", left, err)
	}
}
