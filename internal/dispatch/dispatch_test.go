package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/dispatch/dispatchtest"
	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/limiter"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/route"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/memory"
)

// harness holds a dispatcher, an in-memory AWS and store, and a clock that the test moves.
type harness struct {
	*dispatch.Dispatcher
	options dispatch.Options // of the dispatcher
	aws     *dispatchtest.AWS
	now     time.Time
}

// newHarness returns a harness whose catalog has one model, as sales returns it and change changes it.
func newHarness(t *testing.T, change func(*model.Model)) *harness {
	t.Helper()
	m := sales()
	if change != nil {
		change(&m)
	}
	return newHarnessFor(t, model.Catalog{Models: []model.Model{m}})
}

// sales returns a model that an object s3://landing/{name}.csv starts. It has one attempt and runs on demand.
func sales() model.Model {
	return model.Model{
		Name: "sales", Task: model.Task{Family: "sales", Container: "model", Capacity: []model.Capacity{model.OnDemand}},
		Inputs:   []model.Input{{Name: "name", Type: model.String}},
		Triggers: []model.Trigger{{Name: "arrival", Kind: model.Arrival, Arrival: []string{"s3://landing/{name}.csv"}}},
		Policy:   model.Policy{Timeout: time.Hour, Retry: model.Retry{Attempts: 1}},
	}
}

// newHarnessFor returns a harness for a catalog. Its clock starts at nine o'clock UTC, on Saturday, 14 March 2026.
func newHarnessFor(t *testing.T, c model.Catalog) *harness {
	t.Helper()
	h := &harness{now: time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)}
	h.aws = dispatchtest.New(func() time.Time { return h.now })
	c.Schema, c.Environment = model.Schema, "test"
	routes, err := route.New(c)
	if err != nil {
		t.Fatal(err)
	}
	h.options = dispatch.Options{
		Deployment: "test", Catalog: c, Routes: routes, Placement: fargate.Placement{Cluster: "c", Subnets: []string{"s"}},
		Bucket: "state", Store: memory.New(), Queue: h.aws, Launcher: h.aws.ECS, Watcher: h.aws.ECS, Objects: h.aws, Bus: h.aws,
		Now: func() time.Time { return h.now }, Random: func() float64 { return 0.5 },
	}
	h.Dispatcher = dispatch.New(h.options)
	return h
}

// change replaces the dispatcher by one with changed options.
func (h *harness) change(change func(*dispatch.Options)) {
	change(&h.options)
	h.Dispatcher = dispatch.New(h.options)
}

// accept accepts the arrival of an object, and returns the id of its run.
func (h *harness) accept(t *testing.T, key string) string {
	t.Helper()
	decisions, err := h.Accept(t.Context(), event.AssumedArrival("landing", key, h.now))
	if err != nil || len(decisions) != 1 || decisions[0].Run == "" {
		t.Fatalf("Accept = %+v, %v, want one run", decisions, err)
	}
	return decisions[0].Run
}

// launch launches the runs on the launch queue, as the launch function does.
func (h *harness) launch(t *testing.T) {
	t.Helper()
	ids := h.aws.TakeQueued()
	reservations, err := h.Reserve(t.Context(), ids...)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if err := h.Launch(t.Context(), id, reservations[id]); err != nil {
			t.Fatal(err)
		}
	}
}

// observe observes a task, as its state-change event shows it.
func (h *harness) observe(t *testing.T, task event.Task) {
	t.Helper()
	if err := h.Observe(t.Context(), task); err != nil {
		t.Fatal(err)
	}
}

// sweepAfter moves the clock on, and sweeps.
func (h *harness) sweepAfter(t *testing.T, d time.Duration) {
	t.Helper()
	h.now = h.now.Add(d)
	if err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// run reads a run.
func (h *harness) run(t *testing.T, id string) run.Run {
	t.Helper()
	r, _, err := records.Read[run.Run](t.Context(), h.options.Store, records.RunKey(id))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// newestTask returns the ARN of the task that was started last.
func (h *harness) newestTask() string {
	tasks := h.aws.ECS.Tasks()
	return tasks[len(tasks)-1]
}

// outOfMemory ends a task as ECS does when its container runs out of memory.
func outOfMemory(t *event.Task) {
	code := 137
	t.StopCode, t.StoppedReason = "EssentialContainerExited", "Essential container in task exited"
	t.Containers[0].ExitCode, t.Containers[0].Reason = &code, "OutOfMemoryError: Container killed due to memory usage"
}

// onlyTask returns the ARN of the only task that was started.
func (h *harness) onlyTask(t *testing.T) string {
	t.Helper()
	tasks := h.aws.ECS.Tasks()
	if len(tasks) != 1 {
		t.Fatalf("%d tasks were started, want 1", len(tasks))
	}
	return tasks[0]
}

// wantRun checks the state of a run and the class of its outcome; an empty class means that it has none.
func (h *harness) wantRun(t *testing.T, id string, state run.State, class run.Class) {
	t.Helper()
	r := h.run(t, id)
	got := run.Class("")
	if r.Outcome != nil {
		got = r.Outcome.Class
	}
	if r.State != state || got != class {
		t.Errorf("run %s is %s with outcome %v, want %s with class %q", id, r.State, r.Outcome, state, class)
	}
}

func TestFromAnObjectToItsEnd(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	id := h.accept(t, "may.csv")
	h.launch(t)
	arn := h.onlyTask(t)
	h.observe(t, h.aws.ECS.Start(arn))
	h.observe(t, h.aws.ECS.Exit(arn, 0))
	h.wantRun(t, id, run.Succeeded, run.ClassSucceeded)
	if got := fmt.Sprint(h.aws.Announced()); got != "map[Model Run Started:1 Model Run Succeeded:1]" {
		t.Errorf("announcements: %s", got)
	}
	attempt, _, err := records.Read[run.Attempt](t.Context(), h.options.Store, records.AttemptKey(id, 1))
	if err != nil || attempt.Task != arn || attempt.Outcome == nil || attempt.Ended.IsZero() {
		t.Errorf("attempt = %+v, %v", attempt, err)
	}
	if r := h.run(t, id); len(r.Outbox.Effects) > 0 {
		t.Errorf("effects in the outbox: %+v, want none", r.Outbox.Effects)
	}
}

func TestDuplicateIsCountedAndStartsNoRun(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	e := event.AssumedArrival("landing", "may.csv", h.now)
	for delivery := 1; delivery <= 3; delivery++ {
		d, err := h.Accept(t.Context(), e)
		if err != nil || (delivery == 1) != (d[0].Kind == records.Started) {
			t.Errorf("delivery %d = %+v, %v", delivery, d, err)
		}
	}
	if len(h.aws.Queued) != 1 {
		t.Errorf("%d runs are queued, want 1", len(h.aws.Queued))
	}
	record, _, err := records.Read[records.EventRecord](t.Context(), h.options.Store, records.EventKey(e.Identity, "sales", ""))
	if err != nil || record.Duplicates != 2 {
		t.Errorf("record has %d duplicates, %v; want 2", record.Duplicates, err)
	}
}

// TestRefusals checks that the class of a refusal decides between a call with the same token, a new attempt, and the
// end of the run.
func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		class    run.Class // the class of the refusal of the first call; ECS accepts the second one
		attempts int
		calls    int
		state    run.State
	}{
		{run.ClassThrottled, 1, 2, run.Running},
		{run.ClassCapacity, 2, 2, run.Running},
		{run.ClassQuota, 2, 2, run.Running},
		{run.ClassUnknown, 2, 2, run.Running},
		{run.ClassMisconfigured, 1, 1, run.Failed},
	}
	for _, test := range tests {
		t.Run(string(test.class), func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, nil)
			var requests []fargate.Request
			h.aws.ECS.Refuse = func(r fargate.Request) *run.Outcome {
				if requests = append(requests, r); len(requests) > 1 {
					return nil
				}
				return &run.Outcome{Class: test.class, Detail: "no"}
			}
			id := h.accept(t, "may.csv")
			h.launch(t)
			h.sweepAfter(t, 20*time.Minute)
			h.launch(t)
			if r := h.run(t, id); r.State != test.state || r.Attempt != test.attempts || h.aws.ECS.Calls != test.calls {
				t.Errorf("run is %s in attempt %d after %d calls, want %s in attempt %d after %d calls",
					r.State, r.Attempt, h.aws.ECS.Calls, test.state, test.attempts, test.calls)
			}
			if len(requests) == 2 && (requests[0].ClientToken == requests[1].ClientToken) != (test.attempts == 1) {
				t.Errorf("%d attempts with the tokens %s and %s", test.attempts, requests[0].ClientToken, requests[1].ClientToken)
			}
		})
	}
}

// TestRepeatedCallSendsStoredRequest checks that a deploy between two calls does not change the request: ECS ties a
// client token to a cluster and to the other parameters.
func TestRepeatedCallSendsStoredRequest(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.aws.ECS.Refuse = func(fargate.Request) *run.Outcome { return &run.Outcome{Class: run.ClassThrottled} }
	id := h.accept(t, "may.csv")
	h.launch(t)
	h.aws.ECS.Refuse = nil
	h.change(func(o *dispatch.Options) { o.Placement.Cluster = "another" })
	h.sweepAfter(t, 5*time.Minute)
	h.launch(t)
	if task := h.aws.ECS.Task(h.onlyTask(t)); task.ClusterARN != "c" {
		t.Errorf("run %s was launched in cluster %q, want c as in the first call", id, task.ClusterARN)
	}
}

// TestReplayedAnswerHasNoOutcome loses the first answer of RunTask. The task stops before the same token is sent
// again, so the second answer shows only its statuses. The sweep then finds the outcome.
func TestReplayedAnswerHasNoOutcome(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	id := h.accept(t, "may.csv")
	h.change(func(o *dispatch.Options) { o.Launcher = lossyLauncher{h.aws.ECS} })
	h.launch(t)
	h.change(func(o *dispatch.Options) { o.Launcher = h.aws.ECS })
	h.aws.ECS.Exit(h.onlyTask(t), 0)
	h.sweepAfter(t, 2*time.Minute)
	h.launch(t)
	h.wantRun(t, id, run.Running, run.ClassThrottled)
	h.sweepAfter(t, 6*time.Minute)
	h.wantRun(t, id, run.Succeeded, run.ClassSucceeded)
	h.onlyTask(t)
}

// lossyLauncher is an ECS that starts tasks, but whose answers to RunTask get lost.
type lossyLauncher struct{ *dispatchtest.ECS }

func (l lossyLauncher) RunTask(ctx context.Context, request json.RawMessage, deadline time.Time) (fargate.Answer, error) {
	_, err := l.ECS.RunTask(ctx, request, deadline)
	return fargate.Answer{Refusal: &run.Outcome{Class: run.ClassThrottled, Detail: "no answer"}}, err
}

func TestSweepFindsOutcomeWithoutEvent(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	id := h.accept(t, "may.csv")
	h.launch(t)
	arn := h.onlyTask(t)
	h.aws.ECS.Start(arn)
	h.aws.ECS.Exit(arn, 0)
	h.sweepAfter(t, 4*time.Minute)
	h.wantRun(t, id, run.Running, "")
	h.sweepAfter(t, 2*time.Minute)
	h.wantRun(t, id, run.Succeeded, run.ClassSucceeded)
}

func TestTaskThatECSForgotIsLost(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	id := h.accept(t, "may.csv")
	h.launch(t)
	h.aws.ECS.Exit(h.onlyTask(t), 0)
	h.now = h.now.Add(65 * time.Minute) // ECS forgets a stopped task after an hour; meanwhile no sweep runs
	for range 3 {
		h.wantRun(t, id, run.Running, "")
		h.sweepAfter(t, 6*time.Minute)
	}
	h.wantRun(t, id, run.Failed, run.ClassLost)
}

func TestMissingOutputFailsRun(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(m *model.Model) {
		uri, err := model.ParseTemplate("s3://results/{name}.csv")
		if err != nil {
			t.Fatal(err)
		}
		m.Outputs = []model.Output{{Name: "forecast", URI: uri}}
	})
	h.aws.Objects["s3://results/june.csv"] = []byte("x")
	may, june := h.accept(t, "may.csv"), h.accept(t, "june.csv")
	h.launch(t)
	for _, arn := range h.aws.ECS.Tasks() {
		h.observe(t, h.aws.ECS.Exit(arn, 0))
	}
	h.wantRun(t, june, run.Succeeded, run.ClassSucceeded)
	h.wantRun(t, may, run.Failed, run.ClassOutputMissing)
	if detail := h.run(t, may).Outcome.Detail; !strings.Contains(detail, `"forecast" is not there: s3://results/may.csv`) {
		t.Errorf("the outcome says %q, want the name and the URI of the missing output", detail)
	}
}

// TestFailedEffectsAreRepeated makes the services fail while effects are carried out. The sweep repeats the effects.
func TestFailedEffectsAreRepeated(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.aws.Fail = func(string) error { return errors.New("unavailable") }
	id := h.accept(t, "may.csv")
	if len(h.aws.Queued) > 0 {
		t.Fatal("the run is queued although the queue fails")
	}
	h.aws.Fail = nil
	h.sweepAfter(t, 2*time.Minute)
	h.launch(t)
	arn := h.onlyTask(t)
	h.aws.Fail = func(call string) error { return fmt.Errorf("%s is unavailable", call) }
	if err := h.Observe(t.Context(), h.aws.ECS.Exit(arn, 3)); err != nil {
		t.Fatal(err)
	}
	h.wantRun(t, id, run.Failed, run.ClassModelError)
	h.aws.Fail = nil
	h.sweepAfter(t, 5*time.Minute)
	if h.aws.Announced()["Model Run Failed"] != 1 {
		t.Errorf("announcements: %v, want one Model Run Failed", h.aws.Announced())
	}
}

// TestRepeatedAnnouncementKeepsItsID loses the answers to the first announcements, so that the sweep repeats them.
func TestRepeatedAnnouncementKeepsItsID(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.change(func(o *dispatch.Options) { o.Bus = lossyBus{h.aws} })
	id := h.accept(t, "may.csv")
	h.launch(t)
	h.observe(t, h.aws.ECS.Exit(h.onlyTask(t), 0))
	h.change(func(o *dispatch.Options) { o.Bus = h.aws })
	h.sweepAfter(t, 2*time.Minute)
	ids := map[string]int{}
	for _, a := range h.aws.Announcements {
		var detail dispatch.RunDetail
		if err := json.Unmarshal(a.Detail, &detail); err != nil || detail.Run != id {
			t.Errorf("announcement %s: %v", a.Detail, err)
		}
		ids[detail.ID]++
	}
	if len(h.aws.Announcements) < 2 || len(ids) != len(h.aws.Announced()) {
		t.Errorf("%d announcements of %v have %d ids, want one id for each detail type",
			len(h.aws.Announcements), h.aws.Announced(), len(ids))
	}
}

// lossyBus is a bus that emits announcements, but whose answers get lost.
type lossyBus struct{ *dispatchtest.AWS }

func (b lossyBus) Announce(ctx context.Context, a dispatch.Announcement) error {
	return errors.Join(b.AWS.Announce(ctx, a), errors.New("the answer was lost"))
}

func TestLargePayloadIsInStateBucket(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	e := event.AssumedArrival("landing", "may.csv", h.now)
	e.Payload = json.RawMessage(`"` + strings.Repeat("x", 40_000) + `"`)
	if _, err := h.Accept(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	record, _, err := records.Read[records.EventRecord](t.Context(), h.options.Store, records.EventKey(e.Identity, "sales", ""))
	object := h.aws.Objects[record.PayloadURI]
	if err != nil || record.Payload != nil || string(object) != string(e.Payload) {
		t.Errorf("the record has %d bytes of payload, and %q has %d bytes, %v", len(record.Payload), record.PayloadURI, len(object), err)
	}
}

// manualBinding returns the binding of a manual run, as the command line makes it.
func manualBinding(m model.Model, inputs model.Inputs, startsDownstream bool) route.Binding {
	trigger := model.Trigger{Name: "manual", Kind: model.Manual}
	return route.Binding{Model: m, Trigger: trigger, Inputs: inputs, StartsDownstream: startsDownstream}
}

// TestLargeInputIsInStateBucket gives a model an input of 300 KB. As a file, it reaches the task, and the documents and
// announcements stay small. Otherwise the event is rejected, and the reason names the remedy.
func TestLargeInputIsInStateBucket(t *testing.T) {
	t.Parallel()
	rows := `[` + strings.Repeat(`"x",`, 75_000) + `"y"]`
	for _, asFile := range []bool{true, false} {
		h := newHarness(t, func(m *model.Model) {
			m.Inputs = append(m.Inputs, model.Input{Name: "rows", Type: model.JSON, AsFile: asFile})
		})
		m, _ := h.options.Catalog.Model("sales")
		inputs := model.Inputs{"name": "may", "rows": rows}
		d, err := h.AcceptBinding(t.Context(), event.Manual("sales", inputs, "", h.now), manualBinding(m, inputs, false))
		if err != nil {
			t.Fatal(err)
		}
		if !asFile {
			if d.Kind != records.Rejected || !strings.Contains(d.Reason, "as: file") {
				t.Errorf("decision without as: file = %+v, want rejected with this remedy", d)
			}
			continue
		}
		h.launch(t)
		spec, _, err := records.Read[run.Spec](t.Context(), h.options.Store, records.SpecKey(d.Run))
		uri := spec.Inputs["rows"]
		if err != nil || !strings.HasPrefix(uri, "s3://state/inputs/") || string(h.aws.Objects[uri]) != rows {
			t.Errorf("input rows of the spec has %d bytes, %v; want the URI of an object that holds the value", len(uri), err)
		}
		if len(h.aws.Announcements) == 0 {
			t.Error("there is no announcement, want some that are small")
		}
		for _, a := range h.aws.Announcements {
			if len(a.Detail) > 10_000 {
				t.Errorf("%s has %d bytes", a.DetailType, len(a.Detail))
			}
		}
		for _, key := range []store.Key{records.RunKey(d.Run), records.SpecKey(d.Run), records.AttemptKey(d.Run, 1)} {
			if doc, err := h.options.Store.Get(t.Context(), key); err != nil || len(doc.Body) > 10_000 {
				t.Errorf("%s has %d bytes, %v", key, len(doc.Body), err)
			}
		}
	}
}

func TestForeignTasksAreIgnored(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	for _, startedBy := range []string{"", "ecs-svc/1", "other/sales-aaaaaaaaaaaa/1", "test/sales-aaaaaaaaaaaa/1", "test/x"} {
		h.observe(t, event.Task{ARN: "arn", StartedBy: startedBy, LastStatus: "STOPPED"})
	}
	if len(h.aws.Announcements) > 0 {
		t.Errorf("announcements: %v, want none", h.aws.Announced())
	}
}

// TestNewerSchemaIsAnError launches a run whose spec newer code wrote: a deploy does not update all functions at the
// same moment.
func TestNewerSchemaIsAnError(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	id := h.accept(t, "may.csv")
	doc, err := h.options.Store.Get(t.Context(), records.SpecKey(id))
	if err != nil {
		t.Fatal(err)
	}
	doc.Body = []byte(`{"schema": 99}`)
	if err := h.options.Store.Commit(t.Context(), store.Update(doc)); err != nil {
		t.Fatal(err)
	}
	if err := h.Launch(t.Context(), id, limiter.Reservation{}); err == nil || !strings.Contains(err.Error(), "newer code wrote it") {
		t.Errorf("Launch = %v, want an error that says that newer code wrote the document", err)
	}
}

// TestOutOfMemoryTaskIsFollowedByLargerOne raises the memory up to its maximum. Only after that the run uses its
// retries.
func TestOutOfMemoryTaskIsFollowedByLargerOne(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(m *model.Model) { m.Policy.Retry.OutOfMemory = &model.OutOfMemory{MaxMemory: 3072} })
	h.aws.ECS.Size, h.aws.ECS.ContainerMemoryMiB = model.Size{CPU: 256, Memory: 1024}, 900
	id := h.accept(t, "a.csv")
	for attempt, want := range []struct {
		memory, cpu string
		limit       int
	}{{"", "", 0}, {"2048", "", 1924}, {"3072", "512", 2948}} {
		h.launch(t)
		a, _, err := records.Read[run.Attempt](t.Context(), h.options.Store, records.AttemptKey(id, attempt+1))
		if err != nil {
			t.Fatal(err)
		}
		var request fargate.Request
		if err := json.Unmarshal(a.Request, &request); err != nil {
			t.Fatal(err)
		}
		o := request.Overrides
		if o.Memory != want.memory || want.cpu != "" && o.CPU != want.cpu || o.ContainerOverrides[0].Memory != want.limit {
			t.Errorf("attempt %d asks for %s MiB, %s CPU units, and a limit of %d MiB, want %v",
				attempt+1, o.Memory, o.CPU, o.ContainerOverrides[0].Memory, want)
		}
		h.observe(t, h.aws.ECS.StopWith(h.newestTask(), outOfMemory))
	}
	h.wantRun(t, id, run.Failed, run.ClassOutOfMemory)
}
