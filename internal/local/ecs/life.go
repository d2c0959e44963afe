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

// task is a task, with what only this process knows of it.
type task struct {
	taskState
	definition *definition
	changing   sync.Mutex // held from a change to the end of its event, so that events keep their order
	stops      chan stop  // what asks the task to stop; the first one counts
}

// stop is why a task stops.
type stop struct{ code, reason string }

// defaultStopTimeout is how long a container has to exit after SIGTERM.
const defaultStopTimeout = 30 * time.Second

// ask asks the task to stop. One that is asked already, or has stopped, is left alone.
func (t *task) ask(why stop) {
	select {
	case t.stops <- why:
	default:
	}
}

// state is a copy of the task as it is now. Only its own goroutine changes it.
func (t *task) state() taskState {
	copied := t.taskState
	copied.Containers = slices.Clone(t.Containers)
	return copied
}

// life is a task's life, from its first status to its last.
func (s *Server) life(t *task) {
	defer s.live.Done()
	s.change(t, func() { t.LastStatus, t.PullStartedAt = pending, stamp{s.Now().UTC()} })
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case why := <-t.stops:
		s.finish(t, why)
		return
	}
	fault := s.fault(t)
	if fault != nil && fault.NotStarted {
		s.finish(t, stop{fault.Code, fault.Reason})
		return
	}
	processes, err := s.startContainers(t)
	if err != nil {
		s.stopAll(t, processes)
		s.finish(t, stop{"TaskFailedToStart", err.Error()})
		return
	}
	s.change(t, func() {
		t.LastStatus, t.PullStoppedAt, t.StartedAt = running, t.PullStartedAt, stamp{s.Now().UTC()}
		t.Attachments[0].Status = "ATTACHED"
		for i := range t.Containers {
			t.Containers[i].LastStatus = running
		}
	})
	if fault != nil && !fault.OutOfMemory { // ECS warns before it takes a task away
		s.change(t, func() { t.DesiredStatus, t.StopCode, t.StoppedReason = stopped, fault.Code, fault.Reason })
	}
	s.finish(t, s.watch(t, processes, fault))
}

// fault is how the task is to end that nobody asked to.
func (s *Server) fault(t *task) *End {
	if s.Faults.Task == nil {
		return nil
	}
	memory, _ := strconv.Atoi(t.Memory)
	return s.Faults.Task(Asked{StartedBy: t.StartedBy, Family: t.definition.Family, LaunchType: t.LaunchType, CapacityProvider: t.CapacityProvider, MemoryMiB: memory})
}

// startContainers starts all containers of a task, in the order of the definition.
func (s *Server) startContainers(t *task) ([]Process, error) {
	var processes []Process
	for _, c := range t.definition.spec.Containers {
		one, err := s.container(t, c)
		if err != nil {
			return processes, err
		}
		p, err := s.Runner.Start(context.Background(), one)
		if err != nil {
			return processes, err
		}
		processes = append(processes, p)
	}
	return processes, nil
}

// container is one container of a task, its overrides in place.
func (s *Server) container(t *task, c containerSpec) (Container, error) {
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
			return Container{}, fmt.Errorf("ResourceInitializationError: secret %q is not set: add %s=… to .env.local in the project's folder", secret.Name, secret.Name)
		}
		environment = append(environment, secret.Name+"="+value)
	}
	if o := t.Overrides.of(c.Name); o != nil {
		if len(o.Command) > 0 {
			command = o.Command
		}
		for _, e := range o.Environment {
			environment = append(environment, e.Name+"="+e.Value)
		}
	}
	id := t.ARN[strings.LastIndexByte(t.ARN, '/')+1:]
	return Container{
		TaskARN: t.ARN, Family: t.definition.Family, Name: c.Name, Image: c.Image, Command: slices.Concat(c.EntryPoint, command),
		Environment: environment, Directory: c.Directory, MemoryMiB: c.Memory, Log: s.LogFile(t.StartedBy, id, c.Name),
	}, nil
}

// killed is the exit code of a container that was ended with SIGKILL.
const killed = 128 + 9

// exited is a container that has exited.
type exited struct {
	container int
	exit      Exit
}

// watch waits until the task is to stop: an essential container has exited, somebody asks, or a
// fault wants it. Then it stops the rest, and returns when all containers have exited.
func (s *Server) watch(t *task, processes []Process, fault *End) stop {
	exits := make(chan exited, len(processes))
	for i, p := range processes {
		go func() { exits <- exited{i, p.Wait()} }()
	}
	why, left := stop{}, len(processes)
	if fault != nil {
		why = stop{fault.Code, fault.Reason}
	}
	for why.code == "" {
		select {
		case e := <-exits:
			left--
			s.took(t, e)
			if t.definition.spec.Containers[e.container].essential() || left == 0 {
				why = stop{"EssentialContainerExited", "Essential container in task exited"}
			}
		case why = <-t.stops:
		}
	}
	s.stopAll(t, processes)
	for ; left > 0; left-- {
		e := <-exits
		if fault != nil && fault.OutOfMemory && t.definition.spec.Containers[e.container].essential() {
			e.exit = Exit{Code: killed, OutOfMemory: true}
		}
		s.took(t, e)
	}
	return why
}

// took notes how a container has exited.
func (s *Server) took(t *task, e exited) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &t.Containers[e.container]
	c.ExitCode, c.LastStatus = &e.exit.Code, stopped
	if e.exit.OutOfMemory {
		c.Reason = "OutOfMemoryError: Container killed due to memory usage"
	}
}

// stopAll asks all processes to exit; one that has exited is left alone.
func (s *Server) stopAll(t *task, processes []Process) {
	for i, p := range processes {
		timeout := defaultStopTimeout
		if seconds := t.definition.spec.Containers[i].StopTimeout; seconds != nil {
			timeout = time.Duration(*seconds) * time.Second
		}
		p.Stop(timeout)
	}
}

// finish takes a task whose containers have exited through its last statuses.
func (s *Server) finish(t *task, why stop) {
	s.change(t, func() {
		now := stamp{s.Now().UTC()}
		t.LastStatus, t.DesiredStatus, t.StopCode, t.StoppedReason = deprovisioning, stopped, why.code, why.reason
		t.StoppingAt, t.ExecutionStoppedAt = now, now
		for i := range t.Containers {
			t.Containers[i].LastStatus = stopped
		}
	})
	s.change(t, func() {
		t.LastStatus, t.StoppedAt = stopped, stamp{s.Now().UTC()}
		if len(t.Attachments) > 0 {
			t.Attachments[0].Status = "DELETED"
		}
	})
}

// change changes a task, writes it down and emits the event of it.
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

// emit emits an ECS Task State Change.
func (s *Server) emit(t taskState) {
	if s.Emit == nil {
		return
	}
	detail, err := t.eventJSON()
	if err != nil {
		return // plain data: cannot happen
	}
	detail["updatedAt"] = s.Now().UTC().Format("2006-01-02T15:04:05.999Z07:00")
	text, err := json.Marshal(map[string]any{
		"version": "0", "id": uuid.NewString(), "detail-type": "ECS Task State Change", "source": "aws.ecs",
		"account": s.Account, "time": s.Now().UTC().Format(time.RFC3339), "region": s.Region, "resources": []string{t.ARN}, "detail": detail,
	})
	if err == nil {
		s.Emit(text)
	}
}
