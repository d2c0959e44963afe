package s3_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"modeldispatch/internal/local/s3"
)

func TestCreatedIsCalledForEachWrite(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	ctx := t.Context()
	s.put(t, "a+b %.csv", "one")
	s.put(t, "a+b %.csv", "three")
	source := aws.String(bucket + "/a%2Bb%20%25.csv")
	_, err := s.CopyObject(ctx, &client.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("copy"), CopySource: source})
	if err != nil {
		t.Fatal(err)
	}
	s.postForm(t, "form", "by a browser")
	s.upload(t, "parts", "in parts")
	if err := s.server.Seed(bucket, "seeded", strings.NewReader("before")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteObject(ctx, &client.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("copy")}); err != nil {
		t.Fatal(err)
	}
	var created []string
	var sequencers []string
	for _, o := range s.takeCreated() {
		created = append(created, fmt.Sprintf("%s of %s/%s, %d bytes, %s%s", o.Reason, o.Bucket, o.Key, o.Size, o.ETag, o.VersionID))
		sequencers = append(sequencers, o.Sequencer)
		if age := time.Since(o.Time); age < 0 || age > time.Hour {
			t.Errorf("%s was created at %s", o.Key, o.Time)
		}
	}
	want := []string{
		"PutObject of landing/a+b %.csv, 3 bytes, " + etag("one"),
		"PutObject of landing/a+b %.csv, 5 bytes, " + etag("three"),
		"CopyObject of landing/copy, 5 bytes, " + etag("three"),
		"POST Object of landing/form, 12 bytes, " + etag("by a browser"),
		"CompleteMultipartUpload of landing/parts, 8 bytes, " + etag("in parts"),
	}
	if !slices.Equal(created, want) {
		t.Errorf("OnCreated was called for\n%s\nwant\n%s", strings.Join(created, "\n"), strings.Join(want, "\n"))
	}
	checkSequencers(t, sequencers)
	if got := s.get(t, "seeded"); got != "before" {
		t.Errorf("the seeded object has %q", got)
	}
}

// checkSequencers checks the form of sequencers, and that they increase.
func checkSequencers(t *testing.T, sequencers []string) {
	t.Helper()
	for i, sequencer := range sequencers {
		if !regexp.MustCompile(`^[0-9A-F]{16}$`).MatchString(sequencer) {
			t.Errorf("the sequencer %q does not have 16 hex digits", sequencer)
		}
		if i > 0 && sequencer <= sequencers[i-1] {
			t.Errorf("the sequencer %s follows %s, and is not greater", sequencer, sequencers[i-1])
		}
	}
}

// postForm puts an object as the form of a web page does.
func (s *testServer) postForm(t *testing.T, key, body string) {
	t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	err := w.WriteField("key", key)
	if err == nil {
		file, failed := w.CreateFormFile("file", "name.txt")
		if err = failed; err == nil {
			_, err = file.Write([]byte(body))
		}
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/"+bucket, &form)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", w.FormDataContentType())
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if answer := read(t, response.Body); response.StatusCode >= 300 {
		t.Fatalf("POST: %s: %s", response.Status, answer)
	}
}

func TestObjectIsReadableDuringCreated(t *testing.T) {
	t.Parallel()
	var server *s3.Server
	read := make(chan string, 3)
	server, err := s3.New(s3.Options{Folder: t.TempDir(), Now: time.Now, OnCreated: func(ctx context.Context, o s3.Object) error {
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodGet, "/"+o.Bucket+"/"+o.Key, nil))
		read <- answer.Body.String()
		return nil
	}})
	if err == nil {
		err = server.CreateBucket(bucket)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"first", "second"} {
		server.ServeHTTP(httptest.NewRecorder(), request(t.Context(), http.MethodPut, "/"+bucket+"/k", body))
		if got := <-read; got != body {
			t.Errorf("OnCreated for %q read %q", body, got)
		}
	}
}

func TestCreatedErrorFailsTheRequest(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.createdErr = errors.New("the bus is full")
	_, err := s.PutObject(t.Context(), &client.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("x")})
	wantError(t, "a put", err, "InternalError", http.StatusInternalServerError)
	if err == nil || !strings.Contains(err.Error(), "the bus is full") {
		t.Errorf("a put for which OnCreated fails: %v, want the reason", err)
	}

	// A client can complete the upload again after a failure. OnCreated is called again.
	id, part := s.begin(t, "parts", "in parts")
	complete := &client.CompleteMultipartUploadInput{
		Bucket: aws.String(bucket), Key: aws.String("parts"), UploadId: &id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{part}},
	}
	_, err = s.CompleteMultipartUpload(t.Context(), complete)
	wantError(t, "a completion", err, "InternalError", http.StatusInternalServerError)
	s.createdErr = nil
	if _, err := s.CompleteMultipartUpload(t.Context(), complete); err != nil {
		t.Errorf("completing again: %v", err)
	}
	if created := s.takeCreated(); len(created) != 3 || created[2].Key != "parts" || s.get(t, "parts") != "in parts" {
		t.Errorf("OnCreated was called with %+v, want one put and two completions", created)
	}
}

// TestCreatedContinuesAfterTheClientHangsUp cancels a request while OnCreated runs for its object.
func TestCreatedContinuesAfterTheClientHangsUp(t *testing.T) {
	t.Parallel()
	ctx, hangUp := context.WithCancel(t.Context())
	seen := make(chan error, 1)
	server, err := s3.New(s3.Options{Folder: t.TempDir(), Now: time.Now, OnCreated: func(ctx context.Context, _ s3.Object) error {
		hangUp()
		seen <- ctx.Err()
		return nil
	}})
	if err == nil {
		err = server.CreateBucket(bucket)
	}
	if err != nil {
		t.Fatal(err)
	}
	server.ServeHTTP(httptest.NewRecorder(), request(ctx, http.MethodPut, "/"+bucket+"/k", "x"))
	if err := <-seen; err != nil {
		t.Errorf("the context of OnCreated ended with the client's request: %v", err)
	}
}

func TestConcurrentPuts(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	var running sync.WaitGroup
	for i := range 200 {
		running.Go(func() {
			key := fmt.Sprintf("key %d", i%150) // 50 keys are used twice
			in := &client.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader(fmt.Sprint(i))}
			if _, err := s.PutObject(t.Context(), in); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	created := s.takeCreated()
	if len(created) != 200 || len(s.keys(t)) != 150 {
		t.Errorf("OnCreated was called %d times for %d objects, want 200 and 150", len(created), len(s.keys(t)))
	}
	// Each key holds the object with the greatest sequencer.
	latest := map[string]s3.Object{}
	sequencers := map[string]bool{}
	for _, o := range created {
		sequencers[o.Sequencer] = true
		if o.Sequencer > latest[o.Key].Sequencer {
			latest[o.Key] = o
		}
	}
	if len(sequencers) != 200 {
		t.Errorf("200 objects have %d sequencers", len(sequencers))
	}
	for key, o := range latest {
		if got := etag(s.get(t, key)); got != o.ETag {
			t.Errorf("%q holds the object %s, and the last call of OnCreated for it had %s", key, got, o.ETag)
		}
	}
}

func TestSequencersGrowUnderAnyClock(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	noon := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	var sequencers []string
	// Each time is a restart. The clock stands still, then jumps ahead, then is set back by a year.
	for _, now := range []time.Time{noon, noon, noon.Add(time.Hour), noon.AddDate(-1, 0, 0)} {
		server, err := s3.New(s3.Options{
			Folder: folder, Now: func() time.Time { return now },
			OnCreated: func(_ context.Context, o s3.Object) error {
				sequencers = append(sequencers, o.Sequencer)
				return nil
			},
		})
		if err == nil {
			err = server.CreateBucket(bucket)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{http.MethodPut, http.MethodPut, http.MethodDelete} { // the restart finds no object
			server.ServeHTTP(httptest.NewRecorder(), request(t.Context(), method, "/"+bucket+"/k", "x"))
		}
	}
	if len(sequencers) != 8 {
		t.Fatalf("OnCreated was called %d times, want 8", len(sequencers))
	}
	checkSequencers(t, sequencers)
	if left, err := os.ReadDir(filepath.Join(folder, "incoming")); err != nil || len(left) > 0 {
		t.Errorf("%d drafts remain, %v", len(left), err)
	}
}

func TestObjectEvent(t *testing.T) {
	t.Parallel()
	o := s3.Object{
		Bucket: "landing", Key: "päth/a+b %2B.csv", ETag: "d41d8cd98f00b204e9800998ecf8427e", Sequencer: "189C7E3D5A2F0001", Size: 12,
		Reason: s3.PutObject, Time: time.Date(2026, 3, 14, 13, 0, 0, 123456789, time.FixedZone("elsewhere", 3600)),
	}
	var got any
	if err := json.Unmarshal(o.Event("000000000000", "us-east-1"), &got); err != nil {
		t.Fatal(err)
	}
	id, _ := got.(map[string]any)["id"].(string)
	if !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("the id %q is not a UUID", id)
	}
	text, err := json.MarshalIndent(got, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	want := `{
	"account": "000000000000",
	"detail": {
		"bucket": {
			"name": "landing"
		},
		"object": {
			"etag": "d41d8cd98f00b204e9800998ecf8427e",
			"key": "päth/a+b %2B.csv",
			"sequencer": "189C7E3D5A2F0001",
			"size": 12
		},
		"reason": "PutObject",
		"request-id": "189C7E3D5A2F0001",
		"requester": "000000000000",
		"source-ip-address": "127.0.0.1",
		"version": "0"
	},
	"detail-type": "Object Created",
	"id": "` + id + `",
	"region": "us-east-1",
	"resources": [
		"arn:aws:s3:::landing"
	],
	"source": "aws.s3",
	"time": "2026-03-14T12:00:00Z",
	"version": "0"
}`
	if string(text) != want {
		t.Errorf("the event is\n%s\nwant\n%s", text, want)
	}
	later := o
	later.Sequencer = "189C7E3D5A2F0002"
	same, other := o.Event("000000000000", "us-east-1"), later.Event("000000000000", "us-east-1")
	if !strings.Contains(string(same), id) || strings.Contains(string(other), id) {
		t.Error("the id must be the same for the same object, and differ for a later one")
	}
}
