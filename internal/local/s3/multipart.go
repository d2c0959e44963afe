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

// minPartSize is the minimum size of a part in bytes. The last part may be smaller.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const minPartSize = 5 << 20

// uploads holds the multipart uploads of this process. The parts are files, but the list of uploads is only in memory,
// because gofakes3 keeps its own list in memory too. So an upload ends with the process.
type uploads struct {
	mu   sync.Mutex
	byID map[gofakes3.UploadID]*upload
}

// upload is one multipart upload.
type upload struct {
	folder   string // of the files of its parts
	metadata map[string]string

	mu        sync.Mutex   // held while the object is written, so that it is written once
	ended     bool         // completed or aborted: accepts no more parts
	completed *record      // the object; nil before the upload is completed
	parts     map[int]part // by part number
}

// part is one part of an upload, in its own file.
type part struct {
	file string
	etag string
	size int64 // in bytes
}

// get returns an upload, or NoSuchUpload.
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
func (b *backend) UploadPart(
	ctx context.Context, _, _ string, id gofakes3.UploadID, number int, size int64, body io.Reader,
) (string, error) {
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

// spool writes the body of a part to a draft and makes the draft the body of the request. gofakes3 needs the length
// of a part before it reads the part, and a body in HTTP chunks has none. The caller discards the draft.
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

// CompleteMultipartUpload implements gofakes3.MultipartBackend. A client may repeat it after an error. After a
// success it returns the same object again, without writing it.
func (b *backend) CompleteMultipartUpload(
	ctx context.Context, bucket, key string, id gofakes3.UploadID, in *gofakes3.CompleteMultipartUploadRequest,
) (gofakes3.VersionID, string, error) {
	u, err := b.uploads.get(id)
	if err != nil {
		return "", "", err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.completed == nil {
		if err := b.complete(ctx, bucket, key, u, in); err != nil {
			return "", "", err
		}
		u.end()
	}
	return "", quoted(u.completed.etag()), nil
}

// complete joins the parts of an upload that the client chose, and creates the object from them.
func (b *backend) complete(
	ctx context.Context, bucket, key string, u *upload, in *gofakes3.CompleteMultipartUploadRequest,
) error {
	chosen, err := u.selectParts(in)
	if err != nil {
		return err
	}
	s := putInput{bucket: bucket, key: key, metadata: u.metadata}
	body := &partsReader{}
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
	u.completed = &r
	return nil
}

// selectParts returns the parts in the client's list. It returns NoSuchUpload, MalformedXML, InvalidPartOrder,
// InvalidPart or EntityTooSmall if the list does not fit the uploaded parts.
func (u *upload) selectParts(in *gofakes3.CompleteMultipartUploadRequest) ([]part, error) {
	if u.ended {
		return nil, gofakes3.ErrNoSuchUpload
	}
	if len(in.Parts) == 0 {
		return nil, gofakes3.ErrorMessage(gofakes3.ErrMalformedXML, "The list of parts is empty: a multipart upload needs at least one part.")
	}
	if !slices.IsSortedFunc(in.Parts, ascending) {
		return nil, gofakes3.ErrInvalidPartOrder
	}
	var chosen []part
	for i, wanted := range in.Parts {
		p, exists := u.parts[wanted.PartNumber]
		if !exists || strings.Trim(wanted.ETag, `"`) != p.etag {
			return nil, gofakes3.ErrorMessagef(gofakes3.ErrInvalidPart,
				"Part %d was not uploaded with the ETag %s: send the ETag that UploadPart returned.", wanted.PartNumber, wanted.ETag)
		}
		if p.size < minPartSize && i < len(in.Parts)-1 {
			return nil, newStatusError("EntityTooSmall", gofakes3.ErrInvalidRequest,
				"Part %d has %d bytes: each part except the last needs at least %d.", wanted.PartNumber, p.size, minPartSize)
		}
		chosen = append(chosen, p)
	}
	return chosen, nil
}

// ascending compares parts by number. It never returns 0, so that slices.IsSortedFunc rejects a part that is listed
// twice.
func ascending(a, b gofakes3.CompletedPart) int {
	if a.PartNumber == b.PartNumber {
		return -1 // IsSortedFunc passes the later part first
	}
	return cmp.Compare(a.PartNumber, b.PartNumber)
}

// AbortMultipartUpload implements gofakes3.MultipartBackend.
func (b *backend) AbortMultipartUpload(_ context.Context, _, _ string, id gofakes3.UploadID) error {
	u, err := b.uploads.get(id)
	if err != nil {
		return nil // already aborted
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.end()
	b.uploads.mu.Lock()
	defer b.uploads.mu.Unlock()
	delete(b.uploads.byID, id)
	return nil
}

// end marks an upload as ended and removes its parts. openBackend removes files that end cannot remove. A completed
// upload stays in the list, so that a client that missed the response can complete it again.
func (u *upload) end() {
	u.ended, u.parts = true, nil
	_ = os.RemoveAll(u.folder)
}

// partsReader reads files one after the other. It keeps one file open at a time, because an upload may have 10,000
// parts.
type partsReader struct {
	names []string // the files that are still to be read
	open  *os.File // the current file, or nil
}

func (f *partsReader) Read(p []byte) (int, error) {
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

func (f *partsReader) Close() error {
	if f.open == nil {
		return nil
	}
	file := f.open
	f.open = nil
	return file.Close()
}
