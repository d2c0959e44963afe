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

// stages lists the stages before the first launch, in order. "" stands for a run that has just been accepted.
var stages = []Wait{"", ForDebounce, ForObjects, ForSlot, ForLaunch}

// nextStage moves the run to the next stage that it needs. The last stage is ForLaunch.
func (r Run) nextStage(now time.Time) Run {
	at := 0
	for stages[at] != r.WaitingFor {
		at++
	}
	for at++; !r.needsStage(stages[at]); at++ {
	}
	r.WaitingFor, r.WaitingSince = stages[at], now
	switch r.WaitingFor {
	case ForDebounce:
		return r.extendWindow(now).announceWaiting(now)
	case ForObjects:
		r.Due = now
		return r.wake(now, now).announceWaiting(now)
	case ForSlot:
		r.Due = now.Add(RequeueAfter)
		return r.effect(Effect{Kind: Admit, Waiters: r.Group}, now).announceWaiting(now)
	}
	return r.enqueue(now)
}

// needsStage reports whether the run has to go through a stage.
func (r Run) needsStage(w Wait) bool {
	switch w {
	case ForDebounce:
		return r.Policy.Debounce != nil
	case ForObjects:
		return r.Policy.WaitFor != nil
	case ForSlot:
		return r.Group != ""
	}
	return true
}

// announceWaiting adds the announcement that the run waits. The caller adds it last: if an earlier effect lets the run
// continue at once, the dispatcher leaves the outdated announcement out.
func (r Run) announceWaiting(now time.Time) Run {
	r.Sequence++
	return r.effect(Effect{
		Kind: Announce, DetailType: AnnounceWaiting, Attempt: r.Attempt, WaitingFor: r.WaitingFor, Sequence: r.Sequence,
	}, now)
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

// advanceWait handles the timers of a run in a stage before ForLaunch.
func (r Run) advanceWait(now time.Time) Run {
	switch r.WaitingFor {
	case ForDebounce:
		return r.nextStage(now)
	case ForSlot:
		r.Due = now.Add(RequeueAfter)
		return r.effect(Effect{Kind: Admit, Waiters: r.Group}, now)
	}
	r.Due = now.Add(ObjectPollInterval) // ForObjects: the caller looks for the objects and calls ObjectsChecked
	return r
}

// Join adds one more event to a run in its debounce window, and extends the window. The run moves to the concurrency
// group of the newest event. It returns false if the window has closed.
func (r Run) Join(group string, now time.Time) (Run, bool) {
	if r.State != Waiting || r.WaitingFor != ForDebounce {
		return r, false
	}
	r.Joined++
	r.Group = group
	return r.extendWindow(now), true
}

// AssignGroup puts a run without a concurrency group into one, if its slot stage is still to come. The runs of a
// paused model wait in such a group.
func (r Run) AssignGroup(group string) Run {
	if r.Group == "" && (r.WaitingFor == ForDebounce || r.WaitingFor == ForObjects) {
		r.Group = group
	}
	return r
}

// ObjectsChecked applies the result of a check of the objects that the run waits for. missing names the objects that do
// not exist, as text for users. The run fails if objects are missing after the wait-for timeout.
func (r Run) ObjectsChecked(missing []string, now time.Time) (Run, bool) {
	switch {
	case r.State != Waiting || r.WaitingFor != ForObjects:
		return r, false
	case len(missing) == 0:
		return r.nextStage(now), true
	case !now.Before(r.WaitingSince.Add(r.objectsTimeout())):
		detail := fmt.Sprintf("missing after a wait of %s: %s", r.objectsTimeout(), strings.Join(missing, ", "))
		return r.end(Failed, Outcome{Class: ClassInputsMissing, Detail: detail}, now), true
	}
	r.Due = now.Add(ObjectPollInterval)
	if end := r.WaitingSince.Add(r.objectsTimeout()); end.Before(r.Due) {
		r.Due = end
	}
	return r.wake(r.Due, now), true
}

// objectsTimeout returns the time that the run waits for objects.
func (r Run) objectsTimeout() time.Duration {
	if timeout := r.Policy.WaitFor.Timeout; timeout > 0 {
		return timeout
	}
	return DefaultObjectsTimeout
}

// GrantSlot gives the run a slot in its concurrency group. If the group has a limit, the caller adds the run to the
// holders of the group in the same commit. GrantSlot returns false if the run does not wait for a slot.
func (r Run) GrantSlot(now time.Time) (Run, bool) {
	if r.State != Waiting || r.WaitingFor != ForSlot {
		return r, false
	}
	return r.nextStage(now), true
}

// Skip ends a run that waits for a slot in a full concurrency group, because its policy has overlap: skip, or because
// it has overlap: replace and a newer run waits. It returns false if the run does not wait for a slot.
func (r Run) Skip(reason string, now time.Time) (Run, bool) {
	if r.State != Waiting || r.WaitingFor != ForSlot {
		return r, false
	}
	return r.end(Skipped, Outcome{Class: ClassOverlap, Detail: reason}, now), true
}
