package local_test

import (
	"bufio"
	"context"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"modeldispatch/internal/local"
)

// credential starts a stack, stops it, and returns its credential.
func credential(t *testing.T, o local.Options) local.Credential {
	t.Helper()
	stack, err := local.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := stack.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	return stack.Address().Credential
}

// TestCredentialBelongsToProject checks that the first start creates the credential, that only its owner can read it,
// that all stacks of the project share it, and that NewCredentials replaces it.
func TestCredentialBelongsToProject(t *testing.T) {
	t.Parallel()
	o, err := options(project(t, never))
	if err != nil {
		t.Fatal(err)
	}
	first := credential(t, o)
	if again := credential(t, o); again != first || len(first.AccessKeyID) < 20 || len(first.SecretAccessKey) < 20 {
		t.Errorf("the second start has the credential %+v, want %+v", again, first)
	}
	file := local.CredentialFile(o.Data)
	for name, want := range map[string]fs.FileMode{file: 0o600, o.Data: 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want && runtime.GOOS != "windows" {
			t.Errorf("%s: %v, %v, want the mode %o", name, info.Mode(), err, want)
		}
	}
	if text, err := os.ReadFile(filepath.Join(o.Data, ".gitignore")); err != nil || string(text) != "*\n" {
		t.Errorf(".gitignore is %q, %v, want *", text, err)
	}
	beside := o
	beside.Data, beside.Credentials = filepath.Join(o.Data, "play"), file
	if got := credential(t, beside); got != first {
		t.Errorf("a second stack of the project has %+v, want %+v", got, first)
	}
	o.NewCredentials = true
	if second := credential(t, o); second.AccessKeyID == first.AccessKeyID || second.SecretAccessKey == first.SecretAccessKey {
		t.Errorf("the new credential is %+v, want another than %+v", second, first)
	}
	o.NewCredentials = false
	write(t, file, "[default]\naws_access_key_id = x\n")
	const want = "lacks aws_access_key_id or aws_secret_access_key: modeldispatch local --new-credentials"
	if _, err := local.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Start with half a credential = %v, want …%s…", err, want)
	}
}

// TestRunningStackKeepsCredential checks that a second stack of the project cannot replace the credential of a running
// stack.
func TestRunningStackKeepsCredential(t *testing.T) {
	t.Parallel()
	o, err := options(project(t, never))
	if err != nil {
		t.Fatal(err)
	}
	s := startWith(t, o)
	beside := o
	beside.Data, beside.Credentials, beside.NewCredentials = filepath.Join(o.Data, "play"), local.CredentialFile(o.Data), true
	if _, err := local.Start(t.Context(), beside); err == nil || !strings.Contains(err.Error(), "stop it before you replace them") {
		t.Errorf("Start = %v, want …stop it before you replace them", err)
	}
	if address, err := local.Endpoint(t.Context(), o.Data); err != nil || address != s.Address() {
		t.Errorf("Endpoint = %+v, %v, want %+v", address, err, s.Address())
	}
}

func TestStackRejectsForeignCredential(t *testing.T) {
	t.Parallel()
	s, other := start(t, project(t, never)), start(t, project(t, never))
	client := awss3.NewFromConfig(endpoint(local.Address{URL: s.URL(), Credential: other.Address().Credential}))
	_, err := client.ListBuckets(t.Context(), &awss3.ListBucketsInput{})
	if err == nil || !strings.Contains(err.Error(), "InvalidAccessKeyId") ||
		!strings.Contains(err.Error(), `eval "$(modeldispatch local env)"`) {
		t.Errorf("ListBuckets = %v, want InvalidAccessKeyId and a hint", err)
	}
}

// localhost returns a client that resolves each name below localhost to loopback. RFC 6761 requires that, but some
// systems do not do it.
func localhost(url string) *http.Client {
	address := strings.TrimPrefix(url, "http://")
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}}
}

// TestVirtualHostedBuckets uses an SDK client that puts the bucket before the host name, as SDKs do by default.
func TestVirtualHostedBuckets(t *testing.T) {
	t.Parallel()
	s := start(t, project(t, never))
	cfg := endpoint(s.Address())
	cfg.HTTPClient = localhost(s.URL())
	virtual := awss3.NewFromConfig(cfg, func(o *awss3.Options) {
		url := strings.Replace(s.URL(), "127.0.0.1", "localhost", 1)
		o.BaseEndpoint, o.UsePathStyle = &url, false
	})
	for _, key := range []string{"data.csv", "a b/ü+c.csv", "README"} {
		uri := "s3://results/" + key
		if err := put(t.Context(), virtual, uri, []byte("body of "+key)); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
		if got := s.get(t, uri); got != "body of "+key {
			t.Errorf("%s by path has the body %q", uri, got)
		}
		if got, err := get(t.Context(), virtual, uri); err != nil || string(got) != "body of "+key {
			t.Errorf("%s by virtual host has the body %q, %v", uri, got, err)
		}
	}
	buckets, err := s.s3.ListBuckets(t.Context(), &awss3.ListBucketsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range buckets.Buckets {
		if strings.Contains("data.csv README", *b.Name) {
			t.Errorf("a put created the bucket %s", *b.Name)
		}
	}
}

// TestEndpointRejectsAnotherProgram checks that Endpoint does not trust another program on the port of a killed stack:
// callers would send the project's credential to it.
func TestEndpointRejectsAnotherProgram(t *testing.T) {
	t.Parallel()
	o, err := options(project(t, never))
	if err != nil {
		t.Fatal(err)
	}
	credential(t, o)
	other := start(t, project(t, never))
	write(t, filepath.Join(o.Data, "endpoint"), other.URL())
	address, err := local.Endpoint(t.Context(), o.Data)
	want := "another program answers at " + other.URL()
	if err == nil || !strings.Contains(err.Error(), want) || address != (local.Address{}) {
		t.Errorf("Endpoint = %+v, %v, want %s…", address, err, want)
	}
	startWith(t, o) // Start does not take the other program for a running stack
}

// TestCloseWithStalledClient checks that Close returns although a request never ends.
func TestCloseWithStalledClient(t *testing.T) {
	t.Parallel()
	s := start(t, project(t, never))
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	head := "PUT /results/k HTTP/1.1\r\nHost: " + strings.TrimPrefix(s.URL(), "http://") + "\r\n" +
		"Content-Length: 10\r\nExpect: 100-continue\r\n" +
		"Authorization: AWS4-HMAC-SHA256 Credential=" + s.Address().Credential.AccessKeyID + "/s3\r\n\r\n"
	if _, err := connection.Write([]byte(head)); err != nil {
		t.Fatal(err)
	}
	if answer, err := bufio.NewReader(connection).ReadString('\n'); err != nil || !strings.Contains(answer, "100 Continue") {
		t.Fatalf("the stack answers %q, %v, want 100 Continue", answer, err)
	}
	if err := s.Close(context.Background()); err != nil { // this context has no deadline
		t.Errorf("Close = %v", err)
	}
}
