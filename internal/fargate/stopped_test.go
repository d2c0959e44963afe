package fargate

import (
	"testing"

	"modeldispatch/internal/event"
	"modeldispatch/internal/run"
)

func code(n int) *int { return &n }

// container returns a stopped container. A nil code means that ECS reports no exit code.
func container(name string, code *int, reason string) event.Container {
	return event.Container{Name: name, ExitCode: code, Reason: reason}
}

// task returns a stopped task.
func task(stopCode, reason string, containers ...event.Container) event.Task {
	return event.Task{StopCode: stopCode, StoppedReason: reason, Containers: containers}
}

// exited returns a task that stopped because an essential container exited.
func exited(containers ...event.Container) event.Task {
	return task("EssentialContainerExited", "Essential container in task exited", containers...)
}

// outcomeTest is a stopped task with the class that Outcome must return.
type outcomeTest struct {
	task event.Task
	want run.Class
}

var outcomeTests = map[string]outcomeTest{
	"exit 0": {
		exited(container("model", code(0), "")), run.ClassSucceeded},
	"exit 1": {
		exited(container("model", code(1), "")), run.ClassModelError},
	"no exit code": {
		exited(container("model", nil, "")), run.ClassUnknown},
	"an empty task": {
		event.Task{}, run.ClassUnknown},
	"no containers": {
		task("TaskFailedToStart", "Task failed to start", []event.Container{}...), run.ClassStartFailed},
	"failed to start, unknown reason": {
		task("TaskFailedToStart", "Something new"), run.ClassStartFailed},
	"failed to start, reason without blanks": {
		event.Task{StoppedReason: "Taskfailedtostart"}, run.ClassStartFailed},
	"not stopped in time, no exit code": {
		exited(container("model", nil, "CannotStopContainerError: failed sending SIGTERM to container: x")), run.ClassUnknown},

	"137 without an out-of-memory reason": {
		exited(container("model", code(137), "")), run.ClassModelError},
	"out of memory, exit 137": {
		exited(container("model", code(137), "OutOfMemoryError: Container killed due to memory usage")), run.ClassOutOfMemory},
	"out of memory, exit 1, lower case": {
		exited(container("model", code(1), "OutOfMemoryError: container killed due to memory usage")), run.ClassOutOfMemory},
	"out of memory, no exit code, upper case": {
		exited(container("model", nil, "OUTOFMEMORYERROR: CONTAINER KILLED DUE TO MEMORY USAGE")), run.ClassOutOfMemory},
	"out of memory in the second container": {
		task("", "", container("sidecar", code(143), ""), container("model", code(1), "OutOfMemoryError: Container killed")),
		run.ClassOutOfMemory},
	"out of memory in the reason of the task": {
		task("", "OutOfMemoryError: Container killed due to memory usage", container("model", code(137), "")),
		run.ClassOutOfMemory},

	"stopped by a user": {
		task("UserInitiated", "Task stopped by user", container("model", code(143), "")), run.ClassCancelled},
	"stopped by a user, lower case": {
		task("userinitiated", "Rate exceeded"), run.ClassCancelled},
	"spot interruption": {
		task("SpotInterruption", "x", container("model", code(143), "")), run.ClassInterrupted},
	"termination notice": {
		task("TerminationNotice", "x", container("model", code(137), "")), run.ClassInterrupted},
	"spot interruption without a stopCode": {
		task("", "Your Spot Task was interrupted.", container("model", code(0), "")), run.ClassInterrupted},
	"maintenance": {
		task("", "ECS is performing maintenance on the underlying infrastructure hosting the task",
			container("model", code(137), "")), run.ClassInterrupted},
	"infrastructure health": {
		task("InfrastructureHealth", "x", container("model", code(137), "")), run.ClassInterrupted},
	"interrupted, container not stopped in time": {
		task("", "Your Spot Task was interrupted.", container("model", nil, "CannotStopContainerError: x")),
		run.ClassInterrupted},
}

// sidecarTests lists tasks with a container beside the model's.
var sidecarTests = map[string]outcomeTest{
	"sidecar stopped after the model": {
		exited(container("sidecar", code(143), ""), container("model", code(0), "")), run.ClassSucceeded},
	"sidecar killed after the model": {
		exited(container("sidecar", code(137), ""), container("model", code(0), "")), run.ClassSucceeded},
	"sidecar exited with an error when ECS stopped it": {
		exited(container("sidecar", code(1), ""), container("model", code(0), "")), run.ClassSucceeded},
	"sidecar failed, then ECS stopped the model": {
		exited(container("sidecar", code(1), ""), container("model", code(143), "")), run.ClassModelError},
	"init container failed": {
		exited(container("init", code(1), ""), container("model", nil, "")), run.ClassModelError},
	"init container failed, no stopCode": {
		task("", "", container("init", code(255), ""), container("model", nil, "")), run.ClassModelError},
	"init container failed, task failed to start": {
		task("TaskFailedToStart", "Task failed to start", container("init", code(1), ""), container("model", nil, "")),
		run.ClassModelError},
	"init container failed, model not listed": {
		exited(container("init", code(1), "")), run.ClassModelError},
	"init container exited with 0": {
		exited(container("init", code(0), ""), container("model", nil, "")), run.ClassUnknown},
	"sidecar stopped, model without an exit code": {
		exited(container("sidecar", code(143), ""), container("model", nil, "")), run.ClassUnknown},
	"sidecar failed, image of the model not pulled": {
		task("TaskFailedToStart", "", container("sidecar", code(1), ""),
			container("model", nil, "CannotPullContainerError: x: i/o timeout")), run.ClassImagePull},
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	for _, tests := range []map[string]outcomeTest{outcomeTests, sidecarTests} {
		for name, c := range tests {
			if got := Outcome(c.task, "model"); got.Class != c.want || got.Permanent {
				t.Errorf("%s: %v, permanent %t; want %s", name, got, got.Permanent, c.want)
			}
		}
	}
}

// TestOutcomeNamesTheFailedContainer checks that the detail names the container that ended the task, and that the
// exit code is the model's only.
func TestOutcomeNamesTheFailedContainer(t *testing.T) {
	t.Parallel()
	stopped := task("EssentialContainerExited", "",
		container("proxy", code(143), ""), container("init", code(3), "no such table"), container("model", nil, ""))
	got := Outcome(stopped, "model")
	want := `container "init": exit code 3: no such table`
	if got.Detail != want || got.ExitCode != nil {
		t.Errorf("detail %q, exit code %v; want %q and no exit code", got.Detail, got.ExitCode, want)
	}
}

func TestOutcomeNamesTheSignal(t *testing.T) {
	t.Parallel()
	got := Outcome(task("EssentialContainerExited", "", container("model", code(137), "")), "model")
	if want := "exit code 137, signal 9 (killed)"; got.Detail != want {
		t.Errorf("detail %q, want %q", got.Detail, want)
	}
}
