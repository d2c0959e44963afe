package wiring_test

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
	"github.com/aws/smithy-go/middleware"
	"github.com/rs/zerolog"

	"modeldispatch/internal/catalog"
	"modeldispatch/internal/local"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/dynamodb"
	"modeldispatch/internal/store/dynamodb/dynamodbtest"
	"modeldispatch/internal/wiring"
)

// names lists the functions.
var names = []string{"schedule", "arrival", "message", "event", "launch", "completion", "sweep"}

// folder holds the binaries of the functions. They are built once, when a test needs them.
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

// build builds all functions with the flags that a deployment uses, but for this machine.
var build = sync.OnceValue(func() error {
	command := exec.Command("go", "build", "-trimpath", "-ldflags=-s", "-tags=lambda.norpc", "-buildvcs=false",
		"-o", folder+string(filepath.Separator), "./functions/...")
	command.Dir = filepath.Join("..", "..")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
})

// request is the request id of every invocation.
const request = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"

// answer is the answer of a function to an invocation.
type answer struct {
	body   string
	failed bool
}

// function is the process of a function, with the Runtime API from which it gets its invocations.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
type function struct {
	process *exec.Cmd
	log     string        // the file with its output
	time    time.Duration // the time limit of an invocation
	next    chan []byte   // payloads for the function
	answers chan answer   // its answers
	ended   chan struct{} // closed when the process has ended
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

// start builds and starts a function with an environment.
func start(t *testing.T, name string, environment map[string]string) *function {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // the process has a descriptor of its own
	f := &function{
		process: exec.Command(filepath.Join(folder, name)), log: log.Name(), time: 30 * time.Second,
		next: make(chan []byte), answers: make(chan answer, 10), ended: make(chan struct{}),
	}
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
		_ = f.process.Wait() // ProcessState holds the result
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

// output returns the output of the function so far.
func (f *function) output() string {
	text, _ := os.ReadFile(f.log) // without a file there is no output
	return strings.TrimSpace(string(text))
}

// invoke sends the function an invocation, and waits for its answer.
func (f *function) invoke(t *testing.T, payload []byte) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for sent := f.next; ; {
		select {
		case sent <- payload:
			sent = nil // the payload is sent once
		case a := <-f.answers:
			return a
		case <-f.ended:
			t.Fatalf("the function ended (%s) without an answer; output:\n%s", f.process.ProcessState, f.output())
		case <-ctx.Done():
			t.Fatal("the function did not answer within a minute")
		}
	}
}

// account imitates an AWS account with the endpoints of the local stack and DynamoDB Local.
type account struct {
	environment map[string]string // the environment variables of the functions
	catalog     model.Catalog
	stack       *local.Stack
	store       *dynamodb.Store
	ecs         *ecs.Client
	s3          *s3.Client
	sqs         *sqs.Client
}

// deployment is the name of the functions' deployment.
const deployment = "boot"

// newAccount starts an account with the models of testdata/project. It skips the test without DynamoDB Local.
func newAccount(t *testing.T) account {
	t.Helper()
	endpoint := dynamodbtest.Local(t)
	db := dynamodbtest.Connect(endpoint)
	c, _, err := catalog.Compile("testdata/project", catalog.Options{Environment: "prod", Processes: true})
	if err != nil {
		t.Fatal(err)
	}
	// The local stack has the buckets and queues of the same models. Its own functions serve another deployment. It
	// accepts all credentials, because DynamoDB Local tells accounts apart by them.
	stack, err := local.Start(t.Context(), local.Options{Catalog: c, Data: t.TempDir(), Port: -1, AnyCredentials: true, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	text, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "catalog.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	table := dynamodbtest.Table(t, db)
	cfg := wiring.Endpoint(stack.URL(), local.Region, "test", "test")
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
		"DEPLOYMENT": deployment, "CATALOG": file, "TABLE": table,
		"LAUNCH_QUEUE_URL": queue("launch"), "WAKE_QUEUE_URL": queue("wake"),
		"STATE_BUCKET": local.Bucket, "EVENT_BUS": "default", "CLUSTER": "modeldispatch", "SUBNETS": "subnet-1,subnet-2",
		"RUN_TASK_RATE": "19.5", "RETENTION": "90",
		"AWS_REGION": local.Region, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_ENDPOINT_URL": stack.URL(), "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
	}
	return a
}

// options returns the options that the environment describes, with the placement of the local stack.
func (a account) options() wiring.Options {
	e := a.environment
	return wiring.Options{
		Deployment: deployment, Table: e["TABLE"], LaunchURL: e["LAUNCH_QUEUE_URL"], WakeURL: e["WAKE_QUEUE_URL"],
		Bucket: e["STATE_BUCKET"], Bus: e["EVENT_BUS"], Placement: local.Placement(),
	}
}

// storeWith returns the store of the functions, with middleware for its calls.
func (a account) storeWith(add func(*middleware.Stack) error) *dynamodb.Store {
	client := dynamodbtest.Connect(a.environment["AWS_ENDPOINT_URL_DYNAMODB"], dynamodbtest.WithMiddleware(add))
	return dynamodb.New(client, a.environment["TABLE"])
}

// register registers the task definitions of the models, with the families that the deployment uses.
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

// run returns the only run in the store.
func (a account) run(t *testing.T) run.Run {
	t.Helper()
	docs, _, err := a.store.List(t.Context(), store.Query{Kind: records.KindRun})
	if err != nil || len(docs) != 1 {
		t.Fatalf("the store lists %d runs, error %v, want one run", len(docs), err)
	}
	r, err := records.Decode[run.Run](docs[0])
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// receive receives messages from a queue, and returns the payload that Lambda's event source mapping makes of them.
func (a account) receive(t *testing.T, queue string) []byte {
	t.Helper()
	out, err := a.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: aws.String(a.environment[queue]), MaxNumberOfMessages: 10, WaitTimeSeconds: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Messages) == 0 {
		t.Fatalf("the queue in %s has no messages, want at least one", queue)
	}
	var batch events.SQSEvent
	for _, m := range out.Messages {
		batch.Records = append(batch.Records, events.SQSMessage{
			MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body,
			EventSource: "aws:sqs", EventSourceARN: "arn:aws:sqs:us-east-1:000000000000:boot-launch",
		})
	}
	text, err := json.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// arrived is the event of an object that the model copy takes.
const arrived = `{"version":"0","id":"e1","detail-type":"Object Created","source":"aws.s3","account":"1",` +
	`"time":"2026-01-05T08:00:00Z","region":"us-east-1","resources":[],
	"detail":{"version":"0","bucket":{"name":"landing"},"object":{"key":"copy/a.txt","size":1,"etag":"e","sequencer":"0A"},` +
	`"reason":"PutObject"}}`

// TestArrivalToSuccess checks the built functions with DynamoDB Local, from the event of an object to a run that has
// succeeded.
func TestArrivalToSuccess(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	functions := map[string]*function{}
	for _, name := range names {
		functions[name] = start(t, name, a.environment)
	}
	if got := functions["arrival"].invoke(t, []byte(arrived)); got.failed || got.body != "null" {
		t.Fatalf("arrival answers %+v, want null; output:\n%s", got, functions["arrival"].output())
	}
	if r := a.run(t); r.State != run.Waiting || r.WaitingFor != run.ForLaunch {
		t.Fatalf("after the event the run is %s for %q, want waiting for launch", r.State, r.WaitingFor)
	}
	if got := functions["arrival"].invoke(t, []byte(arrived)); got.failed {
		t.Errorf("for a duplicate arrival answers %+v, want success", got)
	}
	if got := functions["launch"].invoke(t, a.receive(t, "LAUNCH_QUEUE_URL")); got.failed || got.body != `{"batchItemFailures":[]}` {
		t.Fatalf("launch answers %+v, want no failures; output:\n%s", got, functions["launch"].output())
	}
	task := a.run(t).Task.ARN
	if got := functions["completion"].invoke(t, stateChange(t, a.waitUntilStopped(t, task))); got.failed {
		t.Fatalf("completion answers %+v, want success; output:\n%s", got, functions["completion"].output())
	}
	if r := a.run(t); r.State != run.Succeeded || r.Attempt != 1 {
		t.Errorf("the run is %s after attempt %d with the outcome %v, want succeeded after attempt 1; output of completion:\n%s",
			r.State, r.Attempt, r.Outcome, functions["completion"].output())
	}
	metrics := map[string]string{"arrival": `"Bindings":1`, "launch": `"Launches":1`, "completion": `"Outcomes":1`}
	for name, metric := range metrics {
		output := functions[name].output()
		if !strings.Contains(output, metric) || !strings.Contains(output, `"request":"`+request) {
			t.Errorf("%s writes\n%s\nwant the metric %s and the request id %s", name, output, metric, request)
		}
	}
	if got := functions["sweep"].invoke(t, []byte(`{"source":"aws.events","detail-type":"Scheduled Event"}`)); got.failed {
		t.Errorf("sweep answers %+v, want success; output:\n%s", got, functions["sweep"].output())
	}
	if output := functions["sweep"].output(); strings.Count(output, `"Sweeps":1`) != 1 {
		t.Errorf("the metric Sweeps is not written once:\n%s", output)
	}
}

// waitUntilStopped waits until a task has stopped, and returns what ECS reports about it.
func (a account) waitUntilStopped(t *testing.T, task string) *ecs.DescribeTasksOutput {
	t.Helper()
	in := &ecs.DescribeTasksInput{Cluster: aws.String("modeldispatch"), Tasks: []string{task}}
	waiter := ecs.NewTasksStoppedWaiter(a.ecs, func(o *ecs.TasksStoppedWaiterOptions) {
		o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second
	})
	out, err := waiter.WaitForOutput(t.Context(), in, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// stateChange returns the event that ECS sends when a task has stopped, from a description of the task.
func stateChange(t *testing.T, out *ecs.DescribeTasksOutput) []byte {
	t.Helper()
	task := out.Tasks[0]
	c := task.Containers[0]
	detail := map[string]any{
		"taskArn": task.TaskArn, "clusterArn": task.ClusterArn, "taskDefinitionArn": task.TaskDefinitionArn, "startedBy": task.StartedBy,
		"lastStatus": task.LastStatus, "desiredStatus": task.DesiredStatus, "stopCode": task.StopCode, "stoppedReason": task.StoppedReason,
		"version": task.Version, "containers": []any{map[string]any{"name": c.Name, "lastStatus": c.LastStatus, "exitCode": c.ExitCode}},
	}
	text, err := json.Marshal(map[string]any{
		"version": "0", "id": "e", "detail-type": "ECS Task State Change", "source": "aws.ecs", "account": "1",
		"time": "2026-01-05T08:00:00Z", "region": "us-east-1", "resources": []any{task.TaskArn}, "detail": detail,
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The answers of a function that reports failed messages.
const (
	allTaken = `{"batchItemFailures":[]}`
	noBatch  = `{"batchItemFailures":null}` // the answer of the sweep function to a payload without messages
)

// sample returns a payload from the folder events.
func sample(t *testing.T, name string) []byte {
	t.Helper()
	payload, err := os.ReadFile(filepath.Join("..", "..", "events", name))
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// garbage is valid JSON, but no payload of any function.
const garbage = `{"what": "is this"}`

// TestAnswers checks the answer of each function to real payloads, to garbage and to invalid JSON. The process must
// survive all of them.
func TestAnswers(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	for name, one := range map[string]struct {
		samples []string
		want    string
		bad     string // the answer to garbage; "" for an error
	}{
		"schedule":   {[]string{"schedule-earthquakes.json"}, "null", "null"}, // garbage is recorded as a rejected event
		"arrival":    {[]string{"arrival-weather.json", "notification-weather.json", "notification-in-queue.json"}, "null", "null"},
		"message":    {[]string{"messages-energy.json"}, allTaken, allTaken},
		"event":      {[]string{"event-job-succeeded.json", "arrival-unmatched.json"}, "null", "null"},
		"launch":     {[]string{"launch-message.json"}, allTaken, allTaken},
		"completion": {[]string{"task-stopped.json"}, "null", ""},
		"sweep":      {[]string{"wake-message.json"}, allTaken, noBatch}, // garbage starts a sweep of the whole store
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, name, a.environment)
			for range 2 {
				for _, payload := range one.samples {
					if got := f.invoke(t, sample(t, payload)); got.failed || got.body != one.want {
						t.Errorf("%s: the answer is %+v, want %s; output:\n%s", payload, got, one.want, f.output())
					}
				}
				if got := f.invoke(t, []byte(garbage)); got.failed != (one.bad == "") || got.body != one.bad && one.bad != "" {
					t.Errorf("garbage: the answer is %+v, want %q or an error if that is empty; output:\n%s", got, one.bad, f.output())
				}
				if got := f.invoke(t, []byte(`{`)); !got.failed || !strings.Contains(got.body, "errorMessage") {
					t.Errorf("invalid JSON: the answer is %+v, want an error", got)
				}
			}
		})
	}
	t.Run("a message without a run id is delivered again", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"launch", "sweep"} {
			f := start(t, name, a.environment)
			const want = `{"batchItemFailures":[{"itemIdentifier":"m2"}]}`
			batch := `{"Records":[{"messageId":"m1","body":"{\"run\":\"copy-1\"}"},{"messageId":"m2","body":"run"}]}`
			if got := f.invoke(t, []byte(batch)); got.failed || got.body != want {
				t.Errorf("%s answers %+v, want %s; output:\n%s", name, got, want, f.output())
			}
		}
	})
}

// TestDeadline checks that a function answers before its deadline when the store does not answer. SQS must
// deliver messages again, the invocation for an event must fail, so that Lambda repeats it, and the process must serve
// the next invocation.
func TestDeadline(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server notices a closed connection only after it has read the body
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	a.environment["AWS_ENDPOINT_URL_DYNAMODB"] = silent.URL
	ours := strings.ReplaceAll(string(sample(t, "task-stopped.json")), `"modeldispatch/`, `"`+deployment+"/")
	for _, one := range []struct {
		function, payload string
		back              string // the id of the message that SQS delivers again; "" for a payload without messages
	}{
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
				f.time += 10 * time.Second // with less time the sweep starts no work
			}
			for range 2 {
				got := f.invoke(t, []byte(one.payload))
				all := got.failed && strings.Contains(got.body, "deadline exceeded") // the whole invocation is repeated
				each := one.back != "" && got.body == `{"batchItemFailures":[{"itemIdentifier":"`+one.back+`"}]}`
				if !all && !each {
					t.Errorf("the answer is %+v, want an error or the message back; output:\n%s", got, f.output())
				}
			}
			if strings.Contains(f.output(), "Sweeps") {
				t.Error("a sweep that failed writes the metric Sweeps; want none")
			}
		})
	}
}

// TestPanic checks that a panic becomes an error with the text of the panic, and ends the process, so that Lambda
// starts a new one. A panic over one message of a batch only sends that message back. The panic comes from a model in
// the compiled catalog that is not valid JSON.
func TestPanic(t *testing.T) {
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
	const why = "decoding a model of the compiled catalog"
	arrival := start(t, "arrival", a.environment)
	got := arrival.invoke(t, []byte(arrived))
	if !got.failed || !strings.Contains(got.body, `"errorMessage":"`+why) || !strings.Contains(got.body, "stackTrace") {
		t.Errorf("arrival answers %+v, want an error with the message %q and a stack trace", got, why)
	}
	<-arrival.ended
	if arrival.process.ProcessState.ExitCode() == 0 {
		t.Errorf("arrival ended with %s, want a non-zero exit code", arrival.process.ProcessState)
	}
	message := start(t, "message", a.environment)
	const batch = `{"Records":[
		{"messageId":"m1","body":"{}","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:000000000000:boot-seconds"},
		{"messageId":"m2","body":"{}","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:000000000000:boot-other"}
	]}`
	const want = `{"batchItemFailures":[{"itemIdentifier":"m1"}]}`
	for range 2 { // the process survives the panic
		got := message.invoke(t, []byte(batch))
		if got.failed || got.body != want || !strings.Contains(message.output(), why) {
			t.Errorf("message answers %+v, want %s and the panic in the log; output:\n%s", got, want, message.output())
		}
	}
}

// TestWrongEnvironment checks that each function with missing and broken variables logs one line that names all of
// them, and exits with code 1.
func TestWrongEnvironment(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("this test builds the functions; run it without -short")
	}
	for _, name := range names {
		f := start(t, name, map[string]string{
			"DEPLOYMENT": "boot", "TABLE": "t", "AWS_REGION": "eu-west-1", "RUN_TASK_RATE": "fast",
		})
		<-f.ended
		output := f.output()
		if f.process.ProcessState.ExitCode() != 1 || strings.Contains(output, "\n") {
			t.Errorf("%s ended with %s and the output %s, want exit code 1 and one line", name, f.process.ProcessState, output)
		}
		for _, want := range []string{
			"missing LAUNCH_QUEUE_URL, WAKE_QUEUE_URL, STATE_BUCKET", `CATALOG; RUN_TASK_RATE is \"fast\", want`,
		} {
			if !strings.Contains(output, want) {
				t.Errorf("%s writes %s, want a line with %q", name, output, want)
			}
		}
	}
}
