package run

import (
	"slices"
	"time"

	"modeldispatch/internal/model"
)

// Sighting is what was seen of a task: RunTask's answer, a state-change event, a description, or
// a line of ListTasks.
type Sighting struct {
	ARN     string
	Status  string // lastStatus; "" where only its existence is known
	Version int64  // 0 where it is not known
	Started time.Time
	Size    model.Size // of the task; zero where it is not known
	// Call is the number of the RunTask call that this answers; 0 where it answers none.
	Call int
	// Outcome is set once the task is STOPPED. Its class is OK only if the outputs are there.
	Outcome *Outcome
}

// Observed takes a sighting of an attempt's task, from any call and in any order. A task that is
// STOPPED counts whatever its version; other states are ordered by it. A live task of an attempt
// that is closed is one that nobody knows: it is told to stop, and nothing is launched beside it.
// That a task is as it was is news once it has been silent.
func (r Run) Observed(attempt int, s Sighting, p Plan, now time.Time) (Run, bool) {
	switch current := attempt == r.Attempt && !r.Closed; {
	case attempt > r.Attempt || r.Attempt == 0:
		return r, false
	case slices.Contains(r.Stopped, s.ARN):
		return r.answered(attempt, s, now)
	case !current || r.Task.ARN != "" && r.Task.ARN != s.ARN:
		return r.stray(s, now)
	case s.Outcome != nil:
		r = r.saw(s, now)
		r.Stopped = with(r.Stopped, s.ARN)
		return r.closeAttempt(r.weigh(*s.Outcome), p, now), true
	case r.State == Running && s.Version != 0 && (s.Version < r.Task.Version || s.Version == r.Task.Version && now.Before(r.Due)):
		return r, false
	}
	first := r.State == Launching
	r = r.saw(s, now)
	if r.Pass == Probe && s.Status == "RUNNING" { // only now it is sure that there was a place
		r.Pass = ""
		r = r.effect(Effect{Kind: Admit, Line: r.Gate, Attempt: r.Attempt, Task: s.ARN}, now)
	}
	r.State, r.Due = Running, r.nextLook(now)
	if first {
		r.Spent.Refusals = 0
		r = r.announce(AnnounceStarted, now)
		if r.Cancel != nil {
			r = r.stop(*r.Cancel, now)
		}
	}
	return r, true
}

// answered takes the answer of a call whose task has stopped already: no lease is left to wait for.
func (r Run) answered(attempt int, s Sighting, now time.Time) (Run, bool) {
	if attempt != r.Attempt || s.Call != r.Call || r.For != Backoff || !now.Before(r.Lease) {
		return r, false
	}
	r.Lease = now
	return r.backOff(now), true
}

// saw notes what was seen of the current attempt's task.
func (r Run) saw(s Sighting, now time.Time) Run {
	r.Task.ARN, r.Task.Heard, r.Task.Misses, r.Task.Missing = s.ARN, now, 0, time.Time{}
	if s.Call == r.Call {
		r.Lease = now // that call is answered, and no other is out
	}
	r.Task.Version = max(r.Task.Version, s.Version)
	if s.Status != "" {
		r.Task.Status = s.Status
	}
	if s.Size.Memory > 0 {
		r.Task.Size = s.Size
	}
	if !s.Started.IsZero() {
		r.Task.Started = s.Started
	}
	return r
}

// stray takes a sighting of a task that is not the current attempt's.
func (r Run) stray(s Sighting, now time.Time) (Run, bool) {
	if s.Outcome != nil {
		return r.StrayGone(s.ARN, now)
	}
	if slices.Contains(r.Strays, s.ARN) {
		return r, false
	}
	r.Strays = with(r.Strays, s.ARN)
	return r.stopTask(s.ARN, "not a task of the current attempt", now), true
}

// weigh gives a stopped task's outcome its meaning for this run: what we stopped has the class
// of why, and exit codes mean what the model says.
func (r Run) weigh(o Outcome) Outcome {
	if o.Class == Stopped && r.Cancel != nil {
		cancelled := r.cancelled()
		cancelled.ExitCode = o.ExitCode
		return cancelled
	}
	if o.Class != ModelError || o.ExitCode == nil {
		return o
	}
	switch r.Policy.ExitCodes[*o.ExitCode] {
	case model.VerdictSkipped:
		o.Class = NothingToDo
	case model.VerdictFail:
		o.Permanent = true
	}
	return o
}

func (r Run) cancelled() Outcome {
	return Outcome{Class: r.Cancel.Class, Detail: r.Cancel.Why}
}

// nextLook is when the running task wants attention: at its timeout, or when it has been silent.
func (r Run) nextLook(now time.Time) time.Time {
	look := now.Add(Silence)
	if r.Policy.Timeout > 0 && r.Cancel == nil {
		if end := r.LastCall.Add(r.Policy.Timeout); end.Before(look) {
			return end
		}
	}
	return look
}

// Missed notes that ECS did not know the task when it was asked. It is lost when that was so three times over ten
// minutes: of two who ask at the same time one counts, and who was held up with the answer knows no more than then.
func (r Run) Missed(attempt int, arn string, p Plan, asked time.Time) (Run, bool) {
	if r.State != Running || r.Attempt != attempt || r.Task.ARN != arn || asked.Before(r.Due) {
		return r, false
	}
	if r.Task.Missing.IsZero() {
		r.Task.Missing = asked
	}
	r.Task.Misses++
	if r.Task.Misses >= misses && !asked.Before(r.Task.Missing.Add(Patience)) {
		detail := "ECS no longer knows the task, and no event said how it ended"
		return r.closeAttempt(Outcome{Class: Lost, Detail: detail}, p, asked), true
	}
	r.Due = asked.Add(Silence)
	return r, true
}

// StrayGone notes that a stray task has stopped, or that ECS no longer knows it. What it held up goes on.
func (r Run) StrayGone(arn string, now time.Time) (Run, bool) {
	if slices.Contains(r.Stopped, arn) {
		return r, false
	}
	held := len(r.Strays) > 0
	r.Strays = slices.DeleteFunc(slices.Clone(r.Strays), func(stray string) bool { return stray == arn })
	r.Stopped = with(r.Stopped, arn)
	if held && len(r.Strays) == 0 && r.For == Queued {
		return r.queue(now), true
	}
	return r, true
}

// with is the list and one more; the list itself stays as it is.
func with(list []string, one string) []string { return append(slices.Clip(list), one) }
