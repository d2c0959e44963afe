package dispatchtest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
)

// tokenLife is the minimum time that ECS remembers a client token after its task has stopped.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html
const tokenLife = time.Hour

// ECS keeps tasks and client tokens as ECS does. New returns an AWS with one.
type ECS struct {
	Now func() time.Time
	// Refuse decides the answer to each call that would start a task. ECS refuses the call if the outcome is not nil. A
	// nil Refuse refuses no call.
	Refuse func(request fargate.Request) *run.Outcome
	// RemembersRefusals tells whether ECS remembers the client token of a call that returned only failures. The
	// documentation of ECS leaves that open.
	RemembersRefusals bool
	// Size is the size in all task definitions.
	Size model.Size
	// ContainerMemoryMiB is the hard memory limit of the container in all task definitions; 0 means no limit.
	ContainerMemoryMiB int
	// AWSVPC tells whether the task definitions for EC2 have the networkMode awsvpc. Those for Fargate always have it.
	AWSVPC bool
	// Calls counts the RunTask calls that arrived before their deadline.
	Calls int
	// CallStarted is called after a task was started. It may be nil.
	CallStarted func(arn string)
	// StopRequested is called after StopTask was called for a task for the first time. It may be nil.
	StopRequested func(arn string)

	tasks  map[string]*event.Task // by ARN
	arns   []string               // the ARNs of all tasks, oldest first
	tokens map[string]*token      // by cluster and client token
}

// token holds the first call with a client token, and its result.
type token struct {
	request string
	task    string       // the ARN of the task that was started; empty for a refused call
	refused *run.Outcome // the refusal; nil if a task was started
	at      time.Time    // the time of the call
}

// RunTask implements dispatch.Launcher. It checks a request as ECS does, and answers a repeated client token with the
// first task.
func (e *ECS) RunTask(_ context.Context, request json.RawMessage, deadline time.Time) (fargate.Answer, error) {
	if !e.Now().Before(deadline) {
		return refused(run.Outcome{Class: run.ClassThrottled, Detail: "no answer from RunTask: the deadline has passed"})
	}
	e.Calls++
	var in fargate.Request
	if err := json.Unmarshal(request, &in); err != nil {
		return fargate.Answer{}, err
	}
	if err := cmp.Or(in.Check(), e.network(in)); err != nil {
		return refused(run.Outcome{Class: run.ClassMisconfigured, Detail: err.Error(), Permanent: true})
	}
	key := in.Cluster + " " + in.ClientToken
	if known := e.known(key); known != nil {
		return e.replay(known, string(request))
	}
	if e.Refuse != nil {
		if why := e.Refuse(in); why != nil {
			if e.RemembersRefusals && !why.Class.KeepsToken() {
				e.tokens[key] = &token{request: string(request), refused: why, at: e.Now()}
			}
			return refused(*why)
		}
	}
	size := e.Size
	if n, err := strconv.Atoi(in.Overrides.Memory); err == nil {
		size.Memory = n
	}
	if n, err := strconv.Atoi(in.Overrides.CPU); err == nil {
		size.CPU = n
	}
	arn := fmt.Sprintf("arn:aws:ecs:us-east-1:000000000000:task/%s/%032x", in.Cluster, len(e.tasks)+1)
	e.tasks[arn] = &event.Task{
		ARN: arn, ClusterARN: in.Cluster, DefinitionARN: in.TaskDefinition, StartedBy: in.StartedBy, LastStatus: "PROVISIONING",
		CPU: strconv.Itoa(size.CPU), Memory: strconv.Itoa(size.Memory), DesiredStatus: "RUNNING", Version: 1, CreatedAt: e.Now(),
		Containers: []event.Container{{Name: in.Overrides.ContainerOverrides[0].Name}},
	}
	e.arns = append(e.arns, arn)
	e.tokens[key] = &token{request: string(request), task: arn, at: e.Now()}
	if e.CallStarted != nil {
		e.CallStarted(arn)
	}
	return fargate.Answer{Task: e.copy(arn)}, nil
}

// network returns an error, in the words of ECS, if the network configuration of a request does not fit the
// networkMode of its task definition.
func (e *ECS) network(in fargate.Request) error {
	awsvpc := e.AWSVPC || in.LaunchType == "FARGATE" || len(in.CapacityProviderStrategy) > 0
	switch {
	case awsvpc && in.NetworkConfiguration == nil:
		return errors.New("InvalidParameterException: Network Configuration must be provided when networkMode 'awsvpc' is specified")
	case !awsvpc && in.NetworkConfiguration != nil:
		return errors.New("InvalidParameterException: Network Configuration is not valid for the given networkMode of this task definition")
	}
	return nil
}

func refused(why run.Outcome) (fargate.Answer, error) { return fargate.Answer{Refusal: &why}, nil }

// known returns a token that ECS still remembers, and nil otherwise. It deletes a token that is too old: tokenLife
// after its task has stopped, and 24 hours after its first call, unless its task still lives.
func (e *ECS) known(key string) *token {
	t := e.tokens[key]
	if t == nil {
		return nil
	}
	end := t.at
	if task := e.tasks[t.task]; task != nil {
		if task.LastStatus != "STOPPED" {
			return t
		}
		end = task.StoppedAt
	}
	if e.Now().After(end.Add(tokenLife)) || e.Now().After(t.at.Add(24*tokenLife)) {
		delete(e.tokens, key)
		return nil
	}
	return t
}

// replay returns the answer to a repeated client token.
func (e *ECS) replay(t *token, request string) (fargate.Answer, error) {
	switch {
	case t.request != request && t.task == "": // the class is the one of package fargate's taxonomy
		return refused(run.Outcome{Class: run.ClassThrottled, Detail: "ConflictException: it names no task"})
	case t.request != request: // a ConflictException tells only the ARN of the task
		return fargate.Answer{Task: &event.Task{ARN: t.task}}, nil
	case t.refused != nil:
		return refused(*t.refused)
	}
	task := e.copy(t.task)
	if task.LastStatus == "STOPPED" { // ECS shows only the statuses of a stopped task
		return fargate.Answer{Task: &event.Task{ARN: task.ARN, LastStatus: task.LastStatus, DesiredStatus: task.DesiredStatus}}, nil
	}
	return fargate.Answer{Task: task}, nil
}

// copy returns a copy of a task that later changes of the task do not touch.
func (e *ECS) copy(arn string) *event.Task {
	t := *e.tasks[arn]
	t.Containers = slices.Clone(t.Containers)
	return &t
}

// Definition implements dispatch.Launcher. Every family exists, with revision 1.
func (e *ECS) Definition(_ context.Context, family, _ string) (fargate.Definition, error) {
	return fargate.Definition{ARN: family + ":1", ContainerMemoryMiB: e.ContainerMemoryMiB, AWSVPC: e.AWSVPC}, nil
}

// DescribeTasks implements dispatch.Watcher. ECS forgets a task one hour after it has stopped.
func (e *ECS) DescribeTasks(_ context.Context, arns ...string) map[string]fargate.Described {
	all := map[string]fargate.Described{}
	for _, arn := range arns {
		t := e.tasks[arn]
		if t == nil || t.LastStatus == "STOPPED" && e.Now().After(t.StoppedAt.Add(time.Hour)) {
			all[arn] = fargate.Described{Err: fmt.Errorf("describing task %s: %w", arn, fargate.ErrMissing)}
			continue
		}
		all[arn] = fargate.Described{Task: *e.copy(arn)}
	}
	return all
}

// ListTasks implements dispatch.Watcher. It returns only tasks whose desired status is RUNNING.
func (e *ECS) ListTasks(_ context.Context, cluster, startedBy string) ([]string, error) {
	var arns []string
	for _, arn := range e.Tasks() {
		if t := e.tasks[arn]; t.ClusterARN == cluster && t.StartedBy == startedBy && t.DesiredStatus == "RUNNING" {
			arns = append(arns, arn)
		}
	}
	return arns, nil
}

// StopTask implements dispatch.Watcher. It changes the desired status of a task. The task ends when the test calls
// Exit or StopWith.
func (e *ECS) StopTask(_ context.Context, arn, reason string) error {
	t := e.tasks[arn]
	if t == nil {
		return fmt.Errorf("stopping task %s: %w", arn, fargate.ErrMissing)
	}
	if t.DesiredStatus == "RUNNING" {
		t.DesiredStatus, t.StopCode, t.StoppedReason = "STOPPED", "UserInitiated", reason
		t.Version++
		if e.StopRequested != nil {
			e.StopRequested(arn)
		}
	}
	return nil
}

// Start makes a task RUNNING, and returns it. It does nothing to a task that is running or has stopped.
func (e *ECS) Start(arn string) event.Task {
	t := e.tasks[arn]
	if t.LastStatus == "PROVISIONING" {
		t.LastStatus, t.StartedAt = "RUNNING", e.Now()
		t.Version++
	}
	return *e.copy(arn)
}

// WarnOfInterruption sends a task the warning of a Spot interruption, and returns the task. The task continues. In ECS
// it then runs for at most two more minutes.
func (e *ECS) WarnOfInterruption(arn string) event.Task {
	t := e.tasks[arn]
	t.DesiredStatus, t.StopCode, t.StoppedReason = "STOPPED", "SpotInterruption", "Your Spot Task was interrupted."
	t.Version++
	return *e.copy(arn)
}

// Exit ends a task, as its container exits with a code, and returns the task.
func (e *ECS) Exit(arn string, code int) event.Task {
	return e.StopWith(arn, func(t *event.Task) {
		t.Containers[0].ExitCode = &code
		if t.StopCode == "" {
			t.StopCode, t.StoppedReason = "EssentialContainerExited", "Essential container in task exited"
		}
	})
}

// StopWith ends a task, and returns it. The function sets the stop code, the reason and the exit codes. It is not
// called for a task that has stopped already.
func (e *ECS) StopWith(arn string, change func(*event.Task)) event.Task {
	t := e.tasks[arn]
	if t.LastStatus != "STOPPED" {
		change(t)
		t.LastStatus, t.DesiredStatus, t.StoppedAt = "STOPPED", "STOPPED", e.Now()
		t.Version++
	}
	return *e.copy(arn)
}

// Task returns a task as it is now. It panics for an unknown ARN.
func (e *ECS) Task(arn string) event.Task { return *e.copy(arn) }

// Tasks returns the ARNs of all tasks, oldest first. Stopped tasks are included.
func (e *ECS) Tasks() []string { return slices.Clone(e.arns) }

// CreatedAt returns when a task was created, and the present time for an unknown task.
func (e *ECS) CreatedAt(arn string) time.Time {
	if t := e.tasks[arn]; t != nil {
		return t.CreatedAt
	}
	return e.Now()
}
