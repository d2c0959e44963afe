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

// maxTrailer is the maximum size in bytes of the trailer after the last chunk. A checksum and a signature take 200
// bytes.
const maxTrailer = 8 << 10

// payload reads the body of a request without its framing, and compares it with the length, SHA-256 and checksum that
// the client sent. Its last Read returns io.EOF only if everything agrees. It does not verify signatures.
//
// For the values of x-amz-content-sha256 see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html.
type payload struct {
	body       io.Reader
	chunked    *bufio.Reader // the same body with its framing; nil if the body is not aws-chunked
	size       int64         // the declared size without framing in bytes, or unknownSize
	started    bool
	read       int64
	sha256     hash.Hash
	wantSHA256 []byte // the SHA-256 that the client sent; nil if it sent none
	checksum   *checksum
}

// newPayload returns the payload of a request, or S3's error for invalid headers. If stored is true, the body becomes
// an object or a part, and the payload takes its checksum headers. gofakes3 reads those of other operations.
func newPayload(r *http.Request, stored bool) (*payload, error) {
	p := &payload{body: r.Body, size: r.ContentLength}
	if err := p.setFraming(r.Header.Get("X-Amz-Content-Sha256")); err != nil {
		return nil, err
	}
	if err := p.setSize(r.Header.Get("X-Amz-Decoded-Content-Length")); err != nil {
		return nil, err
	}
	var err error
	p.checksum, err = requestChecksum(r.Header, stored)
	return p, err
}

// setFraming sets the framing and the expected SHA-256 of the body. The argument is the value of x-amz-content-sha256.
func (p *payload) setFraming(kind string) error {
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
			"x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- value that S3 documents, "+
				"or the SHA-256 of the body in 64 hex digits.")
	}
	p.wantSHA256, p.sha256 = sum, sha256.New()
	return nil
}

// setSize sets the size of the body without its framing. The argument is the value of x-amz-decoded-content-length.
func (p *payload) setSize(decoded string) error {
	if decoded == "" {
		if p.chunked != nil {
			return gofakes3.ErrorMessage(gofakes3.ErrMissingContentLength,
				"An aws-chunked body needs the header x-amz-decoded-content-length, which is the length without the framing.")
		}
		return nil
	}
	size, err := strconv.ParseInt(decoded, 10, 64)
	if err != nil || size < 0 {
		return gofakes3.ErrorInvalidArgument("x-amz-decoded-content-length", decoded,
			"x-amz-decoded-content-length must be the number of bytes of the object or part.")
	}
	p.size = size
	return nil
}

// replaceBody makes the payload the body of a request, and changes the headers to those of a body without framing.
func (p *payload) replaceBody(r *http.Request) {
	r.Body = io.NopCloser(p)
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	if r.Header.Get("X-Amz-Decoded-Content-Length") != "" || r.Header.Get("Content-Length") != "" {
		setLength(r, p.size)
	}
	r.Header.Del("X-Amz-Decoded-Content-Length")
}

// setLength sets the length of the body of a request in bytes.
func setLength(r *http.Request, n int64) {
	r.ContentLength, r.TransferEncoding = n, nil
	r.Header.Set("Content-Length", strconv.FormatInt(n, 10))
}

// Read implements io.Reader.
func (p *payload) Read(b []byte) (int, error) {
	p.started = true
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
		err = p.lengthError("more")
	case errors.Is(err, io.EOF):
		err = p.check()
	case err != nil && p.chunked != nil:
		err = gofakes3.ErrorMessagef(gofakes3.ErrIncompleteBody,
			"The aws-chunked body ends early or is malformed after %d bytes: %v.", p.read, err)
	}
	return n, err
}

// lengthError returns IncompleteBody. The argument is "more" or "fewer".
func (p *payload) lengthError(than string) error {
	return gofakes3.ErrorMessagef(gofakes3.ErrIncompleteBody, "The body has %s than the %d bytes that its headers declare.", than, p.size)
}

// check is called at the end of the body. It returns io.EOF if the body agrees with its headers and trailer.
func (p *payload) check() error {
	if p.size != unknownSize && p.read < p.size {
		return p.lengthError("fewer")
	}
	if p.sha256 != nil && !bytes.Equal(p.sha256.Sum(nil), p.wantSHA256) {
		return newStatusError("XAmzContentSHA256Mismatch", gofakes3.ErrInvalidRequest,
			"The body has the SHA-256 %x, but x-amz-content-sha256 is %x: the body changed in transit.", p.sha256.Sum(nil), p.wantSHA256)
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

// readTrailer reads the lines after the last chunk: the checksum that the headers announce, and the signature of the
// trailer. It returns MalformedTrailerError for any other line.
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
			return malformedTrailer("x-amz-trailer does not announce its line %q, or the line occurs twice", line)
		default:
			p.checksum.value = strings.TrimSpace(value)
		}
	}
	return nil
}

// malformedTrailer returns S3's MalformedTrailerError. The format continues the sentence after a colon.
func malformedTrailer(format string, values ...any) error {
	return newStatusError("MalformedTrailerError", gofakes3.ErrInvalidRequest, "The trailer of the body is malformed: "+format+".", values...)
}

// verify reads the payload to its end and returns the error that Read finds there. It is needed because gofakes3 stops
// after the declared number of bytes, and only the end shows that a body is too long or has a wrong checksum.
func (p *payload) verify() error {
	_, err := io.Copy(io.Discard, p)
	return err
}
