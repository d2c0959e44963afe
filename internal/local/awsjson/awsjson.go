// Package awsjson serves AWS's JSON protocols (awsJson1_0 and awsJson1_1), so that any AWS SDK
// or CLI can talk to the local stack: one POST for each call, the operation in X-Amz-Target,
// errors as {"__type", "message"}. Package guard has checked the caller before.
package awsjson

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"

	"github.com/google/uuid"
)

// MaxBody is the largest request that is read, in bytes.
const MaxBody = 8 << 20

// Operation answers one call: the request's JSON object in, what is marshalled as the answer out.
type Operation func(ctx context.Context, request json.RawMessage) (any, error)

// Handle makes an operation of a typed function.
func Handle[In, Out any](f func(context.Context, In) (Out, error)) Operation {
	return func(ctx context.Context, request json.RawMessage) (any, error) {
		var in In
		if err := json.Unmarshal(request, &in); err != nil {
			return nil, &Error{Type: "SerializationException", Message: err.Error()}
		}
		return f(ctx, in)
	}
}

// Service is one AWS service's endpoint.
type Service struct {
	Target     string // what X-Amz-Target begins with, before the dot: AmazonSQS
	Version    string // of the protocol: 1.0 or 1.1
	Operations map[string]Operation
}

// Error is an AWS error. Every client reads the same three things of it: type, message, status.
type Error struct {
	Type    string // ClusterNotFoundException; a namespace before a # is allowed
	Message string
	Status  int            // HTTP; 0 means 400
	Query   string         // x-amzn-query-error of services that once spoke the query protocol: "Code;Sender"
	Extra   map[string]any // further members: resourceIds
}

func (e *Error) Error() string { return e.Type + ": " + e.Message }

// Serves says whether the request is for this service.
func (s Service) Serves(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("X-Amz-Target"), s.Target+".")
}

func (s Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost { // no GET changes anything
		const why = "calls of AWS's JSON protocols are POSTs, not "
		s.fail(w, &Error{Type: "UnknownOperationException", Message: why + r.Method, Status: http.StatusMethodNotAllowed})
		return
	}
	_, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		s.fail(w, &Error{Type: "RequestEntityTooLargeException", Message: err.Error(), Status: http.StatusRequestEntityTooLarge})
		return
	}
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	operation, known := s.Operations[name]
	if !known {
		s.fail(w, &Error{Type: "UnknownOperationException", Message: fmt.Sprintf("the local stack does not serve %s", r.Header.Get("X-Amz-Target"))})
		return
	}
	answer, err := operation(r.Context(), body)
	if err != nil {
		s.fail(w, err)
		return
	}
	write(w, s.Version, http.StatusOK, answer)
}

func (s Service) fail(w http.ResponseWriter, err error) {
	var aws *Error
	if !errors.As(err, &aws) {
		aws = &Error{Type: "InternalFailure", Message: err.Error(), Status: http.StatusInternalServerError}
	}
	aws.Write(w, s.Version)
}

// Write answers with the error, in the given version of the protocol: 1.0 or 1.1.
func (e *Error) Write(w http.ResponseWriter, version string) {
	body := map[string]any{}
	maps.Copy(body, e.Extra)
	body["__type"], body["message"] = e.Type, e.Message
	if e.Query != "" {
		w.Header().Set("X-Amzn-Query-Error", e.Query)
	}
	write(w, version, cmp.Or(e.Status, http.StatusBadRequest), body)
}

func write(w http.ResponseWriter, version string, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"__type":"InternalFailure","message":"the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-"+version)
	w.Header().Set("X-Amzn-RequestId", uuid.NewString())
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
