package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/dispatch/fakeaws"
	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/memory"
)

// world is a dispatcher with everything around it, and a clock that the test moves.
type world struct {
	*dispatch.Dispatcher
	aws *fakeaws.AWS
	now time.Time
}

// newWorld has one model, which is started by objects in s3://landing/{name}.csv.
func newWorld(t *testing.T, change func(*model.Model)) *world {
	t.Helper()
	m := sales()
	if change != nil {
		change(&m)
	}
	return worldOf(t, model.Catalog{Models: []model.Model{m}})
}

func sales() model.Model {
	return model.Model{
		Name: "sales", Task: model.Task{Family: "sales", Container: "model", Capacity: []model.Capacity{model.OnDemand}},
		Inputs:   []model.Input{{Name: "name", Type: model.String}},
		Triggers: []model.Trigger{{Name: "arrival", Kind: model.Arrival, Arrival: []string{"s3://landing/{name}.csv"}}},
		Policy:   model.Policy{Timeout: time.Hour, Retry: model.Retry{Attempts: 1}},
	}
}

func worldOf(t *testing.T, c model.Catalog) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)}
	w.aws = fakeaws.New(func() time.Time { return w.now })
	c.Schema, c.Environment = model.Schema, "test"
	routes, err := route.New(c)
	if err != nil {
		t.Fatal(err)
	}
	w.Dispatcher = dispatch.New(dispatch.Options{
		Deployment: "test", Catalog: c, Routes: routes, Placement: fargate.Placement{Cluster: "c", Subnets: []string{"s"}}, Bucket: "state", Store: memory.New(),
		Queue: w.aws, Launcher: w.aws.ECS, Watcher: w.aws.ECS, Objects: w.aws, Bus: w.aws,
		Now: func() time.Time { return w.now }, Random: func() float64 { return 0.5 },
	})
	return w
}

// accept has an object arrive, and gives its run.
func (w *world) accept(t *testing.T, key string) string {
	t.Helper()
	decisions, err := w.Accept(t.Context(), event.Arrived("landing", key, w.now))
	if err != nil || len(decisions) != 1 || decisions[0].Run == "" {
		t.Fatalf("Accept = %+v, %v, want one run", decisions, err)
	}
	return decisions[0].Run
}

// launch launches what is queued, as the launch function does.
func (w *world) launch(t *testing.T) {
	t.Helper()
	ids := w.aws.Take()
	turns, err := w.Turns(t.Context(), ids...)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if err := w.Launch(t.Context(), id, turns[id]); err != nil {
			t.Fatal(err)
		}
	}
}

// observe tells of a task as its state-change event does.
func (w *world) observe(t *testing.T, task event.Task) {
	t.Helper()
	if err := w.Observe(t.Context(), task); err != nil {
		t.Fatal(err)
	}
}

// after lets time pass, and sweeps.
func (w *world) after(t *testing.T, d time.Duration) {
	t.Helper()
	w.now = w.now.Add(d)
	if err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (w *world) run(t *testing.T, id string) run.Run {
	t.Helper()
	r, _, err := dispatch.Read[run.Run](t.Context(), w.Store, dispatch.RunKey(id))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// newest is the task that was started last.
func (w *world) newest() string {
	tasks := w.aws.ECS.Tasks()
	return tasks[len(tasks)-1]
}

// killed is how a task ends that is out of memory.
func killed(t *event.Task) {
	code := 137
	t.StopCode, t.StoppedReason = "EssentialContainerExited", "Essential container in task exited"
	t.Containers[0].ExitCode, t.Containers[0].Reason = &code, "OutOfMemoryError: Container killed due to memory usage"
}

func (w *world) only(t *testing.T) string {
	t.Helper()
	tasks := w.aws.ECS.Tasks()
	if len(tasks) != 1 {
		t.Fatalf("there were %d tasks, want one", len(tasks))
	}
	return tasks[0]
}

func (w *world) want(t *testing.T, id string, state run.State, class run.Class) {
	t.Helper()
	r := w.run(t, id)
	got := run.Class("")
	if r.Outcome != nil {
		got = r.Outcome.Class
	}
	if r.State != state || got != class {
		t.Errorf("run %s is %s with %v, want %s with %q", id, r.State, r.Outcome, state, class)
	}
}

func TestFromAnObjectToItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	id := w.accept(t, "may.csv")
	w.launch(t)
	arn := w.only(t)
	w.observe(t, w.aws.ECS.Start(arn))
	w.observe(t, w.aws.ECS.Exit(arn, 0))
	w.want(t, id, run.Succeeded, run.OK)
	if got := fmt.Sprint(w.aws.Announced()); got != "map[Model Run Started:1 Model Run Succeeded:1]" {
		t.Errorf("announced: %s", got)
	}
	attempt, _, err := dispatch.Read[run.Attempt](t.Context(), w.Store, dispatch.AttemptKey(id, 1))
	if err != nil || attempt.Task != arn || attempt.Outcome == nil || attempt.Ended.IsZero() {
		t.Errorf("its attempt is %+v, %v", attempt, err)
	}
	if r := w.run(t, id); len(r.Outbox.Effects) > 0 {
		t.Errorf("effects are left: %+v", r.Outbox.Effects)
	}
}

func TestADuplicateIsCountedAndStartsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	e := event.Arrived("landing", "may.csv", w.now)
	for delivery := 1; delivery <= 3; delivery++ {
		d, err := w.Accept(t.Context(), e)
		if err != nil || (delivery == 1) != (d[0].Verdict == dispatch.Started) {
			t.Errorf("delivery %d = %+v, %v", delivery, d, err)
		}
	}
	if len(w.aws.Queued) != 1 {
		t.Errorf("%d runs are queued, want one", len(w.aws.Queued))
	}
	record, _, err := dispatch.Read[dispatch.Record](t.Context(), w.Store, dispatch.EventKey(e.Identity, "sales", ""))
	if err != nil || record.Duplicates != 2 {
		t.Errorf("%d duplicates are counted, %v; want 2", record.Duplicates, err)
	}
}

// TestRefusals: what RunTask says decides between the same token, a new one, and the end.
func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		class    run.Class
		attempts int // after it was refused once and then not
		calls    int
		state    run.State
	}{
		{run.Throttled, 1, 2, run.Running},
		{run.Capacity, 2, 2, run.Running},
		{run.Quota, 2, 2, run.Running},
		{run.Unknown, 2, 2, run.Running},
		{run.Misconfigured, 1, 1, run.Failed},
	}
	for _, test := range tests {
		t.Run(string(test.class), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			var requests []fargate.Request
			w.aws.ECS.Refuse = func(r fargate.Request) *run.Outcome {
				if requests = append(requests, r); len(requests) > 1 {
					return nil
				}
				return &run.Outcome{Class: test.class, Detail: "no"}
			}
			id := w.accept(t, "may.csv")
			w.launch(t)
			w.after(t, 20*time.Minute)
			w.launch(t)
			if r := w.run(t, id); r.State != test.state || r.Attempt != test.attempts || w.aws.ECS.Calls != test.calls {
				t.Errorf("it is %s in attempt %d after %d calls, want %s in attempt %d after %d", r.State, r.Attempt, w.aws.ECS.Calls, test.state, test.attempts, test.calls)
			}
			if len(requests) == 2 && (requests[0].ClientToken == requests[1].ClientToken) != (test.attempts == 1) {
				t.Errorf("the tokens are %s and %s", requests[0].ClientToken, requests[1].ClientToken)
			}
		})
	}
}

// TestARequestIsSentAsItWasStored: a deploy between a crash and the next call changes nothing,
// because tokens belong to a cluster and to parameters.
func TestARequestIsSentAsItWasStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.aws.ECS.Refuse = func(fargate.Request) *run.Outcome { return &run.Outcome{Class: run.Throttled} }
	id := w.accept(t, "may.csv")
	w.launch(t)
	w.aws.ECS.Refuse = nil
	w.Placement.Cluster = "another"
	w.after(t, 5*time.Minute)
	w.launch(t)
	if task := w.aws.ECS.Task(w.only(t)); task.ClusterARN != "c" {
		t.Errorf("run %s was launched in cluster %q, want the first one", id, task.ClusterARN)
	}
}

// TestAReplayedAnswerDoesNotSayHowATaskEnded: RunTask's first answer was lost, and the task has
// stopped before the same token is sent again. ECS then shows only its statuses.
func TestAReplayedAnswerDoesNotSayHowATaskEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	id := w.accept(t, "may.csv")
	w.Launcher = deaf{w.aws.ECS}
	w.launch(t)
	w.Launcher = w.aws.ECS
	w.aws.ECS.Exit(w.only(t), 0)
	w.after(t, 2*time.Minute)
	w.launch(t)
	w.want(t, id, run.Running, run.Throttled)
	w.after(t, 6*time.Minute)
	w.want(t, id, run.Succeeded, run.OK)
	w.only(t)
}

// deaf is an ECS whose answers to RunTask get lost.
type deaf struct{ *fakeaws.ECS }

func (d deaf) RunTask(ctx context.Context, request json.RawMessage, deadline time.Time) (fargate.Answer, error) {
	_, err := d.ECS.RunTask(ctx, request, deadline)
	return fargate.Answer{Refusal: &run.Outcome{Class: run.Throttled, Detail: "no answer"}}, err
}

func TestALostEventIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	id := w.accept(t, "may.csv")
	w.launch(t)
	arn := w.only(t)
	w.aws.ECS.Start(arn)
	w.aws.ECS.Exit(arn, 0)
	w.after(t, 4*time.Minute)
	w.want(t, id, run.Running, "")
	w.after(t, 2*time.Minute)
	w.want(t, id, run.Succeeded, run.OK)
}

func TestATaskThatECSForgotIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	id := w.accept(t, "may.csv")
	w.launch(t)
	w.aws.ECS.Exit(w.only(t), 0)
	w.now = w.now.Add(65 * time.Minute) // an hour after it stopped, ECS no longer knows it; nobody swept
	for range 3 {
		w.want(t, id, run.Running, "")
		w.after(t, 6*time.Minute)
	}
	w.want(t, id, run.Failed, run.Lost)
}

func TestAMissingOutputFailsTheRunAndIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(m *model.Model) {
		uri, err := model.ParseTemplate("s3://results/{name}.csv")
		if err != nil {
			t.Fatal(err)
		}
		m.Outputs = []model.Output{{Name: "forecast", URI: uri}}
	})
	w.aws.Objects["s3://results/june.csv"] = []byte("x")
	may, june := w.accept(t, "may.csv"), w.accept(t, "june.csv")
	w.launch(t)
	for _, arn := range w.aws.ECS.Tasks() {
		w.observe(t, w.aws.ECS.Exit(arn, 0))
	}
	w.want(t, june, run.Succeeded, run.OK)
	w.want(t, may, run.Failed, run.OutputMissing)
	if detail := w.run(t, may).Outcome.Detail; !strings.Contains(detail, `"forecast" is not there: s3://results/may.csv`) {
		t.Errorf("it says %q", detail)
	}
}

// TestWhatCouldNotBeDoneIsDoneLater: effects outlive failures of what carries them out.
func TestWhatCouldNotBeDoneIsDoneLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.aws.Fail = func(string) error { return errors.New("unavailable") }
	id := w.accept(t, "may.csv")
	if len(w.aws.Queued) > 0 {
		t.Fatal("it is queued all the same")
	}
	w.aws.Fail = nil
	w.after(t, 2*time.Minute)
	w.launch(t)
	arn := w.only(t)
	w.aws.Fail = func(call string) error { return fmt.Errorf("%s is unavailable", call) }
	if err := w.Observe(t.Context(), w.aws.ECS.Exit(arn, 3)); err != nil {
		t.Fatal(err)
	}
	w.want(t, id, run.Failed, run.ModelError)
	w.aws.Fail = nil
	w.after(t, 5*time.Minute)
	if w.aws.Announced()["Model Run Failed"] != 1 {
		t.Errorf("announced: %v", w.aws.Announced())
	}
}

// TestAnAnnouncementThatIsRepeatedHasItsID has the first one come, and its answer get lost.
func TestAnAnnouncementThatIsRepeatedHasItsID(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.Bus = forgetful{w.aws}
	id := w.accept(t, "may.csv")
	w.launch(t)
	w.observe(t, w.aws.ECS.Exit(w.only(t), 0))
	w.Bus = w.aws
	w.after(t, 2*time.Minute)
	ids := map[string]int{}
	for _, a := range w.aws.Announcements {
		var detail dispatch.RunDetail
		if err := json.Unmarshal(a.Detail, &detail); err != nil || detail.Run != id {
			t.Errorf("announcement %s: %v", a.Detail, err)
		}
		ids[detail.ID]++
	}
	if len(w.aws.Announcements) < 2 || len(ids) != len(w.aws.Announced()) {
		t.Errorf("%d announcements of %v have %d ids", len(w.aws.Announcements), w.aws.Announced(), len(ids))
	}
}

type forgetful struct{ *fakeaws.AWS }

func (f forgetful) Announce(ctx context.Context, a dispatch.Announcement) error {
	return errors.Join(f.AWS.Announce(ctx, a), errors.New("the answer was lost"))
}

func TestALargePayloadLiesInTheStateBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	e := event.Arrived("landing", "may.csv", w.now)
	e.Payload = json.RawMessage(`"` + strings.Repeat("x", 40_000) + `"`)
	if _, err := w.Accept(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	record, _, err := dispatch.Read[dispatch.Record](t.Context(), w.Store, dispatch.EventKey(e.Identity, "sales", ""))
	if err != nil || record.Payload != nil || string(w.aws.Objects[record.PayloadURI]) != string(e.Payload) {
		t.Errorf("the record has %d bytes of payload, and %q holds %d bytes, %v", len(record.Payload), record.PayloadURI, len(w.aws.Objects[record.PayloadURI]), err)
	}
}

// TestALargeInputLiesInTheStateBucket: 300 KB reach the task as a file, and what is stored and announced stays small. The same
// that is not given as a file is rejected, with the remedy.
func TestALargeInputLiesInTheStateBucket(t *testing.T) {
	t.Parallel()
	rows := `[` + strings.Repeat(`"x",`, 75_000) + `"y"]`
	for _, asFile := range []bool{true, false} {
		w := newWorld(t, func(m *model.Model) {
			m.Inputs = append(m.Inputs, model.Input{Name: "rows", Type: model.JSON, AsFile: asFile})
		})
		m, _ := w.Catalog.Model("sales")
		inputs := model.Inputs{"name": "may", "rows": rows}
		d, err := w.AcceptBinding(t.Context(), event.Manual("sales", inputs, "", w.now), route.Binding{Model: m, Trigger: model.Trigger{Name: "manual", Kind: model.Manual}, Inputs: inputs})
		if err != nil {
			t.Fatal(err)
		}
		if !asFile {
			if d.Verdict != dispatch.Rejected || !strings.Contains(d.Reason, "as: file") {
				t.Errorf("not as a file: %+v", d)
			}
			continue
		}
		w.launch(t)
		spec, _, err := dispatch.Read[run.Spec](t.Context(), w.Store, dispatch.SpecKey(d.Run))
		if err != nil || !strings.HasPrefix(spec.Inputs["rows"], "s3://state/inputs/") || string(w.aws.Objects[spec.Inputs["rows"]]) != rows {
			t.Errorf("its spec has %d bytes of rows, %v", len(spec.Inputs["rows"]), err)
		}
		for _, a := range w.aws.Announcements {
			if len(a.Detail) > 10_000 {
				t.Errorf("%s has %d bytes", a.DetailType, len(a.Detail))
			}
		}
		for _, key := range []store.Key{dispatch.RunKey(d.Run), dispatch.SpecKey(d.Run), dispatch.AttemptKey(d.Run, 1)} {
			if doc, err := w.Store.Get(t.Context(), key); err != nil || len(doc.Body) > 10_000 {
				t.Errorf("%s has %d bytes, %v", key, len(doc.Body), err)
			}
		}
	}
}

func TestTasksOfOthersAreIgnored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, mark := range []string{"", "ecs-svc/1", "other/sales-aaaaaaaaaaaa/1", "test/sales-aaaaaaaaaaaa/1", "test/x"} {
		w.observe(t, event.Task{ARN: "arn", StartedBy: mark, LastStatus: "STOPPED"})
	}
	if len(w.aws.Announcements) > 0 {
		t.Errorf("announced: %v", w.aws.Announced())
	}
}

// TestANewerSchemaIsPutBack: functions of one deploy update at different moments.
func TestANewerSchemaIsPutBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	id := w.accept(t, "may.csv")
	doc, err := w.Store.Get(t.Context(), dispatch.SpecKey(id))
	if err != nil {
		t.Fatal(err)
	}
	doc.Body = []byte(`{"schema": 99}`)
	if err := w.Store.Commit(t.Context(), store.Update(doc)); err != nil {
		t.Fatal(err)
	}
	if err := w.Launch(t.Context(), id, dispatch.Turn{}); err == nil || !strings.Contains(err.Error(), "newer code wrote it") {
		t.Errorf("Launch = %v, want that newer code wrote it", err)
	}
}

// TestATaskOutOfMemoryIsFollowedByALargerOne climbs to the limit, and only then uses up attempts.
func TestATaskOutOfMemoryIsFollowedByALargerOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(m *model.Model) { m.Policy.Retry.OutOfMemory = &model.OutOfMemory{UpTo: 3072} })
	w.aws.ECS.Size, w.aws.ECS.Limit = model.Size{CPU: 256, Memory: 1024}, 900
	id := w.accept(t, "a.csv")
	for attempt, want := range []struct {
		memory, cpu string
		limit       int
	}{{"", "", 0}, {"2048", "", 1924}, {"3072", "512", 2948}} {
		w.launch(t)
		a, _, err := dispatch.Read[run.Attempt](t.Context(), w.Store, dispatch.AttemptKey(id, attempt+1))
		if err != nil {
			t.Fatal(err)
		}
		var request fargate.Request
		if err := json.Unmarshal(a.Request, &request); err != nil {
			t.Fatal(err)
		}
		o := request.Overrides
		if o.Memory != want.memory || want.cpu != "" && o.CPU != want.cpu || o.ContainerOverrides[0].Memory != want.limit {
			t.Errorf("attempt %d asks for %s MiB, %s CPU units, and a limit of %d, want %v", attempt+1, o.Memory, o.CPU, o.ContainerOverrides[0].Memory, want)
		}
		w.observe(t, w.aws.ECS.Stopped(w.newest(), killed))
	}
	w.want(t, id, run.Failed, run.OutOfMemory)
}

// TestAnnouncementsAreDocumented: every field of a detail, and every detail type, is in the contract.
func TestAnnouncementsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/announcements.md")
	if err != nil {
		t.Fatal(err)
	}
	words := []string{
		run.AnnounceStarted, run.AnnounceWaiting, run.AnnounceRetrying, run.AnnounceSucceeded, run.AnnounceFailed, run.AnnounceCancelled, run.AnnounceSkipped,
		dispatch.AnnounceRejected, dispatch.AnnouncePaused, dispatch.AnnounceResumed, dispatch.AnnounceOverdue,
	}
	for _, detail := range []any{dispatch.RunDetail{}, dispatch.EventDetail{}, dispatch.ControlDetail{}, dispatch.OverdueDetail{}, run.Outcome{}, model.Object{}} {
		for of, i := reflect.TypeOf(detail), 0; i < of.NumField(); i++ {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			words = append(words, name)
		}
	}
	for _, word := range words {
		if !strings.Contains(string(text), "`"+word+"`") {
			t.Errorf("docs/announcements.md does not say what `%s` is", word)
		}
	}
}
