package cli

import (
	"encoding/json"
	"testing"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/operate"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
)

// TestEndOfRunIsShownOnce: an orphan task can change a run that has ended. The live view must not show the end again.
func TestEndOfRunIsShownOnce(t *testing.T) {
	t.Parallel()
	accepted := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	running := run.Run{ID: "sales-aaaaaaaaaaaa", State: run.Running, Attempt: 1, Accepted: accepted}
	seen := run.TaskObservation{ARN: "arn", Outcome: &run.Outcome{Class: run.ClassSucceeded}}
	running.Capacities = []model.Capacity{model.OnDemand}
	ended := running.Observed(1, seen, run.RetryInputs{}, accepted.Add(3*time.Second))
	if got, want := transitionLine(ended), "run          sales-aaaaaaaaaaaa  succeeded after 3s"; got != want {
		t.Errorf("the line for the end is %q, want %q", got, want)
	}
	orphan := ended.Run.Observed(1, run.TaskObservation{ARN: "orphan"}, run.RetryInputs{}, accepted.Add(4*time.Second))
	if got := transitionLine(orphan); got != "" || orphan.Kind != run.OrphanFound {
		t.Errorf("the line for a change after the end is %q, want none", got)
	}
}

// TestOutcomeDoesNotRepeatState: the class of a cancelled run is the same word as its state.
func TestOutcomeDoesNotRepeatState(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		state   run.State
		outcome *run.Outcome
		want    string
	}{
		{run.Cancelled, &run.Outcome{Class: run.ClassCancelled, Detail: "wrong date"}, "wrong date"},
		{run.Cancelled, &run.Outcome{Class: run.ClassCancelled}, ""},
		{run.Cancelled, &run.Outcome{Class: run.ClassModelError, Detail: "exit code 1"}, "model-error: exit code 1"},
		{run.Failed, &run.Outcome{Class: run.ClassLost}, "lost"},
		{run.Succeeded, &run.Outcome{Class: run.ClassSucceeded}, ""},
		{run.Waiting, nil, ""},
	} {
		if got := outcome(operate.NewRun(run.Run{State: test.state, Outcome: test.outcome})); got != test.want {
			t.Errorf("outcome of a %s run with %v is %q, want %q", test.state, test.outcome, got, test.want)
		}
	}
}

// TestLineOfEachTransition checks the line of the live view for each kind of transition that has one. No other kind has.
func TestLineOfEachTransition(t *testing.T) {
	t.Parallel()
	waits := func(w run.Wait) run.Run { return run.Run{State: run.Waiting, WaitingFor: w} }
	failed := run.Run{
		State: run.Waiting, WaitingFor: run.ForCapacity, Attempt: 2, Outcome: &run.Outcome{Class: run.ClassCapacity},
		Capacities: []model.Capacity{model.Spot, model.OnDemand}, CapacityIndex: 1, Size: model.Size{Memory: 4096},
	}
	stopping := run.Run{State: run.Running, StopRequest: &run.StopRequest{Reason: "wrong date"}}
	const capacity = "attempt 2 ended  capacity  next when ECS has capacity, with 4096 MiB, on on-demand"
	for _, c := range []struct {
		kind run.TransitionKind
		run  run.Run
		want string
	}{
		{run.Accepted, waits(run.ForLaunch), ""},
		{run.Accepted, waits(run.ForObjects), "waits for S3 objects"},
		{run.Accepted, waits(run.ForSlot), "waits for a slot in its concurrency group"},
		{run.Accepted, run.Run{WaitingFor: run.ForDebounce, Due: time.Date(2026, 1, 5, 8, 0, 1, 0, time.UTC)},
			"waits for more events in its debounce window, until 08:00:01.0"},
		{run.WindowClosed, waits(run.ForObjects), "waits for S3 objects"},
		{run.ObjectsFound, waits(run.ForSlot), "waits for a slot in its concurrency group"},
		{run.SlotGranted, waits(run.ForLaunch), "waits for its launch"},
		{run.StoppedAtBreaker, waits(run.ForCapacity), "waits for capacity in ECS"},
		{run.Released, waits(run.ForLaunch), "waits for its launch"},
		{run.TaskStarted, run.Run{Attempt: 1, Task: run.Task{ARN: "arn:task/models/0a1b"}}, "attempt 1  task 0a1b"},
		{run.CallRefused, failed, capacity},
		{run.AttemptEnded, failed, capacity},
		{run.StopRequested, stopping, "stopping: wrong date"},
		{run.TimedOut, stopping, "stopping: wrong date"},
		{run.Joined, waits(run.ForDebounce), ""},
		{run.ObjectsMissing, waits(run.ForObjects), ""},
		{run.Reserved, waits(run.ForLaunch), ""},
		{run.CallThrottled, failed, ""},
		{run.TaskObserved, stopping, ""},
		{run.Repeated, waits(run.ForLaunch), ""},
		{run.Postponed, waits(run.ForObjects), ""},
	} {
		if got := transitionText(run.Transition{Kind: c.kind, Run: c.run}); got != c.want {
			t.Errorf("%s to %s: the line is %q, want %q", c.kind, c.run.WaitingFor, got, c.want)
		}
	}
}

// TestLineOfEachDecision checks the line of the live view for each kind of decision.
func TestLineOfEachDecision(t *testing.T) {
	t.Parallel()
	e := event.Event{Kind: model.Arrival, Identity: "arrival/a"}
	for kind, want := range map[records.DecisionKind]string{
		records.Started:   "arrival      arrival/a  -> m-1",
		records.Joined:    "arrival      arrival/a  -> m-1  (joined: its debounce window is open)",
		records.Duplicate: "arrival      arrival/a  -> m-1  (duplicate: no second run)",
		records.Awaited:   "arrival      arrival/a  why",
		records.Rejected:  "arrival      arrival/a  rejected m: why",
		records.Unmatched: "arrival      arrival/a  unmatched m: why",
	} {
		if got := decisionLine(e, records.Decision{Model: "m", Kind: kind, Run: "m-1", Reason: "why"}); got != want {
			t.Errorf("%s: the line is %q, want %q", kind, got, want)
		}
	}
}

// TestLineOfEachAnnouncement checks the line of the live view for the announcements about a model. Others have none.
func TestLineOfEachAnnouncement(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		detailType string
		detail     any
		want       string
	}{
		{dispatch.DetailPaused, dispatch.ControlDetail{Model: "m", By: "ada", Reason: "wrong prices"}, "paused       m  wrong prices"},
		{dispatch.DetailResumed, dispatch.ControlDetail{Model: "m", By: "ada"}, "resumed      m"},
		{dispatch.DetailOverdue, dispatch.OverdueDetail{Model: "m", Value: "eu", By: noon},
			"overdue      m eu  no run has succeeded by 2026-03-14T12:00:00Z"},
		{run.DetailStarted, dispatch.RunDetail{Model: "m"}, ""},
	} {
		text, err := json.Marshal(c.detail)
		if err != nil {
			t.Fatal(err)
		}
		if got := announcementLine(dispatch.Announcement{DetailType: c.detailType, Detail: text}); got != c.want {
			t.Errorf("%s: the line is %q, want %q", c.detailType, got, c.want)
		}
	}
}
