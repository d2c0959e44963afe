package simulation

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// variant breaks one rule of the protocol, to prove that the checks notice it. It leaves the code under test alone, and
// changes what an actor reads, what it writes, or which answer it gets. The zero value breaks no rule.
type variant struct {
	rule   string        // the rule in plain words: the name of the subtest, and of the row in docs/simulation.md
	harsh  func(*faults) // raises the probability of the faults that exercise the rule
	models []string      // the models that events start, instead of the seed's theme

	read      func(*actor, *run.Run)       // changes a run when an actor reads it
	attempt   func(*actor, *run.Attempt)   // changes an attempt when an actor reads it
	limiter   func(map[string]any)         // changes the document of the rate limiter and the breakers when an actor reads it
	control   func(*records.Control)       // changes the control document of a model when an actor reads it
	waiters   func([]store.Doc)            // changes the order of the waiters that an actor reads
	write     func(*actor, *run.Run)       // changes a run when an actor writes it
	record    func(*records.EventRecord)   // changes an event record when an actor writes it
	omit      func(store.Write) bool       // removes the writes for which it returns true from commits
	unchecked func(*actor, store.Doc) bool // removes the version check of the documents for which it returns true
	torn      bool                         // splits each commit into one commit for each write

	answer          func(fargate.Answer) (fargate.Answer, error) // changes the answer of RunTask
	noDeadline      bool                                         // removes the deadline of RunTask calls
	hiddenIsStopped bool                                         // lets StopTask succeed for a task that ECS does not show
	task            func(*world, *event.Task)                    // changes what ECS reports about a task
	announce        func(*world, dispatch.Announcement) dispatch.Announcement
}

// changeRead returns a document as the variant lets an actor read it.
func (v variant) changeRead(a *actor, doc store.Doc) store.Doc {
	switch {
	case v.read != nil && doc.Kind == records.KindRun:
		return change(doc, func(r *run.Run) { v.read(a, r) })
	case v.attempt != nil && doc.Kind == records.KindAttempt:
		return change(doc, func(r *run.Attempt) { v.attempt(a, r) })
	case v.control != nil && doc.Kind == records.KindControl:
		return change(doc, v.control)
	case v.limiter != nil && doc.Kind == records.KindLimiter:
		return change(doc, func(limiter *map[string]any) { v.limiter(*limiter) })
	}
	return doc
}

// changeAnswer returns an answer of RunTask as the variant changes it.
func (v variant) changeAnswer(in fargate.Answer) (fargate.Answer, error) {
	if v.answer == nil {
		return in, nil
	}
	return v.answer(in)
}

// changeTask changes what ECS reports about a task, if the variant does.
func (w *world) changeTask(t *event.Task) {
	if w.broken.task != nil && t.ARN != "" {
		w.broken.task(w, t)
	}
}

// changeCommit returns the writes of a commit as the variant changes them.
func (v variant) changeCommit(a *actor, writes []store.Write) []store.Write {
	if v.omit != nil {
		writes = slices.DeleteFunc(writes, v.omit)
	}
	for i, one := range writes {
		writes[i] = v.changeWrite(a, one)
	}
	return writes
}

// changeWrite returns a write as the variant changes it.
func (v variant) changeWrite(a *actor, w store.Write) store.Write {
	if v.record != nil && w.Doc.Kind == records.KindEvent {
		w.Doc = change(w.Doc, v.record)
	}
	if w.Doc.Kind != records.KindRun || v.write == nil && v.read == nil {
		return w
	}
	w.Doc = change(w.Doc, func(r *run.Run) {
		if r.State == run.Launching {
			a.claim = *r
		}
		if v.write != nil {
			v.write(a, r)
		}
		if r.Due.IsZero() && !r.State.Ended() {
			w.Doc.Due = r.Outbox.Next(r.Due)
		}
	})
	return w
}

// change returns a document whose decoded content f has changed.
func change[T any](doc store.Doc, f func(*T)) store.Doc {
	v, err := records.Decode[T](doc)
	if err != nil {
		panic(err)
	}
	f(&v)
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	doc.Body = body
	return doc
}

// dropped returns a function that drops some effects from the outbox of a run.
func dropped(drop func(run.Pending) bool) func(*actor, *run.Run) {
	return func(_ *actor, r *run.Run) { r.Outbox.Effects = slices.DeleteFunc(r.Outbox.Effects, drop) }
}

// admits reports whether an effect lets waiters of a concurrency group or a breaker continue.
func admits(p run.Pending) bool {
	switch p.Effect.(type) {
	case run.Admit, run.CheckBreaker, run.ReplaceTask, run.ConfirmProbe:
		return true
	}
	return false
}

// stops returns a function that reports whether an effect stops a task for a cause.
func stops(cause run.StopCause) func(run.Pending) bool {
	return func(p run.Pending) bool {
		stop, isStop := p.Effect.(run.StopTask)
		return isStop && stop.Cause == cause
	}
}

// gentle removes crashes, delays and failed calls.
func gentle(f *faults) {
	f.crash, f.zombie, f.slow, f.fails, f.lose, f.late, f.outageTo = 0, 0, 0, 0, 0, 0, 0
}

// forgetful lets ECS hide tasks for so long that they count as lost, and report late what happens to them.
func forgetful(f *faults) { f.forget, f.lose, f.late, f.hang = 0.9, 0, 0.9, 0.9 }

var breakRules = flag.Bool("break", false, "break each rule of the protocol in TestBrokenVariants, which takes minutes")

// unconditional lets each write overwrite what other actors have written since it was read.
var unconditional = variant{
	rule:      "an update requires the version that was read",
	unchecked: func(*actor, store.Doc) bool { return true },
}

// variants holds one variant for each rule, in the order of the table in docs/simulation.md.
var variants = []variant{
	{
		rule: "a repeated RunTask call sends the stored request unchanged",
		harsh: func(f *faults) {
			f.serverError, f.crash, f.late = 0.9, 0.03, 0.5
		},
		attempt: func(a *actor, at *run.Attempt) {
			current := `"cluster":"` + a.world.placement.Cluster + `"`
			at.Request = json.RawMessage(strings.ReplaceAll(string(at.Request), `"cluster":"one"`, current))
		},
	},
	{
		rule: "after a 5xx answer RunTask is called again with the same client token",
		answer: func(in fargate.Answer) (fargate.Answer, error) {
			if in.Refusal != nil && in.Refusal.Class == run.ClassThrottled {
				return fargate.Answer{Refusal: &run.Outcome{Class: run.ClassCapacity}}, nil
			}
			return in, nil
		},
	},
	{
		rule:  "after a refusal the next attempt has a new client token",
		harsh: gentle,
		answer: func(in fargate.Answer) (fargate.Answer, error) {
			if in.Refusal != nil && in.Refusal.Class == run.ClassCapacity {
				in.Refusal.Class = run.ClassThrottled
			}
			return in, nil
		},
	},
	{
		rule:  "a ConflictException that names a task counts as a started task",
		harsh: func(f *faults) { f.conflict = 0.5 },
		answer: func(in fargate.Answer) (fargate.Answer, error) {
			if in.Task != nil && in.Task.LastStatus == "" {
				return fargate.Answer{Refusal: &run.Outcome{Class: run.ClassCapacity}}, nil
			}
			return in, nil
		},
	},
	{
		rule: "a throttled launch is repeated later and does not count as an error",
		harsh: func(f *faults) {
			gentle(f)
			f.throttle = 0.95
		},
		answer: func(in fargate.Answer) (fargate.Answer, error) {
			if in.Refusal != nil && in.Refusal.Class == run.ClassThrottled {
				return in, errFailed
			}
			return in, nil
		},
	},
	{
		rule: "a RunTask call has a lease, so that no other call of the run overlaps it",
		harsh: func(f *faults) {
			f.slow, f.duplicate, f.refuse, f.late = 0.5, 0.9, 0.5, 0
		},
		read: func(_ *actor, r *run.Run) { r.Lease = time.Time{} },
	},
	{
		rule: "a RunTask call without a clear answer keeps its lease",
		harsh: func(f *faults) {
			f.gatewayError, f.serverError, f.refuse, f.duplicate, f.late = 0.5, 0.3, 0.5, 0.9, 0
		},
		answer: func(in fargate.Answer) (fargate.Answer, error) {
			in.Indefinite = false
			return in, nil
		},
	},
	{
		rule:   "a refusal counts only for the latest call of the run",
		models: themes[0],
		harsh: func(f *faults) {
			f.slow, f.zombie, f.duplicate, f.serverError, f.refuse, f.late = 0.5, 0.05, 0.9, 0.5, 0.5, 0
		},
		read: func(a *actor, r *run.Run) {
			if a.claim.ID == r.ID && a.claim.Attempt == r.Attempt {
				r.Call = a.claim.Call
			}
		},
	},
	{
		rule:       "a claimed RunTask call is not sent after its deadline",
		models:     themes[0],
		noDeadline: true,
	},
	{
		rule: "a client token is sent for at most 50 minutes",
		harsh: func(f *faults) {
			f.serverError, f.refuse, f.throttle, f.lose, f.hang, f.outageFrom, f.outageTo = 0.9, 0, 0, 0.9, 0, time.Minute, 4*time.Hour
		},
		read: func(a *actor, r *run.Run) {
			if r.State == run.Launching {
				r.FirstCall = a.world.now
			}
		},
	},
	{
		rule:   "one empty ListTasks answer does not prove that an attempt has no task",
		models: themes[0],
		harsh: func(f *faults) {
			f.blink, f.serverError, f.crash, f.outageFrom, f.outageTo = 0.9, 0.9, 0.02, 5*time.Minute, 70*time.Minute
		},
		read: func(a *actor, r *run.Run) {
			if r.State == run.Launching {
				r.Task.MissingSince = a.world.now.Add(-time.Hour)
			}
		},
	},
	{
		rule: "one MISSING answer does not prove that a task is lost",
		read: func(a *actor, r *run.Run) {
			if r.State == run.Running {
				r.Task.MissingSince, r.Task.MissingCount = a.world.now.Add(-time.Hour), 9
			}
		},
	},
	{
		rule: "a closed attempt ignores later observations of its task",
		harsh: func(f *faults) {
			f.duplicate, f.late, f.interrupt = 0.9, 0.9, 0.5
		},
		read: func(_ *actor, r *run.Run) {
			if r.Attempt > 0 {
				r.Closed, r.StoppedTasks = false, nil
			}
		},
	},
	{
		rule:   "an orphan task is stopped",
		models: []string{"long"},
		harsh:  forgetful,
		write:  dropped(stops(run.StopOrphan)),
	},
	{
		rule:   "a run with an orphan task launches nothing until that task has stopped",
		models: []string{"long"},
		harsh:  forgetful,
		read: func(_ *actor, r *run.Run) {
			r.OrphanTasks = nil
		},
	},
	{
		rule: "observations of a task are ordered by the version of the task",
		read: func(_ *actor, r *run.Run) { r.Task.Version = 0 },
	},
	{
		rule:  "the warning of a Spot interruption does not end the attempt",
		harsh: func(f *faults) { f.interrupt = 0.9 },
		task: func(_ *world, t *event.Task) {
			if t.StopCode == "SpotInterruption" {
				t.LastStatus = "STOPPED"
			}
		},
	},
	{
		rule:  "the timeout counts from the launch, even if the task never starts",
		harsh: func(f *faults) { f.stuck = 0.5 },
		read: func(a *actor, r *run.Run) {
			if r.State == run.Running && r.Task.Status == "PROVISIONING" {
				r.LastCall = a.world.now
			}
		},
	},
	{
		rule: "a stop is repeated until ECS shows the task",
		harsh: func(f *faults) {
			f.hang, f.blink = 0.9, 0.9
		},
		hiddenIsStopped: true,
	},
	{
		rule: "a cancelled run is not launched again",
		harsh: func(f *faults) {
			f.cancel, f.serverError = 0.9, 0.9
		},
		read: func(_ *actor, r *run.Run) {
			if r.State == run.Launching {
				r.StopRequest = nil
			}
		},
	},
	{
		rule: "a task that exits with 0 before it is told to stop has succeeded",
		harsh: func(f *faults) {
			f.cancel = 0.9
		},
		task: func(w *world, t *event.Task) {
			if id := strings.Split(t.StartedBy, "/")[1]; t.LastStatus == "STOPPED" && w.checks.cancelled[id] {
				t.StopCode = "UserInitiated"
			}
		},
	},
	{
		rule:  "a task that exceeds its timeout is stopped",
		write: dropped(stops(run.StopTimedOut)),
	},
	{
		rule: "the sweep describes a task without observations",
		write: func(_ *actor, r *run.Run) {
			if r.State == run.Running {
				r.Due = time.Time{}
			}
		},
	},
	{
		rule: "a run whose launch message is lost is sent to the launch queue again",
		write: func(_ *actor, r *run.Run) {
			if r.State == run.Waiting && r.WaitingFor == run.ForLaunch {
				r.Due = time.Time{}
			}
		},
	},
	{
		rule: "the outbox keeps an announcement until it has been sent",
		write: dropped(func(p run.Pending) bool {
			return p.Effect.Kind() == run.KindAnnounceRun && p.Tries > 0
		}),
	},
	{
		rule: "a repeated announcement has the same id",
		announce: func(w *world, a dispatch.Announcement) dispatch.Announcement {
			var detail dispatch.RunDetail
			if json.Unmarshal(a.Detail, &detail) == nil {
				detail.ID += w.now.String()
				a.Detail, _ = json.Marshal(detail)
			}
			return a
		},
	},
	{rule: "an event record and its run are stored in one atomic commit", torn: true},
	unconditional,
	{
		rule:  "an event gets one decision, however often it is delivered",
		harsh: func(f *faults) { f.duplicate = 0.9 },
		unchecked: func(_ *actor, doc store.Doc) bool {
			return doc.Kind == records.KindEvent || doc.Kind == records.KindRun || doc.Kind == records.KindSpec
		},
	},
	{rule: "the record of a rejected event keeps its payload", record: func(r *records.EventRecord) { r.Payload = nil }},
	{
		rule:   "an event joins a run only while the debounce window is open",
		models: []string{"grouped"},
		harsh: func(f *faults) {
			f.zombie, f.late = 0.2, 0
		},
		unchecked: func(a *actor, doc store.Doc) bool {
			return doc.Kind == records.KindRun && strings.Contains(a.name, "grouped")
		},
	},
	{
		rule:   "a slot is granted only if the concurrency group has not changed since it was read",
		models: []string{"pooled-a"},
		harsh: func(f *faults) {
			f.zombie, f.pause, f.refuse, f.late, f.cancel = 0.1, 0, 0, 0, 0
		},
		unchecked: func(_ *actor, doc store.Doc) bool { return doc.Kind == records.KindHolders },
	},
	{
		rule:    "a run of a paused model gets no slot",
		harsh:   func(f *faults) { f.pause = 1 },
		control: func(c *records.Control) { c.Paused = false },
	},
	{
		rule:    "the first waiter of a concurrency group gets the next slot",
		models:  []string{"narrow"},
		waiters: slices.Reverse[[]store.Doc],
	},
	{
		rule:   "a run gives up its slot in the commit that ends it, or the group finds that its holder has ended",
		models: []string{"narrow"},
		omit: func(one store.Write) bool {
			return one.Doc.Kind == records.KindHolders && len(decoded[records.Holders](one.Doc).Holders) == 0
		},
		read: func(a *actor, r *run.Run) {
			if a.read == records.HoldersKey(r.Group) && r.State.Ended() { // an actor that looks for live holders
				r.State = run.Running
			}
		},
	},
	{
		rule: "the sweep looks again at a waiter of a concurrency group",
		write: func(a *actor, r *run.Run) {
			dropped(admits)(a, r)
			if r.WaitingFor == run.ForSlot {
				r.Due = time.Time{}
			}
		},
	},
	{
		rule:   "the arrival of an object wakes the runs that wait for it",
		models: []string{"patient"},
		harsh:  gentle,
		omit: func(one store.Write) bool {
			return one.Doc.Kind == records.KindObject
		},
	},
	{
		rule:   "a run looks for its objects once more after it has stored that it waits for them",
		models: []string{"patient"},
		harsh:  gentle,
		write: func(a *actor, r *run.Run) {
			if r.WaitingFor == run.ForObjects && r.Due.Equal(r.WaitingSince) {
				r.Due = r.WaitingSince.Add(run.ObjectPollInterval)
				dropped(func(p run.Pending) bool { return p.Effect.Kind() == run.KindWake })(a, r)
			}
		},
	},
	{
		rule: "a run that waits for objects looks for them again and again",
		write: func(_ *actor, r *run.Run) {
			if r.WaitingFor == run.ForObjects {
				r.Due = time.Time{}
			}
		},
	},
	{
		rule: "a debounce window closes on time",
		write: func(_ *actor, r *run.Run) {
			if r.WaitingFor == run.ForDebounce {
				r.Due = time.Time{}
			}
		},
	},
	{
		rule:   "the start of downstream models is repeated until it succeeds",
		models: []string{"first"},
		read: func(a *actor, r *run.Run) {
			dropped(func(p run.Pending) bool {
				return p.Effect.Kind() == run.KindStartDownstream && p.Next.Before(a.world.now)
			})(a, r)
		},
	},
}

// TestBrokenVariants checks that each broken rule leads to a finding within 3,000 seeds. This proves that each rule is
// necessary, and that the simulation can fail. The following command writes the first such seed of each rule and its
// finding into docs/simulation.md:
//
//	go test ./internal/simulation -run BrokenVariants -break -update
func TestBrokenVariants(t *testing.T) {
	if !*breakRules {
		t.Skip("without -break this test breaks no rule; go test ./internal/simulation -break takes some minutes")
	}
	noticed := make([]string, len(variants))
	t.Run("rules", func(t *testing.T) {
		for i, v := range variants {
			t.Run(v.rule, func(t *testing.T) {
				t.Parallel()
				const most = 3_000
				for number := uint64(1); number <= most; number++ {
					if _, failure := simulate(t, number, v); failure != "" {
						t.Logf("seed %d: %s", number, failure)
						noticed[i] = fmt.Sprintf("| %s | %d | %s |\n", v.rule, number, failure)
						return
					}
				}
				t.Errorf("with this rule broken, %d seeds have no finding; want one", most)
			})
		}
	})
	if *update && !t.Failed() {
		updateTable(t, strings.Join(noticed, ""))
	}
}

// The page that describes the simulation, and the header of its last part, the table of rules.
const (
	page  = "../../docs/simulation.md"
	table = "| rule | seed | finding |\n|---|---|---|\n"
)

var update = flag.Bool("update", false, "write the table of docs/simulation.md after TestBrokenVariants has passed")

// updateTable replaces the rows of the table.
func updateTable(t *testing.T, rows string) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(text), table)
	if err := os.WriteFile(page, []byte(before+table+rows), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestSimulationPageListsEveryRule checks that the table of docs/simulation.md has one row for each rule, in the same
// order.
func TestSimulationPageListsEveryRule(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(string(text), table)
	var rules, named []string
	for _, v := range variants {
		rules = append(rules, v.rule)
	}
	for row := range strings.Lines(rows) {
		named = append(named, strings.Split(row, " | ")[0][len("| "):])
	}
	if !slices.Equal(rules, named) {
		t.Errorf("the table of %s has the rules\n%q, want\n%q: update it with the command at TestBrokenVariants", page, named, rules)
	}
}
