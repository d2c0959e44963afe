// Package objectstest provides an S3 for tests: a real client and an S3 server in memory. Open starts the server with
// empty buckets, Put and Get write and read objects as texts.
package objectstest

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"

	"modeldispatch/models/objects"
)

// Open returns a Store with these empty buckets. The server runs until the test ends.
func Open(t *testing.T, buckets ...string) *objects.Store {
	t.Helper()
	backend := s3mem.New()
	for _, bucket := range buckets {
		if err := backend.CreateBucket(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	return objects.New(s3.New(s3.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String(server.URL), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	}))
}

// Put writes an object with this content.
func Put(t *testing.T, store *objects.Store, uri, content string) {
	t.Helper()
	if err := store.Put(t.Context(), uri, "text/plain", strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
}

// Get returns the content of an object.
func Get(t *testing.T, store *objects.Store, uri string) string {
	t.Helper()
	body, err := store.Get(t.Context(), uri)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	content, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
