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
	why := classify(reasons(t)...)
	guilty := culprit(t.Containers)
	switch {
	case outOfMemory(t) != "":
		return run.Outcome{Class: run.OutOfMemory, Detail: outOfMemory(t)}
	case stopCode == "userinitiated":
		return run.Outcome{Class: run.Stopped, Detail: t.StoppedReason}
	case stopCode == "spotinterruption", stopCode == "terminationnotice", stopCode == "infrastructurehealth":
		return run.Outcome{Class: run.Interrupted, Detail: t.StoppedReason}
	case why.Class == run.Interrupted:
		return why
	case main != nil && main.ExitCode != nil && *main.ExitCode == 0:
		// Whatever the codes of others: they are told to stop once the model has exited, and some do not
		// take that well. A model that was stopped itself, and exits with 0, lacks its outputs.
		return run.Outcome{Class: run.OK}
	case main != nil && main.ExitCode != nil:
		return run.Outcome{Class: run.ModelError, Detail: exit(*main.ExitCode, main.Reason)}
	case why.Class == run.Throttled: // while it started, which is the infrastructure's
		why.Class = run.StartFailed
		return why
	case why.Class != run.Unknown:
		return why
	case guilty != nil:
		return run.Outcome{Class: run.ModelError, Detail: fmt.Sprintf("container %q: %s", guilty.Name, exit(*guilty.ExitCode, guilty.Reason))}
	case stopCode == "taskfailedtostart", failedToStart.MatchString(t.StoppedReason):
		return run.Outcome{Class: run.StartFailed, Detail: why.Detail}
	}
	return run.Outcome{Class: run.Unknown, Detail: fmt.Sprintf("no exit code; stopCode %q, reason %q", t.StopCode, why.Detail)}
}

// failedToStart is the reason that says no more than its stopCode, which may not be there.
var failedToStart = regexp.MustCompile(`(?i)task ?failed ?to ?start`)

// reasons are the texts that may say why a task stopped: its own, and its containers'.
func reasons(t event.Task) []string {
	texts := []string{t.StoppedReason}
	for _, c := range t.Containers {
		texts = append(texts, c.Reason)
	}
	return slices.DeleteFunc(texts, func(text string) bool { return text == "" })
}

// culprit is the container that ended a task whose model has no exit code. ECS does not say which
// containers are essential, but one that was stopped because another exited has a signal's code.
func culprit(all []event.Container) *event.Container {
	i := slices.IndexFunc(all, func(c event.Container) bool {
		return c.ExitCode != nil && *c.ExitCode != 0 && !signalled(*c.ExitCode)
	})
	if i < 0 {
		return nil
	}
	return &all[i]
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
	if signalled(code) {
		text += fmt.Sprintf(", signal %d (%s)", code-128, syscall.Signal(code-128))
	}
	if reason != "" {
		text += ": " + reason
	}
	return text
}

func signalled(code int) bool { return code > 128 && code < 128+65 }

func find(all []event.Container, name string) *event.Container {
	for i := range all {
		if all[i].Name == name {
			return &all[i]
		}
	}
	return nil
}
