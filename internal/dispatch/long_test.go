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
	"modeldispatch/internal/route"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// eyes counts how often tasks are described, and does not see them while it is told so.
type eyes struct {
	dispatch.Watcher
	looks int
	shut  bool
	stop  error // of each StopTask
}

func (e *eyes) DescribeTasks(ctx context.Context, arns ...string) map[string]fargate.Described {
	e.looks += len(arns)
	if !e.shut {
		return e.Watcher.DescribeTasks(ctx, arns...)
	}
	all := map[string]fargate.Described{}
	for _, arn := range arns {
		all[arn] = fargate.Described{Err: fargate.ErrMissing}
	}
	return all
}

func (e *eyes) StopTask(ctx context.Context, arn, reason string) error {
	switch {
	case e.stop != nil:
		return e.stop
	case e.shut:
		return fmt.Errorf("stopping task %s: %w", arn, fargate.ErrMissing)
	}
	return e.Watcher.StopTask(ctx, arn, reason)
}

// running is a world with a run whose task runs, and goes on without a word.
func running(t *testing.T) (*world, *eyes, string) {
	t.Helper()
	w := newWorld(t, func(m *model.Model) { m.Policy.Timeout = 0 })
	e := &eyes{Watcher: w.aws.ECS}
	w.Watcher = e
	id := w.accept(t, "a.csv")
	w.launch(t)
	w.observe(t, w.aws.ECS.Start(w.newest()))
	return w, e, id
}

func TestAQuietTaskIsDescribedEveryFiveMinutes(t *testing.T) {
	t.Parallel()
	w, e, _ := running(t)
	for range 60 {
		w.after(t, time.Minute)
	}
	if e.looks < 10 || e.looks > 12 {
		t.Errorf("in an hour it was described %d times", e.looks)
	}
}

func TestATaskThatIsSeenInBetweenIsNotLost(t *testing.T) {
	t.Parallel()
	w, e, id := running(t)
	for minute := range 200 {
		e.shut = minute%60 < 5 // one look in an hour
		w.after(t, time.Minute)
	}
	w.want(t, id, run.Running, "")
	e.shut = true
	for range 20 {
		w.after(t, time.Minute)
	}
	w.want(t, id, run.Failed, run.Lost)
}

// TestATaskThatWasTakenForLostIsStopped: it is told so until ECS shows it again, or for so long that it must be gone.
func TestATaskThatWasTakenForLostIsStopped(t *testing.T) {
	t.Parallel()
	for name, shown := range map[string]bool{"it is shown again": true, "it is not": false} {
		w, e, id := running(t)
		e.shut = true
		for range 20 {
			w.after(t, time.Minute)
		}
		w.want(t, id, run.Failed, run.Lost)
		arn := w.newest()
		w.observe(t, w.aws.ECS.Task(arn)) // a late event: it lives
		w.after(t, 2*time.Minute)
		if r := w.run(t, id); len(r.Outbox.Effects) == 0 || w.aws.ECS.Task(arn).DesiredStatus != "RUNNING" {
			t.Fatalf("%s: it is %s, and left to do is %+v", name, w.aws.ECS.Task(arn).DesiredStatus, r.Outbox.Effects)
		}
		e.shut = !shown
		for range 3 * 60 {
			w.after(t, time.Minute)
		}
		if got := w.aws.ECS.Task(arn).DesiredStatus == "STOPPED"; got != shown {
			t.Errorf("%s: that it was told to stop is %t", name, got)
		}
		if r := w.run(t, id); len(r.Outbox.Effects) > 0 {
			t.Errorf("%s: left to do is %+v", name, r.Outbox.Effects)
		}
	}
}

// TestATaskIsStoppedHoweverLongThatTakes: StopTask fails for hours, and then ECS does not show the task for a moment.
func TestATaskIsStoppedHoweverLongThatTakes(t *testing.T) {
	t.Parallel()
	w, e, id := running(t)
	e.stop = errors.New("throttled")
	if err := w.Cancel(t.Context(), id, "enough", "ann"); err != nil {
		t.Fatal(err)
	}
	for range 5 * 60 {
		w.after(t, time.Minute)
	}
	e.stop = fmt.Errorf("stopping: %w", fargate.ErrMissing)
	for range 20 {
		w.after(t, time.Minute)
	}
	e.stop = nil
	for range 20 {
		w.after(t, time.Minute)
	}
	if got := w.aws.ECS.Task(w.newest()).DesiredStatus; got != "STOPPED" {
		t.Errorf("the task of a run that was cancelled is to be %s", got)
	}
}

func TestQuietTasksDoNotHoldUpTheSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(m *model.Model) { m.Policy.Timeout = 0 })
	w.Rate = 1e6
	w.arrive(t, 600)
	w.launch(t)
	for _, arn := range w.aws.ECS.Tasks() {
		w.observe(t, w.aws.ECS.Start(arn))
	}
	late := w.accept(t, "late.csv")
	w.aws.Take() // its message is lost
	for range 31 {
		w.after(t, time.Minute)
	}
	w.launch(t)
	w.want(t, late, run.Running, "")
}

func TestARunThatFindsNoPlaceForADayFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	none := 0
	w.places(&none, run.Quota)
	id := w.accept(t, "a.csv")
	for range 25 * 60 {
		w.launch(t)
		w.after(t, time.Minute)
	}
	w.want(t, id, run.Failed, run.Quota)
	if n := w.aws.Announced()[run.AnnounceWaiting]; n != 1 {
		t.Errorf("that it waits was announced %d times", n)
	}
}

func TestTheWaitForALaunchIsCountedAnewAfterEachTask(t *testing.T) {
	t.Parallel()
	w, _, id := running(t)
	w.now = w.now.Add(25 * time.Hour)
	w.observe(t, w.aws.ECS.Stopped(w.newest(), func(t *event.Task) {
		t.StopCode, t.StoppedReason = "SpotInterruption", "Your Spot Task was interrupted."
	}))
	w.after(t, 5*time.Minute)
	w.launch(t)
	if r := w.run(t, id); r.Attempt != 2 || r.State != run.Running {
		t.Errorf("after an interruption at 25 h it is %s, attempt %d: %v", r.State, r.Attempt, r.Outcome)
	}
}

func TestATaskThatStopsForWantOfAPlaceClosesTheGate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.accepts(t, "a.csv", "b.csv", "c.csv")
	for range 60 * 6 {
		w.launch(t)
		for _, arn := range w.aws.ECS.Tasks() {
			if w.aws.ECS.Task(arn).LastStatus != "STOPPED" {
				w.observe(t, w.aws.ECS.Stopped(arn, func(t *event.Task) {
					t.StopCode, t.StoppedReason, t.Containers = "TaskFailedToStart", "Unexpected EC2 error while attempting to Create Network Interface: InsufficientFreeAddressesInSubnet", nil
				}))
			}
		}
		w.after(t, 10*time.Second)
	}
	if n := len(w.aws.ECS.Tasks()); n < 50 || n > 70 {
		t.Errorf("in an hour without a place %d tasks were tried, want about one a minute", n)
	}
}

func TestARunThatIsLetThroughDuringALeaseIsLaunchedAfterIt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	r := run.Accept(run.Accepted{ID: "s-1", Model: sales()}, now)
	r, _ = r.Claim(now)
	r, _ = r.Observed(1, run.Sighting{ARN: "arn:x", Status: "STOPPED", Outcome: &run.Outcome{Class: run.Capacity}}, run.Plan{}, now)
	r, through := r.Through(run.Probe, now)
	sent := r.Outbox.Effects[len(r.Outbox.Effects)-1]
	if !through || r.Ready(now) || sent.Kind != run.Enqueue || !r.Ready(sent.At) {
		t.Errorf("it is sent for %s, and may be launched from %s", sent.At, r.Lease)
	}
}

// meddler has something happen after a document was read.
type meddler struct {
	store.Store
	read func(store.Key)
}

func (m *meddler) Get(ctx context.Context, key store.Key) (store.Doc, error) {
	doc, err := m.Store.Get(ctx, key)
	if m.read != nil {
		m.read(key)
	}
	return doc, err
}

// TestALineThatWasEmptyMeanwhileIsAnotherOne: a place is not given by what a line was before.
func TestALineThatWasEmptyMeanwhileIsAnotherOne(t *testing.T) {
	t.Parallel()
	var models []model.Model
	for _, name := range []string{"aaa", "bbb"} {
		m := sales()
		m.Name, m.Triggers[0].Arrival = name, []string{"s3://landing/" + name + "/{name}.csv"}
		m.Policy.Concurrency = &model.Concurrency{Pool: "p"}
		models = append(models, m)
	}
	w := worldOf(t, model.Catalog{Models: models, Pools: map[string]int{"p": 1}})
	between := &meddler{Store: w.Store}
	w.Store = between
	first := w.accept(t, "aaa/x.csv")
	w.launch(t)
	w.now = w.now.Add(time.Second)
	if _, err := w.Pause(t.Context(), "bbb", "", ""); err != nil {
		t.Fatal(err)
	}
	ahead := w.accept(t, "bbb/y.csv")
	w.now = w.now.Add(time.Second)
	behind := w.accept(t, "aaa/r.csv")
	line := w.run(t, behind).Line
	between.read = func(key store.Key) {
		if key.PK != line || key.SK != "line" {
			return
		}
		between.read = nil // the place is given to the one that is ahead
		if _, err := w.Resume(t.Context(), "bbb", ""); err != nil {
			t.Error(err)
		}
		w.exit(t, first, 0)
	}
	if err := w.Admit(t.Context(), line); err != nil {
		t.Fatal(err)
	}
	w.wantWaits(t, []string{first, ahead, behind}, "succeeded", "queued", "line")
}

// TestALineThatItsModelHasLeftKeepsItsLimit: a deploy takes a model out of a pool while runs stand in its line.
func TestALineThatItsModelHasLeftKeepsItsLimit(t *testing.T) {
	t.Parallel()
	m := sales()
	m.Policy.Concurrency = &model.Concurrency{Pool: "p"}
	w := worldOf(t, model.Catalog{Models: []model.Model{m}, Pools: map[string]int{"p": 1}})
	ids := w.accepts(t, "a.csv", "b.csv")
	m.Policy.Concurrency = &model.Concurrency{Limit: 5}
	w.Catalog.Models = []model.Model{m}
	if err := w.Admit(t.Context(), w.run(t, ids[1]).Line); err != nil {
		t.Fatal(err)
	}
	w.wantWaits(t, ids, "queued", "line")
}

// TestLargeInputsAreBoundToWhatComesAfter: the value, wherever it lies.
func TestLargeInputsAreBoundToWhatComesAfter(t *testing.T) {
	t.Parallel()
	up, down := sales(), sales()
	rows := model.Input{Name: "rows", Type: model.JSON, AsFile: true}
	up.Name, up.Inputs, up.Triggers = "up", append(up.Inputs, rows), nil
	down.Name, down.Inputs = "down", append(down.Inputs, rows)
	down.Triggers = []model.Trigger{{Name: "after", Kind: model.After, After: []string{"up"}, Fields: "upstream"}}
	for _, n := range []int{10, 2000} {
		w := worldOf(t, model.Catalog{Models: []model.Model{down, up}})
		value := "[" + strings.Repeat(`"x",`, n) + `"y"]`
		inputs := model.Inputs{"name": "may", "rows": value}
		_, err := w.AcceptBinding(t.Context(), event.Manual("up", inputs, "", w.now), route.Binding{Model: up, Trigger: model.Trigger{Name: "manual", Kind: model.Manual}, Inputs: inputs, Downstream: true})
		if err != nil {
			t.Fatal(err)
		}
		w.launch(t)
		w.observe(t, w.aws.ECS.Exit(w.newest(), 0))
		followed := 0
		for _, uri := range w.aws.Keys() {
			if strings.Contains(uri, "/inputs/down-") {
				followed++
				if got := string(w.aws.Objects[uri]); got != value {
					t.Errorf("%d bytes come on as %.60s…", len(value), got)
				}
			}
		}
		if followed != 1 {
			t.Errorf("%d runs follow, want one", followed)
		}
	}
}

// TestPausedTriggersLetGoWhatIsAfterARunByHand, where that was asked for.
func TestPausedTriggersLetGoWhatIsAfterARunByHand(t *testing.T) {
	t.Parallel()
	up, down := sales(), sales()
	up.Name, down.Name = "up", "down"
	down.Triggers = []model.Trigger{{Name: "after", Kind: model.After, After: []string{"up"}, Fields: "upstream"}}
	w := worldOf(t, model.Catalog{Models: []model.Model{down, up}, Paused: true})
	inputs := model.Inputs{"name": "may"}
	for n, downstream := range []bool{false, true} {
		_, err := w.AcceptBinding(t.Context(), event.Manual("up", inputs, fmt.Sprint(n), w.now), route.Binding{Model: up, Trigger: model.Trigger{Name: "manual", Kind: model.Manual}, Inputs: inputs, Downstream: downstream})
		if err != nil {
			t.Fatal(err)
		}
		w.launch(t)
		w.observe(t, w.aws.ECS.Exit(w.newest(), 0))
		if got := len(w.aws.Queued); got != n {
			t.Errorf("with downstream %t, %d runs follow", downstream, got)
		}
	}
}

// TestAnEffectThatCannotBeDoneIsGivenUpWithItsReason, and one that fails for now is not.
func TestAnEffectThatCannotBeDoneIsGivenUpWithItsReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var dropped []run.Effect
	w.Notice.Dropped = func(e run.Effect) { dropped = append(dropped, e) }
	fault := fmt.Errorf("MalformedDetail; %w", dispatch.ErrPermanent)
	w.aws.Fail = func(call string) error {
		switch call {
		case "Announce":
			return fault
		case "Wake":
			return errors.New("come back later")
		}
		return nil
	}
	id := w.accept(t, "a.csv")
	w.launch(t)
	w.observe(t, w.aws.ECS.Start(w.newest()))
	r := w.run(t, id)
	if len(dropped) != 1 || len(r.Outbox.Dropped) != 1 || !strings.Contains(r.Outbox.Dropped[0], "announce Model Run Started: MalformedDetail") {
		t.Errorf("dropped are %v, noted %q", dropped, r.Outbox.Dropped)
	}
	for _, e := range r.Outbox.Effects {
		if e.Kind == run.Announce {
			t.Errorf("it is still to be done: %v", e)
		}
	}
}

// TestWhatIsNoNewsIsLoggedOnce: a line for each event that changes nothing.
func TestWhatIsNoNewsIsLoggedOnce(t *testing.T) {
	t.Parallel()
	w, _, id := running(t)
	known := w.aws.ECS.Task(w.newest())
	older := known
	older.Version = 1
	other, stranger := known, known
	other.StartedBy = "elsewhere/" + id + "/1"
	stranger.StartedBy = "test/sales-000000000000/1"
	for name, task := range map[string]event.Task{"known already": known, "older": older, "task of somebody else": other, "task of an unknown run": stranger} {
		var said bytes.Buffer
		before := w.run(t, id)
		if err := w.Observe(zerolog.New(&said).WithContext(t.Context()), task); err != nil {
			t.Error(err)
		}
		if got := said.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, name) {
			t.Errorf("%s: it says %s", name, got)
		}
		if after := w.run(t, id); after.Task != before.Task || after.State != before.State {
			t.Errorf("%s: it changes the run", name)
		}
	}
}

// TestWhatHasEndedMayGo: everything of a run that has ended, and nothing of one that lives.
func TestWhatHasEndedMayGo(t *testing.T) {
	t.Parallel()
	w, _, id := running(t)
	w.Retention = 40 * 24 * time.Hour
	keys := []store.Key{dispatch.RunKey(id), dispatch.SpecKey(id), dispatch.AttemptKey(id, 1)}
	expire := func(want time.Time) {
		t.Helper()
		for _, key := range keys {
			if doc, err := w.Store.Get(t.Context(), key); err != nil || !doc.Expires.Equal(want) {
				t.Errorf("%s expires %s, %v, want %s", key, doc.Expires, err, want)
			}
		}
	}
	expire(time.Time{})
	w.now = w.now.Add(time.Hour)
	w.exit(t, id, 0)
	expire(w.now.Add(w.Retention))
}
