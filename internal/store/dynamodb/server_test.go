package dynamodb_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// variable is a test's environment variable; without it the test is skipped.
func variable(t *testing.T, name, how string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Skipf("turned on by %s: %s", name, how)
	}
	return value
}

// dynamoDBLocal starts AWS's own DynamoDB Local, and gives its endpoint once it answers.
func dynamoDBLocal(t *testing.T) string {
	folder := variable(t, "MODELDISPATCH_DYNAMODB_LOCAL", "the folder that testdata/dynamodb-local.sh made")
	// It takes no port 0. Should somebody else take the free one first, it ends, and says so.
	port := freePort(t)
	lines := start(t, "java", "-cp", folder+"/lib/*", "-Dsqlite4java.library.path="+folder+"/lib",
		"com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-disableTelemetry", "-port", port)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		defer cancel() // it has ended
		_, _ = io.Copy(io.Discard, lines)
	}()
	endpoint := "http://127.0.0.1:" + port
	patient := func(o *client.Options) {
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff, o.RateLimiter = 0, 200*time.Millisecond, ratelimit.None // until it listens
		})
	}
	if _, err := connect(endpoint, patient).ListTables(ctx, &client.ListTablesInput{}); err != nil {
		t.Fatalf("DynamoDB Local did not come up: %v", err)
	}
	return endpoint
}

// moto starts moto's server, and gives its endpoint, which is the first thing that it says.
func moto(t *testing.T) string {
	lines := start(t, variable(t, "MODELDISPATCH_MOTO", "the moto_server of `pip install 'moto[server]'`"), "-H", "127.0.0.1", "-p", "0")
	for scanner := bufio.NewScanner(lines); scanner.Scan(); {
		if _, endpoint, found := strings.Cut(scanner.Text(), "Running on "); found {
			go func() { _, _ = io.Copy(io.Discard, lines) }()
			return endpoint
		}
	}
	t.Fatal("moto_server ended before it listened")
	return ""
}

// start starts a server that ends with the test, or with this process, however that ends: a shell
// that the server replaces leaves somebody behind who waits for the end of the input. What the
// server says comes back.
func start(t *testing.T, command ...string) io.Reader {
	t.Helper()
	const guard = `exec 3<&0; (read -r _ <&3; kill -9 $$) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null 2>&1`
	server := exec.Command("sh", append([]string{"-c", guard, "sh"}, command...)...)
	server.Dir = t.TempDir()
	alive, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, in := io.Pipe()
	server.Stdout = in
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = in.CloseWithError(cmpErr(server.Wait()))
	}()
	t.Cleanup(func() {
		_ = alive.Close()
		_ = out.Close()
		<-ended
	})
	return out
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return fmt.Sprint(listener.Addr().(*net.TCPAddr).Port)
}
