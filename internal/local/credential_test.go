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

// credential starts a stack, stops it, and returns the credential that it took.
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

// TestACredentialIsOfItsProject: it is made once, kept for its owner only, shared by the project's stacks, and replaced when that
// is asked for.
func TestACredentialIsOfItsProject(t *testing.T) {
	t.Parallel()
	o, err := options(project(t, never))
	if err != nil {
		t.Fatal(err)
	}
	first := credential(t, o)
	if again := credential(t, o); again != first || len(first.AccessKeyID) < 20 || len(first.SecretAccessKey) < 20 {
		t.Errorf("the second start has %+v, after %+v", again, first)
	}
	file := local.CredentialFile(o.Data)
	for name, want := range map[string]fs.FileMode{file: 0o600, o.Data: 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want && runtime.GOOS != "windows" {
			t.Errorf("%s: %v, %v, want the mode %o", name, info.Mode(), err, want)
		}
	}
	if text, err := os.ReadFile(filepath.Join(o.Data, ".gitignore")); err != nil || string(text) != "*\n" {
		t.Errorf(".gitignore is %q, %v", text, err)
	}
	beside := o
	beside.Data, beside.Credentials = filepath.Join(o.Data, "play"), file
	if got := credential(t, beside); got != first {
		t.Errorf("a stack beside it has %+v, want the project's %+v", got, first)
	}
	o.NewCredentials = true
	if second := credential(t, o); second.AccessKeyID == first.AccessKeyID || second.SecretAccessKey == first.SecretAccessKey {
		t.Errorf("the new credential is %+v, after %+v", second, first)
	}
	o.NewCredentials = false
	write(t, file, "[default]\naws_access_key_id = x\n")
	if _, err := local.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "lacks aws_access_key_id or aws_secret_access_key: modeldispatch local --new-credentials") {
		t.Errorf("with half a credential: %v", err)
	}
}

// TestARunningStackKeepsItsCredential: a play beside it may not replace what its clients have.
func TestARunningStackKeepsItsCredential(t *testing.T) {
	t.Parallel()
	o, err := options(project(t, never))
	if err != nil {
		t.Fatal(err)
	}
	s := startWith(t, o)
	beside := o
	beside.Data, beside.Credentials, beside.NewCredentials = filepath.Join(o.Data, "play"), local.CredentialFile(o.Data), true
	if _, err := local.Start(t.Context(), beside); err == nil || !strings.Contains(err.Error(), "stop it before you replace them") {
		t.Errorf("Start = %v", err)
	}
	if there, err := local.Endpoint(t.Context(), o.Data); err != nil || there != s.Address() {
		t.Errorf("Endpoint = %+v, %v, want %+v", there, err, s.Address())
	}
}

func TestAStackRefusesTheCredentialOfAnother(t *testing.T) {
	t.Parallel()
	s, other := start(t, project(t, never)), start(t, project(t, never))
	client := awss3.NewFromConfig(endpoint(local.Address{URL: s.URL(), Credential: other.Address().Credential}))
	_, err := client.ListBuckets(t.Context(), &awss3.ListBucketsInput{})
	if err == nil || !strings.Contains(err.Error(), "InvalidAccessKeyId") || !strings.Contains(err.Error(), `eval "$(modeldispatch local env)"`) {
		t.Errorf("ListBuckets = %v, want InvalidAccessKeyId, and what to do", err)
	}
}

// localhost returns a client that resolves each name below localhost to loopback, as RFC 6761 has it and not each system does.
func localhost(url string) *http.Client {
	address := strings.TrimPrefix(url, "http://")
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}}
}

// TestBucketsOfHosts has AWS's client put the bucket before the host name, which is what SDKs do by default.
func TestBucketsOfHosts(t *testing.T) {
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
			t.Errorf("%s has the body %q", uri, got)
		}
		if got, err := get(t.Context(), virtual, uri); err != nil || string(got) != "body of "+key {
			t.Errorf("%s at its host has the body %q, %v", uri, got, err)
		}
	}
	buckets, err := s.s3.ListBuckets(t.Context(), &awss3.ListBucketsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range buckets.Buckets {
		if strings.Contains("data.csv README", *b.Name) {
			t.Errorf("a put made the bucket %s", *b.Name)
		}
	}
}

// TestAnotherProgramIsNoStack: it listens on the port of a stack that was killed, and must not get the project's key.
func TestAnotherProgramIsNoStack(t *testing.T) {
	t.Parallel()
	o, err := options(project(t, never))
	if err != nil {
		t.Fatal(err)
	}
	credential(t, o)
	other := start(t, project(t, never))
	write(t, filepath.Join(o.Data, "endpoint"), other.URL())
	if there, err := local.Endpoint(t.Context(), o.Data); err == nil || there != (local.Address{}) || !strings.Contains(err.Error(), "another program answers at "+other.URL()) {
		t.Errorf("Endpoint = %+v, %v", there, err)
	}
	startWith(t, o) // it is not taken for one that runs
}

// TestAClientThatHasStoppedSendingDoesNotHoldTheStack: Close ends although a request never does.
func TestAClientThatHasStoppedSendingDoesNotHoldTheStack(t *testing.T) {
	t.Parallel()
	s := start(t, project(t, never))
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	head := "PUT /results/k HTTP/1.1\r\nHost: " + strings.TrimPrefix(s.URL(), "http://") + "\r\nContent-Length: 10\r\nExpect: 100-continue\r\n" +
		"Authorization: AWS4-HMAC-SHA256 Credential=" + s.Address().Credential.AccessKeyID + "/s3\r\n\r\n"
	if _, err := connection.Write([]byte(head)); err != nil {
		t.Fatal(err)
	}
	if answer, err := bufio.NewReader(connection).ReadString('\n'); err != nil || !strings.Contains(answer, "100 Continue") {
		t.Fatalf("the stack answers %q, %v, want that it waits for the body", answer, err)
	}
	if err := s.Close(context.Background()); err != nil { // without a deadline of its own
		t.Errorf("Close = %v", err)
	}
}
