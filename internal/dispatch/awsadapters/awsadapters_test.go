package awsadapters_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	client "github.com/aws/aws-sdk-go-v2/service/s3"

	"modeldispatch/internal/dispatch/awsadapters"
	"modeldispatch/internal/local/s3"
)

// objects returns an Objects that uses a test server in place of S3.
func objects(t *testing.T, server http.Handler) awsadapters.Objects {
	t.Helper()
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	return awsadapters.Objects{Client: client.New(client.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(listener.URL), UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})}
}

// TestStat puts keys one by one, and looks for each before and after. A longer key that begins with a key, or the same
// key in another encoding, is put before it: Stat must not mistake it for the key.
func TestStat(t *testing.T) {
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
		if _, exists, err := o.Stat(t.Context(), uri); exists || err != nil {
			t.Errorf("%q before it is put: exists %t, %v", key, exists, err)
		}
		if err := o.Put(t.Context(), uri, []byte(key)); err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		modified, exists, err := o.Stat(t.Context(), uri)
		if !exists || err != nil || modified.IsZero() {
			t.Errorf("%q after it is put: exists %t, modified %s, %v", key, exists, modified, err)
		}
	}
	if _, _, err := o.Stat(t.Context(), "s3://absent/key"); err == nil {
		t.Error("Stat in a bucket that does not exist: no error")
	}
}

// TestStatDecodesListedKeys lets a server list one key, either encoded as by S3, which writes + for a space, or
// without an encoding.
func TestStatDecodesListedKeys(t *testing.T) {
	t.Parallel()
	const encoded = "<EncodingType>url</EncodingType>"
	for _, c := range []struct {
		key, encoding, listed string
		exists, fails         bool
	}{
		{key: "a b+c%\x01", encoding: encoded, listed: "a+b%2Bc%25%01", exists: true},
		{key: "a+b", encoding: encoded, listed: "a+b"},
		{key: "a+b", listed: "a+b", exists: true},
		{key: "a%41", listed: "a%41", exists: true},
		{key: "a%", encoding: encoded, listed: "a%", fails: true},
	} {
		o := objects(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); q.Get("encoding-type") != "url" || q.Get("prefix") != c.key {
				t.Errorf("Stat of %q requests %s", c.key, r.URL)
			}
			w.Header().Set("Content-Type", "application/xml")
			_, _ = fmt.Fprintf(w, "<ListBucketResult>%s<Contents><Key>%s</Key></Contents></ListBucketResult>", c.encoding, c.listed)
		}))
		if _, exists, err := o.Stat(t.Context(), "s3://landing/"+c.key); exists != c.exists || (err != nil) != c.fails {
			t.Errorf("%q, listed as %s: exists %t, %v", c.key, c.listed, exists, err)
		}
	}
}
