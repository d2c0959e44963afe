package simulation

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// checks remembers what has happened in a world, to check what happens next. It numbers the commits, and thus knows
// what had been stored when an actor started or read something.
type checks struct {
	gentle    bool                // whether the world is gentle: work that is due happens on time
	commits   int                 // the number of commits so far
	runs      map[string]run.Run  // by id: each run, as it was committed last
	holders   map[string][]string // by concurrency group: the runs that hold a slot, as committed last
	started   map[string]int      // by run: the number of events that have started it
	decided   map[string]bool     // the identities of the events that got a decision
	cancelled map[string]bool     // the ids of the runs that a user has cancelled
	joined    map[store.Key]int   // by waiter of a group or breaker: the number of the commit that added it
	paused    map[string]int      // by paused model: the number of the commit that paused it
	resumed   map[string]int      // by model: the number of the commit that resumed it
	refused   map[string]bool     // the client tokens that ECS has refused for good
	forgotten map[string]bool     // the ARNs of the tasks that ECS hides for so long that they may count as lost
}

func newChecks() checks {
	return checks{
		runs: map[string]run.Run{}, holders: map[string][]string{},
		started: map[string]int{}, decided: map[string]bool{}, cancelled: map[string]bool{},
		joined: map[store.Key]int{}, paused: map[string]int{}, resumed: map[string]int{},
		refused: map[string]bool{}, forgotten: map[string]bool{},
	}
}

// checkDecided checks that no event starts the same run twice.
func (w *world) checkDecided(e event.Event, d records.Decision) {
	w.checks.decided[e.Identity] = true
	if d.Kind == records.Started {
		w.checks.started[d.Run]++
		if w.checks.started[d.Run] > 1 {
			w.fail("event %s was accepted twice", e.Identity)
		}
	}
}

// checkDead checks that no launch message becomes a dead letter in a gentle world. A throttled or refused launch is not
// an error of the function.
func (w *world) checkDead(queue string) {
	if w.checks.gentle && queue == queueLaunch {
		w.fail("a launch message became a dead letter")
	}
}

// checkCommit checks what an actor's commit changes in runs, concurrency groups and control documents.
func (w *world) checkCommit(a *actor, writes []store.Write) {
	c := &w.checks
	c.commits++
	for _, one := range writes {
		key := one.Doc.Key
		switch {
		case one.Doc.Kind == records.KindRun:
			after := decoded[run.Run](one.Doc)
			w.checkUpdate(a, c.runs[after.ID], after)
			c.runs[after.ID] = after
		case one.Doc.Kind == records.KindHolders && !one.Delete:
			after := decoded[records.Holders](one.Doc).Holders
			w.checkSlots(a, c.holders[key.PK], after, key.PK)
			c.holders[key.PK] = after
		case one.Doc.Kind == records.KindWaiter && !one.Delete:
			c.joined[key] = c.commits
		case one.Doc.Kind == records.KindControl:
			w.noteControl(decoded[records.Control](one.Doc))
		}
	}
}

// decoded returns the content of a document, or the zero value if the document has no body.
func decoded[T any](doc store.Doc) T {
	var v T
	if len(doc.Body) > 0 {
		if err := json.Unmarshal(doc.Body, &v); err != nil {
			panic(err)
		}
	}
	return v
}

// noteControl remembers that a model was paused or resumed.
func (w *world) noteControl(control records.Control) {
	c := &w.checks
	_, paused := c.paused[control.Model]
	switch {
	case control.Paused && !paused:
		c.paused[control.Model] = c.commits
	case !control.Paused && paused:
		delete(c.paused, control.Model)
		c.resumed[control.Model] = c.commits
	}
}

// checkUpdate checks that a run changes only as the protocol allows.
func (w *world) checkUpdate(a *actor, before, after run.Run) {
	c := &w.checks
	calls := after.Attempt > before.Attempt || after.Attempt == before.Attempt && after.Call > before.Call
	ready := after.State == run.Waiting && after.WaitingFor == run.ForLaunch
	switch {
	case before.State.Ended() && after.State != before.State:
		w.fail("run %s changed from %s to %s", after.ID, before.State, after.State)
	case c.cancelled[after.ID] && calls:
		w.fail("RunTask is called for run %s, which was cancelled", after.ID)
	case calls && len(before.OrphanTasks) > 0:
		w.fail("RunTask is called for run %s beside its orphan task %v", after.ID, before.OrphanTasks)
	case before.Task.ARN == after.Task.ARN && before.Task.Status == "RUNNING" && after.Task.Status == "PROVISIONING":
		w.fail("the task of run %s changed back from %s to %s", after.ID, before.Task.Status, after.Task.Status)
	case before.WaitingFor == run.ForSlot && ready:
		w.checkSlotOrder(a, before)
	case before.ReadySince.IsZero() && ready && after.Group == (run.Group{}):
		w.checkPaused(a, after.Model, after.ID)
	case before.WaitingFor == run.ForObjects && after.WaitingFor != run.ForObjects:
		w.checkPrompt(before)
	}
	if after.StopRequest != nil && after.StopRequest.Class == run.ClassCancelled {
		c.cancelled[after.ID] = true
	}
}

// checkOrphan checks, when a task is about to end, that it was told to stop if its run knows it as an orphan.
func (w *world) checkOrphan(t event.Task) {
	_, id, _ := strings.Cut(runOf(t), "/")
	if slices.Contains(w.checks.runs[id].OrphanTasks, t.ARN) && t.DesiredStatus == "RUNNING" {
		w.fail("orphan task %s of run %s was not told to stop", t.StartedBy, id)
	}
}

// checkPaused checks that no actor that started after a pause sends a run of the paused model to be launched.
func (w *world) checkPaused(a *actor, name, id string) {
	if at, paused := w.checks.paused[name]; paused && at <= a.began {
		w.fail("run %s is sent to be launched although its model is paused", id)
	}
}

// checkPrompt checks that in a gentle world a run that waits for objects continues within two minutes of their arrival.
func (w *world) checkPrompt(r run.Run) {
	spec, err := w.store.Get(w.t.Context(), records.SpecKey(r.ID))
	if err != nil {
		panic(err)
	}
	for _, uri := range decoded[run.Spec](spec).Objects {
		at, there, _ := w.aws.Stat(w.t.Context(), uri)
		if waited := w.now.Sub(later(at, r.WaitingSince)); w.checks.gentle && there && waited > 2*time.Minute {
			w.fail("run %s continues only %s after %s has arrived", r.ID, waited.Round(time.Second), uri)
		}
	}
}

// checkSlotOrder checks that a slot is granted to the first waiter that the actor has listed. Waiters of paused models
// do not count.
func (w *world) checkSlotOrder(a *actor, r run.Run) {
	c := &w.checks
	w.checkPaused(a, r.Model, r.ID)
	own := records.WaiterKey(r)
	group := own.PK
	byName := func(a, b store.Key) int { return strings.Compare(a.String(), b.String()) }
	for _, key := range slices.SortedFunc(maps.Keys(c.joined), byName) {
		ahead := key.PK == group && key.SK < own.SK && c.joined[key] <= a.listed[group]
		if !ahead {
			continue
		}
		other := c.runs[key.SK[strings.LastIndexByte(key.SK, '/')+1:]]
		_, paused := c.paused[other.Model]
		if other.WaitingFor == run.ForSlot && other.Group == r.Group && !paused && c.resumed[other.Model] <= a.began {
			w.fail("run %s gets a slot in %s before run %s, which waits longer", r.ID, group, other.ID)
		}
	}
}

// checkSlots checks that no slot is granted at or over the limit in force: the limit in the catalog of the actor that
// grants it.
func (w *world) checkSlots(a *actor, before, after []string, name string) {
	granted := slices.ContainsFunc(after, func(id string) bool { return !slices.Contains(before, id) })
	limit := a.limit(name)
	if !granted || limit == 0 {
		return
	}
	holding := 0
	for _, r := range w.runs() {
		if records.GroupPartition(r.Group) == name && holdsSlot(r) {
			holding++
		}
	}
	if holding > limit || len(after) > limit {
		w.fail("%d runs hold a slot in %s (%d in its document), want at most %d", holding, name, len(after), limit)
	}
}

// holdsSlot reports whether a run in a concurrency group holds a slot: it has left the queue and has not ended.
func holdsSlot(r run.Run) bool {
	if r.State != run.Waiting {
		return !r.State.Ended()
	}
	return r.WaitingFor == run.ForLaunch || r.WaitingFor == run.ForCapacity || r.WaitingFor == run.ForBackoff
}

// limit returns the number of slots of a concurrency group in the actor's catalog; 0 means no limit.
func (a *actor) limit(group string) int {
	name, _, _ := strings.Cut(strings.TrimPrefix(group, "group/"), "/")
	if pool, is := strings.CutPrefix(name, "pool:"); is {
		return a.catalog.Pools[pool]
	}
	if m, known := a.catalog.Model(name); known && m.Policy.Concurrency != nil {
		return m.Policy.Concurrency.Limit
	}
	return 0
}

// checkToken checks in a gentle world that RunTask is not called with a token that ECS has refused for good. The
// function that it returns notes the answer to this call.
func (w *world) checkToken(request json.RawMessage) (noteAnswer func(fargate.Answer)) {
	var sent fargate.Request
	if err := json.Unmarshal(request, &sent); err != nil {
		panic(err)
	}
	if w.checks.gentle && w.checks.refused[sent.ClientToken] {
		w.fail("the token of attempt %s is sent again after a refusal", sent.StartedBy)
	}
	return func(answer fargate.Answer) {
		if r := answer.Refusal; r != nil && !r.Class.KeepsToken() {
			w.checks.refused[sent.ClientToken] = true
		}
	}
}

// checkEvents checks that no event was lost: each is a dead letter or has a record with its decision. The record of a
// rejected event must have a reason and the payload, and the rejection must have been announced.
func (w *world) checkEvents(announced map[string]map[string]bool) {
	recorded := map[string]bool{}
	for _, r := range listed[records.EventRecord](w, records.KindEvent) {
		recorded[r.Identity] = true
		_, err := w.store.Get(w.t.Context(), records.RunKey(r.Run))
		switch rejected := r.Kind == records.Rejected; {
		case !rejected && errors.Is(err, store.ErrNotFound):
			w.fail("event %s has run %s, which does not exist", r.Identity, r.Run)
		case rejected && (r.Reason == "" || len(r.Payload) == 0):
			w.fail("event %s was rejected with the reason %q, and its record keeps %d bytes of payload", r.Identity, r.Reason, len(r.Payload))
		case rejected && announced[fmt.Sprint(r.Identity, " ", dispatch.DetailRejected, " ", 0)] == nil:
			w.fail("the rejection of event %s was not announced", r.Identity)
		case len(r.Outbox.Effects) > 0:
			w.fail("event %s has effects left: %+v", r.Identity, r.Outbox.Effects)
		}
	}
	for _, identity := range w.injected {
		switch flag := strings.Contains(identity, "/flags/"); {
		case w.undone[identity]:
		case !w.checks.decided[identity]:
			w.fail("event %s was lost: it got no decision and is no dead letter", identity)
		case !recorded[identity] && !flag: // no model matches a flag
			w.fail("event %s got a decision but has no record", identity)
		}
	}
}

// checkLive checks that no run has two live tasks.
func (w *world) checkLive() {
	if w.burst != nil {
		return // simulateBurst compares the number of tasks at the end
	}
	tasks := map[string]string{}
	for _, arn := range w.aws.ECS.Tasks() {
		t := w.aws.ECS.Task(arn)
		if t.LastStatus == "STOPPED" || w.checks.forgotten[arn] {
			continue // a run cannot know about a task that ECS denies
		}
		id := runOf(t)
		if other, two := tasks[id]; two {
			w.fail("run %s has two live tasks: of %s and of %s", id, w.aws.ECS.Task(other).StartedBy, t.StartedBy)
		}
		tasks[id] = arn
	}
}

// checkNeeded checks that no new task is started for a run that already has a successful task. A task counts as
// successful if it exited with 0 before a StopTask call. Forgotten tasks do not count, because the run may have given
// them up as lost. The check leaves out the model long, because it retries lost attempts.
func (w *world) checkNeeded(arn string) {
	id := runOf(w.aws.ECS.Task(arn))
	for _, other := range w.aws.ECS.Tasks() {
		t := w.aws.ECS.Task(other)
		exitedWithZero := len(t.Containers) > 0 && t.Containers[0].ExitCode != nil && *t.Containers[0].ExitCode == 0
		succeeded := exitedWithZero && t.LastStatus == "STOPPED" && t.StopCode != "UserInitiated"
		if succeeded && runOf(t) == id && !w.checks.forgotten[other] && !strings.HasPrefix(id, "sim/long-") {
			w.fail("run %s is launched again as %s, after its task of %s has succeeded", id, w.aws.ECS.Task(arn).StartedBy, t.StartedBy)
		}
	}
}

// checkEnd checks what must hold when the world has ended: each run has ended and was announced with one id, no effects
// are left, and events, downstream runs and tasks are complete.
func (w *world) checkEnd() {
	if w.failure != "" {
		return
	}
	ids := map[string]map[string]bool{} // by run or event, announcement type and attempt: the announcement ids
	for _, a := range w.aws.Announcements {
		var detail dispatch.RunDetail // for a rejected event, Run is empty and Event is its identity
		if err := json.Unmarshal(a.Detail, &detail); err != nil {
			w.fail("announcement %s: %v", a.Detail, err)
		}
		key := fmt.Sprint(cmp.Or(detail.Run, detail.Event), " ", a.DetailType, " ", detail.Attempt)
		if a.DetailType == run.DetailWaiting {
			key += " for " + string(detail.WaitingFor)
		}
		if ids[key] == nil {
			ids[key] = map[string]bool{}
		}
		ids[key][detail.ID] = true
	}
	for _, key := range slices.Sorted(maps.Keys(ids)) {
		if n := len(ids[key]); n != 1 {
			w.fail("%s was announced with %d ids", key, n)
		}
	}
	runs := w.runs()
	for _, r := range runs {
		end := fmt.Sprint(r.ID, " Model Run ", strings.ToUpper(string(r.State[:1])), string(r.State[1:]), " ", r.Attempt)
		switch {
		case !r.State.Ended():
			w.fail("run %s did not end: it is %s", r.ID, strings.TrimSpace(string(r.State)+" "+string(r.WaitingFor)))
		case ids[end] == nil:
			w.fail("the end of run %s was not announced: %s", r.ID, r.State)
		case len(r.Outbox.Effects) > 0:
			w.fail("run %s has effects left: %+v", r.ID, r.Outbox.Effects)
		case w.checks.cancelled[r.ID] && r.State == run.Failed:
			w.fail("run %s was cancelled but failed: %+v", r.ID, r.Outcome)
		}
	}
	w.checkEvents(ids)
	w.checkFollowed(runs)
	w.checkTasks(runs)
}

// checkFollowed checks that each run that an event has started exists, and that a run of the model first has a
// downstream run exactly if it succeeded.
func (w *world) checkFollowed(runs []run.Run) {
	there := map[string]bool{}
	for _, r := range runs {
		there[r.ID] = true
	}
	for _, id := range slices.Sorted(maps.Keys(w.checks.started)) {
		if !there[id] {
			w.fail("run %s was started but does not exist", id)
		}
	}
	for _, r := range runs {
		next := records.RunID("second", "after/"+r.ID, "")
		if r.Model == "first" && (r.State == run.Succeeded) != there[next] {
			w.fail("run %s is %s; its downstream run exists: %t", r.ID, r.State, there[next])
		}
	}
}

// checkTasks checks that no task still runs, and that each run's end agrees with the exit code of its last task.
func (w *world) checkTasks(runs []run.Run) {
	exits := map[string]*int{}   // by ARN
	stopped := map[string]bool{} // by ARN: whether a StopTask call stopped the task, or ECS may have hidden its end
	for _, arn := range w.aws.ECS.Tasks() {
		t := w.aws.ECS.Task(arn)
		if t.LastStatus != "STOPPED" && !w.checks.forgotten[arn] {
			w.fail("the task of %s still runs", t.StartedBy)
		}
		if len(t.Containers) > 0 {
			exits[arn] = t.Containers[0].ExitCode
		}
		stopped[arn] = t.StopCode == "UserInitiated" || w.checks.forgotten[arn]
	}
	for _, r := range runs {
		code := exits[r.Task.ARN]
		if r.State == run.Succeeded && (code == nil || *code != 0) {
			w.fail("run %s succeeded, but the exit code of its task is %v", r.ID, code)
			continue
		}
		exitedWithZero := code != nil && *code == 0 && !stopped[r.Task.ARN]
		if exitedWithZero && r.State.Ended() && r.State != run.Succeeded && r.Outcome.Class != run.ClassLost {
			w.fail("run %s is %s, but its task exited with 0 before it was told to stop", r.ID, r.State)
		}
	}
}

// runOf returns the deployment and the run of a task: its startedBy without the attempt.
func runOf(t event.Task) string { return t.StartedBy[:strings.LastIndexByte(t.StartedBy, '/')] }

// runs returns all runs in the store.
func (w *world) runs() []run.Run { return listed[run.Run](w, records.KindRun) }

// listed returns the content of all documents of a kind.
func listed[T any](w *world, kind string) []T {
	var all []T
	for q := (store.Query{Kind: kind}); ; {
		docs, next, err := w.store.List(w.t.Context(), q)
		if err != nil {
			panic(err)
		}
		for _, doc := range docs {
			all = append(all, decoded[T](doc))
		}
		if q.Cursor = next; next == "" {
			return all
		}
	}
}
