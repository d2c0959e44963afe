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

// lengthSize is the size of the last field of an object's file, in bytes.
//
// The file of an object is its body, then its record as JSON, then the length of the JSON as a big-endian number. The
// record is at the end because size and hash are known only after the body, and because any tool then finds the body at
// the start. The file is written in another folder and renamed, so body and record change together.
const lengthSize = 8

// maxRecord is the maximum size of a record in bytes. It limits the memory that a damaged file can take. A real record
// has a key of at most 1 KB and a few KB of metadata.
const maxRecord = 16 << 20

// unknownSize stands for the size of a body without a declared length. net/http uses the same value.
const unknownSize = -1

// record holds the metadata of an object.
type record struct {
	Key       string            `json:"key"`
	Size      int64             `json:"size"` // in bytes
	MD5       []byte            `json:"md5"`
	Sequencer string            `json:"sequencer"`
	Modified  time.Time         `json:"modified"`
	Metadata  map[string]string `json:"metadata,omitempty"`
	PartSizes []int64           `json:"partSizes,omitempty"` // only for an object from a multipart upload
}

func (r record) etag() string { return hex.EncodeToString(r.MD5) }

// fileName returns the name of an object's file, which is a hash of its key. A key cannot be a file name: it may be too
// long, differ from another key only in case, or be "..".
func fileName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// draft is a file that is still being written. Its owner either publishes or discards it.
type draft struct {
	file *os.File
	hash hash.Hash // the MD5 of the body
	size int64     // of the body so far, in bytes
}

func newDraft(folder string) (*draft, error) {
	file, err := os.CreateTemp(folder, "") // CreateTemp uses private.FileMode
	if err != nil {
		return nil, err
	}
	return &draft{file: file, hash: md5.New()}, nil
}

// fill appends a body to the draft. It returns IncompleteBody if the body does not have the given size; a negative
// size is unknown. It also verifies the body of the request, which is a different one when the request copies an
// object.
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

// publish renames the draft to the given name. For an object it first appends the record; r is nil for a part.
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

// discard removes the draft. It does nothing after publish.
func (d *draft) discard() {
	_ = d.file.Close()
	_ = os.Remove(d.file.Name())
}

// readRecord reads the record from the file of an object. It returns an error if the file is not complete, or if its
// name is not that of the record's key.
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
	text, err := recordJSON(file, info.Size())
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if body := info.Size() - lengthSize - int64(len(text)); err == nil && (r.Size != body || fileName(r.Key) != filepath.Base(name)) {
		err = fmt.Errorf("it holds %d bytes, and its record describes an object of %d bytes with the key %q", body, r.Size, r.Key)
	}
	if err != nil {
		return r, fmt.Errorf("%s is not a complete object file: remove it: %w", name, err)
	}
	return r, nil
}

// recordJSON returns the record at the end of a file of the given size, as JSON.
func recordJSON(file io.ReaderAt, size int64) ([]byte, error) {
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
