package s3

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/rclone/gofakes3"

	"modeldispatch/internal/private"
)

// smallestPart is how many bytes each part of an upload has at least, except the last.
const smallestPart = 5 << 20

// uploads are the multipart uploads under way. Their parts are files; that they are uploads is
// known to this process only, as gofakes3 keeps its own side of them in memory.
type uploads struct {
	mu   sync.Mutex
	byID map[gofakes3.UploadID]*upload
}

type upload struct {
	folder   string
	metadata map[string]string

	mu    sync.Mutex // held while parts are put together, so that this happens once
	ended bool
	done  *record // what it was completed to
	parts map[int]part
}

// part is one part, in a file of its own.
type part struct {
	file string
	etag string
	size int64
}

func (u *uploads) get(id gofakes3.UploadID) (*upload, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if found := u.byID[id]; found != nil {
		return found, nil
	}
	return nil, gofakes3.ErrNoSuchUpload
}

// CreateMultipartUpload implements gofakes3.MultipartBackend.
func (b *backend) CreateMultipartUpload(_ context.Context, _, key string, metadata map[string]string) (gofakes3.UploadID, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	id := gofakes3.UploadID(uuid.NewString())
	u := &upload{folder: filepath.Join(b.incoming(), string(id)), metadata: metadata, parts: map[int]part{}}
	if err := os.Mkdir(u.folder, private.FolderMode); err != nil {
		return "", err
	}
	b.uploads.mu.Lock()
	defer b.uploads.mu.Unlock()
	b.uploads.byID[id] = u
	return id, nil
}

// UploadPart implements gofakes3.MultipartBackend.
func (b *backend) UploadPart(ctx context.Context, _, _ string, id gofakes3.UploadID, number int, size int64, body io.Reader) (string, error) {
	u, err := b.uploads.get(id)
	if err != nil {
		return "", err
	}
	d, err := newDraft(b.incoming())
	if err != nil {
		return "", err
	}
	defer d.discard()
	if err := d.fill(ctx, body, size); err != nil {
		return "", err
	}
	p := part{file: filepath.Join(u.folder, strconv.Itoa(number)), etag: record{MD5: d.hash.Sum(nil)}.etag(), size: d.size}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended {
		return "", gofakes3.ErrNoSuchUpload
	}
	if err := d.publish(p.file, nil); err != nil {
		return "", err
	}
	u.parts[number] = p
	callOf(ctx).confirm()
	return quoted(p.etag), nil
}

// spool reads the body of a part to its end: gofakes3 wants to know the length of a part before.
func (b *backend) spool(r *http.Request) (*draft, error) {
	d, err := newDraft(b.incoming())
	if err != nil {
		return nil, err
	}
	if err = d.fill(r.Context(), r.Body, unknownSize); err == nil {
		_, err = d.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		d.discard()
		return nil, err
	}
	r.Body = io.NopCloser(d.file)
	setLength(r, d.size)
	return d, nil
}

// CompleteMultipartUpload implements gofakes3.MultipartBackend. After an error it can be called
// again; a second call after a success gets the same object.
func (b *backend) CompleteMultipartUpload(ctx context.Context, bucket, key string, id gofakes3.UploadID, in *gofakes3.CompleteMultipartUploadRequest) (gofakes3.VersionID, string, error) {
	u, err := b.uploads.get(id)
	if err != nil {
		return "", "", err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.done == nil {
		if err := b.complete(ctx, bucket, key, u, in); err != nil {
			return "", "", err
		}
		u.end()
	}
	return "", quoted(u.done.etag()), nil
}

// complete makes one object of an upload's parts.
func (b *backend) complete(ctx context.Context, bucket, key string, u *upload, in *gofakes3.CompleteMultipartUploadRequest) error {
	chosen, err := u.choose(in)
	if err != nil {
		return err
	}
	s := source{bucket: bucket, key: key, metadata: u.metadata}
	body := &files{}
	defer func() { _ = body.Close() }()
	for _, p := range chosen {
		body.names = append(body.names, p.file)
		s.parts = append(s.parts, p.size)
		s.size += p.size
	}
	s.body = body
	r, err := b.create(ctx, CompleteMultipartUpload, s)
	if err != nil {
		return err
	}
	u.done = &r
	return nil
}

// choose checks the client's list of parts against what it has uploaded.
func (u *upload) choose(in *gofakes3.CompleteMultipartUploadRequest) ([]part, error) {
	if u.ended {
		return nil, gofakes3.ErrNoSuchUpload
	}
	if len(in.Parts) == 0 {
		return nil, gofakes3.ErrorMessage(gofakes3.ErrMalformedXML, "An upload is completed with at least one part.")
	}
	if !slices.IsSortedFunc(in.Parts, ascending) {
		return nil, gofakes3.ErrInvalidPartOrder
	}
	var chosen []part
	for i, wanted := range in.Parts {
		p, there := u.parts[wanted.PartNumber]
		if !there || strings.Trim(wanted.ETag, `"`) != p.etag {
			return nil, gofakes3.ErrorMessagef(gofakes3.ErrInvalidPart, "Part %d was not uploaded with the ETag %s.", wanted.PartNumber, wanted.ETag)
		}
		if p.size < smallestPart && i < len(in.Parts)-1 {
			return nil, refuse("EntityTooSmall", gofakes3.ErrInvalidRequest,
				"Part %d has %d bytes, and each part but the last has at least %d.", wanted.PartNumber, p.size, smallestPart)
		}
		chosen = append(chosen, p)
	}
	return chosen, nil
}

// ascending orders parts by their numbers, and has no part equal to another.
func ascending(a, b gofakes3.CompletedPart) int {
	if a.PartNumber == b.PartNumber {
		return -1 // IsSortedFunc asks with the later one first
	}
	return cmp.Compare(a.PartNumber, b.PartNumber)
}

// AbortMultipartUpload implements gofakes3.MultipartBackend.
func (b *backend) AbortMultipartUpload(_ context.Context, _, _ string, id gofakes3.UploadID) error {
	u, err := b.uploads.get(id)
	if err != nil {
		return nil // it is gone, which is what was wanted
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.end()
	b.uploads.mu.Lock()
	defer b.uploads.mu.Unlock()
	delete(b.uploads.byID, id)
	return nil
}

// end ends an upload. Files that cannot be removed now are when the folder is opened again. One
// that was completed stays known, for clients that did not get the answer.
func (u *upload) end() {
	u.ended, u.parts = true, nil
	_ = os.RemoveAll(u.folder)
}

// files reads files one after the other, with one open at a time: an upload may have 10,000.
type files struct {
	names []string
	open  *os.File
}

func (f *files) Read(p []byte) (int, error) {
	for {
		if f.open == nil {
			if len(f.names) == 0 {
				return 0, io.EOF
			}
			file, err := os.Open(f.names[0])
			if err != nil {
				return 0, err
			}
			f.open, f.names = file, f.names[1:]
		}
		n, err := f.open.Read(p)
		if err != io.EOF {
			return n, err
		}
		if err := f.Close(); n > 0 || err != nil {
			return n, err
		}
	}
}

func (f *files) Close() error {
	if f.open == nil {
		return nil
	}
	file := f.open
	f.open = nil
	return file.Close()
}
