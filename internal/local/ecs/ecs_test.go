package ecs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	client "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"modeldispatch/internal/event"
	"modeldispatch/internal/local/ecs"
)

// fakeRunner is a Runner whose containers run until the test lets them exit.
type fakeRunner struct {
	mu      sync.Mutex
	started map[string]*fakeContainer // containers by task ARN and name
	refuse  error                     // the error that Start returns, if any
	reaped  []string
	changed chan struct{}
}

// fakeContainer runs until the test sends its exit, or until Stop does.
type fakeContainer struct {
	ecs.Container
	exit  chan ecs.Exit
	after time.Duration // the timeout that Stop received
}

func (r *fakeRunner) Start(_ context.Context, described ecs.Container) (ecs.Process, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse != nil {
		return nil, r.refuse
	}
	c := &fakeContainer{Container: described, exit: make(chan ecs.Exit, 2)}
	r.started[described.TaskARN+" "+described.Name] = c
	select {
	case r.changed <- struct{}{}:
	default:
	}
	return c, nil
}

func (r *fakeRunner) Reap(arn string) error {
	r.reaped = append(r.reaped, arn)
	return nil
}

func (c *fakeContainer) Wait() ecs.Exit { return <-c.exit }

func (c *fakeContainer) Stop(after time.Duration) {
	c.after = after
	c.exit <- ecs.Exit{Code: 143}
}

// harness is a local ECS together with an AWS client, a clock and the emitted events.
type harness struct {
	*client.Client
	server *ecs.Server
	runner *fakeRunner

	mu      sync.Mutex
	now     time.Time
	events  []event.Task
	changed chan struct{}
}

const definition = `{"family": "sales", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
	"containerDefinitions": [
		{"name": "model", "image": "i:1", "essential": true, "stopTimeout": 7},
		{"name": "sidecar", "image": "s:1", "essential": false}
	]}`

func start(t *testing.T, file string, faults ecs.Faults) *harness {
	t.Helper()
	s := &harness{
		runner: &fakeRunner{started: map[string]*fakeContainer{}, changed: make(chan struct{}, 1)},
		now:    time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC), changed: make(chan struct{}, 1),
	}
	server, err := ecs.New(t.Context(), ecs.Options{
		Region: "us-east-1", Account: "000000000000", Clusters: []string{"other"},
		Runner: s.runner, File: file, Faults: faults, Parallel: 500,
		Now: s.clock, Emit: s.recordEvent, LogFile: func(_, task, container string) string { return task + "-" + container },
		Secrets: func(name string) (string, bool) { return "hush", name == "PASSWORD" },
	})
	if err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	s.server = server
	s.Client = client.New(client.Options{
		Region: "us-east-1", BaseEndpoint: &listener.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""),
	})
	if _, err := server.Register(json.RawMessage(definition)); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *harness) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *harness) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *harness) recordEvent(payload json.RawMessage) {
	task, err := event.DecodeTask(payload)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	s.events = append(s.events, task)
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// waitFor waits for the event with a task's status, and returns it.
func (s *harness) waitFor(t *testing.T, arn, status string) event.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		s.mu.Lock()
		i := slices.IndexFunc(s.events, func(e event.Task) bool { return e.ARN == arn && e.LastStatus == status })
		if i >= 0 {
			defer s.mu.Unlock()
			return s.events[i]
		}
		s.mu.Unlock()
		select {
		case <-s.changed:
		case <-ctx.Done():
			t.Fatalf("task %s did not reach %s; the events are %+v", arn, status, s.events)
		}
	}
}

// request returns a valid RunTask request, changed by change if that is not nil.
func request(change func(*client.RunTaskInput)) *client.RunTaskInput {
	in := &client.RunTaskInput{
		TaskDefinition: aws.String("sales"), LaunchType: types.LaunchTypeFargate,
		ClientToken: aws.String("token"), StartedBy: aws.String("me/run/1"),
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}},
	}
	if change != nil {
		change(in)
	}
	return in
}

func (s *harness) run(t *testing.T, change func(*client.RunTaskInput)) string {
	t.Helper()
	out, err := s.RunTask(t.Context(), request(change))
	if err != nil || len(out.Tasks) != 1 || len(out.Failures) > 0 {
		t.Fatalf("RunTask = %+v, %v, want one task", out, err)
	}
	return *out.Tasks[0].TaskArn
}

// exit waits until a task runs, and makes one of its containers exit.
func (s *harness) exit(t *testing.T, arn, name string, exit ecs.Exit) {
	t.Helper()
	s.waitFor(t, arn, "RUNNING")
	s.runner.mu.Lock()
	defer s.runner.mu.Unlock()
	s.runner.started[arn+" "+name].exit <- exit
}

func TestATaskGoesThroughItsStatusesWithAGrowingVersion(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	arn := s.run(t, nil)
	s.exit(t, arn, "model", ecs.Exit{Code: 3})
	end := s.waitFor(t, arn, "STOPPED")
	var statuses []string
	for i, e := range s.events {
		statuses = append(statuses, e.LastStatus)
		if e.Version != int64(i+1) || e.StartedBy != "me/run/1" {
			t.Errorf("event %d has version %d and startedBy %q, want version %d and me/run/1", i+1, e.Version, e.StartedBy, i+1)
		}
	}
	const want = "PROVISIONING PENDING RUNNING DEPROVISIONING STOPPED"
	if got := strings.Join(statuses, " "); got != want {
		t.Errorf("the statuses are %s, want %s", got, want)
	}
	if end.StopCode != "EssentialContainerExited" || *end.Containers[0].ExitCode != 3 || *end.Containers[1].ExitCode != 143 {
		t.Errorf("the task ended as %+v, want EssentialContainerExited with exit codes 3 and 143", end)
	}
	described, err := s.DescribeTasks(t.Context(), &client.DescribeTasksInput{Tasks: []string{arn}})
	if err != nil || *described.Tasks[0].LastStatus != "STOPPED" || *described.Tasks[0].Containers[0].ExitCode != 3 {
		t.Errorf("DescribeTasks = %+v, %v, want STOPPED with exit code 3", described, err)
	}
}

func TestContainerExits(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		exit   ecs.Exit
		code   int
		reason string
	}{
		"a signal":      {ecs.Exit{Code: 137}, 137, ""},
		"out of memory": {ecs.Exit{Code: 137, OutOfMemory: true}, 137, "OutOfMemoryError: Container killed due to memory usage"},
		"success":       {ecs.Exit{}, 0, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "", ecs.Faults{})
			arn := s.run(t, nil)
			s.exit(t, arn, "model", test.exit)
			if c := s.waitFor(t, arn, "STOPPED").Containers[0]; *c.ExitCode != test.code || c.Reason != test.reason {
				t.Errorf("the container ended with %d, %q; want %d, %q", *c.ExitCode, c.Reason, test.code, test.reason)
			}
		})
	}
}

// TestASidecarMayExit checks that the exit of a container that is not essential leaves its task running.
func TestASidecarMayExit(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	arn := s.run(t, nil)
	s.exit(t, arn, "sidecar", ecs.Exit{Code: 9})
	s.exit(t, arn, "model", ecs.Exit{Code: 0})
	if end := s.waitFor(t, arn, "STOPPED"); *end.Containers[0].ExitCode != 0 || *end.Containers[1].ExitCode != 9 {
		t.Errorf("the containers ended as %+v, want exit codes 0 and 9", end.Containers)
	}
}

func TestATaskThatDoesNotStartHasNoExitCode(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	s.runner.refuse = errors.New("CannotStartContainerError: no")
	end := s.waitFor(t, s.run(t, nil), "STOPPED")
	if end.StopCode != "TaskFailedToStart" || end.StoppedReason != "CannotStartContainerError: no" || end.Containers[0].ExitCode != nil {
		t.Errorf("the task ended as %+v, want TaskFailedToStart without an exit code", end)
	}
}

func TestStopTask(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	arn := s.run(t, nil)
	s.waitFor(t, arn, "RUNNING")
	out, err := s.StopTask(t.Context(), &client.StopTaskInput{Task: &arn, Reason: aws.String("enough")})
	if err != nil || *out.Task.DesiredStatus != "STOPPED" {
		t.Fatalf("StopTask = %+v, %v, want desiredStatus STOPPED", out, err)
	}
	end := s.waitFor(t, arn, "STOPPED")
	if end.StopCode != "UserInitiated" || end.StoppedReason != "enough" || *end.Containers[0].ExitCode != 143 {
		t.Errorf("the task ended as %+v, want UserInitiated with the reason and exit code 143", end)
	}
	if after := s.runner.started[arn+" model"].after; after != 7*time.Second {
		t.Errorf("the container got %s to stop, want its stopTimeout of 7s", after)
	}
	var unknown *types.InvalidParameterException
	_, err = s.StopTask(t.Context(), &client.StopTaskInput{Task: aws.String("0123")})
	if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "not found") {
		t.Errorf("StopTask of an unknown task = %v, want an InvalidParameterException: not found", err)
	}
}

func TestAClientTokenNamesOneCall(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	arn := s.run(t, nil)
	if again := s.run(t, nil); again != arn {
		t.Errorf("the repeated call returned %s, want %s", again, arn)
	}
	var conflict *types.ConflictException
	_, err := s.RunTask(t.Context(), request(func(in *client.RunTaskInput) { in.StartedBy = aws.String("me/run/2") }))
	if !errors.As(err, &conflict) || !slices.Equal(conflict.ResourceIds, []string{arn}) {
		t.Errorf("another request with the token = %v, want a ConflictException that names %s", err, arn)
	}
	if other := s.run(t, func(in *client.RunTaskInput) { in.Cluster = aws.String("other") }); other == arn {
		t.Error("the token returned the same task in another cluster")
	}
	s.exit(t, arn, "model", ecs.Exit{})
	s.waitFor(t, arn, "STOPPED")
	if again := s.run(t, nil); again != arn {
		t.Errorf("after the task stopped, the repeated call returned %s, want %s", again, arn)
	}
	s.advance(61 * time.Minute)
	if again := s.run(t, nil); again == arn {
		t.Error("more than an hour after the task stopped, its token still returns it")
	}
}

func TestAStoppedTaskIsKnownForAnHour(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	arn := s.run(t, nil)
	s.exit(t, arn, "model", ecs.Exit{})
	s.waitFor(t, arn, "STOPPED")
	for _, known := range []bool{true, false} {
		out, err := s.DescribeTasks(t.Context(), &client.DescribeTasksInput{Tasks: []string{arn}})
		if err != nil || (len(out.Tasks) == 1) != known || !known && *out.Failures[0].Reason != "MISSING" {
			t.Errorf("DescribeTasks = %+v, %v, want known: %t", out, err, known)
		}
		s.advance(61 * time.Minute)
	}
}

// TestRefusals checks three failures of RunTask: failures[] with HTTP 200, an error, and a 5xx after which the task
// runs.
func TestRefusals(t *testing.T) {
	t.Parallel()
	refusals := map[string]ecs.Refusal{
		"me/full/1":  {Failure: "Capacity is unavailable at this time. Please try again later or in a different availability zone"},
		"me/slow/1":  {Type: "ThrottlingException", Message: "Rate exceeded"},
		"me/error/1": {Type: "ServerException", Message: "Service Unavailable.", Status: http.StatusInternalServerError, Started: true},
	}
	s := start(t, "", ecs.Faults{RunTask: func(a ecs.LaunchRequest) *ecs.Refusal {
		if r, refused := refusals[a.StartedBy]; refused {
			return &r
		}
		return nil
	}})
	by := func(startedBy string) *client.RunTaskInput {
		return request(func(in *client.RunTaskInput) {
			in.StartedBy, in.ClientToken = aws.String(startedBy), aws.String(strings.ReplaceAll(startedBy, "/", "-"))
		})
	}
	for range 2 { // the server remembers the failures of a call with its token
		out, err := s.RunTask(t.Context(), by("me/full/1"))
		if err != nil || len(out.Tasks) > 0 || len(out.Failures) != 1 ||
			!strings.HasPrefix(*out.Failures[0].Reason, "Capacity is unavailable") {
			t.Errorf("without capacity: RunTask = %+v, %v, want one failure", out, err)
		}
	}
	if _, err := s.RunTask(t.Context(), by("me/slow/1")); err == nil || !strings.Contains(err.Error(), "Rate exceeded") {
		t.Errorf("a throttled call: RunTask = %v, want Rate exceeded", err)
	}
	delete(refusals, "me/slow/1")
	if out, err := s.RunTask(t.Context(), by("me/slow/1")); err != nil || len(out.Tasks) != 1 {
		t.Errorf("the same call after the throttling: RunTask = %+v, %v, want one task", out, err)
	}
	if _, err := s.RunTask(t.Context(), by("me/error/1")); err == nil || !strings.Contains(err.Error(), "ServerException") {
		t.Errorf("a server error: RunTask = %v, want ServerException", err)
	}
	list, err := s.ListTasks(t.Context(), &client.ListTasksInput{StartedBy: aws.String("me/error/1")})
	if err != nil || len(list.TaskArns) != 1 {
		t.Errorf("after the server error: ListTasks = %+v, %v, want the started task", list, err)
	}
}

func TestRunTaskRefusesInvalidParameters(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	override := func(o types.ContainerOverride) func(*client.RunTaskInput) {
		return func(in *client.RunTaskInput) {
			in.Overrides = &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{o}}
		}
	}
	tests := map[string]struct {
		change func(*client.RunTaskInput)
		want   string
	}{
		"a blank in startedBy": {func(in *client.RunTaskInput) { in.StartedBy = aws.String("a b") }, "startedBy"},
		"a long startedBy":     {func(in *client.RunTaskInput) { in.StartedBy = aws.String(strings.Repeat("x", 129)) }, "startedBy"},
		"a long token":         {func(in *client.RunTaskInput) { in.ClientToken = aws.String(strings.Repeat("x", 65)) }, "clientToken"},
		"eleven tasks":         {func(in *client.RunTaskInput) { in.Count = aws.Int32(11) }, "Count"},
		"no subnets": {
			func(in *client.RunTaskInput) { in.NetworkConfiguration = nil },
			"Network Configuration must be provided when networkMode 'awsvpc' is specified",
		},
		"an unknown container": {override(types.ContainerOverride{Name: aws.String("sales")}), "sales"},
		"overrides over 8,192": {
			override(types.ContainerOverride{Name: aws.String("model"), Command: []string{strings.Repeat("x", 8192)}}),
			"8192",
		},
		"an invalid size": {func(in *client.RunTaskInput) {
			in.Overrides = &types.TaskOverride{Cpu: aws.String("256"), Memory: aws.String("4096")}
		}, "No Fargate configuration exists"},
		"an unknown definition": {func(in *client.RunTaskInput) { in.TaskDefinition = aws.String("sails") }, "TaskDefinition not found"},
		"an unknown cluster":    {func(in *client.RunTaskInput) { in.Cluster = aws.String("nowhere") }, "Cluster not found"},
		"a tag key that AWS reserves": {func(in *client.RunTaskInput) {
			in.Tags = []types.Tag{{Key: aws.String("aws:x"), Value: aws.String("y")}}
		}, "aws:x"},
		"launch type and capacity provider": {func(in *client.RunTaskInput) {
			in.CapacityProviderStrategy = []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE_SPOT")}}
		}, "not both"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := s.RunTask(t.Context(), request(test.change)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("RunTask = %v, want an error that contains %q", err, test.want)
			}
		})
	}
}

func TestDefinitionsHaveRevisions(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	out, err := s.RegisterTaskDefinition(t.Context(), &client.RegisterTaskDefinitionInput{
		Family: aws.String("sales"), Cpu: aws.String("512"), Memory: aws.String("1024"),
		NetworkMode: types.NetworkModeAwsvpc, RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ContainerDefinitions: []types.ContainerDefinition{{Name: aws.String("model"), Image: aws.String("i:2")}},
	})
	if err != nil || out.TaskDefinition.Revision != 2 {
		t.Fatalf("RegisterTaskDefinition = %+v, %v, want revision 2", out, err)
	}
	arn := *out.TaskDefinition.TaskDefinitionArn
	for name, want := range map[string]string{"sales": "512", "sales:1": "256", "sales:2": "512", arn: "512"} {
		run, err := s.RunTask(t.Context(), request(func(in *client.RunTaskInput) { in.TaskDefinition, in.ClientToken = &name, nil }))
		if err != nil || *run.Tasks[0].Cpu != want {
			t.Errorf("RunTask of %s = %+v, %v, want %s CPU units", name, run, err, want)
		}
	}
	second := aws.String("sales:2")
	if _, err := s.DeregisterTaskDefinition(t.Context(), &client.DeregisterTaskDefinitionInput{TaskDefinition: second}); err != nil {
		t.Fatal(err)
	}
	_, err = s.RunTask(t.Context(), request(func(in *client.RunTaskInput) { in.TaskDefinition = second }))
	if err == nil || !strings.Contains(err.Error(), "inactive") {
		t.Errorf("RunTask of an inactive revision = %v, want an error", err)
	}
	run, err := s.RunTask(t.Context(), request(nil))
	if err != nil || *run.Tasks[0].Cpu != "256" {
		t.Errorf("RunTask of the family = %+v, %v, want its latest active revision", run, err)
	}
}

// TestListTasksFiltersByDesiredStatus checks that a list shows tasks with desiredStatus RUNNING unless the request
// names another status.
func TestListTasksFiltersByDesiredStatus(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	arn := s.run(t, nil)
	list := func(desired types.DesiredStatus) int {
		out, err := s.ListTasks(t.Context(), &client.ListTasksInput{Family: aws.String("sales"), DesiredStatus: desired})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.TaskArns)
	}
	if list("") != 1 || list(types.DesiredStatusStopped) != 0 {
		t.Error("a new task is not listed under RUNNING alone")
	}
	s.exit(t, arn, "model", ecs.Exit{})
	s.waitFor(t, arn, "STOPPED")
	if list("") != 0 || list(types.DesiredStatusStopped) != 1 {
		t.Error("a stopped task is not listed under STOPPED alone")
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"PASSWORD": "RUNNING", "TOKEN": "STOPPED"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "", ecs.Faults{})
			secret := fmt.Sprintf(`{"family": "sales", "cpu": "256", "memory": "512", "containerDefinitions": [
				{"name": "model", "image": "i", "secrets": [{"name": %q, "valueFrom": "arn:x"}]}
			]}`, name)
			if _, err := s.server.Register(json.RawMessage(secret)); err != nil {
				t.Fatal(err)
			}
			arn := s.run(t, nil)
			task := s.waitFor(t, arn, want)
			if want == "STOPPED" && !strings.Contains(task.StoppedReason, `secret "TOKEN" is not set: add TOKEN=… to .env.local`) {
				t.Errorf("the stoppedReason is %q, want it to name the secret and .env.local", task.StoppedReason)
			}
			if want == "STOPPED" {
				return
			}
			if environment := s.runner.started[arn+" model"].Environment; !slices.Contains(environment, "PASSWORD=hush") {
				t.Errorf("the container's environment is %q, want PASSWORD=hush in it", environment)
			}
		})
	}
}

func TestAFaultStopsATask(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{Task: func(ecs.LaunchRequest) *ecs.TaskEnd {
		return &ecs.TaskEnd{Code: "SpotInterruption", Reason: "Your Spot Task was interrupted."}
	}})
	end := s.waitFor(t, s.run(t, nil), "STOPPED")
	if end.StopCode != "SpotInterruption" || end.StoppedReason != "Your Spot Task was interrupted." {
		t.Errorf("the task ended as %+v, want SpotInterruption", end)
	}
}

func TestAFaultKillsAContainerOutOfMemory(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{Task: func(a ecs.LaunchRequest) *ecs.TaskEnd {
		const reason = "Essential container in task exited"
		return &ecs.TaskEnd{Code: "EssentialContainerExited", Reason: reason, OutOfMemory: a.MemoryMiB < 1024}
	}})
	end := s.waitFor(t, s.run(t, nil), "STOPPED")
	if c := end.Containers[0]; c.ExitCode == nil || *c.ExitCode != 137 || !strings.HasPrefix(c.Reason, "OutOfMemoryError") {
		t.Errorf("the container ended as %+v, want exit code 137 and an OutOfMemoryError", c)
	}
}

func TestAFaultKeepsATaskFromStarting(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{Task: func(ecs.LaunchRequest) *ecs.TaskEnd {
		return &ecs.TaskEnd{Code: "TaskFailedToStart", Reason: "no", NotStarted: true}
	}})
	end := s.waitFor(t, s.run(t, nil), "STOPPED")
	if c := end.Containers[0]; end.StopCode != "TaskFailedToStart" || c.ExitCode != nil || !end.StartedAt.IsZero() {
		t.Errorf("the task ended as %+v, want TaskFailedToStart without a start or an exit code", end)
	}
}

// TestRecover opens the file of a first server, which still runs, with a second one. Recover reaps and stops the live
// task, and emits the last event of the stopped task again.
func TestRecover(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ecs.db")
	first := start(t, file, ecs.Faults{})
	live := first.run(t, nil)
	ended := first.run(t, func(in *client.RunTaskInput) { in.ClientToken = aws.String("another") })
	first.exit(t, ended, "model", ecs.Exit{Code: 4})
	first.waitFor(t, ended, "STOPPED")
	first.waitFor(t, live, "RUNNING")

	second := start(t, file, ecs.Faults{})
	if err := second.server.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if end := second.waitFor(t, live, "STOPPED"); end.StopCode != "TerminationNotice" || end.Containers[0].ExitCode != nil {
		t.Errorf("the live task ended as %+v, want TerminationNotice without an exit code", end)
	}
	if end := second.waitFor(t, ended, "STOPPED"); *end.Containers[0].ExitCode != 4 {
		t.Errorf("the event of the stopped task is %+v, want exit code 4", end)
	}
	if !slices.Equal(second.runner.reaped, []string{live}) {
		t.Errorf("Recover reaped %q, want the live task", second.runner.reaped)
	}
	if again := second.run(t, nil); again != live {
		t.Errorf("the token of the live task now returns %s, want %s", again, live)
	}
}

func TestCloseStopsTasks(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	arn := s.run(t, nil)
	s.waitFor(t, arn, "RUNNING")
	if err := s.server.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if end := s.waitFor(t, arn, "STOPPED"); end.StopCode != "TerminationNotice" {
		t.Errorf("the task ended as %+v, want TerminationNotice", end)
	}
	_, err := s.RunTask(t.Context(), request(func(in *client.RunTaskInput) { in.ClientToken = nil }))
	if err == nil || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("RunTask after Close = %v, want an error", err)
	}
}

func FuzzRunTask(f *testing.F) {
	f.Add(`{"taskDefinition": "sales", "clientToken": "t"}`)
	f.Add(`{"taskDefinition": "sales", "count": 3, "overrides": {"containerOverrides": [{"name": "model", "command": ["x"]}]}}`)
	f.Add(`{"cluster": 1}`)
	f.Fuzz(func(t *testing.T, body string) {
		s := start(t, "", ecs.Faults{})
		s.runner.refuse = errors.New("not here")
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "AmazonEC2ContainerServiceV20141113.RunTask")
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		answer := httptest.NewRecorder()
		s.server.ServeHTTP(answer, r)
		if !json.Valid(answer.Body.Bytes()) || answer.Code >= http.StatusInternalServerError {
			t.Errorf("RunTask answered %d %s, want JSON and no server error", answer.Code, answer.Body)
		}
	})
}
