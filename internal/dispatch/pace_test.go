package dispatch_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
)

func keys(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%03d.csv", i))
	}
	return all
}

// arrive has objects arrive at the same moment.
func (w *world) arrive(t *testing.T, n int) []string {
	t.Helper()
	var ids []string
	for _, key := range keys(n) {
		ids = append(ids, w.accept(t, key))
	}
	return ids
}

// refused has RunTask refuse while there are as many live tasks as places.
func (w *world) places(n *int, class run.Class) {
	w.aws.ECS.Refuse = func(fargate.Request) *run.Outcome {
		live := 0
		for _, arn := range w.aws.ECS.Tasks() {
			if w.aws.ECS.Task(arn).LastStatus != "STOPPED" {
				live++
			}
		}
		if live < *n {
			return nil
		}
		return &run.Outcome{Class: class, Detail: "no place"}
	}
}

// starts has the containers of all new tasks run.
func (w *world) starts(t *testing.T) {
	t.Helper()
	for _, arn := range w.aws.ECS.Tasks() {
		if w.aws.ECS.Task(arn).LastStatus == "PROVISIONING" {
			w.observe(t, w.aws.ECS.Start(arn))
		}
	}
}

// states counts runs by what they wait for, or their state.
func (w *world) states(t *testing.T, ids []string) string {
	t.Helper()
	count := map[string]int{}
	for _, id := range ids {
		count[w.waits(t, id)]++
	}
	return strings.TrimPrefix(fmt.Sprint(count), "map")
}

func TestLaunchesKeepThePace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.Rate = 10
	ids := w.arrive(t, 30)
	begin := w.now
	w.launch(t)
	// What fits in half a second may be called at once, and the present one is the last of it.
	if got := w.states(t, ids); got != "[queued:24 running:6]" {
		t.Errorf("at once the runs are %s", got)
	}
	w.now = begin.Add(time.Second)
	w.launch(t)
	if got := w.states(t, ids); got != "[queued:14 running:16]" {
		t.Errorf("after a second the runs are %s", got)
	}
	for w.now = begin.Add(2 * time.Second); len(w.aws.Queued) > 0; w.now = w.now.Add(time.Second) {
		w.launch(t)
	}
	if got := w.states(t, ids); got != "[running:30]" || w.aws.ECS.Calls != 30 || w.now.Sub(begin) > 4*time.Second {
		t.Errorf("after %s the runs are %s, %d calls were made", w.now.Sub(begin), got, w.aws.ECS.Calls)
	}
}

func TestATurnThatIsFarAheadIsWaitedForBySweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.Rate = 0.0001
	ids := w.arrive(t, 2)
	w.launch(t)
	w.after(t, 2*time.Hour)
	if got := w.states(t, ids); got != "[queued:1 running:1]" || len(w.aws.Take()) != 0 {
		t.Errorf("after two hours the runs are %s", got)
	}
	w.after(t, 35*time.Minute) // within a quarter of an hour it can be sent
	w.launch(t)
	w.now = w.now.Add(11*time.Minute + 45*time.Second)
	w.launch(t)
	if got := w.states(t, ids); got != "[running:2]" {
		t.Errorf("at its turn the runs are %s", got)
	}
}

func TestWhoIsLateForItsTurnTakesAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.Rate = 10
	ids := w.arrive(t, 40)
	w.launch(t)
	w.now = w.now.Add(time.Hour) // in which nothing was launched
	w.launch(t)
	if got := w.states(t, ids); got != "[queued:28 running:12]" {
		t.Errorf("after an hour the runs are %s: those that are late are not to call at once", got)
	}
}

func TestAThrottledCallTakesAnotherTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.Rate = 10
	ids := w.arrive(t, 40)
	throttled := true
	w.aws.ECS.Refuse = func(fargate.Request) *run.Outcome {
		if !throttled {
			return nil
		}
		return &run.Outcome{Class: run.Throttled, Detail: "Rate exceeded"}
	}
	w.launch(t)
	throttled = false
	for range 10 {
		w.after(t, time.Minute)
		w.launch(t)
	}
	if got := w.states(t, ids); got != "[running:40]" {
		t.Errorf("the runs are %s", got)
	}
	r := w.run(t, ids[0])
	if r.Attempt != 1 || r.Call != 2 {
		t.Errorf("a throttled run is in attempt %d, call %d: throttling is no attempt", r.Attempt, r.Call)
	}
}

func TestWhereECSHasNoPlaceRunsWaitForOne(t *testing.T) {
	t.Parallel()
	for _, class := range []run.Class{run.Quota, run.Capacity} {
		w := newWorld(t, nil)
		places := 2
		w.places(&places, class)
		ids := w.accepts(t, keys(6)...)
		for range 3 {
			w.launch(t)
			w.now = w.now.Add(time.Second)
		}
		if got := w.states(t, ids); got != "[place:4 running:2]" || w.aws.ECS.Calls > 6 {
			t.Errorf("%s: the runs are %s after %d calls", class, got, w.aws.ECS.Calls)
		}
		calls := w.aws.ECS.Calls
		w.exit(t, ids[1], 0)
		w.launch(t)
		w.wantWaits(t, ids, "running", "succeeded", "running", "place", "place", "place")
		if w.aws.ECS.Calls != calls+1 {
			t.Errorf("%s: %d calls were made for the place that became free", class, w.aws.ECS.Calls-calls)
		}

		// What became free without our doing is found by one who tries each minute, and two more for each whose task runs.
		places = 5
		w.after(t, time.Minute)
		for range 3 {
			w.launch(t)
			w.starts(t)
		}
		w.wantWaits(t, ids, "running", "succeeded", "running", "running", "running", "running")

		// Once nobody waits, the gate is open again.
		w.after(t, time.Minute)
		places = 6
		w.accept(t, "later.csv")
		w.launch(t)
		if live := len(w.aws.ECS.Tasks()); live != 7 {
			t.Errorf("%s: there were %d tasks, want 7", class, live)
		}
	}
}

func TestARunTriesTheNextCapacityWhoseGateIsOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(m *model.Model) { m.Task.Capacity = []model.Capacity{model.Spot, model.OnDemand} })
	var asked []string
	w.aws.ECS.Refuse = func(r fargate.Request) *run.Outcome {
		if r.CapacityProviderStrategy != nil {
			asked = append(asked, "spot")
			return &run.Outcome{Class: run.Capacity, Detail: "Capacity is unavailable at this time."}
		}
		asked = append(asked, "on-demand")
		return nil
	}
	for i := range 3 {
		w.accept(t, fmt.Sprintf("%d.csv", i))
		w.launch(t)
		w.launch(t)
		w.now = w.now.Add(time.Second)
	}
	if got := strings.Join(asked, " "); got != "spot on-demand on-demand on-demand" {
		t.Errorf("RunTask was asked for %s", got)
	}
	w.after(t, time.Minute)
	w.accept(t, "later.csv")
	w.launch(t)
	if asked[len(asked)-1] != "spot" {
		t.Errorf("a minute later RunTask was asked for %s first", asked[len(asked)-1])
	}
}

func TestAModelThatIsLaunchedTooOftenIsPaused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(m *model.Model) { m.Policy.Brake = 3 })
	ids := w.accepts(t, keys(5)...)
	w.launch(t)
	if got := w.states(t, ids); got != "[queued:2 running:3]" {
		t.Errorf("the runs are %s", got)
	}
	paused := slices.IndexFunc(w.aws.Announcements, func(a dispatch.Announcement) bool { return a.DetailType == "Model Paused" })
	if paused < 0 || !strings.Contains(string(w.aws.Announcements[paused].Detail), "launched 3 times within an hour") {
		t.Errorf("its pause is announcement %d", paused)
	}
	w.after(t, 2*time.Hour)
	w.launch(t)
	if got := w.states(t, ids); got != "[queued:2 running:3]" {
		t.Errorf("two hours later the runs are %s: only who resumes the model lets it go on", got)
	}
	if _, err := w.Resume(t.Context(), "sales", "somebody"); err != nil {
		t.Fatal(err)
	}
	w.after(t, run.Relook)
	w.launch(t)
	if got := w.states(t, ids); got != "[running:5]" {
		t.Errorf("once it is resumed the runs are %s", got)
	}
}
