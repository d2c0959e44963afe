package run

import (
	"slices"
	"time"

	"modeldispatch/internal/model"
)

// Claim claims the run for a RunTask call. The launcher must store the run before it calls: from then on a task may
// exist. The call has a lease, and Claim is ignored until the lease has ended. After AttemptStarted, the launcher builds
// the request of the new attempt, stores it with the run, and sends it. After CallRepeated, the last call was throttled
// or its lease ended without an answer: the launcher stores the run, and sends the stored request again, byte for byte.
// If Claim is ignored, MustList may ask for another step.
func (r Run) Claim(now time.Time) Transition {
	switch {
	case now.Before(r.Reservation):
	case r.CanLaunch(now):
		return r.to(r.newAttempt(now), AttemptStarted)
	case r.canRepeat(now):
		next := r
		next.Call++
		return r.to(next.call(now), CallRepeated)
	}
	return r.ignored()
}

// MustList reports whether the launcher must ask ECS which tasks the attempt has, and report them with Listed. The run
// makes no RunTask call any more, because its token is too old to be sent, or a stop was requested.
func (r Run) MustList(now time.Time) bool {
	return r.State == Launching && !now.Before(r.Lease) && !now.Before(r.Reservation) && !r.canRepeat(now)
}

// canRepeat reports whether the RunTask call of the open attempt may be repeated now, with the same token.
func (r Run) canRepeat(now time.Time) bool {
	return r.State == Launching && r.StopRequest == nil && !now.Before(r.Lease) && now.Before(r.FirstCall.Add(MaxTokenAge))
}

// CanCall reports whether the run needs a RunTask call now, for a new attempt or a repeated call. The rate limiter
// gives reservations to such runs.
func (r Run) CanCall(now time.Time) bool {
	return r.canRepeat(now) || r.CanLaunch(now)
}

// CanLaunch reports whether the run can start a new attempt now. Its reservation may still be later.
func (r Run) CanLaunch(now time.Time) bool {
	return r.State == Waiting && r.WaitingFor == ForLaunch && len(r.OrphanTasks) == 0 && !now.Before(r.Lease)
}

// call notes a RunTask call: its lease starts, and the timeout counts from now.
func (r Run) call(now time.Time) Run {
	r.LastCall, r.Lease, r.Due, r.Reservation = now, now.Add(Lease), now.Add(Lease), time.Time{}
	if r.Policy.Timeout > 0 {
		r = r.wake(now.Add(r.Policy.Timeout), now)
	}
	return r
}

func (r Run) newAttempt(now time.Time) Run {
	r.State, r.WaitingFor, r.Closed = Launching, "", false
	r.Attempt, r.Call = r.Attempt+1, 1
	r.FirstCall, r.Task, r.StopRequest = now, Task{}, nil
	return r.call(now)
}

// Refused records that RunTask returned no task. A refusal counts only for the current call of the current attempt,
// because an outdated refusal may have been overtaken by a task. A refusal that is not definite (a 5xx, or no answer)
// leaves the call its lease, because ECS may still start a task.
func (r Run) Refused(attempt, call int, o Outcome, definite bool, retry RetryInputs, now time.Time) Transition {
	if r.State != Launching || r.Attempt != attempt || r.Call != call || r.Task.ARN != "" {
		return r.ignored()
	}
	next := r
	if definite {
		next.Lease = now // ECS has answered the call, and there is no other
	}
	if !o.Class.KeepsToken() {
		return r.to(next.closeAttempt(o, retry, now), CallRefused)
	}
	next.RetriesUsed.Refusals++
	next.Outcome = &o
	next.Due = later(now.Add(retry.backoff(throttledBackoff, next.RetriesUsed.Refusals)), next.Lease)
	return r.to(next.wake(next.Due, now), CallThrottled)
}

// Listed applies the answer of ListTasks to the run, for an attempt that makes no more RunTask calls; see MustList.
// asked is the time of the question. The list does not show stopping tasks, so an attempt without a task is lost only
// after two empty lists that are at least LostAfter apart.
func (r Run) Listed(attempt int, arns []string, retry RetryInputs, asked time.Time) Transition {
	switch {
	case r.State != Launching || r.Attempt != attempt:
		return r.ignored()
	case len(arns) > 0:
		return r.Observed(attempt, TaskObservation{ARN: arns[0]}, retry, asked)
	case r.Task.MissingSince.IsZero():
		next := r
		next.Task.MissingSince, next.Due = asked, asked.Add(LostAfter)
		return r.to(next, NoTaskListed)
	case asked.Before(r.Task.MissingSince.Add(LostAfter)):
		return r.ignored()
	case r.StopRequest != nil && r.StopRequest.Class == ClassCancelled:
		return r.to(r.closeAttempt(r.cancelled(), retry, asked), AttemptEnded)
	}
	// After a timeout, too, the attempt is lost and not timed out: its task may have succeeded.
	detail := "ECS lists no task for the attempt, and its token is too old to be sent again"
	return r.to(r.closeAttempt(Outcome{Class: ClassLost, Detail: detail}, retry, asked), AttemptEnded)
}

// OpensBreaker reports whether ECS had no capacity or quota for the task, so that the breaker of its capacity type
// opens.
func (c Class) OpensBreaker() bool { return c == ClassCapacity || c == ClassQuota }

// KeepsToken reports whether RunTask must be called again with the same token after a refusal of this class, because
// ECS may have started a task all the same.
func (c Class) KeepsToken() bool { return c == ClassThrottled }

// RetryInputs holds the facts outside the run that the decision about its next attempt needs.
type RetryInputs struct {
	Jitter float64 // a random number in [0, 1)
	// NextSize returns the next larger size of a task, of at most maxMemory MiB. It reports false if there is none.
	NextSize func(from model.Size, maxMemory int) (model.Size, bool)
}

// BackoffRange holds the limits of a backoff, which doubles from Min to Max.
type BackoffRange struct{ Min, Max time.Duration }

// The backoffs after failures outside the model.
var (
	throttledBackoff      = BackoffRange{2 * time.Second, time.Minute}
	infrastructureBackoff = BackoffRange{5 * time.Second, 5 * time.Minute}
)

// backoff returns the delay before the given retry, from 1. The ceiling doubles with each retry; the delay is random
// between a quarter of the ceiling and the whole.
func (in RetryInputs) backoff(span BackoffRange, tries int) time.Duration {
	ceiling := min(span.Min<<min(max(tries-1, 0), 16), span.Max)
	return ceiling/4 + time.Duration(in.Jitter*float64(ceiling-ceiling/4))
}

// closeAttempt ends the current attempt, and decides between another attempt and the end of the run.
func (r Run) closeAttempt(o Outcome, retry RetryInputs, now time.Time) Run {
	released := r.Released != ""
	r.Closed, r.Outcome, r.Released = true, &o, ""
	if o.Class == ClassSucceeded {
		return r.replaceTask(now).end(Succeeded, o, now)
	}
	if !o.Class.OpensBreaker() {
		r = r.replaceTask(now)
	}
	if larger, ok := r.largerSize(o, retry); ok {
		if r.ContainerMemoryMiB > 0 {
			r.ContainerMemoryMiB += larger.Memory - r.Task.Size.Memory
		}
		r.Size, r.ReadySince = larger, now
		return r.announce(DetailRetrying, now).retryAfter(0, now)
	}
	if end, ended := r.endState(o, now); ended {
		return r.end(end, o, now)
	}
	wait := time.Duration(0)
	switch r.budgetFor(o) {
	case budgetNone:
		return r.tryNextCapacity(released, now)
	case budgetInfrastructure:
		r.RetriesUsed.Infrastructure++
		wait = retry.backoff(infrastructureBackoff, r.RetriesUsed.Infrastructure)
		r = r.afterInterruption(o)
	case budgetModel:
		r.RetriesUsed.Model++
		wait = r.modelBackoff(retry)
	}
	r.ReadySince = now.Add(wait) // model.MaxWait starts again with each attempt that used a budget
	return r.announce(DetailRetrying, now).retryAfter(wait, now)
}

// replaceTask asks for a replacement of the attempt's task, if it had one: the task ran, so ECS has room for another one.
func (r Run) replaceTask(now time.Time) Run {
	if r.Task.ARN == "" {
		return r
	}
	return r.effect(ReplaceTask{r.Capacities[r.CapacityIndex], r.Task.ARN}, now)
}

// tryNextCapacity moves the run on after ECS had no capacity or quota for its task: to the next of its capacity types
// (such as on-demand after spot), or after the last one to the breaker. A run that the breaker had released returns to
// it without another announcement.
func (r Run) tryNextCapacity(released bool, now time.Time) Run {
	r.RetriesUsed.Refusals++
	last := r.Capacities[r.CapacityIndex]
	if r.CapacityIndex++; r.CapacityIndex < len(r.Capacities) {
		return r.announce(DetailRetrying, now).retryAfter(0, now)
	}
	r.CapacityIndex = 0
	if released {
		return r.waitAtBreaker(last, now)
	}
	return r.announce(DetailRetrying, now).waitAtBreaker(last, now).announceWaiting(now)
}

// endState returns the end state of a run that ends with this outcome, which is not a success. It reports false if
// another attempt follows.
func (r Run) endState(o Outcome, now time.Time) (State, bool) {
	switch {
	case o.Class == ClassNothingToDo:
		return Skipped, true
	case r.StopRequest != nil && r.StopRequest.Class == ClassCancelled, o.Class == ClassCancelled:
		return Cancelled, true
	case o.Permanent, r.budgetFor(o) == budgetFinal,
		r.budgetFor(o) == budgetNone && now.Sub(r.ReadySince) > model.MaxWait,
		o.Class == ClassTimedOut && !r.Policy.Retry.TimedOut,
		o.Class == ClassLost && !r.Policy.Retry.Lost,
		r.budgetFor(o) == budgetInfrastructure && r.RetriesUsed.Infrastructure+1 >= maxInfrastructureFailures,
		r.budgetFor(o) == budgetModel && r.RetriesUsed.Model+1 >= max(r.Policy.Retry.Attempts, 1):
		return Failed, true
	}
	return "", false
}

// largerSize returns the size for the next attempt after a task ran out of memory. It reports false if the policy
// allows no larger size. Such an attempt uses no retry budget: there are only so many sizes.
func (r Run) largerSize(o Outcome, retry RetryInputs) (model.Size, bool) {
	policy := r.Policy.Retry.OutOfMemory
	isCancelled := r.StopRequest != nil && r.StopRequest.Class == ClassCancelled
	if o.Class != ClassOutOfMemory || policy == nil || r.Task.Size.Memory == 0 || isCancelled {
		return model.Size{}, false
	}
	return retry.NextSize(r.Task.Size, policy.MaxMemory)
}

// budgetFor returns the retry budget that this outcome uses. An exit code that the policy maps to retry counts as a
// failure of the infrastructure.
func (r Run) budgetFor(o Outcome) budget {
	if o.Class == ClassModelError && o.ExitCode != nil && r.Policy.ExitCodes[*o.ExitCode] == model.ExitCodeRetry {
		return budgetInfrastructure
	}
	return budgets[o.Class]
}

// afterInterruption counts an interruption. After the second one, the run moves to on-demand capacity if its model
// allows that.
func (r Run) afterInterruption(o Outcome) Run {
	if o.Class != ClassInterrupted {
		return r
	}
	r.RetriesUsed.Interruptions++
	if i := slices.Index(r.Capacities, model.OnDemand); i >= 0 && r.RetriesUsed.Interruptions >= 2 {
		r.CapacityIndex = i
	}
	return r
}

// modelBackoff returns the delay before a retry of the model's own attempts; 0 if the policy has no backoff.
func (r Run) modelBackoff(retry RetryInputs) time.Duration {
	policy := r.Policy.Retry
	if policy.BackoffMin <= 0 {
		return 0
	}
	return retry.backoff(BackoffRange{policy.BackoffMin, max(policy.BackoffMax, policy.BackoffMin)}, r.RetriesUsed.Model)
}

// retryAfter starts a backoff of the given length.
func (r Run) retryAfter(wait time.Duration, now time.Time) Run {
	r.BackoffEnds = now.Add(wait)
	return r.backOff(now)
}

// backOff moves the run to ForBackoff, or to ForLaunch if the backoff has passed. The next attempt never starts before
// the lease of the last call has ended.
func (r Run) backOff(now time.Time) Run {
	r.Due = later(r.BackoffEnds, r.Lease)
	if !r.Due.After(now) {
		return r.enqueue(now)
	}
	r.State, r.WaitingFor = Waiting, ForBackoff
	return r.wake(r.Due, now)
}
