package s3_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// entries reads a whole listing, page by page: keys, and groups with a ">" before them.
func (s *stand) entries(t *testing.T, prefix, delimiter, after string, size int32) []string {
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
		if n := len(page.Contents) + len(page.CommonPrefixes); n > int(size) || n != int(aws.ToInt32(page.KeyCount)) || n == 0 && aws.ToBool(page.IsTruncated) {
			t.Fatalf("a page of at most %d entries has %d, and says %d", size, n, aws.ToInt32(page.KeyCount))
		}
		var entries []string
		for _, o := range page.Contents {
			entries = append(entries, *o.Key)
		}
		for _, p := range page.CommonPrefixes {
			entries = append(entries, ">"+*p.Prefix)
		}
		slices.SortFunc(entries, func(a, b string) int { return strings.Compare(strings.TrimPrefix(a, ">"), strings.TrimPrefix(b, ">")) })
		all = append(all, entries...)
	}
	return all
}

func TestListing(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	for _, key := range []string{"b", "a/2", "a/1", "a/x/1", "a/x/2", "a/y/", "/root", "a", "c/d/e/f", "ab", "ä/1", "a-1", "B", "a.1"} {
		s.put(t, key, "x")
	}
	tests := []struct {
		name, prefix, delimiter, after string
		want                           []string
	}{
		{"everything, by bytes", "", "", "", []string{"/root", "B", "a", "a-1", "a.1", "a/1", "a/2", "a/x/1", "a/x/2", "a/y/", "ab", "b", "c/d/e/f", "ä/1"}},
		{"a prefix", "a/", "", "", []string{"a/1", "a/2", "a/x/1", "a/x/2", "a/y/"}},
		{"a prefix in the middle of a name", "a", "", "", []string{"a", "a-1", "a.1", "a/1", "a/2", "a/x/1", "a/x/2", "a/y/", "ab"}},
		{"a prefix of nothing", "z", "", "", nil},
		{"the top folder", "", "/", "", []string{">/", "B", "a", "a-1", "a.1", ">a/", "ab", "b", ">c/", ">ä/"}},
		{"a folder", "a/", "/", "", []string{"a/1", "a/2", ">a/x/", ">a/y/"}},
		{"names that begin so", "a", "/", "", []string{"a", "a-1", "a.1", ">a/", "ab"}},
		{"a deep folder", "c/d/", "/", "", []string{">c/d/e/"}},
		{"a folder without its slash", "c/d", "/", "", []string{">c/d/"}},
		{"the folder with no name", "/", "/", "", []string{"/root"}},
		{"another delimiter", "", "x/", "", []string{"/root", "B", "a", "a-1", "a.1", "a/1", "a/2", ">a/x/", "a/y/", "ab", "b", "c/d/e/f", "ä/1"}},
		{"after a key", "", "", "a/x/1", []string{"a/x/2", "a/y/", "ab", "b", "c/d/e/f", "ä/1"}},
		{"after what is no key", "", "", "a/x/11", []string{"a/x/2", "a/y/", "ab", "b", "c/d/e/f", "ä/1"}},
		{"after a key before the prefix", "b", "", "a", []string{"b"}},
		{"after a key behind the prefix", "a", "", "b", nil},
		{"after a key, in folders", "", "/", "ab", []string{"b", ">c/", ">ä/"}},
		{"after a key inside a folder", "", "/", "a/x", []string{">a/", "ab", "b", ">c/", ">ä/"}},
	}
	for _, test := range tests {
		for _, size := range []int32{1, 2, 3, 1000} {
			if got := s.entries(t, test.prefix, test.delimiter, test.after, size); !slices.Equal(got, test.want) {
				t.Errorf("%s, %d a page:\n got %q\nwant %q", test.name, size, got, test.want)
			}
		}
	}
}

// TestListingOfTheFirstVersion pages as clients do that are older than ListObjectsV2.
func TestListingOfTheFirstVersion(t *testing.T) {
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

func TestAListedObject(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "k", "body")
	out, err := s.ListObjectsV2(t.Context(), &client.ListObjectsV2Input{Bucket: aws.String(bucket)})
	if err != nil || len(out.Contents) != 1 {
		t.Fatalf("ListObjectsV2 = %+v, %v", out, err)
	}
	o := out.Contents[0]
	if *o.Key != "k" || *o.Size != 4 || *o.ETag != `"`+etag("body")+`"` || o.StorageClass != types.ObjectStorageClassStandard || o.LastModified.IsZero() {
		t.Errorf("the object is listed as %+v", o)
	}
}

func TestManyAreDeletedAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	doomed := []types.ObjectIdentifier{{Key: aws.String("not there")}}
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
		t.Errorf("%q are left, want only what was not deleted", left)
	}
}
