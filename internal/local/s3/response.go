package s3

import (
	"bytes"
	"html"
	"net/http"
	"regexp"

	"github.com/rclone/gofakes3"
)

// responseWriter corrects the XML that gofakes3 writes. It holds a response back until finish, except for the body of
// an object.
//
// gofakes3 writes U+0001 as &#x1;, as S3 does, but XML 1.0 has no such character: parsers would reject a whole response
// because it repeats a key. Two of gofakes3's root elements have a different name from S3's, and the AWS Common Runtime
// looks for S3's name.
type responseWriter struct {
	http.ResponseWriter
	isObject  bool // a successful response is an object's body, and is not changed
	urlEncode bool // the client asked for URL-encoded names, and gofakes3 does not encode them
	status    int  // 0 before WriteHeader
	held      bytes.Buffer
}

func (w *responseWriter) passesThrough() bool { return w.isObject && w.status < http.StatusBadRequest }

// WriteHeader implements http.ResponseWriter.
func (w *responseWriter) WriteHeader(status int) {
	if w.status = status; w.passesThrough() {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (w *responseWriter) Write(p []byte) (int, error) {
	if w.passesThrough() {
		return w.ResponseWriter.Write(p)
	}
	return w.held.Write(p)
}

// finish corrects and sends the response that was held back.
func (w *responseWriter) finish() {
	if w.passesThrough() {
		return
	}
	text := w.held.Bytes()
	if w.urlEncode && w.status < http.StatusBadRequest {
		text = encodeNames(text)
	}
	text = misnamedUpload.ReplaceAll(text, []byte("<${1}InitiateMultipartUploadResult${2}"))
	text = misnamedVersions.ReplaceAll(text, []byte("<${1}ListVersionsResult${2}"))
	if w.status != 0 {
		w.ResponseWriter.WriteHeader(w.status)
	}
	_, _ = w.ResponseWriter.Write(unreadable.ReplaceAll(text, []byte("\uFFFD"))) // an error means that the client is gone
}

// unreadable matches the references to characters that XML 1.0 does not have.
var unreadable = regexp.MustCompile(`&#x[0-7];`)

// These match the root elements whose name is different from S3's.
var (
	misnamedUpload   = regexp.MustCompile(`<(/?)InitiateMultipartUpload([ >])`)
	misnamedVersions = regexp.MustCompile(`<(/?)ListBucketVersionsResult([ >])`)
)

// listedName matches the elements of a listing that contain a key or a part of a key.
var listedName = regexp.MustCompile(`<(Key|Prefix|Delimiter|KeyMarker|NextKeyMarker)>([^<]+)<`)

// encodeNames URL-encodes the names in a listing of versions or uploads, for which gofakes3 ignores encoding-type.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html lists the elements that S3 encodes.
func encodeNames(text []byte) []byte {
	text = listedName.ReplaceAllFunc(text, func(found []byte) []byte {
		tag, key, _ := bytes.Cut(found[:len(found)-1], []byte(">"))
		return []byte(string(tag) + ">" + gofakes3.URLEncode(html.UnescapeString(string(key))) + "<")
	})
	i := bytes.LastIndex(text, []byte("</"))
	return bytes.Join([][]byte{text[:i], text[i:]}, []byte("<EncodingType>url</EncodingType>"))
}
