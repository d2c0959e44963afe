// Package awsjson serves AWS's JSON protocols (awsJson1_0 and awsJson1_1), so that any AWS SDK or CLI
// can call the local stack. The local SQS, ECS and EventBridge are built on it; S3 has a protocol of
// its own. The package holds no state and knows no AWS service.
//
// A call is one POST. The header X-Amz-Target names the service and the operation
// ("AmazonSQS.SendMessage"), and the body is a JSON object. The response is a JSON object too. An
// error has the members "__type" and "message".
//
// Terms:
//
//   - Operation: a function that answers one kind of call, such as SendMessage.
//   - Service: the operations of one AWS service, as an http.Handler.
//   - Target: the service's name in X-Amz-Target, such as AmazonSQS.
//   - Error: an error that the client sees as AWS's own, with a type, a message and an HTTP status.
//
// Entry points: Handle turns a typed Go function into an Operation. Service.Handles reports whether
// a request is for the service, and Service.ServeHTTP answers it. Error.Write writes an error
// outside a Service, as package guard does.
//
// Rules:
//
//   - Package guard checks the caller before a request arrives here.
//   - A request that is not a POST gets status 405, and a body over MaxBody gets 413.
//   - An empty body counts as {}.
//   - A body that is not UTF-8 gets a SerializationException. The JSON decoder would silently replace its bytes, and
//     the receiver would get another text, such as another object key.
//   - An operation that returns an *Error decides what the client sees. Any other error becomes
//     InternalFailure with status 500, which SDKs retry.
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
	"unicode/utf8"

	"github.com/google/uuid"
)

// MaxBody is the size of the largest request body that a Service accepts, in bytes.
const MaxBody = 8 << 20

// Operation answers one call. It gets the request's JSON object and returns a value that is encoded
// as the JSON of the response, or an error. Return an *Error for an error of the client.
type Operation func(ctx context.Context, request json.RawMessage) (any, error)

// Handle returns an Operation that decodes the request into In and calls f. The Operation returns a
// SerializationException if the request does not fit In.
func Handle[In, Out any](f func(context.Context, In) (Out, error)) Operation {
	return func(ctx context.Context, request json.RawMessage) (any, error) {
		var in In
		if err := json.Unmarshal(request, &in); err != nil {
			return nil, &Error{Type: "SerializationException", Message: err.Error()}
		}
		return f(ctx, in)
	}
}

// Service is the HTTP endpoint of one AWS service.
type Service struct {
	Target     string               // the part of X-Amz-Target before the dot, such as AmazonSQS
	Version    string               // the version of the protocol: 1.0 or 1.1
	Operations map[string]Operation // the operations by name, such as SendMessage
}

// Error is an error as AWS reports it. Clients read its type, message and status.
type Error struct {
	Type    string // such as ClusterNotFoundException; a namespace may precede it, with a # between them
	Message string
	Status  int            // the HTTP status; 0 means 400
	Query   string         // the header x-amzn-query-error, "Code;Sender", of services that had the query protocol
	Extra   map[string]any // further members of the response, such as resourceIds
}

func (e *Error) Error() string { return e.Type + ": " + e.Message }

// Handles reports whether the request names this service in X-Amz-Target.
func (s Service) Handles(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("X-Amz-Target"), s.Target+".")
}

// ServeHTTP answers a call of one of the service's operations.
func (s Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost { // a GET must not change anything
		const reason = "AWS's JSON protocols use POST, not "
		s.fail(w, &Error{Type: "UnknownOperationException", Message: reason + r.Method, Status: http.StatusMethodNotAllowed})
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
	if !utf8.Valid(body) {
		s.fail(w, &Error{Type: "SerializationException", Message: "the request is not UTF-8"})
		return
	}
	operation, known := s.Operations[name]
	if !known {
		message := fmt.Sprintf("the local stack does not support %s", r.Header.Get("X-Amz-Target"))
		s.fail(w, &Error{Type: "UnknownOperationException", Message: message})
		return
	}
	response, err := operation(r.Context(), body)
	if err != nil {
		s.fail(w, err)
		return
	}
	write(w, s.Version, http.StatusOK, response)
}

// fail answers with err. An error that is not an *Error becomes InternalFailure.
func (s Service) fail(w http.ResponseWriter, err error) {
	var aws *Error
	if !errors.As(err, &aws) {
		aws = &Error{Type: "InternalFailure", Message: err.Error(), Status: http.StatusInternalServerError}
	}
	aws.Write(w, s.Version)
}

// Write writes the error as the response, in the given version of the protocol: 1.0 or 1.1.
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
		status = http.StatusInternalServerError
		failure := map[string]string{"__type": "InternalFailure", "message": "encoding the response: " + err.Error()}
		text, _ = json.Marshal(failure) // cannot fail: it holds texts
	}
	w.Header().Set("Content-Type", "application/x-amz-json-"+version)
	w.Header().Set("X-Amzn-RequestId", uuid.NewString())
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
