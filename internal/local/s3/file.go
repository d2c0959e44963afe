package s3

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/rclone/gofakes3"
)

// An object's file is its body, then its record as JSON, then the length of the record in eight
// bytes. The record comes last because what it says is known last, and because the body is then
// where any tool looks for it. The file is written elsewhere and renamed: body and record change
// together.
const lengthSize = 8

// maxRecord bounds what a damaged file can make us read. A key has 1 KB, metadata a few.
const maxRecord = 16 << 20

// unknownSize is the size of a body that ends where it ends.
const unknownSize = -1

// record is what is known of an object beside its body.
type record struct {
	Key       string            `json:"key"`
	Size      int64             `json:"size"`
	MD5       []byte            `json:"md5"`
	Sequencer string            `json:"sequencer"`
	Modified  time.Time         `json:"modified"`
	Metadata  map[string]string `json:"metadata,omitempty"`
	PartSizes []int64           `json:"partSizes,omitempty"` // of a multipart object
}

func (r record) etag() string { return hex.EncodeToString(r.MD5) }

// fileName is the name of an object's file: a hash of its key, because a key may be longer than
// file names, differ from another only in case, or be "..".
func fileName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// draft is a file that is being written.
type draft struct {
	file *os.File
	hash hash.Hash
	size int64
}

func newDraft(folder string) (*draft, error) {
	file, err := os.CreateTemp(folder, "") // with private.FileMode
	if err != nil {
		return nil, err
	}
	return &draft{file: file, hash: md5.New()}, nil
}

// fill appends a body, which has to have the given size if that is known. It fails if the body of
// the request, which may be another one, is not what the client says of it.
func (d *draft) fill(ctx context.Context, body io.Reader, size int64) error {
	n, err := io.Copy(io.MultiWriter(d.file, d.hash), body)
	d.size += n
	if err == nil {
		err = callOf(ctx).verify()
	}
	if err == nil && size >= 0 && n != size {
		return gofakes3.ErrIncompleteBody
	}
	return err
}

// publish makes the draft the file of that name, with a record if it is an object's.
func (d *draft) publish(name string, r *record) error {
	if r != nil {
		text, err := json.Marshal(r)
		if err == nil {
			_, err = d.file.Write(binary.BigEndian.AppendUint64(text, uint64(len(text))))
		}
		if err != nil {
			return err
		}
	}
	if err := d.file.Close(); err != nil {
		return err
	}
	return os.Rename(d.file.Name(), name)
}

// discard removes the draft, unless it was published.
func (d *draft) discard() {
	_ = d.file.Close()
	_ = os.Remove(d.file.Name())
}

// readRecord reads the record of an object's file.
func readRecord(name string) (r record, err error) {
	file, err := os.Open(name)
	if err != nil {
		return r, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return r, err
	}
	text, err := trailer(file, info.Size())
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if body := info.Size() - lengthSize - int64(len(text)); err == nil && (r.Size != body || fileName(r.Key) != filepath.Base(name)) {
		err = fmt.Errorf("it has %d bytes of an object of %d bytes with the key %q", body, r.Size, r.Key)
	}
	if err != nil {
		return r, fmt.Errorf("%s is not the whole file of an object, and has to be removed: %w", name, err)
	}
	return r, nil
}

func trailer(file io.ReaderAt, size int64) ([]byte, error) {
	var length [lengthSize]byte
	if _, err := file.ReadAt(length[:], max(0, size-lengthSize)); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint64(length[:])
	if n > maxRecord || int64(n) > size-lengthSize {
		return nil, errors.New("it does not end with a record")
	}
	text := make([]byte, n)
	_, err := file.ReadAt(text, size-lengthSize-int64(n))
	return text, err
}
