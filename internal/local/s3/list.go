package s3

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/rclone/gofakes3"
)

// bucket is the list of a bucket's objects, in memory.
type bucket struct {
	folder  string
	records map[string]record // by key
	keys    []string          // sorted by their bytes, as S3 lists them
}

// objects is the folder of the objects. It is apart, so that the bucket's own keeps the time at
// which it was made.
func (b *bucket) objects() string { return filepath.Join(b.folder, "objects") }

func (b *bucket) file(key string) string { return filepath.Join(b.objects(), fileName(key)) }

func newBucket(folder string) *bucket { return &bucket{folder: folder, records: map[string]record{}} }

func (b *bucket) add(r record) {
	if _, there := b.records[r.Key]; !there {
		i, _ := slices.BinarySearch(b.keys, r.Key)
		b.keys = slices.Insert(b.keys, i, r.Key)
	}
	b.records[r.Key] = r
}

func (b *bucket) remove(key string) {
	if i, there := slices.BinarySearch(b.keys, key); there {
		b.keys = slices.Delete(b.keys, i, i+1)
		delete(b.records, key)
	}
}

// list is a page of the bucket: the keys that begin with the prefix and come after the marker,
// except that those which have the delimiter behind the prefix are one entry together.
func (b *bucket) list(prefix gofakes3.Prefix, page gofakes3.ListBucketPage) *gofakes3.ObjectList {
	list := gofakes3.NewObjectList()
	i := b.first(prefix, page.Marker)
	for entries := int64(0); i < len(b.keys) && strings.HasPrefix(b.keys[i], prefix.Prefix); entries++ {
		if page.MaxKeys > 0 && entries == page.MaxKeys {
			list.IsTruncated = true
			return list
		}
		key := b.keys[i]
		if group, ok := group(key, prefix); ok {
			list.AddPrefix(group)
			list.NextMarker = group
			i = b.behind(group)
			continue
		}
		list.Add(content(b.records[key]))
		list.NextMarker = key
		i++
	}
	list.NextMarker = ""
	return list
}

// first is where a page begins. A marker that is the entry of a group stands for all its keys.
func (b *bucket) first(prefix gofakes3.Prefix, marker string) int {
	start, _ := slices.BinarySearch(b.keys, prefix.Prefix)
	if marker == "" {
		return start
	}
	i, found := slices.BinarySearch(b.keys, marker)
	if found {
		i++
	}
	if group, ok := group(marker, prefix); ok && group == marker {
		i = b.behind(marker)
	}
	return max(start, i)
}

// behind is the index behind all keys that begin with the prefix.
func (b *bucket) behind(prefix string) int {
	i, _ := slices.BinarySearchFunc(b.keys, prefix, func(key, prefix string) int {
		if strings.HasPrefix(key, prefix) {
			return -1
		}
		return strings.Compare(key, prefix)
	})
	return i
}

// group is the entry under which a key is listed when a delimiter follows the prefix in it.
func group(key string, p gofakes3.Prefix) (string, bool) {
	rest, ok := strings.CutPrefix(key, p.Prefix)
	if !ok || p.Delimiter == "" {
		return "", false
	}
	name, _, ok := strings.Cut(rest, p.Delimiter)
	return p.Prefix + name + p.Delimiter, ok
}

// checkNames returns an error if XML cannot carry a name of a listing: it has no control characters
// other than tab and line ends. S3 answers XML that is not well-formed, and gofakes3 another name.
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
		"XML cannot carry the key %q: list the objects by ListObjectsV2 with encoding-type=url.", names[i])
}

func content(r record) *gofakes3.Content {
	return &gofakes3.Content{
		Key: r.Key, LastModified: gofakes3.NewContentTime(r.Modified.UTC()), ETag: quoted(r.etag()),
		Size: r.Size, StorageClass: gofakes3.StorageStandard,
	}
}

func quoted(etag string) string { return `"` + etag + `"` }
