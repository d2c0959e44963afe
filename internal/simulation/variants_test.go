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
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// variant breaks a rule of the protocol, to show that the simulation notices. It works from
// outside, on what an actor reads, writes and is answered: the code that runs is the real one.
type variant struct {
	harsh    func(*faults) // what has to be frequent for the rule to matter
	models   []string      // for which it matters; all by default
	rule     string
	read     func(*actor, *run.Run)                       // changes a run as it is read
	attempt  func(*actor, *run.Attempt)                   // changes an attempt as it is read
	pace     func(map[string]any)                         // changes the pace as it is read
	control  func(*dispatch.Control)                      // changes what is said about a model as it is read
	order    func([]store.Doc)                            // changes the order of those who stand in a line
	write    func(*actor, *run.Run)                       // changes a run as it is written
	record   func(*dispatch.Record)                       // changes the record of an event as it is written
	leave    func(store.Write) bool                       // what is left out of commits
	blind    func(*actor, store.Key) bool                 // for which documents commits ignore versions
	torn     bool                                         // commits are not atomic
	answer   func(fargate.Answer) (fargate.Answer, error) // changes RunTask's answer
	late     bool                                         // RunTask has no deadline
	gone     bool                                         // a task that is not known need not be stopped
	task     func(*world, *event.Task)                    // changes what ECS says of a task
	announce func(*world, dispatch.Announcement) dispatch.Announcement
}

// reads is a document as the variant has it read.
func (v variant) reads(a *actor, doc store.Doc) store.Doc {
	switch {
	case v.read != nil && doc.SK == "run":
		return change(doc, func(r *run.Run) { v.read(a, r) })
	case v.attempt != nil && strings.HasPrefix(doc.SK, "attempt/"):
		return change(doc, func(r *run.Attempt) { v.attempt(a, r) })
	case v.control != nil && strings.HasPrefix(doc.PK, "control/") && doc.SK == "-":
		return change(doc, v.control)
	case v.pace != nil && doc.SK == "pace":
		return change(doc, func(p *map[string]any) { v.pace(*p) })
	}
	return doc
}

// answers is an answer of RunTask as the variant has it.
func (v variant) answers(in fargate.Answer) (fargate.Answer, error) {
	if v.answer == nil {
		return in, nil
	}
	return v.answer(in)
}

// says is what ECS says of a task as the variant has it.
func (w *world) says(t *event.Task) {
	if w.broken.task != nil && t.ARN != "" {
		w.broken.task(w, t)
	}
}

// commits are the writes of a commit as the variant has them.
func (v variant) commits(a *actor, writes []store.Write) []store.Write {
	if v.leave != nil {
		writes = slices.DeleteFunc(writes, v.leave)
	}
	for i, one := range writes {
		writes[i] = v.writes(a, one)
	}
	return writes
}

// writes is a write as the variant has it.
func (v variant) writes(a *actor, w store.Write) store.Write {
	if v.record != nil && strings.HasPrefix(w.Doc.PK, "event/") {
		w.Doc = change(w.Doc, v.record)
	}
	if w.Doc.SK != "run" || v.write == nil && v.read == nil {
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

// change changes what a document holds.
func change[T any](doc store.Doc, f func(*T)) store.Doc {
	var v T
	if err := dispatch.Decode(doc, &v); err != nil {
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

// dropped drops effects that are not done yet.
func dropped(drop func(run.Effect) bool) func(*actor, *run.Run) {
	return func(_ *actor, r *run.Run) { r.Outbox.Effects = slices.DeleteFunc(r.Outbox.Effects, drop) }
}

// gentle has nobody crash or be held up.
func gentle(f *faults) {
	f.crash, f.zombie, f.slow, f.fails, f.lose, f.late, f.outageTo = 0, 0, 0, 0, 0, 0, 0
}

// forgetful has ECS not show tasks for so long that they are taken for lost, and be late with what becomes of them.
func forgetful(f *faults) { f.forget, f.lose, f.late, f.hang = 0.9, 0, 0.9, 0.9 }

var breakRules = flag.Bool("break", false, "whether TestBrokenVariants breaks each rule")

// unconditional writes overwrite what somebody else has written in between.
var unconditional = variant{rule: "a write has the version that was read", blind: func(*actor, store.Key) bool { return true }}

var variants = []variant{
	{rule: "the request is sent as it was stored", harsh: func(f *faults) { f.serverError, f.crash, f.late = 0.9, 0.03, 0.5 }, attempt: func(a *actor, at *run.Attempt) {
		at.Request = json.RawMessage(strings.ReplaceAll(string(at.Request), `"cluster":"one"`, `"cluster":"`+a.world.placement.Cluster+`"`))
	}},
	{rule: "after 5xx the same token is sent", answer: func(in fargate.Answer) (fargate.Answer, error) {
		if in.Refusal != nil && in.Refusal.Class == run.Throttled {
			return fargate.Answer{Refusal: &run.Outcome{Class: run.Capacity}}, nil
		}
		return in, nil
	}},
	{rule: "after a refusal another token is sent", harsh: gentle, answer: func(in fargate.Answer) (fargate.Answer, error) {
		if in.Refusal != nil && in.Refusal.Class == run.Capacity {
			in.Refusal.Class = run.Throttled
		}
		return in, nil
	}},
	{rule: "a conflict names the task", harsh: func(f *faults) { f.conflict = 0.5 }, answer: func(in fargate.Answer) (fargate.Answer, error) {
		if in.Task != nil && in.Task.LastStatus == "" {
			return fargate.Answer{Refusal: &run.Outcome{Class: run.Capacity}}, nil
		}
		return in, nil
	}},
	{rule: "throttled is later, and no failure", harsh: func(f *faults) {
		gentle(f)
		f.throttle = 0.95
	}, answer: func(in fargate.Answer) (fargate.Answer, error) {
		if in.Refusal != nil && in.Refusal.Class == run.Throttled {
			return in, errFailed
		}
		return in, nil
	}},
	{rule: "a call has a lease", harsh: func(f *faults) {
		f.slow, f.duplicate, f.refuse, f.late = 0.5, 0.9, 0.5, 0
	}, read: func(_ *actor, r *run.Run) { r.Lease = time.Time{} }},
	{rule: "a call that is not answered keeps its lease", harsh: func(f *faults) {
		f.gatewayError, f.serverError, f.refuse, f.duplicate, f.late = 0.5, 0.3, 0.5, 0.9, 0
	}, answer: func(in fargate.Answer) (fargate.Answer, error) {
		in.Indefinite = false
		return in, nil
	}},
	{rule: "a refusal counts only for the current call", models: themes[0], harsh: func(f *faults) {
		f.slow, f.zombie, f.duplicate, f.serverError, f.refuse, f.late = 0.5, 0.05, 0.9, 0.5, 0.5, 0
	}, read: func(a *actor, r *run.Run) {
		if a.claim.ID == r.ID && a.claim.Attempt == r.Attempt {
			r.Call = a.claim.Call
		}
	}},
	{rule: "a claimed call has a deadline", models: themes[0], late: true},
	{rule: "a token is sent for 50 minutes only", harsh: func(f *faults) {
		f.serverError, f.refuse, f.throttle, f.lose, f.hang, f.outageFrom, f.outageTo = 0.9, 0, 0, 0.9, 0, time.Minute, 4*time.Hour
	}, read: func(a *actor, r *run.Run) {
		if r.State == run.Launching {
			r.FirstCall = a.world.now
		}
	}},
	{rule: "one empty list is not enough", models: themes[0], harsh: func(f *faults) {
		f.blink, f.serverError, f.crash, f.outageFrom, f.outageTo = 0.9, 0.9, 0.02, 5*time.Minute, 70*time.Minute
	}, read: func(a *actor, r *run.Run) {
		if r.State == run.Launching {
			r.Task.Missing = a.world.now.Add(-time.Hour)
		}
	}},
	{rule: "MISSING once is not lost", read: func(a *actor, r *run.Run) {
		if r.State == run.Running {
			r.Task.Missing, r.Task.Misses = a.world.now.Add(-time.Hour), 9
		}
	}},
	{rule: "closed attempts ignore input", harsh: func(f *faults) { f.duplicate, f.late, f.interrupt = 0.9, 0.9, 0.5 }, read: func(_ *actor, r *run.Run) {
		if r.Attempt > 0 {
			r.Closed, r.Stopped = false, nil
		}
	}},
	{rule: "a live task that nobody knows is stopped", models: []string{"long"}, harsh: forgetful, write: dropped(func(e run.Effect) bool {
		return e.Kind == run.StopTask && e.Reason == "not a task of the current attempt"
	})},
	{rule: "nothing is launched beside a live task that nobody knows", models: []string{"long"}, harsh: forgetful, read: func(_ *actor, r *run.Run) {
		r.Strays = nil
	}},
	{rule: "states of a task are ordered by its version", read: func(_ *actor, r *run.Run) { r.Task.Version = 0 }},
	{rule: "Spot's warning is no end", harsh: func(f *faults) { f.interrupt = 0.9 }, task: func(_ *world, t *event.Task) {
		if t.StopCode == "SpotInterruption" {
			t.LastStatus = "STOPPED"
		}
	}},
	{rule: "the timeout counts from the launch", harsh: func(f *faults) { f.stuck = 0.5 }, read: func(a *actor, r *run.Run) {
		if r.State == run.Running && r.Task.Status == "PROVISIONING" {
			r.LastCall = a.world.now
		}
	}},
	{rule: "a task that is not known yet is stopped once it is", harsh: func(f *faults) { f.hang, f.blink = 0.9, 0.9 }, gone: true},
	{rule: "what is cancelled is not launched again", harsh: func(f *faults) { f.cancel, f.serverError = 0.9, 0.9 }, read: func(_ *actor, r *run.Run) {
		if r.State == run.Launching {
			r.Cancel = nil
		}
	}},
	{rule: "what has exited with 0 before the stop has succeeded", harsh: func(f *faults) { f.cancel = 0.9 }, task: func(w *world, t *event.Task) {
		if id := strings.Split(t.StartedBy, "/")[1]; t.LastStatus == "STOPPED" && w.checks.cancelled[id] {
			t.StopCode = "UserInitiated"
		}
	}},
	{rule: "a task that is over its timeout is stopped", write: dropped(func(e run.Effect) bool {
		return e.Kind == run.StopTask && strings.HasPrefix(e.Reason, "over its timeout")
	})},
	{rule: "silent tasks are described", write: func(_ *actor, r *run.Run) {
		if r.State == run.Running {
			r.Due = time.Time{}
		}
	}},
	{rule: "what was sent to the launch queue is sent again", write: func(_ *actor, r *run.Run) {
		if r.State == run.Waiting && r.For == run.Queued {
			r.Due = time.Time{}
		}
	}},
	{rule: "the outbox keeps what is to be announced", write: dropped(func(e run.Effect) bool { return e.Kind == run.Announce && e.Tries > 0 })},
	{rule: "an announcement that is repeated has the same id", announce: func(w *world, a dispatch.Announcement) dispatch.Announcement {
		var detail dispatch.RunDetail
		if json.Unmarshal(a.Detail, &detail) == nil {
			detail.ID += w.now.String()
			a.Detail, _ = json.Marshal(detail)
		}
		return a
	}},
	{rule: "event and run are one commit", torn: true},
	unconditional,
	{rule: "an event is decided about once", harsh: func(f *faults) { f.duplicate = 0.9 }, blind: func(_ *actor, key store.Key) bool {
		return strings.HasPrefix(key.PK, "event/") || key.SK == "run" || key.SK == "spec"
	}},
	{rule: "what is rejected is kept", record: func(r *dispatch.Record) { r.Payload = nil }},
	{rule: "who joins a group requires it to be open", models: []string{"grouped"}, harsh: func(f *faults) {
		f.zombie, f.late = 0.2, 0
	}, blind: func(a *actor, key store.Key) bool { return key.SK == "run" && strings.Contains(a.name, "grouped") }},
	{rule: "a place in a line is given by the version of the line", models: []string{"pooled-a"}, harsh: func(f *faults) {
		f.zombie, f.pause, f.refuse, f.late, f.cancel = 0.1, 0, 0, 0, 0
	}, blind: func(_ *actor, key store.Key) bool { return key.SK == "line" }},
	{rule: "a paused model's line grants nothing", harsh: func(f *faults) { f.pause = 1 }, control: func(c *dispatch.Control) { c.Paused = false }},
	{rule: "first come, first served", models: []string{"narrow"}, order: slices.Reverse[[]store.Doc]},
	{rule: "the end of a run and its leaving the line are one commit, or others look whether it lives", models: []string{"narrow"},
		leave: func(one store.Write) bool {
			return one.Doc.SK == "line" && len(decoded[holders](one.Doc).Holders) == 0
		},
		read: func(a *actor, r *run.Run) {
			if a.read.SK == "line" && a.read.PK == r.Line && r.State.Ended() { // they look for those who hold places
				r.State = run.Running
			}
		}},
	{rule: "who stands in a line is looked at again", write: func(a *actor, r *run.Run) {
		dropped(func(e run.Effect) bool { return e.Kind == run.Admit })(a, r)
		if r.For == run.Line {
			r.Due = time.Time{}
		}
	}},
	{rule: "who waits for objects is found by their arrival", models: []string{"patient"}, harsh: gentle, leave: func(one store.Write) bool {
		return strings.HasPrefix(one.Doc.PK, "object/")
	}},
	{rule: "who waits for objects looks once that is noted", models: []string{"patient"}, harsh: gentle, write: func(a *actor, r *run.Run) {
		if r.For == run.Objects && r.Due.Equal(r.Since) {
			r.Due = r.Since.Add(run.Relook)
			dropped(func(e run.Effect) bool { return e.Kind == run.Wake })(a, r)
		}
	}},
	{rule: "who waits for objects looks again", write: func(_ *actor, r *run.Run) {
		if r.For == run.Objects {
			r.Due = time.Time{}
		}
	}},
	{rule: "a group of events is closed in time", write: func(_ *actor, r *run.Run) {
		if r.For == run.Debounce {
			r.Due = time.Time{}
		}
	}},
	{rule: "what follows a success is started until it is done", models: []string{"first"}, read: func(a *actor, r *run.Run) {
		dropped(func(e run.Effect) bool { return e.Kind == run.Downstream && e.Next.Before(a.world.now) })(a, r)
	}},
}

// TestBrokenVariants: each rule, broken, is noticed. So each of them is needed, and the simulation can fail. By which seed
// and as what is written into docs/simulation.md:
//
//	go test ./internal/simulation -run BrokenVariants -break -update
func TestBrokenVariants(t *testing.T) {
	if !*breakRules {
		t.Skip("rules are not broken: go test ./internal/simulation -break breaks each, which takes some minutes")
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
				t.Errorf("not noticed in %d seeds", most)
			})
		}
	})
	if *update && !t.Failed() {
		updateTable(t, strings.Join(noticed, ""))
	}
}

// The page of the simulation, and where the table of rules stands in it.
const (
	page  = "../../docs/simulation.md"
	table = "| rule | seed | what it came to |\n|---|---|---|\n"
)

var update = flag.Bool("update", false, "whether docs/simulation.md is written anew")

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

// TestPage: docs/simulation.md names each rule, and no other.
func TestPage(t *testing.T) {
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
		t.Errorf("the table of %s names the rules\n%q, and there are\n%q: write it anew, as TestBrokenVariants says", page, named, rules)
	}
}
