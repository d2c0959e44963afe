package s3

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/iotest"
)

// framed returns the payload of a put with an aws-chunked body.
func framed(t *testing.T, body io.Reader, length int, trailer string) *payload {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/bucket/key", body)
	r.Header.Set("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
	r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(length))
	if trailer != "" {
		r.Header.Set("X-Amz-Trailer", trailer)
	}
	p, err := newPayload(r, true)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// FuzzFraming reads arbitrary bytes as an aws-chunked body. The payload either returns an error or has the declared
// length.
func FuzzFraming(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), uint(5), false)
	f.Add([]byte("5;chunk-signature=0\r\nhello\r\n0;chunk-signature=0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"), uint(5), true)
	f.Add([]byte("ffffffffffffffff\r\nhello"), uint(5), false)
	f.Add([]byte("0\r\n\r\n"), uint(0), true)
	f.Add([]byte("5\r\nhello0\r\n"), uint(6), true)
	f.Fuzz(func(t *testing.T, raw []byte, length uint, announced bool) {
		length %= 1 << 20
		trailer := ""
		if announced {
			trailer = "x-amz-checksum-crc32"
		}
		p := framed(t, bytes.NewReader(raw), int(length), trailer)
		body, err := io.ReadAll(io.LimitReader(p, int64(length)))
		if err == nil {
			err = p.verify()
		}
		if err == nil && len(body) != int(length) {
			t.Errorf("%q is accepted as a body of %d bytes, but has %d", raw, length, len(body))
		}
		if len(body) > len(raw) || len(body) > int(length) {
			t.Errorf("%d bytes became %d, want at most %d", len(raw), len(body), length)
		}
		if again := p.verify(); (again == nil) != (err == nil) {
			t.Errorf("the second verify returns %v, and the first returned %v", again, err)
		}
	})
}

// FuzzChunks splits a body into chunks of arbitrary sizes, and reads it back.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("hello, world"), []byte{1, 2, 3}, ";chunk-signature=0")
	f.Add([]byte(""), []byte{}, "")
	f.Add(bytes.Repeat([]byte("\r\n0\r\n"), 5000), []byte{255, 1}, "")
	f.Fuzz(func(t *testing.T, body, sizes []byte, extension string) {
		if bytes.ContainsAny([]byte(extension), "\r\n") || len(extension) > 100 || extension != "" && extension[0] != ';' {
			t.Skip("not an extension")
		}
		var raw bytes.Buffer
		for rest := body; len(rest) > 0; {
			n := len(rest)
			if len(sizes) > 0 {
				// net/http refuses a body that consists mostly of framing.
				n, sizes = min(n, 40*int(sizes[0])+len(extension)+1), sizes[1:]
			}
			fmt.Fprintf(&raw, "%x%s\r\n%s\r\n", n, extension, rest[:n])
			rest = rest[n:]
		}
		sum := &checksum{header: "X-Amz-Checksum-Crc64nvme", trailing: true}
		if err := sum.prepare(""); err != nil {
			t.Fatal(err)
		}
		_, _ = sum.Write(body)
		fmt.Fprintf(&raw, "0%s\r\n%s:%s\r\n\r\n", extension, sum.header, base64.StdEncoding.EncodeToString(sum.Sum(nil)))
		for name, reader := range map[string]func(io.Reader) io.Reader{
			"whole":            func(r io.Reader) io.Reader { return r },
			"halves":           iotest.HalfReader,
			"data with io.EOF": iotest.DataErrReader,
		} {
			p := framed(t, reader(bytes.NewReader(raw.Bytes())), len(body), sum.header)
			got, err := io.ReadAll(p)
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("%s: %d bytes became %d, %v", name, len(body), len(got), err)
			}
		}
	})
}
