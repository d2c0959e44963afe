package s3

import (
	"bytes"
	"html"
	"net/http"
	"regexp"

	"github.com/rclone/gofakes3"
)

// answer corrects the XML of a response. gofakes3 writes U+0001 as &#x1;, as S3 does, and XML 1.0
// has no such character: readers would refuse an answer for a key that it only repeats. Two of its
// answers have another name than in S3, and AWS's Common Runtime looks for the name.
type answer struct {
	http.ResponseWriter
	object  bool // the body is an object's, and passes as it is, unless the response is an error
	encodes bool // the names of a listing are to be URL-encoded
	status  int
	text    bytes.Buffer
}

func (a *answer) passes() bool { return a.object && a.status < http.StatusBadRequest }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status = status; a.passes() {
		a.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	if a.passes() {
		return a.ResponseWriter.Write(p)
	}
	return a.text.Write(p)
}

// end sends what was held back.
func (a *answer) end() {
	if a.passes() {
		return
	}
	text := a.text.Bytes()
	if a.encodes && a.status < http.StatusBadRequest {
		text = encoded(text)
	}
	text = misnamedUpload.ReplaceAll(text, []byte("<${1}InitiateMultipartUploadResult${2}"))
	text = misnamedVersions.ReplaceAll(text, []byte("<${1}ListVersionsResult${2}"))
	if a.status != 0 {
		a.ResponseWriter.WriteHeader(a.status)
	}
	_, _ = a.ResponseWriter.Write(unreadable.ReplaceAll(text, []byte("\uFFFD"))) // a client that has gone needs no answer
}

// unreadable finds the references to characters that XML 1.0 does not have.
var unreadable = regexp.MustCompile(`&#x[0-7];`)

// The tags of answers with another name than in S3.
var (
	misnamedUpload   = regexp.MustCompile(`<(/?)InitiateMultipartUpload([ >])`)
	misnamedVersions = regexp.MustCompile(`<(/?)ListBucketVersionsResult([ >])`)
)

// listedName finds the names in a listing.
var listedName = regexp.MustCompile(`<(Key|Prefix|Delimiter|KeyMarker|NextKeyMarker)>([^<]+)<`)

// encoded URL-encodes the names of a listing of versions or uploads, for which gofakes3 ignores encoding-type.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html tells where names are.
func encoded(text []byte) []byte {
	text = listedName.ReplaceAllFunc(text, func(found []byte) []byte {
		tag, key, _ := bytes.Cut(found[:len(found)-1], []byte(">"))
		return []byte(string(tag) + ">" + gofakes3.URLEncode(html.UnescapeString(string(key))) + "<")
	})
	i := bytes.LastIndex(text, []byte("</"))
	return bytes.Join([][]byte{text[:i], text[i:]}, []byte("<EncodingType>url</EncodingType>"))
}
