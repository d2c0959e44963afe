package fargate

import (
	"fmt"
	"strings"
	"syscall"

	"modeldispatch/internal/event"
	"modeldispatch/internal/run"
)

// Outcome is why a stopped task ended, as far as ECS says. container is the one that is the
// model. Whether the outputs are there is not known here: OK means exit code 0.
func Outcome(t event.Task, container string) run.Outcome {
	main := find(t.Containers, container)
	code := (*int)(nil)
	if main != nil {
		code = main.ExitCode
	}
	o := outcome(t, main)
	o.ExitCode = code
	return o
}

func outcome(t event.Task, main *event.Container) run.Outcome {
	stopCode := strings.ToLower(t.StopCode)
	why := classify(t.StoppedReason)
	switch {
	case outOfMemory(t) != "":
		return run.Outcome{Class: run.OutOfMemory, Detail: outOfMemory(t)}
	case stopCode == "userinitiated":
		return run.Outcome{Class: run.Stopped, Detail: t.StoppedReason}
	case stopCode == "spotinterruption", stopCode == "terminationnotice", stopCode == "infrastructurehealth", why.Class == run.Interrupted:
		return run.Outcome{Class: run.Interrupted, Detail: t.StoppedReason}
	case main != nil && main.ExitCode != nil && *main.ExitCode == 0:
		return run.Outcome{Class: run.OK}
	case main != nil && main.ExitCode != nil:
		return run.Outcome{Class: run.ModelError, Detail: exit(*main.ExitCode, main.Reason)}
	case stopCode == "taskfailedtostart" || why.Class != run.Unknown:
		return neverStarted(t, why)
	}
	return run.Outcome{Class: run.Unknown, Detail: fmt.Sprintf("no exit code; stopCode %q, stoppedReason %q", t.StopCode, t.StoppedReason)}
}

// neverStarted is the outcome of a task whose container did not run. Its reason may stand at the
// container instead of the task; throttling during the start is the infrastructure's.
func neverStarted(t event.Task, o run.Outcome) run.Outcome {
	for _, c := range t.Containers {
		if o.Class == run.Unknown && c.Reason != "" {
			o = classify(c.Reason)
		}
	}
	if o.Class == run.Unknown || o.Class == run.Throttled {
		o.Class = run.StartFailed
	}
	return o
}

// outOfMemory is the text that says so: of any container, with any exit code, or of the task.
func outOfMemory(t event.Task) string {
	for _, c := range t.Containers {
		if strings.Contains(strings.ToLower(c.Reason), "outofmemory") {
			return c.Name + ": " + c.Reason
		}
	}
	if strings.Contains(strings.ToLower(t.StoppedReason), "outofmemory") {
		return t.StoppedReason
	}
	return ""
}

// exit says an exit code as people do: a code over 128 is a signal's.
func exit(code int, reason string) string {
	text := fmt.Sprintf("exit code %d", code)
	if code > 128 && code < 128+65 {
		text += fmt.Sprintf(", signal %d (%s)", code-128, syscall.Signal(code-128))
	}
	if reason != "" {
		text += ": " + reason
	}
	return text
}

func find(all []event.Container, name string) *event.Container {
	for i := range all {
		if all[i].Name == name {
			return &all[i]
		}
	}
	return nil
}
