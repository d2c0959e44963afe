// Package fakeaws is the part of AWS that the dispatcher touches, in memory and true to AWS's
// contracts, for tests: it has no goroutines, no clock of its own and nothing random, so that
// what a test does is all that happens.
//
//	aws := fakeaws.New(now)
//	d := dispatch.New(dispatch.Options{Launcher: aws.ECS, Watcher: aws.ECS, Queue: aws, Objects: aws, Bus: aws, ...})
//	...
//	aws.ECS.Exit(arn, 0) // and aws.ECS.Task(arn) is what the state-change event says
package fakeaws

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

// tokenLife is how much longer than its tasks a clientToken lives at least ("Ensuring idempotency").
const tokenLife = time.Hour

// ECS keeps tasks and clientTokens as ECS does.
type ECS struct {
	Now func() time.Time
	// Refuse, when set, is asked before a call that would start a task: it can refuse it.
	Refuse func(request fargate.Request) *run.Outcome
	// Remembers says whether a token is remembered whose call returned only failures: ECS's
	// documents leave that open.
	Remembers bool
	// Size is the size of task definitions, and Limit their container's hard memory limit in MiB.
	Size  model.Size
	Limit int
	// AWSVPC is the networkMode of task definitions for EC2: those for Fargate always have it.
	AWSVPC bool
	// Calls counts the RunTask calls that arrived.
	Calls int
	// Began and Told, when set, are called for a task that was started, and for one that was told to stop.
	Began func(arn string)
	Told  func(arn string)

	tasks  map[string]*event.Task
	arns   []string // of all tasks, oldest first
	tokens map[string]*token
}

// token is what a clientToken stands for.
type token struct {
	request string
	task    string       // ARN
	refused *run.Outcome // instead of a task
	at      time.Time
}

// RunTask implements dispatch.Launcher.
func (e *ECS) RunTask(_ context.Context, request json.RawMessage, deadline time.Time) (fargate.Answer, error) {
	if !e.Now().Before(deadline) {
		return refused(run.Outcome{Class: run.Throttled, Detail: "no answer from RunTask: the deadline is over"})
	}
	e.Calls++
	var in fargate.Request
	if err := json.Unmarshal(request, &in); err != nil {
		return fargate.Answer{}, err
	}
	if err := cmp.Or(in.Check(), e.network(in)); err != nil {
		return refused(run.Outcome{Class: run.Misconfigured, Detail: err.Error(), Permanent: true})
	}
	key := in.Cluster + " " + in.ClientToken
	if known := e.known(key); known != nil {
		return e.replay(known, string(request))
	}
	if e.Refuse != nil {
		if why := e.Refuse(in); why != nil {
			if e.Remembers && !why.Class.SameToken() {
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
		CPU: strconv.Itoa(size.CPU), Memory: strconv.Itoa(size.Memory), DesiredStatus: "RUNNING", Version: 1, CreatedAt: e.Now(), Containers: []event.Container{{Name: in.Overrides.ContainerOverrides[0].Name}},
	}
	e.arns = append(e.arns, arn)
	e.tokens[key] = &token{request: string(request), task: arn, at: e.Now()}
	if e.Began != nil {
		e.Began(arn)
	}
	return fargate.Answer{Task: e.copy(arn)}, nil
}

// network says why a request's network configuration does not go with its definition's networkMode.
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

// known is the token if it still lives.
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

func (e *ECS) replay(t *token, request string) (fargate.Answer, error) {
	switch {
	case t.request != request && t.task == "":
		return refused(run.Outcome{Class: run.Throttled, Detail: "ConflictException: it names no task"}) // as fargate's taxonomy has it
	case t.request != request:
		return fargate.Answer{Task: &event.Task{ARN: t.task}}, nil // a ConflictException names the task, and no more
	case t.refused != nil:
		return refused(*t.refused)
	}
	task := e.copy(t.task)
	if task.LastStatus == "STOPPED" { // of which only the statuses are shown
		return fargate.Answer{Task: &event.Task{ARN: task.ARN, LastStatus: task.LastStatus, DesiredStatus: task.DesiredStatus}}, nil
	}
	return fargate.Answer{Task: task}, nil
}

func (e *ECS) copy(arn string) *event.Task {
	t := *e.tasks[arn]
	t.Containers = slices.Clone(t.Containers)
	return &t
}

// Definition implements dispatch.Launcher.
func (e *ECS) Definition(_ context.Context, family, _ string) (fargate.Definition, error) {
	return fargate.Definition{ARN: family + ":1", Limit: e.Limit, AWSVPC: e.AWSVPC}, nil
}

// DescribeTasks implements dispatch.Watcher. A task that has stopped is known for an hour.
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

// ListTasks implements dispatch.Watcher: tasks whose desired status is RUNNING.
func (e *ECS) ListTasks(_ context.Context, cluster, startedBy string) ([]string, error) {
	var arns []string
	for _, arn := range e.Tasks() {
		if t := e.tasks[arn]; t.ClusterARN == cluster && t.StartedBy == startedBy && t.DesiredStatus == "RUNNING" {
			arns = append(arns, arn)
		}
	}
	return arns, nil
}

// StopTask implements dispatch.Watcher. The task is told to stop; Exit or Stopped end it.
func (e *ECS) StopTask(_ context.Context, arn, reason string) error {
	t := e.tasks[arn]
	if t == nil {
		return fmt.Errorf("stopping task %s: %w", arn, fargate.ErrMissing)
	}
	if t.DesiredStatus == "RUNNING" {
		t.DesiredStatus, t.StopCode, t.StoppedReason = "STOPPED", "UserInitiated", reason
		t.Version++
		if e.Told != nil {
			e.Told(arn)
		}
	}
	return nil
}

// Start has a task's containers running.
func (e *ECS) Start(arn string) event.Task {
	t := e.tasks[arn]
	if t.LastStatus == "PROVISIONING" {
		t.LastStatus, t.StartedAt = "RUNNING", e.Now()
		t.Version++
	}
	return *e.copy(arn)
}

// Warn has Spot tell a task that it will be stopped: it still runs, two minutes at most.
func (e *ECS) Warn(arn string) event.Task {
	t := e.tasks[arn]
	t.DesiredStatus, t.StopCode, t.StoppedReason = "STOPPED", "SpotInterruption", "Your Spot Task was interrupted."
	t.Version++
	return *e.copy(arn)
}

// Exit ends a task by its container's exit code.
func (e *ECS) Exit(arn string, code int) event.Task {
	return e.Stopped(arn, func(t *event.Task) {
		t.Containers[0].ExitCode = &code
		if t.StopCode == "" {
			t.StopCode, t.StoppedReason = "EssentialContainerExited", "Essential container in task exited"
		}
	})
}

// Stopped ends a task in the way that the function sets.
func (e *ECS) Stopped(arn string, how func(*event.Task)) event.Task {
	t := e.tasks[arn]
	if t.LastStatus != "STOPPED" {
		how(t)
		t.LastStatus, t.DesiredStatus, t.StoppedAt = "STOPPED", "STOPPED", e.Now()
		t.Version++
	}
	return *e.copy(arn)
}

// Task is a task as it is now.
func (e *ECS) Task(arn string) event.Task { return *e.copy(arn) }

// Tasks are the ARNs of all tasks that ever were, oldest first.
func (e *ECS) Tasks() []string { return slices.Clone(e.arns) }

// Created is when a task was created; now for one that is not known.
func (e *ECS) Created(arn string) time.Time {
	if t := e.tasks[arn]; t != nil {
		return t.CreatedAt
	}
	return e.Now()
}
