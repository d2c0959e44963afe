package run

import (
	"errors"
)

// Transition is the result of an input: the run to store, and the name of what happened to it. Callers switch on the
// kind. They need not compare the run with its state before.
type Transition struct {
	Run   Run
	Kind  TransitionKind
	Class Class // class of the outcome or refusal; empty unless the kind has one, or the run ended
	Ended bool  // the transition has ended the run; Run.State holds the end state
	// Effects holds the new effects of the run's outbox that the caller may carry out after it has stored the run. StopTask
	// is not among them: only the sweep stops tasks.
	Effects []Pending
}

// TransitionKind names what an input did to a run. The package comment has the table of kinds, with the states that each
// leads from and to.
type TransitionKind string

const (
	// Ignored means that the input changed nothing: it came late, twice or out of order. The caller stores nothing.
	Ignored TransitionKind = ""

	// Accepted means that the run exists, and has entered its first stage.
	Accepted TransitionKind = "accepted"
	// Joined means that one more event joined the run, and extended its debounce window.
	Joined TransitionKind = "joined"
	// WindowClosed means that the debounce window has closed, and the run has entered its next stage.
	WindowClosed TransitionKind = "window-closed"
	// ObjectsFound means that all objects of wait-for exist, and the run has entered its next stage.
	ObjectsFound TransitionKind = "objects-found"
	// ObjectsMissing means that an object of wait-for is missing. The run looks again, or has failed after the timeout.
	ObjectsMissing TransitionKind = "objects-missing"
	// SlotGranted means that the run holds a slot in its concurrency group, and waits for its launch.
	SlotGranted TransitionKind = "slot-granted"
	// GroupFull means that the run was skipped because its concurrency group is full.
	GroupFull TransitionKind = "group-full"

	// Reserved means that the rate limiter gave the run a later time for its RunTask call.
	Reserved TransitionKind = "reserved"
	// DelayedByLoopGuard means that the model was launched too often in this clock hour.
	DelayedByLoopGuard TransitionKind = "delayed-by-loop-guard"
	// StoppedAtBreaker means that the run waits at the open breaker of a capacity type.
	StoppedAtBreaker TransitionKind = "stopped-at-breaker"
	// Released means that a breaker let the run through to its launch.
	Released TransitionKind = "released"
	// BackoffEnded means that the backoff has passed, and the run waits for its launch.
	BackoffEnded TransitionKind = "backoff-ended"
	// LeaseCut means that a late answer ended the lease of a closed attempt, so the next attempt may start earlier.
	LeaseCut TransitionKind = "lease-cut"
	// NeverLaunched means that the run failed because it was not launched for model.MaxWait.
	NeverLaunched TransitionKind = "never-launched"

	// AttemptStarted means that a launcher has claimed the run for the first RunTask call of a new attempt.
	AttemptStarted TransitionKind = "attempt-started"
	// CallRepeated means that a launcher has claimed the run for one more RunTask call of its attempt.
	CallRepeated TransitionKind = "call-repeated"
	// CallThrottled means that the RunTask call was throttled or has no clear answer: it is repeated later.
	CallThrottled TransitionKind = "call-throttled"
	// CallRefused means that ECS refused the RunTask call, which closes the attempt.
	CallRefused TransitionKind = "call-refused"
	// NoTaskListed means that ECS lists no task for the attempt, for the first time.
	NoTaskListed TransitionKind = "no-task-listed"

	// TaskStarted means that ECS has a task for the attempt: the run is running.
	TaskStarted TransitionKind = "task-started"
	// TaskObserved means that ECS reported a status of the task before STOPPED.
	TaskObserved TransitionKind = "task-observed"
	// TaskMissing means that ECS does not know the task, but it does not count as lost yet.
	TaskMissing TransitionKind = "task-missing"
	// AttemptEnded means that the task has stopped or is lost, or that a cancelled attempt has none, which closes the
	// attempt. Another attempt follows, or the run has ended.
	AttemptEnded TransitionKind = "attempt-ended"
	// OrphanFound means that ECS has a live task that belongs to no open attempt. It is told to stop.
	OrphanFound TransitionKind = "orphan-found"
	// OrphanGone means that an orphan task has stopped, or ECS no longer knows it.
	OrphanGone TransitionKind = "orphan-gone"

	// TimedOut means that the attempt is over its timeout: its task is told to stop.
	TimedOut TransitionKind = "timed-out"
	// StopRequested means that a user cancelled the run, or a newer run replaced it. A run without an open attempt ends
	// at once; otherwise its task is told to stop.
	StopRequested TransitionKind = "stop-requested"

	// Repeated means that an effect was asked for again, because its result may be lost: the run is sent to the launch
	// queue, or its waiters are admitted.
	Repeated TransitionKind = "repeated"
	// Postponed means that only the time of the next look at the run has changed.
	Postponed TransitionKind = "postponed"
)

// ErrIgnored reports that a run ignored its input, so that nothing was stored. Mostly, another caller has changed the run
// meanwhile: it no longer waits, or its stop was requested already.
var ErrIgnored = errors.New("the run ignored the input")
