package local_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	awsbus "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/rs/zerolog"

	"modeldispatch/internal/catalog"
	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/local"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store/sqlite"
	"modeldispatch/internal/wiring"
)

// TestMain lets the test binary also run as a model (runModel), and as a stack that a test kills (serve).
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("MODEL_NAME") != "":
		os.Exit(runModel(context.Background()))
	case os.Getenv(projectVariable) != "":
		os.Exit(serve(context.Background(), os.Getenv(projectVariable)))
	}
	os.Exit(m.Run())
}

// runModel runs the model of the tests: it does what its input `do` says, and returns the exit code.
func runModel(ctx context.Context) int {
	fmt.Println("attempt", os.Getenv("RUN_ATTEMPT"), "of", os.Getenv("RUN_ID"))
	do, argument, _ := strings.Cut(os.Getenv("INPUT_DO"), "-")
	switch do {
	case "exit":
		code, _ := strconv.Atoi(argument)
		return code
	case "kill":
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			_ = self.Kill()
			<-ctx.Done()
		}
	case "hang":
		<-ctx.Done()
	case "forget":
		return 0
	}
	if err := copyObject(ctx, os.Getenv("INPUT_FILE"), os.Getenv("OUTPUT_RESULT")); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// copyObject copies an object as any program does: it knows nothing of modeldispatch, and finds S3 by its environment.
func copyObject(ctx context.Context, from, to string) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	client := awss3.NewFromConfig(cfg, func(o *awss3.Options) { o.UsePathStyle = true })
	body := []byte("nothing was read")
	if from != "" {
		if body, err = get(ctx, client, from); err != nil {
			return err
		}
	}
	return put(ctx, client, to, body)
}

func get(ctx context.Context, client *awss3.Client, uri string) ([]byte, error) {
	object, err := model.ParseObjectURI(uri)
	if err != nil {
		return nil, err
	}
	out, err := client.GetObject(ctx, &awss3.GetObjectInput{Bucket: &object.Bucket, Key: &object.Key})
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Body.Close() }()
	return io.ReadAll(out.Body)
}

func put(ctx context.Context, client *awss3.Client, uri string, body []byte) error {
	object, err := model.ParseObjectURI(uri)
	if err == nil {
		_, err = client.PutObject(ctx, &awss3.PutObjectInput{Bucket: &object.Bucket, Key: &object.Key, Body: bytes.NewReader(body)})
	}
	return err
}

const definition = `{
  "family": %[1]q, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
  "executionRoleArn": "arn:aws:iam::111122223333:role/execution", "taskRoleArn": "arn:aws:iam::111122223333:role/task",
  "containerDefinitions": [{"name": "model", "image": "example.com/model:1", "essential": true, "stopTimeout": 2,
    "logConfiguration": {"logDriver": "awslogs", "options": {
      "awslogs-group": "models", "awslogs-region": "us-east-1", "awslogs-stream-prefix": %[1]q
    }}}]
}`

// worker is a model that every kind of trigger starts, and that does what its input `do` says.
const worker = `
name: worker
task: { definition: task-definition.json }
inputs:
  do: {}
  name: {}
  file: { type: s3-uri, optional: true }
  note: { optional: true }
outputs: { result: "s3://results/{do}/{name}.txt" }
local: { command: [%q] }
timeout: none
max-launches-per-hour: 100000
triggers:
  - arrival: "s3://landing/{do}/{name}.txt"
    inputs: { file: "{object.uri}" }
  - message: requests
    inputs: body
  - event: { source: [acme.jobs], detail-type: [Job Done] }
    inputs: detail
  - schedule: %q
    inputs: { do: copy, name: "at {scheduled.time}" }
`

// slow is a model that can run longer than its timeout.
const slow = `
name: slow
task: { definition: task-definition.json }
inputs: { do: {}, name: {} }
local: { command: [%q] }
timeout: 1s
triggers: [{ arrival: "s3://slow/{do}/{name}.txt" }]
`

// absent is a model whose program does not exist.
const absent = `
name: absent
task: { definition: task-definition.json }
inputs: { name: {} }
local: { command: [no-such-program] }
timeout: none
triggers: [{ arrival: "s3://absent/{name}.txt" }]
`

// project writes a project folder whose models run the test binary, and returns the folder.
func project(t *testing.T, schedule string) string {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, catalog.ProjectFile), "environments: { local: {} }\n")
	for name, text := range map[string]string{
		"worker": fmt.Sprintf(worker, binary, schedule), "slow": fmt.Sprintf(slow, binary), "absent": absent,
	} {
		write(t, filepath.Join(dir, "models", name, "model.yaml"), text)
		write(t, filepath.Join(dir, "models", name, "task-definition.json"), fmt.Sprintf(definition, name))
	}
	return dir
}

// write writes a file, and creates its folder if necessary.
func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// never is a schedule that does not fire while the tests run.
const never = "at(2999-01-01T00:00:00)"

// options returns the options of a stack for a project, with a free port.
func options(dir string) (local.Options, error) {
	c, _, err := catalog.Compile(dir, catalog.Options{Processes: true})
	return local.Options{Catalog: c, Data: filepath.Join(dir, ".modeldispatch"), Port: -1, Log: zerolog.Nop()}, err
}

// testStack is a running stack with AWS's own clients. It records the decisions and the last state of each run.
type testStack struct {
	*local.Stack
	s3  *awss3.Client
	sqs *awssqs.Client
	ecs *awsecs.Client
	bus *awsbus.Client

	mu        sync.Mutex
	decisions []records.Decision
	runs      map[string]run.Run // the last state of each run, by id
	changed   chan struct{}      // receives a value after each change of decisions or runs
}

// start starts the stack of a project. The stack stops when the test ends.
func start(t *testing.T, dir string) *testStack {
	t.Helper()
	o, err := options(dir)
	if err != nil {
		t.Fatal(err)
	}
	return startWith(t, o)
}

// startWith starts a stack with options. The stack stops when the test ends.
func startWith(t *testing.T, o local.Options) *testStack {
	t.Helper()
	stack, err := local.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s := &testStack{Stack: stack, runs: map[string]run.Run{}, changed: make(chan struct{}, 1)}
	t.Cleanup(func() {
		if err := stack.Close(context.Background()); err != nil {
			t.Errorf("stopping the stack: %v", err)
		}
	})
	stack.Watch(dispatch.Hooks{
		Decided: func(_ event.Event, d records.Decision) { s.change(func() { s.decisions = append(s.decisions, d) }) },
		Transitioned: func(x run.Transition) {
			s.change(func() {
				if !s.runs[x.Run.ID].State.Ended() {
					s.runs[x.Run.ID] = x.Run
				}
			})
		},
	})
	cfg := endpoint(stack.Address())
	s.s3 = awss3.NewFromConfig(cfg, func(o *awss3.Options) { o.UsePathStyle = true })
	s.sqs, s.ecs, s.bus = awssqs.NewFromConfig(cfg), awsecs.NewFromConfig(cfg), awsbus.NewFromConfig(cfg)
	return s
}

// endpoint returns the configuration of AWS clients for a stack.
func endpoint(a local.Address) aws.Config {
	return wiring.Endpoint(a.URL, local.Region, a.Credential.AccessKeyID, a.Credential.SecretAccessKey)
}

// dispatcher returns a second dispatcher that works on the stack, as a command in another process has.
func (s *testStack) dispatcher(t *testing.T, o local.Options) *dispatch.Dispatcher {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(o.Data, "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	d, err := local.Wire(s.Address(), o.Catalog, db)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// change changes the record under its lock, and wakes waitFor.
func (s *testStack) change(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// waitFor waits until happened returns true. happened may read the record: waitFor calls it under the lock. After two
// minutes the test fails.
func (s *testStack) waitFor(t *testing.T, what string, happened func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		s.mu.Lock()
		done := happened()
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
			s.mu.Lock()
			defer s.mu.Unlock()
			maps.DeleteFunc(s.runs, func(_ string, r run.Run) bool { return r.State.Ended() })
			t.Fatalf("waited too long for %s; decisions %+v, live runs %+v", what, s.decisions, s.runs)
		}
	}
}

// waitEnded waits until n runs have ended, and returns them.
func (s *testStack) waitEnded(t *testing.T, n int) []run.Run {
	t.Helper()
	var all []run.Run
	s.waitFor(t, fmt.Sprintf("the end of %d runs", n), func() bool {
		all = nil
		for _, r := range s.runs {
			if r.State.Ended() {
				all = append(all, r)
			}
		}
		return len(all) >= n
	})
	return all
}

// put puts an object with the SDK.
func (s *testStack) put(t *testing.T, uri, body string) {
	t.Helper()
	if err := put(t.Context(), s.s3, uri, []byte(body)); err != nil {
		t.Fatal(err)
	}
}

// get returns the body of an object.
func (s *testStack) get(t *testing.T, uri string) string {
	t.Helper()
	body, err := get(t.Context(), s.s3, uri)
	if err != nil {
		t.Fatalf("%s: %v", uri, err)
	}
	return string(body)
}

// send sends a message to the queue requests.
func (s *testStack) send(t *testing.T, body string) {
	t.Helper()
	queue, err := s.sqs.GetQueueUrl(t.Context(), &awssqs.GetQueueUrlInput{QueueName: aws.String("requests")})
	if err == nil {
		_, err = s.sqs.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: queue.QueueUrl, MessageBody: &body})
	}
	if err != nil {
		t.Fatal(err)
	}
}
