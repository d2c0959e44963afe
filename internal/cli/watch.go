package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/local"
	"modeldispatch/internal/model"
	"modeldispatch/internal/operate"
	"modeldispatch/internal/records"
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

// show prints the text if it is not empty, or the line with --json.
func (v liveView) show(text string, line operate.Line) {
	if text == "" && !v.JSON {
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
		Decided: func(e event.Event, d records.Decision) {
			v.show(decisionLine(e, d), operate.Line{Decided: new(operate.NewDecision(e.Identity, e.Kind, d))})
		},
		Transitioned: func(t run.Transition) {
			if text := transitionLine(t); text != "" || changesWait(t.Kind) {
				v.show(text, operate.Line{Updated: new(operate.NewRun(t.Run))})
			}
		},
		Announced: func(a dispatch.Announcement) {
			if text := announcementLine(a); text != "" {
				v.show(text, operate.Line{Announced: &operate.Announcement{DetailType: a.DetailType, Detail: a.Detail}})
			}
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
	case dispatch.DetailOverdue:
		return fmt.Sprintf("%-11s  %s  no run has succeeded by %s", "overdue", strings.TrimSpace(detail.Model+" "+detail.Value), detail.By)
	case dispatch.DetailPaused:
		return fmt.Sprintf("%-11s  %s  %s", "paused", detail.Model, detail.Reason)
	case dispatch.DetailResumed:
		return fmt.Sprintf("%-11s  %s", "resumed", detail.Model)
	}
	return ""
}

// decisionLine returns the line for a decision: the event, and its run or why it started none.
func decisionLine(e event.Event, d records.Decision) string {
	var result string
	switch d.Kind {
	case records.Started:
		result = "-> " + d.Run
	case records.Joined:
		result = "-> " + d.Run + "  (joined: its debounce window is open)"
	case records.Duplicate:
		result = "-> " + d.Run + "  (duplicate: no second run)"
	case records.Awaited:
		result = d.Reason
	default:
		result = strings.Join(strings.Fields(fmt.Sprintf("%s %s", d.Kind, d.Model)), " ") + ": " + d.Reason
	}
	return fmt.Sprintf("%-11s  %s  %s", e.Kind, e.Identity, result)
}

// transitionLine returns the line for a transition of a run, and "" for a transition that needs none.
func transitionLine(t run.Transition) string {
	text := transitionText(t)
	if text == "" {
		return ""
	}
	return fmt.Sprintf("%-11s  %s  %s", "run", t.Run.ID, text)
}

// changesWait reports whether a transition without a text changes the state or the wait of a run. Such a transition has a
// line with --json only.
func changesWait(kind run.TransitionKind) bool {
	return kind == run.Accepted || kind == run.AttemptStarted || kind == run.BackoffEnded
}

// transitionText returns what happened to a run, and "" for a transition that needs no line.
func transitionText(t run.Transition) string {
	r := t.Run
	why := outcome(operate.NewRun(r))
	if t.Ended {
		return strings.TrimSpace(fmt.Sprintf("%s after %s  %s", r.State, short(r.Ended.Sub(r.Accepted)), why))
	}
	switch t.Kind {
	case run.Accepted:
		if r.WaitingFor == run.ForLaunch {
			return "" // the usual first wait
		}
		return waitText(r)
	case run.WindowClosed, run.ObjectsFound, run.SlotGranted, run.StoppedAtBreaker, run.Released:
		return waitText(r)
	case run.TaskStarted:
		return fmt.Sprintf("attempt %d  task %s", r.Attempt, r.Task.ARN[strings.LastIndexByte(r.Task.ARN, '/')+1:])
	case run.CallRefused, run.AttemptEnded:
		return fmt.Sprintf("attempt %d ended  %s  next %s", r.Attempt, why, nextAttempt(r))
	case run.StopRequested, run.TimedOut:
		return "stopping: " + r.StopRequest.Reason
	}
	return ""
}

// waitTexts describes each wait for users.
var waitTexts = map[run.Wait]string{
	run.ForDebounce: "more events in its debounce window", run.ForObjects: "S3 objects", run.ForSlot: "a slot in its concurrency group",
	run.ForLaunch: "its launch", run.ForCapacity: "capacity in ECS", run.ForBackoff: "its next attempt",
}

// waitText returns what a run waits for.
func waitText(r run.Run) string {
	text := "waits for " + waitTexts[r.WaitingFor]
	if r.WaitingFor == run.ForDebounce {
		text += ", until " + clock(r.Due)
	}
	return text
}

// nextAttempt returns the time of a run's next attempt, with its memory if it differs from the task definition's, and
// its capacity type if the model has several.
func nextAttempt(r run.Run) string {
	next := "in " + short(max(time.Until(r.Due), 0))
	switch r.WaitingFor {
	case run.ForLaunch:
		next = "at once"
	case run.ForCapacity:
		next = "when ECS has capacity"
	}
	if r.Size != (model.Size{}) {
		next += fmt.Sprintf(", with %d MiB", r.Size.Memory)
	}
	if len(r.Capacities) > 1 {
		next += ", on " + string(r.Capacities[r.CapacityIndex])
	}
	return next
}
