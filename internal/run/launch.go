package run

import (
	"slices"
	"time"

	"modeldispatch/internal/model"
)

// Step is what a launcher is to do with a run.
type Step int

const (
	Nothing Step = iota // it is not to be launched, or another launcher has it
	First               // build the request of a new attempt, store it, send it
	Again               // send the stored request again, byte for byte
	List                // ask ECS which tasks the attempt has: its token is too old to send
)

// Claim takes the run for a RunTask call, which is only made once the returned run is stored:
// from then on a task may exist. A call has a lease; no other is made while it may be answered.
func (r Run) Claim(now time.Time) (Run, Step) {
	switch {
	case r.Ready(now) && !now.Before(r.Turn):
		return r.newAttempt(now), First
	case r.State != Launching || now.Before(r.Lease) || now.Before(r.Turn):
		return r, Nothing
	case r.Cancel != nil || !now.Before(r.FirstCall.Add(TokenAge)):
		return r, List
	}
	r.Call++
	return r.call(now), Again
}

// Calls says that the run is to have RunTask called when it is its turn, as far as it is up to the run.
func (r Run) Calls(now time.Time) bool {
	again := r.State == Launching && r.Cancel == nil && !now.Before(r.Lease) && now.Before(r.FirstCall.Add(TokenAge))
	return again || r.Ready(now)
}

// Ready says that the run is to be launched in a new attempt.
func (r Run) Ready(now time.Time) bool {
	return r.State == Waiting && r.For == Queued && len(r.Strays) == 0 && !now.Before(r.Lease)
}

// call notes that RunTask is about to be called.
func (r Run) call(now time.Time) Run {
	r.LastCall, r.Lease, r.Due, r.Turn = now, now.Add(Lease), now.Add(Lease), time.Time{}
	if r.Policy.Timeout > 0 {
		r = r.wake(now.Add(r.Policy.Timeout), now)
	}
	return r
}

func (r Run) newAttempt(now time.Time) Run {
	r.State, r.For, r.Closed = Launching, "", false
	r.Attempt, r.Call = r.Attempt+1, 1
	r.FirstCall, r.Task, r.Cancel = now, Task{}, nil
	return r.call(now)
}

// Refused takes RunTask's answer that nothing was started. It counts only as the answer of the
// current call of the current attempt: a stale one may have been overtaken by a task. An answer that is
// not definite (a 5xx, or none at all) leaves the call its lease: ECS may still be at it.
func (r Run) Refused(attempt, call int, o Outcome, definite bool, p Plan, now time.Time) (Run, bool) {
	if r.State != Launching || r.Attempt != attempt || r.Call != call || r.Task.ARN != "" {
		return r, false
	}
	if definite {
		r.Lease = now // this call is answered, and no other is out
	}
	if o.Class.SameToken() {
		r.Spent.Refusals++
		r.Outcome = &o
		r.Due = later(now.Add(p.pause(slowDown, r.Spent.Refusals)), r.Lease)
		return r.wake(r.Due, now), true
	}
	return r.closeAttempt(o, p, now), true
}

// Listed takes ListTasks' answer for an attempt whose token cannot be sent any more: its tasks, at the time when it was asked.
// The list hides stopping tasks, so it is believed when it was empty twice, long enough apart.
func (r Run) Listed(attempt int, arns []string, p Plan, asked time.Time) (Run, bool) {
	switch {
	case r.State != Launching || r.Attempt != attempt:
		return r, false
	case len(arns) > 0:
		return r.Observed(attempt, Sighting{ARN: arns[0]}, p, asked)
	case r.Task.Missing.IsZero():
		r.Task.Missing, r.Due = asked, asked.Add(Patience)
		return r, true
	case asked.Before(r.Task.Missing.Add(Patience)):
		return r, false
	case r.Cancel != nil && r.Cancel.Class == Stopped:
		return r.closeAttempt(r.cancelled(), p, asked), true
	}
	// Over its timeout or not: nothing says how the task ended, and it may have succeeded.
	return r.closeAttempt(Outcome{Class: Lost, Detail: "ECS lists no task for the attempt, and its token is too old to be sent again"}, p, asked), true
}

// Plan is what decides the next attempt besides the run: a random
// number for the jitter, and which size is next.
type Plan struct {
	Jitter float64 // in [0, 1)
	Larger func(from model.Size, upTo int) (model.Size, bool)
}

// Range is the span of a backoff that doubles from Min to Max.
type Range struct{ Min, Max time.Duration }

// The backoffs of what the model is not to blame for.
var (
	slowDown = Range{2 * time.Second, time.Minute}     // throttled
	outage   = Range{5 * time.Second, 5 * time.Minute} // infrastructure
)

// pause is a backoff with full jitter, of which a quarter is kept as a minimum.
func (p Plan) pause(span Range, tries int) time.Duration {
	ceiling := min(span.Min<<min(max(tries-1, 0), 16), span.Max)
	return ceiling/4 + time.Duration(p.Jitter*float64(ceiling-ceiling/4))
}

// closeAttempt ends the current attempt and decides between another one and the end of the run.
func (r Run) closeAttempt(o Outcome, p Plan, now time.Time) Run {
	tried := r.Pass != ""
	r.Closed, r.Outcome, r.Pass = true, &o, ""
	if r.Task.ARN != "" && !o.Class.NoPlace() { // whose place is free now
		r = r.effect(Effect{Kind: Admit, Line: Gate(r.Capacities[r.Capacity]), Task: r.Task.ARN}, now)
	}
	if larger, ok := r.larger(o, p); ok {
		if r.Limit > 0 {
			r.Limit += larger.Memory - r.Task.Size.Memory
		}
		r.Size, r.Queued = larger, now
		return r.announce(AnnounceRetrying, now).retryAfter(0, now)
	}
	if end, ended := r.verdict(o, now); ended {
		return r.end(end, o, now)
	}
	wait := time.Duration(0)
	switch r.charge(o) {
	case free:
		return r.elsewhere(tried, now)
	case infrastructure:
		r.Spent.Infrastructure++
		wait = p.pause(outage, r.Spent.Infrastructure)
		r = r.afterInterruption(o)
	case attempts:
		r.Spent.Model++
		wait = r.modelPause(p)
	}
	r.Queued = now.Add(wait) // it was launched: from now on it waits for its launch anew
	return r.announce(AnnounceRetrying, now).retryAfter(wait, now)
}

// elsewhere has a run for which there was no place take the next of its capacities, and after the last of them wait
// at a gate. One that was let through the gate to try comes back to it without more ado.
func (r Run) elsewhere(tried bool, now time.Time) Run {
	r.Spent.Refusals++
	last := r.Capacities[r.Capacity]
	if r.Capacity++; r.Capacity < len(r.Capacities) {
		return r.announce(AnnounceRetrying, now).retryAfter(0, now)
	}
	r.Capacity = 0
	if tried {
		return r.hold(last, now)
	}
	return r.announce(AnnounceRetrying, now).hold(last, now).announceWaiting(now)
}

// verdict says whether the run ends with this outcome, and how.
func (r Run) verdict(o Outcome, now time.Time) (State, bool) {
	switch {
	case o.Class == OK:
		return Succeeded, true
	case o.Class == NothingToDo:
		return Skipped, true
	case r.Cancel != nil && r.Cancel.Class == Stopped, o.Class == Stopped:
		return Cancelled, true
	case o.Permanent, r.charge(o) == final,
		r.charge(o) == free && now.Sub(r.Queued) > model.MaxWait,
		o.Class == TimedOut && !r.Policy.Retry.TimedOut,
		o.Class == Lost && !r.Policy.Retry.Lost,
		r.charge(o) == infrastructure && r.Spent.Infrastructure+1 >= infrastructureBudget,
		r.charge(o) == attempts && r.Spent.Model+1 >= max(r.Policy.Retry.Attempts, 1):
		return Failed, true
	}
	return "", false
}

// larger is the next size of a task that ran out of memory. The ladder has an end, so climbing it
// is not charged to anything.
func (r Run) larger(o Outcome, p Plan) (model.Size, bool) {
	policy := r.Policy.Retry.OutOfMemory
	if o.Class != OutOfMemory || policy == nil || r.Task.Size.Memory == 0 || r.Cancel != nil && r.Cancel.Class == Stopped {
		return model.Size{}, false
	}
	return p.Larger(r.Task.Size, policy.UpTo)
}

// charge is who pays for another attempt after this outcome. An exit code that the model declares
// as retry is a failure of what is around it.
func (r Run) charge(o Outcome) charge {
	if o.Class == ModelError && o.ExitCode != nil && r.Policy.ExitCodes[*o.ExitCode] == model.VerdictRetry {
		return infrastructure
	}
	return charges[o.Class]
}

// afterInterruption turns to on-demand capacity after the second interruption, where the model allows it.
func (r Run) afterInterruption(o Outcome) Run {
	if o.Class != Interrupted {
		return r
	}
	r.Spent.Interruptions++
	if i := slices.Index(r.Capacities, model.OnDemand); i >= 0 && r.Spent.Interruptions >= 2 {
		r.Capacity = i
	}
	return r
}

func (r Run) modelPause(p Plan) time.Duration {
	if r.Policy.Retry.BackoffMin <= 0 {
		return 0
	}
	return p.pause(Range{r.Policy.Retry.BackoffMin, max(r.Policy.Retry.BackoffMax, r.Policy.Retry.BackoffMin)}, r.Spent.Model)
}

func (r Run) retryAfter(wait time.Duration, now time.Time) Run {
	r.Earliest = now.Add(wait)
	return r.backOff(now)
}

// backOff lets the run wait for its next attempt, which never starts before the lease of the last call ends.
func (r Run) backOff(now time.Time) Run {
	r.Due = later(r.Earliest, r.Lease)
	if !r.Due.After(now) {
		return r.queue(now)
	}
	r.State, r.For = Waiting, Backoff
	return r.wake(r.Due, now)
}
