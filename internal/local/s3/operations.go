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

// target tells what the path of a request names.
type target string

const (
	aService target = "the service"
	aBucket  target = "a bucket"
	anObject target = "an object"
)

// Names of operations in S3's API. Some are the reason of an event too: object.go defines them.
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

// operation describes requests that are served.
type operation struct {
	methods string
	on      target
	by      string // the query parameter that selects it; "" where none does
	name    string // as x-id says it; "" where by says it all
	takes   string // its other query parameters
}

// operations lists all that is served. gofakes3 ignores query parameters that it does not know, and
// would answer PUT ?renameObject by a put of nothing. So a request that is not on the list is refused.
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
	// A bucket has none of these: a GET says so, and a DELETE has nothing to do.
	for by := range strings.FieldsSeq("cors encryption lifecycle ownershipControls policy publicAccessBlock replication tagging website") {
		all = append(all, operation{"GET DELETE", aBucket, by, "", ""})
	}
	return all
}

// targetOf returns what a path names, as gofakes3 reads it.
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

// operationOf returns the operation that a request asks for, or S3's error where it is not served.
func operationOf(r *http.Request, all []operation) (operation, error) {
	query, err := tidy(r)
	if err != nil {
		return operation{}, err
	}
	o, err := choose(all, r, query)
	if err != nil {
		return o, err
	}
	if o.by == "uploadId" && query.Get("uploadId") == "" {
		return o, gofakes3.ErrorMessage(gofakes3.ErrNoSuchUpload, "The uploadId is empty: send the one that CreateMultipartUpload returned.")
	}
	if err := keepsNoVersions(query["versionId"]...); err != nil {
		return o, err
	}
	return o, o.checkHeaders(r.Header)
}

// tidy returns the query of a request, and makes gofakes3 see the same. A semicolon separates
// nothing in S3. A presigned URL carries headers in its query; S3 ignores checksums there, which
// SDKs make of an empty body (https://github.com/aws/aws-sdk-go-v2/issues/2610).
func tidy(r *http.Request) (url.Values, error) {
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

// isHeader reports whether a query parameter stands for a header, and does not belong to the signature.
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

// choose finds the operation of a request by its method, target and query.
func choose(all []operation, r *http.Request, query url.Values) (operation, error) {
	on := targetOf(r.URL.Path)
	var found operation
	for _, o := range all {
		selected := o.by == "" && found.methods == "" || o.by != "" && query.Has(o.by)
		if selected && o.on == on && slices.Contains(strings.Fields(o.methods), r.Method) {
			found = o
		}
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		reads := (r.Method == http.MethodGet || r.Method == http.MethodHead) && query.Get(name) != ""
		if name != found.by && !slices.Contains(strings.Fields(found.takes), name) && !isCommon(name) && (!reads || selects(all, name)) {
			return found, notServed(fmt.Sprintf("the sub-resource %q (%s on %s)", name, r.Method, on))
		}
	}
	if found.methods == "" {
		return found, notServed(fmt.Sprintf("%s on %s", r.Method, on))
	}
	if r.Header.Get("X-Amz-Copy-Source") != "" {
		found = found.copying()
	}
	if id := query.Get("x-id"); found.name != "" && id != "" && id != found.name {
		return found, notServed(fmt.Sprintf("the operation %q (%s on %s)", id, r.Method, on))
	}
	return found, nil
}

// selects reports whether a query parameter selects an operation. gofakes3 looks for it whatever its value and the target are.
func selects(all []operation, name string) bool {
	return slices.ContainsFunc(all, func(o operation) bool { return o.by == name }) || slices.Contains(strings.Fields(unserved), name)
}

// unserved are further names by which gofakes3 chooses an operation.
const unserved = "accelerate analytics intelligent-tiering inventory logging metadataTable metrics notification requestPayment " +
	"restore select torrent"

// isCommon reports whether a query parameter may be in any request: it signs, names or describes it.
func isCommon(name string) bool {
	switch name {
	case "AWSAccessKeyId", "Expires", "Signature", "x-id":
		return true
	}
	return strings.HasPrefix(strings.ToLower(name), "x-amz-") || strings.HasPrefix(name, "response-")
}

// copying returns the operation of the same request with a copy source.
func (o operation) copying() operation {
	switch o.name {
	case PutObject:
		o.name = CopyObject
	case uploadPart:
		o.name = uploadPartCopy
	}
	return o
}

// checkHeaders refuses headers that make another operation of a request, and that gofakes3 ignores.
func (o operation) checkHeaders(h http.Header) error {
	unknown := []string{"x-amz-rename-source", "x-amz-request-route", "x-amz-write-offset-bytes"}
	copies := o.name == CopyObject || o.name == uploadPartCopy
	if copies {
		unknown = append(unknown, "if-match", "if-none-match")
	}
	for _, name := range unknown {
		if h.Values(name) != nil {
			return notServed(fmt.Sprintf("the header %s of this operation: leave it out", name))
		}
	}
	if copies {
		source := splitCopySource(h.Get("X-Amz-Copy-Source"))
		h.Set("X-Amz-Copy-Source", source)
		return checkCopySource(source)
	}
	return nil
}

// splitCopySource writes out the slash after the bucket of a copy source. Clients may encode it with
// the rest, and gofakes3 looks for it before it decodes.
func splitCopySource(source string) string {
	return copySource.ReplaceAllString(source, "$1/")
}

// copySource finds the bucket of a copy source, with the slashes around it.
var copySource = regexp.MustCompile(`^(?i:/|%2f)?([^/%]+)(?i:/|%2f)`)

// checkCopySource refuses what gofakes3 cuts off: all that follows a question mark.
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
	return keepsNoVersions(query["versionId"]...)
}

// keepsNoVersions returns the error that S3 has for a version id in a bucket without versions.
func keepsNoVersions(ids ...string) error {
	for _, id := range ids {
		if id != "" && id != "null" {
			return gofakes3.ErrorInvalidArgument("versionId", id,
				fmt.Sprintf("Invalid version id specified: the local S3 keeps no versions. Leave %q out, or write null.", id))
		}
	}
	return nil
}

// checkDeleted refuses a DeleteObjects that names versions: gofakes3 would delete the objects.
func checkDeleted(r *http.Request) error {
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
		if err := keepsNoVersions(o.VersionID); err != nil {
			return err
		}
	}
	return nil
}
