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

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/local"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store/dynamodb"
	"modeldispatch/internal/store/dynamodb/dynamodbtest"
)

// TestEachKindOfEventRunsAModel has AWS's own clients put, send and emit, and a schedule come due.
func TestEachKindOfEventRunsAModel(t *testing.T) {
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
	for _, r := range s.ended(t, 4) {
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

func TestTheSameEventThreeTimesIsOneRun(t *testing.T) {
	t.Parallel()
	s := start(t, project(t, never))
	payload := []byte(`{"version":"0","id":"e1","detail-type":"Object Created","source":"aws.s3","account":"1","time":"2026-01-05T08:00:00Z","region":"us-east-1","resources":[],
		"detail":{"version":"0","bucket":{"name":"landing"},"object":{"key":"exit-0/x.txt","size":1,"etag":"e","sequencer":"0A"},"reason":"PutObject"}}`)
	var deliveries sync.WaitGroup
	for range 3 {
		deliveries.Go(func() {
			if err := s.Deliver(t.Context(), payload); err != nil {
				t.Error(err)
			}
		})
	}
	deliveries.Wait()
	s.until(t, "three decisions", func() bool { return len(s.decisions) == 3 })
	s.ended(t, 1)
	started := map[dispatch.Verdict]int{}
	for _, d := range s.decisions {
		started[d.Verdict]++
	}
	if started[dispatch.Started] != 1 || started[dispatch.Duplicate] != 2 {
		t.Errorf("three deliveries became %v, want one run and two duplicates", started)
	}
	s.settled(t)
	if tasks := s.tasks(t); len(tasks) != 1 {
		t.Errorf("there were %d tasks, want one", len(tasks))
	}
}

// settled waits until nothing is under way, and checks that nothing was lost or doubled.
func (s *stand) settled(t *testing.T) {
	t.Helper()
	tally, err := s.Tally(t.Context())
	if err != nil || len(tally.Lost)+len(tally.Doubled) > 0 {
		t.Errorf("lost %v, doubled %v, %v", tally.Lost, tally.Doubled, err)
	}
}

func (s *stand) tasks(t *testing.T) []string {
	t.Helper()
	var all []string
	pages := awsecs.NewListTasksPaginator(s.ecs, &awsecs.ListTasksInput{Cluster: aws.String("modeldispatch"), DesiredStatus: ecstypes.DesiredStatusStopped})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.TaskArns...)
	}
	return all
}

func TestEachEndHasItsReason(t *testing.T) {
	t.Parallel()
	tests := []struct {
		object string
		class  run.Class
		detail string
	}{
		{"s3://landing/exit-3/x.txt", run.ModelError, "exit code 3"},
		{"s3://landing/kill/x.txt", run.ModelError, "exit code 137, signal 9 (killed)"},
		{"s3://landing/forget/x.txt", run.OutputMissing, `output "result" is not there: s3://results/forget/x.txt`},
		{"s3://slow/hang/x.txt", run.TimedOut, "over its timeout of 1s"},
		{"s3://absent/x.txt", run.StartFailed, `"no-such-program" is not on this machine`},
	}
	for _, test := range tests {
		t.Run(test.object, func(t *testing.T) {
			t.Parallel()
			s := start(t, project(t, never))
			s.put(t, test.object, "x")
			r := s.ended(t, 1)[0]
			if r.State != run.Failed || r.Attempt != 1 || r.Outcome.Class != test.class || !strings.Contains(r.Outcome.Detail, test.detail) {
				t.Errorf("it ended as %s after %d attempts: %v; want failed with %s: …%s…", r.State, r.Attempt, r.Outcome, test.class, test.detail)
			}
			s.settled(t)
		})
	}
}

func TestTheOutputOfAContainerIsInTheLogOfItsAttempt(t *testing.T) {
	t.Parallel()
	dir := project(t, never)
	s := start(t, dir)
	s.put(t, "s3://landing/copy/x.txt", "x")
	r := s.ended(t, 1)[0]
	text, err := os.ReadFile(local.LogFile(dir+"/.modeldispatch", r.ID, 1, "model"))
	if want := "attempt 1 of " + r.ID + "\n"; err != nil || !strings.HasPrefix(string(text), want) {
		t.Errorf("the log is %q, %v; want %q first", text, err, want)
	}
}

// TestTwoHundredObjectsAreTwoHundredRuns, and what these leave in memory is what ECS says of a task for an hour: some
// kilobytes each. It is not run beside other tests, whose memory it would count.
func TestTwoHundredObjectsAreTwoHundredRuns(t *testing.T) {
	s := start(t, project(t, never))
	const warm, n = 50, 200
	s.copies(t, 0, warm)
	before := heap()
	s.copies(t, warm, warm+n)
	if after, most := heap(), before+n*16<<10; after > most {
		t.Errorf("the heap was %d bytes before %d runs, and is %d after them; want %d at most", before, n, after, most)
	}
}

// TestTwoHundredObjectsOnDynamoDB is the same flow with its store in AWS's DynamoDB Local.
func TestTwoHundredObjectsOnDynamoDB(t *testing.T) {
	t.Parallel()
	o, err := options(project(t, never))
	if err != nil {
		t.Fatal(err)
	}
	c := dynamodbtest.Connect(dynamodbtest.Local(t))
	o.Store = dynamodb.New(c, dynamodbtest.Table(t, c))
	startWith(t, o).copies(t, 0, 200)
}

// copies has objects arrive with all numbers from one up to another, at once: each has one run, one task and one result.
func (s *stand) copies(t *testing.T, from, to int) {
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
	for _, r := range s.ended(t, to) {
		if r.State != run.Succeeded || r.Attempt != 1 {
			t.Errorf("run %s ended as %s after %d attempts: %v", r.ID, r.State, r.Attempt, r.Outcome)
		}
	}
	for i := from; i < to; i++ {
		if got := s.get(t, fmt.Sprintf("s3://results/copy/%03d.txt", i)); got != fmt.Sprint(i) {
			t.Errorf("result %d is %q", i, got)
		}
	}
	s.settled(t)
	if tasks := s.tasks(t); len(tasks) != to {
		t.Errorf("%d objects had %d tasks", to, len(tasks))
	}
}

// heap is how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestCancelStopsATask(t *testing.T) {
	t.Parallel()
	dir := project(t, never)
	s := start(t, dir)
	s.put(t, "s3://landing/hang/x.txt", "x")
	var live run.Run
	s.until(t, "a running task", func() bool {
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
	r := s.ended(t, 1)[0]
	if r.State != run.Cancelled || r.Outcome.Class != run.Stopped || r.Outcome.Detail != "not needed any more" || r.Cancel.By != "tester" {
		t.Errorf("it ended as %s: %v, by %+v", r.State, r.Outcome, r.Cancel)
	}
}

// TestStopTaskByHandCancelsTheRun: somebody else's StopTask is as good as ours.
func TestStopTaskByHandCancelsTheRun(t *testing.T) {
	t.Parallel()
	s := start(t, project(t, never))
	s.put(t, "s3://landing/hang/x.txt", "x")
	var arn string
	s.until(t, "a task", func() bool {
		for _, r := range s.runs {
			arn = r.Task.ARN
		}
		return arn != ""
	})
	_, err := s.ecs.StopTask(t.Context(), &awsecs.StopTaskInput{Cluster: aws.String("modeldispatch"), Task: &arn, Reason: aws.String("wrong data")})
	if err != nil {
		t.Fatal(err)
	}
	if r := s.ended(t, 1)[0]; r.State != run.Cancelled || r.Outcome.Detail != "wrong data" {
		t.Errorf("it ended as %s: %v, want cancelled: wrong data", r.State, r.Outcome)
	}
}

func TestTasksOfOthersRunBesideOurs(t *testing.T) {
	t.Parallel()
	s := start(t, project(t, never))
	out, err := s.ecs.RunTask(t.Context(), &awsecs.RunTaskInput{
		Cluster: aws.String("modeldispatch"), TaskDefinition: aws.String("modeldispatch-worker"), LaunchType: ecstypes.LaunchTypeFargate,
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}},
		Overrides:            &ecstypes.TaskOverride{ContainerOverrides: []ecstypes.ContainerOverride{{Name: aws.String("model"), Command: []string{"sh", "-c", "exit 5"}}}},
	})
	if err != nil || len(out.Tasks) != 1 {
		t.Fatalf("RunTask = %+v, %v", out, err)
	}
	waiter := awsecs.NewTasksStoppedWaiter(s.ecs, func(o *awsecs.TasksStoppedWaiterOptions) {
		o.MinDelay, o.MaxDelay = 20*time.Millisecond, 20*time.Millisecond
	})
	described, err := waiter.WaitForOutput(t.Context(), &awsecs.DescribeTasksInput{Cluster: aws.String("modeldispatch"), Tasks: []string{*out.Tasks[0].TaskArn}}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if code := described.Tasks[0].Containers[0].ExitCode; code == nil || *code != 5 {
		t.Errorf("its exit code is %v, want 5", code)
	}
	s.settled(t)
	if len(s.decisions) > 0 || len(s.runs) > 0 {
		t.Errorf("it led to decisions %v and runs %v, and is none of ours", s.decisions, s.runs)
	}
}

// TestWhatCannotBeUsedIsRecordedAndAcknowledged: with its payload and its reason, and the message is gone.
func TestWhatCannotBeUsedIsRecordedAndAcknowledged(t *testing.T) {
	t.Parallel()
	tests := []struct{ body, reason string }{
		{`{"do": "copy"`, "do: the body is not JSON: unexpected end of JSON input at byte 13, and the input has no default"},
		{`not json`, "name: the body is not JSON: invalid character 'o' in literal null (expecting 'u') at byte 2"},
		{`[1]`, "name: the body is a list, and no JSON object"},
		{`{"do": "copy"}`, "name: the event has no body.name, and the input has no default"},
		{`{"do": "copy", "name": "x", "file": "landing/x"}`, `file: "landing/x" is not an S3 URI`},
		{`{"do": "copy", "name": {"a": 1}}`, "an input of type json takes it"},
		{`{"do": "copy", "name": "` + strings.Repeat("x", 1020) + `"}`, "has a key of 1029 bytes, and S3 takes 1024"},
		{`{"do": "copy", "name": "x", "note": "` + strings.Repeat("x", 9000) + `"}`, "as: file"},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			t.Parallel()
			s := start(t, project(t, never))
			s.send(t, test.body)
			s.until(t, "a decision", func() bool { return len(s.decisions) > 0 })
			if d := s.decisions[0]; d.Verdict != dispatch.Rejected || !strings.Contains(d.Reason, test.reason) {
				t.Errorf("it is %s: %s; want rejected: …%s…", d.Verdict, d.Reason, test.reason)
			}
			s.settled(t)
			queue, err := s.sqs.GetQueueUrl(t.Context(), &awssqs.GetQueueUrlInput{QueueName: aws.String("modeldispatch-dead-letters")})
			if err != nil {
				t.Fatal(err)
			}
			left, err := s.sqs.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl})
			if err != nil || len(left.Messages) > 0 {
				t.Errorf("dead letters %v, %v", left.Messages, err)
			}
		})
	}
}

func TestAStackLeavesNothingBehind(t *testing.T) {
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
	if _, err := local.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "running already, at "+stack.URL()) {
		t.Errorf("a second start with the same data: %v", err)
	}
	if err := stack.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(stack.URL(), "http://")
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("its port is still taken: %v", err)
	}
	_ = listener.Close()
	if _, err := local.Endpoint(t.Context(), o.Data); err == nil {
		t.Error("its endpoint is still told of")
	}
}

// TestAnEndpointThatIsNotServedSaysSo: what is not here is not made up.
func TestAnEndpointThatIsNotServedSaysSo(t *testing.T) {
	t.Parallel()
	s := start(t, project(t, never))
	client := awsdynamodb.NewFromConfig(endpoint(s.Address()))
	_, err := client.ListTables(t.Context(), &awsdynamodb.ListTablesInput{})
	if err == nil || !strings.Contains(err.Error(), "the local stack serves S3, SQS, ECS and EventBridge") {
		t.Errorf("a call to DynamoDB: %v", err)
	}
}

// TestAnOldClientIsToldWhatItLacks: it shows the message of an error in its own protocol.
func TestAnOldClientIsToldWhatItLacks(t *testing.T) {
	t.Parallel()
	s := start(t, project(t, never))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("Action=ListQueues&Version=2012-11-05"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, r)
	var said struct {
		Error struct{ Code, Message string }
	}
	err := xml.Unmarshal(answer.Body.Bytes(), &said)
	if err != nil || answer.Code != http.StatusBadRequest || said.Error.Code != "UnsupportedOperation" || !strings.Contains(said.Error.Message, "2.13.28 or later") {
		t.Errorf("it is answered with %d %s, %v", answer.Code, answer.Body, err)
	}
}
