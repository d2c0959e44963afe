package ecs

import (
	"context"
	"time"
)

// Runner runs containers: as processes of this machine, or with an engine.
type Runner interface {
	// Start starts a container. Its error is the reason of a task that failed to start.
	Start(ctx context.Context, c Container) (Process, error)
	// Reap ends whatever is left of the containers of a task that an earlier process started.
	Reap(taskARN string) error
}

// Process is a container that was started.
type Process interface {
	// Wait returns when the container has exited.
	Wait() Exit
	// Stop asks the container to exit, and makes it after a while.
	Stop(after time.Duration)
}

// Container is what is to be run.
type Container struct {
	TaskARN     string
	Family      string
	Name        string
	Image       string
	Command     []string // entry point and command
	Environment []string // NAME=value
	Directory   string   // the definition's workingDirectory
	MemoryMiB   int      // hard limit; 0 is none
	Log         string   // file for its output, in the Runner's folder of logs
}

// Exit is how a container ended.
type Exit struct {
	Code        int // 128 and the signal's number for a signal, as in any container
	OutOfMemory bool
}

// Faults makes calls and tasks fail, so that what follows can be tried without waiting for AWS to
// have a bad day. Every field may be nil.
type Faults struct {
	// RunTask is asked before a call: it can refuse it.
	RunTask func(Asked) *Refusal
	// Task is asked before a task's containers are started: it can end the task.
	Task func(Asked) *End
}

// Asked is the launch of a task, as faults are asked about it.
type Asked struct {
	StartedBy        string
	Family           string
	LaunchType       string
	CapacityProvider string
	MemoryMiB        int
}

// Refusal is a RunTask call that fails.
type Refusal struct {
	Failure string // a reason in failures[], with HTTP 200
	Type    string // else an error's type
	Message string
	Status  int  // of the error; 0 is 400
	Started bool // the task is started all the same, and only the answer is lost
}

// End is how a fault ends a task.
type End struct {
	Code        string // stopCode
	Reason      string // stoppedReason
	NotStarted  bool   // its containers are not started at all; else they are, and stopped at once
	OutOfMemory bool   // its essential container is killed for its memory
}
