package s3

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/rclone/gofakes3"
)

// bucket holds the records of a bucket's objects in memory.
type bucket struct {
	folder  string
	records map[string]record // by key
	keys    []string          // sorted by bytes, which is S3's order
}

// objects returns the folder of the objects. It is inside the bucket's own folder, so that the modification time of
// the bucket's folder keeps showing when the bucket was created.
func (b *bucket) objects() string { return filepath.Join(b.folder, "objects") }

func (b *bucket) file(key string) string { return filepath.Join(b.objects(), fileName(key)) }

func newBucket(folder string) *bucket { return &bucket{folder: folder, records: map[string]record{}} }

func (b *bucket) add(r record) {
	if _, exists := b.records[r.Key]; !exists {
		i, _ := slices.BinarySearch(b.keys, r.Key)
		b.keys = slices.Insert(b.keys, i, r.Key)
	}
	b.records[r.Key] = r
}

func (b *bucket) remove(key string) {
	if i, exists := slices.BinarySearch(b.keys, key); exists {
		b.keys = slices.Delete(b.keys, i, i+1)
		delete(b.records, key)
	}
}

// list returns a page of the bucket: the keys that begin with the prefix and follow the marker. Keys that share a
// common prefix are one entry together.
func (b *bucket) list(prefix gofakes3.Prefix, page gofakes3.ListBucketPage) *gofakes3.ObjectList {
	list := gofakes3.NewObjectList()
	i := b.firstIndex(prefix, page.Marker)
	for entries := int64(0); i < len(b.keys) && strings.HasPrefix(b.keys[i], prefix.Prefix); entries++ {
		if page.MaxKeys > 0 && entries == page.MaxKeys {
			list.IsTruncated = true
			return list
		}
		key := b.keys[i]
		if common, ok := commonPrefix(key, prefix); ok {
			list.AddPrefix(common)
			list.NextMarker = common
			i = b.indexAfter(common)
			continue
		}
		list.Add(listEntry(b.records[key]))
		list.NextMarker = key
		i++
	}
	list.NextMarker = ""
	return list
}

// firstIndex returns the index of the first key of a page. A marker that is a common prefix stands for all its keys.
func (b *bucket) firstIndex(prefix gofakes3.Prefix, marker string) int {
	start, _ := slices.BinarySearch(b.keys, prefix.Prefix)
	if marker == "" {
		return start
	}
	i, found := slices.BinarySearch(b.keys, marker)
	if found {
		i++
	}
	if common, ok := commonPrefix(marker, prefix); ok && common == marker {
		i = b.indexAfter(marker)
	}
	return max(start, i)
}

// indexAfter returns the index after the last key that begins with the prefix.
func (b *bucket) indexAfter(prefix string) int {
	i, _ := slices.BinarySearchFunc(b.keys, prefix, func(key, prefix string) int {
		if strings.HasPrefix(key, prefix) {
			return -1
		}
		return strings.Compare(key, prefix)
	})
	return i
}

// commonPrefix returns the common prefix under which S3 lists a key, which ends with the first delimiter after the
// requested prefix. It returns false if the key is listed by itself.
func commonPrefix(key string, p gofakes3.Prefix) (string, bool) {
	rest, ok := strings.CutPrefix(key, p.Prefix)
	if !ok || p.Delimiter == "" {
		return "", false
	}
	name, _, ok := strings.Cut(rest, p.Delimiter)
	return p.Prefix + name + p.Delimiter, ok
}

// checkNames returns InvalidRequest if XML cannot carry a name in a listing: XML 1.0 has no control characters except
// tab and line ends, and no U+FFFE or U+FFFF. S3 would send XML that is not well-formed, and gofakes3 a different
// name.
func checkNames(list *gofakes3.ObjectList) error {
	var names []string
	for _, o := range list.Contents {
		names = append(names, o.Key)
	}
	for _, p := range list.CommonPrefixes {
		names = append(names, p.Prefix)
	}
	i := slices.IndexFunc(names, func(name string) bool {
		return strings.ContainsFunc(name, func(r rune) bool {
			return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == '\uFFFE' || r == '\uFFFF'
		})
	})
	if i < 0 {
		return nil
	}
	return gofakes3.ErrorMessagef(gofakes3.ErrInvalidRequest,
		"XML cannot carry the key %q: use ListObjectsV2 with encoding-type=url.", names[i])
}

func listEntry(r record) *gofakes3.Content {
	return &gofakes3.Content{
		Key: r.Key, LastModified: gofakes3.NewContentTime(r.Modified.UTC()), ETag: quoted(r.etag()),
		Size: r.Size, StorageClass: gofakes3.StorageStandard,
	}
}

func quoted(etag string) string { return `"` + etag + `"` }
