package s3_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// supported returns each operation that the local S3 supports, with the error code of the call that TestEveryOperation
// makes. The code "" is success.
func supported() map[string]string {
	return map[string]string{
		"AbortMultipartUpload": "", "CompleteMultipartUpload": "MalformedXML", "CopyObject": "", "CreateBucket": "",
		"CreateMultipartUpload": "",
		"DeleteBucket":          "BucketNotEmpty", "DeleteBucketCors": "", "DeleteBucketEncryption": "", "DeleteBucketLifecycle": "",
		"DeleteBucketOwnershipControls": "", "DeleteBucketPolicy": "", "DeleteBucketReplication": "", "DeleteBucketTagging": "",
		"DeleteBucketWebsite": "", "DeleteObject": "", "DeleteObjects": "", "DeleteObjectTagging": "", "DeletePublicAccessBlock": "",
		"GetBucketAcl": "", "GetBucketCors": "NoSuchCORSConfiguration",
		"GetBucketEncryption":             "ServerSideEncryptionConfigurationNotFoundError",
		"GetBucketLifecycleConfiguration": "NoSuchLifecycleConfiguration", "GetBucketLocation": "",
		"GetBucketOwnershipControls": "OwnershipControlsNotFoundError",
		"GetBucketPolicy":            "NoSuchBucketPolicy", "GetBucketPolicyStatus": "",
		"GetBucketReplication": "ReplicationConfigurationNotFoundError", "GetBucketTagging": "NoSuchTagSet",
		"GetBucketVersioning": "", "GetBucketWebsite": "NoSuchWebsiteConfiguration",
		"GetObject": "", "GetObjectAcl": "", "GetObjectAttributes": "", "GetObjectLegalHold": "InvalidRequest",
		"GetObjectLockConfiguration": "ObjectLockConfigurationNotFoundError", "GetObjectRetention": "InvalidRequest",
		"GetObjectTagging": "", "GetPublicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
		"HeadBucket": "", "HeadObject": "", "ListBuckets": "", "ListMultipartUploads": "", "ListObjects": "",
		"ListObjectsV2": "", "ListObjectVersions": "", "ListParts": "",
		"PutBucketAcl": "MalformedXML", "PutBucketVersioning": "", "PutObject": "", "PutObjectAcl": "MalformedXML",
		"PutObjectLegalHold": "InvalidRequest", "PutObjectLockConfiguration": "InvalidBucketState",
		"PutObjectRetention": "InvalidRequest", "PutObjectTagging": "", "UploadPart": "", "UploadPartCopy": "",
	}
}

// changing lists the supported operations whose call in TestEveryOperation changes objects.
var changing = []string{"DeleteObject", "DeleteObjects", "PutObject", "CopyObject"}

// recorder is an HTTP client that keeps its last request. It connects to the server under any host name, because the
// SDK adds a prefix to the host for some operations, such as WriteGetObjectResponse.
type recorder struct {
	transport *http.Transport
	last      *http.Request
}

func (r *recorder) Do(request *http.Request) (*http.Response, error) {
	r.last = request
	return r.transport.RoundTrip(request)
}

func newRecorder(address string) *recorder {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return &recorder{transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

// TestEveryOperation calls each operation of AWS's SDK. The server either supports the operation, or its error names
// the operation and no object changes.
func TestEveryOperation(t *testing.T) {
	t.Parallel()
	operations := reflect.TypeFor[*client.Client]()
	left := supported()
	for i := range operations.NumMethod() {
		name := operations.Method(i).Name
		if operations.Method(i).Type.NumIn() != 4 { // the client, a context, the input and options
			continue
		}
		want, supports := left[name]
		delete(left, name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, t.TempDir())
			s.put(t, "kept", "kept body")
			s.put(t, "other", "other body")
			id, _ := s.begin(t, "kept", "part")
			before := s.objects(t)
			recorder := newRecorder(strings.TrimPrefix(s.url, "http://"))
			err := call(t, s.Client, name, id, func(o *client.Options) {
				o.HTTPClient = recorder
				o.DisableS3ExpressSessionAuth = aws.Bool(true) // it needs a bucket, and ListDirectoryBuckets has none
			})
			code, message := failure(err)
			switch {
			case supports && (code != want || (err == nil) != (want == "")):
				t.Errorf("got %v, want the code %q", err, want)
			case !supports && (code != "NotImplemented" || !names(message, name, recorder.last)):
				t.Errorf("got %v, want NotImplemented and the name of the operation", err)
			}
			if after := s.objects(t); maps.Equal(before, after) == slices.Contains(changing, name) {
				t.Errorf("the objects were %v, and are %v", before, after)
			}
		})
	}
	if len(left) > 0 {
		t.Errorf("the SDK does not have the operations %v", slices.Sorted(maps.Keys(left)))
	}
}

// objects returns the bodies of all objects by key.
func (s *testServer) objects(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, key := range s.keys(t) {
		all[key] = s.get(t, key)
	}
	return all
}

// failure returns the code and message of an S3 error, or "".
func failure(err error) (code, message string) {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return answer.ErrorCode(), answer.ErrorMessage()
	}
	return "", ""
}

// names reports whether a message names an operation, or a parameter or header of its request.
func names(message, operation string, r *http.Request) bool {
	candidates := []string{strconv.Quote(operation)}
	for parameter := range r.URL.Query() {
		candidates = append(candidates, strconv.Quote(parameter))
	}
	for header := range r.Header {
		if strings.HasPrefix(header, "X-Amz-") {
			candidates = append(candidates, " "+strings.ToLower(header)+" ")
		}
	}
	return slices.ContainsFunc(candidates, func(name string) bool { return strings.Contains(message, name) })
}

// call calls an operation with an input that has all required members. The SDK's own validation reports the missing
// ones.
func call(t *testing.T, c *client.Client, name, upload string, options func(*client.Options)) error {
	t.Helper()
	method := reflect.ValueOf(c).MethodByName(name)
	in := reflect.New(method.Type().In(1).Elem())
	for range 10 {
		out := method.Call([]reflect.Value{reflect.ValueOf(t.Context()), in, reflect.ValueOf(options)})
		err, _ := out[1].Interface().(error)
		var invalid smithy.InvalidParamsError
		if !errors.As(err, &invalid) {
			return err
		}
		for _, missing := range invalid.Errs() {
			var required *smithy.ParamRequiredError
			if !errors.As(missing, &required) {
				t.Fatal(missing)
			}
			_, path, _ := strings.Cut(required.Field(), ".")
			set(t, in, path, upload)
		}
	}
	t.Fatalf("the input %+v is still incomplete after 10 attempts", in)
	return nil
}

// set sets the member at a path, such as Delete.Objects[0].Key, to an example.
func set(t *testing.T, at reflect.Value, path, upload string) {
	t.Helper()
	steps := regexp.MustCompile(`\w+`).FindAllString(path, -1)
	for _, step := range steps {
		for at.Kind() == reflect.Pointer {
			if at.IsNil() {
				at.Set(reflect.New(at.Type().Elem()))
			}
			at = at.Elem()
		}
		if i, err := strconv.Atoi(step); err == nil {
			at = at.Index(i)
		} else {
			at = at.FieldByName(step)
		}
	}
	at.Set(example(t, at.Type(), steps[len(steps)-1], upload))
}

// example returns a value of a type for the member with a name.
func example(t *testing.T, of reflect.Type, name, upload string) reflect.Value {
	t.Helper()
	texts := map[string]string{
		"Bucket": bucket, "Key": "kept", "UploadId": upload,
		"CopySource": bucket + "/other", "RenameSource": bucket + "/other", "RequestRoute": "route",
	}
	value := reflect.New(of).Elem()
	switch kind := of.Kind(); {
	case of == reflect.TypeFor[io.Reader]():
		value.Set(reflect.ValueOf(strings.NewReader("body")))
	case of == reflect.TypeFor[types.ObjectEncryption]():
		value.Set(reflect.ValueOf(&types.ObjectEncryptionMemberSSEKMS{Value: types.SSEKMSEncryption{KMSKeyArn: aws.String("arn")}}))
	case kind == reflect.Pointer && of.Elem().Kind() == reflect.Struct && of != reflect.TypeFor[*time.Time]():
		value.Set(reflect.New(of.Elem()))
	case kind == reflect.Pointer:
		value.Set(reflect.New(of.Elem()))
		value.Elem().Set(example(t, of.Elem(), name, upload))
	case kind == reflect.Slice:
		value.Set(reflect.Append(value, example(t, of.Elem(), name, upload)))
	case kind == reflect.Struct:
	case kind == reflect.String && value.MethodByName("Values").IsValid():
		value.Set(value.MethodByName("Values").Call(nil)[0].Index(0))
	case kind == reflect.String:
		text, ok := texts[name]
		if !ok {
			text = "text"
		}
		value.SetString(text)
	case kind == reflect.Int32 || kind == reflect.Int64:
		value.SetInt(1)
	case kind == reflect.Bool:
		value.SetBool(true)
	default:
		t.Fatalf("%s has the type %s, for which the test has no example", name, of)
	}
	return value
}

// requestCase is a request that no SDK sends, with the expected response.
type requestCase struct {
	name           string
	method, target string // the target follows /landing
	header         map[string]string
	body           string
	status         int
	code           string // the S3 error code, or "" for success
	message        string // a part of the error message
}

// response holds the parts of an HTTP response that the tests check.
type response struct {
	status        int
	header        http.Header
	body          string
	code, message string
}

// send sends a request without an SDK. net/http sends a body with its length if it knows the type of the reader, and in
// HTTP chunks otherwise.
func (s *testServer) send(t *testing.T, method, target string, header map[string]string, body io.Reader) response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+target, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	got, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	a := response{status: got.StatusCode, header: got.Header, body: read(t, got.Body)}
	if a.status >= http.StatusBadRequest && method != http.MethodHead {
		var failure struct{ Code, Message string }
		if err := xml.Unmarshal([]byte(a.body), &failure); err != nil {
			t.Errorf("%s %s: the XML of the error is not well-formed: %v\n%s", method, target, err, a.body)
		}
		a.code, a.message = failure.Code, failure.Message
	}
	return a
}

// check sends the request and compares its response.
func (s *testServer) check(t *testing.T, e requestCase) {
	t.Helper()
	a := s.send(t, e.method, "/"+bucket+e.target, e.header, strings.NewReader(e.body))
	if a.status != e.status || a.code != e.code || !strings.Contains(a.message, e.message) {
		t.Errorf("%s: %d %s %q, want %d %s %q", e.name, a.status, a.code, a.message, e.status, e.code, e.message)
	}
}

func TestUnsupportedRequests(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "kept", "kept body")
	s.put(t, "other", "other body")
	id, _ := s.begin(t, "kept", "part")
	before := s.objects(t)
	s.takeCreated()
	for _, e := range slices.Concat(unsupportedRequests(id), requestsWithVersions(id)) {
		s.check(t, e)
	}
	if after := s.objects(t); !maps.Equal(before, after) || len(s.takeCreated()) > 0 {
		t.Errorf("the objects were %v, and are %v", before, after)
	}
}

func oneHeader(name, value string) map[string]string { return map[string]string{name: value} }

// unsupportedRequests returns requests with operations, parameters or headers that the local S3 does not support.
func unsupportedRequests(id string) []requestCase {
	const none = "NotImplemented"
	return []requestCase{
		{"rename", "PUT", "/kept?renameObject", nil, "", 501, none, `"renameObject"`},
		{"rename by header", "PUT", "/kept", oneHeader("x-amz-rename-source", "other"), "", 501, none, "x-amz-rename-source"},
		{"rename before a semicolon", "PUT", "/kept?renameObject;x", nil, "", 501, none, "renameObject"},
		{"rename by its name", "PUT", "/kept?x-id=RenameObject", nil, "", 501, none, `"RenameObject"`},
		{"append", "PUT", "/kept", oneHeader("x-amz-write-offset-bytes", "9"), "more", 501, none, "x-amz-write-offset-bytes"},
		{
			"append, presigned", "PUT", "/kept?X-Amz-Signature=0&x-amz-write-offset-bytes=9", nil, "more",
			501, none, "x-amz-write-offset-bytes",
		},
		{"a new sub-resource with a value", "PUT", "/kept?future=1", nil, "", 501, none, `"future"`},
		{"an invalid escape", "PUT", "/kept?future=%zz", nil, "", 400, "InvalidURI", "%zz"},
		{"two sub-resources", "PUT", "/kept?acl&tagging", oneHeader("x-amz-acl", "private"), "", 501, none, "sub-resource"},
		{"a part without an upload", "PUT", "/kept?partNumber=1", nil, "", 501, none, `"partNumber"`},
		{"a part with an empty upload", "PUT", "/kept?partNumber=1&uploadId=", nil, "", 404, "NoSuchUpload", "empty"},
		{"a part with two uploads", "PUT", "/kept?partNumber=1&uploadId=&uploadId=" + id, nil, "", 404, "NoSuchUpload", "empty"},
		{"a completion of an empty upload", "POST", "/kept?uploadId=", nil, "", 404, "NoSuchUpload", "empty"},
		{"an abort of an empty upload", "DELETE", "/kept?uploadId=", nil, "", 404, "NoSuchUpload", "empty"},
		{"a bucket's configuration", "PUT", "?cors", nil, "", 501, none, `"cors"`},
		{"a delete of a future configuration", "DELETE", "?future", nil, "", 501, none, `"future"`},
		{"a delete of the location", "DELETE", "?location", nil, "", 501, none, `"location"`},
		{"a post to an object", "POST", "/kept", nil, "", 501, none, "POST on an object"},
		{"an unsupported method", "PATCH", "/kept", nil, "", 501, none, "PATCH on an object"},
		{"a session", "GET", "?session", nil, "", 501, none, `"session"`},
		{"a get of a future sub-resource", "GET", "/kept?future", nil, "", 501, none, `"future"`},
		{"a head of a future sub-resource", "HEAD", "/kept?future", nil, "", 501, "", ""},
		{
			"a copy on a condition", "PUT", "/kept",
			map[string]string{"x-amz-copy-source": bucket + "/other", "If-None-Match": "*"}, "", 501, none, "if-none-match",
		},
		{
			"a copy of a key with a bare question mark", "PUT", "/kept", oneHeader("x-amz-copy-source", bucket+"/other?x"), "",
			400, "InvalidArgument", "%3F",
		},
	}
}

// requestsWithVersions returns requests that name the version of an object.
func requestsWithVersions(id string) []requestCase {
	const versions = "keeps no versions"
	version := `<Delete><Object><Key>kept</Key></Object><Object><Key>other</Key><VersionId>abc</VersionId></Object></Delete>`
	copied := oneHeader("x-amz-copy-source", bucket+"/other?versionId=abc")
	return []requestCase{
		{"a copy of a version", "PUT", "/kept", copied, "", 400, "InvalidArgument", versions},
		{"a part copied from a version", "PUT", "/kept?partNumber=1&uploadId=" + id, copied, "", 400, "InvalidArgument", versions},
		{"a delete of a version", "DELETE", "/kept?versionId=abc", nil, "", 400, "InvalidArgument", versions},
		{
			"a delete of the second of two versions", "DELETE", "/kept?versionId=null&versionId=abc", nil, "",
			400, "InvalidArgument", versions,
		},
		{"deletes of versions", "POST", "?delete", nil, version, 400, "InvalidArgument", versions},
		{"a get of a version", "GET", "/kept?versionId=abc", nil, "", 400, "InvalidArgument", versions},
		{"a head of a version", "HEAD", "/kept?versionId=abc", nil, "", 400, "", ""},
		{"the tags of a version", "DELETE", "/kept?tagging&versionId=abc", nil, "", 400, "InvalidArgument", versions},
	}
}

func TestSupportedParameters(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "kept", "kept body")
	s.put(t, "a?b", "with a question mark")
	for _, e := range []requestCase{
		{name: "a get with unknown parameters", method: "GET", target: "/kept?v=1&utm_source=mail", status: 200},
		{name: "a head with an unknown parameter", method: "HEAD", target: "/kept?v=1", status: 200},
		{name: "a get of the null version", method: "GET", target: "/kept?versionId=null", status: 200},
		{name: "a get of an empty version", method: "GET", target: "/kept?versionId=", status: 200},
		{name: "a list with a bare semicolon", method: "GET", target: "?prefix=;", status: 200},
		{
			name: "a put signed with bare semicolons", method: "PUT",
			target: "/kept?X-Amz-SignedHeaders=content-type;host&X-Amz-Signature=0", body: "new", status: 200,
		},
		{name: "a put with Signature Version 2", method: "PUT", target: "/kept?AWSAccessKeyId=x&Signature=y&Expires=1", body: "new", status: 200},
		{
			name: "a put with the checksum of a presigned URL, which S3 ignores", method: "PUT",
			target: "/kept?x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32", body: "new", status: 200,
		},
		{name: "a delete of a null version", method: "DELETE", target: "/nothing?versionId=null", status: 204},
		{name: "a bucket's policy", method: "DELETE", target: "?policy", status: 204},
		{
			name: "deletes of null versions", method: "POST", target: "?delete",
			body: "<Delete><Object><Key>nothing</Key><VersionId>null</VersionId></Object></Delete>", status: 200,
		},
		{name: "a malformed delete", method: "POST", target: "?delete", body: "<Delete>", status: 400, code: "MalformedXML"},
	} {
		s.check(t, e)
	}
	if got := s.get(t, "kept"); got != "new" {
		t.Errorf("the object has %q", got)
	}
	listed := s.send(t, "GET", "/"+bucket+"?prefix=a;", nil, nil)
	if !strings.Contains(listed.body, "<Prefix>a;</Prefix>") || strings.Contains(listed.body, "<Key>") {
		t.Errorf("the keys with the prefix %q are listed as %s", "a;", listed.body)
	}
	s.check(t, requestCase{
		name: "a presigned copy", method: "PUT", status: 200,
		target: "/copy?X-Amz-Signature=0&x-amz-copy-source=" + url.QueryEscape(bucket+"/a%3Fb?versionId=null") +
			"&x-amz-metadata-directive=REPLACE&x-amz-meta-owner=me",
	})
	head, err := s.HeadObject(t.Context(), &client.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("copy")})
	if err != nil || head.Metadata["owner"] != "me" || s.get(t, "copy") != "with a question mark" {
		t.Errorf("a copy by a presigned URL is %+v, %v", head, err)
	}
}

func TestTagging(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := start(t, folder)
	ctx, name, key := t.Context(), aws.String(bucket), aws.String("k")
	if err := s.server.Seed(bucket, "k", strings.NewReader("body")); err != nil {
		t.Fatal(err)
	}
	before, err := s.HeadObject(ctx, &client.HeadObjectInput{Bucket: name, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	tags := types.Tagging{TagSet: []types.Tag{{Key: aws.String("stage"), Value: aws.String("raw")}}}
	if _, err := s.PutObjectTagging(ctx, &client.PutObjectTaggingInput{Bucket: name, Key: key, Tagging: &tags}); err != nil {
		t.Fatal(err)
	}
	for when, s := range map[string]*testServer{"at once": s, "after a restart": start(t, folder)} {
		got, err := s.GetObjectTagging(ctx, &client.GetObjectTaggingInput{Bucket: name, Key: key})
		if err != nil || !reflect.DeepEqual(got.TagSet, tags.TagSet) {
			t.Errorf("%s: the tags are %+v, %v", when, got, err)
		}
		after, err := s.HeadObject(ctx, &client.HeadObjectInput{Bucket: name, Key: key})
		if err != nil || *after.ETag != *before.ETag || !after.LastModified.Equal(*before.LastModified) ||
			s.get(t, "k") != "body" {
			t.Errorf("%s: the object is %+v, %v, want it unchanged", when, after, err)
		}
	}
	if _, err := s.DeleteObjectTagging(ctx, &client.DeleteObjectTaggingInput{Bucket: name, Key: key}); err != nil {
		t.Error(err)
	}
	if got, err := s.GetObjectTagging(ctx, &client.GetObjectTaggingInput{Bucket: name, Key: key}); err != nil || len(got.TagSet) > 0 {
		t.Errorf("after DeleteObjectTagging the tags are %+v, %v", got, err)
	}
	_, err = s.PutObjectTagging(ctx, &client.PutObjectTaggingInput{Bucket: name, Key: aws.String("nothing"), Tagging: &tags})
	wantError(t, "tags of a missing object", err, "NoSuchKey", http.StatusNotFound)
	if len(s.takeCreated()) > 0 {
		t.Error("OnCreated was called for tags")
	}
}

// TestCopySources copies from sources that are URL-encoded in different ways, as clients do.
func TestCopySources(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "a/b c", "the source")
	for i, source := range []string{
		bucket + "/a/b%20c", "/" + bucket + "/a/b%20c", bucket + "/a%2Fb%20c",
		bucket + "%2Fa%2Fb%20c", bucket + "%2fa/b+c", "%2F" + bucket + "%2Fa%2Fb%20c",
	} {
		key := fmt.Sprint("copy ", i)
		if _, err := s.CopyObject(t.Context(), &client.CopyObjectInput{Bucket: aws.String(bucket), Key: &key, CopySource: &source}); err != nil {
			t.Errorf("a copy of %s: %v", source, err)
		} else if got := s.get(t, key); got != "the source" {
			t.Errorf("a copy of %s has the body %q", source, got)
		}
	}
}

// TestRootElements checks that responses have the root elements of S3's documentation. AWS's Common Runtime looks for
// these names.
func TestRootElements(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	for _, one := range []struct{ method, target, want string }{
		{http.MethodPost, "/k?uploads", "InitiateMultipartUploadResult"},
		{http.MethodGet, "?uploads", "ListMultipartUploadsResult"},
		{http.MethodGet, "?versions", "ListVersionsResult"},
		{http.MethodGet, "?versions&encoding-type=url", "ListVersionsResult"},
		{http.MethodGet, "?list-type=2", "ListBucketResult"},
	} {
		recorded := httptest.NewRecorder()
		s.server.ServeHTTP(recorded, httptest.NewRequestWithContext(t.Context(), one.method, "/"+bucket+one.target, nil))
		var root struct{ XMLName xml.Name }
		if err := xml.Unmarshal(recorded.Body.Bytes(), &root); err != nil || root.XMLName.Local != one.want {
			t.Errorf("%s %s: the root element is %s, %v, want %s", one.method, one.target, root.XMLName.Local, err, one.want)
		}
	}
}

// TestSelectorWithValueDoesNotListBucket sends selectors as parameters with a value. gofakes3 ignores value and key,
// and lists the bucket for GET /bucket/key?versions=1.
func TestSelectorWithValueDoesNotListBucket(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "k", "body")
	for _, name := range []string{
		"versions", "uploads", "uploadId", "versioning", "location", "delete", "acl", "tagging", "attributes", "policy",
		"policyStatus", "cors", "encryption", "lifecycle", "ownershipControls", "publicAccessBlock", "replication", "website",
		"object-lock", "legal-hold", "retention", "accelerate", "analytics", "intelligent-tiering", "inventory", "logging",
		"metadataTable", "metrics", "notification", "requestPayment", "restore", "select", "torrent",
	} {
		recorded := httptest.NewRecorder()
		s.server.ServeHTTP(recorded, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+bucket+"/k?"+name+"=1", nil))
		body := recorded.Body.String()
		switch name {
		case "acl", "tagging", "attributes", "uploadId", "legal-hold", "retention": // sub-resources of objects
		default:
			if recorded.Code != http.StatusNotImplemented || !strings.Contains(body, name) {
				t.Errorf("?%s=1: got %d %s, want 501 and the name of the parameter", name, recorded.Code, body)
			}
		}
		if strings.Contains(body, "<Key>k</Key>") {
			t.Errorf("?%s=1 lists the bucket: %s", name, body)
		}
	}
}

// TestFormWithChecksum posts forms with a checksum. The server refuses them because it would not check the checksum.
func TestFormWithChecksum(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	for _, field := range []string{"x-amz-checksum-sha256", "Content-MD5"} {
		var text bytes.Buffer
		w := multipart.NewWriter(&text)
		err := errors.Join(w.WriteField("key", "k"), w.WriteField(field, "AAAA"))
		file, fileErr := w.CreateFormFile("file", "f")
		if err = errors.Join(err, fileErr); err == nil {
			_, err = file.Write([]byte("body"))
		}
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/"+bucket, &text)
		r.Header.Set("Content-Type", w.FormDataContentType())
		recorded := httptest.NewRecorder()
		s.server.ServeHTTP(recorded, r)
		if recorded.Code != http.StatusNotImplemented || !strings.Contains(recorded.Body.String(), strings.ToLower(field)) || len(s.keys(t)) > 0 {
			t.Errorf("a form with %s: got %d %s, want 501 and no object", field, recorded.Code, recorded.Body)
		}
	}
}
