package run

import (
	"time"

	"modeldispatch/internal/model"
)

// Pass is how a run came through a gate.
type Pass string

const (
	Replacement Pass = "replacement" // another task has ended
	Probe       Pass = "probe"       // to see whether there are places again
)

// Gate is the name of the gate of a capacity: where runs wait once ECS has refused tasks.
func Gate(c model.Capacity) string { return "gate/" + string(c) }

// Postpone gives the run the time when it may call RunTask: it is sent to the launch queue again for then.
func (r Run) Postpone(turn, now time.Time) (Run, bool) {
	if !r.Calls(now) {
		return r, false
	}
	r.Turn, r.Due = turn, turn.Add(-Sendable)
	if r.Due.After(now) {
		return r, true // the sweep comes by, and it is sent then
	}
	r.Due = turn.Add(Resend)
	return r.effect(Effect{Kind: Enqueue, At: turn}, now), true
}

// Brake has the run looked at again later, because its model was launched too often. It does not count
// as waiting for its launch.
func (r Run) Brake(now time.Time) (Run, bool) {
	if !r.Ready(now) {
		return r, false
	}
	r.Queued, r.Due = now, now.Add(Relook)
	return r, true
}

// Hold has the run wait at the gate of a capacity that is closed.
func (r Run) Hold(c model.Capacity, now time.Time) (Run, bool) {
	if !r.Ready(now) {
		return r, false
	}
	return r.hold(c, now).announceWaiting(now), true
}

func (r Run) hold(c model.Capacity, now time.Time) Run {
	r.State, r.For, r.Since, r.Gate, r.Turn = Waiting, Place, now, Gate(c), time.Time{}
	r.Due = later(now.Add(Resend), r.Lease)
	return r.effect(Effect{Kind: Admit, Line: r.Gate}, now)
}

// Through lets the run through the gate at which it waits: it takes no more part in the pace, and no
// gate stops it, until it has called RunTask.
func (r Run) Through(p Pass, now time.Time) (Run, bool) {
	if r.State != Waiting || r.For != Place {
		return r, false
	}
	r.Pass = p
	return r.queue(now), true
}
