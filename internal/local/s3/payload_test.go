package s3_test

import (
	"bufio"
	"cmp"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"modeldispatch/internal/local/s3"
)

// These are the values of x-amz-content-sha256 with which AWS's SDKs send an aws-chunked body.
const (
	unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	signed          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	signedTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	sigV4A          = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
	sigV4ATrailer   = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"
)

// chunk returns a body in aws-chunked framing, with chunks of the given size. Each chunk has the extension, and the
// trailer follows the last chunk.
func chunk(body string, size int, extension, trailer string) string {
	var text strings.Builder
	for len(body) > 0 {
		n := min(size, len(body))
		fmt.Fprintf(&text, "%x%s\r\n%s\r\n", n, extension, body[:n])
		body = body[n:]
	}
	return text.String() + "0" + extension + "\r\n" + trailer + "\r\n"
}

// sums returns the checksums of a body in base64, by algorithm.
func sums(body string) map[string]string {
	text := []byte(body)
	md, s1, s256, s512 := md5.Sum(text), sha1.Sum(text), sha256.Sum256(text), sha512.Sum512(text)
	castagnoli := crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli))
	nvme := crc64.Checksum(text, crc64.MakeTable(0x9a6c9329ac4bc9b5))
	all := map[string]string{}
	for name, sum := range map[string][]byte{
		"crc32":     binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(text)),
		"crc32c":    binary.BigEndian.AppendUint32(nil, castagnoli),
		"crc64nvme": binary.BigEndian.AppendUint64(nil, nvme),
		"md5":       md[:], "sha1": s1[:], "sha256": s256[:], "sha512": s512[:],
	} {
		all[name] = base64.StdEncoding.EncodeToString(sum)
	}
	return all
}

// bodyCase is a put of "hello, world" as one kind of client sends it, with the expected response.
type bodyCase struct {
	name    string
	kind    string // x-amz-content-sha256, or "" for no header
	body    string // the body as it is sent, with its framing
	length  string // x-amz-decoded-content-length; "" is the right length, "none" is no header
	header  map[string]string
	code    string // the S3 error code, or "" for success
	message string // a part of the error message
	echo    string // the header of the response that has the checksum
}

const (
	hello     = "hello, world"
	crcHeader = "x-amz-checksum-crc32"
	signature = ";chunk-signature=0000000000000000000000000000000000000000000000000000000000000000"
)

// crcTrailer returns a trailer with the checksum of hello.
func crcTrailer() string { return crcHeader + ":" + sums(hello)["crc32"] + "\r\n" }

// announce returns the header that announces trailers.
func announce(names string) map[string]string { return map[string]string{"x-amz-trailer": names} }

// bodyCases returns all cases.
func bodyCases() []bodyCase {
	all := slices.Concat(plainBodies(), chunkedBodies(), invalidChunks(), invalidTrailers(), headerChecksums())
	for name, value := range sums(hello) {
		header := "x-amz-checksum-" + name
		all = append(all,
			bodyCase{name: name + " in the header", body: hello, length: "none", header: map[string]string{header: value}, echo: header},
			bodyCase{
				name: name + " in the trailer", kind: unsignedTrailer, body: chunk(hello, 5, "", header+":"+value+"\r\n"),
				header: announce(header), echo: header,
			})
	}
	return all
}

// plainBodies returns bodies without framing.
func plainBodies() []bodyCase {
	sum, other := sha256.Sum256([]byte(hello)), sha256.Sum256([]byte("other"))
	return []bodyCase{
		{name: "plain", body: hello, length: "none"},
		{name: "unsigned", kind: "UNSIGNED-PAYLOAD", body: hello, length: "none"},
		{name: "with its SHA-256", kind: hex.EncodeToString(sum[:]), body: hello, length: "none"},
		{
			name: "with another SHA-256", kind: hex.EncodeToString(other[:]), body: hello, length: "none",
			code: "XAmzContentSHA256Mismatch", message: "changed in transit",
		},
		{name: "a decoded length of a plain body", body: hello},
		{
			name: "a wrong decoded length of a plain body", body: hello, length: "5",
			code: "IncompleteBody", message: "more than the 5 bytes",
		},
		{
			name: "an unknown kind", kind: "STREAMING-FUTURE-PAYLOAD", body: chunk(hello, 5, "", ""),
			code: "InvalidArgument", message: "x-amz-content-sha256",
		},
		{name: "a hash that is too short", kind: "abcd", body: hello, code: "InvalidArgument", message: "x-amz-content-sha256"},
	}
}

// chunkedBodies returns valid aws-chunked bodies.
func chunkedBodies() []bodyCase {
	plain, trailer := chunk(hello, 5, "", ""), crcTrailer()
	signedBody := chunk(hello, 5, signature, trailer+"x-amz-trailer-signature:00\r\n")
	blanks := chunk(hello, 5, "", "X-Amz-Checksum-CRC32: "+sums(hello)["crc32"]+" \r\n")
	return []bodyCase{
		{name: "signed", kind: signed, body: chunk(hello, 5, signature, "")},
		{name: "by SigV4A", kind: sigV4A, body: chunk(hello, 5, signature+signature, "")},
		{name: "signed, with a trailer", kind: signedTrailer, body: signedBody, header: announce(crcHeader), echo: crcHeader},
		{name: "by SigV4A, with a trailer", kind: sigV4ATrailer, body: signedBody, header: announce(crcHeader), echo: crcHeader},
		{name: "unsigned chunks", kind: unsignedTrailer, body: plain},
		{
			name: "one chunk", kind: unsignedTrailer, body: chunk(hello, 100, "", trailer),
			header: announce(crcHeader), echo: crcHeader,
		},
		{name: "spaces in the trailer", kind: unsignedTrailer, body: blanks, header: announce(crcHeader), echo: crcHeader},
		{name: "no line end after the last line", kind: unsignedTrailer, body: strings.TrimSuffix(plain, "\r\n")},
		{
			name: "an announced algorithm that the SDK names too", kind: unsignedTrailer, body: chunk(hello, 5, "", trailer),
			header: map[string]string{"x-amz-trailer": crcHeader, "x-amz-sdk-checksum-algorithm": "CRC32"}, echo: crcHeader,
		},
	}
}

// invalidChunks returns aws-chunked bodies with a wrong length or malformed chunks.
func invalidChunks() []bodyCase {
	plain := chunk(hello, 5, "", "")
	all := []bodyCase{
		{name: "no decoded length", length: "none", code: "MissingContentLength", message: "x-amz-decoded-content-length"},
		{name: "a negative decoded length", length: "-5", code: "InvalidArgument", message: "x-amz-decoded-content-length"},
		{name: "too long", length: "5", code: "IncompleteBody", message: "more than the 5 bytes"},
		{name: "longer than zero", length: "0", code: "IncompleteBody", message: "more than the 0 bytes"},
		{name: "too short", length: "13", code: "IncompleteBody", message: "fewer than the 13 bytes"},
		{name: "no chunks", body: hello, code: "IncompleteBody", message: "malformed after 0 bytes"},
		{name: "no last chunk", body: "c\r\n" + hello + "\r\n", code: "IncompleteBody", message: "ends early"},
		{name: "a cut chunk", body: "c\r\nhello", code: "IncompleteBody", message: "ends early"},
		{name: "a chunk without its end", body: "c\r\n" + hello + "0\r\n\r\n", code: "IncompleteBody", message: "malformed"},
		{
			name: "a huge chunk", body: "ffffffffffffffff\r\n" + hello + "\r\n0\r\n\r\n",
			code: "IncompleteBody", message: "more than the 12 bytes",
		},
		{
			name: "a chunk size over 64 bits", body: "10000000000000000\r\n" + hello + "\r\n0\r\n\r\n",
			code: "IncompleteBody", message: "malformed",
		},
		{name: "a negative chunk", body: "-c\r\n" + hello + "\r\n0\r\n\r\n", code: "IncompleteBody", message: "malformed"},
		{
			name: "an endless chunk header", body: "c;" + strings.Repeat("x", 100_000) + "\r\n" + hello + "\r\n0\r\n\r\n",
			code: "IncompleteBody", message: "too long",
		},
	}
	for i := range all {
		all[i].kind, all[i].body = unsignedTrailer, cmp.Or(all[i].body, plain)
	}
	return all
}

// invalidTrailers returns bodies whose trailer is missing, malformed, or not as announced.
func invalidTrailers() []bodyCase {
	plain, trailer := chunk(hello, 5, "", ""), crcTrailer()
	withTrailer := func(text string) string { return chunk(hello, 5, "", text) }
	all := []bodyCase{
		{name: "a wrong trailer", body: withTrailer(crcHeader + ":AAAAAA==\r\n"), code: "BadDigest", message: "CRC32"},
		{
			name: "a trailer of another length", body: withTrailer(crcHeader + ":AAAA\r\n"),
			code: "InvalidRequest", message: "4 bytes in base64",
		},
		{
			name: "a trailer that is not base64", body: withTrailer(crcHeader + ":????????\r\n"),
			code: "InvalidRequest", message: "in base64",
		},
		{name: "an announced trailer is missing", body: plain, code: "MalformedTrailerError", message: "lacks " + crcHeader},
		{
			name: "a trailer without an announcement", body: withTrailer(trailer), header: map[string]string{},
			code: "MalformedTrailerError", message: "does not announce",
		},
		{
			name: "a different trailer from the announced one", body: withTrailer("x-amz-checksum-crc32c:AAAAAA==\r\n"),
			code: "MalformedTrailerError", message: "does not announce",
		},
		{name: "a trailer twice", body: withTrailer(trailer + trailer), code: "MalformedTrailerError", message: "twice"},
		{
			name: "a line that is not a trailer", body: withTrailer("not a trailer\r\n"),
			code: "MalformedTrailerError", message: "not a trailer",
		},
		{
			name: "an endless trailer", body: withTrailer(strings.Repeat("x", 100_000) + "\r\n"),
			code: "MalformedTrailerError", message: "more than",
		},
		{
			name: "text after the end", body: plain + plain, header: map[string]string{},
			code: "MalformedTrailerError", message: "does not announce",
		},
		{
			name: "an unknown trailer", body: plain, header: announce("x-amz-checksum-xxhash64"),
			code: "InvalidRequest", message: "x-amz-checksum-xxhash64",
		},
		{
			name: "a trailer that is not a checksum", body: plain, header: announce("x-amz-meta-a"),
			code: "InvalidRequest", message: "x-amz-meta-a",
		},
		{
			name: "two trailers", body: plain, header: announce("x-amz-checksum-crc32, x-amz-checksum-sha1"),
			code: "InvalidRequest", message: "several checksums",
		},
		{
			name: "a trailer and a header", body: withTrailer(trailer), code: "InvalidRequest", message: "several checksums",
			header: map[string]string{"x-amz-trailer": crcHeader, crcHeader: sums(hello)["crc32"]},
		},
		{
			name: "a different algorithm from the one that the SDK names", body: withTrailer(trailer), code: "InvalidRequest", message: "agree",
			header: map[string]string{"x-amz-trailer": crcHeader, "x-amz-sdk-checksum-algorithm": "SHA1"},
		},
	}
	for i := range all {
		all[i].kind = unsignedTrailer
		if all[i].header == nil {
			all[i].header = announce(crcHeader)
		}
	}
	return append(all, bodyCase{
		name: "a plain body with an announced trailer", body: hello, header: announce(crcHeader),
		code: "MalformedTrailerError", message: "lacks " + crcHeader,
	})
}

// headerChecksums returns bodies with their checksum in a header.
func headerChecksums() []bodyCase {
	crc := sums(hello)["crc32"]
	header := func(value string) map[string]string { return map[string]string{crcHeader: value} }
	return []bodyCase{
		{name: "a wrong header", body: hello, length: "none", header: header("AAAAAA=="), code: "BadDigest", message: "CRC32"},
		{
			name: "a malformed header", body: hello, length: "none", header: header("AAAA"),
			code: "InvalidRequest", message: "4 bytes in base64",
		},
		{
			name: "an unknown header", body: hello, length: "none", header: map[string]string{"x-amz-checksum-crc16": "AAAA"},
			code: "InvalidRequest", message: "x-amz-checksum-crc16",
		},
		{
			name: "two headers", body: hello, length: "none", code: "InvalidRequest", message: "several checksums",
			header: map[string]string{crcHeader: crc, "x-amz-checksum-sha1": sums(hello)["sha1"]},
		},
		{name: "the right header of chunks", kind: signed, body: chunk(hello, 5, signature, ""), header: header(crc), echo: crcHeader},
		{
			name: "headers that describe the checksum", body: hello, length: "none", echo: crcHeader,
			header: map[string]string{crcHeader: crc, "x-amz-checksum-type": "FULL_OBJECT", "x-amz-checksum-algorithm": "CRC32"},
		},
	}
}

// headers returns all headers of the request.
func (c bodyCase) headers() map[string]string {
	all := map[string]string{"Content-Encoding": "aws-chunked", "Content-Type": "text/csv"}
	if c.kind != "" {
		all["x-amz-content-sha256"] = c.kind
	}
	if length := cmp.Or(c.length, strconv.Itoa(len(hello))); length != "none" {
		all["x-amz-decoded-content-length"] = length
	}
	for name, value := range c.header {
		all[name] = value
	}
	return all
}

// TestObjectsAndPartsCheckTheirBody sends each body as an object and as a part, with a Content-Length and in HTTP
// chunks.
func TestObjectsAndPartsCheckTheirBody(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	id, _ := s.begin(t, "parts", "old")
	for _, c := range bodyCases() {
		for _, known := range []bool{true, false} {
			var body io.Reader = strings.NewReader(c.body)
			if !known {
				body = iotest.OneByteReader(body)
			}
			s.checkPut(t, c, body)
			if !known {
				body = iotest.HalfReader(strings.NewReader(c.body))
			} else {
				body = strings.NewReader(c.body)
			}
			s.checkPart(t, c, id, body)
		}
	}
}

// compare checks the response to a body, and reports whether the server stored the body. The argument how says whether
// the body was sent as an object or as a part.
func (c bodyCase) compare(t *testing.T, how string, a response) (stored bool) {
	t.Helper()
	wrongStatus := (c.code == "") != (a.status == http.StatusOK) || a.status >= http.StatusInternalServerError
	if a.code != c.code || !strings.Contains(a.message, c.message) || wrongStatus {
		t.Errorf("%s, %s: %d %s %q, want %q %q", c.name, how, a.status, a.code, a.message, c.code, c.message)
	}
	for header := range a.header {
		if strings.HasPrefix(header, "X-Amz-Checksum-") && (c.code != "" || !strings.EqualFold(header, c.echo)) {
			t.Errorf("%s, %s: the response has %s", c.name, how, header)
		}
	}
	if want := sums(hello)[strings.TrimPrefix(c.echo, "x-amz-checksum-")]; a.header.Get(c.echo) != want {
		t.Errorf("%s, %s: the response has %s: %q, want %q", c.name, how, c.echo, a.header.Get(c.echo), want)
	}
	return a.status == http.StatusOK
}

// checkPut replaces an object. A refused body must leave the old object.
func (s *testServer) checkPut(t *testing.T, c bodyCase, body io.Reader) {
	t.Helper()
	s.put(t, "k", "old")
	s.takeCreated()
	want, calls := "old", 0
	if c.compare(t, "as an object", s.send(t, http.MethodPut, "/"+bucket+"/k", c.headers(), body)) {
		want, calls = hello, 1
	}
	if created := s.takeCreated(); len(created) != calls {
		t.Errorf("%s: OnCreated was called %d times, want %d", c.name, len(created), calls)
	}
	get := s.send(t, http.MethodGet, "/"+bucket+"/k", map[string]string{"x-amz-checksum-mode": "ENABLED"}, nil)
	if get.body != want || get.header.Get("Content-Encoding") != "" || get.header.Get("ETag") != `"`+etag(want)+`"` {
		t.Errorf("%s: the object has %q and the headers %v, want %q", c.name, get.body, get.header, want)
	}
	if sum := sums(hello)[strings.TrimPrefix(c.echo, "x-amz-checksum-")]; want == hello && get.header.Get(c.echo) != sum {
		t.Errorf("%s: the object has %s: %q, want %q", c.name, c.echo, get.header.Get(c.echo), sum)
	}
}

// checkPart replaces a part. A refused body must leave the old part.
func (s *testServer) checkPart(t *testing.T, c bodyCase, id string, body io.Reader) {
	t.Helper()
	s.part(t, "parts", id, 1, "old")
	want := "old"
	target := "/" + bucket + "/parts?partNumber=1&uploadId=" + url.QueryEscape(id)
	if c.compare(t, "as a part", s.send(t, http.MethodPut, target, c.headers(), body)) {
		want = hello
	}
	parts, err := s.ListParts(t.Context(), &client.ListPartsInput{
		Bucket: aws.String(bucket), Key: aws.String("parts"), UploadId: &id,
	})
	if err != nil || len(parts.Parts) != 1 || *parts.Parts[0].ETag != `"`+etag(want)+`"` || *parts.Parts[0].Size != int64(len(want)) {
		t.Errorf("%s: the part is %+v, %v, want %q", c.name, parts, err, want)
	}
}

// TestSpooledBodiesLeaveNoFiles sends parts of unknown length, and then looks for files that remain.
func TestSpooledBodiesLeaveNoFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := start(t, folder)
	id, _ := s.begin(t, "parts", "old")
	target := "/" + bucket + "/parts?partNumber=2&uploadId=" + id
	big := fullPart("x")
	a := s.send(t, http.MethodPut, target, nil, iotest.HalfReader(strings.NewReader(big)))
	if a.status != http.StatusOK || a.header.Get("ETag") != `"`+etag(big)+`"` {
		t.Errorf("a part of unknown length: %+v", a)
	}
	wrong := map[string]string{"x-amz-checksum-crc32": "AAAAAA=="}
	if a := s.send(t, http.MethodPut, target, wrong, iotest.HalfReader(strings.NewReader(big))); a.code != "BadDigest" {
		t.Errorf("a part of unknown length with a wrong checksum: %+v", a)
	}
	if left := incoming(t, folder); len(left) != 1 {
		t.Errorf("the folder has %v, want only the folder of the upload", left)
	}
}

// TestOperationsWithoutStoredBodyCheckIt sends bodies to operations that do not store them.
func TestOperationsWithoutStoredBodyCheckIt(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "k", hello)
	id, part := s.begin(t, "parts", hello)
	s.takeCreated()
	zeros := strings.Repeat("0", 64)
	wrong := map[string]string{"x-amz-content-sha256": zeros}
	wrongCopy := map[string]string{"x-amz-content-sha256": zeros, "x-amz-copy-source": bucket + "/k"}
	complete := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + *part.ETag + "</ETag></Part></CompleteMultipartUpload>"
	doomed := "<Delete><Object><Key>k</Key></Object></Delete>"
	const code, message = "XAmzContentSHA256Mismatch", "changed in transit"
	for _, e := range []requestCase{
		{"a copy", "PUT", "/copy", wrongCopy, "", 400, code, message},
		{"a copied part", "PUT", "/parts?partNumber=1&uploadId=" + id, wrongCopy, "", 400, code, message},
		{"a completion", "POST", "/parts?uploadId=" + id, wrong, complete, 400, code, message},
		{"deletes", "POST", "?delete", wrong, doomed, 400, code, message},
	} {
		s.check(t, e)
	}
	if objects := s.objects(t); len(objects) != 1 || objects["k"] != hello || len(s.takeCreated()) > 0 {
		t.Errorf("the objects are %v, want one unchanged object", objects)
	}
	chunked := map[string]string{"x-amz-content-sha256": unsignedTrailer, "x-amz-decoded-content-length": strconv.Itoa(len(complete))}
	s.check(t, requestCase{"a completion in chunks", "POST", "/parts?uploadId=" + id, chunked, chunk(complete, 10, "", ""), 200, "", ""})
	if got := s.get(t, "parts"); got != hello {
		t.Errorf("the completed object has %q", got)
	}
}

// TestContentEncoding puts objects with and without a compression beside aws-chunked.
func TestContentEncoding(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	for sent, want := range map[string]string{"aws-chunked": "", "aws-chunked,gzip": "gzip", "gzip, aws-chunked": "gzip", "gzip": "gzip"} {
		header := map[string]string{
			"Content-Encoding": sent, "x-amz-content-sha256": unsignedTrailer,
			"x-amz-decoded-content-length": strconv.Itoa(len(hello)),
		}
		s.check(t, requestCase{name: sent, method: "PUT", target: "/k", header: header, body: chunk(hello, 5, "", ""), status: 200})
		head, err := s.HeadObject(t.Context(), &client.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
		if err != nil || aws.ToString(head.ContentEncoding) != want {
			t.Errorf("Content-Encoding: %s is stored as %q, %v, want %q", sent, aws.ToString(head.ContentEncoding), err, want)
		}
	}
}

// TestBodiesOfTheSDK lets AWS's SDK write the trailer. The SDK does so over TLS, for a reader that cannot seek.
func TestBodiesOfTheSDK(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	listener := httptest.NewTLSServer(s.server)
	t.Cleanup(listener.Close)
	c := client.New(s.Options(), func(o *client.Options) { o.BaseEndpoint, o.HTTPClient = &listener.URL, listener.Client() })
	body := strings.Repeat(hello, 100_000)
	for _, algorithm := range []types.ChecksumAlgorithm{
		types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme,
		types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256,
	} {
		out, err := c.PutObject(t.Context(), &client.PutObjectInput{
			Bucket: aws.String(bucket), Key: aws.String("k"), Body: iotest.HalfReader(strings.NewReader(body)),
			ContentLength: aws.Int64(int64(len(body))), ChecksumAlgorithm: algorithm,
		})
		if got := s.get(t, "k"); err != nil || got != body {
			t.Errorf("%s: %v, and the object has %d bytes", algorithm, err, len(got))
			continue
		}
		echoed := map[types.ChecksumAlgorithm]*string{
			types.ChecksumAlgorithmCrc32:     out.ChecksumCRC32,
			types.ChecksumAlgorithmCrc32c:    out.ChecksumCRC32C,
			types.ChecksumAlgorithmCrc64nvme: out.ChecksumCRC64NVME,
			types.ChecksumAlgorithmSha1:      out.ChecksumSHA1,
			types.ChecksumAlgorithmSha256:    out.ChecksumSHA256,
		}
		if got, want := aws.ToString(echoed[algorithm]), sums(body)[strings.ToLower(string(algorithm))]; got != want {
			t.Errorf("%s: the response has the checksum %q, want %q", algorithm, got, want)
		}
	}
}

// TestErrorReachesAClientThatSendsBeforeItReads sends more than a connection can buffer and reads only then, as
// Python's clients do.
func TestErrorReachesAClientThatSendsBeforeItReads(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	malformed := "x-amz-content-sha256: " + unsignedTrailer + "\r\nx-amz-decoded-content-length: 5\r\n"
	const expect = "Expect: 100-continue\r\n"
	for _, c := range []struct{ target, header, first, code string }{
		{"/k?renameObject", "", "HTTP/1.1 501", "NotImplemented"},
		{"/k", malformed, "HTTP/1.1 400", "IncompleteBody"},
		{"/k", malformed + expect, "HTTP/1.1 100", "IncompleteBody"},
		{"/k?renameObject", expect, "HTTP/1.1 501", "NotImplemented"}, // the server does not ask for the body
	} {
		answer := s.sendFirst(t, c.target, c.header)
		if !strings.HasPrefix(answer, c.first) || !strings.Contains(answer, "<Code>"+c.code+"</Code>") {
			t.Errorf("%s with %q: got %q, want %s and %s", c.target, c.header, answer, c.first, c.code)
		}
	}
}

// sendFirst sends a body of 20 MB and then reads the response. With an Expect header it sends the body only if the
// server asks for it.
func (s *testServer) sendFirst(t *testing.T, target, header string) string {
	t.Helper()
	const size = 20 << 20
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	const format = "PUT /%s%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n"
	_, err = fmt.Fprintf(connection, format, bucket, target, size, header)
	reader := bufio.NewReader(connection)
	first := ""
	if err == nil && strings.Contains(header, "Expect") {
		first, err = reader.ReadString('\n')
	}
	if err == nil && (first == "" || strings.HasPrefix(first, "HTTP/1.1 100")) {
		_, err = io.WriteString(connection, strings.Repeat("x", size))
	}
	if err != nil {
		t.Errorf("PUT %s with %q: %v", target, header, err)
		return ""
	}
	answer, err := io.ReadAll(reader)
	if err != nil {
		t.Errorf("PUT %s with %q: %v", target, header, err)
	}
	return first + string(answer)
}

// TestEmptyBodyIsAskedFor puts an object without content as boto3 does: it waits for status 100 also if there is no body.
func TestEmptyBodyIsAskedFor(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	const request = "PUT /%s/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n"
	if _, err := fmt.Fprintf(connection, request, bucket); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(connection)
	if text := string(answer); err != nil || !strings.HasPrefix(text, "HTTP/1.1 100") || !strings.Contains(text, "HTTP/1.1 200") {
		t.Errorf("the answer is %q, %v; want status 100 and then 200", text, err)
	}
}

// TestFormsLeaveNoFiles uploads forms that net/http spools to files, with and without a handler in front of the server
// that parses them first.
func TestFormsLeaveNoFiles(t *testing.T) {
	spool := t.TempDir()
	t.Setenv("TMPDIR", spool)
	s := start(t, t.TempDir())
	parsing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1 << 10); err != nil {
			t.Error(err)
		}
		if files, err := os.ReadDir(spool); err != nil || len(files) == 0 {
			t.Errorf("the form has no temporary file: %v", err)
		}
		s.server.ServeHTTP(w, r.WithContext(r.Context()))
	}))
	t.Cleanup(parsing.Close)
	for _, url := range []string{s.url, parsing.URL} {
		s.url = url
		s.postForm(t, "form", fullPart("x"))
		if files, err := os.ReadDir(spool); err != nil || len(files) > 0 {
			t.Errorf("the temporary files %v remain, %v", files, err)
		}
		if created := s.takeCreated(); len(created) != 1 || created[0].Reason != s3.PostObject || s.get(t, "form") != fullPart("x") {
			t.Errorf("OnCreated was called with %+v", created)
		}
	}
}

// BenchmarkBodies puts 50 MB over HTTP, plain and aws-chunked.
func BenchmarkBodies(b *testing.B) {
	const size = 50 << 20
	plain := strings.Repeat("x", size)
	trailer := "x-amz-checksum-crc32:" + sums(plain)["crc32"] + "\r\n"
	for name, c := range map[string]struct {
		body   string
		header map[string]string
	}{
		"plain": {plain, map[string]string{"x-amz-checksum-crc32": sums(plain)["crc32"]}},
		"chunked": {chunk(plain, 64<<10, "", trailer), map[string]string{
			"x-amz-content-sha256": unsignedTrailer, "x-amz-decoded-content-length": strconv.Itoa(size),
			"x-amz-trailer": "x-amz-checksum-crc32",
		}},
	} {
		b.Run(name, func(b *testing.B) {
			server, err := s3.New(s3.Options{Folder: b.TempDir(), Now: time.Now})
			if err == nil {
				err = server.CreateBucket(bucket)
			}
			if err != nil {
				b.Fatal(err)
			}
			listener := httptest.NewServer(server)
			b.Cleanup(listener.Close)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				request, err := http.NewRequestWithContext(b.Context(), http.MethodPut, listener.URL+"/"+bucket+"/k", strings.NewReader(c.body))
				if err != nil {
					b.Fatal(err)
				}
				for name, value := range c.header {
					request.Header.Set(name, value)
				}
				response, err := http.DefaultClient.Do(request)
				if err != nil || response.StatusCode != http.StatusOK {
					b.Fatal(response, err)
				}
				_ = response.Body.Close()
			}
		})
	}
}

// TestPutWithoutLengthReplacesNothing sends a put without Content-Length. In HTTP it has an empty body, but S3
// refuses it.
func TestPutWithoutLengthReplacesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "k", "old")
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if _, err := fmt.Fprintf(connection, "PUT /%s/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", bucket); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(connection)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 411 ") ||
		!strings.Contains(string(answer), "MissingContentLength") || s.get(t, "k") != "old" {
		t.Errorf("got %s, %v, want MissingContentLength; the object is now %q", answer, err, s.get(t, "k"))
	}
}
