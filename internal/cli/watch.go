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
	"modeldispatch/internal/run"
)

// happening is a line of --json: one of event, run, announcement and leftOut, as it happens.
type happening struct {
	Time         time.Time       `json:"time"`
	Event        string          `json:"event,omitempty"` // identity
	Kind         model.Kind      `json:"kind,omitempty"`
	Decision     any             `json:"decided,omitempty"`
	Run          *movedRun       `json:"run,omitempty"`
	Announcement string          `json:"announcement,omitempty"` // detail type
	Detail       json.RawMessage `json:"detail,omitempty"`
	LeftOut      string          `json:"leftOut,omitempty"` // step of a play
	Reason       string          `json:"reason,omitempty"`
}

// movedRun is a run as it is after it moved.
type movedRun struct {
	ID       string       `json:"id"`
	Model    string       `json:"model"`
	State    run.State    `json:"state"`
	For      run.Wait     `json:"for,omitempty"`
	Attempt  int          `json:"attempt,omitempty"`
	Task     string       `json:"task,omitempty"`
	Stopping *run.Cancel  `json:"stopping,omitempty"`
	Outcome  *run.Outcome `json:"outcome,omitempty"`
	Seconds  float64      `json:"seconds,omitempty"` // from its acceptance to its end
}

func moved(r run.Run) *movedRun {
	m := movedRun{ID: r.ID, Model: r.Model, State: r.State, For: r.For, Attempt: r.Attempt, Task: r.Task.ARN, Outcome: r.Outcome}
	if r.State.Ended() {
		m.Seconds = r.Ended.Sub(r.Accepted).Seconds()
	} else {
		m.Stopping = r.Cancel
	}
	return &m
}

// teller prints what happens: a line for people, or an object with --json. One goroutine prints: lines never mix.
type teller struct {
	*session
	print chan func()
}

func (s *session) teller() teller {
	t := teller{s, make(chan func(), 1024)}
	go func() {
		for print := range t.print {
			print()
		}
	}()
	return t
}

func (t teller) do(print func()) {
	select {
	case t.print <- print:
	case <-t.ctx.Done():
	}
}

// flush returns when all that was told is printed.
func (t teller) flush() {
	done := make(chan struct{})
	t.do(func() { close(done) })
	select {
	case <-done:
	case <-t.ctx.Done():
	}
}

// tell says that something happened. Where there is nothing to say for people, nothing is said at all.
func (t teller) tell(line string, h happening) {
	if line == "" {
		return
	}
	h.Time = time.Now()
	t.do(func() {
		if t.JSON {
			_ = t.printLine(h)
		} else {
			t.printf("%s  %s\n", clock(h.Time), line)
		}
	})
}

// watch tells of all that happens.
func (t teller) watch(stack *local.Stack) {
	stack.Watch(dispatch.Notice{
		Decided: func(e event.Event, d dispatch.Decision) {
			t.tell(decisionLine(e, d), happening{Event: e.Identity, Kind: e.Kind, Decision: d})
		},
		Moved: func(before, after run.Run) { t.tell(moveLine(before, after), happening{Run: moved(after)}) },
		Announced: func(a dispatch.Announcement) {
			t.tell(announcedLine(a), happening{Announcement: a.DetailType, Detail: a.Detail})
		},
	})
}

// announcedLine says what is announced about a model; runs and events have lines of their own.
func announcedLine(a dispatch.Announcement) string {
	var about struct {
		dispatch.ControlDetail
		Value string
		By    string `json:"by"` // who paused it, or when it should have succeeded
	}
	if json.Unmarshal(a.Detail, &about) != nil {
		return ""
	}
	switch a.DetailType {
	case dispatch.AnnounceOverdue:
		return fmt.Sprintf("%-11s  %s  no run has succeeded by %s", "overdue", strings.TrimSpace(about.Model+" "+about.Value), about.By)
	case dispatch.AnnouncePaused:
		return fmt.Sprintf("%-11s  %s  %s", "paused", about.Model, about.Why)
	case dispatch.AnnounceResumed:
		return fmt.Sprintf("%-11s  %s", "resumed", about.Model)
	}
	return ""
}

// decisionLine says what became of an event: event -> what it led to, or why it led to nothing.
func decisionLine(e event.Event, d dispatch.Decision) string {
	var led string
	switch d.Verdict {
	case dispatch.Started:
		led = "-> " + d.Run
	case dispatch.Joined:
		led = "-> " + d.Run + "  (joined: it waits for more of its group)"
	case dispatch.Duplicate:
		led = "-> " + d.Run + "  (duplicate: no second run)"
	case dispatch.Awaited:
		led = d.Reason
	default:
		led = strings.Join(strings.Fields(fmt.Sprintf("%s %s", d.Verdict, d.Model)), " ") + ": " + d.Reason
	}
	return fmt.Sprintf("%-11s  %s  %s", e.Kind, e.Identity, led)
}

// waitLine says what a run waits for that has not been launched yet.
func waitLine(before, after run.Run) string {
	if before.For == after.For || after.For == run.Queued && (before.For == "" || before.For == run.Backoff) {
		return ""
	}
	what := "waits for " + waits[after.For]
	if after.For == run.Debounce {
		what += ", until " + clock(after.Due)
	}
	return fmt.Sprintf("%-11s  %s  %s", "run", after.ID, what)
}

// waits says what runs wait for.
var waits = map[run.Wait]string{
	run.Debounce: "more events of its group", run.Objects: "objects that are not there yet", run.Line: "a place in its line",
	run.Queued: "its launch", run.Place: "a place in ECS", run.Backoff: "its next attempt",
}

// moveLine says how a run moved; "" where nobody wants to know.
func moveLine(before, after run.Run) string {
	what := ""
	switch {
	case after.State.Ended():
		what = fmt.Sprintf("%s after %s", after.State, short(after.Ended.Sub(after.Accepted)))
		if text := reason(after); text != "-" {
			what += "  " + text
		}
	case before.State == run.Launching && after.State == run.Running:
		what = fmt.Sprintf("attempt %d  task %s", after.Attempt, after.Task.ARN[strings.LastIndexByte(after.Task.ARN, '/')+1:])
	case after.State == run.Waiting && after.Attempt == 0:
		return waitLine(before, after)
	case after.State == run.Waiting && before.State != run.Waiting:
		next := "in " + short(max(time.Until(after.Due), 0))
		switch after.For {
		case run.Queued:
			next = "at once"
		case run.Place:
			next = "when ECS has a place"
		}
		if after.Size != before.Size {
			next += fmt.Sprintf(", with %d MiB", after.Size.Memory)
		}
		if after.Capacity != before.Capacity {
			next += ", on " + string(after.Capacities[after.Capacity])
		}
		what = fmt.Sprintf("attempt %d ended  %s  next %s", after.Attempt, reason(after), next)
	case after.Cancel != nil && before.Cancel == nil:
		what = "stopping: " + after.Cancel.Why
	default:
		return ""
	}
	return fmt.Sprintf("%-11s  %s  %s", "run", after.ID, what)
}
