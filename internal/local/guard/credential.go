package guard

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
)

// credentialHint tells the developer how to get the right credentials.
const credentialHint = `run  eval "$(modeldispatch local env)"  in this shell, or start the local stack with --any-credentials`

// denial checks the credential of a request. It returns the error code and the message for a request that must not
// pass, and two empty texts otherwise.
func (g *Guard) denial(r *http.Request) (code, why string) {
	if g.keyID == "" {
		return "", ""
	}
	id, signed, err := accessKeyID(r)
	switch {
	case err != nil:
		return "MalformedPOSTRequest", err.Error()
	case signed && subtle.ConstantTimeCompare([]byte(id), []byte(g.keyID)) == 1:
		return "", ""
	case !signed && isObjectRead(r):
		return "", ""
	case !signed && isJSON(r):
		return "MissingAuthenticationTokenException", "the request carries no credentials: " + credentialHint
	case !signed:
		return "AccessDenied", "the request carries no credentials: " + credentialHint
	case isJSON(r):
		return "UnrecognizedClientException", "the access key id does not belong to this project: " + credentialHint
	default:
		return "InvalidAccessKeyId", "the access key id does not belong to this project: " + credentialHint
	}
}

// isObjectRead reports whether a request reads an object: GET or HEAD of /bucket/key, with no query parameter that
// selects another operation, such as tagging or uploads.
func isObjectRead(r *http.Request) bool {
	_, key, _ := strings.Cut(strings.TrimLeft(r.URL.Path, "/"), "/")
	for name := range r.URL.Query() {
		if name != "versionId" && name != "partNumber" && name != "x-id" {
			return false
		}
	}
	return !mayChange(r) && key != ""
}

// accessKeyID returns the access key id of a request, and reports whether the request carries one. It looks in the
// Authorization header, in the query of a presigned URL, and in the fields of a form, for Signature Version 4 and 2. It
// returns an error if a form cannot be read.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
func accessKeyID(r *http.Request) (id string, signed bool, err error) {
	query := r.URL.Query()
	switch header := r.Header.Get("Authorization"); {
	case header != "":
		return idInHeader(header), true, nil
	case query.Has("X-Amz-Credential"):
		return idInScope(query.Get("X-Amz-Credential")), true, nil
	case query.Has("AWSAccessKeyId"):
		return query.Get("AWSAccessKeyId"), true, nil
	}
	if boundary, ok := formBoundary(r); ok {
		return idInForm(r, boundary)
	}
	return "", false, nil
}

// idInHeader returns the ID of an Authorization header of the form "AWS ID:signature" or
// "AWS4-HMAC-SHA256 Credential=ID/date/region/service/aws4_request, …". It returns "" for any other form.
func idInHeader(header string) string {
	scheme, rest, _ := strings.Cut(header, " ")
	if scheme == "AWS" {
		id, _, _ := strings.Cut(strings.TrimSpace(rest), ":")
		return id
	}
	for field := range strings.SplitSeq(rest, ",") {
		if scope, ok := strings.CutPrefix(strings.TrimSpace(field), "Credential="); ok && strings.HasPrefix(scheme, "AWS4-") {
			return idInScope(scope)
		}
	}
	return ""
}

// idInScope returns the ID of a scope ID/date/region/service/aws4_request.
func idInScope(scope string) string {
	id, _, _ := strings.Cut(scope, "/")
	return id
}

// formBoundary returns the boundary between the fields of a form, and reports whether a request uploads an object by a
// form, as a presigned POST does.
func formBoundary(r *http.Request) (string, bool) {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return parameters["boundary"], err == nil && r.Method == http.MethodPost && kind == "multipart/form-data" && !isJSON(r)
}

// maxFields is the largest size of the fields before the file of a form, in bytes.
const maxFields = 1 << 20

// idInForm returns the access key id in the fields of a form, and reports whether there is one. It reads the fields up
// to the file, which is the last field in S3, and then restores the body: the next handler reads the form from its
// start. https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html
func idInForm(r *http.Request, boundary string) (id string, signed bool, err error) {
	body := r.Body
	var consumed bytes.Buffer
	fields, err := readFields(multipart.NewReader(io.TeeReader(io.LimitReader(body, maxFields), &consumed), boundary))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(&consumed, body), body}
	if scope, has := fields["x-amz-credential"]; has {
		return idInScope(scope), true, err
	}
	id, signed = fields["awsaccesskeyid"]
	return id, signed, err
}

// readFields returns the fields before the file by their names in lower case. It returns an error if the form has no
// file or ends early, or if the fields are larger than maxFields.
func readFields(form *multipart.Reader) (map[string]string, error) {
	fields := map[string]string{}
	for {
		part, err := form.NextPart()
		if err == nil && part.FormName() == "file" {
			return fields, nil
		}
		var value []byte
		if err == nil {
			value, err = io.ReadAll(part)
		}
		if err != nil {
			const why = "the form cannot be read: the file must be its last field, after at most %d bytes of other fields: %w"
			return nil, fmt.Errorf(why, maxFields, err)
		}
		fields[strings.ToLower(part.FormName())] = string(value)
	}
}
