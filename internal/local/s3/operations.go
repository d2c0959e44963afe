package s3

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/rclone/gofakes3"
)

// target is the kind of thing that the path of a request names. Error messages contain its text.
type target string

const (
	aService target = "the service"
	aBucket  target = "a bucket"
	anObject target = "an object"
)

// These are names of operations in S3's API. object.go defines the names that also occur as the reason of an event.
const (
	deleteObjects  = "DeleteObjects"
	getObject      = "GetObject"
	listObjects    = "ListObjects"
	listObjectsV2  = "ListObjectsV2"
	listUploads    = "ListMultipartUploads"
	listVersions   = "ListObjectVersions"
	uploadPart     = "UploadPart"
	uploadPartCopy = "UploadPartCopy"
)

// operation describes the requests for one operation of S3's API, or for one sub-resource such as acl.
type operation struct {
	methods    string // HTTP methods, separated by spaces
	target     target
	selector   string // the query parameter that selects the operation, or ""
	name       string // S3's name, as SDKs send it in x-id; "" for a sub-resource
	parameters string // further query parameters, separated by spaces
}

// operations returns the list of all supported requests. operationOf refuses every other request, because gofakes3
// ignores query parameters that it does not know: it would treat PUT ?renameObject as a put of an empty object.
func operations() []operation {
	const page = "prefix delimiter encoding-type max-keys "
	all := []operation{
		{"GET", aService, "", "ListBuckets", "prefix bucket-region continuation-token max-buckets"},
		{"GET", aBucket, "", listObjects, page + "marker"},
		{"GET", aBucket, "list-type", listObjectsV2, page + "continuation-token fetch-owner start-after"},
		{"GET", aBucket, "versions", listVersions, page + "key-marker version-id-marker"},
		{"GET", aBucket, "uploads", listUploads, page + "key-marker max-uploads upload-id-marker"},
		{"HEAD", aBucket, "", "HeadBucket", ""},
		{"PUT", aBucket, "", "CreateBucket", ""},
		{"DELETE", aBucket, "", "DeleteBucket", ""},
		{"POST", aBucket, "", PostObject, ""},
		{"POST", aBucket, "delete", deleteObjects, ""},
		{"GET", aBucket, "location", "", ""},
		{"GET", aBucket, "policyStatus", "", ""},
		{"GET PUT", aBucket, "acl", "", ""},
		{"GET PUT", aBucket, "object-lock", "", ""},
		{"GET PUT", aBucket, "versioning", "", ""},

		{"GET", anObject, "", getObject, "partNumber versionId"},
		{"HEAD", anObject, "", "HeadObject", "partNumber versionId"},
		{"PUT", anObject, "", PutObject, ""},
		{"DELETE", anObject, "", "DeleteObject", "versionId"},
		{"POST", anObject, "uploads", "CreateMultipartUpload", ""},
		{"GET", anObject, "uploadId", "ListParts", "encoding-type max-parts part-number-marker"},
		{"PUT", anObject, "uploadId", uploadPart, "partNumber"},
		{"POST", anObject, "uploadId", CompleteMultipartUpload, ""},
		{"DELETE", anObject, "uploadId", "AbortMultipartUpload", ""},
		{"GET", anObject, "attributes", "", "versionId"},
		{"GET PUT DELETE", anObject, "tagging", "", "versionId"},
		{"GET PUT", anObject, "acl", "", "versionId"},
		{"GET PUT", anObject, "legal-hold", "", "versionId"},
		{"GET PUT", anObject, "retention", "", "versionId"},
	}
	// A local bucket has none of these sub-resources: GET returns S3's error for that, and DELETE does nothing.
	const missing = "cors encryption lifecycle ownershipControls policy publicAccessBlock replication tagging website"
	for selector := range strings.FieldsSeq(missing) {
		all = append(all, operation{"GET DELETE", aBucket, selector, "", ""})
	}
	return all
}

// targetOf returns the target of a path. It reads the path as gofakes3 does.
func targetOf(path string) target {
	bucket, key, _ := strings.Cut(strings.TrimLeft(path, "/"), "/")
	switch {
	case bucket == "":
		return aService
	case key == "":
		return aBucket
	}
	return anObject
}

// operationOf returns the operation that a request asks for. It returns NotImplemented for an unsupported request, and
// InvalidURI, NoSuchUpload or InvalidArgument for an invalid query or copy source.
func operationOf(r *http.Request, all []operation) (operation, error) {
	query, err := normalizeQuery(r)
	if err != nil {
		return operation{}, err
	}
	o, err := selectOperation(all, r, query)
	if err != nil {
		return o, err
	}
	if o.selector == "uploadId" && query.Get("uploadId") == "" {
		return o, gofakes3.ErrorMessage(gofakes3.ErrNoSuchUpload, "The uploadId is empty: send the id that CreateMultipartUpload returned.")
	}
	if err := checkVersionIDs(query["versionId"]...); err != nil {
		return o, err
	}
	return o, o.checkHeaders(r.Header)
}

// normalizeQuery returns the query of a request, and changes the request so that gofakes3 reads the query in the same
// way. In S3 a semicolon does not separate parameters. A presigned URL carries headers in its query, and
// normalizeQuery copies them to the headers. It omits checksums, which S3 ignores there: SDKs compute them from an
// empty body (https://github.com/aws/aws-sdk-go-v2/issues/2610).
func normalizeQuery(r *http.Request) (url.Values, error) {
	r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, ";", "%3B")
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, gofakes3.ErrorMessagef(gofakes3.ErrInvalidURI, "The query of the URL cannot be read: %v.", err)
	}
	for name, values := range query {
		if isHeader(strings.ToLower(name)) && r.Header.Get(name) == "" {
			r.Header.Set(name, values[0])
		}
	}
	return query, nil
}

// isHeader reports whether a query parameter of a presigned URL stands for a header. Checksums and the parameters of
// the signature do not. The name is in lower case.
func isHeader(name string) bool {
	if !strings.HasPrefix(name, "x-amz-") || strings.HasPrefix(name, "x-amz-checksum-") {
		return false
	}
	switch name {
	case "x-amz-algorithm", "x-amz-content-sha256", "x-amz-credential", "x-amz-date", "x-amz-expires",
		"x-amz-security-token", "x-amz-signature", "x-amz-signedheaders":
		return false
	}
	return true
}

// selectOperation returns the operation with the method, target and query of a request, or NotImplemented.
func selectOperation(all []operation, r *http.Request, query url.Values) (operation, error) {
	on := targetOf(r.URL.Path)
	var found operation
	for _, o := range all {
		selected := o.selector == "" && found.methods == "" || o.selector != "" && query.Has(o.selector)
		if selected && o.target == on && slices.Contains(strings.Fields(o.methods), r.Method) {
			found = o
		}
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		// S3 ignores an unknown parameter with a value when it reads, such as ?v=1.
		reads := (r.Method == http.MethodGet || r.Method == http.MethodHead) && query.Get(name) != ""
		known := name == found.selector || slices.Contains(strings.Fields(found.parameters), name) || isCommon(name)
		if !known && (!reads || isSelector(all, name)) {
			return found, unsupported(fmt.Sprintf("the sub-resource %q (%s on %s)", name, r.Method, on))
		}
	}
	if found.methods == "" {
		return found, unsupported(fmt.Sprintf("%s on %s", r.Method, on))
	}
	if r.Header.Get("X-Amz-Copy-Source") != "" {
		found = found.withCopySource()
	}
	if id := query.Get("x-id"); found.name != "" && id != "" && id != found.name {
		return found, unsupported(fmt.Sprintf("the operation %q (%s on %s)", id, r.Method, on))
	}
	return found, nil
}

// isSelector reports whether gofakes3 selects an operation by a query parameter. gofakes3 ignores its value, and for
// some parameters also the target.
func isSelector(all []operation, name string) bool {
	if slices.Contains(strings.Fields(unsupportedSelectors), name) {
		return true
	}
	return slices.ContainsFunc(all, func(o operation) bool { return o.selector == name })
}

// unsupportedSelectors lists the query parameters by which gofakes3 selects an operation that is not in operations.
const unsupportedSelectors = "accelerate analytics intelligent-tiering inventory logging metadataTable metrics " +
	"notification requestPayment restore select torrent"

// isCommon reports whether a query parameter is allowed in any request, because it belongs to the signature, names the
// operation, stands for a header, or sets a header of the response.
func isCommon(name string) bool {
	switch name {
	case "AWSAccessKeyId", "Expires", "Signature", "x-id":
		return true
	}
	return strings.HasPrefix(strings.ToLower(name), "x-amz-") || strings.HasPrefix(name, "response-")
}

// withCopySource returns the operation that S3 performs if the request has the header x-amz-copy-source.
func (o operation) withCopySource() operation {
	switch o.name {
	case PutObject:
		o.name = CopyObject
	case uploadPart:
		o.name = uploadPartCopy
	}
	return o
}

// checkHeaders returns NotImplemented for a header that gives the request another meaning and that gofakes3 ignores. It
// also checks the copy source.
func (o operation) checkHeaders(h http.Header) error {
	unknown := []string{"x-amz-rename-source", "x-amz-request-route", "x-amz-write-offset-bytes"}
	copies := o.name == CopyObject || o.name == uploadPartCopy
	if copies {
		unknown = append(unknown, "if-match", "if-none-match")
	}
	for _, name := range unknown {
		if h.Values(name) != nil {
			return unsupported(fmt.Sprintf("the header %s of this operation: leave it out", name))
		}
	}
	if copies {
		source := normalizeCopySource(h.Get("X-Amz-Copy-Source"))
		h.Set("X-Amz-Copy-Source", source)
		return checkCopySource(source)
	}
	return nil
}

// normalizeCopySource decodes the slash after the bucket of a copy source. Clients may URL-encode it, and gofakes3
// looks for it before it decodes the source.
func normalizeCopySource(source string) string {
	return copySource.ReplaceAllString(source, "$1/")
}

// copySource matches the bucket of a copy source with the slashes around it.
var copySource = regexp.MustCompile(`^(?i:/|%2f)?([^/%]+)(?i:/|%2f)`)

// checkCopySource returns InvalidArgument if a question mark in a copy source is followed by more than a version id.
// gofakes3 drops everything after a question mark.
func checkCopySource(source string) error {
	_, text, found := strings.Cut(source, "?")
	if !found {
		return nil
	}
	query, err := url.ParseQuery(text)
	if err != nil || len(query) != 1 || !query.Has("versionId") {
		return gofakes3.ErrorInvalidArgument("x-amz-copy-source", source,
			"Only ?versionId= may follow the key of x-amz-copy-source: write a question mark of the key itself as %3F.")
	}
	return checkVersionIDs(query["versionId"]...)
}

// checkVersionIDs returns InvalidArgument for a version id other than null. S3 does so for a bucket without versions.
func checkVersionIDs(ids ...string) error {
	for _, id := range ids {
		if id != "" && id != "null" {
			return gofakes3.ErrorInvalidArgument("versionId", id,
				fmt.Sprintf("Invalid version id specified: the local S3 keeps no versions. Leave %q out, or send null.", id))
		}
	}
	return nil
}

// checkDeleteRequest returns InvalidArgument for a DeleteObjects that names versions, because gofakes3 would delete the
// objects themselves. It returns MalformedXML for a list that is not well-formed.
func checkDeleteRequest(r *http.Request) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, gofakes3.MaxXMLBodySize+1))
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var in gofakes3.DeleteRequest
	if err := xml.Unmarshal(body, &in); err != nil {
		return gofakes3.ErrorMessagef(gofakes3.ErrMalformedXML, "The list of objects is not well-formed: %v.", err)
	}
	for _, o := range in.Objects {
		if err := checkVersionIDs(o.VersionID); err != nil {
			return err
		}
	}
	return nil
}
