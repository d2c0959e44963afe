package s3

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/rclone/gofakes3"

	"modeldispatch/internal/model"
	"modeldispatch/internal/private"
)

// backend stores buckets and objects in a folder. It implements gofakes3.Backend.
//
//	buckets/<name>/objects/<hash of key>   one file for each object
//	incoming/                              drafts, and the parts of uploads; openBackend empties it
//	sequencer                              the number that sequence has reserved
type backend struct {
	options  Options
	sequence *sequence

	// mu guards buckets and their records. It is held while a file is renamed or removed, so that files and records
	// change together.
	mu      sync.RWMutex
	buckets map[string]*bucket

	uploads uploads
}

var (
	_ gofakes3.Backend          = (*backend)(nil)
	_ gofakes3.MultipartBackend = (*backend)(nil)
)

func openBackend(o Options) (*backend, error) {
	b := &backend{options: o, buckets: map[string]*bucket{}, uploads: uploads{byID: map[gofakes3.UploadID]*upload{}}}
	if err := os.RemoveAll(b.incoming()); err != nil {
		return nil, err
	}
	for _, folder := range []string{b.incoming(), b.path("buckets")} {
		if err := private.Folder(folder); err != nil {
			return nil, err
		}
	}
	var err error
	if b.sequence, err = openSequence(b.path("sequencer"), o.Now); err != nil {
		return nil, err
	}
	return b, b.load()
}

func (b *backend) path(name string) string { return filepath.Join(b.options.Folder, name) }

func (b *backend) incoming() string { return b.path("incoming") }

// load reads the records of all objects in all buckets. Its error names every damaged file.
func (b *backend) load() error {
	folders, err := os.ReadDir(b.path("buckets"))
	if err != nil {
		return err
	}
	var failed []error
	for _, folder := range folders {
		if !folder.IsDir() {
			continue // such as the .DS_Store of a file manager
		}
		loaded := newBucket(b.bucketFolder(folder.Name()))
		failed = append(failed, loaded.load())
		b.buckets[folder.Name()] = loaded
	}
	return errors.Join(failed...)
}

func (b *backend) bucketFolder(name string) string { return filepath.Join(b.path("buckets"), name) }

// load reads the records of the objects in the bucket's folder. It skips a file whose name does not
// have the length of a hash.
func (b *bucket) load() error {
	if err := private.Folder(b.objects()); err != nil {
		return err
	}
	files, err := os.ReadDir(b.objects())
	if err != nil {
		return err
	}
	var failed []error
	for _, file := range files {
		if len(file.Name()) != len(fileName("")) {
			continue
		}
		r, err := readRecord(filepath.Join(b.objects(), file.Name()))
		if err != nil {
			failed = append(failed, err)
			continue
		}
		b.add(r)
	}
	return errors.Join(failed...)
}

// putInput describes an object to put.
type putInput struct {
	bucket, key string
	metadata    map[string]string
	body        io.Reader
	size        int64   // in bytes, or unknownSize
	parts       []int64 // the sizes of the parts of an upload
}

// create puts an object and calls Options.OnCreated with the given reason.
func (b *backend) create(ctx context.Context, reason string, s putInput) (record, error) {
	r, err := b.put(ctx, s)
	if err != nil {
		return r, asS3Error(err)
	}
	if b.options.OnCreated == nil {
		return r, nil
	}
	// The object is stored: OnCreated must see it even if the client hangs up now.
	err = b.options.OnCreated(context.WithoutCancel(ctx), Object{
		Bucket: s.bucket, Key: s.key, ETag: r.etag(), Sequencer: r.Sequencer, Size: r.Size, Reason: reason, Time: r.Modified,
	})
	if err != nil {
		return r, gofakes3.ErrorMessagef(gofakes3.ErrInternal, "%s is stored, but publishing its event failed: %v",
			model.ObjectURI{Bucket: s.bucket, Key: s.key}, err)
	}
	return r, nil
}

// asS3Error converts an error to an S3 error. An error without an S3 code becomes InternalError with its text. gofakes3
// would leave the text out, but the user of the local stack can act on it, for example when the disk is full.
func asS3Error(err error) gofakes3.Error {
	var known gofakes3.Error
	if errors.As(err, &known) {
		return known
	}
	return &gofakes3.ErrorResponse{Code: gofakes3.ErrInternal, Message: err.Error()}
}

// put writes an object to a draft and commits it. It returns S3's error if the key is not allowed, the bucket does not
// exist, the body differs from its headers, or a condition of the request fails.
func (b *backend) put(ctx context.Context, s putInput) (record, error) {
	if err := checkKey(s.key); err != nil {
		return record{}, err
	}
	if _, err := b.bucket(s.bucket); err != nil {
		return record{}, err
	}
	d, err := newDraft(b.incoming())
	if err != nil {
		return record{}, err
	}
	defer d.discard()
	if err := d.fill(ctx, s.body, s.size); err != nil {
		return record{}, err
	}
	r := record{Key: s.key, Size: d.size, MD5: d.hash.Sum(nil), Metadata: maps.Clone(s.metadata), PartSizes: s.parts}
	if name, value := callOf(ctx).checksum(); name != "" {
		r.Metadata[name] = value
	}
	return r, b.commit(ctx, s.bucket, d, &r)
}

// commit makes a draft visible as an object, in one step for all readers. It holds the lock while it checks the
// conditions of the request (If-Match, If-None-Match), so one of several concurrent puts wins. The order of the
// sequencers is the order in which objects replace each other.
func (b *backend) commit(ctx context.Context, name string, d *draft, r *record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	in := b.buckets[name]
	if in == nil {
		return gofakes3.BucketNotFound(name)
	}
	before, exists := in.records[r.Key]
	if err := gofakes3.CheckWriteConditions(ctx, exists, before.etag()); err != nil {
		return err
	}
	var err error
	if r.Sequencer, err = b.sequence.next(); err != nil {
		return err
	}
	r.Modified = b.options.Now().UTC()
	if err := d.publish(in.file(r.Key), r); err != nil {
		return err
	}
	in.add(*r)
	return nil
}

// checkKey returns S3's error for a key that S3 does not allow. gofakes3 accepts some of these keys.
func checkKey(key string) error {
	switch {
	case key == "" || !utf8.ValidString(key):
		return gofakes3.ErrorMessage(gofakes3.ErrInvalidURI, "A key must be UTF-8 text of at least one byte.")
	case len(key) > gofakes3.KeySizeLimit:
		return gofakes3.ResourceError(gofakes3.ErrKeyTooLong, key)
	}
	return nil
}

// bucket returns a bucket, or NoSuchBucket.
func (b *backend) bucket(name string) (*bucket, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if in := b.buckets[name]; in != nil {
		return in, nil
	}
	return nil, gofakes3.BucketNotFound(name)
}

// PutObject implements gofakes3.Backend.
func (b *backend) PutObject(
	ctx context.Context, bucket, key string, metadata map[string]string, body io.Reader, size int64,
) (gofakes3.PutObjectResult, error) {
	_, err := b.create(ctx, callOf(ctx).operation, putInput{bucket: bucket, key: key, metadata: metadata, body: body, size: size})
	if err == nil {
		callOf(ctx).confirm()
	}
	return gofakes3.PutObjectResult{}, err
}

// CopyObject implements gofakes3.Backend.
func (b *backend) CopyObject(
	ctx context.Context, fromBucket, fromKey, bucket, key string, metadata map[string]string,
) (gofakes3.CopyObjectResult, error) {
	from, r, err := b.open(fromBucket, fromKey)
	if err != nil {
		return gofakes3.CopyObjectResult{}, err
	}
	defer func() { _ = from.Close() }()
	copied, err := b.create(ctx, CopyObject, putInput{
		bucket: bucket, key: key, metadata: metadata, body: io.NewSectionReader(from, 0, r.Size), size: r.Size,
	})
	return gofakes3.CopyObjectResult{ETag: quoted(copied.etag()), LastModified: gofakes3.NewContentTime(copied.Modified)}, err
}

// open opens the file of an object and returns its record. The caller reads the same content to the end even if the
// object is replaced meanwhile, because the file stays open. It returns NoSuchBucket or NoSuchKey.
func (b *backend) open(name, key string) (*os.File, record, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	in := b.buckets[name]
	if in == nil {
		return nil, record{}, gofakes3.BucketNotFound(name)
	}
	r, exists := in.records[key]
	if !exists {
		return nil, record{}, gofakes3.KeyNotFound(key)
	}
	file, err := os.Open(in.file(key))
	return file, r, err
}

// GetObject implements gofakes3.Backend.
func (b *backend) GetObject(_ context.Context, bucket, key string, wanted *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	file, r, err := b.open(bucket, key)
	if err != nil {
		return nil, err
	}
	part, err := wanted.Range(r.Size)
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	o := describe(r)
	o.Range = part
	section := io.NewSectionReader(file, 0, r.Size)
	if part != nil {
		section = io.NewSectionReader(file, part.Start, part.Length)
	}
	o.Contents = struct {
		io.Reader
		io.Closer
	}{section, file}
	return o, nil
}

// HeadObject implements gofakes3.Backend.
func (b *backend) HeadObject(_ context.Context, bucket, key string) (*gofakes3.Object, error) {
	in, err := b.bucket(bucket)
	if err != nil {
		return nil, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	r, exists := in.records[key]
	if !exists {
		return nil, gofakes3.KeyNotFound(key)
	}
	return describe(r), nil
}

// describe returns an object with an empty body.
func describe(r record) *gofakes3.Object {
	metadata := maps.Clone(r.Metadata)
	if metadata == nil {
		metadata = map[string]string{}
	}
	metadata["Last-Modified"] = r.Modified.UTC().Format(http.TimeFormat)
	return &gofakes3.Object{
		Name: r.Key, Metadata: metadata, Size: r.Size, Hash: r.MD5, PartSizes: r.PartSizes,
		Contents: io.NopCloser(strings.NewReader("")),
	}
}

// ListBucket implements gofakes3.Backend.
func (b *backend) ListBucket(
	ctx context.Context, name string, prefix *gofakes3.Prefix, page gofakes3.ListBucketPage,
) (*gofakes3.ObjectList, error) {
	in, err := b.bucket(name)
	if err != nil {
		return nil, err
	}
	if prefix == nil {
		prefix = &gofakes3.Prefix{}
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	list := in.list(*prefix, page)
	c := callOf(ctx)
	if !c.urlEncoded || c.operation == listVersions { // gofakes3 does not URL-encode the keys of versions
		return list, checkNames(list)
	}
	return list, nil
}
