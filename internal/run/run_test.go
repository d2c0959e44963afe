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

// retryInputs makes every backoff as long as possible.
var retryInputs = run.RetryInputs{Jitter: 0.999999}

func accept(p model.Policy) run.Run {
	return run.Accept(run.AcceptInput{ID: "forecast-1", Model: model.Model{
		Name: "forecast", Policy: p, Task: model.Task{Capacity: []model.Capacity{model.Spot, model.OnDemand}},
	}, Trigger: "arrival"}, t0).Run
}

// launched returns a run whose first RunTask call has no answer yet.
func launched(t *testing.T, p model.Policy) run.Run {
	t.Helper()
	claimed := accept(p).Claim(t0)
	if claimed.Kind != run.AttemptStarted || claimed.Run.State != run.Launching {
		t.Fatalf("the claim is %q and the run is %s, want a new attempt that is launching", claimed.Kind, claimed.Run.State)
	}
	return claimed.Run
}

// running returns a run whose first task is known.
func running(t *testing.T, p model.Policy) run.Run {
	t.Helper()
	provisioning := run.TaskObservation{ARN: arn, Status: "PROVISIONING", Version: 1, Call: 1}
	return must(t)(launched(t, p).Observed(1, provisioning, retryInputs, t0))
}

// must returns the run that an input has changed, and fails the test if it changed nothing.
func must(t *testing.T) func(run.Transition) run.Run {
	return func(x run.Transition) run.Run {
		t.Helper()
		if x.Kind == run.Ignored {
			t.Fatalf("the input changed nothing: the run is %s %s", x.Run.State, x.Run.WaitingFor)
		}
		return x.Run
	}
}

// unchanged fails the test if an input has changed the run.
func unchanged(t *testing.T) func(run.Transition) {
	return func(x run.Transition) {
		t.Helper()
		if x.Kind != run.Ignored {
			t.Fatalf("the input is %q: it changed the run to %s %s, want no change", x.Kind, x.Run.State, x.Run.WaitingFor)
		}
	}
}

// exit returns the outcome of a container with this exit code.
func exit(code int) *run.Outcome {
	class := run.ClassModelError
	if code == 0 {
		class = run.ClassSucceeded
	}
	return &run.Outcome{Class: class, ExitCode: &code}
}

// stopped returns the observation that the task is STOPPED.
func stopped(o *run.Outcome) run.TaskObservation {
	return run.TaskObservation{ARN: arn, Status: "STOPPED", Version: 7, Outcome: o}
}

// kinds counts the effects in the outbox by kind.
func kinds(r run.Run) map[run.EffectKind]int {
	count := map[run.EffectKind]int{}
	for _, e := range r.Outbox.Effects {
		count[e.Effect.Kind()]++
	}
	return count
}

func TestAnAcceptedRunIsSentToTheLaunchQueue(t *testing.T) {
	t.Parallel()
	r := accept(model.Policy{})
	if r.State != run.Waiting || r.WaitingFor != run.ForLaunch || kinds(r)[run.KindEnqueue] != 1 {
		t.Errorf("the run is %s %s with effects %v, want it in the launch queue", r.State, r.WaitingFor, kinds(r))
	}
	again := must(t)(r.Advance(run.Group{}, t0.Add(run.RequeueAfter)))
	if kinds(again)[run.KindEnqueue] != 1 {
		t.Errorf("after %s the outbox is %v, want one enqueue", run.RequeueAfter, kinds(again))
	}
	unchanged(t)(r.Advance(run.Group{}, t0.Add(run.RequeueAfter-time.Second)))
}

func TestNoSecondCallIsMadeWithinTheLease(t *testing.T) {
	t.Parallel()
	r := launched(t, model.Policy{})
	unchanged(t)(r.Claim(t0.Add(run.Lease - time.Second)))
	again := r.Claim(t0.Add(run.Lease))
	if again.Kind != run.CallRepeated || again.Run.Call != 2 || again.Run.Attempt != 1 {
		t.Errorf("after the lease: %q, call %d of attempt %d, want call 2 of attempt 1", again.Kind, again.Run.Call, again.Run.Attempt)
	}
	unchanged(t)(r.Claim(t0.Add(run.MaxTokenAge)))
	if r.MustList(t0.Add(run.MaxTokenAge-time.Second)) || !r.MustList(t0.Add(run.MaxTokenAge)) {
		t.Errorf("want the list of tasks once the token is %s old, and not before", run.MaxTokenAge)
	}
}

func TestARefusalCountsOnlyForTheCurrentCall(t *testing.T) {
	t.Parallel()
	again := must(t)(launched(t, model.Policy{}).Claim(t0.Add(run.Lease)))
	refusal := run.Outcome{Class: run.ClassCapacity}
	unchanged(t)(again.Refused(1, 1, refusal, true, retryInputs, t0.Add(run.Lease)))
	r := must(t)(again.Refused(1, 2, refusal, true, retryInputs, t0.Add(run.Lease)))
	if r.State != run.Waiting || !r.Closed {
		t.Errorf("the run is %s, closed %t, want waiting and closed", r.State, r.Closed)
	}
	found := must(t)(again.Observed(1, run.TaskObservation{ARN: arn, Version: 1, Call: 1}, retryInputs, t0.Add(run.Lease)))
	if found.State != run.Running {
		t.Errorf("with the task of the older call the run is %s, want running", found.State)
	}
}

func TestThrottlingKeepsTheAttemptOpen(t *testing.T) {
	t.Parallel()
	r := must(t)(launched(t, model.Policy{}).Refused(1, 1, run.Outcome{Class: run.ClassThrottled}, true, retryInputs, t0))
	if r.State != run.Launching || r.Attempt != 1 || r.Closed || !r.Due.After(t0) {
		t.Errorf("the run is %s, attempt %d, closed %t, due %s; want attempt 1 open and due later", r.State, r.Attempt, r.Closed, r.Due)
	}
	next := r.Claim(r.Due)
	if used := next.Run.RetriesUsed; next.Kind != run.CallRepeated || used.Model+used.Infrastructure != 0 {
		t.Errorf("the claim is %q and the retries used are %+v, want a repeated call and none", next.Kind, used)
	}
}

func TestARefusalForCapacityTriesTheNextCapacityAtOnce(t *testing.T) {
	t.Parallel()
	r := must(t)(launched(t, model.Policy{}).Refused(1, 1, run.Outcome{Class: run.ClassCapacity}, true, retryInputs, t0))
	if r.CapacityIndex != 1 || r.WaitingFor != run.ForLaunch {
		t.Errorf("capacity %d, waiting for %s, want capacity 1 and a launch", r.CapacityIndex, r.WaitingFor)
	}
	r = must(t)(r.Claim(t0))
	r = must(t)(r.Refused(2, 1, run.Outcome{Class: run.ClassCapacity}, true, retryInputs, t0))
	if r.CapacityIndex != 0 || r.WaitingFor != run.ForCapacity || r.Breaker != model.OnDemand {
		t.Errorf("capacity %d, waiting for %s at %q, want it to wait at the last breaker", r.CapacityIndex, r.WaitingFor, r.Breaker)
	}
	r = must(t)(r.Release(run.ReleasedAsReplacement, t0))
	if claimed := r.Claim(t0); claimed.Kind != run.AttemptStarted {
		t.Errorf("after the release the claim is %q, want a new attempt", claimed.Kind)
	}
}

// announced maps each state that an outcome leads to onto the announcement after "Model Run Started".
var announced = map[run.State]string{
	run.Waiting: run.DetailRetrying, run.Succeeded: run.DetailSucceeded, run.Failed: run.DetailFailed,
	run.Cancelled: run.DetailCancelled, run.Skipped: run.DetailSkipped,
}

// announces reports whether the outbox holds an announcement of this detail type.
func announces(r run.Run, detailType string) bool {
	return slices.ContainsFunc(r.Outbox.Effects, func(p run.Pending) bool {
		a, isAnnouncement := p.Effect.(run.AnnounceRun)
		return isAnnouncement && a.DetailType == detailType
	})
}

var (
	twoAttempts = model.Policy{Retry: model.Retry{Attempts: 2}}
	retryLost   = model.Policy{Retry: model.Retry{Attempts: 2, Lost: true}}
	exitCodes   = model.Policy{
		ExitCodes: map[int]model.ExitCodeAction{3: model.ExitCodeSkip, 75: model.ExitCodeRetry, 9: model.ExitCodeFail},
		Retry:     model.Retry{Attempts: 2},
	}
)

// outcomes lists outcomes of a first attempt, with the state that each leads to under a policy.
var outcomes = map[string]struct {
	policy  model.Policy
	outcome *run.Outcome
	want    run.State
}{
	"exit 0":                       {model.Policy{}, exit(0), run.Succeeded},
	"exit 1":                       {model.Policy{}, exit(1), run.Failed},
	"exit 1 with attempts left":    {twoAttempts, exit(1), run.Waiting},
	"exit code mapped to skip":     {exitCodes, exit(3), run.Skipped},
	"exit code mapped to retry":    {exitCodes, exit(75), run.Waiting},
	"exit code mapped to fail":     {exitCodes, exit(9), run.Failed},
	"output missing":               {model.Policy{}, &run.Outcome{Class: run.ClassOutputMissing}, run.Failed},
	"interrupted":                  {model.Policy{}, &run.Outcome{Class: run.ClassInterrupted}, run.Waiting},
	"start failed":                 {model.Policy{}, &run.Outcome{Class: run.ClassStartFailed}, run.Waiting},
	"start failed permanently":     {model.Policy{}, &run.Outcome{Class: run.ClassStartFailed, Permanent: true}, run.Failed},
	"no exit code is no success":   {model.Policy{}, &run.Outcome{Class: run.ClassUnknown}, run.Waiting},
	"stopped from outside":         {twoAttempts, &run.Outcome{Class: run.ClassCancelled}, run.Cancelled},
	"misconfigured":                {twoAttempts, &run.Outcome{Class: run.ClassMisconfigured}, run.Failed},
	"out of memory, no larger one": {model.Policy{}, &run.Outcome{Class: run.ClassOutOfMemory}, run.Failed},
	"lost":                         {twoAttempts, &run.Outcome{Class: run.ClassLost}, run.Failed},
	"lost, with retry.lost":        {retryLost, &run.Outcome{Class: run.ClassLost}, run.Waiting},
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for name, c := range outcomes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := must(t)(running(t, c.policy).Observed(1, stopped(c.outcome), retryInputs, t0.Add(time.Minute)))
			if r.State != c.want {
				t.Errorf("the run is %s, want %s", r.State, c.want)
			}
			if want := announced[c.want]; kinds(r)[run.KindAnnounceRun] != 2 || !announces(r, want) {
				t.Errorf("want %q after the start, and the effects are %+v", want, r.Outbox.Effects)
			}
			unchanged(t)(r.Observed(1, stopped(c.outcome), retryInputs, t0.Add(time.Minute))) // a second delivery of the event
		})
	}
}

func TestTheInfrastructureBudgetEnds(t *testing.T) {
	t.Parallel()
	for _, class := range []run.Class{run.ClassStartFailed, run.ClassInterrupted, run.ClassUnknown, run.ClassImagePull} {
		r, now := accept(model.Policy{}), t0
		for !r.State.Ended() {
			if r.Attempt > 20 {
				t.Fatalf("%s: the run is %s after %d attempts, want an end", class, r.State, r.Attempt)
			}
			if r.WaitingFor == run.ForBackoff {
				now = r.Due
				r = must(t)(r.Advance(run.Group{}, now))
			}
			r = must(t)(r.Claim(now))
			task := arn + string(rune('a'+r.Attempt))
			failure := run.TaskObservation{ARN: task, Call: 1, Outcome: &run.Outcome{Class: class}}
			r = must(t)(r.Observed(r.Attempt, failure, retryInputs, now))
		}
		if r.Attempt != 10 || r.State != run.Failed || r.Outcome.Class != class {
			t.Errorf("%s: the run is %s after %d attempts, want failed after 10", class, r.State, r.Attempt)
		}
	}
}

func TestALateAnswerEndsTheLeaseOfATaskThatHasStopped(t *testing.T) {
	t.Parallel()
	failure := run.TaskObservation{ARN: arn, Status: "STOPPED", Outcome: exit(1)}
	r := must(t)(launched(t, twoAttempts).Observed(1, failure, retryInputs, t0))
	if r.WaitingFor != run.ForBackoff || !r.Due.Equal(t0.Add(run.Lease)) {
		t.Fatalf("before the answer the run waits for %s until %s, want a backoff until the lease ends", r.WaitingFor, r.Due)
	}
	unchanged(t)(r.Observed(1, run.TaskObservation{ARN: arn, Call: 7}, retryInputs, t0))
	r = must(t)(r.Observed(1, run.TaskObservation{ARN: arn, Call: 1}, retryInputs, t0.Add(time.Second)))
	if r.WaitingFor != run.ForLaunch || !r.CanLaunch(t0.Add(time.Second)) {
		t.Errorf("after the answer the run waits for %s, want a launch now", r.WaitingFor)
	}
	unchanged(t)(r.Observed(1, run.TaskObservation{ARN: arn, Call: 1}, retryInputs, t0.Add(2*time.Second)))
}

func TestTheSecondInterruptionMovesTheRunToOnDemand(t *testing.T) {
	t.Parallel()
	r := must(t)(running(t, model.Policy{}).Observed(1, stopped(&run.Outcome{Class: run.ClassInterrupted}), retryInputs, t0))
	if r.CapacityIndex != 0 {
		t.Errorf("after one interruption the capacity is %d, want 0", r.CapacityIndex)
	}
	r = must(t)(r.Advance(run.Group{}, r.Due))
	r = must(t)(r.Claim(r.ReadySince.Add(time.Hour)))
	second := run.TaskObservation{ARN: arn + "2", Outcome: &run.Outcome{Class: run.ClassInterrupted}}
	r = must(t)(r.Observed(2, second, retryInputs, t0.Add(time.Hour)))
	if r.CapacityIndex != 1 {
		t.Errorf("after two interruptions the capacity is %d, want 1", r.CapacityIndex)
	}
}

func TestATimeoutStopsTheTaskAndFailsTheRun(t *testing.T) {
	t.Parallel()
	r := running(t, model.Policy{Timeout: 10 * time.Minute})
	if kinds(r)[run.KindWake] != 1 {
		t.Errorf("want one wake message for the timeout, and the effects are %v", r.Outbox.Effects)
	}
	r = must(t)(r.Observed(1, run.TaskObservation{ARN: arn, Status: "RUNNING", Version: 3}, retryInputs, t0.Add(8*time.Minute)))
	if want := t0.Add(10 * time.Minute); !r.Due.Equal(want) {
		t.Errorf("due %s, want %s", r.Due, want)
	}
	r = must(t)(r.Advance(run.Group{}, r.Due))
	if kinds(r)[run.KindStopTask] != 1 || r.State != run.Running {
		t.Errorf("at the timeout the run is %s with effects %v, want running with a StopTask", r.State, kinds(r))
	}
	killed := 137
	r = must(t)(r.Observed(1, stopped(&run.Outcome{Class: run.ClassCancelled, ExitCode: &killed}), retryInputs, t0.Add(11*time.Minute)))
	if r.State != run.Failed || r.Outcome.Class != run.ClassTimedOut || *r.Outcome.ExitCode != 137 {
		t.Errorf("the run is %s: %v, want failed with timed-out and exit code 137", r.State, r.Outcome)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	by := run.StopRequest{Class: run.ClassCancelled, Reason: "not needed", By: "ann", At: t0}
	waiting := must(t)(accept(model.Policy{}).Stop(by))
	if waiting.State != run.Cancelled {
		t.Errorf("the waiting run is %s, want cancelled", waiting.State)
	}
	called := must(t)(launched(t, model.Policy{}).Stop(by))
	unchanged(t)(called.Claim(t0.Add(run.Lease)))
	if !called.MustList(t0.Add(run.Lease)) {
		t.Error("the cancelled launching run does not ask for the list of its tasks")
	}
	found := must(t)(called.Observed(1, run.TaskObservation{ARN: arn, Version: 1}, retryInputs, t0))
	if kinds(found)[run.KindStopTask] != 1 {
		t.Errorf("want a StopTask for the task that is found, and the effects are %v", kinds(found))
	}
	stopping := must(t)(running(t, model.Policy{Retry: model.Retry{Attempts: 5}}).Stop(by))
	ended := must(t)(stopping.Observed(1, stopped(exit(143)), retryInputs, t0))
	if ended.State != run.Cancelled {
		t.Errorf("with exit code 143 the run is %s, want cancelled", ended.State)
	}
	succeeded := must(t)(stopping.Observed(1, stopped(exit(0)), retryInputs, t0))
	if succeeded.State != run.Succeeded {
		t.Errorf("with exit code 0 the run is %s, want succeeded", succeeded.State)
	}
}

func TestALateObservationOfAStoppedTaskChangesNothing(t *testing.T) {
	t.Parallel()
	r := must(t)(running(t, twoAttempts).Observed(1, stopped(exit(1)), retryInputs, t0))
	late := run.TaskObservation{ARN: arn, Status: "RUNNING", Version: 4}
	unchanged(t)(r.Observed(1, late, retryInputs, t0))
	r = must(t)(r.Claim(t0))
	unchanged(t)(r.Observed(1, late, retryInputs, t0))
}

func TestAnOrphanTaskIsStoppedAndBlocksTheNextAttempt(t *testing.T) {
	t.Parallel()
	r := must(t)(launched(t, model.Policy{}).Refused(1, 1, run.Outcome{Class: run.ClassCapacity}, true, retryInputs, t0))
	orphan := run.TaskObservation{ARN: "arn:orphan", Status: "RUNNING", Version: 3}
	r = must(t)(r.Observed(1, orphan, retryInputs, t0))
	if kinds(r)[run.KindStopTask] != 1 {
		t.Errorf("want a StopTask for the orphan task, and the effects are %v", kinds(r))
	}
	unchanged(t)(r.Claim(t0))
	orphan.Outcome = exit(143)
	r = must(t)(r.Observed(1, orphan, retryInputs, t0))
	if claimed := r.Claim(t0); claimed.Kind != run.AttemptStarted {
		t.Errorf("after the orphan task has stopped the claim is %q, want a new attempt", claimed.Kind)
	}
}

func TestATaskIsLostAfterThreeMissesOverTenMinutes(t *testing.T) {
	t.Parallel()
	r := running(t, model.Policy{})
	unchanged(t)(r.ObservedMissing(1, arn, retryInputs, t0)) // the task is not silent yet
	at := t0.Add(run.SilentAfter)
	for i := range 2 {
		r = must(t)(r.ObservedMissing(1, arn, retryInputs, at))
		if r.State != run.Running {
			t.Fatalf("the run is %s after %d misses, want running", r.State, i+1)
		}
		unchanged(t)(r.ObservedMissing(1, arn, retryInputs, at)) // a second sweep at the same time does not count
		at = at.Add(run.SilentAfter)
	}
	same := run.TaskObservation{ARN: arn, Version: r.Task.Version, Status: "RUNNING"}
	if known := must(t)(r.Observed(1, same, retryInputs, at)); known.Task.MissingCount != 0 || !known.Task.MissingSince.IsZero() {
		t.Errorf("after an observation of the unchanged task there are %d misses, want none", known.Task.MissingCount)
	}
	r = must(t)(r.ObservedMissing(1, arn, retryInputs, at))
	if r.State != run.Failed || r.Outcome.Class != run.ClassLost {
		t.Errorf("the run is %s: %v, want failed with lost", r.State, r.Outcome)
	}
}

func TestATaskIsLostAfterTwoEmptyLists(t *testing.T) {
	t.Parallel()
	r := launched(t, model.Policy{})
	at := t0.Add(run.MaxTokenAge)
	r = must(t)(r.Listed(1, nil, retryInputs, at))
	unchanged(t)(r.Listed(1, nil, retryInputs, at.Add(run.LostAfter-time.Second)))
	found := must(t)(r.Listed(1, []string{arn}, retryInputs, at.Add(time.Minute)))
	if found.State != run.Running || found.Task.ARN != arn {
		t.Errorf("with a task in the list the run is %s with task %q, want running with %q", found.State, found.Task.ARN, arn)
	}
	r = must(t)(r.Listed(1, nil, retryInputs, at.Add(run.LostAfter)))
	if r.State != run.Failed || r.Outcome.Class != run.ClassLost {
		t.Errorf("the run is %s: %v, want failed with lost", r.State, r.Outcome)
	}
}

func TestAnUnlistedTaskIsLostAfterItsTimeout(t *testing.T) {
	t.Parallel()
	policy := model.Policy{Timeout: time.Hour, Retry: model.Retry{Attempts: 2, TimedOut: true}}
	at := t0.Add(2 * time.Hour)
	r := must(t)(launched(t, policy).Advance(run.Group{}, at))
	r = must(t)(r.Listed(1, nil, retryInputs, at))
	r = must(t)(r.Listed(1, nil, retryInputs, at.Add(run.LostAfter)))
	if r.State != run.Failed || r.Outcome.Class != run.ClassLost {
		t.Errorf("the run is %s: %v, want failed with lost: the task may have succeeded, so it must not run again", r.State, r.Outcome)
	}
}

func TestARunFailsAfterTheLongestWaitForALaunch(t *testing.T) {
	t.Parallel()
	quota := run.Outcome{Class: run.ClassQuota, Detail: "vCPU limit"}
	r := must(t)(launched(t, model.Policy{}).Refused(1, 1, quota, true, run.RetryInputs{}, t0))
	r = must(t)(r.Advance(run.Group{}, t0.Add(model.MaxWait+time.Second)))
	if r.State != run.Failed || r.Outcome.Class != run.ClassQuota {
		t.Errorf("the run is %s: %v, want failed with the last refusal", r.State, r.Outcome)
	}
}
