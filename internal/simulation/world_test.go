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
	"modeldispatch/internal/dispatch/awsadapters"
	"modeldispatch/internal/dispatch/dispatchtest"
	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/handler"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/memory"
)

// world is a simulated AWS account with the functions of one deployment. The random numbers of one seed decide all that
// happens in it.
type world struct {
	t       testing.TB
	seed    uint64
	random  *rand.Rand
	begin   time.Time
	now     time.Time
	store   store.Store // for the world and its checks
	reached store.Store // the same documents, for actors
	aws     *dispatchtest.AWS
	faults  faults
	broken  variant // the rule that is broken; the zero value breaks none

	deployed
	placement fargate.Placement

	actors []*actor // the actors that have not ended
	actor  *actor   // the actor that is running, or ran last
	timers []timer  // in the order in which they are due
	serial int      // the serial number of the last timer or object

	hidden     map[string]time.Time // by ARN: until when ECS hides the task
	unanswered int                  // the number of calls whose answer from DynamoDB was lost
	injected   []string             // the identities of the events that happened
	undone     map[string]bool      // the identities of the events that ended as dead letters
	checks     checks
	burst      *burst   // set for a burst, which has thousands of runs and no faults
	failure    string   // the finding; "" as long as every check has passed
	log        []string // the story, if the test runs with -v
}

// timer calls a function at its time. Timers that are due at the same time run by serial number.
type timer struct {
	at     time.Time
	serial int
	what   func()
}

// The names of the queues.
const (
	queueLaunch = "launch"
	queueWake   = "wake"
)

// newWorld returns a world whose store is in memory, before anything has happened.
func newWorld(t testing.TB, seed uint64, f faults, broken variant) *world {
	begin := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	w := &world{
		t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 1)),
		begin: begin, now: begin, faults: f, broken: broken,
		hidden: map[string]time.Time{}, undone: map[string]bool{}, checks: newChecks(),
	}
	w.store = memory.New()
	w.reached = w.store
	w.aws = dispatchtest.New(func() time.Time { return w.now })
	w.aws.ECS.RemembersRefusals = w.chance(0.5)
	w.aws.ECS.Size = model.Size{CPU: 256, Memory: 1024}
	w.aws.ECS.Refuse, w.aws.ECS.CallStarted = w.refuse, w.began
	w.aws.ECS.StopRequested = func(arn string) {
		w.after(w.between(time.Second, 2*time.Minute), func() { w.exit(arn, 137) })
	}
	w.deploy(deployments[0])
	return w
}

// deployment is the configuration of the functions, until the next deployment.
type deployment struct {
	cluster string
	models  func() []model.Model
	pools   map[string]int
}

// deployments holds the first deployment, and the two that can follow it. Both of these use another cluster, and one
// also has other concurrency limits.
var deployments = []*deployment{
	{"one", simulated, map[string]int{"shared": 2}},
	{"two", simulated, map[string]int{"shared": 2}},
	{"two", limited, map[string]int{"shared": 1}},
}

// limited returns the models with other concurrency limits. One model has left its pool.
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

// deployed is a catalog and its routes. Nothing changes them, so all worlds share them.
type deployed struct {
	catalog model.Catalog
	routes  *route.Table
}

var compiled sync.Map // *deployment -> deployed

// compile returns the catalog and the routes of a deployment.
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

// deploy gives the actors that start from now on another catalog and cluster.
func (w *world) deploy(d *deployment) {
	w.deployed = d.compile()
	w.placement = fargate.Placement{Cluster: d.cluster, Subnets: []string{"subnet"}}
}

// themes lists the models that events start in one world. A world takes the theme with the number of its seed modulo 8.
var themes = [][]string{
	{"fragile", "long", "stubborn"}, {"hungry", "stubborn", "first"}, {"narrow"}, {"picky"}, {"eager"},
	{"pooled-a", "pooled-b"}, {"grouped"}, {"patient"},
}

// simulated returns the models of the first deployment. Between them, their policies use retries, timeouts, exit codes,
// concurrency limits, pools, overlap, debounce windows, objects to wait for, more memory and a downstream model.
func simulated() []model.Model {
	both := []model.Capacity{model.Spot, model.OnDemand}
	retry := model.Retry{Attempts: 2, BackoffMin: time.Minute, BackoffMax: time.Minute, TimedOut: true}
	short := model.Policy{Timeout: 30 * time.Minute, Retry: retry}
	withGroup := func(name string, c model.Concurrency) model.Model {
		m := model.Model{Name: name, Policy: short}
		m.Policy.Concurrency = &c
		return m
	}
	grouped, patient := model.Model{Name: "grouped", Policy: short}, model.Model{Name: "patient", Policy: short}
	hungry := model.Model{Name: "hungry", Policy: short}
	grouped.Policy.Debounce = &model.Debounce{Quiet: 5 * time.Minute, MaxDelay: 20 * time.Minute, Per: model.Per{}}
	patient.Policy.WaitFor = &model.WaitFor{Objects: []model.Template{text("s3://landing/flags/{n}")}, Timeout: 90 * time.Minute}
	hungry.Policy.Retry.OutOfMemory = &model.OutOfMemory{MaxMemory: 3072}
	return []model.Model{
		{Name: "fragile", Policy: model.Policy{Timeout: time.Hour, MaxLaunchesPerHour: 100_000, Retry: model.Retry{Attempts: 1}}},
		{Name: "long", Policy: model.Policy{Retry: model.Retry{Attempts: 2, Lost: true}}},
		{Name: "stubborn", Task: model.Task{Capacity: both}, Policy: model.Policy{
			Timeout: 10 * time.Minute, ExitCodes: map[int]model.ExitCodeAction{3: model.ExitCodeSkip},
			Retry: model.Retry{Attempts: 3, BackoffMin: 30 * time.Second, BackoffMax: 15 * time.Minute, TimedOut: true},
		}},
		{Name: "first", Policy: short},
		{Name: "second", Policy: short, Triggers: []model.Trigger{
			{Name: "after", Kind: model.After, After: []string{"first"}, Fields: "upstream"},
		}},
		withGroup("narrow", model.Concurrency{Limit: 1}),
		withGroup("picky", model.Concurrency{Limit: 1, Overlap: model.OverlapSkip}),
		withGroup("eager", model.Concurrency{Limit: 1, Overlap: model.OverlapReplace}),
		withGroup("pooled-a", model.Concurrency{Pool: "shared"}), withGroup("pooled-b", model.Concurrency{Pool: "shared"}),
		grouped, patient, hungry,
	}
}

// text returns a template, and panics if the text is none.
func text(t string) model.Template {
	parsed, err := model.ParseTemplate(t)
	if err != nil {
		panic(err)
	}
	return parsed
}

// dispatcher returns the dispatcher of one invocation, with a clock of its own.
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
		Deployment: "sim", Catalog: w.catalog, Routes: w.routes, Placement: w.placement, Bucket: "state",
		Store: actorStore{w.reached, w},
		Queue: aws, Launcher: aws, Watcher: aws, Objects: aws, Bus: aws,
		Now: func() time.Time { return w.now.Add(skew) }, Random: w.random.Float64, ForEach: each,
		Hooks: dispatch.Hooks{Decided: w.checkDecided},
	})
}

// chance returns true with probability p. It draws no random number if p is 0.
func (w *world) chance(p float64) bool { return p > 0 && w.random.Float64() < p }

// between returns a random duration of at least from, and less than to.
func (w *world) between(from, to time.Duration) time.Duration {
	if to <= from {
		return from
	}
	return from + time.Duration(w.random.Int64N(int64(to-from)))
}

// latency returns how long an actor waits before or after a call: usually less than 80 ms. A zombie waits for 100 ms to
// three hours, so that other actors can continue its work. The logarithm of this time is uniformly distributed.
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

// trace adds a line to the story, if the test runs with -v.
func (w *world) trace(format string, args ...any) {
	if testing.Verbose() {
		w.log = append(w.log, fmt.Sprintf("%12s  ", w.now.Sub(w.begin))+fmt.Sprintf(format, args...))
	}
}

// fail notes a finding. The world keeps only the first one, which ends it.
func (w *world) fail(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf("after %s: ", w.now.Sub(w.begin).Round(time.Second)) + fmt.Sprintf(format, args...)
		w.trace("FAILED: %s", w.failure)
	}
}

// after calls a function after a time.
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

// step continues the next actor, or calls the next timer, whichever comes first. It returns false if the world has
// none.
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

// invoke invokes a function until it acknowledges its work, at most tries times with a pause between them. It calls
// lost if no invocation has acknowledged.
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

// send sends a message that names a run. SQS delivers it at least once, in any order.
func (w *world) send(queue, id string, delay time.Duration) {
	if w.burst != nil && queue == queueLaunch {
		w.after(time.Duration(awsadapters.DelaySeconds(delay))*time.Second, func() { w.burst.push(id) })
		return
	}
	deliveries := 1
	if w.chance(w.faults.duplicate) {
		deliveries = 2
	}
	if lose := w.faults.lose; queue == queueWake && w.chance(lose) || w.chance(lose/20) {
		deliveries = 0 // the protocol does not depend on wake messages, and a launch message can end as a dead letter
	}
	for range deliveries {
		w.after(delay+w.delay(), func() { w.receive(queue, id) })
	}
}

// receive invokes the function of a queue with a message.
func (w *world) receive(queue, id string) {
	body, err := json.Marshal(awsadapters.RunMessage{Run: id})
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

// batchError returns an error if a function failed, or reported messages of its batch as failed.
func batchError(r events.SQSEventResponse, err error) error {
	if err == nil && len(r.BatchItemFailures) > 0 {
		return fmt.Errorf("SQS delivers %v again", r.BatchItemFailures)
	}
	return err
}

// delay returns the time that a delivery takes.
func (w *world) delay() time.Duration {
	if w.chance(w.faults.late) {
		return w.between(0, 2*time.Hour)
	}
	return w.between(0, 2*time.Second)
}

// pause pauses a model in some worlds, for one minute to three hours.
func (w *world) pause(name string) {
	if !w.chance(w.faults.pause) {
		return
	}
	w.spawn("pause", func(d *dispatch.Dispatcher) bool {
		_, err := d.Pause(w.t.Context(), name, "enough", "somebody")
		return err == nil
	}, func(bool) { w.after(w.between(time.Minute, 3*time.Hour), func() { w.resume(name) }) })
}

// resume resumes a model. It repeats a command that fails until it succeeds.
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

// sweep invokes the sweep function every minute until a condition holds. Sometimes two invocations overlap. During an
// outage there is none. A sweep that would find nothing is not simulated.
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

// hides reports whether ECS, which is eventually consistent, does not show a task now. It hides each new task for a
// short time. Later it hides some tasks once, for up to two thirds of run.LostAfter, and a few for run.LostAfter to two
// hours.
func (w *world) hides(arn string) bool {
	if w.now.Sub(w.aws.ECS.CreatedAt(arn)) < w.faults.invisible {
		return true
	}
	switch {
	case !w.hidden[arn].IsZero():
	case w.chance(w.faults.forget):
		w.checks.forgotten[arn] = true
		w.hidden[arn] = w.now.Add(w.between(run.LostAfter, 2*time.Hour))
	case w.chance(w.faults.blink):
		w.hidden[arn] = w.now.Add(w.between(0, run.LostAfter*2/3))
	}
	return w.now.Before(w.hidden[arn])
}

// due reports whether a sweep finds a document that is due within a time from now.
func (w *world) due(by time.Duration) bool {
	for shard := range store.Shards {
		if keys, err := w.store.Due(w.t.Context(), shard, w.now.Add(by), 1); err != nil || len(keys) > 0 {
			return true
		}
	}
	return false
}

// began schedules the life of a new task: it starts and ends at random times, or it hangs.
func (w *world) began(arn string) {
	if w.burst != nil {
		w.burst.began(arn)
		return
	}
	w.checkNeeded(arn)
	long := strings.Contains(w.aws.ECS.Task(arn).StartedBy, "/long-") // the model without a timeout
	if !long && w.chance(w.faults.stuck) {
		return // it stays PROVISIONING until a StopTask call
	}
	w.after(w.between(time.Second, time.Minute), func() { w.startTask(arn) })
	if w.chance(w.faults.hang) {
		if long {
			w.after(w.between(20*time.Hour, 40*time.Hour), func() { w.exit(arn, 0) })
		}
		return
	}
	w.after(w.between(2*time.Second, 20*time.Minute), func() { w.endTask(arn) })
}

// startTask starts the containers of a task, or lets their start fail.
func (w *world) startTask(arn string) {
	switch {
	case w.aws.ECS.Task(arn).LastStatus != "PROVISIONING":
	case w.chance(w.faults.startFails):
		w.emit(w.aws.ECS.StopWith(arn, func(t *event.Task) {
			t.StopCode, t.StoppedReason, t.Containers = "TaskFailedToStart", "ResourceInitializationError: unable to pull secrets", nil
		}))
	default:
		w.emit(w.aws.ECS.Start(arn))
	}
}

// endTask stops a task: by a Spot interruption with or without a warning of up to two minutes, for lack of memory, or
// with a random exit code.
func (w *world) endTask(arn string) {
	switch {
	case w.chance(w.faults.interrupt):
		warning := w.between(0, 2*time.Minute)
		if task := w.aws.ECS.Task(arn); task.DesiredStatus == "RUNNING" && w.chance(0.5) {
			w.emit(w.aws.ECS.WarnOfInterruption(arn))
		} else {
			warning = 0
		}
		w.after(warning, func() {
			w.emit(w.aws.ECS.StopWith(arn, func(t *event.Task) {
				t.StopCode, t.StoppedReason = "SpotInterruption", "Your Spot Task was interrupted."
			}))
		})
	case w.chance(0.5) && strings.Contains(w.aws.ECS.Task(arn).StartedBy, "/hungry-"):
		w.emit(w.aws.ECS.StopWith(arn, func(t *event.Task) {
			code := 137
			t.StopCode, t.Containers[0].ExitCode = "EssentialContainerExited", &code
			t.Containers[0].Reason = "OutOfMemoryError: Container killed due to memory usage"
		}))
	default:
		w.exit(arn, []int{0, 0, 0, 1, 3, 137}[w.random.IntN(6)])
	}
}

// exit stops a task with an exit code, unless it has stopped already.
func (w *world) exit(arn string, code int) {
	if task := w.aws.ECS.Task(arn); task.LastStatus != "STOPPED" {
		w.checkOrphan(task)
		w.emit(w.aws.ECS.Exit(arn, code))
	}
}

// emit sends a task state change to the completion function. It can be lost or late, come twice, or come out of order.
func (w *world) emit(t event.Task) {
	w.trace("task %s of %s is %s", t.ARN[len(t.ARN)-3:], t.StartedBy, t.LastStatus)
	w.changeTask(&t)
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
	const envelope = `{"version":"0","id":"e","source":"aws.ecs","detail-type":"ECS Task State Change","detail":%s}`
	payload := json.RawMessage(fmt.Sprintf(envelope, detail))
	for range deliveries {
		w.after(w.delay(), func() {
			w.invoke("completion "+t.StartedBy, 3, time.Minute, func(h handler.Handlers) error {
				return h.Completion(w.t.Context(), payload)
			}, func() {})
		})
	}
}

// refuse returns a refusal of RunTask, or nil if ECS starts the task.
func (w *world) refuse(fargate.Request) *run.Outcome {
	if w.burst != nil {
		return w.burst.refuse()
	}
	if !w.chance(w.faults.refuse) {
		return nil
	}
	if w.chance(0.02) {
		return &run.Outcome{Class: run.ClassMisconfigured, Detail: "ClientException: TaskDefinition is inactive", Permanent: true}
	}
	return &[]run.Outcome{
		{Class: run.ClassCapacity, Detail: "Capacity is unavailable at this time"},
		{Class: run.ClassQuota, Detail: "You've reached the limit on the number of vCPUs"},
		{Class: run.ClassUnknown, Detail: "something new"},
	}[w.random.IntN(3)]
}
