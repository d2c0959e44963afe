package run

import (
	"slices"
	"time"
)

// EffectKind names the work that an effect asks for.
type EffectKind string

const (
	// Enqueue sends the run to the launch queue, delayed until At. A run asks for it when it is ready for a RunTask
	// call, and when its lease ends without an answer.
	Enqueue EffectKind = "enqueue"
	// Wake sends a message to the wake queue, delayed until At; the sweep function then advances the run. A run asks
	// for it for a timer that ends within MaxQueueDelay.
	Wake EffectKind = "wake"
	// StopTask tells ECS to stop Task. A run asks for it after its timeout or a cancellation, and for orphan tasks.
	// Only the sweep function carries it out; a Wake effect comes with it.
	StopTask EffectKind = "stop"
	// Announce emits an EventBridge event with DetailType. A run asks for it when it starts, waits, retries and ends;
	// events that are rejected, models and expectations ask for it, too.
	Announce EffectKind = "announce"
	// Admit lets the next waiter of the concurrency group or capacity breaker named by Waiters continue, if it can. A run
	// asks for it when it begins to wait there, when its task ends, and when it ends itself.
	Admit EffectKind = "admit"
	// Downstream starts the models that run after this one. A run asks for it when it has succeeded.
	Downstream EffectKind = "downstream"
)

// effectRetryAfter is the time after which an effect counts as lost and is carried out again.
const effectRetryAfter = time.Minute

// Effect is work outside the store. It is stored with the document that asks for it, carried out after the commit, and
// removed from the outbox when it is done. A crash can repeat it, so carrying it out twice must do no harm.
type Effect struct {
	ID   int        `json:"id"` // unique in its document
	Kind EffectKind `json:"kind"`
	// Attempt is the attempt that an announcement is about; an announcement about a model has its sequence number
	// here. An Admit effect with an attempt reports a probe whose task is RUNNING.
	Attempt int `json:"attempt,omitempty"`
	// Task is the ARN of the task to stop. In an Admit effect for a breaker, it is the task that has ended, or the
	// task of the probe.
	Task       string    `json:"task,omitempty"`
	Reason     string    `json:"reason,omitempty"`     // reason of a StopTask, for ECS
	WaitingFor Wait      `json:"waitingFor,omitempty"` // in "Model Run Waiting": the wait that is announced
	ExpectedBy time.Time `json:"expectedBy,omitzero"`  // in "Model Run Overdue": the deadline for a successful run
	Waiters    string    `json:"waiters,omitempty"`    // in Admit: the name of the concurrency group or breaker
	// At is the delivery time of a Wake or Enqueue message; zero is now. In a StopTask, it is the time of the request.
	At         time.Time `json:"at,omitzero"`
	DetailType string    `json:"detailType,omitempty"` // detail type of an announcement
	Sequence   int       `json:"sequence,omitempty"`   // number of an announcement in its document, from 1
	Next       time.Time `json:"next"`                 // when the sweep may carry it out
	Tries      int       `json:"tries,omitempty"`      // number of failed tries
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

// endAnnouncements maps each end state to the detail type of its announcement.
var endAnnouncements = map[State]string{
	Succeeded: AnnounceSucceeded, Failed: AnnounceFailed, Cancelled: AnnounceCancelled, Skipped: AnnounceSkipped,
}

// Outbox holds the effects of a document that are not done yet.
type Outbox struct {
	Effects []Effect `json:"effects,omitempty"`
	Last    int      `json:"last,omitempty"`    // ID of the newest effect so far, done or not
	Dropped []string `json:"dropped,omitempty"` // effects that can never be done, each with its reason
}

// Add adds an effect with a new ID. It replaces an older effect of the same kind and target, because the newer one is
// more up to date. Announcements are never replaced. A StopTask is overdue at once, so that the sweep carries it out.
func (o Outbox) Add(e Effect, now time.Time) Outbox {
	effects := slices.DeleteFunc(slices.Clone(o.Effects), func(old Effect) bool {
		return old.Kind == e.Kind && old.Task == e.Task && old.Waiters == e.Waiters && e.Kind != Announce
	})
	e.ID, e.Next = o.Last+1, now.Add(effectRetryAfter)
	if e.Kind == StopTask {
		e.Next = now
	}
	return Outbox{Effects: append(effects, e), Last: e.ID, Dropped: o.Dropped}
}

// Drop notes effects that can never be done, each as a text with its reason. Remove takes them out.
func (o Outbox) Drop(reasons ...string) Outbox {
	o.Dropped = append(slices.Clip(o.Dropped), reasons...)
	return o
}

// Remove takes the effects with the given IDs out of the outbox, because they are done.
func (o Outbox) Remove(done []int) Outbox {
	o.Effects = slices.DeleteFunc(slices.Clone(o.Effects), func(e Effect) bool { return slices.Contains(done, e.ID) })
	return o
}

// Postpone notes a failed try of the effects with the given IDs. They are next tried after 1, 2, 4, 8 and then always
// 16 minutes.
func (o Outbox) Postpone(failed []int, now time.Time) Outbox {
	o.Effects = slices.Clone(o.Effects)
	for i, e := range o.Effects {
		if slices.Contains(failed, e.ID) {
			o.Effects[i].Tries++
			o.Effects[i].Next = now.Add(effectRetryAfter << min(e.Tries, 4))
		}
	}
	return o
}

// Due returns the effects whose Next has come.
func (o Outbox) Due(now time.Time) []Effect {
	return slices.DeleteFunc(slices.Clone(o.Effects), func(e Effect) bool { return now.Before(e.Next) })
}

// Since returns the effects with a greater ID than the given one. A caller that has stored a document carries out the
// effects that it added. StopTask effects are not among them: only the sweep stops tasks, because the functions that
// accept events have no permission to call ECS.
func (o Outbox) Since(id int) []Effect {
	return slices.DeleteFunc(slices.Clone(o.Effects), func(e Effect) bool { return e.ID <= id || e.Kind == StopTask })
}

// Next returns when the sweep must process the document: due, or the Next of an effect if that is earlier. A zero due
// stands for no time. The result is zero if there is no time at all.
func (o Outbox) Next(due time.Time) time.Time {
	for _, e := range o.Effects {
		if due.IsZero() || e.Next.Before(due) {
			due = e.Next
		}
	}
	return due
}

// effect adds an effect to the run's outbox.
func (r Run) effect(e Effect, now time.Time) Run {
	r.Outbox = r.Outbox.Add(e, now)
	return r
}

// announce adds an announcement about the current attempt.
func (r Run) announce(detailType string, now time.Time) Run {
	r.Sequence++
	return r.effect(Effect{Kind: Announce, DetailType: detailType, Attempt: r.Attempt, Sequence: r.Sequence}, now)
}

// stopTask adds the effect that stops a task, and a wake message so that the sweep function carries it out at once.
func (r Run) stopTask(arn, reason string, now time.Time) Run {
	return r.effect(Effect{Kind: StopTask, Task: arn, Reason: reason, At: now}, now).wake(now, now)
}

// wake adds a wake message if the time is at most MaxQueueDelay away. Otherwise the sweep advances the run.
func (r Run) wake(at, now time.Time) Run {
	if at.After(now.Add(MaxQueueDelay)) {
		return r
	}
	return r.effect(Effect{Kind: Wake, At: at}, now)
}
