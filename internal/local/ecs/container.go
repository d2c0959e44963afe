package ecs

import (
	"context"
	"time"
)

// Runner runs the containers of tasks, for example as processes of this machine.
type Runner interface {
	// Start starts a container and returns without waiting for its exit. On an error the task stops with
	// TaskFailedToStart, and the error's text is its stoppedReason.
	Start(ctx context.Context, c Container) (Process, error)
	// Reap kills the leftover processes of a task that an earlier process of the local stack started.
	Reap(taskARN string) error
}

// Process is a started container.
type Process interface {
	// Wait waits until the container has exited, and returns how it exited.
	Wait() Exit
	// Stop asks the container to exit, and kills it when it has not exited after the timeout. It does not wait, and does
	// nothing once the container has exited.
	Stop(timeout time.Duration)
}

// Container describes a container for a Runner to start.
type Container struct {
	TaskARN     string
	Family      string
	Name        string
	Image       string
	Command     []string // the entry point followed by the command, overrides applied
	Environment []string // NAME=value
	Directory   string   // the definition's workingDirectory
	MemoryMiB   int      // the hard memory limit in MiB; 0 means no limit
	Log         string   // the path of the output file, relative to the Runner's log folder
}

// Exit describes how a container exited.
type Exit struct {
	Code        int  // the exit code; 128 plus the signal's number after a signal
	OutOfMemory bool // the container was killed because it exceeded its memory limit
}

// Faults makes calls and tasks fail on purpose, so that users can try retries and alarms on a laptop. A nil field
// injects no fault.
type Faults struct {
	// RunTask is called before a call starts tasks. It returns a refusal, or nil to let the call pass.
	RunTask func(LaunchRequest) *Refusal
	// Task is called before the containers of a task start. It returns how the task ends, or nil to let it run.
	Task func(LaunchRequest) *TaskEnd
}

// LaunchRequest describes the launch of a task for the functions in Faults.
type LaunchRequest struct {
	StartedBy        string
	Family           string
	LaunchType       string
	CapacityProvider string
	MemoryMiB        int // the task's memory in MiB, overrides applied
}

// Refusal is the failed answer to a RunTask call: either an item of failures[], or an error.
type Refusal struct {
	Failure string // the reason in failures[], with HTTP 200; "" means an error
	Type    string // the error's type
	Message string // the error's message
	Status  int    // the error's HTTP status; 0 means 400
	Started bool   // the tasks start nevertheless, and only the answer is an error
}

// TaskEnd describes how a fault ends a task.
type TaskEnd struct {
	Code        string // the task's stopCode
	Reason      string // the task's stoppedReason
	NotStarted  bool   // the containers do not start; otherwise they start and are stopped at once
	OutOfMemory bool   // the essential containers exit with 137, as after an out-of-memory kill
}
