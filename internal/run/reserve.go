package run

import (
	"time"

	"modeldispatch/internal/model"
)

// BreakerRelease tells why a capacity breaker let a run through. It is empty for a run that no breaker has released.
// The release holds until the attempt that follows has ended, or until the task of a probe is RUNNING.
type BreakerRelease string

const (
	// ReleasedAsReplacement means that a task of the same capacity type has ended, so ECS should have room for one more.
	// The run is launched on the last of its capacity types, without a check of the breakers.
	ReleasedAsReplacement BreakerRelease = "replacement"
	// ReleasedAsProbe means that the run tests whether ECS accepts tasks again: the breaker is half-open, or was found
	// closed. Once the task of a probe is RUNNING, the breaker lets more probes through.
	ReleasedAsProbe BreakerRelease = "probe"
)

// Reserve gives the run a reservation: the earliest time for its next RunTask call. The run is sent to the launch
// queue for that time. Reserve is ignored if the run needs no call.
func (r Run) Reserve(at, now time.Time) Transition {
	if !r.CanCall(now) {
		return r.ignored()
	}
	next := r
	next.Reservation, next.Due = at, at.Add(-MaxQueueDelay)
	if next.Due.After(now) {
		return r.to(next, Reserved) // too early for a delayed message: the sweep sends it then
	}
	next.Due = at.Add(RequeueAfter)
	return r.to(next.effect(Enqueue{At: at}, now), Reserved)
}

// DelayByLoopGuard delays the launch of a run by loopGuardDelay, because its model was launched too often in this clock
// hour. The delay does not count toward model.MaxWait. It is ignored if the run cannot start an attempt.
func (r Run) DelayByLoopGuard(now time.Time) Transition {
	if !r.CanLaunch(now) {
		return r.ignored()
	}
	next := r
	next.ReadySince, next.Due = now, now.Add(loopGuardDelay)
	return r.to(next, DelayedByLoopGuard)
}

// WaitAtBreaker makes the run wait at the open breaker of a capacity type. It is ignored if the run cannot start an
// attempt.
func (r Run) WaitAtBreaker(c model.Capacity, now time.Time) Transition {
	if !r.CanLaunch(now) {
		return r.ignored()
	}
	return r.to(r.waitAtBreaker(c, now).announceWaiting(now), StoppedAtBreaker)
}

// waitAtBreaker moves the run to ForCapacity. The CheckBreaker effect releases it again if the breaker has closed
// meanwhile.
func (r Run) waitAtBreaker(c model.Capacity, now time.Time) Run {
	r.State, r.WaitingFor, r.WaitingSince, r.Breaker, r.Reservation = Waiting, ForCapacity, now, c, time.Time{}
	r.Due = later(now.Add(RequeueAfter), r.Lease)
	return r.effect(CheckBreaker{c}, now)
}

// Release lets the run pass the breaker at which it waits. No breaker stops it again before its next attempt. It is
// ignored if the run does not wait at a breaker.
func (r Run) Release(as BreakerRelease, now time.Time) Transition {
	if r.State != Waiting || r.WaitingFor != ForCapacity {
		return r.ignored()
	}
	next := r
	next.Released = as
	return r.to(next.enqueue(now), Released)
}
