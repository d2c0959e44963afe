package fargate

import (
	"testing"

	"modeldispatch/internal/event"
	"modeldispatch/internal/run"
)

func code(n int) *int { return &n }

func TestOutcome(t *testing.T) {
	t.Parallel()
	const essential = "Essential container in task exited"
	model := func(exit *int, reason string) []event.Container {
		return []event.Container{{Name: "model", ExitCode: exit, Reason: reason}}
	}
	beside := func(name string, other, exit *int) []event.Container {
		return []event.Container{{Name: name, ExitCode: other}, {Name: "model", ExitCode: exit}}
	}
	ended := func(all []event.Container) event.Task {
		return event.Task{StopCode: "EssentialContainerExited", StoppedReason: essential, Containers: all}
	}
	for name, c := range map[string]struct {
		task event.Task
		want run.Class
	}{
		"exit 0":                                {ended(model(code(0), "")), run.OK},
		"exit 1":                                {ended(model(code(1), "")), run.ModelError},
		"no exit code":                          {ended(model(nil, "")), run.Unknown},
		"nothing at all":                        {event.Task{}, run.Unknown},
		"no containers":                         {event.Task{StopCode: "TaskFailedToStart", StoppedReason: "Task failed to start", Containers: []event.Container{}}, run.StartFailed},
		"not started, for an unknown reason":    {event.Task{StopCode: "TaskFailedToStart", StoppedReason: "Something new"}, run.StartFailed},
		"not started, without blanks":           {event.Task{StoppedReason: "Taskfailedtostart"}, run.StartFailed},
		"not stopped in time, and no exit code": {ended(model(nil, "CannotStopContainerError: failed sending SIGTERM to container: x")), run.Unknown},

		"a sidecar that was stopped after the model":       {ended(beside("sidecar", code(143), code(0))), run.OK},
		"a sidecar that was killed after the model":        {ended(beside("sidecar", code(137), code(0))), run.OK},
		"a sidecar that did not take its stop well":        {ended(beside("sidecar", code(1), code(0))), run.OK},
		"a sidecar that failed, and the model was stopped": {ended(beside("sidecar", code(1), code(143))), run.ModelError},
		"an init container that failed":                    {ended(beside("init", code(1), nil)), run.ModelError},
		"an init container that failed, no stopCode":       {event.Task{Containers: beside("init", code(255), nil)}, run.ModelError},
		"an init container that failed, not started":       {event.Task{StopCode: "TaskFailedToStart", StoppedReason: "Task failed to start", Containers: beside("init", code(1), nil)}, run.ModelError},
		"an init container that failed, model not listed":  {ended([]event.Container{{Name: "init", ExitCode: code(1)}}), run.ModelError},
		"an init container that did not":                   {ended(beside("init", code(0), nil)), run.Unknown},
		"a sidecar stopped, and no code of the model":      {ended(beside("sidecar", code(143), nil)), run.Unknown},
		"a sidecar beside an image that is not there": {event.Task{StopCode: "TaskFailedToStart", Containers: []event.Container{
			{Name: "sidecar", ExitCode: code(1)}, {Name: "model", Reason: "CannotPullContainerError: x: i/o timeout"}}}, run.ImagePull},

		"137 alone is no out of memory":       {ended(model(code(137), "")), run.ModelError},
		"out of memory, 137":                  {ended(model(code(137), "OutOfMemoryError: Container killed due to memory usage")), run.OutOfMemory},
		"out of memory, exit 1, lower":        {ended(model(code(1), "OutOfMemoryError: container killed due to memory usage")), run.OutOfMemory},
		"out of memory, upper":                {ended(model(nil, "OUTOFMEMORYERROR: CONTAINER KILLED DUE TO MEMORY USAGE")), run.OutOfMemory},
		"out of memory of the second":         {event.Task{Containers: append([]event.Container{{Name: "sidecar", ExitCode: code(143)}}, model(code(1), "OutOfMemoryError: Container killed")...)}, run.OutOfMemory},
		"out of memory in the task":           {event.Task{StoppedReason: "OutOfMemoryError: Container killed due to memory usage", Containers: model(code(137), "")}, run.OutOfMemory},
		"stopped by hand":                     {event.Task{StopCode: "UserInitiated", StoppedReason: "Task stopped by user", Containers: model(code(143), "")}, run.Stopped},
		"stopped by hand, lower":              {event.Task{StopCode: "userinitiated", StoppedReason: "Rate exceeded"}, run.Stopped},
		"spot":                                {event.Task{StopCode: "SpotInterruption", StoppedReason: "x", Containers: model(code(143), "")}, run.Interrupted},
		"spot, the other code":                {event.Task{StopCode: "TerminationNotice", StoppedReason: "x", Containers: model(code(137), "")}, run.Interrupted},
		"spot without a code":                 {event.Task{StoppedReason: "Your Spot Task was interrupted.", Containers: model(code(0), "")}, run.Interrupted},
		"maintenance":                         {event.Task{StoppedReason: "ECS is performing maintenance on the underlying infrastructure hosting the task", Containers: model(code(137), "")}, run.Interrupted},
		"infrastructure health":               {event.Task{StopCode: "InfrastructureHealth", StoppedReason: "x", Containers: model(code(137), "")}, run.Interrupted},
		"interrupted, and could not be ended": {event.Task{StoppedReason: "Your Spot Task was interrupted.", Containers: model(nil, "CannotStopContainerError: x")}, run.Interrupted},
	} {
		if got := Outcome(c.task, "model"); got.Class != c.want || got.Permanent {
			t.Errorf("%s: %v, permanent %t; want %s", name, got, got.Permanent, c.want)
		}
	}
}

// TestTheOutcomeSaysWhichContainer ended the task, and keeps the model's exit code only.
func TestTheOutcomeSaysWhichContainer(t *testing.T) {
	t.Parallel()
	got := Outcome(event.Task{StopCode: "EssentialContainerExited", Containers: []event.Container{
		{Name: "proxy", ExitCode: code(143)}, {Name: "init", ExitCode: code(3), Reason: "no such table"}, {Name: "model"}}}, "model")
	if got.Detail != `container "init": exit code 3: no such table` || got.ExitCode != nil {
		t.Errorf("detail is %q, exit code %v", got.Detail, got.ExitCode)
	}
}

func TestASignalIsNamed(t *testing.T) {
	t.Parallel()
	got := Outcome(event.Task{StopCode: "EssentialContainerExited", Containers: []event.Container{{Name: "model", ExitCode: code(137)}}}, "model")
	if got.Detail != "exit code 137, signal 9 (killed)" {
		t.Errorf("detail is %q", got.Detail)
	}
}
