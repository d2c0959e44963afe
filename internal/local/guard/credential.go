package guard

import (
	"crypto/subtle"
	"errors"
	"mime"
	"net/http"
	"strings"
)

// howTo tells the caller how to get the right credentials.
const howTo = `run  eval "$(modeldispatch local env)"  in this shell, or start the local stack with --any-credentials`

// unsigned returns the error code and the reason of a request without the access key id, or "".
func (g *Guard) unsigned(w http.ResponseWriter, r *http.Request) (code, why string) {
	if g.keyID == "" {
		return "", ""
	}
	id, signed, err := accessKeyID(w, r)
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
func accessKeyID(w http.ResponseWriter, r *http.Request) (id string, signed bool, err error) {
	query := r.URL.Query()
	switch header := r.Header.Get("Authorization"); {
	case header != "":
		return idInHeader(header), true, nil
	case query.Has("X-Amz-Credential"):
		return idInScope(query.Get("X-Amz-Credential")), true, nil
	case query.Has("AWSAccessKeyId"):
		return query.Get("AWSAccessKeyId"), true, nil
	case isForm(r):
		return idInForm(w, r)
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

// isForm reports whether a request uploads an object by a form, as a presigned POST does.
func isForm(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && r.Method == http.MethodPost && kind == "multipart/form-data" && !isJSON(r)
}

// Limits of a form upload: S3's own for the object, and how much of it stays in memory.
const (
	maxForm    = 5 << 30
	formMemory = 1 << 20
)

// idInForm reads the field of a form. The form stays parsed, for the endpoint behind.
func idInForm(w http.ResponseWriter, r *http.Request) (id string, signed bool, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseMultipartForm(formMemory); err != nil {
		return "", false, errors.New("the form cannot be read: " + err.Error())
	}
	fields := map[string]string{}
	for name, values := range r.MultipartForm.Value {
		fields[strings.ToLower(name)] = values[0]
	}
	if scope, has := fields["x-amz-credential"]; has {
		return idInScope(scope), true, nil
	}
	id, signed = fields["awsaccesskeyid"]
	return id, signed, nil
}
