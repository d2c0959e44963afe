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

// reply is one answer of an ECS over HTTP.
type reply struct {
	status int // 0 closes the connection instead of an answer
	body   string
}

// wire is the SDK's client of an ECS that gives these answers, one a call, the last one again
// and again. The SDK retries without waiting.
func wire(t *testing.T, replies ...reply) *fargate.Client {
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

// refuses is an answer with an error of ECS.
func refuses(status int, code, message string) reply {
	body, _ := json.Marshal(map[string]string{"__type": code, "message": message})
	return reply{status, string(body)}
}

var request = json.RawMessage(`{"taskDefinition": "x:1", "clientToken": "t"}`)

// TestARefusalIsIndefinite while any call that the SDK made may still start a task.
func TestARefusalIsIndefinite(t *testing.T) {
	t.Parallel()
	lost, gateway := reply{}, reply{504, "<html>Gateway Timeout</html>"}
	throttled := refuses(400, "ThrottlingException", "Rate exceeded")
	failures := reply{200, `{"tasks": [], "failures": [{"reason": "RESOURCE:CPU"}]}`}
	for name, c := range map[string]struct {
		replies    []reply
		class      run.Class
		indefinite bool
	}{
		"throttled":                            {[]reply{throttled}, run.Throttled, false},
		"refused":                              {[]reply{refuses(400, "InvalidParameterException", "x")}, run.Misconfigured, false},
		"expired credentials":                  {[]reply{refuses(400, "ExpiredTokenException", "x")}, run.Throttled, false},
		"failures":                             {[]reply{failures}, run.Capacity, false},
		"a conflict that names no task":        {[]reply{refuses(400, "ConflictException", "x")}, run.Throttled, false},
		"server error":                         {[]reply{refuses(500, "ServerException", "x")}, run.Throttled, true},
		"server error with 400":                {[]reply{refuses(400, "ServerException", "x")}, run.Throttled, true},
		"a time-out with 400":                  {[]reply{refuses(400, "RequestTimeoutException", "x")}, run.Throttled, true},
		"a time-out of a proxy":                {[]reply{{408, "<html>"}}, run.Throttled, true},
		"gateway":                              {[]reply{gateway}, run.Throttled, true},
		"forbidden by a proxy":                 {[]reply{{403, "<html>"}}, run.Throttled, true},
		"unavailable, without a word":          {[]reply{{503, ""}}, run.Throttled, true},
		"connection lost":                      {[]reply{lost}, run.Throttled, true},
		"an answer that cannot be read":        {[]reply{{200, `{"tasks": [`}}, run.Throttled, true},
		"gateway, then throttled":              {[]reply{gateway, throttled}, run.Throttled, true},
		"throttled, then connection lost":      {[]reply{throttled, lost, throttled}, run.Throttled, true},
		"connection lost, then failures":       {[]reply{lost, failures}, run.Capacity, true},
		"gateway, then refused":                {[]reply{gateway, refuses(400, "ClusterNotFoundException", "x")}, run.Misconfigured, true},
		"throttled, then the quota of tasks":   {[]reply{throttled, refuses(400, "ClientException", "You've reached the limit on the number of tasks")}, run.Quota, false},
		"throttled twice, then a server error": {[]reply{throttled, throttled, refuses(500, "ServerException", "x")}, run.Throttled, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := wire(t, c.replies...).RunTask(t.Context(), request, time.Now().Add(time.Minute))
			if err != nil || got.Refusal == nil {
				t.Fatalf("the answer is %+v, error %v, want a refusal", got, err)
			}
			if got.Refusal.Class != c.class || got.Indefinite != c.indefinite {
				t.Errorf("refused with %v, indefinite %t; want %s, %t", got.Refusal, got.Indefinite, c.class, c.indefinite)
			}
		})
	}
}

func TestAConflictNamesTheTask(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:ecs:eu-west-1:111122223333:task/models/1"
	got, err := wire(t, reply{400, `{"__type": "ConflictException", "message": "x", "resourceIds": ["` + arn + `"]}`}).RunTask(t.Context(), request, time.Now().Add(time.Minute))
	if err != nil || got.Refusal != nil || got.Task.ARN != arn {
		t.Errorf("the answer is %+v, error %v; want the task %s", got, err, arn)
	}
}

func TestACallThatWasNotSentIsDefinite(t *testing.T) {
	t.Parallel()
	got, err := wire(t, reply{500, ""}).RunTask(t.Context(), request, time.Now().Add(-time.Second))
	if err != nil || got.Refusal == nil || got.Refusal.Class != run.Throttled || got.Indefinite {
		t.Errorf("after the deadline the answer is %+v, error %v; want throttled, and definite", got, err)
	}
	down := fargate.NewClient(ecs.New(ecs.Options{Region: "eu-west-1", Credentials: aws.CredentialsProviderFunc(
		func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, io.ErrUnexpectedEOF })}))
	got, err = down.RunTask(t.Context(), request, time.Now().Add(time.Minute))
	if err != nil || got.Refusal == nil || got.Refusal.Class != run.Throttled || got.Indefinite {
		t.Errorf("without credentials the answer is %+v, error %v; want throttled, and definite", got, err)
	}
}

func TestACallOverItsDeadlineIsIndefinite(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(done) })
	client := fargate.NewClient(ecs.New(ecs.Options{
		Region: "eu-west-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	}))
	got, err := client.RunTask(t.Context(), request, time.Now().Add(50*time.Millisecond))
	if err != nil || got.Refusal == nil || got.Refusal.Class != run.Throttled || !got.Indefinite {
		t.Errorf("the answer is %+v, error %v; want throttled, and indefinite", got, err)
	}
}
