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

	"modeldispatch/internal/private"
)

// backend is gofakes3's storage: buckets in a folder.
//
//	buckets/<name>/objects/<hash of key>   objects
//	incoming/                              files being written, and parts; emptied at each start
//	sequencer                              see sequence
type backend struct {
	options  Options
	sequence *sequence

	// mu guards the lists, and makes a change of them one with that of the files.
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

// load lists the buckets and objects that are there. It names all damaged files at once.
func (b *backend) load() error {
	folders, err := os.ReadDir(b.path("buckets"))
	if err != nil {
		return err
	}
	var failed []error
	for _, folder := range folders {
		if !folder.IsDir() {
			continue // a file manager's
		}
		loaded := newBucket(b.bucketFolder(folder.Name()))
		failed = append(failed, loaded.load())
		b.buckets[folder.Name()] = loaded
	}
	return errors.Join(failed...)
}

func (b *backend) bucketFolder(name string) string { return filepath.Join(b.path("buckets"), name) }

// load lists the objects of a bucket's folder.
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

// source is an object to be put.
type source struct {
	bucket, key string
	metadata    map[string]string
	body        io.Reader
	size        int64 // or unknownSize
	parts       []int64
}

// create puts an object and tells of it.
func (b *backend) create(ctx context.Context, reason string, s source) (record, error) {
	r, err := b.put(ctx, s)
	if err != nil {
		return r, explained(err)
	}
	if b.options.Created == nil {
		return r, nil
	}
	// The object is there: that its client hangs up now must not keep it from being told of.
	err = b.options.Created(context.WithoutCancel(ctx), Object{
		Bucket: s.bucket, Key: s.key, ETag: r.etag(), Sequencer: r.Sequencer, Size: r.Size, Reason: reason, Time: r.Modified,
	})
	if err != nil {
		return r, gofakes3.ErrorMessagef(gofakes3.ErrInternal, "s3://%s/%s is stored, and telling of it failed: %v", s.bucket, s.key, err)
	}
	return r, nil
}

// explained is an error that tells the client what happened: gofakes3 says of errors that are not
// S3's that they are internal, and no more. Here the client's user can mend a full disk.
func explained(err error) gofakes3.Error {
	var known gofakes3.Error
	if errors.As(err, &known) {
		return known
	}
	return &gofakes3.ErrorResponse{Code: gofakes3.ErrInternal, Message: err.Error()}
}

// put writes an object. The conditions of the client's request are checked when it takes its
// place, so that of several at once one wins.
func (b *backend) put(ctx context.Context, s source) (record, error) {
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
	return r, b.place(ctx, s.bucket, d, &r)
}

// place makes a draft an object, at once for everyone. Sequencers are given in the order in which
// objects replace each other.
func (b *backend) place(ctx context.Context, name string, d *draft, r *record) error {
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

// checkKey refuses what S3 does not take for a key, and what gofakes3 lets through.
func checkKey(key string) error {
	switch {
	case key == "" || !utf8.ValidString(key):
		return gofakes3.ErrorMessage(gofakes3.ErrInvalidURI, "A key is text in UTF-8.")
	case len(key) > gofakes3.KeySizeLimit:
		return gofakes3.ResourceError(gofakes3.ErrKeyTooLong, key)
	}
	return nil
}

// bucket is a bucket that is there.
func (b *backend) bucket(name string) (*bucket, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if in := b.buckets[name]; in != nil {
		return in, nil
	}
	return nil, gofakes3.BucketNotFound(name)
}

// PutObject implements gofakes3.Backend.
func (b *backend) PutObject(ctx context.Context, bucket, key string, metadata map[string]string, body io.Reader, size int64) (gofakes3.PutObjectResult, error) {
	_, err := b.create(ctx, callOf(ctx).operation, source{bucket: bucket, key: key, metadata: metadata, body: body, size: size})
	if err == nil {
		callOf(ctx).confirm()
	}
	return gofakes3.PutObjectResult{}, err
}

// CopyObject implements gofakes3.Backend.
func (b *backend) CopyObject(ctx context.Context, fromBucket, fromKey, bucket, key string, metadata map[string]string) (gofakes3.CopyObjectResult, error) {
	from, r, err := b.open(fromBucket, fromKey)
	if err != nil {
		return gofakes3.CopyObjectResult{}, err
	}
	defer func() { _ = from.Close() }()
	copied, err := b.create(ctx, CopyObject, source{bucket: bucket, key: key, metadata: metadata, body: io.NewSectionReader(from, 0, r.Size), size: r.Size})
	return gofakes3.CopyObjectResult{ETag: quoted(copied.etag()), LastModified: gofakes3.NewContentTime(copied.Modified)}, err
}

// open opens an object's file together with its record. Whoever reads it goes on reading it when
// the object is replaced.
func (b *backend) open(name, key string) (*os.File, record, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	in := b.buckets[name]
	if in == nil {
		return nil, record{}, gofakes3.BucketNotFound(name)
	}
	r, there := in.records[key]
	if !there {
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
	r, there := in.records[key]
	if !there {
		return nil, gofakes3.KeyNotFound(key)
	}
	return describe(r), nil
}

// describe is an object without its body.
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
func (b *backend) ListBucket(ctx context.Context, name string, prefix *gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
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
	if c := callOf(ctx); !c.encoded || c.operation == listVersions { // of which gofakes3 does not encode the keys
		return list, checkNames(list)
	}
	return list, nil
}
