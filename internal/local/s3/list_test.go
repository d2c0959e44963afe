package s3_test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// entries returns a whole listing, which it reads page by page. Common prefixes begin with ">".
func (s *testServer) entries(t *testing.T, prefix, delimiter, after string, size int32) []string {
	t.Helper()
	in := &client.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: &prefix, MaxKeys: &size}
	if delimiter != "" {
		in.Delimiter = &delimiter
	}
	if after != "" {
		in.StartAfter = &after
	}
	var all []string
	for pages := client.NewListObjectsV2Paginator(s.Client, in); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n, count := len(page.Contents)+len(page.CommonPrefixes), int(aws.ToInt32(page.KeyCount))
		if n > int(size) || n != count || n == 0 && aws.ToBool(page.IsTruncated) {
			t.Fatalf("a page of at most %d entries has %d entries and the KeyCount %d", size, n, count)
		}
		var entries []string
		for _, o := range page.Contents {
			entries = append(entries, *o.Key)
		}
		for _, p := range page.CommonPrefixes {
			entries = append(entries, ">"+*p.Prefix)
		}
		slices.SortFunc(entries, func(a, b string) int {
			return strings.Compare(strings.TrimPrefix(a, ">"), strings.TrimPrefix(b, ">"))
		})
		all = append(all, entries...)
	}
	return all
}

func TestListing(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	for _, key := range []string{
		"b", "a/2", "a/1", "a/x/1", "a/x/2", "a/y/", "/root", "a", "c/d/e/f", "ab", "ä/1", "a-1", "B", "a.1",
	} {
		s.put(t, key, "x")
	}
	tests := []struct {
		name, prefix, delimiter, after string
		want                           []string
	}{
		{"all keys, sorted by bytes", "", "", "", []string{
			"/root", "B", "a", "a-1", "a.1", "a/1", "a/2", "a/x/1", "a/x/2", "a/y/", "ab", "b", "c/d/e/f", "ä/1",
		}},
		{"a prefix", "a/", "", "", []string{"a/1", "a/2", "a/x/1", "a/x/2", "a/y/"}},
		{"a prefix in the middle of a name", "a", "", "", []string{"a", "a-1", "a.1", "a/1", "a/2", "a/x/1", "a/x/2", "a/y/", "ab"}},
		{"a prefix without keys", "z", "", "", nil},
		{"the top folder", "", "/", "", []string{">/", "B", "a", "a-1", "a.1", ">a/", "ab", "b", ">c/", ">ä/"}},
		{"a folder", "a/", "/", "", []string{"a/1", "a/2", ">a/x/", ">a/y/"}},
		{"a prefix in the middle of a name, with folders", "a", "/", "", []string{"a", "a-1", "a.1", ">a/", "ab"}},
		{"a deep folder", "c/d/", "/", "", []string{">c/d/e/"}},
		{"a folder without its slash", "c/d", "/", "", []string{">c/d/"}},
		{"the folder with no name", "/", "/", "", []string{"/root"}},
		{"a longer delimiter", "", "x/", "", []string{
			"/root", "B", "a", "a-1", "a.1", "a/1", "a/2", ">a/x/", "a/y/", "ab", "b", "c/d/e/f", "ä/1",
		}},
		{"after a key", "", "", "a/x/1", []string{"a/x/2", "a/y/", "ab", "b", "c/d/e/f", "ä/1"}},
		{"after a text that is not a key", "", "", "a/x/11", []string{"a/x/2", "a/y/", "ab", "b", "c/d/e/f", "ä/1"}},
		{"after a key before the prefix", "b", "", "a", []string{"b"}},
		{"after a key that follows the prefix", "a", "", "b", nil},
		{"after a key, in folders", "", "/", "ab", []string{"b", ">c/", ">ä/"}},
		{"after a key inside a folder", "", "/", "a/x", []string{">a/", "ab", "b", ">c/", ">ä/"}},
	}
	for _, test := range tests {
		for _, size := range []int32{1, 2, 3, 1000} {
			if got := s.entries(t, test.prefix, test.delimiter, test.after, size); !slices.Equal(got, test.want) {
				t.Errorf("%s, %d entries a page:\n got %q\nwant %q", test.name, size, got, test.want)
			}
		}
	}
}

// TestListObjectsV1 reads pages as clients do that do not know ListObjectsV2.
func TestListObjectsV1(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	for i := range 5 {
		s.put(t, fmt.Sprintf("folder %d/a+b", i), "x")
		s.put(t, fmt.Sprintf("folder %d/c", i), "x")
	}
	var got []string
	in := &client.ListObjectsInput{Bucket: aws.String(bucket), Delimiter: aws.String("/"), MaxKeys: aws.Int32(2)}
	for more := true; more; {
		out, err := s.ListObjects(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range out.CommonPrefixes {
			got = append(got, *p.Prefix)
		}
		in.Marker, more = out.NextMarker, aws.ToBool(out.IsTruncated)
	}
	if want := []string{"folder 0/", "folder 1/", "folder 2/", "folder 3/", "folder 4/"}; !slices.Equal(got, want) {
		t.Errorf("the folders are %q, want %q", got, want)
	}
}

// controls lists keys with control characters. XML 1.0 can carry only the first three.
var controls = []string{"a/\r", "a/\x7f", "a/b+c %2B", "a/\x01", "a/\x1b", "a/\ufffe/x", "\x02/1", "\x02/2"}

// listing holds the elements of all kinds of listings.
type listing struct {
	XMLName                                      xml.Name
	Name, Prefix, Delimiter, EncodingType        string
	Marker, NextMarker, KeyMarker, NextKeyMarker string
	StartAfter, NextContinuationToken            string
	IsTruncated                                  bool
	Contents, Version, Upload                    []struct{ Key string }
	CommonPrefixes                               []struct{ Prefix string }
}

// list reads a listing and decodes its names. Go's parser accepts only XML 1.0 that is well-formed.
func (s *testServer) list(t *testing.T, query string) (l listing, names []string) {
	t.Helper()
	a := s.send(t, http.MethodGet, "/"+bucket+"?"+query, nil, nil)
	if err := xml.Unmarshal([]byte(a.body), &l); err != nil || a.status != http.StatusOK {
		t.Fatalf("%s: %d, %v\n%s", query, a.status, err, a.body)
	}
	for _, o := range slices.Concat(l.Contents, l.Version, l.Upload) {
		names = append(names, decoded(t, l, o.Key))
	}
	for _, p := range l.CommonPrefixes {
		names = append(names, decoded(t, l, p.Prefix))
	}
	return l, names
}

// decoded returns a name without the URL encoding of its listing.
func decoded(t *testing.T, l listing, name string) string {
	t.Helper()
	if l.EncodingType == "" {
		return name
	}
	name, err := url.QueryUnescape(name)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// TestControlCharactersAreListed lists with encoding-type=url, with which a listing can contain any key.
func TestControlCharactersAreListed(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	for _, key := range controls {
		s.put(t, key, "x")
	}
	all := slices.Sorted(slices.Values(controls))
	escaped := url.QueryEscape
	for query, want := range map[string][]string{
		"list-type=2": all,
		"":            all,
		"list-type=2&prefix=" + escaped("a/\x01"):      {"a/\x01"},
		"list-type=2&start-after=" + escaped("a/\x01"): {"a/\r", "a/\x1b", "a/b+c %2B", "a/\x7f", "a/\ufffe/x"},
		"marker=" + escaped("a/b+c %2B"):               {"a/\x7f", "a/\ufffe/x"},
		"list-type=2&delimiter=/":                      {"\x02/", "a/"},
		"list-type=2&delimiter=" + escaped("\x01"): {
			"\x02/1", "\x02/2", "a/\r", "a/\x1b", "a/b+c %2B", "a/\x7f", "a/\ufffe/x", "a/\x01",
		},
		"list-type=2&delimiter=/&prefix=a/": {
			"a/\x01", "a/\r", "a/\x1b", "a/b+c %2B", "a/\x7f", "a/\ufffe/",
		},
		"list-type=2&start-after=" + escaped("\x02/1") + "&prefix=" + escaped("\x02"): {"\x02/2"},
	} {
		l, got := s.list(t, "encoding-type=url&"+query)
		if !slices.Equal(got, want) || l.EncodingType != "url" {
			t.Errorf("%s lists %q with the encoding %q, want %q", query, got, l.EncodingType, want)
		}
	}
	l, _ := s.list(t, "encoding-type=url&list-type=2&prefix=%02&delimiter=%01&start-after=%02/1")
	if l.Prefix != "%02" || l.Delimiter != "%01" || l.StartAfter != "%02/1" {
		t.Errorf("the listing repeats its parameters as %+v", l)
	}
	// S3 does not encode the prefix in ListObjects.
	if l, _ := s.list(t, "encoding-type=url&prefix=%02&marker=%02/1"); l.Prefix != "\uFFFD" || l.Marker != "%02/1" {
		t.Errorf("ListObjects repeats its parameters as %+v", l)
	}
	if l, got := s.list(t, "encoding-type=url&delimiter=/&max-keys=1"); l.NextMarker != "%02/" || !slices.Equal(got, []string{"\x02/"}) {
		t.Errorf("a page of ListObjects has %q and the NextMarker %q", got, l.NextMarker)
	}
}

func TestControlCharactersAreListedPageByPage(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	for _, key := range controls {
		s.put(t, key, "x")
	}
	var got []string
	for token := ""; ; {
		l, names := s.list(t, "encoding-type=url&list-type=2&max-keys=1"+token)
		got = append(got, names...)
		if !l.IsTruncated {
			break
		}
		token = "&continuation-token=" + url.QueryEscape(l.NextContinuationToken)
	}
	if want := slices.Sorted(slices.Values(controls)); !slices.Equal(got, want) {
		t.Errorf("the pages list %q, want %q", got, want)
	}
}

// TestListingWithoutEncoding lists keys that XML can carry, and keys that it cannot carry.
func TestListingWithoutEncoding(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	for _, key := range append([]string{"b/\uffff"}, controls...) {
		s.put(t, key, "x")
	}
	for query, key := range map[string]string{
		"list-type=2": `"\x02/1"`, "": `"\x02/1"`, "versions": `"\x02/1"`, "versions&encoding-type=url": `"\x02/1"`,
		"delimiter=/": `"\x02/"`, "prefix=a/%01": `"a/\x01"`, "prefix=a/%EF": `"a/\ufffe/x"`, "prefix=b/": `"b/\uffff"`,
	} {
		a := s.send(t, http.MethodGet, "/"+bucket+"?"+query, nil, nil)
		if a.code != "InvalidRequest" || !strings.Contains(a.message, key) || !strings.Contains(a.message, "encoding-type=url") {
			t.Errorf("?%s: got %+v, want an error that names %s", query, a, key)
		}
	}
	for _, query := range []string{"list-type=2&prefix=a/%0D", "prefix=a/%0D", "versions&prefix=a/%0D"} {
		if _, got := s.list(t, query); !slices.Equal(got, []string{"a/\r"}) {
			t.Errorf("?%s lists %q", query, got)
		}
	}
}

// TestEncodedListingsOfVersionsAndUploads lists keys that change when they are URL-encoded.
func TestEncodedListingsOfVersionsAndUploads(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	want := []string{"a+b/1 <&>%2B", "a+b/ä", "z"}
	for _, key := range want {
		s.put(t, key, "x")
		s.begin(t, key, "x")
	}
	s.begin(t, "a+b/\x01", "x")
	for kind, want := range map[string][]string{"versions": want, "uploads": append([]string{"a+b/\x01"}, want...)} {
		if l, got := s.list(t, kind+"&encoding-type=url"); !slices.Equal(got, want) || l.EncodingType != "url" {
			t.Errorf("?%s lists %q with the encoding %q, want %q", kind, got, l.EncodingType, want)
		}
		l, got := s.list(t, kind+"&encoding-type=url&prefix=a%2B&delimiter=/")
		if !slices.Equal(got, []string{"a+b/"}) || l.Prefix != "a%2B" {
			t.Errorf("?%s lists the common prefixes %q for the prefix %q", kind, got, l.Prefix)
		}
		if l, got := s.list(t, kind+"&prefix=z"); !slices.Equal(got, []string{"z"}) || l.EncodingType != "" {
			t.Errorf("?%s without an encoding lists %q", kind, got)
		}
	}
	a := s.send(t, http.MethodGet, "/missing?versions&encoding-type=url", nil, nil)
	if a.code != "NoSuchBucket" || strings.Contains(a.body, "EncodingType") {
		t.Errorf("the versions of a missing bucket: got %+v", a)
	}
	if l, _ := s.list(t, "versions&encoding-type=url&max-keys=1"); l.NextKeyMarker != "a%2Bb/1%20%3C%26%3E%252B" {
		t.Errorf("a page of versions has the NextKeyMarker %q", l.NextKeyMarker)
	}
}

// TestControlCharactersInEveryOperation sends keys that XML cannot carry to operations whose response repeats the key.
func TestControlCharactersInEveryOperation(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	ctx, name := t.Context(), aws.String(bucket)
	for _, key := range controls {
		s.upload(t, key, "in parts")
		copied, source := aws.String(key+" copied"), aws.String(bucket+"/"+url.QueryEscape(key))
		_, err := s.CopyObject(ctx, &client.CopyObjectInput{Bucket: name, Key: copied, CopySource: source})
		if err != nil || s.get(t, *copied) != "in parts" {
			t.Errorf("CopyObject of %q: %v", key, err)
		}
		id, _ := s.begin(t, key, "x")
		if _, err := s.ListParts(ctx, &client.ListPartsInput{Bucket: name, Key: &key, UploadId: &id}); err != nil {
			t.Errorf("ListParts of %q: %v", key, err)
		}
		_, err = s.GetObject(ctx, &client.GetObjectInput{Bucket: name, Key: aws.String(key + " is missing")})
		wantError(t, fmt.Sprintf("get of a missing key after %q", key), err, "NoSuchKey", http.StatusNotFound)
		_, err = s.GetObject(ctx, &client.GetObjectInput{Bucket: name, Key: &key, IfMatch: aws.String("other")})
		wantError(t, fmt.Sprintf("get of %q with another ETag", key), err, "PreconditionFailed", http.StatusPreconditionFailed)
		a := s.send(t, http.MethodGet, "/"+bucket+"/k?partNumber="+url.QueryEscape(key), nil, nil)
		if a.code != "InvalidArgument" {
			t.Errorf("the part number %q: got %+v", key, a)
		}
		if err := s.complete(t, key, id); err == nil {
			t.Errorf("the upload of %q was completed without parts", key)
		}
	}
	// S3, too, deletes such a key only by DeleteObject: the XML of DeleteObjects cannot carry it.
	malformed := "<Delete><Object><Key>a/\x7f</Key></Object><Object><Key>a/&#x1;</Key></Object></Delete>"
	a := s.send(t, http.MethodPost, "/"+bucket+"?delete", nil, strings.NewReader(malformed))
	if a.code != "MalformedXML" || s.get(t, "a/\x7f") != "in parts" {
		t.Errorf("DeleteObjects of U+0001: got %+v", a)
	}
	var doomed []types.ObjectIdentifier
	for _, key := range controls[:3] {
		doomed = append(doomed, types.ObjectIdentifier{Key: &key})
	}
	out, err := s.DeleteObjects(ctx, &client.DeleteObjectsInput{Bucket: name, Delete: &types.Delete{Objects: doomed}})
	if err != nil || len(out.Deleted) != 3 || *out.Deleted[0].Key != "a/\r" || slices.Contains(s.keys(t), "a/\r") {
		t.Errorf("DeleteObjects = %+v, %v", out, err)
	}
}

// TestXMLObjectIsNotChanged gets an object that contains text which the server replaces in its own XML.
func TestXMLObjectIsNotChanged(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	const text = `<?xml version="1.0"?><a>&#x1;</a>`
	_, err := s.PutObject(t.Context(), &client.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader(text), ContentType: aws.String("application/xml"),
	})
	if got := s.get(t, "k"); err != nil || got != text {
		t.Errorf("the object has %q, %v", got, err)
	}
}

func TestListedObject(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "k", "body")
	out, err := s.ListObjectsV2(t.Context(), &client.ListObjectsV2Input{Bucket: aws.String(bucket)})
	if err != nil || len(out.Contents) != 1 {
		t.Fatalf("ListObjectsV2 = %+v, %v", out, err)
	}
	o := out.Contents[0]
	if *o.Key != "k" || *o.Size != 4 || *o.ETag != `"`+etag("body")+`"` ||
		o.StorageClass != types.ObjectStorageClassStandard || o.LastModified.IsZero() {
		t.Errorf("the object is listed as %+v", o)
	}
}

func TestDeleteObjects(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	doomed := []types.ObjectIdentifier{{Key: aws.String("missing")}}
	for _, key := range []string{"a+b", "a b", "ä", "<x>&"} {
		s.put(t, key, "x")
		doomed = append(doomed, types.ObjectIdentifier{Key: &key})
	}
	s.put(t, "kept", "x")
	out, err := s.DeleteObjects(t.Context(), &client.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Objects: doomed}})
	if err != nil || len(out.Deleted) != len(doomed) || len(out.Errors) != 0 {
		t.Errorf("DeleteObjects = %+v, %v", out, err)
	}
	if left := s.keys(t); !slices.Equal(left, []string{"kept"}) {
		t.Errorf("the keys %q remain, want only \"kept\"", left)
	}
}
