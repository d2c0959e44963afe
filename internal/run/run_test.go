package run_test

import (
	"slices"
	"testing"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
)

var t0 = time.Date(2026, 1, 5, 6, 0, 0, 0, time.UTC)

const arn = "arn:aws:ecs:eu-west-1:111122223333:task/models/0a1b"

// plan has the longest jitter, so that a backoff is as long as it can be.
var plan = run.Plan{Jitter: 0.999999}

func accept(p model.Policy) run.Run {
	return run.Accept(run.Accepted{ID: "forecast-1", Model: model.Model{
		Name: "forecast", Policy: p, Task: model.Task{Capacity: []model.Capacity{model.Spot, model.OnDemand}},
	}, Trigger: "arrival"}, t0)
}

// launched is a run whose first RunTask call is out.
func launched(t *testing.T, p model.Policy) run.Run {
	t.Helper()
	r, step := accept(p).Claim(t0)
	if step != run.First || r.State != run.Launching {
		t.Fatalf("claimed to %v, %s", step, r.State)
	}
	return r
}

// running is a run whose first task is running.
func running(t *testing.T, p model.Policy) run.Run {
	t.Helper()
	return must(t)(launched(t, p).Observed(1, run.Sighting{ARN: arn, Status: "PROVISIONING", Version: 1, Call: 1}, plan, t0))
}

func must(t *testing.T) func(run.Run, bool) run.Run {
	return func(r run.Run, changed bool) run.Run {
		t.Helper()
		if !changed {
			t.Fatalf("the input changed nothing; the run is %s %s", r.State, r.For)
		}
		return r
	}
}

func unchanged(t *testing.T) func(run.Run, bool) {
	return func(r run.Run, changed bool) {
		t.Helper()
		if changed {
			t.Fatalf("the input changed the run to %s %s", r.State, r.For)
		}
	}
}

func exit(code int) *run.Outcome {
	class := run.ModelError
	if code == 0 {
		class = run.OK
	}
	return &run.Outcome{Class: class, ExitCode: &code}
}

func stopped(o *run.Outcome) run.Sighting {
	return run.Sighting{ARN: arn, Status: "STOPPED", Version: 7, Outcome: o}
}

func kinds(r run.Run) map[run.EffectKind]int {
	count := map[run.EffectKind]int{}
	for _, e := range r.Outbox.Effects {
		count[e.Kind]++
	}
	return count
}

func TestAnAcceptedRunIsQueued(t *testing.T) {
	t.Parallel()
	r := accept(model.Policy{})
	if r.State != run.Waiting || r.For != run.Queued || kinds(r)[run.Enqueue] != 1 {
		t.Errorf("it is %s %s with effects %v", r.State, r.For, kinds(r))
	}
	again := must(t)(r.Advance(t0.Add(run.Resend)))
	if kinds(again)[run.Enqueue] != 1 {
		t.Errorf("after %s the outbox is %v, want one enqueue", run.Resend, kinds(again))
	}
	unchanged(t)(r.Advance(t0.Add(run.Resend - time.Second)))
}

func TestOnlyOneCallIsOutAtATime(t *testing.T) {
	t.Parallel()
	r := launched(t, model.Policy{})
	if _, step := r.Claim(t0.Add(run.Lease - time.Second)); step != run.Nothing {
		t.Errorf("within the lease the step is %v", step)
	}
	again, step := r.Claim(t0.Add(run.Lease))
	if step != run.Again || again.Call != 2 || again.Attempt != 1 {
		t.Errorf("after the lease: step %v, call %d of attempt %d", step, again.Call, again.Attempt)
	}
	if _, step := r.Claim(t0.Add(run.TokenAge)); step != run.List {
		t.Errorf("with an old token the step is %v", step)
	}
}

func TestARefusalCountsOnlyForTheCurrentCall(t *testing.T) {
	t.Parallel()
	again, _ := launched(t, model.Policy{}).Claim(t0.Add(run.Lease))
	refusal := run.Outcome{Class: run.Capacity}
	unchanged(t)(again.Refused(1, 1, refusal, true, plan, t0.Add(run.Lease)))
	r := must(t)(again.Refused(1, 2, refusal, true, plan, t0.Add(run.Lease)))
	if r.State != run.Waiting || !r.Closed {
		t.Errorf("it is %s, closed %t", r.State, r.Closed)
	}
	taken := must(t)(again.Observed(1, run.Sighting{ARN: arn, Version: 1, Call: 1}, plan, t0.Add(run.Lease)))
	if taken.State != run.Running {
		t.Errorf("the task of the older call makes it %s", taken.State)
	}
}

func TestThrottlingKeepsTheAttempt(t *testing.T) {
	t.Parallel()
	r := must(t)(launched(t, model.Policy{}).Refused(1, 1, run.Outcome{Class: run.Throttled}, true, plan, t0))
	if r.State != run.Launching || r.Attempt != 1 || r.Closed || !r.Due.After(t0) {
		t.Errorf("it is %s, attempt %d, closed %t, due %s", r.State, r.Attempt, r.Closed, r.Due)
	}
	next, step := r.Claim(r.Due)
	if step != run.Again || next.Spent.Model+next.Spent.Infrastructure != 0 {
		t.Errorf("step %v, spent %+v", step, next.Spent)
	}
}

func TestARefusalForCapacityTriesTheNextOneAtOnce(t *testing.T) {
	t.Parallel()
	r := must(t)(launched(t, model.Policy{}).Refused(1, 1, run.Outcome{Class: run.Capacity}, true, plan, t0))
	if r.Capacity != 1 || r.For != run.Queued {
		t.Errorf("capacity %d, waits for %s", r.Capacity, r.For)
	}
	r, _ = r.Claim(t0)
	r = must(t)(r.Refused(2, 1, run.Outcome{Class: run.Capacity}, true, plan, t0))
	if r.Capacity != 0 || r.For != run.Place || r.Gate != run.Gate(model.OnDemand) {
		t.Errorf("capacity %d, waits for %s at %q", r.Capacity, r.For, r.Gate)
	}
	r = must(t)(r.Through(run.Replacement, t0))
	if _, step := r.Claim(t0); step != run.First {
		t.Errorf("let through, its step is %v", step)
	}
}

// announced is what follows "Model Run Started" for each state that an outcome leads to.
var announced = map[run.State]string{
	run.Waiting: run.AnnounceRetrying, run.Succeeded: run.AnnounceSucceeded, run.Failed: run.AnnounceFailed,
	run.Cancelled: run.AnnounceCancelled, run.Skipped: run.AnnounceSkipped,
}

func announces(r run.Run, what string) bool {
	return slices.ContainsFunc(r.Outbox.Effects, func(e run.Effect) bool { return e.What == what })
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	retry := model.Policy{Retry: model.Retry{Attempts: 2}}
	codes := model.Policy{ExitCodes: map[int]model.Verdict{3: model.VerdictSkipped, 75: model.VerdictRetry, 9: model.VerdictFail}, Retry: model.Retry{Attempts: 2}}
	for name, c := range map[string]struct {
		policy  model.Policy
		outcome *run.Outcome
		want    run.State
	}{
		"exit 0":                       {model.Policy{}, exit(0), run.Succeeded},
		"exit 1":                       {model.Policy{}, exit(1), run.Failed},
		"exit 1 with attempts left":    {retry, exit(1), run.Waiting},
		"a code declared skipped":      {codes, exit(3), run.Skipped},
		"a code declared retry":        {codes, exit(75), run.Waiting},
		"a code declared fail":         {codes, exit(9), run.Failed},
		"output missing":               {model.Policy{}, &run.Outcome{Class: run.OutputMissing}, run.Failed},
		"interrupted":                  {model.Policy{}, &run.Outcome{Class: run.Interrupted}, run.Waiting},
		"start failed":                 {model.Policy{}, &run.Outcome{Class: run.StartFailed}, run.Waiting},
		"start failed for good":        {model.Policy{}, &run.Outcome{Class: run.StartFailed, Permanent: true}, run.Failed},
		"no exit code is no success":   {model.Policy{}, &run.Outcome{Class: run.Unknown}, run.Waiting},
		"stopped by somebody else":     {retry, &run.Outcome{Class: run.Stopped}, run.Cancelled},
		"misconfigured":                {retry, &run.Outcome{Class: run.Misconfigured}, run.Failed},
		"out of memory, no ladder":     {model.Policy{}, &run.Outcome{Class: run.OutOfMemory}, run.Failed},
		"lost":                         {retry, &run.Outcome{Class: run.Lost}, run.Failed},
		"lost, and declared to repeat": {model.Policy{Retry: model.Retry{Attempts: 2, Lost: true}}, &run.Outcome{Class: run.Lost}, run.Waiting},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := must(t)(running(t, c.policy).Observed(1, stopped(c.outcome), plan, t0.Add(time.Minute)))
			if r.State != c.want {
				t.Errorf("it is %s, want %s", r.State, c.want)
			}
			if want := announced[c.want]; kinds(r)[run.Announce] != 2 || !announces(r, want) {
				t.Errorf("%q is not announced: %+v", want, r.Outbox.Effects)
			}
			unchanged(t)(r.Observed(1, stopped(c.outcome), plan, t0.Add(time.Minute))) // the same event again
		})
	}
}

func TestEveryBudgetEnds(t *testing.T) {
	t.Parallel()
	for _, class := range []run.Class{run.StartFailed, run.Interrupted, run.Unknown, run.ImagePull} {
		r, now := accept(model.Policy{}), t0
		for !r.State.Ended() {
			if r.Attempt > 20 {
				t.Fatalf("%s: still not ended after %d attempts", class, r.Attempt)
			}
			if r.For == run.Backoff {
				now = r.Due
				r = must(t)(r.Advance(now))
			}
			r, _ = r.Claim(now)
			r = must(t)(r.Observed(r.Attempt, run.Sighting{ARN: arn + string(rune('a'+r.Attempt)), Call: 1, Outcome: &run.Outcome{Class: class}}, plan, now))
		}
		if r.Attempt != 10 || r.State != run.Failed || r.Outcome.Class != class {
			t.Errorf("%s: ended %s after %d attempts", class, r.State, r.Attempt)
		}
	}
}

func TestTheAnswerOfACallWhoseTaskHasStoppedEndsItsLease(t *testing.T) {
	t.Parallel()
	r := must(t)(launched(t, model.Policy{Retry: model.Retry{Attempts: 2}}).Observed(1, run.Sighting{ARN: arn, Status: "STOPPED", Outcome: exit(1)}, plan, t0))
	if r.For != run.Backoff || !r.Due.Equal(t0.Add(run.Lease)) {
		t.Fatalf("before the answer it waits for %s until %s, want the end of the lease", r.For, r.Due)
	}
	unchanged(t)(r.Observed(1, run.Sighting{ARN: arn, Call: 7}, plan, t0))
	r = must(t)(r.Observed(1, run.Sighting{ARN: arn, Call: 1}, plan, t0.Add(time.Second)))
	if r.For != run.Queued || !r.Ready(t0.Add(time.Second)) {
		t.Errorf("after the answer it waits for %s", r.For)
	}
	unchanged(t)(r.Observed(1, run.Sighting{ARN: arn, Call: 1}, plan, t0.Add(2*time.Second)))
}

func TestTheSecondInterruptionTurnsToOnDemand(t *testing.T) {
	t.Parallel()
	r := must(t)(running(t, model.Policy{}).Observed(1, stopped(&run.Outcome{Class: run.Interrupted}), plan, t0))
	if r.Capacity != 0 {
		t.Errorf("after one interruption the capacity is %d", r.Capacity)
	}
	r = must(t)(r.Advance(r.Due))
	r, _ = r.Claim(r.Queued.Add(time.Hour))
	r = must(t)(r.Observed(2, run.Sighting{ARN: arn + "2", Outcome: &run.Outcome{Class: run.Interrupted}}, plan, t0.Add(time.Hour)))
	if r.Capacity != 1 {
		t.Errorf("after two interruptions the capacity is %d", r.Capacity)
	}
}

func TestATimeoutStopsTheTaskAndFailsTheRun(t *testing.T) {
	t.Parallel()
	r := running(t, model.Policy{Timeout: 10 * time.Minute})
	if kinds(r)[run.Wake] != 1 {
		t.Errorf("no wake message for the timeout: %v", r.Outbox.Effects)
	}
	r = must(t)(r.Observed(1, run.Sighting{ARN: arn, Status: "RUNNING", Version: 3}, plan, t0.Add(8*time.Minute)))
	if want := t0.Add(10 * time.Minute); !r.Due.Equal(want) {
		t.Errorf("due %s, want %s", r.Due, want)
	}
	r = must(t)(r.Advance(r.Due))
	if kinds(r)[run.StopTask] != 1 || r.State != run.Running {
		t.Errorf("it is %s with %v", r.State, kinds(r))
	}
	killed := 137
	r = must(t)(r.Observed(1, stopped(&run.Outcome{Class: run.Stopped, ExitCode: &killed}), plan, t0.Add(11*time.Minute)))
	if r.State != run.Failed || r.Outcome.Class != run.TimedOut || *r.Outcome.ExitCode != 137 {
		t.Errorf("it is %s: %v", r.State, r.Outcome)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	by := run.Cancel{Class: run.Stopped, Why: "not needed", By: "ann", At: t0}
	waiting := must(t)(accept(model.Policy{}).Stop(by))
	if waiting.State != run.Cancelled {
		t.Errorf("a waiting run is %s", waiting.State)
	}
	called := must(t)(launched(t, model.Policy{}).Stop(by))
	if _, step := called.Claim(t0.Add(run.Lease)); step != run.List {
		t.Errorf("a launching run that is cancelled has step %v: RunTask must not be called again", step)
	}
	found := must(t)(called.Observed(1, run.Sighting{ARN: arn, Version: 1}, plan, t0))
	if kinds(found)[run.StopTask] != 1 {
		t.Errorf("its task is not stopped: %v", kinds(found))
	}
	retrying := must(t)(running(t, model.Policy{Retry: model.Retry{Attempts: 5}}).Stop(by))
	ended := must(t)(retrying.Observed(1, stopped(exit(143)), plan, t0))
	if ended.State != run.Cancelled {
		t.Errorf("after STOPPED it is %s", ended.State)
	}
	won := must(t)(retrying.Observed(1, stopped(exit(0)), plan, t0))
	if won.State != run.Succeeded {
		t.Errorf("a task that had ended with 0 makes it %s", won.State)
	}
}

func TestLateSightingsOfAStoppedTaskAreOld(t *testing.T) {
	t.Parallel()
	r := must(t)(running(t, model.Policy{Retry: model.Retry{Attempts: 2}}).Observed(1, stopped(exit(1)), plan, t0))
	late := run.Sighting{ARN: arn, Status: "RUNNING", Version: 4}
	unchanged(t)(r.Observed(1, late, plan, t0))
	r, _ = r.Claim(t0)
	unchanged(t)(r.Observed(1, late, plan, t0))
}

func TestALiveTaskThatNobodyKnowsIsStoppedAndBlocksTheNextAttempt(t *testing.T) {
	t.Parallel()
	r := must(t)(launched(t, model.Policy{}).Refused(1, 1, run.Outcome{Class: run.Capacity}, true, plan, t0))
	stray := run.Sighting{ARN: "arn:stray", Status: "RUNNING", Version: 3}
	r = must(t)(r.Observed(1, stray, plan, t0))
	if kinds(r)[run.StopTask] != 1 {
		t.Errorf("it is not stopped: %v", kinds(r))
	}
	if _, step := r.Claim(t0); step != run.Nothing {
		t.Errorf("another attempt is launched beside it: %v", step)
	}
	stray.Outcome = exit(143)
	r = must(t)(r.Observed(1, stray, plan, t0))
	if _, step := r.Claim(t0); step != run.First {
		t.Errorf("once it is STOPPED the step is %v", step)
	}
}

func TestLostIsMissingThreeTimesOverTenMinutes(t *testing.T) {
	t.Parallel()
	r := running(t, model.Policy{})
	unchanged(t)(r.Missed(1, arn, plan, t0)) // it is not silent yet
	at := t0.Add(run.Silence)
	for i := range 2 {
		r = must(t)(r.Missed(1, arn, plan, at))
		if r.State != run.Running {
			t.Fatalf("it is %s after %d misses", r.State, i+1)
		}
		unchanged(t)(r.Missed(1, arn, plan, at)) // two sweeps at once see the same once
		at = at.Add(run.Silence)
	}
	same := run.Sighting{ARN: arn, Version: r.Task.Version, Status: "RUNNING"}
	if known := must(t)(r.Observed(1, same, plan, at)); known.Task.Misses != 0 || !known.Task.Missing.IsZero() {
		t.Errorf("being seen as it was does not forget %d misses", known.Task.Misses)
	}
	r = must(t)(r.Missed(1, arn, plan, at))
	if r.State != run.Failed || r.Outcome.Class != run.Lost {
		t.Errorf("it is %s: %v", r.State, r.Outcome)
	}
}

func TestAnEmptyListIsBelievedTheSecondTime(t *testing.T) {
	t.Parallel()
	r := launched(t, model.Policy{})
	at := t0.Add(run.TokenAge)
	r = must(t)(r.Listed(1, nil, plan, at))
	unchanged(t)(r.Listed(1, nil, plan, at.Add(run.Patience-time.Second)))
	found := must(t)(r.Listed(1, []string{arn}, plan, at.Add(time.Minute)))
	if found.State != run.Running || found.Task.ARN != arn {
		t.Errorf("a task in the list makes it %s with task %q", found.State, found.Task.ARN)
	}
	r = must(t)(r.Listed(1, nil, plan, at.Add(run.Patience)))
	if r.State != run.Failed || r.Outcome.Class != run.Lost {
		t.Errorf("it is %s: %v", r.State, r.Outcome)
	}
}

func TestATaskOverItsTimeoutThatIsNotListedIsLost(t *testing.T) {
	t.Parallel()
	again := model.Policy{Timeout: time.Hour, Retry: model.Retry{Attempts: 2, TimedOut: true}}
	at := t0.Add(2 * time.Hour)
	r := must(t)(launched(t, again).Advance(at))
	r = must(t)(r.Listed(1, nil, plan, at))
	r = must(t)(r.Listed(1, nil, plan, at.Add(run.Patience)))
	if r.State != run.Failed || r.Outcome.Class != run.Lost {
		t.Errorf("it is %s: %v; it may have succeeded, so it is not to be run again", r.State, r.Outcome)
	}
}

func TestARunThatIsNeverLaunchedFails(t *testing.T) {
	t.Parallel()
	r := must(t)(launched(t, model.Policy{}).Refused(1, 1, run.Outcome{Class: run.Quota, Detail: "vCPU limit"}, true, run.Plan{}, t0))
	r = must(t)(r.Advance(t0.Add(model.MaxWait + time.Second)))
	if r.State != run.Failed || r.Outcome.Class != run.Quota {
		t.Errorf("it is %s: %v", r.State, r.Outcome)
	}
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	var o run.Outbox
	o = o.Add(run.Effect{Kind: run.Enqueue}, t0).Add(run.Effect{Kind: run.Announce}, t0).Add(run.Effect{Kind: run.Announce}, t0).Add(run.Effect{Kind: run.Enqueue}, t0)
	if len(o.Effects) != 3 || len(o.Since(2)) != 2 {
		t.Fatalf("effects: %+v", o.Effects)
	}
	if n := len(o.Overdue(t0)); n != 0 {
		t.Errorf("%d are overdue at once", n)
	}
	o = o.Strike([]int{2}).Postpone([]int{3}, t0.Add(time.Minute))
	if next := o.Next(time.Time{}); !next.Equal(t0.Add(time.Minute)) || len(o.Overdue(next)) != 1 {
		t.Errorf("next is %s, overdue then: %+v", next, o.Overdue(next))
	}
}
