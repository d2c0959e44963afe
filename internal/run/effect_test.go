package run_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
)

// effects holds one effect of each kind, with every field set.
var effects = []run.Effect{
	run.Enqueue{At: t0}, run.Wake{At: t0}, run.StopTask{Task: arn, Cause: run.StopOrphan, Reason: "why", At: t0},
	run.Admit{Group: run.Group{Model: "m", Pool: "p", Value: "v", Paused: true}}, run.CheckBreaker{Capacity: model.Spot},
	run.ReplaceTask{Capacity: model.Spot, Task: arn}, run.ConfirmProbe{Capacity: model.Spot, Task: arn}, run.StartDownstream{},
	run.AnnounceRun{DetailType: run.DetailStarted, Attempt: 2, Sequence: 3},
	run.AnnounceWait{WaitingFor: run.ForSlot, Attempt: 2, Sequence: 3},
	run.AnnounceRejection{Sequence: 1}, run.AnnouncePause{Paused: true, Sequence: 1}, run.AnnounceOverdue{ExpectedBy: t0, Sequence: 1},
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	var o run.Outbox
	started := run.AnnounceRun{DetailType: run.DetailStarted}
	for _, e := range []run.Effect{run.Enqueue{}, started, started, run.Enqueue{At: t0}} {
		o = o.Add(e, t0)
	}
	if len(o.Effects) != 3 || len(o.Since(2)) != 2 {
		t.Fatalf("the effects are %+v, want two announcements and the newer enqueue", o.Effects)
	}
	if n := len(o.Due(t0)); n != 0 {
		t.Errorf("%d effects are overdue at once, want none", n)
	}
	o = o.Remove([]int{2}).Postpone([]int{3}, t0.Add(time.Minute))
	if next := o.Next(time.Time{}); !next.Equal(t0.Add(time.Minute)) || len(o.Due(next)) != 1 {
		t.Errorf("the next time is %s, with %+v overdue then; want one effect after a minute", next, o.Due(next))
	}
}

// TestEffectsThatReplaceEachOther checks that an effect replaces an older one only if both are about the same thing. In
// particular, the end of a probe's task must not replace the effect that confirms the probe.
func TestEffectsThatReplaceEachOther(t *testing.T) {
	t.Parallel()
	for _, newer := range effects {
		for _, older := range effects {
			left := len(run.Outbox{}.Add(older, t0).Add(newer, t0).Effects)
			announces := strings.HasPrefix(string(newer.Kind()), "announce-")
			if replaced := left == 1; replaced != (newer.Kind() == older.Kind() && !announces) {
				t.Errorf("%+v after %+v: replaced %t", newer, older, replaced)
			}
		}
	}
	for _, other := range []run.Effect{
		run.Admit{Group: run.Group{Model: "m", Value: "w"}}, run.CheckBreaker{Capacity: model.OnDemand},
		run.ReplaceTask{Capacity: model.Spot, Task: "other"}, run.ConfirmProbe{Capacity: model.Spot, Task: "other"},
		run.StopTask{Task: "other"},
	} {
		o := run.Outbox{}
		for _, e := range effects {
			o = o.Add(e, t0)
		}
		if n := len(o.Add(other, t0).Effects); n != len(effects)+1 {
			t.Errorf("%+v leaves %d effects, want %d: it is about another thing than the older one", other, n, len(effects)+1)
		}
	}
}

// TestEffectsKeepTheirStoredForm checks that each effect is the same after it was stored and read, and that an effect of
// newer code is kept.
func TestEffectsKeepTheirStoredForm(t *testing.T) {
	t.Parallel()
	var kinds []run.EffectKind
	for _, e := range effects {
		kinds = append(kinds, e.Kind())
		text, err := json.Marshal(run.Outbox{}.Add(e, t0))
		if err != nil {
			t.Fatal(err)
		}
		var o run.Outbox
		if err := json.Unmarshal(text, &o); err != nil || len(o.Effects) != 1 || !reflect.DeepEqual(o.Effects[0].Effect, e) {
			t.Errorf("%s is read as %+v, %v, want %+v", text, o.Effects, err, e)
		}
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, run.EffectKinds()) {
		t.Errorf("this test has effects of the kinds %v, want all of %v", kinds, run.EffectKinds())
	}
	bare := `{"effects":[{"id":1,"kind":"dance","next":"2026-01-05T06:00:00Z"}]}`
	var without run.Outbox
	if err := json.Unmarshal([]byte(bare), &without); err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(without); err != nil {
		t.Errorf("an effect of newer code without fields cannot be stored again: %v", err)
	}
	newer := `{"effects":[{"id":1,"kind":"dance","effect":{"tempo":120},"next":"2026-01-05T06:00:00Z","tries":2}],"last":1}`
	var o run.Outbox
	if err := json.Unmarshal([]byte(newer), &o); err != nil || o.Effects[0].Effect.Kind() != "dance" {
		t.Fatalf("an effect of newer code is read as %+v, %v", o.Effects, err)
	}
	if text, err := json.Marshal(o); err != nil || string(text) != newer {
		t.Errorf("an effect of newer code is stored again as %s, %v, want %s", text, err, newer)
	}
}

// constants returns the values of the string constants in a file that have a type.
func constants(t *testing.T, file, typeName string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, isSpec := n.(*ast.ValueSpec)
		if !isSpec {
			return true
		}
		if name, isName := spec.Type.(*ast.Ident); isName && name.Name == typeName && len(spec.Values) == 1 {
			all = append(all, strings.Trim(spec.Values[0].(*ast.BasicLit).Value, `"`))
		}
		return true
	})
	return all
}

// TestEachKindOfEffectIsDecoded checks that no constant of EffectKind lacks a decoder.
func TestEachKindOfEffectIsDecoded(t *testing.T) {
	t.Parallel()
	declared := constants(t, "effect.go", "EffectKind")
	slices.Sort(declared)
	var decoded []string
	for _, kind := range run.EffectKinds() {
		decoded = append(decoded, string(kind))
	}
	if !slices.Equal(declared, decoded) {
		t.Errorf("effect.go declares the kinds %v, and decodes %v", declared, decoded)
	}
}

// TestStoredFormOfEffects pins the stored form of each kind of effect. Documents of older code have it: a change needs a
// new model.Schema.
func TestStoredFormOfEffects(t *testing.T) {
	t.Parallel()
	const at = `"2026-01-05T06:00:00Z"`
	want := []string{
		`"kind":"enqueue","effect":{"at":` + at + `}`, `"kind":"wake","effect":{"at":` + at + `}`,
		`"kind":"stop-task","effect":{"task":"` + arn + `","cause":"orphan","reason":"why","at":` + at + `}`,
		`"kind":"admit","effect":{"group":{"model":"m","pool":"p","value":"v","paused":true}}`,
		`"kind":"check-breaker","effect":{"capacity":"spot"}`, `"kind":"replace-task","effect":{"capacity":"spot","task":"` + arn + `"}`,
		`"kind":"confirm-probe","effect":{"capacity":"spot","task":"` + arn + `"}`, `"kind":"start-downstream","effect":{}`,
		`"kind":"announce-run","effect":{"detailType":"Model Run Started","attempt":2,"sequence":3}`,
		`"kind":"announce-wait","effect":{"waitingFor":"slot","attempt":2,"sequence":3}`,
		`"kind":"announce-rejection","effect":{"sequence":1}`, `"kind":"announce-pause","effect":{"paused":true,"sequence":1}`,
		`"kind":"announce-overdue","effect":{"expectedBy":` + at + `,"sequence":1}`,
	}
	for i, e := range effects {
		text, err := json.Marshal(run.Outbox{}.Add(e, t0))
		if err != nil || i >= len(want) || !strings.Contains(string(text), want[i]) {
			t.Errorf("%T is stored as %s, %v; want %s in it", e, text, err, want[min(i, len(want)-1)])
		}
	}
}

// TestStopTaskReplacesOlderStopOfTheSameTask checks that a task is stopped once, for the newest cause.
func TestStopTaskReplacesOlderStopOfTheSameTask(t *testing.T) {
	t.Parallel()
	o := run.Outbox{}.Add(run.StopTask{Task: arn, Cause: run.StopTimedOut, Reason: "over its timeout", At: t0}, t0)
	newer := run.StopTask{Task: arn, Cause: run.StopCancelled, Reason: "not needed", At: t0.Add(time.Minute)}
	if o = o.Add(newer, t0); len(o.Effects) != 1 || o.Effects[0].Effect != newer {
		t.Errorf("the effects are %+v, want only the newer stop", o.Effects)
	}
}

// TestCauseOfEachStop checks the cause with which each input asks for the stop of a task.
func TestCauseOfEachStop(t *testing.T) {
	t.Parallel()
	live := running(t, model.Policy{Timeout: time.Hour})
	orphan := run.TaskObservation{ARN: "arn:orphan", Status: "RUNNING"}
	for cause, got := range map[run.StopCause]run.Transition{
		run.StopTimedOut:  live.Advance(run.Group{}, t0.Add(time.Hour)),
		run.StopCancelled: live.Stop(run.StopRequest{Class: run.ClassCancelled, At: t0}),
		run.StopOrphan:    live.Observed(1, orphan, retryInputs, t0),
	} {
		for _, p := range got.Run.Outbox.Effects {
			if stop, isStop := p.Effect.(run.StopTask); isStop && stop.Cause != cause {
				t.Errorf("%s asks for a stop with the cause %q, want %q", got.Kind, stop.Cause, cause)
			}
		}
		if kinds(got.Run)[run.KindStopTask] != 1 {
			t.Errorf("%s asks for %v, want one StopTask", got.Kind, kinds(got.Run))
		}
	}
}
