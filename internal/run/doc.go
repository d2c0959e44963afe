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
// parameter of a model). It returns a Transition: the next Run, the name of what happened (TransitionKind), and the new
// effects. Metrics, the command line and the play switch on that name. Package fargate translates the answers of ECS into
// an Outcome.
//
// The state is in three kinds of documents: one Run, which changes with every input; one Spec, which holds the
// bound inputs and the rendered task; and one Attempt for each launch. Package records has their keys.
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
//     Package limiter opens and closes breakers; its comment has the table of their states.
//   - A reservation is the time that the launch rate limiter gives a run for its RunTask call. If it is later than now,
//     the run is sent to the launch queue again, with a delay until then (Reserve).
//   - An effect (Effect) is work outside the store, with a type for each kind of work. It stays in the outbox of the
//     document that asked for it until it is done.
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
// # Transitions
//
// "=" in the column to means that the run keeps its state and its wait. "next" is another attempt (waiting/launch,
// waiting/backoff or waiting/capacity) or an end state: closeAttempt decides. An input that does not fit the state is
// ignored.
//
//	kind                   from               input (method)    to
//	accepted               (none)             Accept            waiting, first stage
//	joined                 waiting/debounce   Join              =, and the window is extended
//	window-closed          waiting/debounce   Advance           waiting, next stage
//	objects-found          waiting/objects    ObjectsChecked    waiting, next stage
//	objects-missing        waiting/objects    ObjectsChecked    =, or failed after the wait-for timeout
//	slot-granted           waiting/slot       GrantSlot         waiting/launch
//	group-full             waiting/slot       Skip              skipped
//	reserved               waiting/launch     Reserve           =, until the time of the reservation
//	                       launching          Reserve           =, for a repeated call
//	delayed-by-loop-guard  waiting/launch     DelayByLoopGuard  =, for ten minutes
//	stopped-at-breaker     waiting/launch     WaitAtBreaker     waiting/capacity
//	released               waiting/capacity   Release           waiting/launch
//	backoff-ended          waiting/backoff    Advance           waiting/launch
//	lease-cut              waiting/backoff    Observed          =, or waiting/launch if the backoff has passed
//	never-launched         waiting            Advance           failed, after model.MaxWait without a launch
//	attempt-started        waiting/launch     Claim             launching
//	call-repeated          launching          Claim             =, once the lease has ended
//	call-throttled         launching          Refused           =: throttled, 5xx or no answer
//	call-refused           launching          Refused           next
//	no-task-listed         launching          Listed            =, for the first empty list
//	task-started           launching          Observed, Listed  running
//	task-observed          running            Observed          =, with a new status
//	task-missing           running            ObservedMissing   =, until the task counts as lost
//	attempt-ended          running            Observed          next: the task is STOPPED
//	                       running            ObservedMissing   next: the task is lost
//	                       launching          Observed          next: the task is STOPPED already
//	                       launching          Listed            next: the task is lost, or the run was cancelled
//	orphan-found           any                Observed          =: a live task of another attempt
//	orphan-gone            any                Observed          =: a task of another attempt is STOPPED
//	                       any                OrphanEnded       =: ECS does not know the orphan any more
//	timed-out              launching,running  Advance           =: no more calls, and StopTask for a known task
//	stop-requested         waiting            Stop              cancelled: no attempt is open
//	                       launching,running  Stop              =: no more calls, and StopTask for a known task
//	repeated               waiting            Advance           =: an Enqueue, Admit or CheckBreaker once more
//	                       launching          Advance           =: the lease has ended, so an Enqueue once more
//	postponed              waiting            Advance           =: only the time of the next look changes
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
// RetryInputs.backoff computes delays, tryNextCapacity chooses the capacity after a refusal, and Advance and ObjectsChecked handle
// the timers.
//
// # Rules
//
//   - The run and its new effects are stored in one commit, before any effect is carried out. A crash in between
//     loses nothing, because the sweep carries out overdue effects. So every effect must be safe to repeat.
//   - An input that comes late, twice or out of order changes nothing: its transition has the kind Ignored. After a
//     conflict in the store, the caller reads the run again and repeats the input.
//   - Run is passed by value, but its slices are shared with the caller's copy. An input copies a slice before it
//     changes it.
//   - A new attempt, and with it a new token, starts only when the old attempt is closed, the lease of its last call
//     has ended, and no orphan task is left.
//   - After a claim, Due is the end of the lease. If the launcher crashes, the sweep calls Advance, which sends the run
//     to the launch queue again. The next Claim repeats the call, or MustList asks for the tasks of the attempt.
//   - The JSON form is stored. A change that older code cannot read needs a new model.Schema.
//   - A new Class needs a row in budgets and a heading in docs/runbook.md. A new TransitionKind needs a row in the
//     table above. A new effect needs a kind, a decoder (decoders), and a case where package dispatch carries it out.
package run
