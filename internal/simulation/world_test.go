package simulation

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/rs/zerolog"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/dispatch/awsio"
	"modeldispatch/internal/dispatch/fakeaws"
	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/handler"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/memory"
)

// world is an account in which everything that can go wrong does, by the dice of one seed.
type world struct {
	t       testing.TB
	seed    uint64
	random  *rand.Rand
	begin   time.Time
	now     time.Time
	store   store.Store // as it is
	reached store.Store // the same, as actors reach it
	aws     *fakeaws.AWS
	faults  faults
	broken  variant

	deployed
	placement fargate.Placement

	actors []*actor
	actor  *actor // that runs
	timers []timer
	serial int // of timers, so that those of one moment have an order

	hidden     map[string]time.Time // tasks that are not shown for a while, and until when
	unanswered int                  // calls of which DynamoDB's answer was lost
	injected   []string             // identities of events that happened
	undone     map[string]bool      // identities that ended as dead letters
	checks     checks
	burst      *burst // where thousands of runs are simulated, and nothing goes wrong
	failure    string
	log        []string
}

// timer is something that happens at its time.
type timer struct {
	at     time.Time
	serial int
	what   func()
}

// The queues.
const (
	queueLaunch = "launch"
	queueWake   = "wake"
)

// newWorld makes a world whose store is in memory.
func newWorld(t testing.TB, seed uint64, f faults, broken variant) *world {
	begin := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	w := &world{
		t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 1)), begin: begin, now: begin, faults: f, broken: broken,
		hidden: map[string]time.Time{}, undone: map[string]bool{}, checks: newChecks(),
	}
	w.store = memory.New()
	w.reached = w.store
	w.aws = fakeaws.New(func() time.Time { return w.now })
	w.aws.ECS.Remembers = w.chance(0.5)
	w.aws.ECS.Size = model.Size{CPU: 256, Memory: 1024}
	w.aws.ECS.Refuse, w.aws.ECS.Began = w.refuse, w.began
	w.aws.ECS.Told = func(arn string) {
		w.after(w.between(time.Second, 2*time.Minute), func() { w.exit(arn, 137) })
	}
	w.deploy(deployments[0])
	return w
}

// deployment is what the functions know, until somebody deploys again.
type deployment struct {
	cluster string
	models  func() []model.Model
	pools   map[string]int
}

// deployments are the first one, and what may come after it: it runs elsewhere, or lines have other limits as well.
var deployments = []*deployment{
	{"one", simulated, map[string]int{"shared": 2}},
	{"two", simulated, map[string]int{"shared": 2}},
	{"two", limited, map[string]int{"shared": 1}},
}

// limited are the models with other limits; one has left its pool.
func limited() []model.Model {
	models := simulated()
	for i, m := range models {
		switch m.Name {
		case "narrow", "picky":
			models[i].Policy.Concurrency = &model.Concurrency{Limit: 2, Overlap: m.Policy.Concurrency.Overlap}
		case "pooled-b":
			models[i].Policy.Concurrency = &model.Concurrency{Limit: 1}
		}
	}
	return models
}

// deployed is a catalog and its routes. They do not change, so that all worlds can have the same.
type deployed struct {
	catalog model.Catalog
	routes  *route.Table
}

var compiled sync.Map // *deployment -> deployed

func (d *deployment) compile() deployed {
	if known, ok := compiled.Load(d); ok {
		return known.(deployed)
	}
	var models []model.Model
	for _, m := range d.models() {
		if m.Triggers == nil {
			m.Triggers = triggers(m.Name)
		}
		m.Inputs = []model.Input{{Name: "n", Type: model.String}}
		m.Task.Family, m.Task.Container = m.Name+"-"+d.cluster, "model"
		models = append(models, m)
	}
	slices.SortFunc(models, func(a, b model.Model) int { return strings.Compare(a.Name, b.Name) })
	catalog := model.Catalog{Schema: model.Schema, Version: d.cluster, Models: models, Pools: d.pools}
	routes, err := route.New(catalog)
	if err != nil {
		panic(err)
	}
	compiled.Store(d, deployed{catalog, routes})
	return deployed{catalog, routes}
}

// deploy changes what the functions know, as a deployment does while everything runs.
func (w *world) deploy(d *deployment) {
	w.deployed = d.compile()
	w.placement = fargate.Placement{Cluster: d.cluster, Subnets: []string{"subnet"}}
}

// themes are the models that meet in one world: what a run can live through is decided by their policies.
var themes = [][]string{
	{"fragile", "long", "stubborn"}, {"hungry", "stubborn", "first"}, {"narrow"}, {"picky"}, {"eager"}, {"pooled-a", "pooled-b"}, {"grouped"}, {"patient"},
}

func simulated() []model.Model {
	both := []model.Capacity{model.Spot, model.OnDemand}
	short := model.Policy{Timeout: 30 * time.Minute, Retry: model.Retry{Attempts: 2, BackoffMin: time.Minute, BackoffMax: time.Minute, TimedOut: true}}
	line := func(name string, c model.Concurrency) model.Model {
		m := model.Model{Name: name, Policy: short}
		m.Policy.Concurrency = &c
		return m
	}
	grouped, patient, hungry := model.Model{Name: "grouped", Policy: short}, model.Model{Name: "patient", Policy: short}, model.Model{Name: "hungry", Policy: short}
	grouped.Policy.Debounce = &model.Debounce{Quiet: 5 * time.Minute, AtMost: 20 * time.Minute, Per: text("all of them")}
	patient.Policy.WaitFor = &model.WaitFor{Objects: []model.Template{text("s3://landing/flags/{n}")}, Timeout: 90 * time.Minute}
	hungry.Policy.Retry.OutOfMemory = &model.OutOfMemory{UpTo: 3072}
	return []model.Model{
		{Name: "fragile", Policy: model.Policy{Timeout: time.Hour, Brake: 100_000, Retry: model.Retry{Attempts: 1}}},
		{Name: "long", Policy: model.Policy{Retry: model.Retry{Attempts: 2, Lost: true}}},
		{Name: "stubborn", Task: model.Task{Capacity: both}, Policy: model.Policy{
			Timeout: 10 * time.Minute, ExitCodes: map[int]model.Verdict{3: model.VerdictSkipped},
			Retry: model.Retry{Attempts: 3, BackoffMin: 30 * time.Second, BackoffMax: 15 * time.Minute, TimedOut: true},
		}},
		{Name: "first", Policy: short},
		{Name: "second", Policy: short, Triggers: []model.Trigger{{Name: "after", Kind: model.After, After: []string{"first"}, Fields: "upstream"}}},
		line("narrow", model.Concurrency{Limit: 1}), line("picky", model.Concurrency{Limit: 1, Overlap: model.OverlapSkip}),
		line("eager", model.Concurrency{Limit: 1, Overlap: model.OverlapReplace}),
		line("pooled-a", model.Concurrency{Pool: "shared"}), line("pooled-b", model.Concurrency{Pool: "shared"}),
		grouped, patient, hungry,
	}
}

func text(t string) model.Template {
	parsed, err := model.ParseTemplate(t)
	if err != nil {
		panic(err)
	}
	return parsed
}

// dispatcher is the dispatcher of one invocation.
func (w *world) dispatcher() *dispatch.Dispatcher {
	aws := actorAWS{w}
	skew := w.between(-w.faults.skew, w.faults.skew)
	each := func(n int, work func(int)) {
		for i := range n {
			work(i)
		}
	}
	if w.burst != nil {
		each = w.burst.each
	}
	return dispatch.New(dispatch.Options{
		Deployment: "sim", Catalog: w.catalog, Routes: w.routes, Placement: w.placement, Bucket: "state", Store: actorStore{w.reached, w},
		Queue: aws, Launcher: aws, Watcher: aws, Objects: aws, Bus: aws,
		Now: func() time.Time { return w.now.Add(skew) }, Random: w.random.Float64, Each: each,
		Notice: dispatch.Notice{Decided: w.checkDecided},
	})
}

func (w *world) chance(p float64) bool { return p > 0 && w.random.Float64() < p }

func (w *world) between(from, to time.Duration) time.Duration {
	if to <= from {
		return from
	}
	return from + time.Duration(w.random.Int64N(int64(to-from)))
}

// latency is how long a call takes: mostly not long; now and then whoever makes it is held up for so long
// that somebody else goes on with its work: for as many tenths of a second as for hours.
func (w *world) latency(point string) time.Duration {
	if w.burst != nil {
		return w.burst.latency(point)
	}
	if w.chance(w.faults.zombie) {
		const least, most = 100 * time.Millisecond, 3 * time.Hour
		return time.Duration(float64(least) * math.Pow(float64(most/least), w.random.Float64()))
	}
	return w.between(time.Millisecond, 80*time.Millisecond)
}

func (w *world) trace(format string, args ...any) {
	if testing.Verbose() {
		w.log = append(w.log, fmt.Sprintf("%12s  ", w.now.Sub(w.begin))+fmt.Sprintf(format, args...))
	}
}

func (w *world) fail(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf("after %s: ", w.now.Sub(w.begin).Round(time.Second)) + fmt.Sprintf(format, args...)
		w.trace("FAILED: %s", w.failure)
	}
}

// after has something happen later.
func (w *world) after(d time.Duration, what func()) {
	w.serial++
	one := timer{w.now.Add(d), w.serial, what}
	at, _ := slices.BinarySearchFunc(w.timers, one, func(a, b timer) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.serial - b.serial
	})
	w.timers = slices.Insert(w.timers, at, one)
}

// step lets the next thing happen: an actor goes on, or a timer is due.
func (w *world) step() bool {
	next := -1
	for i, a := range w.actors {
		if next < 0 || a.at.Before(w.actors[next].at) {
			next = i
		}
	}
	if next >= 0 && (len(w.timers) == 0 || !w.timers[0].at.Before(w.actors[next].at)) {
		a := w.actors[next]
		w.now = later(w.now, a.at)
		if a.resume() {
			w.actors = slices.Delete(w.actors, next, next+1)
		}
		return true
	}
	if len(w.timers) == 0 {
		return false
	}
	due := w.timers[0]
	w.timers = slices.Delete(w.timers, 0, 1)
	w.now = later(w.now, due.at)
	due.what()
	return true
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// invoke invokes a function, again and again until it acknowledges or has been tried often enough.
func (w *world) invoke(name string, tries int, pause time.Duration, f func(handler.Handlers) error, lost func()) {
	w.spawn(name, func(d *dispatch.Dispatcher) bool {
		return f(handler.Handlers{Dispatcher: d, Log: zerolog.Nop()}) == nil
	}, func(ok bool) {
		switch {
		case ok:
		case tries == 1:
			lost()
		default:
			w.after(pause, func() { w.invoke(name, tries-1, pause, f, lost) })
		}
	})
}

// send sends a message about a run. SQS delivers at least once, in any order.
func (w *world) send(queue, id string, delay time.Duration) {
	if w.burst != nil && queue == queueLaunch {
		w.after(time.Duration(awsio.Seconds(delay))*time.Second, func() { w.burst.push(id) })
		return
	}
	deliveries := 1
	if w.chance(w.faults.duplicate) {
		deliveries = 2
	}
	if lose := w.faults.lose; queue == queueWake && w.chance(lose) || w.chance(lose/20) {
		deliveries = 0 // a wake message is a convenience; one of the launch queue may end as a dead letter
	}
	for range deliveries {
		w.after(delay+w.delay(), func() { w.receive(queue, id) })
	}
}

// receive invokes the function of a queue with a message.
func (w *world) receive(queue, id string) {
	body, err := json.Marshal(awsio.RunMessage{Run: id})
	if err != nil {
		panic(err)
	}
	batch := events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m", Body: string(body), EventSource: "aws:sqs"}}}
	w.invoke(queue+" "+id, 5, 2*time.Minute, func(h handler.Handlers) error {
		if queue == queueLaunch {
			return batchError(h.Launch(h.Log.WithContext(w.t.Context()), batch))
		}
		payload, err := json.Marshal(batch)
		if err != nil {
			panic(err)
		}
		return batchError(h.Sweep(h.Log.WithContext(w.t.Context()), payload))
	}, func() { w.checkDead(queue) })
}

func batchError(r events.SQSEventResponse, err error) error {
	if err == nil && len(r.BatchItemFailures) > 0 {
		return fmt.Errorf("%v came back", r.BatchItemFailures)
	}
	return err
}

// delay is how long something takes to be delivered.
func (w *world) delay() time.Duration {
	if w.chance(w.faults.late) {
		return w.between(0, 2*time.Hour)
	}
	return w.between(0, 2*time.Second)
}

// pause pauses a model for a while.
func (w *world) pause(name string) {
	if !w.chance(w.faults.pause) {
		return
	}
	w.spawn("pause", func(d *dispatch.Dispatcher) bool {
		_, err := d.Pause(w.t.Context(), name, "enough", "somebody")
		return err == nil
	}, func(bool) { w.after(w.between(time.Minute, 3*time.Hour), func() { w.resume(name) }) })
}

// resume resumes a model; whoever does it does it until it is done.
func (w *world) resume(name string) {
	w.spawn("resume", func(d *dispatch.Dispatcher) bool {
		_, err := d.Resume(w.t.Context(), name, "somebody")
		return err == nil
	}, func(ok bool) {
		if !ok {
			w.after(time.Minute, func() { w.resume(name) })
		}
	})
}

// sweep runs the sweep every minute, now and then two at once, and not at all while it is out.
func (w *world) sweep(until func() bool) {
	if until() {
		return
	}
	out := w.now.Sub(w.begin) >= w.faults.outageFrom && w.now.Sub(w.begin) <= w.faults.outageTo
	if !out && w.due(w.faults.skew) {
		sweeps := 1
		if w.chance(w.faults.duplicate) {
			sweeps = 2
		}
		for range sweeps {
			w.invoke("sweep", 1, time.Minute, func(h handler.Handlers) error {
				return batchError(h.Sweep(w.t.Context(), json.RawMessage(`{}`)))
			}, func() {})
		}
	}
	w.after(time.Minute, func() { w.sweep(until) })
}

// hides says whether ECS, which is eventually consistent, does not show a task: shortly after it was created, and for some
// minutes at another time: mostly for less than it takes to believe that the task is gone.
func (w *world) hides(arn string) bool {
	if w.now.Sub(w.aws.ECS.Created(arn)) < w.faults.invisible {
		return true
	}
	switch {
	case !w.hidden[arn].IsZero():
	case w.chance(w.faults.forget):
		w.checks.forgotten[arn] = true
		w.hidden[arn] = w.now.Add(w.between(run.Patience, 2*time.Hour))
	case w.chance(w.faults.blink):
		w.hidden[arn] = w.now.Add(w.between(0, run.Patience*2/3))
	}
	return w.now.Before(w.hidden[arn])
}

// due says whether a sweep would find something by a time from now: one that finds nothing need not be simulated.
func (w *world) due(by time.Duration) bool {
	for shard := range store.Shards {
		if keys, err := w.store.Due(w.t.Context(), shard, w.now.Add(by), 1); err != nil || len(keys) > 0 {
			return true
		}
	}
	return false
}

// began is the life of one task: it starts, works, and ends in one of the ways in which tasks end.
func (w *world) began(arn string) {
	if w.burst != nil {
		w.burst.began(arn)
		return
	}
	w.checkNeeded(arn)
	long := strings.Contains(w.aws.ECS.Task(arn).StartedBy, "/long-") // it has no timeout
	if !long && w.chance(w.faults.stuck) {
		return // until it is told to stop
	}
	w.after(w.between(time.Second, time.Minute), func() { w.starts(arn) })
	if w.chance(w.faults.hang) {
		if long {
			w.after(w.between(20*time.Hour, 40*time.Hour), func() { w.exit(arn, 0) })
		}
		return
	}
	w.after(w.between(2*time.Second, 20*time.Minute), func() { w.ends(arn) })
}

// starts has a task's containers start, or not.
func (w *world) starts(arn string) {
	switch {
	case w.aws.ECS.Task(arn).LastStatus != "PROVISIONING":
	case w.chance(w.faults.startFails):
		w.emit(w.aws.ECS.Stopped(arn, func(t *event.Task) {
			t.StopCode, t.StoppedReason, t.Containers = "TaskFailedToStart", "ResourceInitializationError: unable to pull secrets", nil
		}))
	default:
		w.emit(w.aws.ECS.Start(arn))
	}
}

// ends has a task end by itself, by its memory, or by Spot, which may give it a warning of two minutes.
func (w *world) ends(arn string) {
	switch {
	case w.chance(w.faults.interrupt):
		warning := w.between(0, 2*time.Minute)
		if task := w.aws.ECS.Task(arn); task.DesiredStatus == "RUNNING" && w.chance(0.5) {
			w.emit(w.aws.ECS.Warn(arn))
		} else {
			warning = 0
		}
		w.after(warning, func() {
			w.emit(w.aws.ECS.Stopped(arn, func(t *event.Task) {
				t.StopCode, t.StoppedReason = "SpotInterruption", "Your Spot Task was interrupted."
			}))
		})
	case w.chance(0.5) && strings.Contains(w.aws.ECS.Task(arn).StartedBy, "/hungry-"):
		w.emit(w.aws.ECS.Stopped(arn, func(t *event.Task) {
			code := 137
			t.StopCode, t.Containers[0].ExitCode, t.Containers[0].Reason = "EssentialContainerExited", &code, "OutOfMemoryError: Container killed due to memory usage"
		}))
	default:
		w.exit(arn, []int{0, 0, 0, 1, 3, 137}[w.random.IntN(6)])
	}
}

func (w *world) exit(arn string, code int) {
	if task := w.aws.ECS.Task(arn); task.LastStatus != "STOPPED" {
		w.checkStray(task)
		w.emit(w.aws.ECS.Exit(arn, code))
	}
}

// emit delivers a state change: lost, late, twice, out of order.
func (w *world) emit(t event.Task) {
	w.trace("task %s of %s is %s", t.ARN[len(t.ARN)-3:], t.StartedBy, t.LastStatus)
	w.says(&t)
	if w.chance(w.faults.lose) {
		return
	}
	deliveries := 1
	if w.chance(w.faults.duplicate) {
		deliveries = 2
	}
	detail, err := json.Marshal(t)
	if err != nil {
		panic(err)
	}
	payload := json.RawMessage(fmt.Sprintf(`{"version":"0","id":"e","source":"aws.ecs","detail-type":"ECS Task State Change","detail":%s}`, detail))
	for range deliveries {
		w.after(w.delay(), func() {
			w.invoke("completion "+t.StartedBy, 3, time.Minute, func(h handler.Handlers) error { return h.Completion(w.t.Context(), payload) }, func() {})
		})
	}
}

// refuse is how RunTask refuses.
func (w *world) refuse(fargate.Request) *run.Outcome {
	if w.burst != nil {
		return w.burst.refuse()
	}
	if !w.chance(w.faults.refuse) {
		return nil
	}
	if w.chance(0.02) {
		return &run.Outcome{Class: run.Misconfigured, Detail: "ClientException: TaskDefinition is inactive", Permanent: true}
	}
	return &[]run.Outcome{
		{Class: run.Capacity, Detail: "Capacity is unavailable at this time"},
		{Class: run.Quota, Detail: "You've reached the limit on the number of vCPUs"},
		{Class: run.Unknown, Detail: "something new"},
	}[w.random.IntN(3)]
}
