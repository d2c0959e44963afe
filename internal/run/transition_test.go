package run_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
)

// TestThePackageCommentHasEachTransition checks that the table of transitions in the package comment has a row for each
// kind, and no row for anything else.
func TestThePackageCommentHasEachTransition(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^//\t([a-z-]+) +(?:\(none\)|waiting|launching|running|any)`)
	var listed []string
	for _, match := range row.FindAllStringSubmatch(string(text), -1) {
		listed = append(listed, match[1])
	}
	kinds := constants(t, "transition.go", "TransitionKind")
	kinds = slices.DeleteFunc(kinds, func(kind string) bool { return kind == "" }) // Ignored
	slices.Sort(kinds)
	slices.Sort(listed)
	if !slices.Equal(kinds, listed) {
		t.Errorf("the package comment lists\n%v, want the kinds\n%v", listed, kinds)
	}
}

// step is an input to a run, with the kind that its transition must have.
type step struct {
	kind   run.TransitionKind
	method string
	from   run.Run
	got    run.Transition
}

// acceptIn returns a run that is accepted with a policy, and with a concurrency group if it has one.
func acceptIn(p model.Policy, group run.Group) run.Run {
	m := model.Model{Name: "forecast", Policy: p, Task: model.Task{Capacity: []model.Capacity{model.OnDemand}}}
	return run.Accept(run.AcceptInput{ID: "forecast-1", Model: m, Group: group}, t0).Run
}

// stepsBeforeLaunch returns the inputs of a run without an attempt.
func stepsBeforeLaunch() []step {
	inWindow := acceptIn(model.Policy{Debounce: &model.Debounce{Quiet: time.Minute}}, run.Group{})
	forObjects := acceptIn(model.Policy{WaitFor: &model.WaitFor{Timeout: time.Hour}}, run.Group{})
	forSlot, ready := acceptIn(model.Policy{}, run.Group{Model: "forecast"}), acceptIn(model.Policy{}, run.Group{})
	atBreaker := ready.WaitAtBreaker(model.OnDemand, t0).Run
	return []step{
		{run.Accepted, "Accept", run.Run{}, run.Accept(run.AcceptInput{ID: "forecast-1"}, t0)},
		{run.Joined, "Join", inWindow, inWindow.Join(run.Group{}, t0)},
		{run.WindowClosed, "Advance", inWindow, inWindow.Advance(run.Group{}, inWindow.Due)},
		{run.ObjectsFound, "ObjectsChecked", forObjects, forObjects.ObjectsChecked(nil, run.Group{}, t0)},
		{run.ObjectsMissing, "ObjectsChecked", forObjects, forObjects.ObjectsChecked([]string{"a"}, run.Group{}, t0)},
		{run.ObjectsMissing, "ObjectsChecked", forObjects, forObjects.ObjectsChecked([]string{"a"}, run.Group{}, t0.Add(time.Hour))},
		{run.Postponed, "Advance", forObjects, forObjects.Advance(run.Group{}, forObjects.Due)},
		{run.SlotGranted, "GrantSlot", forSlot, forSlot.GrantSlot(t0)},
		{run.GroupFull, "Skip", forSlot, forSlot.Skip("overlap", t0)},
		{run.Repeated, "Advance", forSlot, forSlot.Advance(run.Group{}, forSlot.Due)},
		{run.Reserved, "Reserve", ready, ready.Reserve(t0.Add(time.Minute), t0)},
		{run.Reserved, "Reserve", ready, ready.Reserve(t0.Add(24*time.Hour), t0)},
		{run.DelayedByLoopGuard, "DelayByLoopGuard", ready, ready.DelayByLoopGuard(t0)},
		{run.StoppedAtBreaker, "WaitAtBreaker", ready, ready.WaitAtBreaker(model.OnDemand, t0)},
		{run.Repeated, "Advance", ready, ready.Advance(run.Group{}, ready.Due)},
		{run.NeverLaunched, "Advance", ready, ready.Advance(run.Group{}, t0.Add(model.MaxWait+time.Second))},
		{run.AttemptStarted, "Claim", ready, ready.Claim(t0)},
		{run.StopRequested, "Stop", ready, ready.Stop(run.StopRequest{Class: run.ClassCancelled, At: t0})},
		{run.Repeated, "Advance", atBreaker, atBreaker.Advance(run.Group{}, atBreaker.Due)},
		{run.Released, "Release", atBreaker, atBreaker.Release(run.ReleasedAsProbe, t0)},
	}
}

// stepsOfAttempts returns the inputs of a run that has an attempt.
func stepsOfAttempts(t *testing.T) []step {
	t.Helper()
	cancel := run.StopRequest{Class: run.ClassCancelled, Reason: "not needed", At: t0}
	policy := model.Policy{Timeout: 2 * time.Hour, Retry: model.Retry{Attempts: 2}}
	called, live := launched(t, policy), running(t, policy)
	lease, old := t0.Add(run.Lease), t0.Add(run.MaxTokenAge)
	listed := called.Listed(1, nil, retryInputs, old).Run
	unlisted := called.Stop(cancel).Run.Listed(1, nil, retryInputs, lease).Run
	missing := live.ObservedMissing(1, arn, retryInputs, t0.Add(run.SilentAfter)).Run
	missing = missing.ObservedMissing(1, arn, retryInputs, missing.Due).Run
	inBackoff := called.Observed(1, stopped(exit(1)), retryInputs, t0).Run
	orphan := run.TaskObservation{ARN: "arn:orphan", Status: "RUNNING"}
	withOrphan := inBackoff.Observed(1, orphan, retryInputs, t0).Run
	gone := orphan
	gone.Outcome = exit(143)
	ended := live.Observed(1, stopped(exit(0)), retryInputs, t0).Run
	refused := func(c run.Class) run.Transition {
		return called.Refused(1, 1, run.Outcome{Class: c}, true, retryInputs, t0)
	}
	return []step{
		{run.CallRepeated, "Claim", called, called.Claim(lease)},
		{run.Reserved, "Reserve", called, called.Reserve(lease.Add(time.Minute), lease)},
		{run.CallThrottled, "Refused", called, refused(run.ClassThrottled)},
		{run.CallRefused, "Refused", called, refused(run.ClassCapacity)},
		{run.CallRefused, "Refused", called, refused(run.ClassMisconfigured)},
		{run.NoTaskListed, "Listed", called, called.Listed(1, nil, retryInputs, old)},
		{run.TaskStarted, "Listed", called, called.Listed(1, []string{arn}, retryInputs, old)},
		{run.TaskStarted, "Observed", called, called.Observed(1, run.TaskObservation{ARN: arn, Call: 1}, retryInputs, t0)},
		{run.AttemptEnded, "Observed", called, called.Observed(1, stopped(exit(1)), retryInputs, t0)},
		{run.AttemptEnded, "Listed", listed, listed.Listed(1, nil, retryInputs, old.Add(run.LostAfter))},
		{run.AttemptEnded, "Listed", unlisted, unlisted.Listed(1, nil, retryInputs, lease.Add(run.LostAfter))},
		{run.Repeated, "Advance", called, called.Advance(run.Group{}, lease)},
		{run.TimedOut, "Advance", called, called.Advance(run.Group{}, t0.Add(2*time.Hour))},
		{run.StopRequested, "Stop", called, called.Stop(cancel)},
		{run.TaskObserved, "Observed", live, live.Observed(1, run.TaskObservation{ARN: arn, Status: "RUNNING", Version: 2}, retryInputs, t0)},
		{run.TaskMissing, "ObservedMissing", live, live.ObservedMissing(1, arn, retryInputs, t0.Add(run.SilentAfter))},
		{run.AttemptEnded, "ObservedMissing", missing, missing.ObservedMissing(1, arn, retryInputs, t0.Add(time.Hour))},
		{run.AttemptEnded, "Observed", live, live.Observed(1, stopped(exit(0)), retryInputs, t0)},
		{run.AttemptEnded, "Observed", live, live.Observed(1, stopped(exit(1)), retryInputs, t0)},
		{run.TimedOut, "Advance", live, live.Advance(run.Group{}, t0.Add(2*time.Hour))},
		{run.StopRequested, "Stop", live, live.Stop(cancel)},
		{run.BackoffEnded, "Advance", inBackoff, inBackoff.Advance(run.Group{}, inBackoff.Due)},
		{run.LeaseCut, "Observed", inBackoff, inBackoff.Observed(1, run.TaskObservation{ARN: arn, Call: 1}, retryInputs, t0)},
		{run.OrphanFound, "Observed", inBackoff, inBackoff.Observed(1, orphan, retryInputs, t0)},
		{run.OrphanFound, "Observed", ended, ended.Observed(1, orphan, retryInputs, t0)},
		{run.OrphanGone, "Observed", withOrphan, withOrphan.Observed(1, gone, retryInputs, t0)},
		{run.OrphanGone, "OrphanEnded", withOrphan, withOrphan.OrphanEnded("arn:orphan", t0)},
		{run.Postponed, "Advance", withOrphan, withOrphan.Advance(run.Group{}, withOrphan.Due)},
	}
}

// tableRow is a row of the table of transitions in the package comment.
type tableRow struct {
	kind     run.TransitionKind
	from, to []string // alternatives: a state, a state with its wait, "any", "=" or "next"
	methods  []string
}

var rowForm = regexp.MustCompile(`(?m)^//\t([a-z -]{23})(\(none\)|any|waiting\S*|launching\S*|running) +([A-Z]\w+(?:, [A-Z]\w+)*) +(\S.*)$`)

// tableRows returns the rows of the table in the package comment.
func tableRows(t *testing.T) []tableRow {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var all []tableRow
	for _, m := range rowForm.FindAllStringSubmatch(string(text), -1) {
		kind := run.TransitionKind(strings.TrimSpace(m[1]))
		if kind == "" {
			kind = all[len(all)-1].kind // one more row of the kind above
		}
		to := strings.FieldsFunc(m[4], func(r rune) bool { return r == ':' || r == ',' })[:1]
		if _, or, found := strings.Cut(m[4], ", or "); found {
			to = append(to, strings.Fields(or)[0])
		}
		all = append(all, tableRow{kind, strings.Split(m[2], ","), to, strings.Split(m[3], ", ")})
	}
	return all
}

// fits reports whether a run is in one of some states of the table. before is the run before the transition.
func fits(states []string, r, before run.Run) bool {
	return slices.ContainsFunc(states, func(state string) bool {
		switch state {
		case "any":
			return true
		case "(none)":
			return r.State == ""
		case "=":
			return r.State == before.State && r.WaitingFor == before.WaitingFor
		case "next":
			return r.State.Ended() || slices.Contains([]run.Wait{run.ForLaunch, run.ForBackoff, run.ForCapacity}, r.WaitingFor)
		}
		state, wait, hasWait := strings.Cut(state, "/")
		return string(r.State) == state && (!hasWait || string(r.WaitingFor) == wait)
	})
}

// TestTransitions checks the kind, the class and the end of each transition. It also checks that the table in the package
// comment has a row for it with its method and its states, and that each row and method of the table is tested.
func TestTransitions(t *testing.T) {
	t.Parallel()
	rows := tableRows(t)
	tested := map[string]bool{}
	for i, s := range append(stepsBeforeLaunch(), stepsOfAttempts(t)...) {
		got := s.got
		if got.Kind != s.kind {
			t.Errorf("step %d, %s of a run that is %s %s: the kind is %q, want %q", i, s.method, s.from.State, s.from.WaitingFor, got.Kind, s.kind)
			continue
		}
		if want := got.Run.State.Ended() && !s.from.State.Ended(); got.Ended != want {
			t.Errorf("step %d, %s: ended is %t, want %t: the run is %s", i, got.Kind, got.Ended, want, got.Run.State)
		}
		var class run.Class
		if got.Ended || slices.Contains([]run.TransitionKind{run.CallThrottled, run.CallRefused, run.AttemptEnded}, got.Kind) {
			class = got.Run.Outcome.Class
		}
		if got.Class != class {
			t.Errorf("step %d, %s: the class is %q, want %q", i, got.Kind, got.Class, class)
		}
		found := false
		for _, row := range rows {
			if row.kind == got.Kind && slices.Contains(row.methods, s.method) && fits(row.from, s.from, s.from) && fits(row.to, got.Run, s.from) {
				found = true
				for _, state := range row.from {
					if fits([]string{state}, s.from, s.from) {
						tested[string(row.kind)+" "+state+" "+s.method] = true
					}
				}
			}
		}
		if !found {
			t.Errorf("step %d: the table has no row for %s by %s, from %s %s to %s %s",
				i, got.Kind, s.method, s.from.State, s.from.WaitingFor, got.Run.State, got.Run.WaitingFor)
		}
	}
	for _, row := range rows {
		for _, state := range row.from {
			for _, method := range row.methods {
				if name := string(row.kind) + " " + state + " " + method; !tested[name] {
					t.Errorf("no step tests the row %s", name)
				}
			}
		}
	}
}
