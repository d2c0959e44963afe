package dispatch_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
)

// status returns the run's WaitingFor, or its state if it does not wait.
func (h *harness) status(t *testing.T, id string) string {
	t.Helper()
	r := h.run(t, id)
	if r.State == run.Waiting {
		return string(r.WaitingFor)
	}
	return string(r.State)
}

// acceptEach accepts the arrival of one object after another, a second apart, and returns the ids of their runs.
func (h *harness) acceptEach(t *testing.T, keys ...string) []string {
	t.Helper()
	var ids []string
	for _, key := range keys {
		ids = append(ids, h.accept(t, key))
		h.now = h.now.Add(time.Second)
	}
	return ids
}

// exitTask ends the task of a run with an exit code, and observes it.
func (h *harness) exitTask(t *testing.T, id string, code int) {
	t.Helper()
	h.observe(t, h.aws.ECS.Exit(h.run(t, id).Task.ARN, code))
}

// wantStatuses checks the statuses of runs.
func (h *harness) wantStatuses(t *testing.T, ids []string, want ...string) {
	t.Helper()
	var got []string
	for _, id := range ids {
		got = append(got, h.status(t, id))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the runs are %v, want %v", got, want)
	}
}

// limit returns a change of a model that limits its concurrency.
func limit(n int, overlap model.Overlap) func(*model.Model) {
	return func(m *model.Model) { m.Policy.Concurrency = &model.Concurrency{Limit: n, Overlap: overlap} }
}

func TestSlotsAreGrantedInOrder(t *testing.T) {
	t.Parallel()
	h := newHarness(t, limit(2, model.OverlapQueue))
	ids := h.acceptEach(t, "a.csv", "b.csv", "c.csv", "d.csv")
	h.wantStatuses(t, ids, "launch", "launch", "slot", "slot")
	h.launch(t)
	h.exitTask(t, ids[1], 0)
	h.wantStatuses(t, ids, "running", "succeeded", "launch", "slot")
	if err := h.Cancel(t.Context(), ids[2], "not needed", "ann"); err != nil {
		t.Fatal(err)
	}
	h.wantStatuses(t, ids, "running", "succeeded", "cancelled", "launch")
	if n := h.aws.Announced()[run.DetailWaiting]; n != 2 {
		t.Errorf("%d runs were announced as waiting, want the 2 runs that found no free slot", n)
	}
}

func TestRunKeepsItsSlotBetweenAttempts(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(m *model.Model) {
		limit(1, model.OverlapQueue)(m)
		m.Policy.Retry = model.Retry{Attempts: 2, BackoffMin: time.Minute, BackoffMax: time.Minute}
	})
	ids := h.acceptEach(t, "a.csv", "b.csv")
	h.launch(t)
	h.exitTask(t, ids[0], 1)
	h.wantStatuses(t, ids, "backoff", "slot")
	h.sweepAfter(t, 2*time.Minute)
	h.launch(t)
	h.exitTask(t, ids[0], 1)
	h.wantStatuses(t, ids, "failed", "launch")
}

func TestOverlapSkip(t *testing.T) {
	t.Parallel()
	h := newHarness(t, limit(1, model.OverlapSkip))
	ids := h.acceptEach(t, "a.csv", "b.csv")
	h.wantStatuses(t, ids, "launch", "skipped")
	if o := h.run(t, ids[1]).Outcome; o.Class != run.ClassOverlap || !strings.Contains(o.Detail, ids[0]) {
		t.Errorf("the outcome is %v, want overlap with the id of the holder", o)
	}
}

func TestOverlapReplace(t *testing.T) {
	t.Parallel()
	h := newHarness(t, limit(1, model.OverlapReplace))
	ids := h.acceptEach(t, "a.csv")
	h.launch(t)
	ids = append(ids, h.acceptEach(t, "b.csv", "c.csv")...)
	h.wantStatuses(t, ids, "running", "skipped", "slot")
	if task := h.aws.ECS.Task(h.newestTask()); task.DesiredStatus != "RUNNING" {
		t.Error("Accept stopped the task, but the accepting functions may not call ECS")
	}
	h.sweepAfter(t, 0)
	h.exitTask(t, ids[0], 143)
	h.wantStatuses(t, ids, "cancelled", "skipped", "launch")
	if o := h.run(t, ids[0]).Outcome; !strings.Contains(o.Detail, ids[1]) {
		t.Errorf("the outcome is %v, want the id of the first run that replaced it", o)
	}
}

func TestGroupsByPerAndPools(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(m *model.Model) { m.Policy.Concurrency = &model.Concurrency{Limit: 1, Per: model.Per{"name"}} })
	h.wantStatuses(t, h.acceptEach(t, "a.csv", "b.csv"), "launch", "launch")

	both := []model.Model{sales(), sales()}
	for i := range both {
		both[i].Name = fmt.Sprint("sales-", i)
		both[i].Triggers[0].Arrival = []string{fmt.Sprintf("s3://landing/%d/{name}.csv", i)}
		both[i].Policy.Concurrency = &model.Concurrency{Pool: "warehouse"}
	}
	h = newHarnessFor(t, model.Catalog{Models: both, Pools: map[string]int{"warehouse": 1}})
	ids := h.acceptEach(t, "0/a.csv", "1/b.csv")
	h.wantStatuses(t, ids, "launch", "slot")
	h.launch(t)
	if _, err := h.Pause(t.Context(), "sales-1", "maintenance", "ann"); err != nil {
		t.Fatal(err)
	}
	ids = append(ids, h.acceptEach(t, "0/c.csv")...)
	h.exitTask(t, ids[0], 0)
	h.wantStatuses(t, ids, "succeeded", "slot", "launch") // a paused model does not delay other models in its pool
}

func TestResumeAdmitsRunsInOrder(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*model.Model){"without a limit": nil, "with a limit": limit(5, model.OverlapSkip)} {
		h := newHarness(t, change)
		if changed, err := h.Pause(t.Context(), "sales", "maintenance", "ann"); err != nil || !changed {
			t.Fatalf("%s: Pause = %t, %v", name, changed, err)
		}
		ids := h.acceptEach(t, "a.csv", "b.csv")
		h.wantStatuses(t, ids, "slot", "slot")
		h.sweepAfter(t, 30*time.Hour) // a pause may last longer than model.MaxWait
		h.wantStatuses(t, ids, "slot", "slot")
		if changed, err := h.Resume(t.Context(), "sales", "ann"); err != nil || !changed {
			t.Fatalf("%s: Resume = %t, %v", name, changed, err)
		}
		h.wantStatuses(t, ids, "launch", "launch")
		if got := h.aws.TakeQueued(); !slices.Equal(got, ids) {
			t.Errorf("%s: runs are queued in the order %v, want %v", name, got, ids)
		}
		if changed, err := h.Resume(t.Context(), "sales", "ann"); err != nil || changed {
			t.Errorf("%s: second Resume = %t, %v, want false", name, changed, err)
		}
		if a := h.aws.Announced(); a[dispatch.DetailPaused] != 1 || a[dispatch.DetailResumed] != 1 {
			t.Errorf("%s: announcements: %v, want one pause and one resume", name, a)
		}
	}
}

// TestPauseHoldsRunInEarlierStage pauses a model while a run of it waits for its debounce window or for objects. The
// run must not be launched when that wait ends during the pause.
func TestPauseHoldsRunInEarlierStage(t *testing.T) {
	t.Parallel()
	uri, err := model.ParseTemplate("s3://landing/rates.csv")
	if err != nil {
		t.Fatal(err)
	}
	for wait, change := range map[string]func(*model.Model){
		"debounce": func(m *model.Model) {
			m.Policy.Debounce = &model.Debounce{Quiet: 2 * time.Minute, MaxDelay: 5 * time.Minute}
		},
		"objects": func(m *model.Model) { m.Policy.WaitFor = &model.WaitFor{Objects: []model.Template{uri}} },
	} {
		h := newHarness(t, change)
		ids := h.acceptEach(t, "a.csv")
		h.wantStatuses(t, ids, wait)
		if _, err := h.Pause(t.Context(), "sales", "maintenance", "ann"); err != nil {
			t.Fatal(err)
		}
		if err := h.aws.Put(t.Context(), "s3://landing/rates.csv", nil); err != nil {
			t.Fatal(err)
		}
		h.sweepAfter(t, time.Hour)
		h.wantStatuses(t, ids, "slot")
		if _, err := h.Resume(t.Context(), "sales", "ann"); err != nil {
			t.Fatal(err)
		}
		h.wantStatuses(t, ids, "launch")
	}
}

func TestDebouncedEventsStartOneRunWithInputsOfLast(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(m *model.Model) {
		m.Inputs = append(m.Inputs, model.Input{Name: "day", Type: model.String})
		m.Triggers[0].Arrival = []string{"s3://landing/{day}/{name}.csv"}
		m.Policy.Debounce = &model.Debounce{Quiet: 2 * time.Minute, MaxDelay: 5 * time.Minute, Per: model.Per{"day"}}
	})
	first := h.accept(t, "monday/1.csv")
	h.wantStatuses(t, []string{first}, "debounce")
	for n := 2; n <= 10; n++ {
		h.sweepAfter(t, 20*time.Second)
		joining := event.AssumedArrival("landing", fmt.Sprintf("monday/%d.csv", n), h.now)
		for _, want := range []records.DecisionKind{records.Joined, records.Duplicate} {
			if got, err := h.Accept(t.Context(), joining); err != nil || got[0].Run != first || got[0].Kind != want {
				t.Errorf("decision about event %d = %+v, %v, want %s with run %s", n, got, err, want, first)
			}
		}
	}
	other := h.accept(t, "tuesday/1.csv")
	if other == first {
		t.Error("two debounce windows have the same run")
	}
	h.sweepAfter(t, time.Minute)
	h.wantStatuses(t, []string{first}, "debounce")
	h.sweepAfter(t, time.Minute) // 5 minutes after the first, and 2 after the last
	h.wantStatuses(t, []string{first}, "launch")
	spec, _, err := records.Read[run.Spec](t.Context(), h.options.Store, records.SpecKey(first))
	if err != nil || spec.Inputs["name"] != "10" {
		t.Errorf("the inputs are %v (%v), want the inputs of the last event", spec.Inputs, err)
	}
	if r := h.run(t, first); r.Joined != 9 {
		t.Errorf("%d events joined the run, want 9", r.Joined)
	}
	if late := h.accept(t, "monday/11.csv"); late == first {
		t.Error("an event joined a run whose debounce window has closed")
	}
}

func TestWaitForObjects(t *testing.T) {
	t.Parallel()
	rates, err := model.ParseTemplate("s3://landing/rates/{name}.csv")
	if err != nil {
		t.Fatal(err)
	}
	h := newHarness(t, func(m *model.Model) {
		m.Policy.WaitFor = &model.WaitFor{Objects: []model.Template{rates}, MaxAge: time.Hour, Timeout: 6 * time.Hour}
	})
	if err := h.aws.Put(t.Context(), "s3://landing/rates/c.csv", nil); err != nil {
		t.Fatal(err)
	}
	h.now = h.now.Add(90 * time.Minute)
	ids := h.acceptEach(t, "a.csv", "b.csv", "c.csv", "d.csv")
	h.sweepAfter(t, time.Second)
	h.wantStatuses(t, ids, "objects", "objects", "objects", "objects") // the object of c is too old
	arrive := func(name string) {
		if err := h.aws.Put(t.Context(), "s3://landing/rates/"+name+".csv", nil); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Accept(t.Context(), event.AssumedArrival("landing", "rates/"+name+".csv", h.now)); err != nil {
			t.Fatal(err)
		}
	}
	arrive("a")
	arrive("c")
	h.wantStatuses(t, ids, "launch", "objects", "launch", "objects")
	if err := h.aws.Put(t.Context(), "s3://landing/rates/d.csv", nil); err != nil { // without an event
		t.Fatal(err)
	}
	h.sweepAfter(t, run.ObjectPollInterval)
	h.wantStatuses(t, ids, "launch", "objects", "launch", "launch")
	h.sweepAfter(t, 6*time.Hour)
	h.wantRun(t, ids[1], run.Failed, run.ClassInputsMissing)
	if o := h.run(t, ids[1]).Outcome; !strings.Contains(o.Detail, "s3://landing/rates/b.csv") {
		t.Errorf("the outcome is %v, want the URI of the missing object", o)
	}
}

func TestSuccessStartsDownstreamModel(t *testing.T) {
	t.Parallel()
	up, report := sales(), sales()
	up.Outputs = []model.Output{{Name: "cleaned", URI: template(t, "s3://results/{name}.csv")}}
	report.Name, report.Inputs = "report", append(report.Inputs, model.Input{Name: "cleaned", Type: model.S3URI})
	report.Triggers = []model.Trigger{{Name: "after", Kind: model.After, After: []string{"sales"}, Fields: "upstream"}}
	h := newHarnessFor(t, model.Catalog{Models: []model.Model{report, up}})
	id := h.accept(t, "a.csv")
	if err := h.aws.Put(t.Context(), "s3://results/a.csv", nil); err != nil {
		t.Fatal(err)
	}
	h.launch(t)
	h.exitTask(t, id, 0)
	next := records.RunID("report", "after/"+id, "")
	h.wantStatuses(t, []string{id, next}, "succeeded", "launch")
	spec, _, err := records.Read[run.Spec](t.Context(), h.options.Store, records.SpecKey(next))
	if err != nil || spec.Inputs["name"] != "a" || spec.Inputs["cleaned"] != "s3://results/a.csv" {
		t.Errorf("the inputs of the downstream run are %v (%v)", spec.Inputs, err)
	}
	failed := h.accept(t, "b.csv")
	h.launch(t)
	h.exitTask(t, failed, 1)
	if _, err := h.options.Store.Get(t.Context(), records.RunKey(records.RunID("report", "after/"+failed, ""))); err == nil {
		t.Error("a failed run started a downstream run")
	}
}

// template parses a template of a URI.
func template(t *testing.T, text string) model.Template {
	t.Helper()
	parsed, err := model.ParseTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// TestOverdueTimeIsInUTC: the time of the announcement is in UTC, whatever the time zone of the expectation.
func TestOverdueTimeIsInUTC(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(m *model.Model) {
		m.Policy.Expect = &model.Expect{SuccessBy: "cron(0 11 * * ? *)", Timezone: "Europe/Berlin"}
	})
	h.sweepAfter(t, 0)
	h.sweepAfter(t, 24*time.Hour)
	for _, a := range h.aws.Announcements {
		var detail struct{ By string }
		if err := json.Unmarshal(a.Detail, &detail); err != nil {
			t.Fatal(err)
		}
		if a.DetailType == dispatch.DetailOverdue && !strings.HasSuffix(detail.By, "T10:00:00Z") {
			t.Errorf("a run is overdue since %s, want 10:00 in UTC", detail.By)
		}
	}
	if n := h.aws.Announced()[dispatch.DetailOverdue]; n == 0 {
		t.Error("no overdue announcement")
	}
}

// TestExpectation expects a success by ten each day, for each of two values of an input. The clock of the harness
// starts at nine.
func TestExpectation(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(m *model.Model) {
		m.Inputs[0].Enum = []string{"a", "b"}
		m.Policy.Expect = &model.Expect{SuccessBy: "cron(0 10 * * ? *)", Per: model.Per{"name"}}
	})
	h.sweepAfter(t, 0)
	id := h.accept(t, "a.csv")
	h.launch(t)
	h.exitTask(t, id, 0)
	h.sweepAfter(t, 59*time.Minute)
	if n := h.aws.Announced()[dispatch.DetailOverdue]; n != 0 {
		t.Fatalf("%d overdue announcements before ten o'clock, want 0", n)
	}
	h.sweepAfter(t, time.Minute)
	h.sweepAfter(t, time.Minute)
	if n := h.aws.Announced()[dispatch.DetailOverdue]; n != 1 {
		t.Errorf("%d overdue announcements, want 1 for b, which never ran", n)
	}
	h.sweepAfter(t, 3*24*time.Hour) // three days without a sweep
	if n := h.aws.Announced()[dispatch.DetailOverdue]; n != 3 {
		t.Errorf("%d overdue announcements, want 3: one more for a and for b", n)
	}
}
