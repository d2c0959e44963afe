// Package s3 is the S3 of the local stack. It serves S3's REST API to any AWS SDK or CLI, and keeps the objects in a
// folder.
//
//	server, err := s3.New(s3.Options{Folder: ".modeldispatch/s3", Now: time.Now, OnCreated: publish})
//	err = server.CreateBucket("landing")
//	http.Serve(listener, server) // http://127.0.0.1:PORT/landing/key
//
// It stands before the first step of the flow, the event. A client puts an object. The server stores it and calls
// Options.OnCreated. Package local publishes Object.Event on the local EventBridge, which invokes the arrival function.
// There package dispatch accepts the event, and package route binds it to models. Models also read their inputs and
// write their outputs here.
//
// # How a request is served
//
// The module github.com/rclone/gofakes3 speaks the protocol: it parses requests and writes XML. This package stores the
// objects, and corrects what gofakes3 does differently from S3. Server.ServeHTTP takes four steps:
//
//  1. operationOf finds the operation. It decides which requests are supported (operations.go has the list). For all
//     others it returns NotImplemented, with the name of the operation, parameter or header.
//  2. newPayload removes the aws-chunked framing of the body (payload.go). While the body is read, payload.Read
//     compares it with the length, the SHA-256 and the checksum that the client sent, and payload.check decides at its
//     end (checksum.go).
//  3. gofakes3 calls the storage, the type backend. Its put writes the body to a draft. draft.fill returns the error of
//     a body that is wrong, and then put returns before commit, which makes the object visible.
//  4. responseWriter corrects the XML of the response (response.go).
//
// # Terms
//
//   - An operation is an action of S3's API, such as PutObject or ListParts.
//   - The payload is the body of a request without its framing.
//   - The aws-chunked framing splits a body into chunks, each with its length and perhaps a signature before it, and a
//     trailer after the last chunk. SDKs use it to send a checksum after the body, in the trailer. See
//     https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html.
//   - A draft is a file in the folder "incoming" that is still being written. A rename publishes it.
//   - A record holds the metadata of an object: key, size, MD5, time, sequencer. It is the end of the object's file,
//     and it is also in memory.
//   - A sequencer is a number that is greater for each later object. It orders the events of one key.
//   - An upload is a multipart upload that is not completed yet.
//   - A call holds the facts about one request that gofakes3 does not pass on to the storage.
//
// # Rules and limits
//
//   - Each object is one file, which appears complete or not at all. If the process crashes, the next New finds every
//     object whose request was answered. A damaged file (after a power cut, or an edit) makes New fail and name the
//     file.
//   - Only one process at a time may serve a folder. This package does not check that.
//   - Bodies are streamed, so memory does not grow with the size of objects. The records of all objects are in memory.
//   - OnCreated is called before the client gets its response. If it fails, the object stays and the client gets
//     InternalError. When the client puts the object again, OnCreated is called again.
//   - A body that differs from its headers or its trailer gets status 400 and replaces nothing. The code is BadDigest
//     for a wrong checksum, XAmzContentSHA256Mismatch for a wrong x-amz-content-sha256, IncompleteBody for a wrong
//     length, and MalformedTrailerError for a trailer that lacks the announced checksum.
//   - As in S3, an object is readable as soon as its request is answered.
//   - Unlike in S3, the ETag of a multipart object is the MD5 of its content, and an upload that is not completed ends
//     with the process.
//   - Buckets are addressed by path, and nothing is versioned. Package guard checks credentials; this package does not.
//   - A listing without encoding-type=url gets an error if it contains a key that XML cannot carry.
package s3

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rclone/gofakes3"

	"modeldispatch/internal/model"
)

// Options configures a Server. Folder and Now are required.
type Options struct {
	// Folder holds all buckets and objects. New creates it if it does not exist.
	Folder string
	// Now returns the current time.
	Now func() time.Time
	// OnCreated is called once each time that a client puts, copies or completes an object: after the object can be
	// read, and before the client gets its response. If it returns an error, the client's request fails and the object
	// stays, so the client has to send it again. The context does not end with the client's connection. Nil: no call.
	OnCreated func(ctx context.Context, o Object) error
}

// Server serves S3's API from a folder. It is an http.Handler.
type Server struct {
	api        http.Handler
	backend    *backend
	operations []operation
}

// New opens the folder and reads the records of its objects. It removes what an earlier process left unfinished. It
// returns an error if it cannot use the folder, or if files are damaged: that error names every damaged file.
func New(o Options) (*Server, error) {
	b, err := openBackend(o)
	if err != nil {
		return nil, fmt.Errorf("opening the local S3 in %s: %w", o.Folder, err)
	}
	// The clock of a task may differ from ours. Signatures are not checked, so their time is not checked either.
	api := gofakes3.New(b, gofakes3.WithTimeSource(clock(o.Now)), gofakes3.WithTimeSkewLimit(0)).Server()
	return &Server{api: api, backend: b, operations: operations()}, nil
}

// ServeHTTP serves one request to S3's API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 && strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		w.WriteHeader(http.StatusContinue) // net/http sends it only before a body, and boto3 waits for it before an empty one
	}
	c := &call{responseHeader: w.Header()}
	response := &responseWriter{ResponseWriter: w}
	defer response.finish()
	defer c.drain(r)
	r = r.Clone(context.WithValue(r.Context(), callKey{}, c))
	if err := s.prepare(c, r); err != nil {
		writeError(response, err)
		return
	}
	defer removeForm(r)
	if c.operation == uploadPart && r.ContentLength == unknownSize {
		d, err := s.backend.spool(r)
		if err != nil {
			writeError(response, err)
			return
		}
		defer d.discard()
	}
	response.isObject = c.operation == getObject
	response.urlEncode = c.urlEncoded && (c.operation == listUploads || c.operation == listVersions)
	s.api.ServeHTTP(response, r)
}

// prepare fills the call of a request and rewrites the request so that gofakes3 reads it correctly. It returns S3's
// error if the request is not supported or its headers are invalid.
func (s *Server) prepare(c *call, r *http.Request) error {
	o, err := operationOf(r, s.operations)
	if err != nil {
		return err
	}
	c.operation, c.urlEncoded = o.name, r.URL.Query().Get("encoding-type") == "url"
	if c.operation == PostObject {
		return checkForm(r)
	}
	if c.payload, err = newPayload(r, o.name == PutObject || o.name == uploadPart); err != nil {
		return err
	}
	c.payload.replaceBody(r)
	if c.operation == deleteObjects {
		return checkDeleteRequest(r)
	}
	return nil
}

// checkForm refuses a form that has a checksum of its file, because gofakes3 would not check it. It accepts a form
// that it cannot parse: gofakes3 answers that with its own error.
func checkForm(r *http.Request) error {
	if err := r.ParseMultipartForm(maxFormMemory); err != nil {
		return nil //nolint:nilerr // gofakes3 reports it
	}
	for name := range r.MultipartForm.Value {
		if name := strings.ToLower(name); name == "content-md5" || strings.HasPrefix(name, "x-amz-checksum-") {
			return unsupported("the form field " + name + ": leave it out")
		}
	}
	return nil
}

// maxFormMemory is the part of a form that stays in memory, in bytes. The rest goes to temporary files.
const maxFormMemory = 1 << 20

// removeForm removes the temporary files of a form. net/http removes those of the request that it created, and not
// those of a clone.
func removeForm(r *http.Request) {
	if r.MultipartForm != nil {
		_ = r.MultipartForm.RemoveAll()
	}
}

// CreateBucket creates a bucket. It does nothing if the bucket exists, and returns an error if S3 does not allow the
// name.
func (s *Server) CreateBucket(name string) error {
	if err := gofakes3.ValidateBucketName(name); err != nil {
		return fmt.Errorf("creating bucket %q: %w", name, err)
	}
	return s.backend.CreateBucket(context.Background(), name)
}

// Seed puts an object as if it had existed before the stack started: it does not call Options.OnCreated. It returns an
// error if the bucket does not exist or S3 does not allow the key.
func (s *Server) Seed(bucket, key string, r io.Reader) error {
	if _, err := s.backend.put(context.Background(), putInput{bucket: bucket, key: key, body: r, size: unknownSize}); err != nil {
		return fmt.Errorf("putting %s: %w", model.ObjectURI{Bucket: bucket, Key: key}, err)
	}
	return nil
}

// clock implements gofakes3.TimeSource.
type clock func() time.Time

func (c clock) Now() time.Time                  { return c() }
func (c clock) Since(t time.Time) time.Duration { return c().Sub(t) }
