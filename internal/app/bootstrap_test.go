package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/rs/zerolog"

	"modeldispatch/internal/app"
	"modeldispatch/internal/catalog"
	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/local"
	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/dynamodb"
	"modeldispatch/internal/store/dynamodb/dynamodbtest"
)

// names are the functions.
var names = []string{"schedule", "arrival", "message", "event", "launch", "completion", "sweep"}

// folder is where the functions are built, once, when a test needs them.
var folder string

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "functions"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// build builds all functions as template.yaml has them built, but for this machine.
var build = sync.OnceValue(func() error {
	command := exec.Command("go", "build", "-trimpath", "-ldflags=-s", "-tags=lambda.norpc", "-buildvcs=false", "-o", folder+string(filepath.Separator), "./functions/...")
	command.Dir = filepath.Join("..", "..")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
})

const request = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"

// answer is how a function answers an invocation.
type answer struct {
	body   string
	failed bool
}

// function is a function's process and the Runtime API that it asks for its invocations.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
type function struct {
	process *exec.Cmd
	log     string        // the file of what it says
	time    time.Duration // for an invocation
	next    chan []byte
	answers chan answer
	ended   chan struct{}
}

func (f *function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/invocation/next") {
		select {
		case payload := <-f.next:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", request)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(f.time).UnixMilli()))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:f")
			_, _ = w.Write(payload)
		case <-r.Context().Done():
		}
		return
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		f.answers <- answer{string(body), !strings.HasSuffix(r.URL.Path, "/response")}
	}
	w.WriteHeader(http.StatusAccepted)
}

// start starts a function with an environment.
func start(t *testing.T, name string, environment map[string]string) *function {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // the process has its own
	f := &function{process: exec.Command(filepath.Join(folder, name)), log: log.Name(), time: 30 * time.Second, next: make(chan []byte), answers: make(chan answer, 10), ended: make(chan struct{})}
	api := httptest.NewServer(f)
	f.process.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://"), "AWS_LAMBDA_FUNCTION_NAME=" + name}
	for name, value := range environment {
		f.process.Env = append(f.process.Env, name+"="+value)
	}
	f.process.Stdout, f.process.Stderr = log, log
	if err := f.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = f.process.Wait() // how it ended is in its state
		close(f.ended)
	}()
	t.Cleanup(func() {
		_ = f.process.Process.Kill()
		<-f.ended
		api.CloseClientConnections()
		api.Close()
	})
	return f
}

func (f *function) said() string {
	text, _ := os.ReadFile(f.log) // of a file that is not there nothing was said
	return strings.TrimSpace(string(text))
}

// invoke gives the function an invocation, and waits for its answer.
func (f *function) invoke(t *testing.T, payload []byte) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for sent := f.next; ; {
		select {
		case sent <- payload:
			sent = nil // and now its answer
		case a := <-f.answers:
			return a
		case <-f.ended:
			t.Fatalf("the function ended (%s), and said:\n%s", f.process.ProcessState, f.said())
		case <-ctx.Done():
			t.Fatal("the function does not answer")
		}
	}
}

// account is what stands in for an AWS account: the local stack's endpoints, and a real DynamoDB.
type account struct {
	environment map[string]string
	catalog     model.Catalog
	stack       *local.Stack
	store       *dynamodb.Store
	ecs         *ecs.Client
	s3          *s3.Client
	sqs         *sqs.Client
}

const deployment = "boot"

func newAccount(t *testing.T) account {
	t.Helper()
	endpoint := dynamodbtest.Local(t)
	db := dynamodbtest.Connect(endpoint)
	c, _, err := catalog.Compile("testdata/project", catalog.Options{Environment: "prod", Processes: true})
	if err != nil {
		t.Fatal(err)
	}
	// The stack has the buckets and queues of the same models. Its own functions mind their own deployment. It takes the credentials
	// of the functions, by which DynamoDB Local tells accounts apart.
	stack, err := local.Start(t.Context(), local.Options{Catalog: c, Data: t.TempDir(), Port: -1, AnyCredentials: true, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	text, err := c.Compile()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "catalog.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	table := dynamodbtest.Table(t, db)
	cfg := app.Endpoint(stack.URL(), local.Region, "test", "test")
	a := account{
		catalog: c, stack: stack,
		store: dynamodb.New(db, table), ecs: ecs.NewFromConfig(cfg), sqs: sqs.NewFromConfig(cfg),
		s3: s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }),
	}
	queue := func(name string) string {
		out, err := a.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(deployment + "-" + name)})
		if err != nil {
			t.Fatal(err)
		}
		return *out.QueueUrl
	}
	a.register(t, c)
	a.environment = map[string]string{
		"DEPLOYMENT": deployment, "CATALOG": file, "TABLE": table, "LAUNCH_QUEUE_URL": queue("launch"), "WAKE_QUEUE_URL": queue("wake"),
		"STATE_BUCKET": local.Bucket, "EVENT_BUS": "default", "CLUSTER": "modeldispatch", "SUBNETS": "subnet-1,subnet-2", "RUN_TASK_RATE": "19.5", "RETENTION": "90",
		"AWS_REGION": local.Region, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_ENDPOINT_URL": stack.URL(), "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
	}
	return a
}

// register registers the task definitions of the models as the deployment does, under its own families.
func (a account) register(t *testing.T, c model.Catalog) {
	t.Helper()
	for _, m := range c.Models {
		text, err := os.ReadFile(filepath.Join("testdata/project/models", m.Name, "task-definition.json"))
		if err != nil {
			t.Fatal(err)
		}
		var in ecs.RegisterTaskDefinitionInput
		if err := json.Unmarshal(text, &in); err != nil {
			t.Fatal(err)
		}
		if m.Task.Definition != nil {
			in.Family = aws.String(deployment + "-" + m.Name)
		}
		if _, err := a.ecs.RegisterTaskDefinition(t.Context(), &in); err != nil {
			t.Fatal(err)
		}
	}
}

func (a account) run(t *testing.T) run.Run {
	t.Helper()
	docs, _, err := a.store.List(t.Context(), store.Query{Kind: dispatch.KindRun})
	if err != nil || len(docs) != 1 {
		t.Fatalf("the store lists %d runs, %v, want one", len(docs), err)
	}
	var r run.Run
	if err := dispatch.Decode(docs[0], &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// receive takes the messages of a queue, as Lambda's event-source mapping does.
func (a account) receive(t *testing.T, queue string) []byte {
	t.Helper()
	out, err := a.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(a.environment[queue]), MaxNumberOfMessages: 10, WaitTimeSeconds: 10})
	if err != nil || len(out.Messages) == 0 {
		t.Fatalf("the queue has %d messages, %v", len(out.Messages), err)
	}
	var batch events.SQSEvent
	for _, m := range out.Messages {
		batch.Records = append(batch.Records, events.SQSMessage{MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body, EventSource: "aws:sqs", EventSourceARN: "arn:aws:sqs:us-east-1:000000000000:boot-launch"})
	}
	text, err := json.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const arrived = `{"version":"0","id":"e1","detail-type":"Object Created","source":"aws.s3","account":"1","time":"2026-01-05T08:00:00Z","region":"us-east-1","resources":[],
	"detail":{"version":"0","bucket":{"name":"landing"},"object":{"key":"copy/a.txt","size":1,"etag":"e","sequencer":"0A"},"reason":"PutObject"}}`

// TestAnObjectGoesTheWholeWay: the functions as they are deployed, DynamoDB behind them, from an object's event to a run that
// has succeeded.
func TestAnObjectGoesTheWholeWay(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	functions := map[string]*function{}
	for _, name := range names {
		functions[name] = start(t, name, a.environment)
	}
	if got := functions["arrival"].invoke(t, []byte(arrived)); got.failed || got.body != "null" {
		t.Fatalf("arrival answers %+v, and said:\n%s", got, functions["arrival"].said())
	}
	if r := a.run(t); r.State != run.Waiting || r.For != run.Queued {
		t.Fatalf("after the event the run is %s, for %s", r.State, r.For)
	}
	if got := functions["arrival"].invoke(t, []byte(arrived)); got.failed {
		t.Errorf("a duplicate is answered with %+v", got)
	}
	if got := functions["launch"].invoke(t, a.receive(t, "LAUNCH_QUEUE_URL")); got.failed || got.body != `{"batchItemFailures":[]}` {
		t.Fatalf("launch answers %+v, and said:\n%s", got, functions["launch"].said())
	}
	task := a.run(t).Task.ARN
	described := &ecs.DescribeTasksInput{Cluster: aws.String("modeldispatch"), Tasks: []string{task}}
	if err := ecs.NewTasksStoppedWaiter(a.ecs, func(o *ecs.TasksStoppedWaiterOptions) { o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second }).Wait(t.Context(), described, time.Minute); err != nil {
		t.Fatal(err)
	}
	out, err := a.ecs.DescribeTasks(t.Context(), described)
	if err != nil {
		t.Fatal(err)
	}
	if got := functions["completion"].invoke(t, stateChange(t, out)); got.failed {
		t.Fatalf("completion answers %+v, and said:\n%s", got, functions["completion"].said())
	}
	if r := a.run(t); r.State != run.Succeeded || r.Attempt != 1 {
		t.Errorf("the run is %s after attempt %d: %v; completion said:\n%s", r.State, r.Attempt, r.Outcome, functions["completion"].said())
	}
	for name, metric := range map[string]string{"arrival": `"Bindings":1`, "launch": `"Launches":1`, "completion": `"Outcomes":1`} {
		if f := functions[name]; !strings.Contains(f.said(), metric) || !strings.Contains(f.said(), `"request":"`+request) {
			t.Errorf("%s writes no metric %s, or not whose request it was:\n%s", name, metric, f.said())
		}
	}
	if got := functions["sweep"].invoke(t, []byte(`{"source":"aws.events","detail-type":"Scheduled Event"}`)); got.failed {
		t.Errorf("sweep answers %+v, and said:\n%s", got, functions["sweep"].said())
	}
	if said := functions["sweep"].said(); strings.Count(said, `"Sweeps":1`) != 1 {
		t.Errorf("the sweep is not counted once:\n%s", said)
	}
}

// stateChange is the event of a task that has stopped, of what ECS says of it.
func stateChange(t *testing.T, out *ecs.DescribeTasksOutput) []byte {
	t.Helper()
	task := out.Tasks[0]
	c := task.Containers[0]
	detail := map[string]any{
		"taskArn": task.TaskArn, "clusterArn": task.ClusterArn, "taskDefinitionArn": task.TaskDefinitionArn, "startedBy": task.StartedBy,
		"lastStatus": task.LastStatus, "desiredStatus": task.DesiredStatus, "stopCode": task.StopCode, "stoppedReason": task.StoppedReason,
		"version": task.Version, "containers": []any{map[string]any{"name": c.Name, "lastStatus": c.LastStatus, "exitCode": c.ExitCode}},
	}
	text, err := json.Marshal(map[string]any{"version": "0", "id": "e", "detail-type": "ECS Task State Change", "source": "aws.ecs", "account": "1", "time": "2026-01-05T08:00:00Z", "region": "us-east-1", "resources": []any{task.TaskArn}, "detail": detail})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The answers of a function that was given a batch.
const (
	taken  = `{"batchItemFailures":[]}`
	minute = `{"batchItemFailures":null}` // the sweep was given none
)

func sample(t *testing.T, name string) []byte {
	t.Helper()
	payload, err := os.ReadFile(filepath.Join("..", "..", "events", name))
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// garbage is a payload that is JSON, and nothing that a function is given.
const garbage = `{"what": "is this"}`

// TestEachFunctionAnswersAsLambdaWants: real payloads, what is none, and what is no JSON. The process lives on.
func TestEachFunctionAnswersAsLambdaWants(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	for name, one := range map[string]struct {
		samples []string
		want    string
		bad     string // the answer to garbage; "" for an error
	}{
		"schedule":   {[]string{"schedule-earthquakes.json"}, "null", "null"}, // recorded as rejected
		"arrival":    {[]string{"arrival-weather.json", "notification-weather.json", "notification-in-queue.json"}, "null", "null"},
		"message":    {[]string{"messages-energy.json"}, taken, taken},
		"event":      {[]string{"event-job-succeeded.json", "arrival-unmatched.json"}, "null", "null"},
		"launch":     {[]string{"launch-message.json"}, taken, taken},
		"completion": {[]string{"task-stopped.json"}, "null", ""},
		"sweep":      {[]string{"wake-message.json"}, taken, minute}, // with anything else it looks at all
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, name, a.environment)
			for range 2 {
				for _, payload := range one.samples {
					if got := f.invoke(t, sample(t, payload)); got.failed || got.body != one.want {
						t.Errorf("%s: it answers %+v, want %s; it said:\n%s", payload, got, one.want, f.said())
					}
				}
				if got := f.invoke(t, []byte(garbage)); got.failed != (one.bad == "") || got.body != one.bad && one.bad != "" {
					t.Errorf("garbage: it answers %+v, want %q; it said:\n%s", got, one.bad, f.said())
				}
				if got := f.invoke(t, []byte(`{`)); !got.failed || !strings.Contains(got.body, "errorMessage") {
					t.Errorf("no JSON: it answers %+v, want an error", got)
				}
			}
		})
	}
	t.Run("a message that names no run comes back", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"launch", "sweep"} {
			f := start(t, name, a.environment)
			const want = `{"batchItemFailures":[{"itemIdentifier":"m2"}]}`
			batch := `{"Records":[{"messageId":"m1","body":"{\"run\":\"copy-1\"}"},{"messageId":"m2","body":"run"}]}`
			if got := f.invoke(t, []byte(batch)); got.failed || got.body != want {
				t.Errorf("%s answers %+v, want %s; it said:\n%s", name, got, want, f.said())
			}
		}
	})
}

// TestAFunctionThatHasNoTimeLeftSaysSo: an answer comes before Lambda ends the process, messages come back, what was invoked
// for an event is invoked again, and the next invocation is served.
func TestAFunctionThatHasNoTimeLeftSaysSo(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the client has gone
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	a.environment["AWS_ENDPOINT_URL_DYNAMODB"] = silent.URL
	ours := strings.ReplaceAll(string(sample(t, "task-stopped.json")), `"modeldispatch/`, `"`+deployment+"/")
	for _, one := range []struct{ function, payload, back string }{
		{"schedule", string(sample(t, "schedule-earthquakes.json")), ""},
		{"arrival", arrived, ""},
		{"message", string(sample(t, "message-passengers.json")), "ef49c924-a38e-49b0-877e-6366d2716cf8"},
		{"event", happened("test", "e"), ""},
		{"launch", string(sample(t, "launch-message.json")), "1f0c9f0e-5d2b-4a1c-9a57-0d1f5a6f3c21"},
		{"completion", ours, ""},
		{"sweep", string(sample(t, "wake-message.json")), "b7a4c2d6-0e4f-4f0b-8b8e-6a2a9d0c7e43"},
		{"sweep", "{}", ""},
	} {
		t.Run(one.function+" "+one.back, func(t *testing.T) {
			t.Parallel()
			f := start(t, one.function, a.environment)
			if f.time = time.Second; one.payload == "{}" {
				f.time += 10 * time.Second // with less the sweep begins nothing
			}
			for range 2 {
				got := f.invoke(t, []byte(one.payload))
				all := got.failed && strings.Contains(got.body, "deadline exceeded") // the whole batch, too
				each := one.back != "" && got.body == `{"batchItemFailures":[{"itemIdentifier":"`+one.back+`"}]}`
				if !all && !each {
					t.Errorf("it answers %+v, and what it was given is lost; it said:\n%s", got, f.said())
				}
			}
			if strings.Contains(f.said(), "Sweeps") {
				t.Error("the sweep that failed counts as one")
			}
		})
	}
}

// TestAPanicIsAnswered: with what it was, and a process that ends, so that Lambda starts another; where it was over one
// message of a batch, that message comes back alone. What panics is a model of a layer that was tampered with.
func TestAPanicIsAnswered(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	compiled, err := os.ReadFile(a.environment["CATALOG"])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"copy", "second"} {
		compiled = bytes.Replace(compiled, []byte(`{"name":"`+name+`","task"`), []byte(`{"name":"`+name+`",[task"`), 1)
	}
	if err := os.WriteFile(a.environment["CATALOG"], compiled, 0o644); err != nil {
		t.Fatal(err)
	}
	const why = "a model of the compiled catalog that cannot be decoded"
	arrival := start(t, "arrival", a.environment)
	if got := arrival.invoke(t, []byte(arrived)); !got.failed || !strings.Contains(got.body, `"errorMessage":"`+why) || !strings.Contains(got.body, "stackTrace") {
		t.Errorf("arrival answers %+v", got)
	}
	<-arrival.ended
	if arrival.process.ProcessState.ExitCode() == 0 {
		t.Errorf("arrival ended with %s", arrival.process.ProcessState)
	}
	message := start(t, "message", a.environment)
	batch := `{"Records":[{"messageId":"m1","body":"{}","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:000000000000:boot-seconds"},{"messageId":"m2","body":"{}","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:000000000000:boot-other"}]}`
	for range 2 { // the process lives on
		if got := message.invoke(t, []byte(batch)); got.failed || got.body != `{"batchItemFailures":[{"itemIdentifier":"m1"}]}` || !strings.Contains(message.said(), why) {
			t.Errorf("message answers %+v, and said:\n%s", got, message.said())
		}
	}
}

// TestAFunctionWithoutItsEnvironmentDoesNotStart: one line names what is missing or broken, all of it.
func TestAFunctionWithoutItsEnvironmentDoesNotStart(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds the functions; without -short it runs")
	}
	for _, name := range names {
		f := start(t, name, map[string]string{"DEPLOYMENT": "boot", "TABLE": "t", "AWS_REGION": "eu-west-1", "RUN_TASK_RATE": "fast"})
		<-f.ended
		said := f.said()
		if f.process.ProcessState.ExitCode() != 1 || strings.Contains(said, "\n") || !strings.Contains(said, "it lacks LAUNCH_QUEUE_URL, WAKE_QUEUE_URL, STATE_BUCKET") || !strings.Contains(said, `CATALOG; RUN_TASK_RATE is \"fast\", and`) {
			t.Errorf("%s ended with %s, and said %s", name, f.process.ProcessState, said)
		}
	}
}
