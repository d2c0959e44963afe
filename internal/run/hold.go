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

// BreakerName returns the name of the breaker of a capacity type. Effect.Waiters and Run.Breaker hold such names.
func BreakerName(c model.Capacity) string { return "breaker/" + string(c) }

// Reserve gives the run a reservation: the earliest time for its next RunTask call. The run is sent to the launch
// queue for that time. It returns false if the run needs no call.
func (r Run) Reserve(at, now time.Time) (Run, bool) {
	if !r.CanCall(now) {
		return r, false
	}
	r.Reservation, r.Due = at, at.Add(-MaxQueueDelay)
	if r.Due.After(now) {
		return r, true // too early for a delayed message: the sweep sends it then
	}
	r.Due = at.Add(RequeueAfter)
	return r.effect(Effect{Kind: Enqueue, At: at}, now), true
}

// DelayByLoopGuard delays the launch of a run by loopGuardDelay, because its model was launched too often in this clock
// hour. The delay does not count toward model.MaxWait. It returns false if the run cannot start an attempt.
func (r Run) DelayByLoopGuard(now time.Time) (Run, bool) {
	if !r.CanLaunch(now) {
		return r, false
	}
	r.ReadySince, r.Due = now, now.Add(loopGuardDelay)
	return r, true
}

// WaitAtBreaker makes the run wait at the open breaker of a capacity type. It returns false if the run cannot start an
// attempt.
func (r Run) WaitAtBreaker(c model.Capacity, now time.Time) (Run, bool) {
	if !r.CanLaunch(now) {
		return r, false
	}
	return r.waitAtBreaker(c, now).announceWaiting(now), true
}

// waitAtBreaker moves the run to ForCapacity. The Admit effect releases it again if the breaker has closed meanwhile.
func (r Run) waitAtBreaker(c model.Capacity, now time.Time) Run {
	r.State, r.WaitingFor, r.WaitingSince, r.Breaker, r.Reservation = Waiting, ForCapacity, now, BreakerName(c), time.Time{}
	r.Due = later(now.Add(RequeueAfter), r.Lease)
	return r.effect(Effect{Kind: Admit, Waiters: r.Breaker}, now)
}

// Release lets the run pass the breaker at which it waits. No breaker holds it again before its next attempt. It
// returns false if the run does not wait at a breaker.
func (r Run) Release(as BreakerRelease, now time.Time) (Run, bool) {
	if r.State != Waiting || r.WaitingFor != ForCapacity {
		return r, false
	}
	r.Released = as
	return r.enqueue(now), true
}
