package s3

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"

	"github.com/rclone/gofakes3"
)

// refusal carries an error of S3 whose code gofakes3 does not know, and would answer with status 500.
type refusal struct {
	gofakes3.ErrorResponse
	like gofakes3.ErrorCode
}

// refuse returns an error with one of S3's codes, and the HTTP status of a code that gofakes3 knows.
func refuse(code, like gofakes3.ErrorCode, format string, values ...any) error {
	return &refusal{ErrorResponse: gofakes3.ErrorResponse{Code: code, Message: fmt.Sprintf(format, values...)}, like: like}
}

// ErrorCode returns the code by which gofakes3 finds the status. The answer has the code of ErrorResponse.
func (r *refusal) ErrorCode() gofakes3.ErrorCode { return r.like }

// notServed returns S3's error for an operation that it lacks.
func notServed(what string) error {
	return gofakes3.ErrorMessagef(gofakes3.ErrNotImplemented, "The local S3 does not serve %s.", what)
}

// fail answers a request with an error, as gofakes3 does.
func fail(w http.ResponseWriter, err error) {
	known := explained(err)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(known.ErrorCode().Status())
	_, _ = io.WriteString(w, xml.Header)
	_ = xml.NewEncoder(w).Encode(known) // a client that has gone needs no answer
}
