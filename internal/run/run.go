package run

import (
	"encoding/json"
	"slices"
	"time"

	"modeldispatch/internal/model"
)

// State is the position of a run in its life: waiting, launching, running, or one of four end states.
type State string

const (
	// Waiting means that no attempt is open; WaitingFor names the reason. A run enters by Accept, and after an attempt
	// that another one follows. It leaves by Claim, to launching. Stop, Skip, ObjectsChecked and Advance can end it.
	Waiting State = "waiting"
	// Launching means that RunTask may have been called, and no task is known yet. A run enters by Claim, before the
	// call. It leaves by Observed or Listed, to running, or further if the task has stopped already. It leaves by
	// Refused or Listed, to waiting or an end state.
	Launching State = "launching"
	// Running means that ECS has a task for the current attempt, in any status before STOPPED. A run enters by Observed
	// and Listed. It leaves by Observed (STOPPED) and ObservedMissing (the task is lost), to waiting or an end state.
	Running State = "running"
	// Succeeded is an end state: the model's container exited with 0, and every declared output exists. A run enters by
	// Observed.
	Succeeded State = "succeeded"
	// Failed is an end state: the last outcome is permanent, or its retry budget is used up. A run enters by any input
	// that closes an attempt, by Advance after model.MaxWait without a launch, and by ObjectsChecked after the wait-for
	// timeout.
	Failed State = "failed"
	// Cancelled is an end state: a user cancelled the run, a newer run replaced it, or its task was stopped from
	// outside. A waiting run enters by Stop, a launched run by the input that closes its attempt.
	Cancelled State = "cancelled"
	// Skipped is an end state: the run had nothing to do. A run enters by Observed if the policy maps the exit code to
	// skip, and by Skip if the concurrency group is full.
	Skipped State = "skipped"
)

// Ended reports whether the state is an end state. No input leads out of one.
func (s State) Ended() bool {
	return s == Succeeded || s == Failed || s == Cancelled || s == Skipped
}

// Wait names the event that a waiting run waits for. It is empty in every other state.
type Wait string

const (
	// ForDebounce means that more events may still join the run. A run enters by Accept if the policy has a debounce.
	// It leaves by Advance, to the next stage, when the debounce window closes.
	ForDebounce Wait = "debounce"
	// ForObjects means that the run waits for S3 objects. A run enters after ForDebounce if the policy has a wait-for.
	// It leaves by ObjectsChecked, to the next stage, or to failed after the wait-for timeout.
	ForObjects Wait = "objects"
	// ForSlot means that the run waits for a slot in its concurrency group. A run enters after ForObjects if it has a
	// group. It leaves by GrantSlot, to ForLaunch, and by Skip, to skipped.
	ForSlot Wait = "slot"
	// ForLaunch means that the launch function may claim the run, now or at its reservation. A run enters after the
	// other stages, after a backoff, and by Release. It leaves by Claim, to launching, and by WaitAtBreaker, to
	// ForCapacity.
	ForLaunch Wait = "launch"
	// ForCapacity means that the run waits at an open capacity breaker. A run enters by WaitAtBreaker. It also enters
	// after an attempt on the last of its capacity types, if ECS has no capacity or quota for the task. It leaves by
	// Release, to ForLaunch.
	ForCapacity Wait = "capacity"
	// ForBackoff means that the next attempt may not start yet. A run enters after an attempt. It leaves by Advance, to
	// ForLaunch, when the backoff has passed.
	ForBackoff Wait = "backoff"
)

// The times and counts of the launch protocol.
const (
	// Lease limits how long a RunTask call without an answer blocks the next call of its run.
	Lease = time.Minute
	// CallTimeout is the deadline of a RunTask call, counted from its claim. It is shorter than the lease, so a
	// delayed launcher sends nothing once another launcher can claim the run.
	CallTimeout = 30 * time.Second
	// MaxTokenAge limits how long the token of an attempt may be sent again after its first RunTask call. ECS forgets a
	// token an hour after its task has stopped; then the same token would start a second task
	// (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html).
	MaxTokenAge = 50 * time.Minute
	// SilentAfter is the time without an observation after which the sweep describes a task.
	SilentAfter = 5 * time.Minute
	// LostAfter is the minimum time between the first and the last answer of ECS that it does not know a task, or lists
	// none for an attempt, before the attempt counts as lost.
	LostAfter = 10 * time.Minute
	// RequeueAfter is the delay before a run that still waits for its launch is sent to the launch queue again.
	RequeueAfter = 30 * time.Minute
	// MaxQueueDelay is the longest delay of an SQS message (DelaySeconds is at most 900).
	MaxQueueDelay = 15 * time.Minute
	// loopGuardDelay is the delay of a launch that the loop guard holds back.
	loopGuardDelay = 10 * time.Minute
	// maxInfrastructureFailures is the infrastructure budget: a run fails with its tenth failure outside the model.
	maxInfrastructureFailures = 10
	// lostAfterMissing is the number of times in a row that ECS must report a task as missing before it counts as lost.
	lostAfterMissing = 3
)

// Group identifies a concurrency group: the runs of which a limited number may hold a slot at the same time. The zero
// Group is none.
type Group struct {
	Model  string `json:"model,omitempty"`  // the model that the group belongs to; empty for a pool
	Pool   string `json:"pool,omitempty"`   // the pool that the group belongs to
	Value  string `json:"value,omitempty"`  // hash of the run's values of `concurrency.per`
	Paused bool   `json:"paused,omitempty"` // where runs of a paused model wait that has no concurrency limit
}

// String returns the group for logs and errors: model/value, pool:name/value, or model/- for a paused model. No two
// groups have the same string.
func (g Group) String() string {
	switch {
	case g.Paused:
		return g.Model + "/-"
	case g.Pool != "":
		return "pool:" + g.Pool + "/" + g.Value
	}
	return g.Model + "/" + g.Value
}

// Run is the document of a run that changes with every input. Spec holds the part that does not change.
type Run struct {
	Schema       int          `json:"schema"`
	ID           string       `json:"id"`
	Model        string       `json:"model"`
	Trigger      string       `json:"trigger"`
	State        State        `json:"state"`
	WaitingFor   Wait         `json:"waitingFor,omitempty"`
	Policy       model.Policy `json:"policy"`
	Accepted     time.Time    `json:"accepted"`
	WaitingSince time.Time    `json:"waitingSince"` // start of the current or last stage, or wait at a breaker
	// ReadySince tells since when the run is ready for a launch: first, or again after an attempt. model.MaxWait counts
	// from here. Zero means that the run has not left its stages yet.
	ReadySince time.Time `json:"readySince,omitzero"`
	Due        time.Time `json:"due,omitzero"` // when Advance next has something to do
	Ended      time.Time `json:"ended,omitzero"`

	Capacities []model.Capacity `json:"capacities"` // capacity types for its tasks, in the order of preference

	Group            Group `json:"group,omitzero"`             // concurrency group, where it waits or holds a slot
	Joined           int   `json:"joined,omitempty"`           // number of events that joined its debounce window
	StartsDownstream bool  `json:"startsDownstream,omitempty"` // its success starts the models after it

	Attempt       int            `json:"attempt,omitempty"`       // number of the current or last attempt, from 1; 0 is none yet
	Closed        bool           `json:"closed,omitempty"`        // that attempt, or the whole run, has ended
	Call          int            `json:"call,omitempty"`          // number of RunTask calls in that attempt
	Lease         time.Time      `json:"lease,omitzero"`          // end of the lease of the last call
	FirstCall     time.Time      `json:"firstCall,omitzero"`      // first call of the attempt; the token's age counts from here
	LastCall      time.Time      `json:"lastCall,omitzero"`       // last call of the attempt; its timeout counts from here
	BackoffEnds   time.Time      `json:"backoffEnds,omitzero"`    // end of the last backoff; the lease may end later
	Definition    string         `json:"definition,omitempty"`    // ARN of the task definition revision, pinned by the first attempt
	AWSVPC        bool           `json:"awsvpc,omitempty"`        // the definition has networkMode awsvpc
	CapacityIndex int            `json:"capacityIndex,omitempty"` // index into Capacities
	Reservation   time.Time      `json:"reservation,omitzero"`    // time from the rate limiter for its RunTask call; zero is none
	Breaker       model.Capacity `json:"breaker,omitempty"`       // capacity type at whose breaker it waits, or waited last
	Released      BreakerRelease `json:"released,omitempty"`      // kind of the breaker's release, until the attempt uses it up
	// Size overrides the task's size after the run has run out of memory. Zero means that it has not.
	Size model.Size `json:"size,omitzero"`
	// ContainerMemoryMiB is the memory limit of the model's container, from the task definition. It grows together
	// with Size. 0 means that the definition sets none.
	ContainerMemoryMiB int `json:"containerMemoryMiB,omitempty"`

	Task         Task         `json:"task,omitzero"`
	StoppedTasks []string     `json:"stoppedTasks,omitempty"` // ARNs of tasks that have ended; later observations are outdated
	OrphanTasks  []string     `json:"orphanTasks,omitempty"`  // ARNs of live orphan tasks; they block the next launch
	StopRequest  *StopRequest `json:"stopRequest,omitempty"`  // request to stop the attempt or the run; nil is none
	RetriesUsed  RetriesUsed  `json:"retriesUsed,omitzero"`
	Outcome      *Outcome     `json:"outcome,omitempty"` // outcome of the last attempt; nil while there is none
	Outbox       Outbox       `json:"outbox,omitzero"`
	Sequence     int          `json:"sequence,omitempty"` // number of the last announcement
}

// Task holds the known facts about the task of the current attempt.
type Task struct {
	ARN          string     `json:"arn,omitempty"`    // "" while no task is known
	Status       string     `json:"status,omitempty"` // ECS's lastStatus
	Version      int64      `json:"version,omitempty"`
	Size         model.Size `json:"size,omitzero"` // as ECS reports it
	Started      time.Time  `json:"started,omitzero"`
	ObservedAt   time.Time  `json:"observedAt,omitzero"`    // time of the last observation
	MissingCount int        `json:"missingCount,omitempty"` // times in a row that ECS did not know the task
	MissingSince time.Time  `json:"missingSince,omitzero"`  // first time of these, or of an empty task list; zero is none
}

// StopRequest is a request to stop an attempt (class timed-out) or a run (class cancelled).
type StopRequest struct {
	Class  Class     `json:"class"` // cancelled or timed-out
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// RetriesUsed counts the retries that a run has used of each budget.
type RetriesUsed struct {
	Model          int `json:"model,omitempty"`          // retries of the model's own attempts
	Infrastructure int `json:"infrastructure,omitempty"` // retries of the infrastructure budget
	Interruptions  int `json:"interruptions,omitempty"`  // the infrastructure retries that followed an interruption
	Refusals       int `json:"refusals,omitempty"`       // refusals in a row; the backoff for throttling grows with them
}

// Spec is the document of the facts that a run was accepted with. It does not change, with one exception: while the
// run waits in its debounce window, each event that joins replaces Inputs, ExternalInputs, From, Task, Objects and
// Catalog with its own.
type Spec struct {
	Schema      int          `json:"schema"`
	Run         string       `json:"run"`
	Catalog     string       `json:"catalog"`               // version of the catalog
	Event       string       `json:"event"`                 // identity of the event that started the run
	Kind        model.Kind   `json:"kind"`                  // kind of the trigger
	Combination string       `json:"combination,omitempty"` // the for-each values, as model.Combination prints them
	Inputs      model.Inputs `json:"inputs,omitempty"`
	// ExternalInputs names the inputs whose values are too large for this document. For these, Inputs holds the S3 URI
	// of the value.
	ExternalInputs []string          `json:"externalInputs,omitempty"`
	From           map[string]string `json:"from,omitempty"` // the source of each input's value
	Task           model.Rendered    `json:"task"`
	Objects        []string          `json:"objects,omitempty"` // S3 URIs of the objects that the run waits for
}

// Attempt is the document of one launch of a run.
type Attempt struct {
	Schema    int             `json:"schema"`
	Number    int             `json:"number"`  // from 1
	Token     string          `json:"token"`   // the client token
	Request   json.RawMessage `json:"request"` // the whole RunTask request; every call of the attempt sends these bytes
	FirstCall time.Time       `json:"firstCall"`
	Task      string          `json:"task,omitempty"`    // ARN of its task
	Outcome   *Outcome        `json:"outcome,omitempty"` // nil while the attempt is open
	Started   time.Time       `json:"started,omitzero"`
	Ended     time.Time       `json:"ended,omitzero"`
}

// AcceptInput holds the arguments of Accept.
type AcceptInput struct {
	ID               string
	Model            model.Model
	Trigger          string
	Manual           bool  // a manual run, which is not debounced
	StartsDownstream bool  // the success of the run starts the models after it
	Group            Group // concurrency group; zero is none
}

// Accept returns the acceptance of a new run, which is in its first stage. The run keeps the model's policy of this
// moment.
func Accept(a AcceptInput, now time.Time) Transition {
	r := Run{
		Schema: model.Schema, ID: a.ID, Model: a.Model.Name, Trigger: a.Trigger, Policy: a.Model.Policy, Accepted: now,
		Capacities: a.Model.Capacities(), Group: a.Group, StartsDownstream: a.StartsDownstream, State: Waiting,
	}
	if a.Manual {
		r.Policy.Debounce = nil
	}
	return Run{}.to(r.nextStage(now), Accepted)
}

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
		return r.effect(Admit{r.Group}, now).announceWaiting(now)
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
		return r.Group != Group{}
	}
	return true
}

// enqueue moves the run to ForLaunch and sends it to the launch queue, delayed until its lease has ended.
func (r Run) enqueue(now time.Time) Run {
	if r.ReadySince.IsZero() {
		r.ReadySince = now
	}
	ready := later(now, r.Lease)
	r.State, r.WaitingFor, r.Due = Waiting, ForLaunch, ready.Add(RequeueAfter)
	return r.effect(Enqueue{At: ready}, now)
}

// Advance handles the timers of a run: the debounce window, the backoff, the timeout, the lease, model.MaxWait, and
// effects that must be asked for again. It ignores a call before the run's Due time, so the caller may call it at any
// time. It does not look at tasks or objects: the caller does, and reports them with Observed, ObservedMissing,
// OrphanEnded or ObjectsChecked. paused is the group in which a run without a group waits from now on, because its model
// is paused; zero if the model is not.
func (r Run) Advance(paused Group, now time.Time) Transition {
	switch {
	case r.State.Ended() || now.Before(r.Due):
		return r.ignored()
	case r.State == Waiting && len(r.OrphanTasks) > 0:
		return r.postponed(now.Add(Lease)) // the caller describes the orphan tasks until they have stopped
	case r.State == Waiting && r.ReadySince.IsZero():
		return r.advanceStage(paused, now)
	case r.State == Waiting && now.Sub(r.ReadySince) > model.MaxWait:
		return r.to(r.end(Failed, r.lastOutcome(), now), NeverLaunched)
	case r.WaitingFor == ForCapacity:
		next := r.effect(CheckBreaker{r.Breaker}, now)
		next.Due = now.Add(RequeueAfter)
		return r.to(next, Repeated)
	case r.WaitingFor == ForBackoff:
		return r.to(r.enqueue(now), BackoffEnded)
	case r.State == Waiting:
		return r.to(r.enqueue(now), Repeated)
	case r.timedOut(now):
		reason := "over its timeout of " + r.Policy.Timeout.String()
		return r.to(r.stop(StopRequest{Class: ClassTimedOut, Reason: reason, By: "timeout", At: now}, now), TimedOut)
	case r.State == Launching:
		next := r.effect(Enqueue{}, now)
		next.Due = now.Add(SilentAfter)
		return r.to(next, Repeated)
	}
	return r.ignored()
}

// postponed returns the transition that only changes the Due time of the run.
func (r Run) postponed(due time.Time) Transition {
	next := r
	next.Due = due
	return r.to(next, Postponed)
}

// lastOutcome returns the outcome of a run that fails because it was not launched in time: the outcome of its last
// attempt, or ClassUnknown if it has had none.
func (r Run) lastOutcome() Outcome {
	if r.Outcome != nil {
		return *r.Outcome
	}
	return Outcome{Class: ClassUnknown, Detail: "not launched within " + model.MaxWait.String()}
}

// timedOut reports whether the open attempt is over its timeout and no stop was requested yet.
func (r Run) timedOut(now time.Time) bool {
	return r.StopRequest == nil && r.Policy.Timeout > 0 && r.Attempt > 0 && !r.Closed && !now.Before(r.LastCall.Add(r.Policy.Timeout))
}

// Stop cancels the run. A waiting run ends at once. A launching run makes no further RunTask call, and the task of a
// running run is stopped; both end together with their attempt, and an attempt that succeeds in the meantime still
// counts. Stop ignores the request if the run has ended or is being cancelled already.
func (r Run) Stop(c StopRequest) Transition {
	switch {
	case r.State.Ended() || r.StopRequest != nil && r.StopRequest.Class == ClassCancelled:
		return r.ignored()
	case r.State == Waiting:
		next := r
		next.StopRequest = &c
		return r.to(next.end(Cancelled, Outcome{Class: c.Class, Detail: c.Reason}, c.At), StopRequested)
	}
	return r.to(r.stop(c, c.At), StopRequested)
}

// stop notes the request, and stops the task if one is known.
func (r Run) stop(c StopRequest, now time.Time) Run {
	r.StopRequest = &c
	if r.Task.ARN == "" {
		r.Due = later(r.Lease, now) // then the launcher lists the tasks of the attempt
		return r
	}
	cause := StopCancelled
	if c.Class == ClassTimedOut {
		cause = StopTimedOut
	}
	r.Due = now.Add(SilentAfter)
	return r.stopTask(r.Task.ARN, cause, c.Reason, now)
}

// end moves the run to an end state. It admits the next run of its concurrency group, starts the downstream models
// after a success, and announces the end.
func (r Run) end(s State, o Outcome, now time.Time) Run {
	r.State, r.WaitingFor, r.Due, r.Ended, r.Outcome, r.Closed = s, "", time.Time{}, now, &o, true
	if r.Group != (Group{}) {
		r = r.effect(Admit{r.Group}, now)
	}
	if s == Succeeded && r.StartsDownstream {
		r = r.effect(StartDownstream{}, now)
	}
	return r.announce(endAnnouncements[s], now)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// withClass lists the kinds of transitions that record an outcome or a refusal, even if the run does not end.
var withClass = []TransitionKind{CallThrottled, CallRefused, AttemptEnded}

// to returns the transition from this run to the next one.
func (r Run) to(next Run, kind TransitionKind) Transition {
	t := Transition{Run: next, Kind: kind, Effects: next.Outbox.Since(r.Outbox.Last)}
	t.Ended = next.State.Ended() && !r.State.Ended()
	if t.Ended || slices.Contains(withClass, kind) {
		t.Class = next.Outcome.Class
	}
	return t
}

// ignored returns the transition of an input that changes nothing.
func (r Run) ignored() Transition { return Transition{Run: r} }
