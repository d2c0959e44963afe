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

// served has each operation that the local S3 serves, and the code of its answer to the call that
// TestEveryOperation makes: "" is success.
func served() map[string]string {
	return map[string]string{
		"AbortMultipartUpload": "", "CompleteMultipartUpload": "MalformedXML", "CopyObject": "", "CreateBucket": "", "CreateMultipartUpload": "",
		"DeleteBucket": "BucketNotEmpty", "DeleteBucketCors": "", "DeleteBucketEncryption": "", "DeleteBucketLifecycle": "", "DeleteBucketOwnershipControls": "",
		"DeleteBucketPolicy": "", "DeleteBucketReplication": "", "DeleteBucketTagging": "", "DeleteBucketWebsite": "", "DeleteObject": "", "DeleteObjects": "",
		"DeleteObjectTagging": "", "DeletePublicAccessBlock": "",
		"GetBucketAcl": "", "GetBucketCors": "NoSuchCORSConfiguration", "GetBucketEncryption": "ServerSideEncryptionConfigurationNotFoundError",
		"GetBucketLifecycleConfiguration": "NoSuchLifecycleConfiguration", "GetBucketLocation": "", "GetBucketOwnershipControls": "OwnershipControlsNotFoundError",
		"GetBucketPolicy": "NoSuchBucketPolicy", "GetBucketPolicyStatus": "", "GetBucketReplication": "ReplicationConfigurationNotFoundError",
		"GetBucketTagging": "NoSuchTagSet", "GetBucketVersioning": "", "GetBucketWebsite": "NoSuchWebsiteConfiguration",
		"GetObject": "", "GetObjectAcl": "", "GetObjectAttributes": "", "GetObjectLegalHold": "InvalidRequest", "GetObjectLockConfiguration": "ObjectLockConfigurationNotFoundError",
		"GetObjectRetention": "InvalidRequest", "GetObjectTagging": "", "GetPublicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
		"HeadBucket": "", "HeadObject": "", "ListBuckets": "", "ListMultipartUploads": "", "ListObjects": "", "ListObjectsV2": "", "ListObjectVersions": "", "ListParts": "",
		"PutBucketAcl": "MalformedXML", "PutBucketVersioning": "", "PutObject": "", "PutObjectAcl": "MalformedXML", "PutObjectLegalHold": "InvalidRequest",
		"PutObjectLockConfiguration": "InvalidBucketState", "PutObjectRetention": "InvalidRequest", "PutObjectTagging": "", "UploadPart": "", "UploadPartCopy": "",
	}
}

// changing has the served operations whose call in TestEveryOperation changes objects.
var changing = []string{"DeleteObject", "DeleteObjects", "PutObject", "CopyObject"}

// recorder keeps the last request. It connects to the server whatever the name of the host is.
type recorder struct {
	transport *http.Transport
	last      *http.Request
}

func (r *recorder) Do(request *http.Request) (*http.Response, error) {
	r.last = request
	return r.transport.RoundTrip(request)
}

func record(address string) *recorder {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return &recorder{transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

// TestEveryOperation calls each operation of AWS's SDK. It is served, or its error names it and nothing changes.
func TestEveryOperation(t *testing.T) {
	t.Parallel()
	operations := reflect.TypeFor[*client.Client]()
	left := served()
	for i := range operations.NumMethod() {
		name := operations.Method(i).Name
		if operations.Method(i).Type.NumIn() != 4 { // the client, a context, the input, options
			continue
		}
		want, serves := left[name]
		delete(left, name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, t.TempDir())
			s.put(t, "kept", "kept body")
			s.put(t, "other", "other body")
			id, _ := s.begin(t, "kept", "part")
			before := s.objects(t)
			recorder := record(strings.TrimPrefix(s.url, "http://"))
			err := call(t, s.Client, name, id, func(o *client.Options) {
				o.HTTPClient = recorder
				o.DisableS3ExpressSessionAuth = aws.Bool(true) // which needs a bucket, and ListDirectoryBuckets has none
			})
			code, message := failure(err)
			switch {
			case serves && (code != want || (err == nil) != (want == "")):
				t.Errorf("it is answered with %v, want the code %q", err, want)
			case !serves && (code != "NotImplemented" || !names(message, name, recorder.last)):
				t.Errorf("it is answered with %v, want NotImplemented and its name", err)
			}
			if after := s.objects(t); maps.Equal(before, after) == slices.Contains(changing, name) {
				t.Errorf("the objects were %v, and are %v", before, after)
			}
		})
	}
	if len(left) > 0 {
		t.Errorf("the SDK has no operations %v", slices.Sorted(maps.Keys(left)))
	}
}

// objects reads all objects.
func (s *stand) objects(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, key := range s.keys(t) {
		all[key] = s.get(t, key)
	}
	return all
}

func failure(err error) (code, message string) {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return answer.ErrorCode(), answer.ErrorMessage()
	}
	return "", ""
}

// names reports whether a message names an operation, or what makes its request another one.
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

// call calls an operation with the members that it requires, which the SDK's own validation tells.
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
	t.Fatalf("the input %+v is never complete", in)
	return nil
}

// set gives the member at a path such as Delete.Objects[0].Key a value.
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

// example returns a value for a member.
func example(t *testing.T, of reflect.Type, name, upload string) reflect.Value {
	t.Helper()
	texts := map[string]string{"Bucket": bucket, "Key": "kept", "UploadId": upload, "CopySource": bucket + "/other", "RenameSource": bucket + "/other", "RequestRoute": "route"}
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
		t.Fatalf("%s has the type %s, which the test cannot fill", name, of)
	}
	return value
}

// exchange is a request that no SDK sends, and what S3 has to answer.
type exchange struct {
	name           string
	method, target string // of /landing
	header         map[string]string
	body           string
	status         int
	code, says     string
}

// answered is a response.
type answered struct {
	status        int
	header        http.Header
	body          string
	code, message string
}

// send sends a request as it is. net/http knows the length of some kinds of reader; it sends all others chunked.
func (s *stand) send(t *testing.T, method, target string, header map[string]string, body io.Reader) answered {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+target, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	a := answered{status: response.StatusCode, header: response.Header, body: read(t, response.Body)}
	if a.status >= http.StatusBadRequest && method != http.MethodHead {
		var failure struct{ Code, Message string }
		if err := xml.Unmarshal([]byte(a.body), &failure); err != nil {
			t.Errorf("%s %s: the error is not well-formed: %v\n%s", method, target, err, a.body)
		}
		a.code, a.message = failure.Code, failure.Message
	}
	return a
}

// check sends the request and compares its answer.
func (s *stand) check(t *testing.T, e exchange) {
	t.Helper()
	a := s.send(t, e.method, "/"+bucket+e.target, e.header, strings.NewReader(e.body))
	if a.status != e.status || a.code != e.code || !strings.Contains(a.message, e.says) {
		t.Errorf("%s: %d %s %q, want %d %s %q", e.name, a.status, a.code, a.message, e.status, e.code, e.says)
	}
}

func TestRequestsThatAreNotServed(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "kept", "kept body")
	s.put(t, "other", "other body")
	id, _ := s.begin(t, "kept", "part")
	before := s.objects(t)
	s.told()
	one := func(header, value string) map[string]string { return map[string]string{header: value} }
	version := `<Delete><Object><Key>kept</Key></Object><Object><Key>other</Key><VersionId>abc</VersionId></Object></Delete>`
	const none, versions = "NotImplemented", "keeps no versions"
	for _, e := range []exchange{
		{"rename", "PUT", "/kept?renameObject", nil, "", 501, none, `"renameObject"`},
		{"rename by header", "PUT", "/kept", one("x-amz-rename-source", "other"), "", 501, none, "x-amz-rename-source"},
		{"rename, behind a semicolon", "PUT", "/kept?renameObject;x", nil, "", 501, none, "renameObject"},
		{"rename by its name", "PUT", "/kept?x-id=RenameObject", nil, "", 501, none, `"RenameObject"`},
		{"append", "PUT", "/kept", one("x-amz-write-offset-bytes", "9"), "more", 501, none, "x-amz-write-offset-bytes"},
		{"append, presigned", "PUT", "/kept?X-Amz-Signature=0&x-amz-write-offset-bytes=9", nil, "more", 501, none, "x-amz-write-offset-bytes"},
		{"a new sub-resource with a value", "PUT", "/kept?future=1", nil, "", 501, none, `"future"`},
		{"an escape that is none", "PUT", "/kept?future=%zz", nil, "", 400, "InvalidURI", "%zz"},
		{"two sub-resources", "PUT", "/kept?acl&tagging", one("x-amz-acl", "private"), "", 501, none, "sub-resource"},
		{"a part without an upload", "PUT", "/kept?partNumber=1", nil, "", 501, none, `"partNumber"`},
		{"a part with an empty upload", "PUT", "/kept?partNumber=1&uploadId=", nil, "", 404, "NoSuchUpload", "empty"},
		{"a part with two uploads", "PUT", "/kept?partNumber=1&uploadId=&uploadId=" + id, nil, "", 404, "NoSuchUpload", "empty"},
		{"a completion of an empty upload", "POST", "/kept?uploadId=", nil, "", 404, "NoSuchUpload", "empty"},
		{"an abort of an empty upload", "DELETE", "/kept?uploadId=", nil, "", 404, "NoSuchUpload", "empty"},
		{"a bucket's configuration", "PUT", "?cors", nil, "", 501, none, `"cors"`},
		{"a delete of a future configuration", "DELETE", "?future", nil, "", 501, none, `"future"`},
		{"a delete of the location", "DELETE", "?location", nil, "", 501, none, `"location"`},
		{"a post to an object", "POST", "/kept", nil, "", 501, none, "POST on an object"},
		{"another method", "PATCH", "/kept", nil, "", 501, none, "PATCH on an object"},
		{"a session", "GET", "?session", nil, "", 501, none, `"session"`},
		{"a get of a future sub-resource", "GET", "/kept?future", nil, "", 501, none, `"future"`},
		{"a head of a future sub-resource", "HEAD", "/kept?future", nil, "", 501, "", ""},
		{"a copy on a condition", "PUT", "/kept", map[string]string{"x-amz-copy-source": bucket + "/other", "If-None-Match": "*"}, "", 501, none, "if-none-match"},
		{"a copy of a version", "PUT", "/kept", one("x-amz-copy-source", bucket+"/other?versionId=abc"), "", 400, "InvalidArgument", versions},
		{"a copy of a key with a bare question mark", "PUT", "/kept", one("x-amz-copy-source", bucket+"/other?x"), "", 400, "InvalidArgument", "%3F"},
		{"a part that is a version", "PUT", "/kept?partNumber=1&uploadId=" + id, one("x-amz-copy-source", bucket+"/other?versionId=abc"), "", 400, "InvalidArgument", versions},
		{"a delete of a version", "DELETE", "/kept?versionId=abc", nil, "", 400, "InvalidArgument", versions},
		{"a delete of the second of two versions", "DELETE", "/kept?versionId=null&versionId=abc", nil, "", 400, "InvalidArgument", versions},
		{"deletes of versions", "POST", "?delete", nil, version, 400, "InvalidArgument", versions},
		{"a get of a version", "GET", "/kept?versionId=abc", nil, "", 400, "InvalidArgument", versions},
		{"a head of a version", "HEAD", "/kept?versionId=abc", nil, "", 400, "", ""},
		{"the tags of a version", "DELETE", "/kept?tagging&versionId=abc", nil, "", 400, "InvalidArgument", versions},
	} {
		s.check(t, e)
	}
	if after := s.objects(t); !maps.Equal(before, after) || len(s.told()) > 0 {
		t.Errorf("the objects were %v, and are %v", before, after)
	}
}

func TestParametersThatAreServed(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "kept", "kept body")
	s.put(t, "a?b", "with a question mark")
	for _, e := range []exchange{
		{name: "a get with a parameter of one's own", method: "GET", target: "/kept?v=1&utm_source=mail", status: 200},
		{name: "a head with a parameter of one's own", method: "HEAD", target: "/kept?v=1", status: 200},
		{name: "a get of the null version", method: "GET", target: "/kept?versionId=null", status: 200},
		{name: "a get of an empty version", method: "GET", target: "/kept?versionId=", status: 200},
		{name: "a list with a bare semicolon", method: "GET", target: "?prefix=;", status: 200},
		{name: "a put signed with bare semicolons", method: "PUT", target: "/kept?X-Amz-SignedHeaders=content-type;host&X-Amz-Signature=0", body: "new", status: 200},
		{name: "a put signed as long ago", method: "PUT", target: "/kept?AWSAccessKeyId=x&Signature=y&Expires=1", body: "new", status: 200},
		{name: "a put with the checksum of a presigned URL, which S3 ignores", method: "PUT", target: "/kept?x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32", body: "new", status: 200},
		{name: "a delete of a null version", method: "DELETE", target: "/nothing?versionId=null", status: 204},
		{name: "a bucket's policy", method: "DELETE", target: "?policy", status: 204},
		{name: "deletes of null versions", method: "POST", target: "?delete", body: "<Delete><Object><Key>nothing</Key><VersionId>null</VersionId></Object></Delete>", status: 200},
		{name: "a malformed delete", method: "POST", target: "?delete", body: "<Delete>", status: 400, code: "MalformedXML"},
	} {
		s.check(t, e)
	}
	if got := s.get(t, "kept"); got != "new" {
		t.Errorf("the object has %q", got)
	}
	listed := s.send(t, "GET", "/"+bucket+"?prefix=a;", nil, nil)
	if !strings.Contains(listed.body, "<Prefix>a;</Prefix>") || strings.Contains(listed.body, "<Key>") {
		t.Errorf("the keys that begin with a; are listed as %s", listed.body)
	}
	s.check(t, exchange{name: "a presigned copy", method: "PUT", status: 200,
		target: "/copy?X-Amz-Signature=0&x-amz-copy-source=" + url.QueryEscape(bucket+"/a%3Fb?versionId=null") + "&x-amz-metadata-directive=REPLACE&x-amz-meta-owner=me"})
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
	for when, s := range map[string]*stand{"at once": s, "after a restart": start(t, folder)} {
		got, err := s.GetObjectTagging(ctx, &client.GetObjectTaggingInput{Bucket: name, Key: key})
		if err != nil || !reflect.DeepEqual(got.TagSet, tags.TagSet) {
			t.Errorf("%s the tags are %+v, %v", when, got, err)
		}
		after, err := s.HeadObject(ctx, &client.HeadObjectInput{Bucket: name, Key: key})
		if err != nil || *after.ETag != *before.ETag || !after.LastModified.Equal(*before.LastModified) || s.get(t, "k") != "body" {
			t.Errorf("%s the object is %+v, %v, want it as before", when, after, err)
		}
	}
	if _, err := s.DeleteObjectTagging(ctx, &client.DeleteObjectTaggingInput{Bucket: name, Key: key}); err != nil {
		t.Error(err)
	}
	if got, err := s.GetObjectTagging(ctx, &client.GetObjectTaggingInput{Bucket: name, Key: key}); err != nil || len(got.TagSet) > 0 {
		t.Errorf("after a delete the tags are %+v, %v", got, err)
	}
	_, err = s.PutObjectTagging(ctx, &client.PutObjectTaggingInput{Bucket: name, Key: aws.String("nothing"), Tagging: &tags})
	fails(t, "tags of no object", err, "NoSuchKey", http.StatusNotFound)
	if len(s.told()) > 0 {
		t.Error("Created was called for tags")
	}
}

// TestCopySources: clients encode the source of a copy in different places.
func TestCopySources(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "a/b c", "the source")
	for i, source := range []string{
		bucket + "/a/b%20c", "/" + bucket + "/a/b%20c", bucket + "/a%2Fb%20c", bucket + "%2Fa%2Fb%20c", bucket + "%2fa/b+c", "%2F" + bucket + "%2Fa%2Fb%20c",
	} {
		key := fmt.Sprint("copy ", i)
		if _, err := s.CopyObject(t.Context(), &client.CopyObjectInput{Bucket: aws.String(bucket), Key: &key, CopySource: &source}); err != nil {
			t.Errorf("a copy of %s: %v", source, err)
		} else if got := s.get(t, key); got != "the source" {
			t.Errorf("a copy of %s has the body %q", source, got)
		}
	}
}

// TestTheNamesOfAnswers are those of S3's documentation: AWS's Common Runtime looks for them.
func TestTheNamesOfAnswers(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	for _, one := range []struct{ method, target, want string }{
		{http.MethodPost, "/k?uploads", "InitiateMultipartUploadResult"},
		{http.MethodGet, "?uploads", "ListMultipartUploadsResult"},
		{http.MethodGet, "?versions", "ListVersionsResult"},
		{http.MethodGet, "?versions&encoding-type=url", "ListVersionsResult"},
		{http.MethodGet, "?list-type=2", "ListBucketResult"},
	} {
		answer := httptest.NewRecorder()
		s.server.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), one.method, "/"+bucket+one.target, nil))
		var root struct{ XMLName xml.Name }
		if err := xml.Unmarshal(answer.Body.Bytes(), &root); err != nil || root.XMLName.Local != one.want {
			t.Errorf("%s %s is answered with %s, %v, want %s", one.method, one.target, root.XMLName.Local, err, one.want)
		}
	}
}

// TestASelectorIsNoValue: gofakes3 lists a bucket at GET /bucket/key?versions=1, whatever the value and the key.
func TestASelectorIsNoValue(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "k", "body")
	for _, name := range []string{
		"versions", "uploads", "uploadId", "versioning", "location", "delete", "acl", "tagging", "attributes", "policy", "policyStatus", "cors", "encryption",
		"lifecycle", "ownershipControls", "publicAccessBlock", "replication", "website", "object-lock", "legal-hold", "retention", "accelerate", "analytics",
		"intelligent-tiering", "inventory", "logging", "metadataTable", "metrics", "notification", "requestPayment", "restore", "select", "torrent",
	} {
		answer := httptest.NewRecorder()
		s.server.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+bucket+"/k?"+name+"=1", nil))
		said := answer.Body.String()
		switch name {
		case "acl", "tagging", "attributes", "uploadId", "legal-hold", "retention": // of objects
		default:
			if answer.Code != http.StatusNotImplemented || !strings.Contains(said, name) {
				t.Errorf("?%s=1 is answered with %d %s, want 501 and its name", name, answer.Code, said)
			}
		}
		if strings.Contains(said, "<Key>k</Key>") {
			t.Errorf("?%s=1 lists the bucket: %s", name, said)
		}
	}
}

// TestAFormWithASumIsRefused: nothing would check the sum.
func TestAFormWithASumIsRefused(t *testing.T) {
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
		answer := httptest.NewRecorder()
		s.server.ServeHTTP(answer, r)
		if answer.Code != http.StatusNotImplemented || !strings.Contains(answer.Body.String(), strings.ToLower(field)) || len(s.keys(t)) > 0 {
			t.Errorf("a form with %s is answered with %d %s", field, answer.Code, answer.Body)
		}
	}
}
