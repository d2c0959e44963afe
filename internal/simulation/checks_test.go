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
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// checks are what is remembered of what happened, to check what happens next. Commits are counted, so that it can be
// said what had been stored when somebody looked.
type checks struct {
	gentle    bool                // what is done in time is done in time
	commits   int                 // so far
	runs      map[string]run.Run  // as committed last
	holders   map[string][]string // of lines, likewise
	started   map[string]int      // runs that were accepted, and how often
	decided   map[string]bool     // identities that were decided about
	cancelled map[string]bool     // runs that somebody has cancelled
	joined    map[store.Key]int   // who stands in line, and the commit by which
	paused    map[string]int      // models that are paused, and the commit by which
	resumed   map[string]int      // models that are not any more, likewise
	refused   map[string]bool     // clientTokens of which ECS has said that they start nothing
	forgotten map[string]bool     // tasks that were not shown for so long that they may have been taken for lost
}

func newChecks() checks {
	return checks{
		runs: map[string]run.Run{}, holders: map[string][]string{}, started: map[string]int{}, decided: map[string]bool{}, cancelled: map[string]bool{},
		joined: map[store.Key]int{}, paused: map[string]int{}, resumed: map[string]int{}, refused: map[string]bool{}, forgotten: map[string]bool{},
	}
}

// checkDecided checks that an event is accepted once.
func (w *world) checkDecided(e event.Event, d dispatch.Decision) {
	w.checks.decided[e.Identity] = true
	if d.Verdict == dispatch.Started {
		w.checks.started[d.Run]++
		if w.checks.started[d.Run] > 1 {
			w.fail("event %s was accepted twice", e.Identity)
		}
	}
}

// checkDead checks that no launch ends as a dead letter because RunTask was throttled or refused: that is no failure.
func (w *world) checkDead(queue string) {
	if w.checks.gentle && queue == queueLaunch {
		w.fail("a message of the launch queue is a dead letter")
	}
}

// checkCommit checks what a commit does to runs and lines, by who made it.
func (w *world) checkCommit(a *actor, writes []store.Write) {
	c := &w.checks
	c.commits++
	for _, one := range writes {
		key := one.Doc.Key
		switch {
		case key.SK == "run":
			after := decoded[run.Run](one.Doc)
			w.checkMove(a, c.runs[after.ID], after)
			c.runs[after.ID] = after
		case key.SK == "line" && !one.Delete:
			after := decoded[holders](one.Doc).Holders
			w.checkLine(a, c.holders[key.PK], after, key.PK)
			c.holders[key.PK] = after
		case strings.HasPrefix(key.SK, "w/") && !one.Delete:
			c.joined[key] = c.commits
		case strings.HasPrefix(key.PK, "control/") && key.SK == "-":
			w.noteControl(decoded[dispatch.Control](one.Doc))
		}
	}
}

// decoded is what a document holds; nothing, where there is none.
func decoded[T any](doc store.Doc) T {
	var v T
	if len(doc.Body) > 0 {
		if err := json.Unmarshal(doc.Body, &v); err != nil {
			panic(err)
		}
	}
	return v
}

func (w *world) noteControl(control dispatch.Control) {
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

// checkMove checks that a run moves as runs may.
func (w *world) checkMove(a *actor, before, after run.Run) {
	c := &w.checks
	calls := after.Attempt > before.Attempt || after.Attempt == before.Attempt && after.Call > before.Call
	ready := after.State == run.Waiting && after.For == run.Queued
	switch {
	case before.State.Ended() && after.State != before.State:
		w.fail("run %s was %s, and is %s", after.ID, before.State, after.State)
	case c.cancelled[after.ID] && calls:
		w.fail("run %s was cancelled, and RunTask is called for it", after.ID)
	case calls && len(before.Strays) > 0:
		w.fail("RunTask is called for run %s beside its live task %v", after.ID, before.Strays)
	case before.Task.ARN == after.Task.ARN && before.Task.Status == "RUNNING" && after.Task.Status == "PROVISIONING":
		w.fail("the task of run %s was %s, and is %s", after.ID, before.Task.Status, after.Task.Status)
	case before.For == run.Line && ready:
		w.checkTurn(a, before)
	case before.Queued.IsZero() && ready && after.Line == "":
		w.checkPaused(a, after.Model, after.ID)
	case before.For == run.Objects && after.For != run.Objects:
		w.checkPrompt(before)
	}
	if after.Cancel != nil && after.Cancel.Class == run.Stopped {
		c.cancelled[after.ID] = true
	}
}

// checkStray checks that a task that nobody knows does not live on: once it was seen, it is told to stop.
func (w *world) checkStray(t event.Task) {
	_, id, _ := strings.Cut(runOf(t), "/")
	if slices.Contains(w.checks.runs[id].Strays, t.ARN) && t.DesiredStatus == "RUNNING" {
		w.fail("task %s of run %s was left to run, and the run knows nothing of it", t.StartedBy, id)
	}
}

// checkPaused checks that the run of a paused model is not let go by who came after the pause.
func (w *world) checkPaused(a *actor, name, id string) {
	if at, paused := w.checks.paused[name]; paused && at <= a.began {
		w.fail("run %s is let go, and its model is paused", id)
	}
}

// checkPrompt checks that who waits for an object goes on soon after it has arrived.
func (w *world) checkPrompt(r run.Run) {
	spec, err := w.store.Get(w.t.Context(), dispatch.SpecKey(r.ID))
	if err != nil {
		panic(err)
	}
	for _, uri := range decoded[run.Spec](spec).Objects {
		at, there, _ := w.aws.Find(w.t.Context(), uri)
		if waited := w.now.Sub(later(at, r.Since)); w.checks.gentle && there && waited > 2*time.Minute {
			w.fail("run %s goes on %s after %s was there", r.ID, waited.Round(time.Second), uri)
		}
	}
}

// checkTurn checks that a place in a line is given to the first who could be seen to stand in it.
func (w *world) checkTurn(a *actor, r run.Run) {
	c := &w.checks
	w.checkPaused(a, r.Model, r.ID)
	place := standing(r)
	for _, key := range slices.SortedFunc(maps.Keys(c.joined), func(a, b store.Key) int { return strings.Compare(a.String(), b.String()) }) {
		ahead := key.PK == r.Line && key.SK < place && c.joined[key] <= a.looked[r.Line]
		if !ahead {
			continue
		}
		other := c.runs[key.SK[strings.LastIndexByte(key.SK, '/')+1:]]
		_, paused := c.paused[other.Model]
		if other.For == run.Line && other.Line == r.Line && !paused && c.resumed[other.Model] <= a.began {
			w.fail("run %s gets a place in %s before run %s, which was there first", r.ID, r.Line, other.ID)
		}
	}
}

// standing is the sort key of a run that stands in line: by when it was accepted.
func standing(r run.Run) string { return fmt.Sprintf("w/%015d/%s", r.Accepted.UnixMilli(), r.ID) }

// holders are those who hold a place in a line.
type holders struct{ Holders []string }

// checkLine checks that nobody is given a place in a line beyond the limit that is in force for who gives it.
func (w *world) checkLine(a *actor, before, after []string, name string) {
	granted := slices.ContainsFunc(after, func(id string) bool { return !slices.Contains(before, id) })
	limit := a.limit(name)
	if !granted || limit == 0 {
		return
	}
	holding := 0
	for _, r := range w.runs() {
		if holds := r.State != run.Waiting || r.For == run.Queued || r.For == run.Place || r.For == run.Backoff; r.Line == name && holds && !r.State.Ended() {
			holding++
		}
	}
	if holding > limit || len(after) > limit {
		w.fail("%d runs hold a place in %s, %d of them by its document; its limit is %d", holding, name, len(after), limit)
	}
}

// limit is how many places a line has by the catalog that an actor knows; 0 is any number.
func (a *actor) limit(line string) int {
	name, _, _ := strings.Cut(strings.TrimPrefix(line, "line/"), "/")
	if pool, is := strings.CutPrefix(name, "pool:"); is {
		return a.catalog.Pools[pool]
	}
	if m, known := a.catalog.Model(name); known && m.Policy.Concurrency != nil {
		return m.Policy.Concurrency.Limit
	}
	return 0
}

// checkToken checks that a token is not sent again once ECS has said that it starts nothing.
func (w *world) checkToken(request json.RawMessage) (refused func(fargate.Answer)) {
	var sent fargate.Request
	if err := json.Unmarshal(request, &sent); err != nil {
		panic(err)
	}
	if w.checks.gentle && w.checks.refused[sent.ClientToken] {
		w.fail("the token of attempt %s is sent again, and it was refused", sent.StartedBy)
	}
	return func(answer fargate.Answer) {
		if r := answer.Refusal; r != nil && !r.Class.SameToken() {
			w.checks.refused[sent.ClientToken] = true
		}
	}
}

// checkEvents checks that no event was lost: each is a dead letter, or recorded with what became of it; what was rejected
// with its reason and its payload, and announced.
func (w *world) checkEvents(announced map[string]map[string]bool) {
	recorded := map[string]bool{}
	for _, r := range listed[dispatch.Record](w, dispatch.KindEvent) {
		recorded[r.Identity] = true
		_, err := w.store.Get(w.t.Context(), dispatch.RunKey(r.Run))
		switch rejected := r.Verdict == dispatch.Rejected; {
		case !rejected && errors.Is(err, store.ErrNotFound):
			w.fail("event %s has run %s, which is not there", r.Identity, r.Run)
		case rejected && (r.Reason == "" || len(r.Payload) == 0):
			w.fail("event %s was rejected because of %q, and of its payload %d bytes are kept", r.Identity, r.Reason, len(r.Payload))
		case rejected && announced[fmt.Sprint(r.Identity, " ", dispatch.AnnounceRejected, " ", 0)] == nil:
			w.fail("that event %s was rejected was not announced", r.Identity)
		case len(r.Outbox.Effects) > 0:
			w.fail("event %s has effects left: %+v", r.Identity, r.Outbox.Effects)
		}
	}
	for _, identity := range w.injected {
		switch flag := strings.Contains(identity, "/flags/"); {
		case w.undone[identity]:
		case !w.checks.decided[identity]:
			w.fail("event %s was lost: it was neither decided about, nor is it a dead letter", identity)
		case !recorded[identity] && !flag: // which no model takes
			w.fail("event %s was decided about, and there is no record of it", identity)
		}
	}
}

// checkLive checks that no run has two live tasks.
func (w *world) checkLive() {
	if w.burst != nil {
		return // it is checked in the end
	}
	tasks := map[string]string{}
	for _, arn := range w.aws.ECS.Tasks() {
		t := w.aws.ECS.Task(arn)
		if t.LastStatus == "STOPPED" || w.checks.forgotten[arn] {
			continue // what ECS says of a task that it forgets cannot be kept
		}
		id := runOf(t)
		if other, two := tasks[id]; two {
			w.fail("run %s has two live tasks: of %s and of %s", id, w.aws.ECS.Task(other).StartedBy, t.StartedBy)
		}
		tasks[id] = arn
	}
}

// checkNeeded checks that a run whose task has succeeded has no other. Only one that was lost may have succeeded; what exits
// with 0 once it was told to stop has not.
func (w *world) checkNeeded(arn string) {
	id := runOf(w.aws.ECS.Task(arn))
	for _, other := range w.aws.ECS.Tasks() {
		t := w.aws.ECS.Task(other)
		succeeded := t.LastStatus == "STOPPED" && t.StopCode != "UserInitiated" && len(t.Containers) > 0 && t.Containers[0].ExitCode != nil && *t.Containers[0].ExitCode == 0
		if succeeded && runOf(t) == id && !w.checks.forgotten[other] && !strings.HasPrefix(id, "sim/long-") {
			w.fail("run %s is launched again as %s, after its task of %s has succeeded", id, w.aws.ECS.Task(arn).StartedBy, t.StartedBy)
		}
	}
}

// checkEnd checks what must hold in the end.
func (w *world) checkEnd() {
	if w.failure != "" {
		return
	}
	ids := map[string]map[string]bool{} // run or event, what, and attempt -> ids of its announcements
	for _, a := range w.aws.Announcements {
		var detail dispatch.RunDetail // as far as there is one: of an event, its identity
		if err := json.Unmarshal(a.Detail, &detail); err != nil {
			w.fail("announcement %s: %v", a.Detail, err)
		}
		key := fmt.Sprint(cmp.Or(detail.Run, detail.Event), " ", a.DetailType, " ", detail.Attempt)
		if a.DetailType == run.AnnounceWaiting {
			key += " for " + string(detail.For)
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
			w.fail("run %s has no end: it is %s", r.ID, strings.TrimSpace(string(r.State)+" "+string(r.For)))
		case ids[end] == nil:
			w.fail("the end of run %s was not announced: %s", r.ID, r.State)
		case len(r.Outbox.Effects) > 0:
			w.fail("run %s has effects left: %+v", r.ID, r.Outbox.Effects)
		case w.checks.cancelled[r.ID] && r.State == run.Failed:
			w.fail("run %s was cancelled, and failed: %+v", r.ID, r.Outcome)
		}
	}
	w.checkEvents(ids)
	w.checkFollowed(runs)
	w.checkTasks(runs)
}

// checkFollowed checks that each run that was started is there, and that one that has succeeded was followed once.
func (w *world) checkFollowed(runs []run.Run) {
	there := map[string]bool{}
	for _, r := range runs {
		there[r.ID] = true
	}
	for _, id := range slices.Sorted(maps.Keys(w.checks.started)) {
		if !there[id] {
			w.fail("run %s was started, and is not there", id)
		}
	}
	for _, r := range runs {
		next := dispatch.RunID("second", "after/"+r.ID, "")
		if r.Model == "first" && (r.State == run.Succeeded) != there[next] {
			w.fail("run %s is %s; that a run follows it is %t", r.ID, r.State, there[next])
		}
	}
}

// checkTasks checks that no task is left, and that success is what the last task said.
func (w *world) checkTasks(runs []run.Run) {
	exits := map[string]*int{}   // by ARN
	stopped := map[string]bool{} // tasks that were told to, or that ECS did not show when they ended
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
		if code := exits[r.Task.ARN]; r.State == run.Succeeded && (code == nil || *code != 0) {
			w.fail("run %s succeeded, and its task's exit code is %v", r.ID, code)
		} else if code != nil && *code == 0 && !stopped[r.Task.ARN] && r.State.Ended() && r.State != run.Succeeded && r.Outcome.Class != run.Lost {
			w.fail("run %s is %s, and its task has exited with 0 before it was told to stop", r.ID, r.State)
		}
	}
}

// runOf is the mark of a task's run: what startedBy begins with.
func runOf(t event.Task) string { return t.StartedBy[:strings.LastIndexByte(t.StartedBy, '/')] }

// runs are all runs as they are stored.
func (w *world) runs() []run.Run { return listed[run.Run](w, dispatch.KindRun) }

// listed are all documents of a kind.
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
