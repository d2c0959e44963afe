package cli

import (
	"testing"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/operate"
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
