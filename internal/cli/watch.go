package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/local"
	"modeldispatch/internal/operate"
	"modeldispatch/internal/run"
)

// liveView prints what a local stack does: lines for people, or objects with --json. The stack calls its hooks from
// many goroutines. One goroutine prints, so the lines do not mix.
type liveView struct {
	*session
	prints chan func()
}

// newLiveView returns a live view, and starts the goroutine that prints.
func (s *session) newLiveView() liveView {
	v := liveView{s, make(chan func(), 1024)}
	go func() {
		for print := range v.prints {
			print()
		}
	}()
	return v
}

// queue passes a print to the goroutine that prints. It blocks while 1,024 prints are waiting, and drops the print when
// the command ends.
func (v liveView) queue(print func()) {
	select {
	case v.prints <- print:
	case <-v.ctx.Done():
	}
}

// flush returns when every print before it is done.
func (v liveView) flush() {
	done := make(chan struct{})
	v.queue(func() { close(done) })
	select {
	case <-done:
	case <-v.ctx.Done():
	}
}

// show prints the text, or the line with --json. It prints neither if the text is empty.
func (v liveView) show(text string, line operate.Line) {
	if text == "" {
		return
	}
	now := time.Now()
	v.queue(func() {
		if v.JSON {
			_ = v.printJSONLine(line, now)
		} else {
			v.printf("%s  %s\n", clock(now), text)
		}
	})
}

// printJSONLine prints a line with its time.
func (s *session) printJSONLine(line operate.Line, now time.Time) error {
	line.Time = now.UTC()
	return s.printLine(line)
}

// watch shows the decisions, runs and announcements of a stack from now on.
func (v liveView) watch(stack *local.Stack) {
	stack.Watch(dispatch.Hooks{
		Decided: func(e event.Event, d dispatch.Decision) {
			v.show(decisionLine(e, d), operate.Line{Decided: new(operate.NewDecision(e.Identity, e.Kind, d))})
		},
		RunUpdated: func(before, after run.Run) {
			v.show(updateLine(before, after), operate.Line{Updated: new(operate.NewRun(after))})
		},
		Announced: func(a dispatch.Announcement) {
			v.show(announcementLine(a), operate.Line{Announced: &operate.Announcement{DetailType: a.DetailType, Detail: a.Detail}})
		},
	})
}

// announcementLine returns the line for an announcement about a model, and "" for others: runs and events have lines of
// their own.
func announcementLine(a dispatch.Announcement) string {
	var detail struct {
		dispatch.ControlDetail
		Value string
		By    string `json:"by"` // user who paused or resumed the model, or deadline of a success
	}
	if json.Unmarshal(a.Detail, &detail) != nil {
		return ""
	}
	switch a.DetailType {
	case dispatch.AnnounceOverdue:
		return fmt.Sprintf("%-11s  %s  no run has succeeded by %s", "overdue", strings.TrimSpace(detail.Model+" "+detail.Value), detail.By)
	case dispatch.AnnouncePaused:
		return fmt.Sprintf("%-11s  %s  %s", "paused", detail.Model, detail.Reason)
	case dispatch.AnnounceResumed:
		return fmt.Sprintf("%-11s  %s", "resumed", detail.Model)
	}
	return ""
}

// decisionLine returns the line for a decision: the event, and its run or why it started none.
func decisionLine(e event.Event, d dispatch.Decision) string {
	var result string
	switch d.Kind {
	case dispatch.Started:
		result = "-> " + d.Run
	case dispatch.Joined:
		result = "-> " + d.Run + "  (joined: its debounce window is open)"
	case dispatch.Duplicate:
		result = "-> " + d.Run + "  (duplicate: no second run)"
	case dispatch.Awaited:
		result = d.Reason
	default:
		result = strings.Join(strings.Fields(fmt.Sprintf("%s %s", d.Kind, d.Model)), " ") + ": " + d.Reason
	}
	return fmt.Sprintf("%-11s  %s  %s", e.Kind, e.Identity, result)
}

// updateLine returns the line for a change of a run, and "" for a change that needs none.
func updateLine(before, after run.Run) string {
	text := ""
	switch {
	case before.State.Ended(): // an orphan task can still change the run
		return ""
	case after.State.Ended():
		text = fmt.Sprintf("%s after %s", after.State, short(after.Ended.Sub(after.Accepted)))
		if why := outcome(operate.NewRun(after)); why != "-" {
			text += "  " + why
		}
	case before.State == run.Launching && after.State == run.Running:
		text = fmt.Sprintf("attempt %d  task %s", after.Attempt, after.Task.ARN[strings.LastIndexByte(after.Task.ARN, '/')+1:])
	case after.State == run.Waiting && after.Attempt == 0:
		text = waitText(before, after)
	case after.State == run.Waiting && before.State != run.Waiting:
		text = fmt.Sprintf("attempt %d ended  %s  next %s", after.Attempt, outcome(operate.NewRun(after)), nextAttempt(before, after))
	case after.StopRequest != nil && before.StopRequest == nil:
		text = "stopping: " + after.StopRequest.Reason
	}
	if text == "" {
		return ""
	}
	return fmt.Sprintf("%-11s  %s  %s", "run", after.ID, text)
}

// waitTexts describes each wait for users.
var waitTexts = map[run.Wait]string{
	run.ForDebounce: "more events in its debounce window", run.ForObjects: "S3 objects", run.ForSlot: "a slot in its concurrency group",
	run.ForLaunch: "its launch", run.ForCapacity: "capacity in ECS", run.ForBackoff: "its next attempt",
}

// waitText returns what a run waits for before its first attempt. It returns "" if that is unchanged, and for a run
// whose launch is the first thing that it waits for.
func waitText(before, after run.Run) string {
	isUsual := after.WaitingFor == run.ForLaunch && (before.WaitingFor == "" || before.WaitingFor == run.ForBackoff)
	if before.WaitingFor == after.WaitingFor || isUsual {
		return ""
	}
	text := "waits for " + waitTexts[after.WaitingFor]
	if after.WaitingFor == run.ForDebounce {
		text += ", until " + clock(after.Due)
	}
	return text
}

// nextAttempt returns the time of a run's next attempt, with its memory and capacity type if they change.
func nextAttempt(before, after run.Run) string {
	next := "in " + short(max(time.Until(after.Due), 0))
	switch after.WaitingFor {
	case run.ForLaunch:
		next = "at once"
	case run.ForCapacity:
		next = "when ECS has capacity"
	}
	if after.Size != before.Size {
		next += fmt.Sprintf(", with %d MiB", after.Size.Memory)
	}
	if after.CapacityIndex != before.CapacityIndex {
		next += ", on " + string(after.Capacities[after.CapacityIndex])
	}
	return next
}
