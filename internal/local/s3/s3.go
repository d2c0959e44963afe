// Package s3 is the local S3: its real API, for any AWS SDK or CLI, over objects that are kept in
// a folder.
//
//	server, err := s3.New(s3.Options{Folder: ".modeldispatch/s3", Now: time.Now, Created: announce})
//	err = server.CreateBucket("landing")
//	http.Serve(listener, server) // http://127.0.0.1:PORT/landing/key
//
// The protocol is gofakes3's; the storage is ours. Each object is one file, which appears whole or
// not at all: whatever was stored when the process died is there at the next start. Bodies are
// streamed, so memory does not grow with objects. Only the list of objects is in memory. One
// process at a time may serve a folder.
//
// Buckets are addressed by path, credentials are not checked, and nothing is versioned. As in S3,
// an object is readable as soon as its request is answered. Unlike S3, the ETag of a multipart
// object is the MD5 of its content, too, and an unfinished multipart upload ends with the process.
//
// An object is what its client sent: a body that is not as long as its headers say, or has another
// checksum, is refused and replaces nothing. A request is served as S3 serves it, or is refused by
// name: operations.go has the list. A listing without encoding-type=url is refused where it would
// have a key that XML cannot carry.
package s3

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rclone/gofakes3"
)

// Options say how the server is set up.
type Options struct {
	// Folder is where everything is kept. It is made if it is not there.
	Folder string
	// Now is the clock.
	Now func() time.Time
	// Created, if set, is called once for each object that was put, copied or completed, when it
	// can be read and before its client has the answer. An error fails the client's request, and
	// the object stays: a client that got no success is to put it again. The context does not end
	// with the client's connection.
	Created func(ctx context.Context, o Object) error
}

// Server is the local S3.
type Server struct {
	api     http.Handler
	backend *backend
	served  []operation
}

// New opens the folder and reads which objects are in it.
func New(o Options) (*Server, error) {
	b, err := openBackend(o)
	if err != nil {
		return nil, fmt.Errorf("opening the local S3 in %s: %w", o.Folder, err)
	}
	// A task's clock may be another than ours: signatures are not checked, and neither is their time.
	api := gofakes3.New(b, gofakes3.WithTimeSource(clock(o.Now)), gofakes3.WithTimeSkewLimit(0)).Server()
	return &Server{api: api, backend: b, served: operations()}, nil
}

// ServeHTTP answers a request to S3's API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{answer: w.Header()}
	a := &answer{ResponseWriter: w}
	defer a.end()
	defer c.drain(r)
	r = r.Clone(context.WithValue(r.Context(), callKey{}, c))
	if err := s.prepare(c, r); err != nil {
		fail(a, err)
		return
	}
	defer removeForm(r)
	if c.operation == uploadPart && r.ContentLength == unknownSize {
		d, err := s.backend.spool(r)
		if err != nil {
			fail(a, err)
			return
		}
		defer d.discard()
	}
	a.object = c.operation == getObject
	a.encodes = c.encoded && (c.operation == listUploads || c.operation == listVersions)
	s.api.ServeHTTP(a, r)
}

// prepare refuses a request that is not served, and gives another one the form that gofakes3 reads rightly.
func (s *Server) prepare(c *call, r *http.Request) error {
	o, err := operationOf(r, s.served)
	if err != nil {
		return err
	}
	c.operation, c.encoded = o.name, r.URL.Query().Get("encoding-type") == "url"
	if c.operation == PostObject {
		return checkForm(r)
	}
	if c.payload, err = newPayload(r, o.name == PutObject || o.name == uploadPart); err != nil {
		return err
	}
	c.payload.replace(r)
	if c.operation == deleteObjects {
		return checkDeleted(r)
	}
	return nil
}

// checkForm refuses a form with a sum of its file, which gofakes3 would not check. A form that cannot be read is left to it.
func checkForm(r *http.Request) error {
	if err := r.ParseMultipartForm(formMemory); err != nil {
		return nil //nolint:nilerr // gofakes3 answers it
	}
	for name := range r.MultipartForm.Value {
		if name := strings.ToLower(name); name == "content-md5" || strings.HasPrefix(name, "x-amz-checksum-") {
			return notServed("the form field " + name + ": leave it out")
		}
	}
	return nil
}

// formMemory is how much of a form's file stays in memory, in bytes.
const formMemory = 1 << 20

// removeForm removes the files of a form. net/http does so for the request that it made, and not for its copies.
func removeForm(r *http.Request) {
	if r.MultipartForm != nil {
		_ = r.MultipartForm.RemoveAll()
	}
}

// CreateBucket makes a bucket, if it is not there.
func (s *Server) CreateBucket(name string) error {
	if err := gofakes3.ValidateBucketName(name); err != nil {
		return fmt.Errorf("bucket %q cannot be made: %w", name, err)
	}
	return s.backend.CreateBucket(context.Background(), name)
}

// Seed puts an object without calling Created: it was there before.
func (s *Server) Seed(bucket, key string, r io.Reader) error {
	if _, err := s.backend.put(context.Background(), source{bucket: bucket, key: key, body: r, size: unknownSize}); err != nil {
		return fmt.Errorf("putting s3://%s/%s: %w", bucket, key, err)
	}
	return nil
}

// clock is a clock as gofakes3 wants it.
type clock func() time.Time

func (c clock) Now() time.Time                  { return c() }
func (c clock) Since(t time.Time) time.Duration { return c().Sub(t) }
