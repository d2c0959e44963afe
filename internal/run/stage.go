package run

import (
	"fmt"
	"strings"
	"time"

	"modeldispatch/internal/model"
)

// ObjectPollInterval is the interval between two checks for missing objects. The arrival event of an object wakes the
// run at once; polling covers arrivals without an event.
const ObjectPollInterval = 10 * time.Minute

// DefaultObjectsTimeout is the time that a run waits for objects if its wait-for has no timeout.
const DefaultObjectsTimeout = model.MaxWait

// announceWaiting adds the announcement that the run waits. The caller adds it last: if an earlier effect lets the run
// continue at once, the dispatcher leaves the outdated announcement out.
func (r Run) announceWaiting(now time.Time) Run {
	r.Sequence++
	return r.effect(AnnounceWait{WaitingFor: r.WaitingFor, Attempt: r.Attempt, Sequence: r.Sequence}, now)
}

// extendWindow sets when the debounce window closes: after Quiet without an event, and at the latest MaxDelay after the
// run was accepted.
func (r Run) extendWindow(now time.Time) Run {
	d := r.Policy.Debounce
	r.Due = now.Add(d.Quiet)
	if latest := r.Accepted.Add(d.MaxDelay); d.MaxDelay > 0 && latest.Before(r.Due) {
		r.Due = latest
	}
	return r.wake(r.Due, now)
}

// advanceStage handles the timers of a run in a stage before ForLaunch.
func (r Run) advanceStage(paused Group, now time.Time) Transition {
	switch r.WaitingFor {
	case ForDebounce:
		return r.to(r.assign(paused).nextStage(now), WindowClosed)
	case ForSlot:
		next := r.effect(Admit{r.Group}, now)
		next.Due = now.Add(RequeueAfter)
		return r.to(next, Repeated)
	}
	return r.postponed(now.Add(ObjectPollInterval)) // ForObjects: the caller looks for the objects and calls ObjectsChecked
}

// assign puts a run without a concurrency group into the group of a paused model. The zero group changes nothing.
func (r Run) assign(paused Group) Run {
	if r.Group == (Group{}) {
		r.Group = paused
	}
	return r
}

// Join adds one more event to a run in its debounce window, and extends the window. The run moves to the concurrency
// group of the newest event. Join ignores the event if the window has closed.
func (r Run) Join(group Group, now time.Time) Transition {
	if r.State != Waiting || r.WaitingFor != ForDebounce {
		return r.ignored()
	}
	next := r
	next.Joined++
	next.Group = group
	return r.to(next.extendWindow(now), Joined)
}

// ObjectsChecked applies the result of a check of the objects that the run waits for. missing names the objects that do
// not exist, as text for users. The run fails if objects are missing after the wait-for timeout. paused is the group in
// which a run without a group waits from now on, because its model is paused; zero if the model is not.
func (r Run) ObjectsChecked(missing []string, paused Group, now time.Time) Transition {
	if r.State != Waiting || r.WaitingFor != ForObjects {
		return r.ignored()
	}
	next := r.assign(paused)
	timeout := r.WaitingSince.Add(r.objectsTimeout())
	switch {
	case len(missing) == 0:
		return r.to(next.nextStage(now), ObjectsFound)
	case !now.Before(timeout):
		detail := fmt.Sprintf("missing after a wait of %s: %s", r.objectsTimeout(), strings.Join(missing, ", "))
		return r.to(next.end(Failed, Outcome{Class: ClassInputsMissing, Detail: detail}, now), ObjectsMissing)
	}
	next.Due = now.Add(ObjectPollInterval)
	if timeout.Before(next.Due) {
		next.Due = timeout
	}
	return r.to(next.wake(next.Due, now), ObjectsMissing)
}

// objectsTimeout returns the time that the run waits for objects.
func (r Run) objectsTimeout() time.Duration {
	if timeout := r.Policy.WaitFor.Timeout; timeout > 0 {
		return timeout
	}
	return DefaultObjectsTimeout
}

// GrantSlot gives the run a slot in its concurrency group. If the group has a limit, the caller adds the run to the
// holders of the group in the same commit. GrantSlot is ignored if the run does not wait for a slot.
func (r Run) GrantSlot(now time.Time) Transition {
	if r.State != Waiting || r.WaitingFor != ForSlot {
		return r.ignored()
	}
	return r.to(r.nextStage(now), SlotGranted)
}

// Skip ends a run that waits for a slot in a full concurrency group, because its policy has overlap: skip, or because
// it has overlap: replace and a newer run waits. It is ignored if the run does not wait for a slot.
func (r Run) Skip(reason string, now time.Time) Transition {
	if r.State != Waiting || r.WaitingFor != ForSlot {
		return r.ignored()
	}
	return r.to(r.end(Skipped, Outcome{Class: ClassOverlap, Detail: reason}, now), GroupFull)
}
