package fargate

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"modeldispatch/internal/event"
	"modeldispatch/internal/run"
)

// Outcome returns the outcome of a stopped task from the facts that ECS reports. The container argument
// names the model's container. Outcome does not check the outputs: ClassSucceeded means only that the
// model's container exited with 0.
func Outcome(t event.Task, container string) run.Outcome {
	main := findContainer(t.Containers, container)
	code := (*int)(nil)
	if main != nil {
		code = main.ExitCode
	}
	o := classifyStopped(t, main)
	o.ExitCode = code
	return o
}

// classifyStopped returns the outcome without its exit code. The order of the cases decides which cause
// counts if a task has several. For example, an interruption counts before the exit code of the model.
func classifyStopped(t event.Task, main *event.Container) run.Outcome {
	stopCode := strings.ToLower(t.StopCode)
	why := classify(reasons(t)...)
	other := failedContainer(t.Containers)
	switch {
	case outOfMemoryReason(t) != "":
		return run.Outcome{Class: run.ClassOutOfMemory, Detail: outOfMemoryReason(t)}
	case stopCode == "userinitiated":
		return run.Outcome{Class: run.ClassCancelled, Detail: t.StoppedReason}
	case stopCode == "spotinterruption", stopCode == "terminationnotice", stopCode == "infrastructurehealth":
		return run.Outcome{Class: run.ClassInterrupted, Detail: t.StoppedReason}
	case why.Class == run.ClassInterrupted:
		return why
	case main != nil && main.ExitCode != nil && *main.ExitCode == 0:
		// The exit codes of other containers do not count. ECS stops them after the model has exited, and
		// some of them then exit with an error. A model that ECS stopped can also exit with 0, but then its
		// outputs are missing.
		return run.Outcome{Class: run.ClassSucceeded}
	case main != nil && main.ExitCode != nil:
		return run.Outcome{Class: run.ClassModelError, Detail: exitText(*main.ExitCode, main.Reason)}
	case why.Class == run.ClassThrottled:
		// ECS was throttled while it started the task, so the infrastructure failed.
		why.Class = run.ClassStartFailed
		return why
	case why.Class != run.ClassUnknown:
		return why
	case other != nil:
		detail := fmt.Sprintf("container %q: %s", other.Name, exitText(*other.ExitCode, other.Reason))
		return run.Outcome{Class: run.ClassModelError, Detail: detail}
	case stopCode == "taskfailedtostart", failedToStart.MatchString(t.StoppedReason):
		return run.Outcome{Class: run.ClassStartFailed, Detail: why.Detail}
	}
	detail := fmt.Sprintf("no exit code; stopCode %q, reason %q", t.StopCode, why.Detail)
	return run.Outcome{Class: run.ClassUnknown, Detail: detail}
}

// failedToStart matches a stoppedReason that only repeats the stopCode TaskFailedToStart. The stopCode itself
// may be missing.
var failedToStart = regexp.MustCompile(`(?i)task ?failed ?to ?start`)

// reasons returns the texts that may explain why a task stopped: its own, then those of its containers.
func reasons(t event.Task) []string {
	texts := []string{t.StoppedReason}
	for _, c := range t.Containers {
		texts = append(texts, c.Reason)
	}
	return slices.DeleteFunc(texts, func(text string) bool { return text == "" })
}

// failedContainer returns the container that ended a task whose model has no exit code, or nil. ECS does
// not report which containers are essential. But if ECS stopped a container because another one exited,
// its exit code is that of a signal, so failedContainer skips it.
func failedContainer(all []event.Container) *event.Container {
	i := slices.IndexFunc(all, func(c event.Container) bool {
		return c.ExitCode != nil && *c.ExitCode != 0 && !isSignal(*c.ExitCode)
	})
	if i < 0 {
		return nil
	}
	return &all[i]
}

// outOfMemoryReason returns the reason of a container or of the task that reports an out-of-memory failure,
// whatever the exit code. It returns "" if there is none.
func outOfMemoryReason(t event.Task) string {
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

// exitText describes an exit code in words. A code over 128 is 128 plus the number of a signal.
func exitText(code int, reason string) string {
	text := fmt.Sprintf("exit code %d", code)
	if isSignal(code) {
		text += fmt.Sprintf(", signal %d (%s)", code-128, syscall.Signal(code-128))
	}
	if reason != "" {
		text += ": " + reason
	}
	return text
}

// isSignal reports whether an exit code is that of a process that a signal ended.
func isSignal(code int) bool { return code > 128 && code < 128+65 }

// findContainer returns the container with this name, or nil.
func findContainer(all []event.Container, name string) *event.Container {
	for i := range all {
		if all[i].Name == name {
			return &all[i]
		}
	}
	return nil
}
