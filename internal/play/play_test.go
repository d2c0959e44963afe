package play

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modeldispatch/internal/event"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
)

// TestStepWaitsForWhatItCompares decides an event for no model before the second model gets its decision. A step that
// does not compare such events must wait on.
func TestStepWaitsForWhatItCompares(t *testing.T) {
	t.Parallel()
	w := newWatcher()
	step := Step{Want: map[string]Counts{"up": {"succeeded": 1}, "down": {"failed": 1}}}
	w.begin(step)
	end := func(name string, state run.State) {
		w.decided(event.Event{}, records.Decision{Model: name, Kind: records.Started, Run: name + "-1"})
		w.transitioned(run.Transition{Run: run.Run{ID: name + "-1", State: state}, Ended: true})
	}
	end("up", run.Succeeded)
	w.decided(event.Event{}, records.Decision{Kind: records.Unmatched})
	if _, complete := w.current(); complete {
		t.Error("the step is complete before the second model has its decision")
	}
	end("down", run.Failed)
	results, complete := w.current()
	if difference := step.compare(results); !complete || difference != "" {
		t.Errorf("complete %t with the difference %q, want a complete step without one", complete, difference)
	}
}

func TestEmptyPlayIsAnError(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, File), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSteps(folder); err == nil || !strings.Contains(err.Error(), "play.yaml lists no step") {
		t.Errorf("ReadSteps of an empty file returns %v", err)
	}
}
