// Package dynamodbtest starts servers with DynamoDB's API for tests.
//
// Local starts DynamoDB Local, which AWS publishes. Moto starts moto, an independent imitation of AWS. Both run until
// the test ends. An environment variable tells where each server is installed, MODELDISPATCH_DYNAMODB_LOCAL or
// MODELDISPATCH_MOTO. If it is not set, the test is skipped with a hint.
//
// Connect returns a client of such a server, and Table creates a table for a store.
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

// Local starts DynamoDB Local, waits until it answers, and returns its endpoint. It skips the test if
// MODELDISPATCH_DYNAMODB_LOCAL is not set.
func Local(t *testing.T) string {
	folder := setting(t, "MODELDISPATCH_DYNAMODB_LOCAL", "the folder that testdata/dynamodb-local.sh makes")
	port := freePort(t) // DynamoDB Local does not accept port 0
	output := start(t, "java", "-cp", folder+"/lib/*", "-Dsqlite4java.library.path="+folder+"/lib",
		"com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-disableTelemetry", "-port", port)
	ctx, ended := context.WithCancelCause(t.Context())
	go func() {
		all, _ := io.ReadAll(output)
		ended(fmt.Errorf("the process ended with this output:\n%s", all))
	}()
	endpoint := "http://127.0.0.1:" + port
	if _, err := Connect(endpoint, untilItListens).ListTables(ctx, &client.ListTablesInput{}); err != nil {
		t.Fatalf("DynamoDB Local did not start: %v", cmp.Or(context.Cause(ctx), err))
	}
	return endpoint
}

// untilItListens makes a client repeat its calls until the server listens.
func untilItListens(o *client.Options) {
	o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff, o.RateLimiter = 1000, 200*time.Millisecond, ratelimit.None
	})
}

// Moto starts moto's server, and returns the endpoint that it prints. It skips the test if MODELDISPATCH_MOTO is not
// set.
func Moto(t *testing.T) string {
	program := setting(t, "MODELDISPATCH_MOTO", "the moto_server of `pip install 'moto[server]'`")
	output := bufio.NewReader(start(t, program, "-H", "127.0.0.1", "-p", "0"))
	var before strings.Builder
	for {
		line, err := output.ReadString('\n')
		if err != nil {
			t.Fatalf("moto_server did not start; its output:\n%s", before.String())
		}
		before.WriteString(line)
		if _, endpoint, found := strings.Cut(line, "Running on "); found {
			go func() { _, _ = io.Copy(io.Discard, output) }()
			return strings.TrimSpace(endpoint)
		}
	}
}

// setting returns the value of an environment variable. It skips the test if the variable is not set; what describes
// the value that the variable needs.
func setting(t *testing.T, name, what string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Skipf("to run this test, set %s to %s", name, what)
	}
	return value
}

// start starts a server and returns its output. The server ends with the test. It also ends if this process is killed:
// the shell starts a watcher, which kills the server when our pipe closes, and then becomes the server.
func start(t *testing.T, command ...string) io.Reader {
	t.Helper()
	const guarded = `exec 3<&0; (read -r _ <&3; kill -9 $$) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null 2>&1`
	server := exec.Command("sh", append([]string{"-c", guarded, "sh"}, command...)...)
	server.Dir = t.TempDir()
	pipe, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = pipe.Close()
		_ = server.Wait() // returns an error, since the watcher killed the server
	})
	return output
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

// Connect returns a client of an endpoint, with the SDK's default settings apart from options.
func Connect(endpoint string, options ...func(*client.Options)) *client.Client {
	return client.New(client.Options{
		BaseEndpoint: aws.String(endpoint),
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, options...)
}

// WithMiddleware returns a client option that adds a middleware to each call.
func WithMiddleware(m func(*middleware.Stack) error) func(*client.Options) {
	return func(o *client.Options) { o.APIOptions = append(o.APIOptions, m) }
}

// Table creates a table for a store with a new name, and returns the name.
func Table(t *testing.T, c *client.Client) string {
	t.Helper()
	name := "store-" + uuid.NewString()
	if _, err := c.CreateTable(t.Context(), dynamodb.Table(name)); err != nil {
		t.Fatal(err)
	}
	return name
}
