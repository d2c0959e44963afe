package fargate_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"modeldispatch/internal/fargate"
	"modeldispatch/internal/run"
)

// reply is an HTTP answer of a fake ECS.
type reply struct {
	status int // 0 closes the connection without an answer
	body   string
}

// newClient returns a client of the SDK for a fake ECS. Each HTTP call gets the next reply, and all further
// calls get the last one. The SDK retries without a delay.
func newClient(t *testing.T, replies ...reply) *fargate.Client {
	t.Helper()
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reply := replies[min(calls, len(replies)-1)]
		calls++
		if _, err := io.Copy(io.Discard, r.Body); err != nil || reply.status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(reply.status)
		if _, err := io.WriteString(w, reply.body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return fargate.NewClient(ecs.New(ecs.Options{
		Region: "eu-west-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		}),
	}))
}

// refuses returns a reply with an error of ECS.
func refuses(status int, code, message string) reply {
	body, _ := json.Marshal(map[string]string{"__type": code, "message": message})
	return reply{status, string(body)}
}

var request = json.RawMessage(`{"taskDefinition": "x:1", "clientToken": "t"}`)

// TestIndefiniteRefusals checks that a refusal is indefinite if any HTTP call of the SDK may still start a
// task.
func TestIndefiniteRefusals(t *testing.T) {
	t.Parallel()
	lost, gateway := reply{}, reply{504, "<html>Gateway Timeout</html>"}
	throttled := refuses(400, "ThrottlingException", "Rate exceeded")
	quota := refuses(400, "ClientException", "You've reached the limit on the number of tasks")
	failures := reply{200, `{"tasks": [], "failures": [{"reason": "RESOURCE:CPU"}]}`}
	for name, c := range map[string]struct {
		replies    []reply
		class      run.Class
		indefinite bool
	}{
		"throttled":                            {[]reply{throttled}, run.ClassThrottled, false},
		"refused":                              {[]reply{refuses(400, "InvalidParameterException", "x")}, run.ClassMisconfigured, false},
		"expired credentials":                  {[]reply{refuses(400, "ExpiredTokenException", "x")}, run.ClassThrottled, false},
		"failures[]":                           {[]reply{failures}, run.ClassCapacity, false},
		"a conflict that names no task":        {[]reply{refuses(400, "ConflictException", "x")}, run.ClassThrottled, false},
		"server error":                         {[]reply{refuses(500, "ServerException", "x")}, run.ClassThrottled, true},
		"server error with 400":                {[]reply{refuses(400, "ServerException", "x")}, run.ClassThrottled, true},
		"timeout with 400":                     {[]reply{refuses(400, "RequestTimeoutException", "x")}, run.ClassThrottled, true},
		"timeout of a proxy":                   {[]reply{{408, "<html>"}}, run.ClassThrottled, true},
		"gateway":                              {[]reply{gateway}, run.ClassThrottled, true},
		"forbidden by a proxy":                 {[]reply{{403, "<html>"}}, run.ClassThrottled, true},
		"unavailable, empty body":              {[]reply{{503, ""}}, run.ClassThrottled, true},
		"connection lost":                      {[]reply{lost}, run.ClassThrottled, true},
		"invalid JSON":                         {[]reply{{200, `{"tasks": [`}}, run.ClassThrottled, true},
		"gateway, then throttled":              {[]reply{gateway, throttled}, run.ClassThrottled, true},
		"throttled, then connection lost":      {[]reply{throttled, lost, throttled}, run.ClassThrottled, true},
		"connection lost, then failures[]":     {[]reply{lost, failures}, run.ClassCapacity, true},
		"gateway, then refused":                {[]reply{gateway, refuses(400, "ClusterNotFoundException", "x")}, run.ClassMisconfigured, true},
		"throttled, then the quota of tasks":   {[]reply{throttled, quota}, run.ClassQuota, false},
		"throttled twice, then a server error": {[]reply{throttled, throttled, refuses(500, "ServerException", "x")}, run.ClassThrottled, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := newClient(t, c.replies...).RunTask(t.Context(), request, time.Now().Add(time.Minute))
			if err != nil || got.Refusal == nil {
				t.Fatalf("the answer is %+v, error %v, want a refusal", got, err)
			}
			if got.Refusal.Class != c.class || got.Indefinite != c.indefinite {
				t.Errorf("refused with %v, indefinite %t; want %s, %t", got.Refusal, got.Indefinite, c.class, c.indefinite)
			}
		})
	}
}

func TestConflictReturnsTheTask(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:ecs:eu-west-1:111122223333:task/models/1"
	conflict := reply{400, `{"__type": "ConflictException", "message": "x", "resourceIds": ["` + arn + `"]}`}
	got, err := newClient(t, conflict).RunTask(t.Context(), request, time.Now().Add(time.Minute))
	if err != nil || got.Refusal != nil || got.Task.ARN != arn {
		t.Errorf("the answer is %+v, error %v; want the task %s", got, err, arn)
	}
}

func TestUnsentCallIsDefinite(t *testing.T) {
	t.Parallel()
	got, err := newClient(t, reply{500, ""}).RunTask(t.Context(), request, time.Now().Add(-time.Second))
	if err != nil || got.Refusal == nil || got.Refusal.Class != run.ClassThrottled || got.Indefinite {
		t.Errorf("after the deadline the answer is %+v, error %v; want throttled, and definite", got, err)
	}
	down := fargate.NewClient(ecs.New(ecs.Options{Region: "eu-west-1", Credentials: aws.CredentialsProviderFunc(
		func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, io.ErrUnexpectedEOF })}))
	got, err = down.RunTask(t.Context(), request, time.Now().Add(time.Minute))
	if err != nil || got.Refusal == nil || got.Refusal.Class != run.ClassThrottled || got.Indefinite {
		t.Errorf("without credentials the answer is %+v, error %v; want throttled, and definite", got, err)
	}
}

func TestCallPastItsDeadlineIsIndefinite(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(done) })
	client := fargate.NewClient(ecs.New(ecs.Options{
		Region: "eu-west-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	}))
	got, err := client.RunTask(t.Context(), request, time.Now().Add(50*time.Millisecond))
	if err != nil || got.Refusal == nil || got.Refusal.Class != run.ClassThrottled || !got.Indefinite {
		t.Errorf("the answer is %+v, error %v; want throttled, and indefinite", got, err)
	}
}
