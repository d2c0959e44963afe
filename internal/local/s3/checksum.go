package s3

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"strings"

	"github.com/rclone/gofakes3"
)

// checksumPrefix begins the headers, and the metadata of an object, that hold a checksum.
const checksumPrefix = "X-Amz-Checksum-"

// crc64NVME is the polynomial of CRC-64/NVME, reversed.
const crc64NVME = 0x9a6c9329ac4bc9b5

// newHash returns the hash of an algorithm as S3's headers name it, or nil.
func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "crc32":
		return crc32.NewIEEE()
	case "crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "crc64nvme":
		return crc64.New(crc64.MakeTable(crc64NVME))
	case "md5":
		return md5.New()
	case "sha1":
		return sha1.New()
	case "sha256":
		return sha256.New()
	case "sha512":
		return sha512.New()
	}
	return nil
}

// checksum checks a body against the client's own sum.
type checksum struct {
	hash.Hash
	header   string // in canonical form
	value    string // as the client wrote it: base64
	trailing bool   // the value follows the body
}

// name returns the header as S3's documentation writes it.
func (c *checksum) name() string { return strings.ToLower(c.header) }

func (c *checksum) algorithm() string {
	return strings.TrimPrefix(c.name(), strings.ToLower(checksumPrefix))
}

// requestChecksum returns the checksum of a body, or nil. The headers announce it for the trailer.
// Where the body is stored, they may have its value instead: of other bodies gofakes3 checks that.
func requestChecksum(h http.Header, stored bool) (*checksum, error) {
	found := announced(h)
	if stored {
		found = append(found, sent(h)...)
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], found[0].prepare(h.Get("X-Amz-Sdk-Checksum-Algorithm"))
	}
	return nil, gofakes3.ErrorMessage(gofakes3.ErrInvalidRequest,
		"The request has several checksums: send one x-amz-checksum- header or trailer.")
}

// announced returns the checksums that follow the body.
func announced(h http.Header) (all []*checksum) {
	for name := range strings.SplitSeq(strings.Join(h.Values("X-Amz-Trailer"), ","), ",") {
		if name = strings.TrimSpace(name); name != "" {
			all = append(all, &checksum{header: http.CanonicalHeaderKey(name), trailing: true})
		}
	}
	return all
}

// sent takes the checksums out of the headers, so that gofakes3 does not check them a second time.
func sent(h http.Header) (all []*checksum) {
	for name, values := range h {
		algorithm, ok := strings.CutPrefix(name, checksumPrefix)
		if !ok {
			continue
		}
		delete(h, name)
		if algorithm == "Algorithm" || algorithm == "Type" || algorithm == "Mode" {
			continue // describes a checksum
		}
		for _, value := range values {
			all = append(all, &checksum{header: name, value: value})
		}
	}
	return all
}

// prepare checks the form of a checksum before the body is read.
func (c *checksum) prepare(declared string) error {
	if c.Hash = newHash(c.algorithm()); c.Hash == nil {
		return gofakes3.ErrorMessagef(gofakes3.ErrInvalidRequest,
			"The local S3 does not know the checksum %s: use crc32, crc32c, crc64nvme, md5, sha1, sha256 or sha512.", c.name())
	}
	if declared != "" && !strings.EqualFold(declared, c.algorithm()) {
		return gofakes3.ErrorMessagef(gofakes3.ErrInvalidRequest,
			"x-amz-sdk-checksum-algorithm is %s, and the checksum is in %s: they have to agree.", declared, c.name())
	}
	if c.trailing {
		return nil
	}
	_, err := c.decoded()
	return err
}

func (c *checksum) decoded() ([]byte, error) {
	sum, err := base64.StdEncoding.DecodeString(c.value)
	if err != nil || len(sum) != c.Size() {
		return nil, gofakes3.ErrorMessagef(gofakes3.ErrInvalidRequest,
			"The value %q of %s is not %d bytes in base64.", c.value, c.name(), c.Size())
	}
	return sum, nil
}

// check compares the checksum with the body that was read.
func (c *checksum) check() error {
	want, err := c.decoded()
	if err == nil && !bytes.Equal(c.Sum(nil), want) {
		err = gofakes3.ErrorMessagef(gofakes3.ErrBadDigest,
			"The body has another %s than the client calculated: it was changed or cut on its way.", strings.ToUpper(c.algorithm()))
	}
	return err
}
