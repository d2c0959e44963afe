package local_test

import (
	"encoding/xml"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	awsbus "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"modeldispatch/internal/local"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store/dynamodb"
	"modeldispatch/internal/store/dynamodb/dynamodbtest"
)

// TestEachKindOfEventStartsRun puts an object, sends a message and emits an event with AWS's SDK, and waits for a
// schedule.
func TestEachKindOfEventStartsRun(t *testing.T) {
	t.Parallel()
	due := time.Now().UTC().Add(10 * time.Second)
	s := start(t, project(t, due.Format("at(2006-01-02T15:04:05)")))
	s.put(t, "s3://landing/copy/an object.txt", "its content")
	s.send(t, `{"do": "copy", "name": "a message"}`)
	out, err := s.bus.PutEvents(t.Context(), &awsbus.PutEventsInput{Entries: []bustypes.PutEventsRequestEntry{{
		Source: aws.String("acme.jobs"), DetailType: aws.String("Job Done"), Detail: aws.String(`{"do": "copy", "name": "an event"}`),
	}}})
	if err != nil || out.FailedEntryCount != 0 {
		t.Fatalf("PutEvents = %+v, %v", out, err)
	}
	for _, r := range s.waitEnded(t, 4) {
		if r.State != run.Succeeded || r.Attempt != 1 {
			t.Errorf("run %s by %s ended as %s after %d attempts: %v", r.ID, r.Trigger, r.State, r.Attempt, r.Outcome)
		}
	}
	for name, want := range map[string]string{
		"an object": "its content", "a message": "nothing was read", "an event": "nothing was read",
		"at " + due.Format(time.RFC3339): "nothing was read",
	} {
		if got := s.get(t, "s3://results/copy/"+name+".txt"); got != want {
			t.Errorf("the result of %s is %q, want %q", name, got, want)
		}
	}
}

func TestDuplicateEventsStartOneRun(t *testing.T) {
	t.Parallel()
	s := start(t, project(t, never))
	payload := []byte(`{
		"version": "0", "id": "e1", "detail-type": "Object Created", "source": "aws.s3",
		"account": "1", "time": "2026-01-05T08:00:00Z", "region": "us-east-1", "resources": [],
		"detail": {
			"version": "0", "reason": "PutObject", "bucket": {"name": "landing"},
			"object": {"key": "exit-0/x.txt", "size": 1, "etag": "e", "sequencer": "0A"}
		}
	}`)
	var deliveries sync.WaitGroup
	for range 3 {
		deliveries.Go(func() {
			if err := s.Deliver(t.Context(), payload); err != nil {
				t.Error(err)
			}
		})
	}
	deliveries.Wait()
	s.waitFor(t, "three decisions", func() bool { return len(s.decisions) == 3 })
	s.waitEnded(t, 1)
	decisions := map[records.DecisionKind]int{}
	for _, d := range s.decisions {
		decisions[d.Kind]++
	}
	if decisions[records.Started] != 1 || decisions[records.Duplicate] != 2 {
		t.Errorf("three deliveries led to the decisions %v, want one started and two duplicates", decisions)
	}
	s.checkTally(t)
	if tasks := s.stoppedTasks(t); len(tasks) != 1 {
		t.Errorf("ECS has %d tasks, want one", len(tasks))
	}
}

// checkTally waits until no event and no message is left, and checks that each run has ended and no attempt has two
// tasks.
func (s *testStack) checkTally(t *testing.T) {
	t.Helper()
	tally, err := s.Tally(t.Context())
	if err != nil || len(tally.Lost)+len(tally.Doubled) > 0 {
		t.Errorf("lost %v, doubled %v, %v", tally.Lost, tally.Doubled, err)
	}
}

// stoppedTasks returns the ARNs of all stopped tasks.
func (s *testStack) stoppedTasks(t *testing.T) []string {
	t.Helper()
	var all []string
	pages := awsecs.NewListTasksPaginator(s.ecs, &awsecs.ListTasksInput{
		Cluster: aws.String("modeldispatch"), DesiredStatus: ecstypes.DesiredStatusStopped,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.TaskArns...)
	}
	return all
}

func TestFailureReasons(t *testing.T) {
	t.Parallel()
	tests := []struct {
		object string
		class  run.Class
		detail string
	}{
		{"s3://landing/exit-3/x.txt", run.ClassModelError, "exit code 3"},
		{"s3://landing/kill/x.txt", run.ClassModelError, "exit code 137, signal 9 (killed)"},
		{"s3://landing/forget/x.txt", run.ClassOutputMissing, `output "result" is not there: s3://results/forget/x.txt`},
		{"s3://slow/hang/x.txt", run.ClassTimedOut, "over its timeout of 1s"},
		{"s3://absent/x.txt", run.ClassStartFailed, `"no-such-program" is not on this machine`},
	}
	for _, test := range tests {
		t.Run(test.object, func(t *testing.T) {
			t.Parallel()
			s := start(t, project(t, never))
			s.put(t, test.object, "x")
			r := s.waitEnded(t, 1)[0]
			if r.State != run.Failed || r.Attempt != 1 || r.Outcome.Class != test.class || !strings.Contains(r.Outcome.Detail, test.detail) {
				t.Errorf("the run ended as %s after %d attempts: %v; want failed with %s: …%s…",
					r.State, r.Attempt, r.Outcome, test.class, test.detail)
			}
			s.checkTally(t)
		})
	}
}

func TestContainerLog(t *testing.T) {
	t.Parallel()
	dir := project(t, never)
	s := start(t, dir)
	s.put(t, "s3://landing/copy/x.txt", "x")
	r := s.waitEnded(t, 1)[0]
	text, err := os.ReadFile(local.LogFile(dir+"/.modeldispatch", r.ID, 1, "model"))
	if want := "attempt 1 of " + r.ID + "\n"; err != nil || !strings.HasPrefix(string(text), want) {
		t.Errorf("the log is %q, %v; want %q at its start", text, err, want)
	}
}

// TestTwoHundredObjects checks that each object has one run, and that a run leaves some kilobytes in memory at most:
// the task that ECS describes for another hour. It does not run in parallel with other tests, because it would count
// their memory.
func TestTwoHundredObjects(t *testing.T) {
	s := start(t, project(t, never))
	const warm, n = 50, 200
	s.copyObjects(t, 0, warm)
	before := heapBytes()
	s.copyObjects(t, warm, warm+n)
	if after, most := heapBytes(), before+n*16<<10; after > most {
		t.Errorf("the heap has %d bytes before %d runs and %d after them; want at most %d", before, n, after, most)
	}
}

// TestTwoHundredObjectsOnDynamoDB runs the same flow with a store in AWS's DynamoDB Local.
func TestTwoHundredObjectsOnDynamoDB(t *testing.T) {
	t.Parallel()
	o, err := options(project(t, never))
	if err != nil {
		t.Fatal(err)
	}
	c := dynamodbtest.Connect(dynamodbtest.Local(t))
	o.Store = dynamodb.New(c, dynamodbtest.Table(t, c))
	startWith(t, o).copyObjects(t, 0, 200)
}

// copyObjects puts the objects numbered from `from` to `to`-1 at the same time. It checks that each has one run, one
// task and one result.
func (s *testStack) copyObjects(t *testing.T, from, to int) {
	t.Helper()
	var puts sync.WaitGroup
	for i := from; i < to; i++ {
		puts.Go(func() {
			if err := put(t.Context(), s.s3, fmt.Sprintf("s3://landing/copy/%03d.txt", i), fmt.Append(nil, i)); err != nil {
				t.Error(err)
			}
		})
	}
	puts.Wait()
	for _, r := range s.waitEnded(t, to) {
		if r.State != run.Succeeded || r.Attempt != 1 {
			t.Errorf("run %s ended as %s after %d attempts: %v", r.ID, r.State, r.Attempt, r.Outcome)
		}
	}
	for i := from; i < to; i++ {
		if got := s.get(t, fmt.Sprintf("s3://results/copy/%03d.txt", i)); got != fmt.Sprint(i) {
			t.Errorf("result %d is %q, want %d", i, got, i)
		}
	}
	s.checkTally(t)
	if tasks := s.stoppedTasks(t); len(tasks) != to {
		t.Errorf("%d objects have %d tasks, want one each", to, len(tasks))
	}
}

// heapBytes returns the size of the live heap in bytes.
func heapBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestCancelStopsTask(t *testing.T) {
	t.Parallel()
	dir := project(t, never)
	s := start(t, dir)
	s.put(t, "s3://landing/hang/x.txt", "x")
	var live run.Run
	s.waitFor(t, "a running task", func() bool {
		for _, live = range s.runs {
			return live.State == run.Running && live.Task.Status == "RUNNING"
		}
		return false
	})
	o, err := options(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.dispatcher(t, o).Cancel(t.Context(), live.ID, "not needed any more", "tester"); err != nil {
		t.Fatal(err)
	}
	r := s.waitEnded(t, 1)[0]
	if r.State != run.Cancelled || r.Outcome.Class != run.ClassCancelled || r.Outcome.Detail != "not needed any more" ||
		r.StopRequest.By != "tester" {
		t.Errorf("the run ended as %s: %v, by %+v, want cancelled by tester", r.State, r.Outcome, r.StopRequest)
	}
}

// TestStopTaskCancelsRun checks that a StopTask call of another client cancels the run.
func TestStopTaskCancelsRun(t *testing.T) {
	t.Parallel()
	s := start(t, project(t, never))
	s.put(t, "s3://landing/hang/x.txt", "x")
	var arn string
	s.waitFor(t, "a task", func() bool {
		for _, r := range s.runs {
			arn = r.Task.ARN
		}
		return arn != ""
	})
	_, err := s.ecs.StopTask(t.Context(), &awsecs.StopTaskInput{
		Cluster: aws.String("modeldispatch"), Task: &arn, Reason: aws.String("wrong data"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := s.waitEnded(t, 1)[0]; r.State != run.Cancelled || r.Outcome.Detail != "wrong data" {
		t.Errorf("the run ended as %s: %v, want cancelled: wrong data", r.State, r.Outcome)
	}
}

// TestForeignTask runs a task that no run started. It causes no decision and no run.
func TestForeignTask(t *testing.T) {
	t.Parallel()
	s := start(t, project(t, never))
	out, err := s.ecs.RunTask(t.Context(), &awsecs.RunTaskInput{
		Cluster: aws.String("modeldispatch"), TaskDefinition: aws.String("modeldispatch-worker"), LaunchType: ecstypes.LaunchTypeFargate,
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}},
		Overrides: &ecstypes.TaskOverride{ContainerOverrides: []ecstypes.ContainerOverride{
			{Name: aws.String("model"), Command: []string{"sh", "-c", "exit 5"}},
		}},
	})
	if err != nil || len(out.Tasks) != 1 {
		t.Fatalf("RunTask = %+v, %v", out, err)
	}
	waiter := awsecs.NewTasksStoppedWaiter(s.ecs, func(o *awsecs.TasksStoppedWaiterOptions) {
		o.MinDelay, o.MaxDelay = 20*time.Millisecond, 20*time.Millisecond
	})
	described, err := waiter.WaitForOutput(t.Context(), &awsecs.DescribeTasksInput{
		Cluster: aws.String("modeldispatch"), Tasks: []string{*out.Tasks[0].TaskArn},
	}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if code := described.Tasks[0].Containers[0].ExitCode; code == nil || *code != 5 {
		t.Errorf("the exit code is %v, want 5", code)
	}
	s.checkTally(t)
	if len(s.decisions) > 0 || len(s.runs) > 0 {
		t.Errorf("the task led to decisions %v and runs %v, want none", s.decisions, s.runs)
	}
}

// TestRejectedMessageIsAcknowledged checks that a message that fits no input is rejected with a reason, and does not
// become a dead letter.
func TestRejectedMessageIsAcknowledged(t *testing.T) {
	t.Parallel()
	tests := []struct{ body, reason string }{
		{`{"do": "copy"`, "do: the body is not JSON: unexpected end of JSON input at byte 13, and the input has no default"},
		{`not json`, "name: the body is not JSON: invalid character 'o' in literal null (expecting 'u') at byte 2"},
		{`[1]`, "name: the body is a list, not a JSON object"},
		{`{"do": "copy"}`, "name: the event has no body.name, and the input has no default"},
		{`{"do": "copy", "name": "x", "file": "landing/x"}`, `file: "landing/x" is not an S3 URI`},
		{`{"do": "copy", "name": {"a": 1}}`, "which only an input of type json takes"},
		{`{"do": "copy", "name": "` + strings.Repeat("x", 1020) + `"}`, "has a key of 1029 bytes, and S3 takes 1024"},
		{`{"do": "copy", "name": "x", "note": "` + strings.Repeat("x", 9000) + `"}`, "as: file"},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			t.Parallel()
			s := start(t, project(t, never))
			s.send(t, test.body)
			s.waitFor(t, "a decision", func() bool { return len(s.decisions) > 0 })
			if d := s.decisions[0]; d.Kind != records.Rejected || !strings.Contains(d.Reason, test.reason) {
				t.Errorf("the decision is %s: %s; want rejected: …%s…", d.Kind, d.Reason, test.reason)
			}
			s.checkTally(t)
			queue, err := s.sqs.GetQueueUrl(t.Context(), &awssqs.GetQueueUrlInput{QueueName: aws.String("modeldispatch-dead-letters")})
			if err != nil {
				t.Fatal(err)
			}
			left, err := s.sqs.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl})
			if err != nil || len(left.Messages) > 0 {
				t.Errorf("the dead-letter queue has %v, %v, want no message", left, err)
			}
		})
	}
}

// TestCloseFreesPortAndEndpoint also checks that a second stack with the same data folder does not start.
func TestCloseFreesPortAndEndpoint(t *testing.T) {
	t.Parallel()
	dir := project(t, never)
	o, err := options(dir)
	if err != nil {
		t.Fatal(err)
	}
	stack, err := local.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := local.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "is already running at "+stack.URL()) {
		t.Errorf("a second Start with the same data folder = %v, want …is already running at %s…", err, stack.URL())
	}
	if err := stack.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(stack.URL(), "http://")
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("the port is still taken: %v", err)
	}
	_ = listener.Close()
	if _, err := local.Endpoint(t.Context(), o.Data); err == nil {
		t.Error("Endpoint still finds the stack")
	}
}

// TestUnservedService calls a service that the local stack does not serve. The error names the services that it serves.
func TestUnservedService(t *testing.T) {
	t.Parallel()
	s := start(t, project(t, never))
	client := awsdynamodb.NewFromConfig(endpoint(s.Address()))
	_, err := client.ListTables(t.Context(), &awsdynamodb.ListTablesInput{})
	if err == nil || !strings.Contains(err.Error(), "the local stack serves S3, SQS, ECS and EventBridge") {
		t.Errorf("a call of DynamoDB: %v, want an error that names the services", err)
	}
}

// TestOldSQSClient calls SQS by AWS's query protocol. The error has the form of that protocol, so that old clients show
// its message.
func TestOldSQSClient(t *testing.T) {
	t.Parallel()
	s := start(t, project(t, never))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("Action=ListQueues&Version=2012-11-05"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, r)
	var response struct {
		Error struct{ Code, Message string }
	}
	err := xml.Unmarshal(answer.Body.Bytes(), &response)
	if err != nil || answer.Code != http.StatusBadRequest || response.Error.Code != "UnsupportedOperation" ||
		!strings.Contains(response.Error.Message, "2.13.28 or later") {
		t.Errorf("the stack answers %d %s, %v, want 400 UnsupportedOperation", answer.Code, answer.Body, err)
	}
}
