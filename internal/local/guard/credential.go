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

// howTo tells the caller how to get the right credentials.
const howTo = `run  eval "$(modeldispatch local env)"  in this shell, or start the local stack with --any-credentials`

// denial returns the error code and the reason if a request may not pass without the access key id and lacks it, or "".
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
		return "MissingAuthenticationTokenException", "the request carries no credentials: " + howTo
	case !signed:
		return "AccessDenied", "the request carries no credentials: " + howTo
	case isJSON(r):
		return "UnrecognizedClientException", "the access key id is not that of this project: " + howTo
	default:
		return "InvalidAccessKeyId", "the access key id is not that of this project: " + howTo
	}
}

// isObjectRead reports whether a request reads an object: GET or HEAD of /bucket/key, without a parameter that asks for
// something else.
func isObjectRead(r *http.Request) bool {
	_, key, _ := strings.Cut(strings.TrimLeft(r.URL.Path, "/"), "/")
	for name := range r.URL.Query() {
		if name != "versionId" && name != "partNumber" && name != "x-id" {
			return false
		}
	}
	return !changes(r) && key != ""
}

// accessKeyID returns the id that a request carries: in its Authorization header, in the query of a
// presigned URL, or in the fields of a form, in the words of Signature Version 4 or 2.
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

// idInHeader reads "AWS4-HMAC-SHA256 Credential=ID/date/region/service/aws4_request, …" or "AWS ID:signature".
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

// idInScope reads ID/date/region/service/aws4_request.
func idInScope(scope string) string {
	id, _, _ := strings.Cut(scope, "/")
	return id
}

// formBoundary reports whether a request uploads an object by a form, as a presigned POST does, and what stands between its fields.
func formBoundary(r *http.Request) (string, bool) {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return parameters["boundary"], err == nil && r.Method == http.MethodPost && kind == "multipart/form-data" && !isJSON(r)
}

// maxFields bounds the fields of a form, in bytes. The file comes after them.
const maxFields = 1 << 20

// idInForm reads the fields of a form up to its file, which is the last as in S3, and puts what it has read back.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html
func idInForm(r *http.Request, boundary string) (id string, signed bool, err error) {
	body := r.Body
	var taken bytes.Buffer
	fields, err := readFields(multipart.NewReader(io.TeeReader(io.LimitReader(body, maxFields), &taken), boundary))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(&taken, body), body}
	if scope, has := fields["x-amz-credential"]; has {
		return idInScope(scope), true, err
	}
	id, signed = fields["awsaccesskeyid"]
	return id, signed, err
}

// readFields returns the fields before the file, with their names in lower case.
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
			const why = "the form cannot be read: its last field is the file, and those before it have at most %d bytes: %w"
			return nil, fmt.Errorf(why, maxFields, err)
		}
		fields[strings.ToLower(part.FormName())] = string(value)
	}
}
