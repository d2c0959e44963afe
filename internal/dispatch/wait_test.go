package dispatch_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
)

// waits says what a run waits for, or its state where it does not wait.
func (w *world) waits(t *testing.T, id string) string {
	t.Helper()
	r := w.run(t, id)
	if r.State == run.Waiting {
		return string(r.For)
	}
	return string(r.State)
}

// accepts has objects arrive one after another, a second apart.
func (w *world) accepts(t *testing.T, keys ...string) []string {
	t.Helper()
	var ids []string
	for _, key := range keys {
		ids = append(ids, w.accept(t, key))
		w.now = w.now.Add(time.Second)
	}
	return ids
}

// exit ends the task of a run with a code.
func (w *world) exit(t *testing.T, id string, code int) {
	t.Helper()
	w.observe(t, w.aws.ECS.Exit(w.run(t, id).Task.ARN, code))
}

func (w *world) wantWaits(t *testing.T, ids []string, want ...string) {
	t.Helper()
	var got []string
	for _, id := range ids {
		got = append(got, w.waits(t, id))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the runs are %v, want %v", got, want)
	}
}

func limit(n int, overlap model.Overlap) func(*model.Model) {
	return func(m *model.Model) { m.Policy.Concurrency = &model.Concurrency{Limit: n, Overlap: overlap} }
}

func TestALineLetsGoInItsOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit(2, model.OverlapQueue))
	ids := w.accepts(t, "a.csv", "b.csv", "c.csv", "d.csv")
	w.wantWaits(t, ids, "queued", "queued", "line", "line")
	w.launch(t)
	w.exit(t, ids[1], 0)
	w.wantWaits(t, ids, "running", "succeeded", "queued", "line")
	if err := w.Cancel(t.Context(), ids[2], "not needed", "ann"); err != nil {
		t.Fatal(err)
	}
	w.wantWaits(t, ids, "running", "succeeded", "cancelled", "queued")
	if n := w.aws.Announced()[run.AnnounceWaiting]; n != 2 {
		t.Errorf("%d runs were announced as waiting, want the two that found no place", n)
	}
}

func TestARunThatIsTriedAgainKeepsItsPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(m *model.Model) {
		limit(1, model.OverlapQueue)(m)
		m.Policy.Retry = model.Retry{Attempts: 2, BackoffMin: time.Minute, BackoffMax: time.Minute}
	})
	ids := w.accepts(t, "a.csv", "b.csv")
	w.launch(t)
	w.exit(t, ids[0], 1)
	w.wantWaits(t, ids, "backoff", "line")
	w.after(t, 2*time.Minute)
	w.launch(t)
	w.exit(t, ids[0], 1)
	w.wantWaits(t, ids, "failed", "queued")
}

func TestOverlapSkip(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit(1, model.OverlapSkip))
	ids := w.accepts(t, "a.csv", "b.csv")
	w.wantWaits(t, ids, "queued", "skipped")
	if o := w.run(t, ids[1]).Outcome; o.Class != run.Overlap || !strings.Contains(o.Detail, ids[0]) {
		t.Errorf("it does not say why: %v", o)
	}
}

func TestOverlapReplace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit(1, model.OverlapReplace))
	ids := w.accepts(t, "a.csv")
	w.launch(t)
	ids = append(ids, w.accepts(t, "b.csv", "c.csv")...)
	w.wantWaits(t, ids, "running", "skipped", "line")
	if task := w.aws.ECS.Task(w.newest()); task.DesiredStatus != "RUNNING" {
		t.Error("the task was stopped by whoever accepted the event, which may not call ECS")
	}
	w.after(t, 0)
	w.exit(t, ids[0], 143)
	w.wantWaits(t, ids, "cancelled", "skipped", "queued")
	if o := w.run(t, ids[0]).Outcome; !strings.Contains(o.Detail, ids[1]) {
		t.Errorf("it does not say by which run it was replaced first: %v", o)
	}
}

func TestLinesByKeyAndPools(t *testing.T) {
	t.Parallel()
	per, err := model.ParseTemplate("{name}")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(m *model.Model) { m.Policy.Concurrency = &model.Concurrency{Limit: 1, Per: per} })
	w.wantWaits(t, w.accepts(t, "a.csv", "b.csv"), "queued", "queued")

	both := []model.Model{sales(), sales()}
	for i := range both {
		both[i].Name = fmt.Sprint("sales-", i)
		both[i].Triggers[0].Arrival = []string{fmt.Sprintf("s3://landing/%d/{name}.csv", i)}
		both[i].Policy.Concurrency = &model.Concurrency{Pool: "warehouse"}
	}
	w = worldOf(t, model.Catalog{Models: both, Pools: map[string]int{"warehouse": 1}})
	ids := w.accepts(t, "0/a.csv", "1/b.csv")
	w.wantWaits(t, ids, "queued", "line")
	w.launch(t)
	if _, err := w.Pause(t.Context(), "sales-1", "maintenance", "ann"); err != nil {
		t.Fatal(err)
	}
	ids = append(ids, w.accepts(t, "0/c.csv")...)
	w.exit(t, ids[0], 0)
	w.wantWaits(t, ids, "succeeded", "line", "queued") // a paused model holds up nobody else's
}

func TestAPausedModelWaitsAndIsResumedInOrder(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*model.Model){"without a limit": nil, "with one": limit(5, model.OverlapSkip)} {
		w := newWorld(t, change)
		if changed, err := w.Pause(t.Context(), "sales", "maintenance", "ann"); err != nil || !changed {
			t.Fatalf("%s: Pause = %t, %v", name, changed, err)
		}
		ids := w.accepts(t, "a.csv", "b.csv")
		w.wantWaits(t, ids, "line", "line")
		w.after(t, 30*time.Hour) // a pause may be longer than a run may wait for its launch
		w.wantWaits(t, ids, "line", "line")
		if changed, err := w.Resume(t.Context(), "sales", "ann"); err != nil || !changed {
			t.Fatalf("%s: Resume = %t, %v", name, changed, err)
		}
		w.wantWaits(t, ids, "queued", "queued")
		if got := w.aws.Take(); !slices.Equal(got, ids) {
			t.Errorf("%s: they go as %v, want %v", name, got, ids)
		}
		if changed, err := w.Resume(t.Context(), "sales", "ann"); err != nil || changed {
			t.Errorf("%s: resuming once more = %t, %v", name, changed, err)
		}
		if a := w.aws.Announced(); a[dispatch.AnnouncePaused] != 1 || a[dispatch.AnnounceResumed] != 1 {
			t.Errorf("%s: announced were %v", name, a)
		}
	}
}

// TestAPauseHoldsWhatWaitsForSomethingElse: what was accepted before the pause, and would be launched after it.
func TestAPauseHoldsWhatWaitsForSomethingElse(t *testing.T) {
	t.Parallel()
	uri, err := model.ParseTemplate("s3://landing/rates.csv")
	if err != nil {
		t.Fatal(err)
	}
	for wait, change := range map[string]func(*model.Model){
		"debounce": func(m *model.Model) {
			m.Policy.Debounce = &model.Debounce{Quiet: 2 * time.Minute, AtMost: 5 * time.Minute}
		},
		"objects": func(m *model.Model) { m.Policy.WaitFor = &model.WaitFor{Objects: []model.Template{uri}} },
	} {
		w := newWorld(t, change)
		ids := w.accepts(t, "a.csv")
		w.wantWaits(t, ids, wait)
		if _, err := w.Pause(t.Context(), "sales", "maintenance", "ann"); err != nil {
			t.Fatal(err)
		}
		if err := w.aws.Put(t.Context(), "s3://landing/rates.csv", nil); err != nil {
			t.Fatal(err)
		}
		w.after(t, time.Hour)
		w.wantWaits(t, ids, "line")
		if _, err := w.Resume(t.Context(), "sales", "ann"); err != nil {
			t.Fatal(err)
		}
		w.wantWaits(t, ids, "queued")
	}
}

func TestDebouncedEventsAreOneRunWithTheInputsOfTheLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(m *model.Model) {
		m.Inputs = append(m.Inputs, model.Input{Name: "day", Type: model.String})
		m.Triggers[0].Arrival = []string{"s3://landing/{day}/{name}.csv"}
		per, err := model.ParseTemplate("{day}")
		if err != nil {
			t.Fatal(err)
		}
		m.Policy.Debounce = &model.Debounce{Quiet: 2 * time.Minute, AtMost: 5 * time.Minute, Per: per}
	})
	first := w.accept(t, "monday/1.csv")
	w.wantWaits(t, []string{first}, "debounce")
	for n := 2; n <= 10; n++ {
		w.after(t, 20*time.Second)
		joining := event.Arrived("landing", fmt.Sprintf("monday/%d.csv", n), w.now)
		for _, want := range []dispatch.Verdict{dispatch.Joined, dispatch.Duplicate} {
			if got, err := w.Accept(t.Context(), joining); err != nil || got[0].Run != first || got[0].Verdict != want {
				t.Errorf("event %d is %+v, %v, want %s of run %s", n, got, err, want, first)
			}
		}
	}
	other := w.accept(t, "tuesday/1.csv")
	if other == first {
		t.Error("another group has the same run")
	}
	w.after(t, time.Minute)
	w.wantWaits(t, []string{first}, "debounce")
	w.after(t, time.Minute) // 5 minutes after the first, and 2 after the last
	w.wantWaits(t, []string{first}, "queued")
	spec, _, err := dispatch.Read[run.Spec](t.Context(), w.Store, dispatch.SpecKey(first))
	if err != nil || spec.Inputs["name"] != "10" {
		t.Errorf("its inputs are %v (%v), want those of the last event", spec.Inputs, err)
	}
	if r := w.run(t, first); r.Joined != 9 {
		t.Errorf("%d events joined it, want 9", r.Joined)
	}
	if late := w.accept(t, "monday/11.csv"); late == first {
		t.Error("an event joined a run that does not wait any more")
	}
}

func TestWaitForObjects(t *testing.T) {
	t.Parallel()
	rates, err := model.ParseTemplate("s3://landing/rates/{name}.csv")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(m *model.Model) {
		m.Policy.WaitFor = &model.WaitFor{Objects: []model.Template{rates}, NewerThan: time.Hour, Timeout: 6 * time.Hour}
	})
	if err := w.aws.Put(t.Context(), "s3://landing/rates/c.csv", nil); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(90 * time.Minute)
	ids := w.accepts(t, "a.csv", "b.csv", "c.csv", "d.csv")
	w.after(t, time.Second)
	w.wantWaits(t, ids, "objects", "objects", "objects", "objects") // that of c is too old
	arrive := func(name string) {
		if err := w.aws.Put(t.Context(), "s3://landing/rates/"+name+".csv", nil); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Accept(t.Context(), event.Arrived("landing", "rates/"+name+".csv", w.now)); err != nil {
			t.Fatal(err)
		}
	}
	arrive("a")
	arrive("c")
	w.wantWaits(t, ids, "queued", "objects", "queued", "objects")
	if err := w.aws.Put(t.Context(), "s3://landing/rates/d.csv", nil); err != nil { // of which nobody tells
		t.Fatal(err)
	}
	w.after(t, run.Relook)
	w.wantWaits(t, ids, "queued", "objects", "queued", "queued")
	w.after(t, 6*time.Hour)
	w.want(t, ids[1], run.Failed, run.InputsMissing)
	if o := w.run(t, ids[1]).Outcome; !strings.Contains(o.Detail, "s3://landing/rates/b.csv") {
		t.Errorf("it does not name what is missing: %v", o)
	}
}

func TestAfter(t *testing.T) {
	t.Parallel()
	up, report := sales(), sales()
	up.Outputs = []model.Output{{Name: "cleaned", URI: template(t, "s3://results/{name}.csv")}}
	report.Name, report.Inputs = "report", append(report.Inputs, model.Input{Name: "cleaned", Type: model.S3URI})
	report.Triggers = []model.Trigger{{Name: "after", Kind: model.After, After: []string{"sales"}, Fields: "upstream"}}
	w := worldOf(t, model.Catalog{Models: []model.Model{report, up}})
	id := w.accept(t, "a.csv")
	if err := w.aws.Put(t.Context(), "s3://results/a.csv", nil); err != nil {
		t.Fatal(err)
	}
	w.launch(t)
	w.exit(t, id, 0)
	next := dispatch.RunID("report", "after/"+id, "")
	w.wantWaits(t, []string{id, next}, "succeeded", "queued")
	spec, _, err := dispatch.Read[run.Spec](t.Context(), w.Store, dispatch.SpecKey(next))
	if err != nil || spec.Inputs["name"] != "a" || spec.Inputs["cleaned"] != "s3://results/a.csv" {
		t.Errorf("its inputs are %v (%v)", spec.Inputs, err)
	}
	failed := w.accept(t, "b.csv")
	w.launch(t)
	w.exit(t, failed, 1)
	if _, err := w.Store.Get(t.Context(), dispatch.RunKey(dispatch.RunID("report", "after/"+failed, ""))); err == nil {
		t.Error("a run started after one that failed")
	}
}

func template(t *testing.T, text string) model.Template {
	t.Helper()
	parsed, err := model.ParseTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// TestExpect: the world begins at nine on a Saturday, and each day a success is expected by ten.
func TestExpect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(m *model.Model) {
		m.Inputs[0].Enum = []string{"a", "b"}
		m.Policy.Expect = &model.Expect{SuccessBy: "cron(0 10 * * ? *)", Per: "name"}
	})
	w.after(t, 0)
	id := w.accept(t, "a.csv")
	w.launch(t)
	w.exit(t, id, 0)
	w.after(t, 59*time.Minute)
	if n := w.aws.Announced()[dispatch.AnnounceOverdue]; n != 0 {
		t.Fatalf("%d are overdue before it is time", n)
	}
	w.after(t, time.Minute)
	w.after(t, time.Minute)
	if n := w.aws.Announced()[dispatch.AnnounceOverdue]; n != 1 {
		t.Errorf("%d are overdue, want b, of which no event came", n)
	}
	w.after(t, 3*24*time.Hour) // during which no sweep ran
	if n := w.aws.Announced()[dispatch.AnnounceOverdue]; n != 3 {
		t.Errorf("%d are overdue, want one more of each", n)
	}
}
