package run

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"modeldispatch/internal/model"
)

// Effect is work outside the store. Each kind of work has a type. An effect is stored with the document that asks for
// it, carried out after the commit, and removed from the outbox when it is done. A crash can repeat it, so carrying it
// out twice must do no harm.
type Effect interface {
	// Kind returns the name of the type in stored documents, logs and metrics.
	Kind() EffectKind
}

// EffectKind names a type of effect.
type EffectKind string

// The kinds of effects, one for each type.
const (
	KindEnqueue           EffectKind = "enqueue"
	KindWake              EffectKind = "wake"
	KindStopTask          EffectKind = "stop-task"
	KindAdmit             EffectKind = "admit"
	KindCheckBreaker      EffectKind = "check-breaker"
	KindReplaceTask       EffectKind = "replace-task"
	KindConfirmProbe      EffectKind = "confirm-probe"
	KindStartDownstream   EffectKind = "start-downstream"
	KindAnnounceRun       EffectKind = "announce-run"
	KindAnnounceWait      EffectKind = "announce-wait"
	KindAnnounceRejection EffectKind = "announce-rejection"
	KindAnnouncePause     EffectKind = "announce-pause"
	KindAnnounceOverdue   EffectKind = "announce-overdue"
)

// decoders holds a function for each kind that decodes the stored form of an effect.
var decoders = map[EffectKind]func(json.RawMessage) (Effect, error){
	KindEnqueue:           decodeEffect[Enqueue],
	KindWake:              decodeEffect[Wake],
	KindStopTask:          decodeEffect[StopTask],
	KindAdmit:             decodeEffect[Admit],
	KindCheckBreaker:      decodeEffect[CheckBreaker],
	KindReplaceTask:       decodeEffect[ReplaceTask],
	KindConfirmProbe:      decodeEffect[ConfirmProbe],
	KindStartDownstream:   decodeEffect[StartDownstream],
	KindAnnounceRun:       decodeEffect[AnnounceRun],
	KindAnnounceWait:      decodeEffect[AnnounceWait],
	KindAnnounceRejection: decodeEffect[AnnounceRejection],
	KindAnnouncePause:     decodeEffect[AnnouncePause],
	KindAnnounceOverdue:   decodeEffect[AnnounceOverdue],
}

func decodeEffect[T Effect](text json.RawMessage) (Effect, error) {
	var e T
	err := json.Unmarshal(text, &e)
	return e, err
}

// EffectKinds returns all kinds of effects, sorted.
func EffectKinds() []EffectKind { return slices.Sorted(maps.Keys(decoders)) }

// Enqueue sends the run to the launch queue. A run asks for it when it is ready for a RunTask call, and when its lease
// ends without an answer.
type Enqueue struct {
	At time.Time `json:"at,omitzero"` // when the message is delivered; zero is now
}

// Wake sends a message to the wake queue; the sweep function then advances the run. A run asks for it for a timer that
// ends within MaxQueueDelay.
type Wake struct {
	At time.Time `json:"at,omitzero"` // when the message is delivered; zero is now
}

// StopTask tells ECS to stop a task. A run asks for it after its timeout or a cancellation, and for orphan tasks. Only
// the sweep function carries it out; a Wake effect comes with it.
type StopTask struct {
	Task   string    `json:"task"` // ARN
	Cause  StopCause `json:"cause"`
	Reason string    `json:"reason"` // for ECS, which shows it with the task
	At     time.Time `json:"at"`     // when the run asked for it
}

// StopCause tells why a run asks ECS to stop a task.
type StopCause string

const (
	// StopTimedOut means that the attempt is over its timeout.
	StopTimedOut StopCause = "timed-out"
	// StopCancelled means that a user cancelled the run, or a newer run replaced it.
	StopCancelled StopCause = "cancelled"
	// StopOrphan means that the task is not one of the current attempt.
	StopOrphan StopCause = "orphan"
)

// Admit grants the free slots of a concurrency group to its waiters. A run asks for it when it begins to wait for a
// slot and when it ends; the resume of a model asks for it too.
type Admit struct {
	Group Group `json:"group"`
}

// CheckBreaker releases the next waiter of a breaker if the breaker is closed. A run asks for it when it begins to wait
// there: the breaker may have closed meanwhile.
type CheckBreaker struct {
	Capacity model.Capacity `json:"capacity"`
}

// ReplaceTask releases the next waiter of a breaker as the replacement of a task that has ended, because ECS should have
// room for one more task of this capacity type. A run asks for it when its task has ended.
type ReplaceTask struct {
	Capacity model.Capacity `json:"capacity"`
	Task     string         `json:"task"` // ARN of the task that has ended
}

// ConfirmProbe releases the next waiters of a breaker as probes, because the task of a probe is RUNNING. The run of the
// probe asks for it.
type ConfirmProbe struct {
	Capacity model.Capacity `json:"capacity"`
	Task     string         `json:"task"` // ARN of the probe's task
}

// StartDownstream starts the models that run after this one. A run asks for it when it has succeeded.
type StartDownstream struct{}

// AnnounceRun emits an EventBridge event about the run. A run asks for it when it starts, retries and ends.
type AnnounceRun struct {
	DetailType string `json:"detailType"`
	Attempt    int    `json:"attempt,omitempty"` // number of the attempt that the announcement is about
	Sequence   int    `json:"sequence"`          // number of the announcement in its document, from 1
}

// AnnounceWait emits the EventBridge event DetailWaiting, unless the run does not wait any more. A run asks for it when
// it begins to wait.
type AnnounceWait struct {
	WaitingFor Wait `json:"waitingFor"`        // the wait that is announced
	Attempt    int  `json:"attempt,omitempty"` // number of the last attempt
	Sequence   int  `json:"sequence"`          // number of the announcement in its document, from 1
}

// AnnounceRejection emits an EventBridge event that an event was rejected. The record of the event asks for it.
type AnnounceRejection struct {
	Sequence int `json:"sequence"` // number of the announcement in its document, from 1
}

// AnnouncePause emits an EventBridge event that a model was paused or resumed. The control document of the model asks
// for it.
type AnnouncePause struct {
	Paused   bool `json:"paused"`   // false for a resume
	Sequence int  `json:"sequence"` // number of the announcement in its document, from 1
}

// AnnounceOverdue emits an EventBridge event that no run of a model has succeeded in time. The expectation of the model
// asks for it.
type AnnounceOverdue struct {
	ExpectedBy time.Time `json:"expectedBy"` // the deadline for a success
	Sequence   int       `json:"sequence"`   // number of the announcement in its document, from 1
}

// The detail types of announcements about a run.
const (
	DetailStarted   = "Model Run Started"
	DetailWaiting   = "Model Run Waiting"
	DetailRetrying  = "Model Run Retrying"
	DetailSucceeded = "Model Run Succeeded"
	DetailFailed    = "Model Run Failed"
	DetailCancelled = "Model Run Cancelled"
	DetailSkipped   = "Model Run Skipped"
)

// endAnnouncements maps each end state to the detail type of its announcement.
var endAnnouncements = map[State]string{
	Succeeded: DetailSucceeded, Failed: DetailFailed, Cancelled: DetailCancelled, Skipped: DetailSkipped,
}

// Kind implements Effect, here and below.
func (Enqueue) Kind() EffectKind           { return KindEnqueue }
func (Wake) Kind() EffectKind              { return KindWake }
func (StopTask) Kind() EffectKind          { return KindStopTask }
func (Admit) Kind() EffectKind             { return KindAdmit }
func (CheckBreaker) Kind() EffectKind      { return KindCheckBreaker }
func (ReplaceTask) Kind() EffectKind       { return KindReplaceTask }
func (ConfirmProbe) Kind() EffectKind      { return KindConfirmProbe }
func (StartDownstream) Kind() EffectKind   { return KindStartDownstream }
func (AnnounceRun) Kind() EffectKind       { return KindAnnounceRun }
func (AnnounceWait) Kind() EffectKind      { return KindAnnounceWait }
func (AnnounceRejection) Kind() EffectKind { return KindAnnounceRejection }
func (AnnouncePause) Kind() EffectKind     { return KindAnnouncePause }
func (AnnounceOverdue) Kind() EffectKind   { return KindAnnounceOverdue }
func (e Unknown) Kind() EffectKind         { return e.kind }

// Unknown holds an effect of a kind that this code does not know, because newer code has stored it. It keeps its stored
// form, and stays in the outbox until newer code carries it out.
type Unknown struct {
	kind EffectKind
	text json.RawMessage
}

// MarshalJSON returns the stored form of the effect.
func (e Unknown) MarshalJSON() ([]byte, error) {
	if len(e.text) == 0 {
		return []byte("null"), nil
	}
	return e.text, nil
}

// replaces reports whether an older effect of the same document need not be carried out, because the newer one is more
// up to date.
func replaces(newer, older Effect) bool {
	switch newer := newer.(type) {
	case Enqueue, Wake, StartDownstream:
		return older.Kind() == newer.Kind()
	case Admit, CheckBreaker, ReplaceTask, ConfirmProbe:
		return older == newer
	case StopTask:
		stop, same := older.(StopTask)
		return same && stop.Task == newer.Task
	}
	return false // an announcement replaces no other
}

// effectRetryAfter is the time after which an effect counts as lost and is carried out again.
const effectRetryAfter = time.Minute

// Pending is an effect in an outbox.
type Pending struct {
	ID     int // unique in its document
	Effect Effect
	Next   time.Time // when the sweep may carry it out
	Tries  int       // number of failed tries
}

// pendingJSON is the stored form of Pending.
type pendingJSON struct {
	ID     int             `json:"id"`
	Kind   EffectKind      `json:"kind"`
	Effect json.RawMessage `json:"effect,omitempty"`
	Next   time.Time       `json:"next"`
	Tries  int             `json:"tries,omitempty"`
}

// MarshalJSON returns the stored form of the effect, with its kind.
func (p Pending) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(p.Effect)
	if err != nil {
		return nil, err
	}
	return json.Marshal(pendingJSON{p.ID, p.Effect.Kind(), text, p.Next, p.Tries})
}

// UnmarshalJSON reads the stored form of an effect. A kind that this code does not know becomes Unknown.
func (p *Pending) UnmarshalJSON(text []byte) error {
	var stored pendingJSON
	if err := json.Unmarshal(text, &stored); err != nil {
		return err
	}
	*p = Pending{stored.ID, Unknown{stored.Kind, stored.Effect}, stored.Next, stored.Tries}
	decode, known := decoders[stored.Kind]
	if !known {
		return nil
	}
	var err error
	if p.Effect, err = decode(stored.Effect); err != nil {
		return fmt.Errorf("effect of kind %s: %w", stored.Kind, err)
	}
	return nil
}

// Outbox holds the effects of a document that are not done yet.
type Outbox struct {
	Effects []Pending `json:"effects,omitempty"`
	Last    int       `json:"last,omitempty"`    // ID of the newest effect so far, done or not
	Dropped []string  `json:"dropped,omitempty"` // effects that can never be done, each with its reason
}

// Add adds an effect with a new ID, which can replace an older one. A StopTask is overdue at once, so that the sweep
// carries it out.
func (o Outbox) Add(e Effect, now time.Time) Outbox {
	effects := slices.DeleteFunc(slices.Clone(o.Effects), func(old Pending) bool { return replaces(e, old.Effect) })
	added := Pending{ID: o.Last + 1, Effect: e, Next: now.Add(effectRetryAfter)}
	if e.Kind() == KindStopTask {
		added.Next = now
	}
	return Outbox{Effects: append(effects, added), Last: added.ID, Dropped: o.Dropped}
}

// Drop notes effects that can never be done, each as a text with its reason. Remove takes them out.
func (o Outbox) Drop(reasons ...string) Outbox {
	o.Dropped = append(slices.Clip(o.Dropped), reasons...)
	return o
}

// Remove takes the effects with the given IDs out of the outbox, because they are done.
func (o Outbox) Remove(done []int) Outbox {
	o.Effects = slices.DeleteFunc(slices.Clone(o.Effects), func(p Pending) bool { return slices.Contains(done, p.ID) })
	return o
}

// Postpone notes a failed try of the effects with the given IDs. They are next tried after 1, 2, 4, 8 and then always
// 16 minutes.
func (o Outbox) Postpone(failed []int, now time.Time) Outbox {
	o.Effects = slices.Clone(o.Effects)
	for i, p := range o.Effects {
		if slices.Contains(failed, p.ID) {
			o.Effects[i].Tries++
			o.Effects[i].Next = now.Add(effectRetryAfter << min(p.Tries, 4))
		}
	}
	return o
}

// Due returns the effects whose Next has come.
func (o Outbox) Due(now time.Time) []Pending {
	return slices.DeleteFunc(slices.Clone(o.Effects), func(p Pending) bool { return now.Before(p.Next) })
}

// Since returns the effects with a greater ID than the given one. A caller that has stored a document carries out the
// effects that it added. StopTask effects are not among them: only the sweep stops tasks, because the functions that
// accept events have no permission to call ECS.
func (o Outbox) Since(id int) []Pending {
	return slices.DeleteFunc(slices.Clone(o.Effects), func(p Pending) bool { return p.ID <= id || p.Effect.Kind() == KindStopTask })
}

// Next returns when the sweep must process the document: due, or the Next of an effect if that is earlier. A zero due
// stands for no time. The result is zero if there is no time at all.
func (o Outbox) Next(due time.Time) time.Time {
	for _, p := range o.Effects {
		if due.IsZero() || p.Next.Before(due) {
			due = p.Next
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
	return r.effect(AnnounceRun{DetailType: detailType, Attempt: r.Attempt, Sequence: r.Sequence}, now)
}

// stopTask adds the effect that stops a task, and a wake message so that the sweep function carries it out at once.
func (r Run) stopTask(arn string, cause StopCause, reason string, now time.Time) Run {
	return r.effect(StopTask{Task: arn, Cause: cause, Reason: reason, At: now}, now).wake(now, now)
}

// wake adds a wake message if the time is at most MaxQueueDelay away. Otherwise the sweep advances the run.
func (r Run) wake(at, now time.Time) Run {
	if at.After(now.Add(MaxQueueDelay)) {
		return r
	}
	return r.effect(Wake{At: at}, now)
}
