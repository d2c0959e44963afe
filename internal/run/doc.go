// Package run decides what happens next to a run. It is a pure state machine: it reads no clock, does no I/O and
// imports only the standard library and package model. The caller passes the time and a random number in.
//
// # Place in the flow
//
//	event -> binding -> run -> launch -> task -> outcome -> announcement
//
// Package route binds an event to the inputs of a model. Accept makes a run from that binding. From then on, package
// dispatch reads the stored run, passes it one input, stores the run that the input returns, and carries out the
// effects that the input added to the run's outbox. An input is a method of Run (not to be confused with model.Input, a
// parameter of a model). It returns the next Run, and reports whether anything changed; Claim returns the step that
// the launcher must take instead. Package fargate translates the answers of ECS into an Outcome.
//
// The state is in three kinds of documents: one Run, which changes with every input; one Spec, which holds the
// bound inputs and the rendered task; and one Attempt for each launch. Package dispatch owns their keys.
//
// # Terms
//
//   - A run is one execution of a model with bound inputs. It waits, is launched in attempts, and ends once.
//   - An attempt is one launch: one client token, one stored RunTask request, and at most one ECS task. Repeated
//     RunTask calls with the same token start no second task.
//   - A stage is one thing that a run waits for before its first launch: its debounce window, its objects, its slot.
//     A run is ready when no stage is left.
//   - A claim (Claim) gives the next RunTask call of a run to one launcher. The call has a lease of one minute: until
//     the lease ends, or a clear answer ends it, the run makes no other call.
//   - A token is sent again for 50 minutes after the first call of its attempt (MaxTokenAge). After that, ListTasks
//     decides whether the attempt has a task.
//   - A task observation (TaskObservation) holds facts about a task, from any source and in any order.
//   - An outcome (Outcome) says why an attempt ended. Its Class selects the retry budget; see below.
//   - An attempt is lost if ECS does not know its task three times over at least ten minutes, or twice lists no task
//     for it after its token has become too old. A lost task may have succeeded.
//   - An orphan task is a live task that belongs to no open attempt. It is stopped, and the run is not
//     launched again before it has stopped.
//   - A concurrency group limits how many runs hold a slot in it at the same time.
//   - A capacity breaker keeps runs from calling RunTask after ECS has refused a task for lack of capacity or quota.
//     Package dispatch opens and closes breakers; its comment has the table of their states.
//   - A reservation is the time that the launch rate limiter gives a run for its RunTask call. If it is later than now,
//     the run is sent to the launch queue again, with a delay until then (Reserve).
//   - An effect (Effect) is work outside the store. It stays in the outbox of the document that asked for it until it
//     is done.
//
// # States
//
//	Accept
//	  ▼
//	waiting: debounce ─► objects ─► slot ─► launch ◄── backoff, capacity ◄─┐
//	                                          │ Claim                      │
//	                                          ▼                            │
//	                                      launching ── Refused, Listed ────┤
//	                                          │ Observed                   │ another attempt
//	                                          ▼                            │
//	                                       running ─── Observed (STOPPED), ┘
//	                                          │        ObservedMissing
//	                                          ▼
//	                        succeeded, failed, cancelled, skipped
//
// A run skips each stage (debounce, objects, slot) that its policy does not ask for. While its model is paused, a run
// that has not left these stages waits for a slot too.
//
//	from              input            to                meaning
//	(none)            Accept           waiting           the run exists and enters its first stage
//	waiting/debounce  Join             same              one more event joins and extends the debounce window
//	                  Advance          next stage        the debounce window has closed
//	waiting/objects   ObjectsChecked   next stage        every object exists
//	                                   same              an object is missing
//	                                   failed            an object is missing after the wait-for timeout
//	waiting/debounce  AssignGroup      same              the model is paused: the run will wait in waiting/slot
//	  or objects
//	waiting/slot      GrantSlot        waiting/launch    the run holds a slot in its concurrency group
//	                  Skip             skipped           the group is full and the policy does not queue
//	waiting/launch    Reserve          same              the rate limiter has given a later time for the call
//	                  DelayByLoopGuard same              the model was launched too often in this clock hour
//	                  WaitAtBreaker    waiting/capacity  the breakers of all remaining capacities are open
//	                  Claim            launching         a new attempt; the launcher stores it and calls RunTask
//	waiting/capacity  Release          waiting/launch    the breaker lets the run through
//	waiting/backoff   Advance          waiting/launch    the backoff has passed
//	waiting           Advance          failed            not launched for model.MaxWait after it was ready
//	                  Stop             cancelled         the run has no open attempt, so it ends at once
//	launching         Claim            same              the lease has ended: call again, or list the tasks
//	                  Reserve          same              the rate limiter has given a time for the repeated call
//	                  Refused          same              throttled, 5xx or no answer: call again with the same token
//	                                   waiting, an end   any other refusal: closeAttempt decides
//	                  Observed         running           ECS has a task for the attempt
//	                  Listed           running           ECS lists a task for the attempt
//	                                   same              ECS lists none, for the first time
//	                                   waiting, an end   ECS lists none for the second time: lost, or cancelled
//	                  Advance          same              the lease has ended: back to the launch queue
//	                  Advance, Stop    same              the timeout is over, or a user cancels: no more calls
//	running           Observed         same              ECS reports a new status of the task
//	                  ObservedMissing  same              ECS does not know the task
//	                                   waiting, an end   the task is lost: closeAttempt decides
//	                  Advance, Stop    same              the timeout is over, or a user cancels: StopTask
//	launching         Observed         waiting, an end   the task is STOPPED: closeAttempt decides
//	  or running
//	any               Observed         same              a task of another attempt: an orphan, if it is live
//	                  OrphanEnded      same              an orphan task has stopped, or ECS does not know it
//
// # Decisions
//
// closeAttempt decides between another attempt and the end of the run. It asks largerSize first: an attempt that ran
// out of memory is followed by a larger one while retry.out-of-memory allows it. Then endState ends the run if it
// succeeded, was cancelled, or has used its retry budget. A permanent outcome is never retried. budgetFor returns the
// budget of an outcome (the table is budgets):
//
//	budget            classes                                                   limit
//	none              throttled, capacity, quota                                24 hours without a launch (model.MaxWait)
//	infrastructure    image-pull, start-failed, interrupted, unknown            the run fails with the tenth failure
//	model             out-of-memory, model-error, output-missing, timed-out,    retry.attempts; timed-out and lost only
//	                  lost                                                      if retry.timed-out or retry.lost is set;
//	                                                                            an exit code that exit-codes maps to
//	                                                                            retry uses the infrastructure budget
//	final             all others                                                no retry
//
// RetryInputs.backoff computes delays, tryNextCapacity chooses the capacity after a refusal, and Advance handles every
// timer.
//
// # Rules
//
//   - The run and its new effects are stored in one commit, before any effect is carried out. A crash in between
//     loses nothing, because the sweep carries out overdue effects. So every effect must be safe to repeat.
//   - An input that comes late, twice or out of order changes nothing and returns false. After a conflict in the
//     store, the caller reads the run again and repeats the input.
//   - Run is passed by value, but its slices are shared with the caller's copy. An input copies a slice before it
//     changes it.
//   - A new attempt, and with it a new token, starts only when the old attempt is closed, the lease of its last call
//     has ended, and no orphan task is left.
//   - After a claim, Due is the end of the lease. If the launcher crashes, the sweep calls Advance, which sends the run
//     to the launch queue again; the next Claim repeats the call or lists the tasks.
//   - The JSON form is stored. A change that older code cannot read needs a new model.Schema.
//   - A new Class needs a row in budgets and a heading in docs/runbook.md.
package run
