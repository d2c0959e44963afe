package run

import (
	"slices"
	"time"

	"modeldispatch/internal/model"
)

// TaskObservation holds facts about a task. They come from RunTask's answer, from an ECS Task State Change event, from
// DescribeTasks or from ListTasks.
type TaskObservation struct {
	ARN     string
	Status  string     // lastStatus; "" if only the ARN is known
	Running bool       // the status is RUNNING
	Version int64      // 0 if not known
	Started time.Time  // zero if not known
	Size    model.Size // size of the task; zero if not known
	Call    int        // number of the RunTask call that this answers; 0 if it answers none
	// Outcome is set if and only if the task is STOPPED. Its class is ClassSucceeded only if every declared output
	// exists.
	Outcome *Outcome
}

// Observed applies an observation of a task of the given attempt to the run, from any source and in any order. A
// STOPPED task counts whatever its version; other statuses are ordered by version. An unchanged status still counts
// after a silence: it shows that the task is alive. A live task that is not the one of the current attempt is an
// orphan: ECS is told to stop it, and no task is launched beside it.
func (r Run) Observed(attempt int, seen TaskObservation, retry RetryInputs, now time.Time) Transition {
	switch current := attempt == r.Attempt && !r.Closed; {
	case attempt > r.Attempt || r.Attempt == 0:
		return r.ignored()
	case slices.Contains(r.StoppedTasks, seen.ARN):
		return r.answeredLate(attempt, seen, now)
	case !current || r.Task.ARN != "" && r.Task.ARN != seen.ARN:
		return r.orphan(seen, now)
	case seen.Outcome != nil:
		next := r.recordObservation(seen, now)
		next.StoppedTasks = appended(next.StoppedTasks, seen.ARN)
		return r.to(next.closeAttempt(next.interpret(*seen.Outcome), retry, now), AttemptEnded)
	case r.State == Running && seen.Version != 0 && (seen.Version < r.Task.Version || seen.Version == r.Task.Version && now.Before(r.Due)):
		return r.ignored()
	}
	next := r.recordObservation(seen, now)
	if next.Released == ReleasedAsProbe && seen.Running { // only now it is certain that ECS had capacity
		next.Released = ""
		next = next.effect(ConfirmProbe{next.Breaker, seen.ARN}, now)
	}
	next.State, next.Due = Running, next.nextCheck(now)
	if r.State == Running {
		return r.to(next, TaskObserved)
	}
	next.RetriesUsed.Refusals = 0
	next = next.announce(DetailStarted, now)
	if next.StopRequest != nil {
		next = next.stop(*next.StopRequest, now)
	}
	return r.to(next, TaskStarted)
}

// answeredLate applies the answer of a RunTask call whose task has stopped already. It ends the lease of the call, so
// the next attempt need not wait for it.
func (r Run) answeredLate(attempt int, seen TaskObservation, now time.Time) Transition {
	if attempt != r.Attempt || seen.Call != r.Call || r.WaitingFor != ForBackoff || !now.Before(r.Lease) {
		return r.ignored()
	}
	next := r
	next.Lease = now
	return r.to(next.backOff(now), LeaseCut)
}

// recordObservation notes the observed facts about the task of the current attempt.
func (r Run) recordObservation(seen TaskObservation, now time.Time) Run {
	r.Task.ARN, r.Task.ObservedAt, r.Task.MissingCount, r.Task.MissingSince = seen.ARN, now, 0, time.Time{}
	if seen.Call == r.Call {
		r.Lease = now // ECS has answered the last call, and there is no other
	}
	r.Task.Version = max(r.Task.Version, seen.Version)
	if seen.Status != "" {
		r.Task.Status = seen.Status
	}
	if seen.Size.Memory > 0 {
		r.Task.Size = seen.Size
	}
	if !seen.Started.IsZero() {
		r.Task.Started = seen.Started
	}
	return r
}

// orphan applies an observation of a task that does not belong to the current attempt.
func (r Run) orphan(seen TaskObservation, now time.Time) Transition {
	if seen.Outcome != nil {
		return r.OrphanEnded(seen.ARN, now)
	}
	if slices.Contains(r.OrphanTasks, seen.ARN) {
		return r.ignored()
	}
	next := r
	next.OrphanTasks = appended(r.OrphanTasks, seen.ARN)
	return r.to(next.stopTask(seen.ARN, StopOrphan, "not a task of the current attempt", now), OrphanFound)
}

// interpret returns the outcome of a stopped task as it counts for this run. A task that this program stopped gets the
// class of the stop request, and an exit code gets the meaning that the policy gives it.
func (r Run) interpret(o Outcome) Outcome {
	if o.Class == ClassCancelled && r.StopRequest != nil {
		cancelled := r.cancelled()
		cancelled.ExitCode = o.ExitCode
		return cancelled
	}
	if o.Class != ClassModelError || o.ExitCode == nil {
		return o
	}
	switch r.Policy.ExitCodes[*o.ExitCode] {
	case model.ExitCodeSkip:
		o.Class = ClassNothingToDo
	case model.ExitCodeFail:
		o.Permanent = true
	}
	return o
}

// cancelled returns the outcome of an attempt that ended because of its stop request.
func (r Run) cancelled() Outcome {
	return Outcome{Class: r.StopRequest.Class, Detail: r.StopRequest.Reason}
}

// nextCheck returns when a running run is due: at its timeout, or when its task has been silent for SilentAfter.
func (r Run) nextCheck(now time.Time) time.Time {
	check := now.Add(SilentAfter)
	if r.Policy.Timeout > 0 && r.StopRequest == nil {
		if end := r.LastCall.Add(r.Policy.Timeout); end.Before(check) {
			return end
		}
	}
	return check
}

// ObservedMissing applies the answer that ECS does not know the task of the given attempt to the run. The task is lost
// after three such answers over at least LostAfter. asked is the time of the question: a delayed answer counts from
// then, and of two sweeps that ask at the same time only one counts.
func (r Run) ObservedMissing(attempt int, arn string, retry RetryInputs, asked time.Time) Transition {
	if r.State != Running || r.Attempt != attempt || r.Task.ARN != arn || asked.Before(r.Due) {
		return r.ignored()
	}
	next := r
	if next.Task.MissingSince.IsZero() {
		next.Task.MissingSince = asked
	}
	next.Task.MissingCount++
	if next.Task.MissingCount >= lostAfterMissing && !asked.Before(next.Task.MissingSince.Add(LostAfter)) {
		detail := "ECS no longer knows the task, and no event said how it ended"
		return r.to(next.closeAttempt(Outcome{Class: ClassLost, Detail: detail}, retry, asked), AttemptEnded)
	}
	next.Due = asked.Add(SilentAfter)
	return r.to(next, TaskMissing)
}

// OrphanEnded notes that an orphan task has stopped, or that ECS no longer knows it. After the last orphan, a run that
// is ready for its launch is sent to the launch queue.
func (r Run) OrphanEnded(arn string, now time.Time) Transition {
	if slices.Contains(r.StoppedTasks, arn) {
		return r.ignored()
	}
	next := r
	next.OrphanTasks = slices.DeleteFunc(slices.Clone(r.OrphanTasks), func(orphan string) bool { return orphan == arn })
	next.StoppedTasks = appended(r.StoppedTasks, arn)
	if len(r.OrphanTasks) > 0 && len(next.OrphanTasks) == 0 && r.WaitingFor == ForLaunch {
		next = next.enqueue(now)
	}
	return r.to(next, OrphanGone)
}

// appended returns a copy of the list with one more element.
func appended(list []string, one string) []string { return append(slices.Clip(list), one) }
