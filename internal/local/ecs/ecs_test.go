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

// containers runs containers that do what the test says.
type containers struct {
	mu      sync.Mutex
	started map[string]*container // by task ARN and name
	refuse  error                 // what Start fails with
	reaped  []string
	changed chan struct{}
}

// container is one that runs until the test lets it exit, or until it is stopped.
type container struct {
	ecs.Container
	exit  chan ecs.Exit
	after time.Duration // how long Stop gave it
}

func (c *containers) Start(_ context.Context, what ecs.Container) (ecs.Process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != nil {
		return nil, c.refuse
	}
	one := &container{Container: what, exit: make(chan ecs.Exit, 2)}
	c.started[what.TaskARN+" "+what.Name] = one
	select {
	case c.changed <- struct{}{}:
	default:
	}
	return one, nil
}

func (c *containers) Reap(arn string) error {
	c.reaped = append(c.reaped, arn)
	return nil
}

func (c *container) Wait() ecs.Exit { return <-c.exit }

func (c *container) Stop(after time.Duration) {
	c.after = after
	c.exit <- ecs.Exit{Code: 143}
}

// stand is a local ECS with AWS's client, a clock, and the events that were emitted.
type stand struct {
	*client.Client
	server     *ecs.Server
	containers *containers

	mu      sync.Mutex
	now     time.Time
	events  []event.Task
	changed chan struct{}
}

const definition = `{"family": "sales", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
	"containerDefinitions": [{"name": "model", "image": "i:1", "essential": true, "stopTimeout": 7}, {"name": "sidecar", "image": "s:1", "essential": false}]}`

func start(t *testing.T, file string, faults ecs.Faults) *stand {
	t.Helper()
	s := &stand{
		containers: &containers{started: map[string]*container{}, changed: make(chan struct{}, 1)},
		now:        time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC), changed: make(chan struct{}, 1),
	}
	server, err := ecs.New(t.Context(), ecs.Options{
		Region: "us-east-1", Account: "000000000000", Clusters: []string{"other"}, Runner: s.containers, File: file, Faults: faults, Parallel: 500,
		Now: s.clock, Emit: s.emitted, LogFile: func(_, task, container string) string { return task + "-" + container },
		Secrets: func(name string) (string, bool) { return "hush", name == "PASSWORD" },
	})
	if err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	s.server = server
	s.Client = client.New(client.Options{
		Region: "us-east-1", BaseEndpoint: &listener.URL, Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""), RetryMaxAttempts: 1,
	})
	if _, err := server.Register(json.RawMessage(definition)); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stand) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stand) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *stand) emitted(payload json.RawMessage) {
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

// until waits for the event of a task's status, and gives it.
func (s *stand) until(t *testing.T, arn, status string) event.Task {
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
			t.Fatalf("task %s has not become %s; there were %+v", arn, status, s.events)
		}
	}
}

// request is a request that is right; change makes it another one.
func request(change func(*client.RunTaskInput)) *client.RunTaskInput {
	in := &client.RunTaskInput{
		TaskDefinition: aws.String("sales"), LaunchType: types.LaunchTypeFargate, ClientToken: aws.String("token"), StartedBy: aws.String("me/run/1"),
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}},
	}
	if change != nil {
		change(in)
	}
	return in
}

func (s *stand) run(t *testing.T, change func(*client.RunTaskInput)) string {
	t.Helper()
	out, err := s.RunTask(t.Context(), request(change))
	if err != nil || len(out.Tasks) != 1 || len(out.Failures) > 0 {
		t.Fatalf("RunTask = %+v, %v, want one task", out, err)
	}
	return *out.Tasks[0].TaskArn
}

// exit lets a running container of a task exit.
func (s *stand) exit(t *testing.T, arn, name string, how ecs.Exit) {
	t.Helper()
	s.until(t, arn, "RUNNING")
	s.containers.mu.Lock()
	defer s.containers.mu.Unlock()
	s.containers.started[arn+" "+name].exit <- how
}

func TestATaskGoesThroughItsStatusesWithAGrowingVersion(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	arn := s.run(t, nil)
	s.exit(t, arn, "model", ecs.Exit{Code: 3})
	end := s.until(t, arn, "STOPPED")
	var statuses []string
	for i, e := range s.events {
		statuses = append(statuses, e.LastStatus)
		if e.Version != int64(i+1) || e.StartedBy != "me/run/1" {
			t.Errorf("event %d has version %d and startedBy %q", i+1, e.Version, e.StartedBy)
		}
	}
	if got := strings.Join(statuses, " "); got != "PROVISIONING PENDING RUNNING DEPROVISIONING STOPPED" {
		t.Errorf("the statuses are %s", got)
	}
	if end.StopCode != "EssentialContainerExited" || *end.Containers[0].ExitCode != 3 || *end.Containers[1].ExitCode != 143 {
		t.Errorf("it ended as %+v", end)
	}
	described, err := s.DescribeTasks(t.Context(), &client.DescribeTasksInput{Tasks: []string{arn}})
	if err != nil || *described.Tasks[0].LastStatus != "STOPPED" || *described.Tasks[0].Containers[0].ExitCode != 3 {
		t.Errorf("DescribeTasks = %+v, %v", described, err)
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		container string
		how       ecs.Exit
		code      int
		reason    string
	}{
		"a signal":      {"model", ecs.Exit{Code: 137}, 137, ""},
		"out of memory": {"model", ecs.Exit{Code: 137, OutOfMemory: true}, 137, "OutOfMemoryError: Container killed due to memory usage"},
		"success":       {"model", ecs.Exit{}, 0, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "", ecs.Faults{})
			arn := s.run(t, nil)
			s.exit(t, arn, test.container, test.how)
			if c := s.until(t, arn, "STOPPED").Containers[0]; *c.ExitCode != test.code || c.Reason != test.reason {
				t.Errorf("the container ended with %d, %q; want %d, %q", *c.ExitCode, c.Reason, test.code, test.reason)
			}
		})
	}
}

// TestASidecarMayExit: only an essential container ends its task.
func TestASidecarMayExit(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	arn := s.run(t, nil)
	s.exit(t, arn, "sidecar", ecs.Exit{Code: 9})
	s.exit(t, arn, "model", ecs.Exit{Code: 0})
	if end := s.until(t, arn, "STOPPED"); *end.Containers[0].ExitCode != 0 || *end.Containers[1].ExitCode != 9 {
		t.Errorf("it ended with %+v", end.Containers)
	}
}

func TestATaskThatDoesNotStartHasNoExitCode(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	s.containers.refuse = errors.New("CannotStartContainerError: no")
	end := s.until(t, s.run(t, nil), "STOPPED")
	if end.StopCode != "TaskFailedToStart" || end.StoppedReason != "CannotStartContainerError: no" || end.Containers[0].ExitCode != nil {
		t.Errorf("it ended as %+v", end)
	}
}

func TestStopTask(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	arn := s.run(t, nil)
	s.until(t, arn, "RUNNING")
	out, err := s.StopTask(t.Context(), &client.StopTaskInput{Task: &arn, Reason: aws.String("enough")})
	if err != nil || *out.Task.DesiredStatus != "STOPPED" {
		t.Fatalf("StopTask = %+v, %v", out, err)
	}
	end := s.until(t, arn, "STOPPED")
	if end.StopCode != "UserInitiated" || end.StoppedReason != "enough" || *end.Containers[0].ExitCode != 143 {
		t.Errorf("it ended as %+v", end)
	}
	if after := s.containers.started[arn+" model"].after; after != 7*time.Second {
		t.Errorf("the container was given %s, want its stopTimeout", after)
	}
	var unknown *types.InvalidParameterException
	if _, err := s.StopTask(t.Context(), &client.StopTaskInput{Task: aws.String("0123")}); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "not found") {
		t.Errorf("StopTask of an unknown task = %v", err)
	}
}

func TestAClientTokenNamesOneCall(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	arn := s.run(t, nil)
	if again := s.run(t, nil); again != arn {
		t.Errorf("the same call again started %s, want %s", again, arn)
	}
	var conflict *types.ConflictException
	_, err := s.RunTask(t.Context(), request(func(in *client.RunTaskInput) { in.StartedBy = aws.String("me/run/2") }))
	if !errors.As(err, &conflict) || !slices.Equal(conflict.ResourceIds, []string{arn}) {
		t.Errorf("another call with the token = %v, want a ConflictException that names %s", err, arn)
	}
	if other := s.run(t, func(in *client.RunTaskInput) { in.Cluster = aws.String("other") }); other == arn {
		t.Error("a token is known in another cluster")
	}
	s.exit(t, arn, "model", ecs.Exit{})
	s.until(t, arn, "STOPPED")
	if again := s.run(t, nil); again != arn {
		t.Errorf("after the end of the task the same call started %s", again)
	}
	s.pass(61 * time.Minute)
	if again := s.run(t, nil); again == arn {
		t.Error("the token is known more than an hour after the end of its task")
	}
}

func TestAStoppedTaskIsKnownForAnHour(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	arn := s.run(t, nil)
	s.exit(t, arn, "model", ecs.Exit{})
	s.until(t, arn, "STOPPED")
	for _, known := range []bool{true, false} {
		out, err := s.DescribeTasks(t.Context(), &client.DescribeTasksInput{Tasks: []string{arn}})
		if err != nil || (len(out.Tasks) == 1) != known || !known && *out.Failures[0].Reason != "MISSING" {
			t.Errorf("DescribeTasks = %+v, %v, want known: %t", out, err, known)
		}
		s.pass(61 * time.Minute)
	}
}

// TestRefusals: RunTask can start nothing with an error, and with HTTP 200; and a 5xx may have started the task.
func TestRefusals(t *testing.T) {
	t.Parallel()
	refusals := map[string]ecs.Refusal{
		"me/full/1":  {Failure: "Capacity is unavailable at this time. Please try again later or in a different availability zone"},
		"me/slow/1":  {Type: "ThrottlingException", Message: "Rate exceeded"},
		"me/error/1": {Type: "ServerException", Message: "Service Unavailable.", Status: http.StatusInternalServerError, Started: true},
	}
	s := start(t, "", ecs.Faults{RunTask: func(a ecs.Asked) *ecs.Refusal {
		if r, refused := refusals[a.StartedBy]; refused {
			return &r
		}
		return nil
	}})
	by := func(mark string) *client.RunTaskInput {
		return request(func(in *client.RunTaskInput) {
			in.StartedBy, in.ClientToken = aws.String(mark), aws.String(strings.ReplaceAll(mark, "/", "-"))
		})
	}
	for range 2 { // the failures of a call are remembered with its token
		out, err := s.RunTask(t.Context(), by("me/full/1"))
		if err != nil || len(out.Tasks) > 0 || len(out.Failures) != 1 || !strings.HasPrefix(*out.Failures[0].Reason, "Capacity is unavailable") {
			t.Errorf("a full region: RunTask = %+v, %v", out, err)
		}
	}
	if _, err := s.RunTask(t.Context(), by("me/slow/1")); err == nil || !strings.Contains(err.Error(), "Rate exceeded") {
		t.Errorf("a throttled call: RunTask = %v", err)
	}
	delete(refusals, "me/slow/1")
	if out, err := s.RunTask(t.Context(), by("me/slow/1")); err != nil || len(out.Tasks) != 1 {
		t.Errorf("the same call after it was throttled: RunTask = %+v, %v", out, err)
	}
	if _, err := s.RunTask(t.Context(), by("me/error/1")); err == nil || !strings.Contains(err.Error(), "ServerException") {
		t.Errorf("a server error: RunTask = %v", err)
	}
	list, err := s.ListTasks(t.Context(), &client.ListTasksInput{StartedBy: aws.String("me/error/1")})
	if err != nil || len(list.TaskArns) != 1 {
		t.Errorf("after it, ListTasks = %+v, %v, want the task that was started", list, err)
	}
}

func TestParametersThatRunTaskRefuses(t *testing.T) {
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
		"no subnets":           {func(in *client.RunTaskInput) { in.NetworkConfiguration = nil }, "Network Configuration must be provided when networkMode 'awsvpc' is specified"},
		"an unknown container": {override(types.ContainerOverride{Name: aws.String("sales")}), "sales"},
		"overrides over 8,192": {override(types.ContainerOverride{Name: aws.String("model"), Command: []string{strings.Repeat("x", 8192)}}), "8192"},
		"an invalid size": {func(in *client.RunTaskInput) {
			in.Overrides = &types.TaskOverride{Cpu: aws.String("256"), Memory: aws.String("4096")}
		}, "No Fargate configuration exists"},
		"an unknown definition": {func(in *client.RunTaskInput) { in.TaskDefinition = aws.String("sails") }, "TaskDefinition not found"},
		"an unknown cluster":    {func(in *client.RunTaskInput) { in.Cluster = aws.String("nowhere") }, "Cluster not found"},
		"a tag of AWS's": {func(in *client.RunTaskInput) {
			in.Tags = []types.Tag{{Key: aws.String("aws:x"), Value: aws.String("y")}}
		}, "aws:x"},
		"launch type and spot": {func(in *client.RunTaskInput) {
			in.CapacityProviderStrategy = []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE_SPOT")}}
		}, "not both"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := s.RunTask(t.Context(), request(test.change)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("RunTask = %v, want …%s…", err, test.want)
			}
		})
	}
}

func TestDefinitionsHaveRevisions(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	out, err := s.RegisterTaskDefinition(t.Context(), &client.RegisterTaskDefinitionInput{
		Family: aws.String("sales"), NetworkMode: types.NetworkModeAwsvpc, RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		Cpu: aws.String("512"), Memory: aws.String("1024"), ContainerDefinitions: []types.ContainerDefinition{{Name: aws.String("model"), Image: aws.String("i:2")}},
	})
	if err != nil || out.TaskDefinition.Revision != 2 {
		t.Fatalf("RegisterTaskDefinition = %+v, %v, want revision 2", out, err)
	}
	for name, want := range map[string]string{"sales": "512", "sales:1": "256", "sales:2": "512", *out.TaskDefinition.TaskDefinitionArn: "512"} {
		run, err := s.RunTask(t.Context(), request(func(in *client.RunTaskInput) { in.TaskDefinition, in.ClientToken = &name, nil }))
		if err != nil || *run.Tasks[0].Cpu != want {
			t.Errorf("%s has %+v CPU units, %v; want %s", name, run, err, want)
		}
	}
	if _, err := s.DeregisterTaskDefinition(t.Context(), &client.DeregisterTaskDefinitionInput{TaskDefinition: aws.String("sales:2")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RunTask(t.Context(), request(func(in *client.RunTaskInput) { in.TaskDefinition = aws.String("sales:2") })); err == nil || !strings.Contains(err.Error(), "inactive") {
		t.Errorf("an inactive revision: RunTask = %v", err)
	}
	run, err := s.RunTask(t.Context(), request(nil))
	if err != nil || *run.Tasks[0].Cpu != "256" {
		t.Errorf("the family is now %+v, %v, want its latest active revision", run, err)
	}
}

// TestStoppingTasksAreHiddenFromLists: a list shows what is to run, unless STOPPED is asked for.
func TestStoppingTasksAreHiddenFromLists(t *testing.T) {
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
		t.Error("a new task is not listed as one that is to run")
	}
	s.exit(t, arn, "model", ecs.Exit{})
	s.until(t, arn, "STOPPED")
	if list("") != 0 || list(types.DesiredStatusStopped) != 1 {
		t.Error("a stopped task is not listed as one that has stopped")
	}
}

func TestSecretsAreGivenOrMissed(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"PASSWORD": "RUNNING", "TOKEN": "STOPPED"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "", ecs.Faults{})
			secret := fmt.Sprintf(`{"family": "sales", "cpu": "256", "memory": "512", "containerDefinitions": [{"name": "model", "image": "i", "secrets": [{"name": %q, "valueFrom": "arn:x"}]}]}`, name)
			if _, err := s.server.Register(json.RawMessage(secret)); err != nil {
				t.Fatal(err)
			}
			arn := s.run(t, nil)
			task := s.until(t, arn, want)
			if want == "STOPPED" && !strings.Contains(task.StoppedReason, `secret "TOKEN" is not set: add TOKEN=… to .env.local`) {
				t.Errorf("it stopped for %q", task.StoppedReason)
			}
			if want == "RUNNING" && !slices.Contains(s.containers.started[arn+" model"].Environment, "PASSWORD=hush") {
				t.Errorf("its environment is %q", s.containers.started[arn+" model"].Environment)
			}
		})
	}
}

func TestFaultsStopATask(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{Task: func(ecs.Asked) *ecs.End {
		return &ecs.End{Code: "SpotInterruption", Reason: "Your Spot Task was interrupted."}
	}})
	if end := s.until(t, s.run(t, nil), "STOPPED"); end.StopCode != "SpotInterruption" || end.StoppedReason != "Your Spot Task was interrupted." {
		t.Errorf("it ended as %+v", end)
	}
}

func TestAFaultKillsAContainerForItsMemory(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{Task: func(a ecs.Asked) *ecs.End {
		return &ecs.End{Code: "EssentialContainerExited", Reason: "Essential container in task exited", OutOfMemory: a.MemoryMiB < 1024}
	}})
	end := s.until(t, s.run(t, nil), "STOPPED")
	if c := end.Containers[0]; c.ExitCode == nil || *c.ExitCode != 137 || !strings.HasPrefix(c.Reason, "OutOfMemoryError") {
		t.Errorf("its container ended as %+v", c)
	}
}

func TestAFaultKeepsATaskFromStarting(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{Task: func(ecs.Asked) *ecs.End { return &ecs.End{Code: "TaskFailedToStart", Reason: "no", NotStarted: true} }})
	end := s.until(t, s.run(t, nil), "STOPPED")
	if c := end.Containers[0]; end.StopCode != "TaskFailedToStart" || c.ExitCode != nil || !end.StartedAt.IsZero() {
		t.Errorf("it ended as %+v", end)
	}
}

// TestTasksOutliveTheProcess: what was live when it died is found, reaped, and told of as stopped.
func TestTasksOutliveTheProcess(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ecs.db")
	first := start(t, file, ecs.Faults{})
	live, ended := first.run(t, nil), first.run(t, func(in *client.RunTaskInput) { in.ClientToken = aws.String("another") })
	first.exit(t, ended, "model", ecs.Exit{Code: 4})
	first.until(t, ended, "STOPPED")
	first.until(t, live, "RUNNING")

	second := start(t, file, ecs.Faults{})
	if err := second.server.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if end := second.until(t, live, "STOPPED"); end.StopCode != "TerminationNotice" || end.Containers[0].ExitCode != nil {
		t.Errorf("the live one ended as %+v", end)
	}
	if end := second.until(t, ended, "STOPPED"); *end.Containers[0].ExitCode != 4 {
		t.Errorf("the one that had ended is told of as %+v", end)
	}
	if !slices.Equal(second.containers.reaped, []string{live}) {
		t.Errorf("%q were reaped, want the live one", second.containers.reaped)
	}
	if again := second.run(t, nil); again != live {
		t.Errorf("its token now starts %s", again)
	}
}

func TestCloseStopsTasks(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	arn := s.run(t, nil)
	s.until(t, arn, "RUNNING")
	if err := s.server.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if end := s.until(t, arn, "STOPPED"); end.StopCode != "TerminationNotice" {
		t.Errorf("it ended as %+v", end)
	}
	if _, err := s.RunTask(t.Context(), request(func(in *client.RunTaskInput) { in.ClientToken = nil })); err == nil || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("RunTask afterwards = %v", err)
	}
}

func FuzzRunTask(f *testing.F) {
	f.Add(`{"taskDefinition": "sales", "clientToken": "t"}`)
	f.Add(`{"taskDefinition": "sales", "count": 3, "overrides": {"containerOverrides": [{"name": "model", "command": ["x"]}]}}`)
	f.Add(`{"cluster": 1}`)
	f.Fuzz(func(t *testing.T, body string) {
		s := start(t, "", ecs.Faults{})
		s.containers.refuse = errors.New("not here")
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "AmazonEC2ContainerServiceV20141113.RunTask")
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		answer := httptest.NewRecorder()
		s.server.ServeHTTP(answer, r)
		if !json.Valid(answer.Body.Bytes()) || answer.Code >= http.StatusInternalServerError {
			t.Errorf("%d %s", answer.Code, answer.Body)
		}
	})
}
