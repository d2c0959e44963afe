package s3

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"

	"github.com/rclone/gofakes3"
)

// maxTrailer bounds what may follow the last chunk of a body. A checksum and a signature have 200 bytes.
const maxTrailer = 8 << 10

// payload reads the body of a request without its framing, and checks it against what the client
// says of it: length, SHA-256 and checksum. Its last Read returns io.EOF only if all of it is right.
//
// The values of x-amz-content-sha256 are described in
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html. Signatures are not verified.
type payload struct {
	body     io.Reader
	chunked  *bufio.Reader // the same body with its framing, if it is aws-chunked
	size     int64         // or unknownSize
	begun    bool
	read     int64
	sha256   hash.Hash
	wanted   []byte // the SHA-256 that the client says
	checksum *checksum
}

// newPayload returns the payload of a request. Checksum headers are the body's only where the body
// is an object's or a part's: in other operations gofakes3 reads them.
func newPayload(r *http.Request, stored bool) (*payload, error) {
	p := &payload{body: r.Body, size: r.ContentLength}
	if err := p.unframe(r.Header.Get("X-Amz-Content-Sha256")); err != nil {
		return nil, err
	}
	if err := p.measure(r.Header.Get("X-Amz-Decoded-Content-Length")); err != nil {
		return nil, err
	}
	var err error
	p.checksum, err = requestChecksum(r.Header, stored)
	return p, err
}

// unframe chooses how the body is read, by the value of x-amz-content-sha256.
func (p *payload) unframe(kind string) error {
	switch kind {
	case "", "UNSIGNED-PAYLOAD":
		return nil
	case "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
		"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER":
		p.chunked = bufio.NewReader(p.body)
		p.body = httputil.NewChunkedReader(p.chunked)
		return nil
	}
	sum, err := hex.DecodeString(kind)
	if err != nil || len(sum) != sha256.Size {
		return gofakes3.ErrorInvalidArgument("x-amz-content-sha256", kind,
			"x-amz-content-sha256 is UNSIGNED-PAYLOAD, a STREAMING- value that S3 documents, or the SHA-256 of the body in 64 hex digits.")
	}
	p.wanted, p.sha256 = sum, sha256.New()
	return nil
}

// measure sets the length of the body without its framing.
func (p *payload) measure(decoded string) error {
	if decoded == "" {
		if p.chunked != nil {
			return gofakes3.ErrorMessage(gofakes3.ErrMissingContentLength,
				"An aws-chunked body needs the length of what it frames in x-amz-decoded-content-length.")
		}
		return nil
	}
	size, err := strconv.ParseInt(decoded, 10, 64)
	if err != nil || size < 0 {
		return gofakes3.ErrorInvalidArgument("x-amz-decoded-content-length", decoded,
			"x-amz-decoded-content-length is the number of bytes of the object or part.")
	}
	p.size = size
	return nil
}

// replace makes the payload the body of a request, which has no framing then.
func (p *payload) replace(r *http.Request) {
	r.Body = io.NopCloser(p)
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	if r.Header.Get("X-Amz-Decoded-Content-Length") != "" || r.Header.Get("Content-Length") != "" {
		setLength(r, p.size)
	}
	r.Header.Del("X-Amz-Decoded-Content-Length")
}

func setLength(r *http.Request, n int64) {
	r.ContentLength, r.TransferEncoding = n, nil
	r.Header.Set("Content-Length", strconv.FormatInt(n, 10))
}

// Read implements io.Reader.
func (p *payload) Read(b []byte) (int, error) {
	p.begun = true
	n, err := p.body.Read(b)
	p.read += int64(n)
	if p.sha256 != nil {
		_, _ = p.sha256.Write(b[:n])
	}
	if p.checksum != nil {
		_, _ = p.checksum.Write(b[:n])
	}
	switch {
	case p.size != unknownSize && p.read > p.size:
		err = p.wrongLength("more")
	case errors.Is(err, io.EOF):
		err = p.check()
	case err != nil && p.chunked != nil:
		err = gofakes3.ErrorMessagef(gofakes3.ErrIncompleteBody,
			"The aws-chunked body breaks off or is malformed after %d bytes: %v.", p.read, err)
	}
	return n, err
}

func (p *payload) wrongLength(than string) error {
	return gofakes3.ErrorMessagef(gofakes3.ErrIncompleteBody, "The body has %s than the %d bytes that its headers say.", than, p.size)
}

// check returns io.EOF if a body that ended is what the client says of it.
func (p *payload) check() error {
	if p.size != unknownSize && p.read < p.size {
		return p.wrongLength("fewer")
	}
	if p.sha256 != nil && !bytes.Equal(p.sha256.Sum(nil), p.wanted) {
		return refuse("XAmzContentSHA256Mismatch", gofakes3.ErrInvalidRequest,
			"The body has the SHA-256 %x, and x-amz-content-sha256 says %x: the body was changed on its way.", p.sha256.Sum(nil), p.wanted)
	}
	if p.chunked != nil {
		if err := p.readTrailer(); err != nil {
			return err
		}
	}
	if p.checksum == nil {
		return io.EOF
	}
	if p.checksum.trailing && p.checksum.value == "" {
		return malformedTrailer("it lacks %s, which x-amz-trailer announces", p.checksum.name())
	}
	return cmp.Or(p.checksum.check(), io.EOF)
}

// readTrailer reads what follows the last chunk: the checksum that the headers announce, its signature, and the end.
func (p *payload) readTrailer() error {
	text, err := io.ReadAll(io.LimitReader(p.chunked, maxTrailer+1))
	if err != nil {
		return err
	}
	if len(text) > maxTrailer {
		return malformedTrailer("it has more than %d bytes", maxTrailer)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		name = http.CanonicalHeaderKey(strings.TrimSpace(name))
		switch {
		case name == "X-Amz-Trailer-Signature":
		case p.checksum == nil || !p.checksum.trailing || p.checksum.header != name || p.checksum.value != "":
			return malformedTrailer("x-amz-trailer does not announce its line %q, or it is there twice", line)
		default:
			p.checksum.value = strings.TrimSpace(value)
		}
	}
	return nil
}

func malformedTrailer(format string, values ...any) error {
	return refuse("MalformedTrailerError", gofakes3.ErrInvalidRequest, "The trailer of the body cannot be taken: "+format+".", values...)
}

// verify reads to the end of the payload and returns what is wrong with it. gofakes3 reads only as
// many bytes as the headers say, and the end is where a body shows that it is longer, or has a
// wrong checksum.
func (p *payload) verify() error {
	_, err := io.Copy(io.Discard, p)
	return err
}
