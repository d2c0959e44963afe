package s3_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	client "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"modeldispatch/internal/local/s3"
)

const bucket = "landing"

// testServer is a server with one bucket, and AWS's own client for it.
type testServer struct {
	*client.Client
	server *s3.Server
	url    string

	mu         sync.Mutex
	created    []s3.Object
	createdErr error // the error that onCreated returns
}

// start starts a server on a folder. Two calls with the same folder imitate a restart.
func start(t *testing.T, folder string) *testServer {
	t.Helper()
	s := &testServer{}
	var err error
	s.server, err = s3.New(s3.Options{Folder: folder, Now: time.Now, OnCreated: s.onCreated})
	if err == nil {
		err = s.server.CreateBucket(bucket)
	}
	if err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewServer(s.server)
	t.Cleanup(listener.Close)
	s.url = listener.URL
	s.Client = client.New(client.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.url), UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	return s
}

// onCreated is the server's Options.OnCreated. It records the object.
func (s *testServer) onCreated(_ context.Context, o s3.Object) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.created = append(s.created, o)
	return s.createdErr
}

// takeCreated returns the objects for which OnCreated was called since the last takeCreated.
func (s *testServer) takeCreated() []s3.Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	created := s.created
	s.created = nil
	return created
}

func (s *testServer) put(t *testing.T, key, body string) {
	t.Helper()
	in := &client.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader(body)}
	if _, err := s.PutObject(t.Context(), in); err != nil {
		t.Fatalf("PutObject(%q): %v", key, err)
	}
}

func (s *testServer) get(t *testing.T, key string) string {
	t.Helper()
	out, err := s.GetObject(t.Context(), &client.GetObjectInput{
		Bucket: aws.String(bucket), Key: &key, ChecksumMode: types.ChecksumModeEnabled,
	})
	if err != nil {
		t.Fatalf("GetObject(%q): %v", key, err)
	}
	return read(t, out.Body)
}

func read(t *testing.T, body io.ReadCloser) string {
	t.Helper()
	text, err := io.ReadAll(body)
	if err == nil {
		err = body.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// keys returns all keys in the order in which they are listed.
func (s *testServer) keys(t *testing.T) []string {
	t.Helper()
	var keys []string
	pages := client.NewListObjectsV2Paginator(s.Client, &client.ListObjectsV2Input{
		Bucket: aws.String(bucket), EncodingType: types.EncodingTypeUrl,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			key, err := url.QueryUnescape(*o.Key)
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key)
		}
	}
	return keys
}

func etag(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

// wantError checks that err has the given S3 code and HTTP status. The argument what names the request.
func wantError(t *testing.T, what string, err error, code string, status int) {
	t.Helper()
	var response interface{ HTTPStatusCode() int }
	var failure smithy.APIError
	if !errors.As(err, &failure) || !errors.As(err, &response) || failure.ErrorCode() != code || response.HTTPStatusCode() != status {
		t.Errorf("%s: %v, want %s with status %d", what, err, code, status)
	}
}

// unusualKeys returns keys that S3 allows and that are difficult in file names, URLs or listings.
func unusualKeys() []string {
	return []string{
		"plain.csv", "sales/us/2026-03-14.csv", "with space.csv", " ", "a+b", "a%b", "a%2Bb", "a%2fb", "100%",
		"ä", "a\u0308", "ключ/資料", "😀/😀.csv",
		"..", ".", "../../etc/passwd", "a/../b", "a/./b", "a//b", "/leading", "//", "trailing/",
		"folder/", "folder", "A", "a", "Case.csv", "case.csv",
		"a?b", "a#b", "a&b=c", "a;b", "a:b", `a\b`, `"quoted"`, "'", "<xml>&amp;", "a*b", "~", "{x}", "|",
		"CON", "nul.txt", ".hidden", "tab\tkey", "new\nline",
		"\x01", "\x07/\x1b[2J", "\x7f", "\u0085", "\u2028", "\ufffe", "\uffff", "\ufffd", "\r", "cr\r\nlf",
		strings.Repeat("k", 1024), strings.Repeat("ä", 512), strings.Repeat("a/", 512),
	}
}

func TestAnyKeyIsStored(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := start(t, folder)
	keys := unusualKeys()
	for _, key := range keys {
		s.put(t, key, "body of "+key)
	}
	check := func(s *testServer, when string) {
		for _, key := range keys {
			if got := s.get(t, key); got != "body of "+key {
				t.Errorf("%s: the object %q has the body %.50q", when, key, got)
			}
			head, err := s.HeadObject(t.Context(), &client.HeadObjectInput{Bucket: aws.String(bucket), Key: &key})
			if err != nil || aws.ToInt64(head.ContentLength) != int64(len("body of "+key)) ||
				aws.ToString(head.ETag) != `"`+etag("body of "+key)+`"` {
				t.Errorf("%s: HeadObject(%q) = %+v, %v", when, key, head, err)
			}
		}
		if listed, want := s.keys(t), slices.Sorted(slices.Values(keys)); !slices.Equal(listed, want) {
			t.Errorf("%s: the keys are listed as\n%q, want\n%q", when, listed, want)
		}
	}
	check(s, "at once")
	var created []string
	for _, o := range s.takeCreated() {
		created = append(created, o.Key)
	}
	if !slices.Equal(created, keys) {
		t.Errorf("OnCreated was called with the keys\n%q, want\n%q", created, keys)
	}

	restarted := start(t, folder)
	check(restarted, "after a restart")
	for _, key := range keys {
		if _, err := restarted.DeleteObject(t.Context(), &client.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key}); err != nil {
			t.Errorf("DeleteObject(%q): %v", key, err)
		}
	}
	if left := restarted.keys(t); len(left) > 0 {
		t.Errorf("the keys %q remain after all objects were deleted", left)
	}
}

func TestInvalidKeys(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	ctx, name, tooLong := t.Context(), aws.String(bucket), aws.String(strings.Repeat("k", 1025))
	_, err := s.PutObject(ctx, &client.PutObjectInput{Bucket: name, Key: tooLong, Body: strings.NewReader("")})
	wantError(t, "a key of 1025 bytes", err, "KeyTooLongError", http.StatusBadRequest)
	_, err = s.PutObject(ctx, &client.PutObjectInput{Bucket: name, Key: aws.String("\xff"), Body: strings.NewReader("")})
	wantError(t, "a key that is not UTF-8", err, "InvalidURI", http.StatusBadRequest)
	_, err = s.CreateMultipartUpload(ctx, &client.CreateMultipartUploadInput{Bucket: name, Key: tooLong})
	wantError(t, "an upload to a key of 1025 bytes", err, "KeyTooLongError", http.StatusBadRequest)
	if created := s.takeCreated(); len(created) > 0 {
		t.Errorf("OnCreated was called with %v", created)
	}
}

func TestMissingBucketsAndObjects(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	ctx, missing, key := t.Context(), aws.String("missing"), aws.String("key")
	_, err := s.PutObject(ctx, &client.PutObjectInput{Bucket: missing, Key: key, Body: strings.NewReader("x")})
	wantError(t, "put into a missing bucket", err, "NoSuchBucket", http.StatusNotFound)
	_, err = s.GetObject(ctx, &client.GetObjectInput{Bucket: missing, Key: key})
	wantError(t, "get from a missing bucket", err, "NoSuchBucket", http.StatusNotFound)
	_, err = s.ListObjectsV2(ctx, &client.ListObjectsV2Input{Bucket: missing})
	wantError(t, "list a missing bucket", err, "NoSuchBucket", http.StatusNotFound)
	_, err = s.CreateMultipartUpload(ctx, &client.CreateMultipartUploadInput{Bucket: missing, Key: key})
	wantError(t, "upload into a missing bucket", err, "NoSuchBucket", http.StatusNotFound)
	_, err = s.GetObject(ctx, &client.GetObjectInput{Bucket: aws.String(bucket), Key: key})
	wantError(t, "get a missing object", err, "NoSuchKey", http.StatusNotFound)
	_, err = s.HeadObject(ctx, &client.HeadObjectInput{Bucket: aws.String(bucket), Key: key})
	wantError(t, "head of a missing object", err, "NotFound", http.StatusNotFound)
	_, err = s.CopyObject(ctx, &client.CopyObjectInput{Bucket: aws.String(bucket), Key: key, CopySource: aws.String(bucket + "/nothing")})
	wantError(t, "copy of a missing object", err, "NoSuchKey", http.StatusNotFound)
	if _, err = s.DeleteObject(ctx, &client.DeleteObjectInput{Bucket: aws.String(bucket), Key: key}); err != nil {
		t.Errorf("delete of a missing object: %v, want no error, as in S3", err)
	}
	if created := s.takeCreated(); len(created) > 0 {
		t.Errorf("OnCreated was called with %v", created)
	}
	if err := s.server.Seed("missing", "key", strings.NewReader("")); err == nil || !strings.Contains(err.Error(), "s3://missing/key") {
		t.Errorf("Seed into a missing bucket = %v, want an error that names the object", err)
	}
}

func TestMetadataIsStored(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	body := "a,b\n1,2\n"
	sum := sha256.Sum256([]byte(body))
	before := time.Now().Add(-time.Second)
	_, err := start(t, folder).PutObject(t.Context(), &client.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader(body),
		ContentType: aws.String("text/csv"), CacheControl: aws.String("no-store"), ContentEncoding: aws.String("identity"),
		Metadata:          map[string]string{"owner": "analytics", "run-id": "a/b"},
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256, Tagging: aws.String("stage=raw"),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, folder)
	head, err := s.HeadObject(t.Context(), &client.HeadObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("k"), ChecksumMode: types.ChecksumModeEnabled,
	})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(
		*head.ContentType, *head.CacheControl, *head.ContentEncoding, head.Metadata,
		*head.ContentLength, *head.ETag, aws.ToString(head.ChecksumSHA256),
	)
	want := fmt.Sprint(
		"text/csv", "no-store", "identity", map[string]string{"owner": "analytics", "run-id": "a/b"},
		len(body), `"`+etag(body)+`"`, base64.StdEncoding.EncodeToString(sum[:]),
	)
	if got != want {
		t.Errorf("HeadObject has\n%s, want\n%s", got, want)
	}
	if head.LastModified.Before(before) || head.LastModified.After(time.Now()) {
		t.Errorf("the object was modified at %s", head.LastModified)
	}
	tags, err := s.GetObjectTagging(t.Context(), &client.GetObjectTaggingInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	if err != nil || len(tags.TagSet) != 1 || *tags.TagSet[0].Key != "stage" || *tags.TagSet[0].Value != "raw" {
		t.Errorf("GetObjectTagging = %+v, %v", tags, err)
	}
}

func TestRanges(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "k", "0123456789")
	s.put(t, "empty", "")
	for wanted, want := range map[string]string{
		"bytes=0-0": "0", "bytes=3-5": "345", "bytes=7-": "789", "bytes=-2": "89", "bytes=0-1000": "0123456789",
	} {
		out, err := s.GetObject(t.Context(), &client.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Range: &wanted})
		if err != nil {
			t.Errorf("%s: %v", wanted, err)
			continue
		}
		if got := read(t, out.Body); got != want || *out.ContentLength != int64(len(want)) {
			t.Errorf("%s: %q with length %d, want %q", wanted, got, *out.ContentLength, want)
		}
	}
	for key, wanted := range map[string]string{"k": "bytes=10-", "empty": "bytes=0-"} {
		_, err := s.GetObject(t.Context(), &client.GetObjectInput{Bucket: aws.String(bucket), Key: &key, Range: &wanted})
		wantError(t, wanted+" of "+key, err, "InvalidRange", http.StatusRequestedRangeNotSatisfiable)
	}
}

func TestObjectIsReplacedInOneStep(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "k", strings.Repeat("old", 1<<20))
	out, err := s.GetObject(t.Context(), &client.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	s.put(t, "k", "new")
	if got := read(t, out.Body); got != strings.Repeat("old", 1<<20) {
		t.Errorf("a reader that began before the replacement read %d bytes, ending in %q", len(got), got[max(0, len(got)-10):])
	}
	if got := s.get(t, "k"); got != "new" {
		t.Errorf("a reader that began after the replacement read %.10q", got)
	}
}

func TestIncompleteBodyIsNotStored(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "k", "old")
	s.takeCreated()
	put := func(ctx context.Context, body io.Reader, header map[string]string) (int, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPut, s.url+"/"+bucket+"/k", body)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range header {
			request.Header.Set(name, value)
		}
		request.ContentLength = 100
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0, err
		}
		return response.StatusCode, response.Body.Close()
	}
	full := func() io.Reader { return bytes.NewReader(make([]byte, 100)) }
	if status, err := put(t.Context(), full(), map[string]string{"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}); status != http.StatusBadRequest {
		t.Errorf("a wrong Content-MD5: got %d, %v, want 400", status, err)
	}
	if status, err := put(t.Context(), full(), map[string]string{"x-amz-checksum-crc32": "AAAAAA=="}); status != http.StatusBadRequest {
		t.Errorf("a wrong checksum: got %d, %v, want 400", status, err)
	}
	if _, err := put(t.Context(), io.MultiReader(bytes.NewReader(make([]byte, 50)), brokenReader{}), nil); err == nil {
		t.Error("a body that ended early was answered")
	}
	if got := s.get(t, "k"); got != "old" {
		t.Errorf("the object is now %.10q, want the old one", got)
	}
	if created := s.takeCreated(); len(created) > 0 {
		t.Errorf("OnCreated was called with %v", created)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("the client died") }

func TestConditions(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	put := func(key string, change func(*client.PutObjectInput)) error {
		in := &client.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader("x")}
		change(in)
		_, err := s.PutObject(t.Context(), in)
		return err
	}
	absent := func(in *client.PutObjectInput) { in.IfNoneMatch = aws.String("*") }
	matches := func(tag string) func(*client.PutObjectInput) {
		return func(in *client.PutObjectInput) { in.IfMatch = &tag }
	}
	if err := put("k", absent); err != nil {
		t.Errorf("the first put with If-None-Match: %v", err)
	}
	wantError(t, "the second put with If-None-Match", put("k", absent), "PreconditionFailed", http.StatusPreconditionFailed)
	wantError(t, "a put with the ETag of another object", put("k", matches(etag("y"))), "PreconditionFailed", http.StatusPreconditionFailed)
	wantError(t, "a put with the ETag of a missing object", put("nothing", matches(etag("x"))), "NoSuchKey", http.StatusNotFound)
	if err := put("k", matches(etag("x"))); err != nil {
		t.Errorf("a put with the ETag of the object: %v", err)
	}
	if created := s.takeCreated(); len(created) != 2 {
		t.Errorf("OnCreated was called %d times, want 2: %v", len(created), created)
	}
	_, err := s.GetObject(t.Context(), &client.GetObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("k"), IfNoneMatch: aws.String(etag("x")),
	})
	wantError(t, "a get of a known ETag", err, "NotModified", http.StatusNotModified)
}

func TestOneOfConcurrentFirstPutsWins(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	var won sync.Map
	var running sync.WaitGroup
	for i := range 20 {
		running.Go(func() {
			body := fmt.Sprint("body ", i)
			_, err := s.PutObject(t.Context(), &client.PutObjectInput{
				Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader(body), IfNoneMatch: aws.String("*"),
			})
			if err == nil {
				won.Store(body, true)
			}
		})
	}
	running.Wait()
	var winners []any
	won.Range(func(body, _ any) bool {
		winners = append(winners, body)
		return true
	})
	if len(winners) != 1 || winners[0] != s.get(t, "k") || len(s.takeCreated()) != 1 {
		t.Errorf("the puts %v succeeded, and %q is stored", winners, s.get(t, "k"))
	}
}

func TestPresignedURLs(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	signer := client.NewPresignClient(s.Client)
	key := "päth/a+b %2B.csv"
	put, err := signer.PresignPutObject(t.Context(), &client.PutObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	get, err := signer.PresignGetObject(t.Context(), &client.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	do := func(method, url string, body io.Reader) string {
		request, err := http.NewRequestWithContext(t.Context(), method, url, body)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", method, response.Status)
		}
		return read(t, response.Body)
	}
	do(http.MethodPut, put.URL, strings.NewReader("presigned"))
	if got := do(http.MethodGet, get.URL, nil); got != "presigned" {
		t.Errorf("a presigned get read %q", got)
	}
	if created := s.takeCreated(); len(created) != 1 || created[0].Key != key || created[0].Reason != s3.PutObject {
		t.Errorf("OnCreated was called with %+v, want one put of %q", created, key)
	}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := start(t, folder)
	ctx := t.Context()
	for range 2 {
		if err := s.server.CreateBucket("results"); err != nil {
			t.Errorf("CreateBucket: %v", err)
		}
		if _, err := s.CreateBucket(ctx, &client.CreateBucketInput{Bucket: aws.String("by-client")}); err != nil {
			t.Errorf("CreateBucket by a client: %v", err)
		}
	}
	for _, name := range []string{"", "ab", "..", "UPPER", "a/b", "../escape", "under_score"} {
		if err := s.server.CreateBucket(name); err == nil {
			t.Errorf("CreateBucket(%q) succeeded", name)
		}
	}
	s.put(t, "k", "x")
	_, err := s.DeleteBucket(ctx, &client.DeleteBucketInput{Bucket: aws.String(bucket)})
	wantError(t, "deleting a bucket with an object", err, "BucketNotEmpty", http.StatusConflict)
	if _, err := s.DeleteBucket(ctx, &client.DeleteBucketInput{Bucket: aws.String("results")}); err != nil {
		t.Errorf("deleting an empty bucket: %v", err)
	}
	for when, s := range map[string]*testServer{"at once": s, "after a restart": start(t, folder)} {
		out, err := s.ListBuckets(ctx, &client.ListBucketsInput{})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, b := range out.Buckets {
			names = append(names, *b.Name)
			if b.CreationDate.IsZero() {
				t.Errorf("%s: bucket %s has no creation date", when, *b.Name)
			}
		}
		if want := []string{"by-client", bucket}; !slices.Equal(names, want) {
			t.Errorf("%s: the buckets are %v, want %v", when, names, want)
		}
	}
}
