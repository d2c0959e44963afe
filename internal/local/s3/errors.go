package s3

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"

	"github.com/rclone/gofakes3"
)

// statusError is an S3 error whose code gofakes3 does not know. gofakes3 would answer such a code with status 500.
type statusError struct {
	gofakes3.ErrorResponse
	like gofakes3.ErrorCode // a known code with the right HTTP status
}

// newStatusError returns an error with one of S3's codes, and with the HTTP status of like, which is a code that
// gofakes3 knows.
func newStatusError(code, like gofakes3.ErrorCode, format string, values ...any) error {
	return &statusError{ErrorResponse: gofakes3.ErrorResponse{Code: code, Message: fmt.Sprintf(format, values...)}, like: like}
}

// ErrorCode returns the code from which gofakes3 derives the status. The XML of the response has the code of
// ErrorResponse.
func (r *statusError) ErrorCode() gofakes3.ErrorCode { return r.like }

// unsupported returns S3's NotImplemented error. The argument names the operation, the parameter or the header.
func unsupported(what string) error {
	return gofakes3.ErrorMessagef(gofakes3.ErrNotImplemented, "The local S3 does not support %s.", what)
}

// writeError writes an error as the response, in the same XML as gofakes3.
func writeError(w http.ResponseWriter, err error) {
	known := asS3Error(err)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(known.ErrorCode().Status())
	_, _ = io.WriteString(w, xml.Header)
	_ = xml.NewEncoder(w).Encode(known) // an error means that the client is gone
}
