package operate_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/operate"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/memory"
)

// TestWaits checks which times a waiting run shows. Its document has all of them, also those of earlier waits.
func TestWaits(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	due, reserved, never := since.Add(time.Minute), since.Add(time.Second), time.Time{}
	for wait, want := range map[run.Wait]struct{ since, until time.Time }{
		run.ForDebounce: {since, due}, run.ForObjects: {since, never}, run.ForSlot: {since, never},
		run.ForLaunch: {never, reserved}, run.ForCapacity: {since, never}, run.ForBackoff: {never, due}, "": {never, never},
	} {
		r := operate.NewRun(run.Run{
			State: run.Waiting, WaitingFor: wait, WaitingSince: since, Due: due, Reservation: reserved, Breaker: model.Spot,
		})
		if !r.WaitingSince.Equal(want.since) || !r.WaitingUntil.Equal(want.until) {
			t.Errorf("%q waits from %s to %s, want %s to %s", wait, r.WaitingSince, r.WaitingUntil, want.since, want.until)
		}
		if (r.Breaker == model.Spot) != (wait == run.ForCapacity) {
			t.Errorf("%q shows the breaker %q", wait, r.Breaker)
		}
	}
}

// TestOpenAttemptHasItsTask reads a run with a closed and an open attempt. The document of the open one lacks its task.
func TestOpenAttemptHasItsTask(t *testing.T) {
	t.Parallel()
	db := memory.New()
	started := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	const id = "sales-aaaaaaaaaaaa"
	running := run.Run{ID: id, Model: "sales", State: run.Running, Attempt: 2, Task: run.Task{ARN: "arn:2", Started: started}}
	err := db.Commit(t.Context(), store.Create(records.RunDoc(running, 0, 0)), store.Create(records.SpecDoc(run.Spec{Run: id}, 0)),
		store.Create(records.AttemptDoc(id, run.Attempt{Number: 1, Task: "arn:1", Outcome: &run.Outcome{Class: run.ClassLost}}, 0, 0)),
		store.Create(records.AttemptDoc(id, run.Attempt{Number: 2}, 0, 0)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := operate.ReadRun(t.Context(), db, id)
	if err != nil || len(r.Attempts) != 2 {
		t.Fatalf("the attempts are %v, error %v; want 2", r.Attempts, err)
	}
	closed, open := r.Attempts[0], r.Attempts[1]
	if closed.Task != "arn:1" || !closed.Started.IsZero() || open.Task != "arn:2" || !open.Started.Equal(started) {
		t.Errorf("the attempts are %+v and %+v; want the tasks arn:1 and arn:2, and the start of arn:2", closed, open)
	}
}

func TestReadsOfAnEmptyStore(t *testing.T) {
	t.Parallel()
	db := memory.New()
	if _, err := operate.ReadRun(t.Context(), db, "sales-aaaaaaaaaaaa"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the error for an unknown run is %v, want ErrNotFound", err)
	}
	if id, err := operate.NewestRun(t.Context(), db, "sales"); id != "" || err != nil {
		t.Errorf("the newest run is %q, error %v; want none", id, err)
	}
	runs, err := operate.ListRuns(t.Context(), db, store.Query{})
	if text, _ := json.Marshal(runs); string(text) != "[]" || err != nil {
		t.Errorf("the runs are %s, error %v; want an empty list", text, err)
	}
}
