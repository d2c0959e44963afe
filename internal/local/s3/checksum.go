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

// checksumPrefix is the prefix of the headers that hold a checksum. The metadata of an object uses the same names.
const checksumPrefix = "X-Amz-Checksum-"

// crc64NVME is the polynomial of CRC-64/NVME, reversed.
const crc64NVME = 0x9a6c9329ac4bc9b5

// newHash returns the hash for an algorithm. It returns nil for an unknown algorithm. Names are those in S3's headers.
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

// checksum computes the checksum of a body and compares it with the value that the client sent.
type checksum struct {
	hash.Hash
	header   string // the name of the header or trailer, in canonical form
	value    string // the client's value in base64; "" until a trailer is read
	trailing bool   // the value is in the trailer, after the body
}

// name returns the header in lower case, as S3's documentation writes it.
func (c *checksum) name() string { return strings.ToLower(c.header) }

// algorithm returns the name of the algorithm in lower case, such as crc32.
func (c *checksum) algorithm() string {
	return strings.TrimPrefix(c.name(), strings.ToLower(checksumPrefix))
}

// requestChecksum returns the checksum of a body, or nil if the client sent none. The headers contain its value, or
// they announce it for the trailer. Values in headers are used only if the body is stored: gofakes3 checks those of
// other bodies. It returns InvalidRequest for more than one checksum, an unknown algorithm or a malformed value.
func requestChecksum(h http.Header, stored bool) (*checksum, error) {
	found := trailerChecksums(h)
	if stored {
		found = append(found, takeHeaderChecksums(h)...)
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], found[0].prepare(h.Get("X-Amz-Sdk-Checksum-Algorithm"))
	}
	return nil, gofakes3.ErrorMessage(gofakes3.ErrInvalidRequest,
		"The request has several checksums: send only one x-amz-checksum- header or trailer.")
}

// trailerChecksums returns the checksums that x-amz-trailer announces.
func trailerChecksums(h http.Header) (all []*checksum) {
	for name := range strings.SplitSeq(strings.Join(h.Values("X-Amz-Trailer"), ","), ",") {
		if name = strings.TrimSpace(name); name != "" {
			all = append(all, &checksum{header: http.CanonicalHeaderKey(name), trailing: true})
		}
	}
	return all
}

// takeHeaderChecksums returns the checksums in the headers, and removes them so that gofakes3 does not check them
// again.
func takeHeaderChecksums(h http.Header) (all []*checksum) {
	for name, values := range h {
		algorithm, ok := strings.CutPrefix(name, checksumPrefix)
		if !ok {
			continue
		}
		delete(h, name)
		if algorithm == "Algorithm" || algorithm == "Type" || algorithm == "Mode" {
			continue // describes a checksum, and is none
		}
		for _, value := range values {
			all = append(all, &checksum{header: name, value: value})
		}
	}
	return all
}

// prepare checks everything about a checksum that can be checked before the body is read. The argument is the value of
// x-amz-sdk-checksum-algorithm, or "".
func (c *checksum) prepare(declared string) error {
	if c.Hash = newHash(c.algorithm()); c.Hash == nil {
		return gofakes3.ErrorMessagef(gofakes3.ErrInvalidRequest,
			"The local S3 does not know the checksum %s: use crc32, crc32c, crc64nvme, md5, sha1, sha256 or sha512.", c.name())
	}
	if declared != "" && !strings.EqualFold(declared, c.algorithm()) {
		return gofakes3.ErrorMessagef(gofakes3.ErrInvalidRequest,
			"x-amz-sdk-checksum-algorithm is %s, but the checksum is in %s: the algorithms must agree.", declared, c.name())
	}
	if c.trailing {
		return nil
	}
	_, err := c.decoded()
	return err
}

// decoded returns the client's value as bytes. It returns InvalidRequest if the value is malformed.
func (c *checksum) decoded() ([]byte, error) {
	sum, err := base64.StdEncoding.DecodeString(c.value)
	if err != nil || len(sum) != c.Size() {
		return nil, gofakes3.ErrorMessagef(gofakes3.ErrInvalidRequest,
			"The value %q of %s is invalid: it must be %d bytes in base64.", c.value, c.name(), c.Size())
	}
	return sum, nil
}

// check returns BadDigest if the body that was read has another checksum.
func (c *checksum) check() error {
	want, err := c.decoded()
	if err == nil && !bytes.Equal(c.Sum(nil), want) {
		err = gofakes3.ErrorMessagef(gofakes3.ErrBadDigest,
			"The %s of the body differs from the value that the client sent: the body changed in transit.", strings.ToUpper(c.algorithm()))
	}
	return err
}
