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

// begin starts an upload and sends its first part.
func (s *stand) begin(t *testing.T, key, body string) (id string, part types.CompletedPart) {
	t.Helper()
	out, err := s.CreateMultipartUpload(t.Context(), &client.CreateMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &key, ContentType: aws.String("text/csv"), Metadata: map[string]string{"owner": "analytics"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.UploadId, s.part(t, key, *out.UploadId, 1, body)
}

func (s *stand) part(t *testing.T, key, id string, number int32, body string) types.CompletedPart {
	t.Helper()
	out, err := s.UploadPart(t.Context(), &client.UploadPartInput{Bucket: aws.String(bucket), Key: &key, UploadId: &id, PartNumber: &number, Body: strings.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
	return types.CompletedPart{PartNumber: &number, ETag: out.ETag}
}

func (s *stand) complete(t *testing.T, key, id string, parts ...types.CompletedPart) error {
	t.Helper()
	_, err := s.CompleteMultipartUpload(t.Context(), &client.CompleteMultipartUploadInput{Bucket: aws.String(bucket), Key: &key, UploadId: &id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
	return err
}

// upload puts an object as a multipart upload of one part.
func (s *stand) upload(t *testing.T, key, body string) {
	t.Helper()
	id, part := s.begin(t, key, body)
	if err := s.complete(t, key, id, part); err != nil {
		t.Fatal(err)
	}
}

// atLeast is a body that is long enough for any part.
func atLeast(letter string) string { return strings.Repeat(letter, 5<<20) }

func incoming(t *testing.T, folder string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "incoming", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestAMultipartUpload(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := start(t, folder)
	const key = "big/ä +.csv"
	s.put(t, "source", "0123456789")
	s.told()
	id, _ := s.begin(t, key, "replaced by what comes later")
	third := s.part(t, key, id, 30, "end")
	unused := s.part(t, key, id, 4, "not in the list")
	second := s.part(t, key, id, 2, atLeast("b"))
	first := s.part(t, key, id, 1, atLeast("a"))

	listed, err := s.ListParts(t.Context(), &client.ListPartsInput{Bucket: aws.String(bucket), Key: aws.String(key), UploadId: &id})
	if err != nil || len(listed.Parts) != 4 || *listed.Parts[2].ETag != *unused.ETag {
		t.Errorf("ListParts = %+v, %v, want four parts", listed, err)
	}
	if len(s.told()) > 0 || slices.Contains(s.keys(t), key) {
		t.Error("the object is there before it was completed")
	}
	if err := s.complete(t, key, id, first, second, third); err != nil {
		t.Fatal(err)
	}
	want := atLeast("a") + atLeast("b") + "end"
	for when, s := range map[string]*stand{"at once": s, "after a restart": start(t, folder)} {
		if got := s.get(t, key); got != want {
			t.Errorf("%s it has %d bytes, want %d", when, len(got), len(want))
		}
		head, err := s.HeadObject(t.Context(), &client.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), PartNumber: aws.Int32(3)})
		if err != nil || *head.ContentLength != 3 || *head.PartsCount != 3 || *head.ContentType != "text/csv" || head.Metadata["owner"] != "analytics" || *head.ETag != `"`+etag(want)+`"` {
			t.Errorf("%s its third part is %+v, %v", when, head, err)
		}
	}
	if told := s.told(); len(told) != 1 || told[0].Key != key || told[0].Size != int64(len(want)) || told[0].ETag != etag(want) {
		t.Errorf("Created was called with %+v", told)
	}
	if err := s.complete(t, key, id, first, second, third); err != nil || len(s.told()) > 0 {
		t.Errorf("completing again, as after a lost answer: %v, want success and no second object", err)
	}
	if left := incoming(t, folder); len(left) > 0 {
		t.Errorf("after the upload there are still %v", left)
	}
}

func TestAPartIsCopied(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "source", "0123456789")
	id, _ := s.begin(t, "k", "")
	out, err := s.UploadPartCopy(t.Context(), &client.UploadPartCopyInput{
		Bucket: aws.String(bucket), Key: aws.String("k"), UploadId: &id, PartNumber: aws.Int32(2), CopySource: aws.String(bucket + "/source"), CopySourceRange: aws.String("bytes=2-5"),
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

func TestUploadsThatCannotBeCompleted(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := start(t, folder)
	id, first := s.begin(t, "k", "small")
	second := s.part(t, "k", id, 2, "end")
	wrong := types.CompletedPart{PartNumber: aws.Int32(1), ETag: second.ETag}
	missing := types.CompletedPart{PartNumber: aws.Int32(3), ETag: second.ETag}
	fails(t, "parts in disorder", s.complete(t, "k", id, second, first), "InvalidPartOrder", http.StatusBadRequest)
	fails(t, "a part twice", s.complete(t, "k", id, second, second), "InvalidPartOrder", http.StatusBadRequest)
	fails(t, "another part's ETag", s.complete(t, "k", id, wrong), "InvalidPart", http.StatusBadRequest)
	fails(t, "a part that was not sent", s.complete(t, "k", id, missing), "InvalidPart", http.StatusBadRequest)
	fails(t, "a small part before the last", s.complete(t, "k", id, first, second), "EntityTooSmall", http.StatusBadRequest)
	fails(t, "no parts", s.complete(t, "k", id), "MalformedXML", http.StatusBadRequest)
	fails(t, "another key", s.complete(t, "other", id, first), "NoSuchUpload", http.StatusNotFound)
	if told := s.told(); len(told) > 0 || len(s.keys(t)) > 0 {
		t.Errorf("Created was called with %+v, and there are %v", told, s.keys(t))
	}
	if err := s.complete(t, "k", id, first); err != nil {
		t.Errorf("the right completion after all wrong ones: %v", err)
	}

	id, first = s.begin(t, "aborted", "x")
	if _, err := s.AbortMultipartUpload(t.Context(), &client.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("aborted"), UploadId: &id}); err != nil {
		t.Fatal(err)
	}
	fails(t, "an aborted upload", s.complete(t, "aborted", id, first), "NoSuchUpload", http.StatusNotFound)
	if left := incoming(t, folder); len(left) > 0 {
		t.Errorf("after the uploads there are still %v", left)
	}
}

// TestAnUploadIsCompletedOnce has several complete the same upload at once.
func TestAnUploadIsCompletedOnce(t *testing.T) {
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
			// gofakes3 forgets an upload shortly before it knows it as completed.
			fails(t, "completing while another does", err, "NoSuchUpload", http.StatusNotFound)
		})
	}
	running.Wait()
	if completed.Load() == 0 {
		t.Error("none of the completions succeeded")
	}
	if err := s.complete(t, "k", id, part); err != nil {
		t.Errorf("completing again: %v", err)
	}
	if told := s.told(); len(told) != 1 {
		t.Errorf("Created was called %d times, want once", len(told))
	}
}

func TestAnUploadEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	id, part := start(t, folder).begin(t, "k", "x")
	if len(incoming(t, folder)) == 0 {
		t.Fatal("the part is nowhere")
	}
	s := start(t, folder)
	fails(t, "an upload from before the restart", s.complete(t, "k", id, part), "NoSuchUpload", http.StatusNotFound)
	if left, err := os.ReadDir(filepath.Join(folder, "incoming")); err != nil || len(left) > 0 {
		t.Errorf("its part is still there: %v, %v", left, err)
	}
}
