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

// keys returns n keys of objects that start a run.
func keys(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%03d.csv", i))
	}
	return all
}

// acceptAtOnce accepts the arrival of n objects at the same time, and returns the ids of their runs.
func (h *harness) acceptAtOnce(t *testing.T, n int) []string {
	t.Helper()
	var ids []string
	for _, key := range keys(n) {
		ids = append(ids, h.accept(t, key))
	}
	return ids
}

// limitLiveTasks makes RunTask refuse calls, with an outcome of the given class, while n tasks or more have not
// stopped. The test may change n later.
func (h *harness) limitLiveTasks(n *int, class run.Class) {
	h.aws.ECS.Refuse = func(fargate.Request) *run.Outcome {
		live := 0
		for _, arn := range h.aws.ECS.Tasks() {
			if h.aws.ECS.Task(arn).LastStatus != "STOPPED" {
				live++
			}
		}
		if live < *n {
			return nil
		}
		return &run.Outcome{Class: class, Detail: "no capacity"}
	}
}

// startTasks starts all new tasks, and observes them.
func (h *harness) startTasks(t *testing.T) {
	t.Helper()
	for _, arn := range h.aws.ECS.Tasks() {
		if h.aws.ECS.Task(arn).LastStatus == "PROVISIONING" {
			h.observe(t, h.aws.ECS.Start(arn))
		}
	}
}

// countStatuses returns the number of runs with each status, for example [launch:2 running:3].
func (h *harness) countStatuses(t *testing.T, ids []string) string {
	t.Helper()
	count := map[string]int{}
	for _, id := range ids {
		count[h.status(t, id)]++
	}
	return strings.TrimPrefix(fmt.Sprint(count), "map")
}

func TestLaunchRateIsLimited(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.change(func(o *dispatch.Options) { o.Rate = 10 })
	ids := h.acceptAtOnce(t, 30)
	begin := h.now
	h.launch(t)
	// The burst has the calls of half a second, which are 5, and the call that is due now.
	if got := h.countStatuses(t, ids); got != "[launch:24 running:6]" {
		t.Errorf("the runs are %s in the beginning", got)
	}
	h.now = begin.Add(time.Second)
	h.launch(t)
	if got := h.countStatuses(t, ids); got != "[launch:14 running:16]" {
		t.Errorf("the runs are %s after a second", got)
	}
	for h.now = begin.Add(2 * time.Second); len(h.aws.Queued) > 0; h.now = h.now.Add(time.Second) {
		h.launch(t)
	}
	if got := h.countStatuses(t, ids); got != "[running:30]" || h.aws.ECS.Calls != 30 || h.now.Sub(begin) > 4*time.Second {
		t.Errorf("the runs are %s after %s and %d calls", got, h.now.Sub(begin), h.aws.ECS.Calls)
	}
}

// TestSweepQueuesRunForDistantReservation gives a run a reservation that is hours away. SQS cannot delay a message for
// so long, so the sweep sends the run to the launch queue when at most 15 minutes are left.
func TestSweepQueuesRunForDistantReservation(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.change(func(o *dispatch.Options) { o.Rate = 0.0001 })
	ids := h.acceptAtOnce(t, 2)
	h.launch(t)
	h.sweepAfter(t, 2*time.Hour)
	if got := h.countStatuses(t, ids); got != "[launch:1 running:1]" || len(h.aws.TakeQueued()) != 0 {
		t.Errorf("the runs are %s after two hours", got)
	}
	h.sweepAfter(t, 35*time.Minute) // now less than 15 minutes are left
	h.launch(t)
	h.now = h.now.Add(11*time.Minute + 45*time.Second)
	h.launch(t)
	if got := h.countStatuses(t, ids); got != "[running:2]" {
		t.Errorf("the runs are %s at the time of the reservation", got)
	}
}

func TestLateRunGetsNewReservation(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.change(func(o *dispatch.Options) { o.Rate = 10 })
	ids := h.acceptAtOnce(t, 40)
	h.launch(t)
	h.now = h.now.Add(time.Hour) // without a launch
	h.launch(t)
	if got := h.countStatuses(t, ids); got != "[launch:28 running:12]" {
		t.Errorf("the runs are %s after an hour; late runs must not all call at once", got)
	}
}

func TestThrottledCallGetsNewReservation(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.change(func(o *dispatch.Options) { o.Rate = 10 })
	ids := h.acceptAtOnce(t, 40)
	throttled := true
	h.aws.ECS.Refuse = func(fargate.Request) *run.Outcome {
		if !throttled {
			return nil
		}
		return &run.Outcome{Class: run.ClassThrottled, Detail: "Rate exceeded"}
	}
	h.launch(t)
	throttled = false
	for range 10 {
		h.sweepAfter(t, time.Minute)
		h.launch(t)
	}
	if got := h.countStatuses(t, ids); got != "[running:40]" {
		t.Errorf("the runs are %s", got)
	}
	r := h.run(t, ids[0])
	if r.Attempt != 1 || r.Call != 2 {
		t.Errorf("a throttled run is in attempt %d, call %d, want attempt 1, call 2", r.Attempt, r.Call)
	}
}

// TestRunsWaitAtOpenBreaker limits the number of live tasks. Refused runs wait at the breaker, and continue as a
// replacement for a task that has ended, or as probes. The breaker closes when no run waits.
func TestRunsWaitAtOpenBreaker(t *testing.T) {
	t.Parallel()
	for _, class := range []run.Class{run.ClassQuota, run.ClassCapacity} {
		h := newHarness(t, nil)
		capacity := 2
		h.limitLiveTasks(&capacity, class)
		ids := h.acceptEach(t, keys(6)...)
		for range 3 {
			h.launch(t)
			h.now = h.now.Add(time.Second)
		}
		if got := h.countStatuses(t, ids); got != "[capacity:4 running:2]" || h.aws.ECS.Calls > 6 {
			t.Errorf("%s: the runs are %s after %d calls", class, got, h.aws.ECS.Calls)
		}
		calls := h.aws.ECS.Calls
		h.exitTask(t, ids[1], 0)
		h.launch(t)
		h.wantStatuses(t, ids, "running", "succeeded", "running", "capacity", "capacity", "capacity")
		if h.aws.ECS.Calls != calls+1 {
			t.Errorf("%s: %d calls were made for the capacity of the task that ended, want 1", class, h.aws.ECS.Calls-calls)
		}

		// A probe each minute finds other room for tasks. Two more probes follow when the task of a probe runs.
		capacity = 5
		h.sweepAfter(t, time.Minute)
		for range 3 {
			h.launch(t)
			h.startTasks(t)
		}
		h.wantStatuses(t, ids, "running", "succeeded", "running", "running", "running", "running")

		// The breaker closes at the next probe, because no run waits.
		h.sweepAfter(t, time.Minute)
		capacity = 6
		h.accept(t, "later.csv")
		h.launch(t)
		if tasks := len(h.aws.ECS.Tasks()); tasks != 7 {
			t.Errorf("%s: %d tasks were started, want 7", class, tasks)
		}
	}
}

func TestRunUsesNextCapacityWithClosedBreaker(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(m *model.Model) { m.Task.Capacity = []model.Capacity{model.Spot, model.OnDemand} })
	var asked []string
	h.aws.ECS.Refuse = func(r fargate.Request) *run.Outcome {
		if r.CapacityProviderStrategy != nil {
			asked = append(asked, "spot")
			return &run.Outcome{Class: run.ClassCapacity, Detail: "Capacity is unavailable at this time."}
		}
		asked = append(asked, "on-demand")
		return nil
	}
	for i := range 3 {
		h.accept(t, fmt.Sprintf("%d.csv", i))
		h.launch(t)
		h.launch(t)
		h.now = h.now.Add(time.Second)
	}
	if got := strings.Join(asked, " "); got != "spot on-demand on-demand on-demand" {
		t.Errorf("RunTask was called for %s", got)
	}
	h.sweepAfter(t, time.Minute)
	h.accept(t, "later.csv")
	h.launch(t)
	if asked[len(asked)-1] != "spot" {
		t.Errorf("a minute later RunTask was called for %s first, want spot", asked[len(asked)-1])
	}
}

func TestLoopGuardPausesModel(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(m *model.Model) { m.Policy.MaxLaunchesPerHour = 3 })
	ids := h.acceptEach(t, keys(5)...)
	h.launch(t)
	if got := h.countStatuses(t, ids); got != "[launch:2 running:3]" {
		t.Errorf("the runs are %s", got)
	}
	paused := slices.IndexFunc(h.aws.Announcements, func(a dispatch.Announcement) bool { return a.DetailType == "Model Paused" })
	if paused < 0 || !strings.Contains(string(h.aws.Announcements[paused].Detail), "launched 3 times in one clock hour") {
		t.Errorf("announcements: %v, want Model Paused with the number of launches", h.aws.Announced())
	}
	h.sweepAfter(t, 2*time.Hour)
	h.launch(t)
	if got := h.countStatuses(t, ids); got != "[launch:2 running:3]" {
		t.Errorf("the runs are %s two hours later, want no change before the model is resumed", got)
	}
	if _, err := h.Resume(t.Context(), "sales", "ann"); err != nil {
		t.Fatal(err)
	}
	h.sweepAfter(t, 10*time.Minute)
	h.launch(t)
	if got := h.countStatuses(t, ids); got != "[running:5]" {
		t.Errorf("the runs are %s after the model is resumed", got)
	}
}
