package fargate

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
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

// A rule is a row of the taxonomy. It assigns a class to the texts that it matches.
type rule struct {
	text      *regexp.Regexp // matches a normalized text
	class     run.Class
	permanent bool // another attempt would fail in the same way
}

// rules classifies the texts of RunTask's failures[], of its errors ("CODE: message") and of stopped tasks.
// The first rule that matches a text applies. The texts come from the ECS developer guide ("API failure
// reasons" and "Stopped tasks error codes") and from real accounts. They can contain the names of images,
// models and accounts. So each rule is specific enough that such a name cannot match it by accident.
var rules = slices.Concat(
	rows(run.ClassInterrupted, false,
		`spot task was interrupted`, `performing maintenance`, `host (ec2 .*)?terminated`),
	rows(run.ClassThrottled, false,
		`rate exceeded`, `throttl(ing|ed)exception`, `^(request)?throttl(ing|ed):`, `^requestlimitexceeded`, `^toomanyrequests`, `^slowdown`,
		// The credentials or the clock of the caller are wrong. The next call may have valid ones.
		`^unrecognizedclient`, `^expiredtoken`, `^requestexpired`, `^invalidclienttokenid`, `^missingauthenticationtoken`,
		`^(invalid|incomplete)signature`, `^signaturedoesnotmatch`, `^authfailure`, `^requesttimetooskewed`,
		// A conflict that names no task. A task may still have the client token, so no other token is safe.
		// The launcher sends the same token until it is too old. Then it lists the tasks of the attempt.
		`^conflict`),
	rows(run.ClassQuota, false,
		`reached the limit on the number of`, `vcpu limit`, `quota of tasks`),
	rows(run.ClassCapacity, false,
		`capacity is unavailable`, `empty capacity provider`, `no active instances`, `insufficientfreeaddressesinsubnet`,
		`^resource:`, `^agent$`),
	rows(run.ClassImagePull, true,
		pull+`not found`, pull+`not exist`, pull+`no such image`, pull+`access ?denied`, pull+` denied\b`,
		pull+`\b403:? forbidden`, pull+`\bstatus( code)?:? 403\b`, pull+`\b401:? unauthorized`, pull+` unauthorized:`,
		pull+`does not contain descriptor`, pull+`no matching manifest`, pull+`invalid reference`),
	rows(run.ClassImagePull, false,
		pull),
	rows(run.ClassMisconfigured, true,
		`tagpolicyviolation`, `accessdenied`, `not authorized to`, `unable to assume`, `not compatible with the selected compute`,
		`placement constraint unsatisfied`, `^attribute$`, `^location$`, `^missing$`, `^inactive$`),
	rows(run.ClassStartFailed, true,
		`is not on this machine`, `executable file not found`, `no such file or directory`, `permission denied`, `secret .* is not set`),
	rows(run.ClassStartFailed, false,
		`resourceinitializationerror`, `network interface`, `internalerror`, `cannotstartcontainer`, `cannotcreatecontainer`,
		`cannotinspectcontainer`, `cannotcreatevolume`, `containerruntime(timeout)?error`, `dockertimeouterror`),
)

// pull is the start of a rule about an image that ECS could not pull. The cause follows it.
const pull = `cannotpull(ecr)?container.*`

// rows returns one rule for each text, all with the same class.
func rows(class run.Class, permanent bool, texts ...string) []rule {
	all := make([]rule, len(texts))
	for i, text := range texts {
		all[i] = rule{regexp.MustCompile(text), class, permanent}
	}
	return all
}

// matchRule returns the first rule that matches one of the texts, together with that text. It returns nil
// if no rule matches.
func matchRule(texts ...string) (*rule, string) {
	normalized := make([]string, len(texts))
	for i, text := range texts {
		normalized[i] = normalize(text)
	}
	for i := range rules {
		if n := slices.IndexFunc(normalized, rules[i].text.MatchString); n >= 0 {
			return &rules[i], texts[n]
		}
	}
	return nil, ""
}

// normalize returns a text in the form that the rules expect: lower case, single blanks, straight
// apostrophes, no leading "TaskFailedToStart:" and no full stop at the end.
func normalize(text string) string {
	words := strings.Join(strings.Fields(strings.ReplaceAll(strings.ToLower(text), "’", "'")), " ")
	return strings.TrimSuffix(strings.TrimSpace(strings.TrimPrefix(words, "taskfailedtostart:")), ".")
}

// classify returns the outcome for the texts, with the text that decided it as its detail. If no rule
// matches, the class is ClassUnknown, and the detail holds all the texts.
func classify(texts ...string) run.Outcome {
	if r, text := matchRule(texts...); r != nil {
		return run.Outcome{Class: r.class, Detail: text, Permanent: r.permanent}
	}
	return run.Outcome{Class: run.ClassUnknown, Detail: strings.Join(texts, "; ")}
}

// SizeOf returns the CPU and memory of a task. It returns zero if ECS does not report them, which is the case on
// container instances.
func SizeOf(t event.Task) model.Size {
	cpu, cpuErr := strconv.Atoi(t.CPU)
	memory, memoryErr := strconv.Atoi(t.Memory)
	if cpuErr != nil || memoryErr != nil {
		return model.Size{}
	}
	return model.Size{CPU: cpu, Memory: memory}
}
