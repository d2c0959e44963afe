// Package run is the life of a run: a pure state machine. It knows no clock, no I/O and no SDK.
//
// A run is one call of a model with bound inputs. It waits, is launched in attempts of at most
// one task each, and ends. Every input of the machine is a method that takes the run as it was
// stored and returns it as it is to be stored, with what must be done about it as effects in its
// outbox: they are committed together, so what must be done outlives a crash. An input that
// comes late, twice or out of order changes nothing, and says so.
//
//	Accept ─► waiting: debounce → objects → line (each if the model says so)
//	            │                         │
//	          queued ◄──────── backoff ◄──┐
//	   Claim    ▼                         │
//	        launching ── Refused ─────────┤
//	   Observed ▼                         │
//	         running ── outcome ── again ─┘
//	                       └─► succeeded | failed | cancelled | skipped
package run

import (
	"encoding/json"
	"time"

	"modeldispatch/internal/model"
)

// State is where a run is in its life.
type State string

const (
	// Waiting: not launched; For says what for. In from Accept, and from launching and running
	// when it is to be tried again. Out by Claim to launching, by Cancel or Advance to an end.
	Waiting State = "waiting"
	// Launching: RunTask may have been called. In by Claim, before the call. Out by Observed to
	// running, by Refused to waiting or an end, by Listed when its task is lost.
	Launching State = "launching"
	// Running: its task is known. In by Observed. Out by Observed (STOPPED) or Missed (lost) to
	// waiting or an end.
	Running State = "running"
	// Succeeded: the container exited with 0 and left its outputs. An end.
	Succeeded State = "succeeded"
	// Failed: an outcome that is not tried again, or no longer. An end.
	Failed State = "failed"
	// Cancelled: stopped by hand or replaced. An end.
	Cancelled State = "cancelled"
	// Skipped: there was nothing to do: an exit code said so, or its line was taken. An end.
	Skipped State = "skipped"
)

// Ended says that the state is an end: no input leads out of it.
func (s State) Ended() bool {
	return s == Succeeded || s == Failed || s == Cancelled || s == Skipped
}

// Wait is what a waiting run waits for.
type Wait string

const (
	Debounce Wait = "debounce" // more events of its group
	Objects  Wait = "objects"  // S3 objects that are not there yet
	Line     Wait = "line"     // a place in its line
	Queued   Wait = "queued"   // the launch function: it is to be launched now, or when it is its turn
	Place    Wait = "place"    // a place in ECS, which has refused more tasks: capacity, or a quota
	Backoff  Wait = "backoff"  // the time of its next attempt
)

// The times of the protocol. Each stands for a failure that a simulation caught.
const (
	// Lease is how long the answer of a RunTask call may take; no other call is made before.
	Lease = time.Minute
	// CallTime is how long after its claim a RunTask call may still be on its way. It is shorter than
	// the lease: who was held up in between sends nothing any more.
	CallTime = 30 * time.Second
	// TokenAge is how long after its first call a token is still sent. ECS forgets it an hour
	// after the task has ended; then the same token would start a second task.
	TokenAge = 50 * time.Minute
	// Silence is after how long an unheard task is described.
	Silence = 5 * time.Minute
	// Patience is how long a task must be MISSING, or in no list, to be lost.
	Patience = 10 * time.Minute
	// Resend is after how long a queued run is sent to the launch queue again.
	Resend = 30 * time.Minute
	// Sendable is how far ahead a message can be sent (SQS delays at most 15 minutes).
	Sendable = 15 * time.Minute
	// infrastructureBudget is how many attempts of a run may fail for reasons outside the model.
	infrastructureBudget = 10
	// misses is how many times in a row a task must be MISSING to be lost.
	misses = 3
)

// Run is the document of a run that moves. What never changes is in its Spec.
type Run struct {
	Schema   int          `json:"schema"`
	ID       string       `json:"id"`
	Model    string       `json:"model"`
	Trigger  string       `json:"trigger"`
	State    State        `json:"state"`
	For      Wait         `json:"for,omitempty"`
	Policy   model.Policy `json:"policy"`
	Accepted time.Time    `json:"accepted"`
	Since    time.Time    `json:"since"`           // when it began to wait for what it waits for, or waited for last
	Queued   time.Time    `json:"queued,omitzero"` // was ready to be launched, first or after an attempt: the wait for a launch counts from here
	Due      time.Time    `json:"due,omitzero"`    // when Advance has something to do
	Ended    time.Time    `json:"ended,omitzero"`

	Capacities []model.Capacity `json:"capacities"` // where its tasks can run, in the order in which they are tried

	Line   string `json:"line,omitempty"`   // the line in which it waits or holds a place
	Joined int    `json:"joined,omitempty"` // events that joined it while it was debounced
	Alone  bool   `json:"alone,omitempty"`  // its success starts no other model

	Attempt    int       `json:"attempt,omitempty"`    // number of the current or last attempt
	Closed     bool      `json:"closed,omitempty"`     // that attempt has ended
	Call       int       `json:"call,omitempty"`       // RunTask calls of that attempt
	Lease      time.Time `json:"lease,omitzero"`       // until when its last call may be answered
	FirstCall  time.Time `json:"firstCall,omitzero"`   // the token's age counts from here
	LastCall   time.Time `json:"lastCall,omitzero"`    // the timeout counts from here
	Earliest   time.Time `json:"earliest,omitzero"`    // when its backoff ends, but for the lease
	Definition string    `json:"definition,omitempty"` // the revision, pinned by the first attempt
	AWSVPC     bool      `json:"awsvpc,omitempty"`     // its networkMode
	Capacity   int       `json:"capacity,omitempty"`   // index into Capacities
	Turn       time.Time `json:"turn,omitzero"`        // when it may call RunTask: its share of the pace
	Gate       string    `json:"gate,omitempty"`       // the closed gate at which it waits, or waited last
	Pass       Pass      `json:"pass,omitempty"`       // it was let through the gate
	// Size replaces the task's once it ran out of memory; Limit is the container's that goes with it.
	Size  model.Size `json:"size,omitzero"`
	Limit int        `json:"limit,omitempty"`

	Task     Task     `json:"task,omitzero"`
	Stopped  []string `json:"stopped,omitempty"` // tasks that were seen STOPPED: what comes late about them is old
	Strays   []string `json:"strays,omitempty"`  // live tasks of closed attempts: none is launched beside them
	Cancel   *Cancel  `json:"cancel,omitempty"`
	Spent    Spent    `json:"spent,omitzero"`
	Outcome  *Outcome `json:"outcome,omitempty"` // of the last attempt
	Outbox   Outbox   `json:"outbox,omitzero"`
	Sequence int      `json:"sequence,omitempty"` // of announcements
}

// Task is what is known of the current attempt's task.
type Task struct {
	ARN     string     `json:"arn,omitempty"`
	Status  string     `json:"status,omitempty"` // ECS's lastStatus
	Version int64      `json:"version,omitempty"`
	Size    model.Size `json:"size,omitzero"` // as ECS says
	Started time.Time  `json:"started,omitzero"`
	Heard   time.Time  `json:"heard,omitzero"` // when something was last heard of it
	Misses  int        `json:"misses,omitempty"`
	Missing time.Time  `json:"missing,omitzero"` // since when it was MISSING or in no list
}

// Cancel says that a run, or its attempt, is to be stopped.
type Cancel struct {
	Class Class     `json:"class"` // cancelled or timed-out
	Why   string    `json:"why"`
	By    string    `json:"by"`
	At    time.Time `json:"at"`
}

// Spent counts attempts by what they are charged to.
type Spent struct {
	Model          int `json:"model,omitempty"`
	Infrastructure int `json:"infrastructure,omitempty"`
	Interruptions  int `json:"interruptions,omitempty"`
	Refusals       int `json:"refusals,omitempty"` // in a row: their backoff grows
}

// Spec is what a run was accepted with. It does not change once the run waits for no more events to join it.
type Spec struct {
	Schema  int               `json:"schema"`
	Run     string            `json:"run"`
	Catalog string            `json:"catalog"` // version
	Event   string            `json:"event"`   // identity
	Kind    model.Kind        `json:"kind"`    // of the trigger
	Key     string            `json:"key,omitempty"`
	Inputs  model.Inputs      `json:"inputs,omitempty"`
	Large   []string          `json:"large,omitempty"` // inputs that are too large for here: they stand as the URIs of their files
	From    map[string]string `json:"from,omitempty"`  // where each input came from
	Task    model.Rendered    `json:"task"`
	Objects []string          `json:"objects,omitempty"` // that it waits for: URIs
}

// Attempt is the document of one launch of a run.
type Attempt struct {
	Schema    int             `json:"schema"`
	Number    int             `json:"number"`
	Token     string          `json:"token"`
	Request   json.RawMessage `json:"request"` // the whole RunTask request, as it was first sent
	FirstCall time.Time       `json:"firstCall"`
	Task      string          `json:"task,omitempty"`
	Outcome   *Outcome        `json:"outcome,omitempty"`
	Started   time.Time       `json:"started,omitzero"`
	Ended     time.Time       `json:"ended,omitzero"`
}

// Accepted is what a run is made of.
type Accepted struct {
	ID      string
	Model   model.Model
	Trigger string
	ByHand  bool   // it is not debounced
	Alone   bool   // its success starts no other model
	Line    string // "" is none
}

// Accept makes a run of an accepted event.
func Accept(a Accepted, now time.Time) Run {
	r := Run{
		Schema: model.Schema, ID: a.ID, Model: a.Model.Name, Trigger: a.Trigger, Policy: a.Model.Policy, Accepted: now,
		Capacities: a.Model.Capacities(), Line: a.Line, Alone: a.Alone, State: Waiting,
	}
	if a.ByHand {
		r.Policy.Debounce = nil
	}
	return r.proceed(now)
}

// queue makes the run ready to be launched, for the first time or again.
func (r Run) queue(now time.Time) Run {
	if r.Queued.IsZero() {
		r.Queued = now
	}
	ready := later(now, r.Lease)
	r.State, r.For, r.Due = Waiting, Queued, ready.Add(Resend)
	return r.effect(Effect{Kind: Enqueue, At: ready}, now)
}

// Advance does what is due. It does nothing early, so it may be called at any time.
func (r Run) Advance(now time.Time) (Run, bool) {
	switch {
	case r.State.Ended() || now.Before(r.Due):
		return r, false
	case r.State == Waiting && len(r.Strays) > 0:
		r.Due = now.Add(Lease) // described by the caller until they have stopped
		return r, true
	case r.State == Waiting && r.Queued.IsZero():
		return r.advanceWait(now), true
	case r.State == Waiting && now.Sub(r.Queued) > model.MaxWait:
		return r.end(Failed, r.lastOutcome(), now), true
	case r.For == Place:
		r.Due = now.Add(Resend)
		return r.effect(Effect{Kind: Admit, Line: r.Gate}, now), true
	case r.State == Waiting:
		return r.queue(now), true
	case r.overTime(now):
		return r.stop(Cancel{Class: TimedOut, Why: "over its timeout of " + r.Policy.Timeout.String(), By: "timeout", At: now}, now), true
	case r.State == Launching:
		r.Due = now.Add(Silence)
		return r.effect(Effect{Kind: Enqueue}, now), true
	}
	return r, false
}

func (r Run) lastOutcome() Outcome {
	if r.Outcome != nil {
		return *r.Outcome
	}
	return Outcome{Class: Unknown, Detail: "not launched within " + model.MaxWait.String()}
}

func (r Run) overTime(now time.Time) bool {
	return r.Cancel == nil && r.Policy.Timeout > 0 && r.Attempt > 0 && !r.Closed && !now.Before(r.LastCall.Add(r.Policy.Timeout))
}

// Stop asks for the end of the run. A waiting run ends at once; from launching nothing is called
// again; a running task is told to stop, and the run ends when it has.
func (r Run) Stop(c Cancel) (Run, bool) {
	switch {
	case r.State.Ended() || r.Cancel != nil && r.Cancel.Class == Stopped:
		return r, false
	case r.State == Waiting:
		r.Cancel = &c
		return r.end(Cancelled, Outcome{Class: c.Class, Detail: c.Why}, c.At), true
	default:
		return r.stop(c, c.At), true
	}
}

func (r Run) stop(c Cancel, now time.Time) Run {
	r.Cancel = &c
	if r.Task.ARN == "" {
		r.Due = later(r.Lease, now) // the listing finds the task, if there is one
		return r
	}
	r.Due = now.Add(Silence)
	return r.stopTask(r.Task.ARN, c.Why, now)
}

// end closes the run. Its place in the story is final: no input moves it again.
func (r Run) end(s State, o Outcome, now time.Time) Run {
	r.State, r.For, r.Due, r.Ended, r.Outcome, r.Closed = s, "", time.Time{}, now, &o, true
	if r.Line != "" {
		r = r.effect(Effect{Kind: Admit, Line: r.Line}, now)
	}
	if s == Succeeded && !r.Alone {
		r = r.effect(Effect{Kind: Downstream}, now)
	}
	return r.announce(ends[s], now)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
