package run

import (
	"slices"
	"time"
)

// EffectKind is something that is to be done outside the store.
type EffectKind string

const (
	Enqueue  EffectKind = "enqueue"  // send the run to the launch queue
	Wake     EffectKind = "wake"     // a delayed message that has the run advanced
	StopTask EffectKind = "stop"     // tell ECS to stop a task: left to the sweep, which is woken for it
	Announce EffectKind = "announce" // emit an EventBridge event
	Admit    EffectKind = "admit"    // let the next in a line go, if there is a place
	// Downstream starts the models that run after this one.
	Downstream EffectKind = "downstream"
)

// effectPatience is after how long an effect that was not struck out is done again.
const effectPatience = time.Minute

// Effect is something to be done, saved with the document that wants it, and struck out when it
// is done. Doing it twice must do no harm.
type Effect struct {
	ID       int        `json:"id"` // unique in its document
	Kind     EffectKind `json:"kind"`
	Attempt  int        `json:"attempt,omitempty"`
	Task     string     `json:"task,omitempty"`
	Reason   string     `json:"reason,omitempty"`
	Line     string     `json:"line,omitempty"`
	At       time.Time  `json:"at,omitzero"`        // when it is to be delivered: of a wake, or of a run sent to the launch queue for later; when a stop was wanted
	What     string     `json:"what,omitempty"`     // detail type of an announcement
	Sequence int        `json:"sequence,omitempty"` // of an announcement in its document
	Next     time.Time  `json:"next"`               // when it is tried again
	Tries    int        `json:"tries,omitempty"`
}

// The detail types of announcements about a run.
const (
	AnnounceStarted   = "Model Run Started"
	AnnounceWaiting   = "Model Run Waiting"
	AnnounceRetrying  = "Model Run Retrying"
	AnnounceSucceeded = "Model Run Succeeded"
	AnnounceFailed    = "Model Run Failed"
	AnnounceCancelled = "Model Run Cancelled"
	AnnounceSkipped   = "Model Run Skipped"
)

// ends are the announcements of the ends.
var ends = map[State]string{Succeeded: AnnounceSucceeded, Failed: AnnounceFailed, Cancelled: AnnounceCancelled, Skipped: AnnounceSkipped}

// Outbox holds the effects of a document that were not struck out yet.
type Outbox struct {
	Effects []Effect `json:"effects,omitempty"`
	Last    int      `json:"last,omitempty"`    // id of the newest effect there ever was
	Dropped []string `json:"dropped,omitempty"` // effects that could not be done, and never will: which, and why
}

// Add adds an effect. One of the same kind and target that still waits is replaced: the newer one
// knows more.
func (o Outbox) Add(e Effect, now time.Time) Outbox {
	effects := slices.DeleteFunc(slices.Clone(o.Effects), func(old Effect) bool {
		return old.Kind == e.Kind && old.Task == e.Task && old.Line == e.Line && e.Kind != Announce
	})
	e.ID, e.Next = o.Last+1, now.Add(effectPatience)
	if e.Kind == StopTask {
		e.Next = now
	}
	return Outbox{Effects: append(effects, e), Last: e.ID, Dropped: o.Dropped}
}

// Drop notes that effects will never be done, and why.
func (o Outbox) Drop(why ...string) Outbox {
	o.Dropped = append(slices.Clip(o.Dropped), why...)
	return o
}

// Strike takes effects that were done out of the outbox.
func (o Outbox) Strike(done []int) Outbox {
	o.Effects = slices.DeleteFunc(slices.Clone(o.Effects), func(e Effect) bool { return slices.Contains(done, e.ID) })
	return o
}

// Postpone notes that effects could not be done: they are tried again later, each time after longer.
func (o Outbox) Postpone(failed []int, now time.Time) Outbox {
	o.Effects = slices.Clone(o.Effects)
	for i, e := range o.Effects {
		if slices.Contains(failed, e.ID) {
			o.Effects[i].Tries++
			o.Effects[i].Next = now.Add(effectPatience << min(e.Tries, 4))
		}
	}
	return o
}

// Overdue are the effects that should have been done by now.
func (o Outbox) Overdue(now time.Time) []Effect {
	return slices.DeleteFunc(slices.Clone(o.Effects), func(e Effect) bool { return now.Before(e.Next) })
}

// Since are the effects that were added after the one with this id, for whoever added them to do. Tasks are stopped by
// the sweep alone: those who accept events may not call ECS.
func (o Outbox) Since(id int) []Effect {
	return slices.DeleteFunc(slices.Clone(o.Effects), func(e Effect) bool { return e.ID <= id || e.Kind == StopTask })
}

// Next is the earlier of due and the first effect's next time; a zero due is none.
func (o Outbox) Next(due time.Time) time.Time {
	for _, e := range o.Effects {
		if due.IsZero() || e.Next.Before(due) {
			due = e.Next
		}
	}
	return due
}

func (r Run) effect(e Effect, now time.Time) Run {
	r.Outbox = r.Outbox.Add(e, now)
	return r
}

func (r Run) announce(what string, now time.Time) Run {
	r.Sequence++
	return r.effect(Effect{Kind: Announce, What: what, Attempt: r.Attempt, Sequence: r.Sequence}, now)
}

// stopTask tells ECS to stop a task.
func (r Run) stopTask(arn, why string, now time.Time) Run {
	return r.effect(Effect{Kind: StopTask, Task: arn, Reason: why, At: now}, now).wake(now, now)
}

// wake asks for a wake message where the time is near enough to send one; else the sweep comes by.
func (r Run) wake(at, now time.Time) Run {
	if at.After(now.Add(Sendable)) {
		return r
	}
	return r.effect(Effect{Kind: Wake, At: at}, now)
}
