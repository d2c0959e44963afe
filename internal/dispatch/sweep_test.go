package dispatch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// faultyWatcher is a Watcher that counts the tasks it describes, and that a test can make fail.
type faultyWatcher struct {
	dispatch.Watcher
	described int   // the number of tasks that were described
	blind     bool  // the watcher knows no task
	stopErr   error // the error of StopTask; nil for none
}

func (f *faultyWatcher) DescribeTasks(ctx context.Context, arns ...string) map[string]fargate.Described {
	f.described += len(arns)
	if !f.blind {
		return f.Watcher.DescribeTasks(ctx, arns...)
	}
	all := map[string]fargate.Described{}
	for _, arn := range arns {
		all[arn] = fargate.Described{Err: fargate.ErrMissing}
	}
	return all
}

func (f *faultyWatcher) StopTask(ctx context.Context, arn, reason string) error {
	switch {
	case f.stopErr != nil:
		return f.stopErr
	case f.blind:
		return fmt.Errorf("stopping task %s: %w", arn, fargate.ErrMissing)
	}
	return f.Watcher.StopTask(ctx, arn, reason)
}

// newHarnessWithTask returns a harness with a run whose task is running, and the id of that run. No event about the
// task arrives unless the test sends it.
func newHarnessWithTask(t *testing.T) (*harness, *faultyWatcher, string) {
	t.Helper()
	h := newHarness(t, func(m *model.Model) { m.Policy.Timeout = 0 })
	watcher := &faultyWatcher{Watcher: h.aws.ECS}
	h.change(func(o *dispatch.Options) { o.Watcher = watcher })
	id := h.accept(t, "a.csv")
	h.launch(t)
	h.observe(t, h.aws.ECS.Start(h.newestTask()))
	return h, watcher, id
}

func TestSilentTaskIsDescribedEveryFiveMinutes(t *testing.T) {
	t.Parallel()
	h, watcher, _ := newHarnessWithTask(t)
	for range 60 {
		h.sweepAfter(t, time.Minute)
	}
	if watcher.described < 10 || watcher.described > 12 {
		t.Errorf("the task was described %d times in an hour, want 10 to 12", watcher.described)
	}
}

func TestTaskThatIsMissingForMomentsIsNotLost(t *testing.T) {
	t.Parallel()
	h, watcher, id := newHarnessWithTask(t)
	for minute := range 200 {
		watcher.blind = minute%60 < 5 // ECS does not know the task when it is asked once an hour
		h.sweepAfter(t, time.Minute)
	}
	h.wantRun(t, id, run.Running, "")
	watcher.blind = true
	for range 20 {
		h.sweepAfter(t, time.Minute)
	}
	h.wantRun(t, id, run.Failed, run.ClassLost)
}

// TestOrphanOfLostAttemptIsStopped observes a live task whose attempt counts as lost. StopTask is repeated until ECS
// knows the task again, or for so long that the task must have stopped.
func TestOrphanOfLostAttemptIsStopped(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"ECS knows the task again": true, "ECS does not know the task": false} {
		h, watcher, id := newHarnessWithTask(t)
		watcher.blind = true
		for range 20 {
			h.sweepAfter(t, time.Minute)
		}
		h.wantRun(t, id, run.Failed, run.ClassLost)
		arn := h.newestTask()
		h.observe(t, h.aws.ECS.Task(arn)) // a late event shows that the task is alive
		h.sweepAfter(t, 2*time.Minute)
		if r := h.run(t, id); len(r.Outbox.Effects) == 0 || h.aws.ECS.Task(arn).DesiredStatus != "RUNNING" {
			t.Fatalf("%s: task is %+v with effects %+v, want RUNNING with an effect", name, h.aws.ECS.Task(arn), r.Outbox.Effects)
		}
		watcher.blind = !known
		for range 3 * 60 {
			h.sweepAfter(t, time.Minute)
		}
		if got := h.aws.ECS.Task(arn).DesiredStatus == "STOPPED"; got != known {
			t.Errorf("%s: task was told to stop: %t, want %t", name, got, known)
		}
		if r := h.run(t, id); len(r.Outbox.Effects) > 0 {
			t.Errorf("%s: effects in the outbox: %+v, want none", name, r.Outbox.Effects)
		}
	}
}

// TestStopTaskIsRepeatedUntilItSucceeds makes StopTask fail for hours. Then ECS does not know the task for a while.
func TestStopTaskIsRepeatedUntilItSucceeds(t *testing.T) {
	t.Parallel()
	h, watcher, id := newHarnessWithTask(t)
	watcher.stopErr = errors.New("throttled")
	if err := h.Cancel(t.Context(), id, "enough", "ann"); err != nil {
		t.Fatal(err)
	}
	for range 5 * 60 {
		h.sweepAfter(t, time.Minute)
	}
	watcher.stopErr = fmt.Errorf("stopping: %w", fargate.ErrMissing)
	for range 20 {
		h.sweepAfter(t, time.Minute)
	}
	watcher.stopErr = nil
	for range 20 {
		h.sweepAfter(t, time.Minute)
	}
	if got := h.aws.ECS.Task(h.newestTask()).DesiredStatus; got != "STOPPED" {
		t.Errorf("the task of a cancelled run has desired status %s, want STOPPED", got)
	}
}

func TestSilentTasksDoNotDelayTheSweep(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(m *model.Model) { m.Policy.Timeout = 0 })
	h.change(func(o *dispatch.Options) { o.Rate = 1e6 })
	h.acceptAtOnce(t, 600)
	h.launch(t)
	for _, arn := range h.aws.ECS.Tasks() {
		h.observe(t, h.aws.ECS.Start(arn))
	}
	late := h.accept(t, "late.csv")
	h.aws.TakeQueued() // its message is lost
	for range 31 {
		h.sweepAfter(t, time.Minute)
	}
	h.launch(t)
	h.wantRun(t, late, run.Running, "")
}

func TestRunWithoutCapacityForADayFails(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	capacity := 0
	h.limitLiveTasks(&capacity, run.ClassQuota)
	id := h.accept(t, "a.csv")
	for range 25 * 60 {
		h.launch(t)
		h.sweepAfter(t, time.Minute)
	}
	h.wantRun(t, id, run.Failed, run.ClassQuota)
	if n := h.aws.Announced()[run.DetailWaiting]; n != 1 {
		t.Errorf("%s was announced %d times, want once", run.DetailWaiting, n)
	}
}

// TestWaitForLaunchStartsAgainAfterEachTask interrupts a task that ran longer than a run may wait for its launch.
func TestWaitForLaunchStartsAgainAfterEachTask(t *testing.T) {
	t.Parallel()
	h, _, id := newHarnessWithTask(t)
	h.now = h.now.Add(25 * time.Hour)
	h.observe(t, h.aws.ECS.StopWith(h.newestTask(), func(t *event.Task) {
		t.StopCode, t.StoppedReason = "SpotInterruption", "Your Spot Task was interrupted."
	}))
	h.sweepAfter(t, 5*time.Minute)
	h.launch(t)
	if r := h.run(t, id); r.Attempt != 2 || r.State != run.Running {
		t.Errorf("after an interruption at 25 h the run is %s in attempt %d with outcome %v, want running in attempt 2",
			r.State, r.Attempt, r.Outcome)
	}
}

// TestTaskWithoutCapacityOpensBreaker lets RunTask succeed, and each task stop before it starts, for lack of capacity.
func TestTaskWithoutCapacityOpensBreaker(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.acceptEach(t, "a.csv", "b.csv", "c.csv")
	for range 60 * 6 {
		h.launch(t)
		for _, arn := range h.aws.ECS.Tasks() {
			if h.aws.ECS.Task(arn).LastStatus != "STOPPED" {
				h.observe(t, h.aws.ECS.StopWith(arn, func(t *event.Task) {
					t.StopCode, t.Containers = "TaskFailedToStart", nil
					t.StoppedReason = "Unexpected EC2 error while attempting to Create Network Interface: InsufficientFreeAddressesInSubnet"
				}))
			}
		}
		h.sweepAfter(t, 10*time.Second)
	}
	if n := len(h.aws.ECS.Tasks()); n < 50 || n > 70 {
		t.Errorf("%d tasks were started in an hour without capacity, want about one a minute", n)
	}
}

// TestProbeDuringLeaseIsLaunchedAfterIt releases a run from a breaker while the lease of its last call is not over.
func TestProbeDuringLeaseIsLaunchedAfterIt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	r := run.Accept(run.AcceptInput{ID: "s-1", Model: sales()}, now).Run.Claim(now).Run
	noCapacity := run.TaskObservation{ARN: "arn:x", Status: "STOPPED", Outcome: &run.Outcome{Class: run.ClassCapacity}}
	released := r.Observed(1, noCapacity, run.RetryInputs{}, now).Run.Release(run.ReleasedAsProbe, now)
	sent, isEnqueue := released.Effects[len(released.Effects)-1].Effect.(run.Enqueue)
	if released.Kind != run.Released || released.Run.CanLaunch(now) || !isEnqueue || !released.Run.CanLaunch(sent.At) {
		t.Errorf("the transition is %q with effects %+v; want an enqueue at the end of the lease at %s",
			released.Kind, released.Effects, released.Run.Lease)
	}
}

// hookedStore is a store that calls a hook after each Get.
type hookedStore struct {
	store.Store
	onGet func(store.Key) // may be nil
}

func (s *hookedStore) Get(ctx context.Context, key store.Key) (store.Doc, error) {
	doc, err := s.Store.Get(ctx, key)
	if s.onGet != nil {
		s.onGet(key)
	}
	return doc, err
}

// TestSlotIsNotGrantedByStaleGroup reads a group that is full, and empties and fills it again before the commit. The
// commit must end in a conflict, so that the group does not get a second holder.
func TestSlotIsNotGrantedByStaleGroup(t *testing.T) {
	t.Parallel()
	var models []model.Model
	for _, name := range []string{"aaa", "bbb"} {
		m := sales()
		m.Name, m.Triggers[0].Arrival = name, []string{"s3://landing/" + name + "/{name}.csv"}
		m.Policy.Concurrency = &model.Concurrency{Pool: "p"}
		models = append(models, m)
	}
	h := newHarnessFor(t, model.Catalog{Models: models, Pools: map[string]int{"p": 1}})
	hooked := &hookedStore{Store: h.options.Store}
	h.change(func(o *dispatch.Options) { o.Store = hooked })
	first := h.accept(t, "aaa/x.csv")
	h.launch(t)
	h.now = h.now.Add(time.Second)
	if _, err := h.Pause(t.Context(), "bbb", "", ""); err != nil {
		t.Fatal(err)
	}
	ahead := h.accept(t, "bbb/y.csv")
	h.now = h.now.Add(time.Second)
	behind := h.accept(t, "aaa/r.csv")
	group := h.run(t, behind).Group
	hooked.onGet = func(key store.Key) {
		if key.PK != "group/"+group.String() || key.SK != "holders" {
			return
		}
		hooked.onGet = nil // the run that is ahead gets the slot
		if _, err := h.Resume(t.Context(), "bbb", ""); err != nil {
			t.Error(err)
		}
		h.exitTask(t, first, 0)
	}
	h.sweepAfter(t, run.RequeueAfter)
	h.wantStatuses(t, []string{first, ahead, behind}, "succeeded", "launch", "slot")
}

// TestGroupKeepsItsLimitAfterModelLeftPool takes a model out of a pool, as a deploy can, while a run waits in the
// group of the pool.
func TestGroupKeepsItsLimitAfterModelLeftPool(t *testing.T) {
	t.Parallel()
	m := sales()
	m.Policy.Concurrency = &model.Concurrency{Pool: "p"}
	h := newHarnessFor(t, model.Catalog{Models: []model.Model{m}, Pools: map[string]int{"p": 1}})
	ids := h.acceptEach(t, "a.csv", "b.csv")
	m.Policy.Concurrency = &model.Concurrency{Limit: 5}
	h.change(func(o *dispatch.Options) { o.Catalog.Models = []model.Model{m} })
	h.sweepAfter(t, run.RequeueAfter)
	h.wantStatuses(t, ids, "launch", "slot")
}

// TestDownstreamRunGetsValueOfFileInput passes on a small input, whose value is in the spec, and a large one, of which
// the spec has only the URI.
func TestDownstreamRunGetsValueOfFileInput(t *testing.T) {
	t.Parallel()
	up, down := sales(), sales()
	rows := model.Input{Name: "rows", Type: model.JSON, AsFile: true}
	up.Name, up.Inputs, up.Triggers = "up", append(up.Inputs, rows), nil
	down.Name, down.Inputs = "down", append(down.Inputs, rows)
	down.Triggers = []model.Trigger{{Name: "after", Kind: model.After, After: []string{"up"}, Fields: "upstream"}}
	for _, n := range []int{10, 2000} {
		h := newHarnessFor(t, model.Catalog{Models: []model.Model{down, up}})
		value := "[" + strings.Repeat(`"x",`, n) + `"y"]`
		inputs := model.Inputs{"name": "may", "rows": value}
		_, err := h.AcceptBinding(t.Context(), event.Manual("up", inputs, "", h.now), manualBinding(up, inputs, true))
		if err != nil {
			t.Fatal(err)
		}
		h.launch(t)
		h.observe(t, h.aws.ECS.Exit(h.newestTask(), 0))
		downstream := 0
		for _, uri := range h.aws.ObjectURIs() {
			if strings.Contains(uri, "/inputs/down-") {
				downstream++
				if got := string(h.aws.Objects[uri]); got != value {
					t.Errorf("the value of %d bytes arrives as %.60s…", len(value), got)
				}
			}
		}
		if downstream != 1 {
			t.Errorf("%d downstream runs, want 1", downstream)
		}
	}
}

// TestPausedTriggersAllowDownstreamOfManualRun pauses all triggers. A manual run still starts its downstream model if
// the user asked for that.
func TestPausedTriggersAllowDownstreamOfManualRun(t *testing.T) {
	t.Parallel()
	up, down := sales(), sales()
	up.Name, down.Name = "up", "down"
	down.Triggers = []model.Trigger{{Name: "after", Kind: model.After, After: []string{"up"}, Fields: "upstream"}}
	h := newHarnessFor(t, model.Catalog{Models: []model.Model{down, up}, Paused: true})
	inputs := model.Inputs{"name": "may"}
	for n, downstream := range []bool{false, true} {
		_, err := h.AcceptBinding(t.Context(), event.Manual("up", inputs, fmt.Sprint(n), h.now), manualBinding(up, inputs, downstream))
		if err != nil {
			t.Fatal(err)
		}
		h.launch(t)
		h.observe(t, h.aws.ECS.Exit(h.newestTask(), 0))
		if got := len(h.aws.Queued); got != n {
			t.Errorf("StartsDownstream %t: %d downstream runs, want %d", downstream, got, n)
		}
	}
}

// TestPermanentErrorDropsEffect makes an announcement fail for ever, and a wake message for now. Only the announcement
// is dropped, with its reason.
func TestPermanentErrorDropsEffect(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	var dropped []run.Effect
	h.change(func(o *dispatch.Options) { o.Hooks.EffectDropped = func(e run.Effect) { dropped = append(dropped, e) } })
	fault := fmt.Errorf("MalformedDetail; %w", dispatch.ErrPermanent)
	h.aws.Fail = func(call string) error {
		switch call {
		case "Announce":
			return fault
		case "Wake":
			return errors.New("try again later")
		}
		return nil
	}
	id := h.accept(t, "a.csv")
	h.launch(t)
	h.observe(t, h.aws.ECS.Start(h.newestTask()))
	r := h.run(t, id)
	const reason = "announce-run: MalformedDetail"
	if len(dropped) != 1 || len(r.Outbox.Dropped) != 1 || !strings.Contains(r.Outbox.Dropped[0], reason) {
		t.Errorf("the hook was called for %v, and the outbox notes %q; want one effect with %q", dropped, r.Outbox.Dropped, reason)
	}
	for _, p := range r.Outbox.Effects {
		if p.Effect.Kind() == run.KindAnnounceRun {
			t.Errorf("the effect is still in the outbox: %v", p)
		}
	}
}

// TestIgnoredObservationIsLogged observes tasks that change nothing. Each of them is logged in one line.
func TestIgnoredObservationIsLogged(t *testing.T) {
	t.Parallel()
	h, _, id := newHarnessWithTask(t)
	known := h.aws.ECS.Task(h.newestTask())
	older := known
	older.Version = 1
	foreign, unknownRun := known, known
	foreign.StartedBy = "elsewhere/" + id + "/1"
	unknownRun.StartedBy = "test/sales-000000000000/1"
	for message, task := range map[string]event.Task{
		"known already": known, "older": older, "task of another deployment": foreign, "task of an unknown run": unknownRun,
	} {
		var output bytes.Buffer
		before := h.run(t, id)
		if err := h.Observe(zerolog.New(&output).WithContext(t.Context()), task); err != nil {
			t.Error(err)
		}
		if got := output.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, message) {
			t.Errorf("log = %s, want one line with %q", got, message)
		}
		if after := h.run(t, id); after.Task != before.Task || after.State != before.State {
			t.Errorf("%s: the run was changed", message)
		}
	}
}

// TestDocumentsOfEndedRunExpire checks that all documents of a run expire after its end, and none before.
func TestDocumentsOfEndedRunExpire(t *testing.T) {
	t.Parallel()
	h, _, id := newHarnessWithTask(t)
	h.change(func(o *dispatch.Options) { o.Retention = records.Retention(40 * 24 * time.Hour) })
	keys := []store.Key{records.RunKey(id), records.SpecKey(id), records.AttemptKey(id, 1)}
	wantExpires := func(want time.Time) {
		t.Helper()
		for _, key := range keys {
			if doc, err := h.options.Store.Get(t.Context(), key); err != nil || !doc.Expires.Equal(want) {
				t.Errorf("%s expires %s, %v, want %s", key, doc.Expires, err, want)
			}
		}
	}
	wantExpires(time.Time{})
	h.now = h.now.Add(time.Hour)
	h.exitTask(t, id, 0)
	wantExpires(h.options.Retention.Since(h.now))
}
