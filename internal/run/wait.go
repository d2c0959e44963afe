package run

import (
	"fmt"
	"strings"
	"time"

	"modeldispatch/internal/model"
)

// Relook is after how long objects that were not there are looked for again. Their arrival wakes
// the run; this is for arrivals that nobody told of.
const Relook = 10 * time.Minute

// ObjectsTimeout is how long a run waits for objects where its model does not say.
const ObjectsTimeout = model.MaxWait

// stages are what a run waits for before its first launch, in their order.
var stages = []Wait{"", Debounce, Objects, Line, Queued}

// proceed takes the run to the next thing that it has to wait for; in the end it is queued.
func (r Run) proceed(now time.Time) Run {
	at := 0
	for stages[at] != r.For {
		at++
	}
	for at++; !r.needs(stages[at]); at++ {
	}
	r.For, r.Since = stages[at], now
	switch r.For {
	case Debounce:
		return r.debounced(now).announceWaiting(now)
	case Objects:
		r.Due = now
		return r.wake(now, now).announceWaiting(now)
	case Line:
		r.Due = now.Add(Resend)
		return r.effect(Effect{Kind: Admit, Line: r.Line}, now).announceWaiting(now)
	}
	return r.queue(now)
}

func (r Run) needs(w Wait) bool {
	switch w {
	case Debounce:
		return r.Policy.Debounce != nil
	case Objects:
		return r.Policy.WaitFor != nil
	case Line:
		return r.Line != ""
	}
	return true
}

// announceWaiting comes last of a run's effects: one that no longer waits when its turn comes is not announced.
func (r Run) announceWaiting(now time.Time) Run {
	r.Sequence++
	return r.effect(Effect{Kind: Announce, What: AnnounceWaiting, Attempt: r.Attempt, Reason: string(r.For), Sequence: r.Sequence}, now)
}

// debounced sets when the group is closed: when it has been quiet, at latest some time after it was opened.
func (r Run) debounced(now time.Time) Run {
	d := r.Policy.Debounce
	r.Due = now.Add(d.Quiet)
	if latest := r.Accepted.Add(d.AtMost); d.AtMost > 0 && latest.Before(r.Due) {
		r.Due = latest
	}
	return r.wake(r.Due, now)
}

// advanceWait does what is due for a run that has not been queued yet.
func (r Run) advanceWait(now time.Time) Run {
	switch r.For {
	case Debounce:
		return r.proceed(now)
	case Line:
		r.Due = now.Add(Resend)
		return r.effect(Effect{Kind: Admit, Line: r.Line}, now)
	}
	r.Due = now.Add(Relook) // for objects: whoever calls has looked, and told with Found
	return r
}

// Join takes one more event into a run that is debounced; its line is that of the newest event.
func (r Run) Join(line string, now time.Time) (Run, bool) {
	if r.State != Waiting || r.For != Debounce {
		return r, false
	}
	r.Joined++
	r.Line = line
	return r.debounced(now), true
}

// Stand gives a run that has no line one to stand in, as long as that comes after what it waits for.
func (r Run) Stand(line string) Run {
	if r.Line == "" && (r.For == Debounce || r.For == Objects) {
		r.Line = line
	}
	return r
}

// Found takes what was found of the objects that the run waits for: those that are missing.
func (r Run) Found(missing []string, now time.Time) (Run, bool) {
	switch {
	case r.State != Waiting || r.For != Objects:
		return r, false
	case len(missing) == 0:
		return r.proceed(now), true
	case !now.Before(r.Since.Add(r.objectsTimeout())):
		detail := fmt.Sprintf("not there within %s: %s", r.objectsTimeout(), strings.Join(missing, ", "))
		return r.end(Failed, Outcome{Class: InputsMissing, Detail: detail}, now), true
	}
	r.Due = now.Add(Relook)
	if end := r.Since.Add(r.objectsTimeout()); end.Before(r.Due) {
		r.Due = end
	}
	return r.wake(r.Due, now), true
}

func (r Run) objectsTimeout() time.Duration {
	if timeout := r.Policy.WaitFor.Timeout; timeout > 0 {
		return timeout
	}
	return ObjectsTimeout
}

// Grant gives the run a place in its line.
func (r Run) Grant(now time.Time) (Run, bool) {
	if r.State != Waiting || r.For != Line {
		return r, false
	}
	return r.proceed(now), true
}

// Skip ends a run whose line is taken, where its model does not want it to wait.
func (r Run) Skip(why string, now time.Time) (Run, bool) {
	if r.State != Waiting || r.For != Line {
		return r, false
	}
	return r.end(Skipped, Outcome{Class: Overlap, Detail: why}, now), true
}
