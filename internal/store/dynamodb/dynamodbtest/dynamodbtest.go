// Package dynamodbtest starts real servers that speak DynamoDB, for tests: AWS's own DynamoDB Local, and moto. Where an
// environment variable does not say where they are, the test skips, and says how to turn it on.
package dynamodbtest

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
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
	"github.com/aws/smithy-go/middleware"
	"github.com/google/uuid"

	"modeldispatch/internal/store/dynamodb"
)

// Local starts AWS's own DynamoDB Local, and gives its endpoint once it answers.
func Local(t *testing.T) string {
	folder := setting(t, "MODELDISPATCH_DYNAMODB_LOCAL", "the folder that testdata/dynamodb-local.sh makes")
	port := freePort(t) // it takes no port 0
	said := start(t, "java", "-cp", folder+"/lib/*", "-Dsqlite4java.library.path="+folder+"/lib",
		"com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-disableTelemetry", "-port", port)
	ctx, ended := context.WithCancelCause(t.Context())
	go func() {
		all, _ := io.ReadAll(said)
		ended(fmt.Errorf("it ended, and said:\n%s", all))
	}()
	endpoint := "http://127.0.0.1:" + port
	if _, err := Connect(endpoint, untilItListens).ListTables(ctx, &client.ListTablesInput{}); err != nil {
		t.Fatalf("DynamoDB Local did not start: %v", cmp.Or(context.Cause(ctx), err))
	}
	return endpoint
}

func untilItListens(o *client.Options) {
	o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff, o.RateLimiter = 1000, 200*time.Millisecond, ratelimit.None
	})
}

// Moto starts moto's server, and gives its endpoint, which it says.
func Moto(t *testing.T) string {
	program := setting(t, "MODELDISPATCH_MOTO", "the moto_server of `pip install 'moto[server]'`")
	said := bufio.NewReader(start(t, program, "-H", "127.0.0.1", "-p", "0"))
	var before strings.Builder
	for {
		line, err := said.ReadString('\n')
		if err != nil {
			t.Fatalf("moto_server did not start, and said:\n%s", before.String())
		}
		before.WriteString(line)
		if _, endpoint, found := strings.Cut(line, "Running on "); found {
			go func() { _, _ = io.Copy(io.Discard, said) }()
			return strings.TrimSpace(endpoint)
		}
	}
}

// setting is an environment variable that turns a test on.
func setting(t *testing.T, name, what string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Skipf("to turn this on, set %s to %s", name, what)
	}
	return value
}

// start starts a server, and gives what it says. It ends with the test, and with this process
// however that ends: the shell that becomes the server leaves someone behind who waits for the end
// of our pipe.
func start(t *testing.T, command ...string) io.Reader {
	t.Helper()
	const guarded = `exec 3<&0; (read -r _ <&3; kill -9 $$) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null 2>&1`
	server := exec.Command("sh", append([]string{"-c", guarded, "sh"}, command...)...)
	server.Dir = t.TempDir()
	pipe, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = pipe.Close()
		_ = server.Wait() // it was killed
	})
	return said
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Connect is a client of an endpoint, as an account's would be.
func Connect(endpoint string, options ...func(*client.Options)) *client.Client {
	return client.New(client.Options{
		BaseEndpoint: aws.String(endpoint),
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, options...)
}

// With has the client's calls go through a middleware.
func With(m func(*middleware.Stack) error) func(*client.Options) {
	return func(o *client.Options) { o.APIOptions = append(o.APIOptions, m) }
}

// Table makes a table for a store, and gives its name.
func Table(t *testing.T, c *client.Client) string {
	t.Helper()
	name := "store-" + uuid.NewString()
	if _, err := c.CreateTable(t.Context(), dynamodb.Table(name)); err != nil {
		t.Fatal(err)
	}
	return name
}
