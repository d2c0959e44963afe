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

// The values of x-amz-content-sha256 by which AWS's SDKs send an aws-chunked body.
const (
	unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	signed          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	signedTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	sigV4A          = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
	sigV4ATrailer   = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"
)

// chunk returns an aws-chunked body with chunks of a size, an extension in each, and lines behind the last.
func chunk(body string, size int, extension, trailer string) string {
	var text strings.Builder
	for len(body) > 0 {
		n := min(size, len(body))
		fmt.Fprintf(&text, "%x%s\r\n%s\r\n", n, extension, body[:n])
		body = body[n:]
	}
	return text.String() + "0" + extension + "\r\n" + trailer + "\r\n"
}

// sums returns the checksums of a body as S3's headers carry them.
func sums(body string) map[string]string {
	text := []byte(body)
	md, s1, s256, s512 := md5.Sum(text), sha1.Sum(text), sha256.Sum256(text), sha512.Sum512(text)
	castagnoli := crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli))
	nvme := crc64.Checksum(text, crc64.MakeTable(0x9a6c9329ac4bc9b5))
	all := map[string]string{}
	for name, sum := range map[string][]byte{
		"crc32": binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(text)), "crc32c": binary.BigEndian.AppendUint32(nil, castagnoli),
		"crc64nvme": binary.BigEndian.AppendUint64(nil, nvme), "md5": md[:], "sha1": s1[:], "sha256": s256[:], "sha512": s512[:],
	} {
		all[name] = base64.StdEncoding.EncodeToString(sum)
	}
	return all
}

// sending is a put of "hello, world" by some client.
type sending struct {
	name   string
	kind   string // x-amz-content-sha256
	body   string // as it goes over the wire
	length string // x-amz-decoded-content-length; "" is the right one, "none" is no header
	header map[string]string
	code   string // of the answer; "" is success
	says   string
	echo   string // the header of the answer that has the checksum
}

const hello = "hello, world"

func sendings() []sending {
	crc := sums(hello)["crc32"]
	announce := map[string]string{"x-amz-trailer": "x-amz-checksum-crc32"}
	trailer := "x-amz-checksum-crc32:" + crc + "\r\n"
	signature := ";chunk-signature=" + strings.Repeat("0", 64)
	sum := sha256.Sum256([]byte(hello))
	other := sha256.Sum256([]byte("other"))
	plain := chunk(hello, 5, "", "")
	all := []sending{
		{name: "plain", body: hello, length: "none"},
		{name: "unsigned", kind: "UNSIGNED-PAYLOAD", body: hello, length: "none"},
		{name: "hashed", kind: hex.EncodeToString(sum[:]), body: hello, length: "none"},
		{name: "hashed wrongly", kind: hex.EncodeToString(other[:]), body: hello, length: "none", code: "XAmzContentSHA256Mismatch", says: "changed on its way"},
		{name: "a decoded length of a plain body", body: hello},
		{name: "a wrong decoded length of a plain body", body: hello, length: "5", code: "IncompleteBody", says: "more than the 5 bytes"},
		{name: "an unknown kind", kind: "STREAMING-FUTURE-PAYLOAD", body: plain, code: "InvalidArgument", says: "x-amz-content-sha256"},
		{name: "a hash that is too short", kind: "abcd", body: hello, code: "InvalidArgument", says: "x-amz-content-sha256"},

		{name: "signed", kind: signed, body: chunk(hello, 5, signature, "")},
		{name: "by SigV4A", kind: sigV4A, body: chunk(hello, 5, signature+signature, "")},
		{name: "signed, with a trailer", kind: signedTrailer, body: chunk(hello, 5, signature, trailer+"x-amz-trailer-signature:00\r\n"), header: announce, echo: "x-amz-checksum-crc32"},
		{name: "by SigV4A, with a trailer", kind: sigV4ATrailer, body: chunk(hello, 5, signature, trailer+"x-amz-trailer-signature:00\r\n"), header: announce, echo: "x-amz-checksum-crc32"},
		{name: "unsigned chunks", kind: unsignedTrailer, body: plain},
		{name: "one chunk", kind: unsignedTrailer, body: chunk(hello, 100, "", trailer), header: announce, echo: "x-amz-checksum-crc32"},
		{name: "a blank in the trailer", kind: unsignedTrailer, body: chunk(hello, 5, "", "X-Amz-Checksum-CRC32: "+crc+" \r\n"), header: announce, echo: "x-amz-checksum-crc32"},
		{name: "no last line end", kind: unsignedTrailer, body: strings.TrimSuffix(plain, "\r\n")},
		{name: "an announced algorithm that the SDK names too", kind: unsignedTrailer, body: chunk(hello, 5, "", trailer), echo: "x-amz-checksum-crc32",
			header: map[string]string{"x-amz-trailer": "x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm": "CRC32"}},

		{name: "no decoded length", kind: unsignedTrailer, body: plain, length: "none", code: "MissingContentLength", says: "x-amz-decoded-content-length"},
		{name: "a decoded length that is none", kind: unsignedTrailer, body: plain, length: "-5", code: "InvalidArgument", says: "x-amz-decoded-content-length"},
		{name: "too long", kind: unsignedTrailer, body: plain, length: "5", code: "IncompleteBody", says: "more than the 5 bytes"},
		{name: "too long for nothing", kind: unsignedTrailer, body: plain, length: "0", code: "IncompleteBody", says: "more than the 0 bytes"},
		{name: "too short", kind: unsignedTrailer, body: plain, length: "13", code: "IncompleteBody", says: "fewer than the 13 bytes"},
		{name: "no chunks", kind: unsignedTrailer, body: hello, code: "IncompleteBody", says: "malformed after 0 bytes"},
		{name: "no last chunk", kind: unsignedTrailer, body: "c\r\n" + hello + "\r\n", code: "IncompleteBody", says: "breaks off"},
		{name: "a cut chunk", kind: unsignedTrailer, body: "c\r\nhello", code: "IncompleteBody", says: "breaks off"},
		{name: "a chunk without its end", kind: unsignedTrailer, body: "c\r\n" + hello + "0\r\n\r\n", code: "IncompleteBody", says: "malformed"},
		{name: "a huge chunk", kind: unsignedTrailer, body: "ffffffffffffffff\r\n" + hello + "\r\n0\r\n\r\n", code: "IncompleteBody", says: "more than the 12 bytes"},
		{name: "a chunk beyond numbers", kind: unsignedTrailer, body: "10000000000000000\r\n" + hello + "\r\n0\r\n\r\n", code: "IncompleteBody", says: "malformed"},
		{name: "a negative chunk", kind: unsignedTrailer, body: "-c\r\n" + hello + "\r\n0\r\n\r\n", code: "IncompleteBody", says: "malformed"},
		{name: "an endless chunk header", kind: unsignedTrailer, body: "c;" + strings.Repeat("x", 100_000) + "\r\n" + hello + "\r\n0\r\n\r\n", code: "IncompleteBody", says: "too long"},

		{name: "a wrong trailer", kind: unsignedTrailer, body: chunk(hello, 5, "", "x-amz-checksum-crc32:AAAAAA==\r\n"), header: announce, code: "BadDigest", says: "CRC32"},
		{name: "a trailer of another length", kind: unsignedTrailer, body: chunk(hello, 5, "", "x-amz-checksum-crc32:AAAA\r\n"), header: announce, code: "InvalidRequest", says: "4 bytes in base64"},
		{name: "a trailer that is no base64", kind: unsignedTrailer, body: chunk(hello, 5, "", "x-amz-checksum-crc32:????????\r\n"), header: announce, code: "InvalidRequest", says: "in base64"},
		{name: "no trailer, and one is announced", kind: unsignedTrailer, body: plain, header: announce, code: "MalformedTrailerError", says: "lacks x-amz-checksum-crc32"},
		{name: "a plain body, and a trailer is announced", body: hello, header: announce, code: "MalformedTrailerError", says: "lacks x-amz-checksum-crc32"},
		{name: "a trailer that is not announced", kind: unsignedTrailer, body: chunk(hello, 5, "", trailer), code: "MalformedTrailerError", says: "does not announce"},
		{name: "another trailer than announced", kind: unsignedTrailer, body: chunk(hello, 5, "", "x-amz-checksum-crc32c:AAAAAA==\r\n"), header: announce, code: "MalformedTrailerError", says: "does not announce"},
		{name: "a trailer twice", kind: unsignedTrailer, body: chunk(hello, 5, "", trailer+trailer), header: announce, code: "MalformedTrailerError", says: "twice"},
		{name: "a line that is no trailer", kind: unsignedTrailer, body: chunk(hello, 5, "", "what is this\r\n"), header: announce, code: "MalformedTrailerError", says: "what is this"},
		{name: "an endless trailer", kind: unsignedTrailer, body: chunk(hello, 5, "", strings.Repeat("x", 100_000)+"\r\n"), header: announce, code: "MalformedTrailerError", says: "more than"},
		{name: "something behind the end", kind: unsignedTrailer, body: plain + plain, code: "MalformedTrailerError", says: "does not announce"},
		{name: "an unknown trailer", kind: unsignedTrailer, body: plain, header: map[string]string{"x-amz-trailer": "x-amz-checksum-xxhash64"}, code: "InvalidRequest", says: "x-amz-checksum-xxhash64"},
		{name: "a trailer that is no checksum", kind: unsignedTrailer, body: plain, header: map[string]string{"x-amz-trailer": "x-amz-meta-a"}, code: "InvalidRequest", says: "x-amz-meta-a"},
		{name: "two trailers", kind: unsignedTrailer, body: plain, header: map[string]string{"x-amz-trailer": "x-amz-checksum-crc32, x-amz-checksum-sha1"}, code: "InvalidRequest", says: "several checksums"},
		{name: "a trailer and a header", kind: unsignedTrailer, body: chunk(hello, 5, "", trailer), code: "InvalidRequest", says: "several checksums",
			header: map[string]string{"x-amz-trailer": "x-amz-checksum-crc32", "x-amz-checksum-crc32": crc}},
		{name: "another algorithm than the SDK names", kind: unsignedTrailer, body: chunk(hello, 5, "", trailer), code: "InvalidRequest", says: "agree",
			header: map[string]string{"x-amz-trailer": "x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm": "SHA1"}},

		{name: "a wrong header", body: hello, length: "none", header: map[string]string{"x-amz-checksum-crc32": "AAAAAA=="}, code: "BadDigest", says: "CRC32"},
		{name: "a malformed header", body: hello, length: "none", header: map[string]string{"x-amz-checksum-crc32": "AAAA"}, code: "InvalidRequest", says: "4 bytes in base64"},
		{name: "an unknown header", body: hello, length: "none", header: map[string]string{"x-amz-checksum-crc16": "AAAA"}, code: "InvalidRequest", says: "x-amz-checksum-crc16"},
		{name: "two headers", body: hello, length: "none", header: map[string]string{"x-amz-checksum-crc32": crc, "x-amz-checksum-sha1": sums(hello)["sha1"]}, code: "InvalidRequest", says: "several checksums"},
		{name: "the right header of chunks", kind: signed, body: chunk(hello, 5, signature, ""), header: map[string]string{"x-amz-checksum-crc32": crc}, echo: "x-amz-checksum-crc32"},
		{name: "a header that describes the checksum", body: hello, length: "none", echo: "x-amz-checksum-crc32",
			header: map[string]string{"x-amz-checksum-crc32": crc, "x-amz-checksum-type": "FULL_OBJECT", "x-amz-checksum-algorithm": "CRC32"}},
	}
	for name, value := range sums(hello) {
		header := "x-amz-checksum-" + name
		all = append(all,
			sending{name: name + " in the header", body: hello, length: "none", header: map[string]string{header: value}, echo: header},
			sending{name: name + " in the trailer", kind: unsignedTrailer, body: chunk(hello, 5, "", header+":"+value+"\r\n"), header: map[string]string{"x-amz-trailer": header}, echo: header})
	}
	return all
}

// headers returns the headers of a sending.
func (c sending) headers() map[string]string {
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

// TestBodies sends bodies as clients of all kinds do, as an object and as a part, with a length and in HTTP's chunks.
func TestBodies(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	id, _ := s.begin(t, "parts", "old")
	for _, c := range sendings() {
		for _, known := range []bool{true, false} {
			var body io.Reader = strings.NewReader(c.body)
			if !known {
				body = iotest.OneByteReader(body)
			}
			s.putBody(t, c, body)
			if !known {
				body = iotest.HalfReader(strings.NewReader(c.body))
			} else {
				body = strings.NewReader(c.body)
			}
			s.partBody(t, c, id, body)
		}
	}
}

// compare checks what a body is answered with.
func (c sending) compare(t *testing.T, how string, a answered) (stored bool) {
	t.Helper()
	if a.code != c.code || !strings.Contains(a.message, c.says) || (c.code == "") != (a.status == http.StatusOK) || a.status >= http.StatusInternalServerError {
		t.Errorf("%s, %s: %d %s %q, want %q %q", c.name, how, a.status, a.code, a.message, c.code, c.says)
	}
	for header := range a.header {
		if strings.HasPrefix(header, "X-Amz-Checksum-") && (c.code != "" || !strings.EqualFold(header, c.echo)) {
			t.Errorf("%s, %s: the answer has %s", c.name, how, header)
		}
	}
	if want := sums(hello)[strings.TrimPrefix(c.echo, "x-amz-checksum-")]; a.header.Get(c.echo) != want {
		t.Errorf("%s, %s: the answer has %s: %q, want %q", c.name, how, c.echo, a.header.Get(c.echo), want)
	}
	return a.status == http.StatusOK
}

// putBody replaces an object. What is refused leaves the old one.
func (s *stand) putBody(t *testing.T, c sending, body io.Reader) {
	t.Helper()
	s.put(t, "k", "old")
	s.told()
	want, calls := "old", 0
	if c.compare(t, "as an object", s.send(t, http.MethodPut, "/"+bucket+"/k", c.headers(), body)) {
		want, calls = hello, 1
	}
	if told := s.told(); len(told) != calls {
		t.Errorf("%s: Created was called %d times, want %d", c.name, len(told), calls)
	}
	get := s.send(t, http.MethodGet, "/"+bucket+"/k", map[string]string{"x-amz-checksum-mode": "ENABLED"}, nil)
	if get.body != want || get.header.Get("Content-Encoding") != "" || get.header.Get("ETag") != `"`+etag(want)+`"` {
		t.Errorf("%s: the object has %q and the headers %v, want %q", c.name, get.body, get.header, want)
	}
	if sum := sums(hello)[strings.TrimPrefix(c.echo, "x-amz-checksum-")]; want == hello && get.header.Get(c.echo) != sum {
		t.Errorf("%s: the object has %s: %q, want %q", c.name, c.echo, get.header.Get(c.echo), sum)
	}
}

// partBody replaces a part. What is refused leaves the old one.
func (s *stand) partBody(t *testing.T, c sending, id string, body io.Reader) {
	t.Helper()
	s.part(t, "parts", id, 1, "old")
	want := "old"
	if c.compare(t, "as a part", s.send(t, http.MethodPut, "/"+bucket+"/parts?partNumber=1&uploadId="+url.QueryEscape(id), c.headers(), body)) {
		want = hello
	}
	parts, err := s.ListParts(t.Context(), &client.ListPartsInput{Bucket: aws.String(bucket), Key: aws.String("parts"), UploadId: &id})
	if err != nil || len(parts.Parts) != 1 || *parts.Parts[0].ETag != `"`+etag(want)+`"` || *parts.Parts[0].Size != int64(len(want)) {
		t.Errorf("%s: the part is %+v, %v, want %q", c.name, parts, err, want)
	}
}

// TestSpooledBodiesLeaveNothing sends parts of unknown length, and looks for files that stay.
func TestSpooledBodiesLeaveNothing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := start(t, folder)
	id, _ := s.begin(t, "parts", "old")
	target := "/" + bucket + "/parts?partNumber=2&uploadId=" + id
	big := atLeast("x")
	if a := s.send(t, http.MethodPut, target, nil, iotest.HalfReader(strings.NewReader(big))); a.status != http.StatusOK || a.header.Get("ETag") != `"`+etag(big)+`"` {
		t.Errorf("a part of unknown length: %+v", a)
	}
	if a := s.send(t, http.MethodPut, target, map[string]string{"x-amz-checksum-crc32": "AAAAAA=="}, iotest.HalfReader(strings.NewReader(big))); a.code != "BadDigest" {
		t.Errorf("a wrong part of unknown length: %+v", a)
	}
	if left := incoming(t, folder); len(left) != 1 {
		t.Errorf("beside the upload there are %v", left)
	}
}

// TestOtherBodies sends bodies to operations that store no object of them.
func TestOtherBodies(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.put(t, "k", hello)
	id, part := s.begin(t, "parts", hello)
	s.told()
	wrong := map[string]string{"x-amz-content-sha256": strings.Repeat("0", 64), "x-amz-copy-source": bucket + "/k"}
	complete := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + *part.ETag + "</ETag></Part></CompleteMultipartUpload>"
	doomed := "<Delete><Object><Key>k</Key></Object></Delete>"
	const code, says = "XAmzContentSHA256Mismatch", "changed on its way"
	for _, e := range []exchange{
		{"a copy", "PUT", "/copy", wrong, "", 400, code, says},
		{"a copied part", "PUT", "/parts?partNumber=1&uploadId=" + id, wrong, "", 400, code, says},
		{"a completion", "POST", "/parts?uploadId=" + id, map[string]string{"x-amz-content-sha256": strings.Repeat("0", 64)}, complete, 400, code, says},
		{"deletes", "POST", "?delete", map[string]string{"x-amz-content-sha256": strings.Repeat("0", 64)}, doomed, 400, code, says},
	} {
		s.check(t, e)
	}
	if objects := s.objects(t); len(objects) != 1 || objects["k"] != hello || len(s.told()) > 0 {
		t.Errorf("there are the objects %v", objects)
	}
	chunked := map[string]string{"x-amz-content-sha256": unsignedTrailer, "x-amz-decoded-content-length": strconv.Itoa(len(complete))}
	s.check(t, exchange{"a completion in chunks", "POST", "/parts?uploadId=" + id, chunked, chunk(complete, 10, "", ""), 200, "", ""})
	if got := s.get(t, "parts"); got != hello {
		t.Errorf("the completed object has %q", got)
	}
}

// TestContentEncoding puts an object that is compressed, too.
func TestContentEncoding(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	for sent, want := range map[string]string{"aws-chunked": "", "aws-chunked,gzip": "gzip", "gzip, aws-chunked": "gzip", "gzip": "gzip"} {
		header := map[string]string{"Content-Encoding": sent, "x-amz-content-sha256": unsignedTrailer, "x-amz-decoded-content-length": strconv.Itoa(len(hello))}
		s.check(t, exchange{name: sent, method: "PUT", target: "/k", header: header, body: chunk(hello, 5, "", ""), status: 200})
		head, err := s.HeadObject(t.Context(), &client.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
		if err != nil || aws.ToString(head.ContentEncoding) != want {
			t.Errorf("Content-Encoding: %s is kept as %q, %v, want %q", sent, aws.ToString(head.ContentEncoding), err, want)
		}
	}
}

// TestBodiesOfTheSDK lets AWS's SDK make the trailer, which it does over TLS, for readers that cannot seek.
func TestBodiesOfTheSDK(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	listener := httptest.NewTLSServer(s.server)
	t.Cleanup(listener.Close)
	c := client.New(s.Options(), func(o *client.Options) { o.BaseEndpoint, o.HTTPClient = &listener.URL, listener.Client() })
	body := strings.Repeat(hello, 100_000)
	for _, algorithm := range []types.ChecksumAlgorithm{
		types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256,
	} {
		out, err := c.PutObject(t.Context(), &client.PutObjectInput{
			Bucket: aws.String(bucket), Key: aws.String("k"), Body: iotest.HalfReader(strings.NewReader(body)), ContentLength: aws.Int64(int64(len(body))), ChecksumAlgorithm: algorithm,
		})
		if got := s.get(t, "k"); err != nil || got != body {
			t.Errorf("%s: %v, and the object has %d bytes", algorithm, err, len(got))
			continue
		}
		echoed := map[types.ChecksumAlgorithm]*string{
			types.ChecksumAlgorithmCrc32: out.ChecksumCRC32, types.ChecksumAlgorithmCrc32c: out.ChecksumCRC32C, types.ChecksumAlgorithmCrc64nvme: out.ChecksumCRC64NVME,
			types.ChecksumAlgorithmSha1: out.ChecksumSHA1, types.ChecksumAlgorithmSha256: out.ChecksumSHA256,
		}
		if got, want := aws.ToString(echoed[algorithm]), sums(body)[strings.ToLower(string(algorithm))]; got != want {
			t.Errorf("%s: the answer has the checksum %q, want %q", algorithm, got, want)
		}
	}
}

// TestARefusalReachesAClientThatSendsFirst sends more than a connection buffers before it reads, as Python does.
func TestARefusalReachesAClientThatSendsFirst(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	malformed := "x-amz-content-sha256: " + unsignedTrailer + "\r\nx-amz-decoded-content-length: 5\r\n"
	const expect = "Expect: 100-continue\r\n"
	for _, c := range []struct{ target, header, first, code string }{
		{"/k?renameObject", "", "HTTP/1.1 501", "NotImplemented"},
		{"/k", malformed, "HTTP/1.1 400", "IncompleteBody"},
		{"/k", malformed + expect, "HTTP/1.1 100", "IncompleteBody"},
		{"/k?renameObject", expect, "HTTP/1.1 501", "NotImplemented"}, // and asks for no body
	} {
		answer := s.sendFirst(t, c.target, c.header)
		if !strings.HasPrefix(answer, c.first) || !strings.Contains(answer, "<Code>"+c.code+"</Code>") {
			t.Errorf("%s with %q is answered with %q, want %s and %s", c.target, c.header, answer, c.first, c.code)
		}
	}
}

// sendFirst sends a body of 20 MB before it reads. With an Expect header it sends only what the server asks for.
func (s *stand) sendFirst(t *testing.T, target, header string) string {
	t.Helper()
	const size = 20 << 20
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	_, err = fmt.Fprintf(connection, "PUT /%s%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n", bucket, target, size, header)
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

// TestFormsLeaveNoFiles uploads forms that are spooled, with and without a handler in front that reads them first.
func TestFormsLeaveNoFiles(t *testing.T) {
	spool := t.TempDir()
	t.Setenv("TMPDIR", spool)
	s := start(t, t.TempDir())
	parsing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1 << 10); err != nil {
			t.Error(err)
		}
		if files, err := os.ReadDir(spool); err != nil || len(files) == 0 {
			t.Errorf("the form is not in a file: %v", err)
		}
		s.server.ServeHTTP(w, r.WithContext(r.Context()))
	}))
	t.Cleanup(parsing.Close)
	for _, url := range []string{s.url, parsing.URL} {
		s.url = url
		s.postForm(t, "form", atLeast("x"))
		if files, err := os.ReadDir(spool); err != nil || len(files) > 0 {
			t.Errorf("%v are left, %v", files, err)
		}
		if told := s.told(); len(told) != 1 || told[0].Reason != s3.PostObject || s.get(t, "form") != atLeast("x") {
			t.Errorf("Created was called with %+v", told)
		}
	}
}

// BenchmarkBodies puts 50 MB by HTTP, plain and aws-chunked.
func BenchmarkBodies(b *testing.B) {
	const size = 50 << 20
	plain := strings.Repeat("x", size)
	trailer := "x-amz-checksum-crc32:" + sums(plain)["crc32"] + "\r\n"
	for name, c := range map[string]struct {
		body   string
		header map[string]string
	}{
		"plain":   {plain, map[string]string{"x-amz-checksum-crc32": sums(plain)["crc32"]}},
		"chunked": {chunk(plain, 64<<10, "", trailer), map[string]string{"x-amz-content-sha256": unsignedTrailer, "x-amz-decoded-content-length": strconv.Itoa(size), "x-amz-trailer": "x-amz-checksum-crc32"}},
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

// TestAPutWithoutALengthReplacesNothing: HTTP takes it for an empty body, and S3 refuses it.
func TestAPutWithoutALengthReplacesNothing(t *testing.T) {
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
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 411 ") || !strings.Contains(string(answer), "MissingContentLength") || s.get(t, "k") != "old" {
		t.Errorf("it is answered with %s, %v; the object is now %q", answer, err, s.get(t, "k"))
	}
}
