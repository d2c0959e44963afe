package awsio_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	client "github.com/aws/aws-sdk-go-v2/service/s3"

	"modeldispatch/internal/dispatch/awsio"
	"modeldispatch/internal/local/s3"
)

// objects returns the objects of a server that answers as S3.
func objects(t *testing.T, server http.Handler) awsio.Objects {
	t.Helper()
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	return awsio.Objects{Client: client.New(client.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(listener.URL), UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})}
}

// TestFind puts keys one by one, and looks for each before and after. A longer key that begins with it, or the same key in
// another encoding, is put first: Find must not take it for the key.
func TestFind(t *testing.T) {
	t.Parallel()
	server, err := s3.New(s3.Options{Folder: t.TempDir(), Now: time.Now})
	if err == nil {
		err = server.CreateBucket("landing")
	}
	if err != nil {
		t.Fatal(err)
	}
	o := objects(t, server)
	for _, key := range []string{
		"a b+c%41\x01ü/x.csv", "a b+c%41\x01ü/", "a b+cA\x01ü/",
		"a+b", "a b", "a%20b", "a%2Bb", "a b/longer",
		"\x00", "\x1b[2J\r\n\x7f\u009b\u202e\uFFFE", "~-_.*'()&=?#<>\"", "日本/🙂",
	} {
		uri := "s3://landing/" + key
		if _, there, err := o.Find(t.Context(), uri); there || err != nil {
			t.Errorf("%q before it is put: found %t, %v", key, there, err)
		}
		if err := o.Put(t.Context(), uri, []byte(key)); err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		modified, there, err := o.Find(t.Context(), uri)
		if !there || err != nil || modified.IsZero() {
			t.Errorf("%q after it is put: found %t, of %s, %v", key, there, modified, err)
		}
	}
	if _, _, err := o.Find(t.Context(), "s3://absent/key"); err == nil {
		t.Error("a bucket that is not there is no error")
	}
}

// TestFindReadsWhatIsListed has a server list one key: as S3 does, which writes + for a space, or without an encoding.
func TestFindReadsWhatIsListed(t *testing.T) {
	t.Parallel()
	const encoded = "<EncodingType>url</EncodingType>"
	for _, c := range []struct {
		key, encoding, listed string
		there, fails          bool
	}{
		{key: "a b+c%\x01", encoding: encoded, listed: "a+b%2Bc%25%01", there: true},
		{key: "a+b", encoding: encoded, listed: "a+b"},
		{key: "a+b", listed: "a+b", there: true},
		{key: "a%41", listed: "a%41", there: true},
		{key: "a%", encoding: encoded, listed: "a%", fails: true},
	} {
		o := objects(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); q.Get("encoding-type") != "url" || q.Get("prefix") != c.key {
				t.Errorf("%q is looked for by %s", c.key, r.URL)
			}
			w.Header().Set("Content-Type", "application/xml")
			_, _ = fmt.Fprintf(w, "<ListBucketResult>%s<Contents><Key>%s</Key></Contents></ListBucketResult>", c.encoding, c.listed)
		}))
		if _, there, err := o.Find(t.Context(), "s3://landing/"+c.key); there != c.there || (err != nil) != c.fails {
			t.Errorf("%q, listed as %s: found %t, %v", c.key, c.listed, there, err)
		}
	}
}
