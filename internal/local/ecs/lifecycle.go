package ecs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// task is a task's state together with the data that only this process needs.
type task struct {
	taskState
	definition   *definition
	changing     sync.Mutex     // held from a change until its event is emitted, so that events keep their order
	stopRequests chan stopCause // requests to stop the task; the first one counts
}

// stopCause is the stopCode and the stoppedReason of a task.
type stopCause struct{ code, reason string }

// defaultStopTimeout is the time between SIGTERM and SIGKILL for a container without a stopTimeout.
const defaultStopTimeout = 30 * time.Second

// requestStop asks the task to stop, and does not wait. The first request counts, and a stopped task ignores all.
func (t *task) requestStop(why stopCause) {
	select {
	case t.stopRequests <- why:
	default:
	}
}

// state returns a copy of the task's current state. Later changes of the task do not reach the copy.
func (t *task) state() taskState {
	copied := t.taskState
	copied.Containers = slices.Clone(t.Containers)
	return copied
}

// runLifecycle takes a new task from PENDING to STOPPED: it waits until fewer than Options.Parallel tasks have running
// containers, starts the containers, watches them and stops the task.
func (s *Server) runLifecycle(t *task) {
	defer s.live.Done()
	s.change(t, func() { t.LastStatus, t.PullStartedAt = pending, timestamp{s.Now().UTC()} })
	select {
	case s.running <- struct{}{}:
		defer func() { <-s.running }()
	case why := <-t.stopRequests:
		s.finish(t, why)
		return
	}
	fault := s.fault(t)
	if fault != nil && fault.NotStarted {
		s.finish(t, stopCause{fault.Code, fault.Reason})
		return
	}
	processes, err := s.startContainers(t)
	if err != nil {
		s.stopAll(t, processes)
		s.finish(t, stopCause{"TaskFailedToStart", err.Error()})
		return
	}
	s.change(t, func() {
		t.LastStatus, t.PullStoppedAt, t.StartedAt = running, t.PullStartedAt, timestamp{s.Now().UTC()}
		t.Attachments[0].Status = "ATTACHED"
		for i := range t.Containers {
			t.Containers[i].LastStatus = running
		}
	})
	if fault != nil && !fault.OutOfMemory { // ECS emits a warning event before it interrupts a task
		s.change(t, func() { t.DesiredStatus, t.StopCode, t.StoppedReason = stopped, fault.Code, fault.Reason })
	}
	s.finish(t, s.watch(t, processes, fault))
}

// fault returns the injected end of the task, or nil if the task runs normally.
func (s *Server) fault(t *task) *TaskEnd {
	if s.Faults.Task == nil {
		return nil
	}
	memory, _ := strconv.Atoi(t.Memory)
	return s.Faults.Task(LaunchRequest{
		StartedBy: t.StartedBy, Family: t.definition.Family, LaunchType: t.LaunchType, CapacityProvider: t.CapacityProvider, MemoryMiB: memory,
	})
}

// startContainers starts all containers of a task in the order of the definition. If one fails to start, it returns the
// processes of the containers before it, with the error.
func (s *Server) startContainers(t *task) ([]Process, error) {
	var processes []Process
	for _, c := range t.definition.spec.Containers {
		described, err := s.newContainer(t, c)
		if err != nil {
			return processes, err
		}
		p, err := s.Runner.Start(context.Background(), described)
		if err != nil {
			return processes, err
		}
		processes = append(processes, p)
	}
	return processes, nil
}

// newContainer returns the description of one container for the Runner. The order of its environment is:
// Options.Environment, the definition's variables, secrets, overrides. A secret without a value is an error.
func (s *Server) newContainer(t *task, c containerSpec) (Container, error) {
	command, environment := c.Command, slices.Clone(s.Environment)
	for _, e := range c.Environment {
		environment = append(environment, e.Name+"="+e.Value)
	}
	for _, secret := range c.Secrets {
		value, set := "", false
		if s.Secrets != nil {
			value, set = s.Secrets(secret.Name)
		}
		if !set {
			const unset = "ResourceInitializationError: secret %q is not set: add %s=… to .env.local in the project's folder"
			return Container{}, fmt.Errorf(unset, secret.Name, secret.Name)
		}
		environment = append(environment, secret.Name+"="+value)
	}
	if o := t.Overrides.forContainer(c.Name); o != nil {
		if len(o.Command) > 0 {
			command = o.Command
		}
		for _, e := range o.Environment {
			environment = append(environment, e.Name+"="+e.Value)
		}
	}
	id := t.ARN[strings.LastIndexByte(t.ARN, '/')+1:]
	return Container{
		TaskARN: t.ARN, Family: t.definition.Family, Name: c.Name, Image: c.Image,
		Command:     slices.Concat(c.EntryPoint, command),
		Environment: environment, Directory: c.Directory, MemoryMiB: c.Memory, Log: s.LogFile(t.StartedBy, id, c.Name),
	}, nil
}

// exitCodeKilled is the exit code of a container after SIGKILL.
const exitCodeKilled = 128 + 9

// containerExit is the exit of the container with this index in the task definition.
type containerExit struct {
	index int
	exit  Exit
}

// watch waits until a running task has a reason to stop, and returns that reason after all containers have exited. The
// reasons are: an essential container exited, all containers exited, a caller requested the stop, or a fault. With a
// fault, watch stops the containers at once.
func (s *Server) watch(t *task, processes []Process, fault *TaskEnd) stopCause {
	exits := make(chan containerExit, len(processes))
	for i, p := range processes {
		go func() { exits <- containerExit{i, p.Wait()} }()
	}
	why, remaining := stopCause{}, len(processes)
	if fault != nil {
		why = stopCause{fault.Code, fault.Reason}
	}
	for why.code == "" {
		select {
		case e := <-exits:
			remaining--
			s.recordExit(t, e)
			if t.definition.spec.Containers[e.index].essential() || remaining == 0 {
				why = stopCause{"EssentialContainerExited", "Essential container in task exited"}
			}
		case why = <-t.stopRequests:
		}
	}
	s.stopAll(t, processes)
	for ; remaining > 0; remaining-- {
		e := <-exits
		if fault != nil && fault.OutOfMemory && t.definition.spec.Containers[e.index].essential() {
			e.exit = Exit{Code: exitCodeKilled, OutOfMemory: true}
		}
		s.recordExit(t, e)
	}
	return why
}

// recordExit stores a container's exit in the task's state. The next change of the task saves it and emits it.
func (s *Server) recordExit(t *task, e containerExit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &t.Containers[e.index]
	c.ExitCode, c.LastStatus = &e.exit.Code, stopped
	if e.exit.OutOfMemory {
		c.Reason = "OutOfMemoryError: Container killed due to memory usage"
	}
}

// stopAll asks all processes to exit. Processes that have exited ignore it.
func (s *Server) stopAll(t *task, processes []Process) {
	for i, p := range processes {
		timeout := defaultStopTimeout
		if seconds := t.definition.spec.Containers[i].StopTimeout; seconds != nil {
			timeout = time.Duration(*seconds) * time.Second
		}
		p.Stop(timeout)
	}
}

// finish takes a task through DEPROVISIONING to STOPPED. The caller has stopped the task's containers, if there are
// any.
func (s *Server) finish(t *task, why stopCause) {
	s.change(t, func() {
		now := timestamp{s.Now().UTC()}
		t.LastStatus, t.DesiredStatus, t.StopCode, t.StoppedReason = deprovisioning, stopped, why.code, why.reason
		t.StoppingAt, t.ExecutionStoppedAt = now, now
		for i := range t.Containers {
			t.Containers[i].LastStatus = stopped
		}
	})
	s.change(t, func() {
		t.LastStatus, t.StoppedAt = stopped, timestamp{s.Now().UTC()}
		if len(t.Attachments) > 0 {
			t.Attachments[0].Status = "DELETED"
		}
	})
}

// change applies f to a task, increments the task's version, saves the task and emits its event. f runs with
// Server.mu held.
func (s *Server) change(t *task, f func()) {
	t.changing.Lock()
	defer t.changing.Unlock()
	s.mu.Lock()
	t.Attachments = slices.Clone(t.Attachments)
	f()
	t.Version++
	after := t.state()
	s.saveTask(t)
	s.mu.Unlock()
	s.emit(after)
}

// emit passes an ECS Task State Change event for the task to Options.Emit.
func (s *Server) emit(t taskState) {
	if s.Emit == nil {
		return
	}
	event, err := s.changeEvent(t)
	if err != nil {
		s.Log.Error().Err(err).Str("task", t.ARN).Msg("a task state change has no event") // cannot happen: a task is plain data
		return
	}
	s.Emit(event)
}

// changeEvent returns the ECS Task State Change event for the task.
func (s *Server) changeEvent(t taskState) (json.RawMessage, error) {
	detail, err := t.eventDetail()
	if err != nil {
		return nil, err
	}
	detail["updatedAt"] = s.Now().UTC().Format("2006-01-02T15:04:05.999Z07:00")
	return json.Marshal(map[string]any{
		"version": "0", "id": uuid.NewString(), "detail-type": "ECS Task State Change", "source": "aws.ecs",
		"account": s.Account, "time": s.Now().UTC().Format(time.RFC3339), "region": s.Region,
		"resources": []string{t.ARN}, "detail": detail,
	})
}
