// Package dispatch accepts events, launches runs, follows their tasks and announces the results. It is the only package
// of the functions that changes anything outside the store: it sends messages and announcements, calls RunTask and
// StopTask, and writes objects to the state bucket (the deployment's own S3 bucket for large values).
//
// In the flow event -> binding -> run -> launch -> task -> outcome -> announcement, package dispatch carries out every
// step; most decisions are made in packages run, route and fargate. The terms run, attempt, claim, lease, token, stage
// and spec are explained in package run. Package route binds events to models, package fargate turns the words of ECS
// into outcomes, and package run decides, as a pure state machine, what each input does to a run. A [Dispatcher] reads
// a run from the store, applies the input to it, commits the result, and then carries out the effects that the result
// asks for. It keeps no state between calls: everything that must survive is in the store, and large values are in the
// state bucket. docs/protocol.md gives the reason for each step of the protocol.
//
// # Entry points
//
// [Dispatcher.Accept] takes an event (functions schedule, arrival, message and event). [Dispatcher.AcceptBinding]
// accepts one binding: Accept calls it for each, and the command line for a manual run. [Dispatcher.Reject] records
// what cannot be used: a binding that tryAccept or package route rejects, and a payload that cannot be decoded.
// [Dispatcher.Reserve] and [Dispatcher.Launch] launch runs (function launch). [Dispatcher.Observe] takes the state
// change of a task (function completion). [Dispatcher.Advance] and [Dispatcher.Sweep] do the work that is due
// (function sweep). [Dispatcher.Cancel], [Dispatcher.Pause] and [Dispatcher.Resume] carry out commands of a user.
//
// # The rule: store first, message second, the sweep repairs
//
// A commit saves a change together with the effects that follow from it: they stand in the outbox of the changed
// document. Only after the commit does carryOut carry them out and remove them from the document. If the process
// dies in between, or a call fails, an effect stays in the document, which is due one minute after the commit. The
// sweep runs every minute, finds the document, and carries the effect out. After each failure the next try is 1, 2, 4, 8
// and then always 16 minutes later. An effect can therefore happen twice, and each effect must be harmless when it does.
//
// Two calls are not effects of an outbox. RunTask is repaired by its run: the claim stores the request, and sets the
// run due at the end of the lease. If the launcher crashes, the sweep advances the run back to the launch queue, and
// the next claim sends the stored request again with the same token. Objects of the state bucket are written before
// the commit that refers to them, because a document must never name an object that does not exist. Each has a fixed
// URI, so a second delivery of the event overwrites the same object.
//
// # One arrival, from Accept to the announcement
//
//  1. The arrival function receives the S3 event. handler.Handlers.Arrival calls [Dispatcher.Accept].
//  2. Accept calls objectArrived, which checks each run that waits for this object, and route.Table.Route, which
//     returns the bindings. A binding is one run that the event would start: a model, a trigger, a combination and the
//     input values.
//  3. For each binding, [Dispatcher.AcceptBinding] calls tryAccept. If an open debounce window has a run, joinWindow
//     adds the event to it. Otherwise run.Accept makes a new run. One commit creates the event record, the run and its
//     spec. If the event was delivered before, this commit conflicts with the existing record: countDuplicate then
//     adds one to the record's number of duplicates, and writes no other document.
//  4. The run waits, one stage after the other, for its debounce window (ended by advanceOne), its objects
//     (checkObjects) and a slot in its concurrency group ([Dispatcher.Admit]). It skips each stage that its model does
//     not use. Then its outbox gets an Enqueue effect, and carryOut sends the run's id to the launch queue.
//  5. The launch function receives a batch of ids. [Dispatcher.Reserve] gives each ready run a reservation, and
//     [Dispatcher.Launch] calls tryLaunch, which claims the run with run.Run.Claim. callNewAttempt commits the claim and
//     an attempt with the complete RunTask request. Only then does call send the request. At each later claim of the
//     attempt, as long as there was no clear answer, repeatCall sends the stored request again, byte for byte.
//  6. ECS reports each state change of the task. handler.Handlers.Completion calls [Dispatcher.Observe]. If the task
//     has stopped, observe adds its outcome and looks for the declared outputs. applyObservation applies this task
//     observation with run.Run.Observed, which ends the run or prepares another attempt.
//  7. commit stores the end. One commit writes the run, the closed attempt, the expiry of the spec, the concurrency
//     group without this holder, and the time of the last success if the model has an expectation.
//  8. carryOut carries out the effects of the end. announce sends the announcement (built by announcement), Admit
//     grants the free slot to the first waiter, and startDownstream calls Accept for the models that run after this
//     one.
//
// If no task event arrives for five minutes, the run is due: [Dispatcher.Sweep] finds it, asks ECS about its task
// (applyLookup), and continues at step 6.
//
// # Documents
//
// The store does not interpret documents. This package chooses their keys and encodes them as JSON.
//
//	partition key                   sort key                    holds
//	run/<run id>                    run                         run.Run: all that changes in a run (RunKey)
//	                                spec                        run.Spec: inputs, rendered task, event (SpecKey)
//	                                attempt/<number>            run.Attempt: RunTask request, outcome (AttemptKey)
//	event/<hash of identity>        <model>[/<combination>]     EventRecord; "-" for no model (EventKey)
//	group/<model>/<hash of per>     holders                     the ids of the runs that hold a slot (groupKey)
//	                                w/<accepted, ms>/<run id>   a run that waits for a slot (waiterKey)
//	group/pool:<pool>/<hash>        as above                    a group that the models of a pool share
//	group/<model>/-                 w/...                       runs of a paused model without a concurrency limit
//	breaker/<capacity>              w/...                       runs that wait for capacity in ECS (waiterKey)
//	window/<model>/<hash of per>    -                           the run that joins debounced events (windowKey)
//	object/<hash of URI>            <run id>                    a run that waits for this object (objectKey)
//	control/<model>                 -                           Control: whether the model is paused, and why
//	control/-                       rate-limiter                limiter: launch rate, open breakers, launches this hour
//	expect/<model>                  -<value of per>             Expectation: the last success, the last one overdue
//
// The state bucket holds inputs/<run id>/<file> (inputs that a model takes as files), event/<hash of identity>.json
// (payloads of 32 KiB and more) and catalog.json (written by [Dispatcher.Publish], read by the command line).
//
// # Terms
//
//   - An effect ([run.Effect]) is something to do outside the document: send a message, stop a task, announce, admit
//     waiters, start downstream models. The outbox of a document holds its effects until they are done.
//   - The sweep is the pass that runs every minute over all documents that are due. A wake message advances one run at
//     a given time, at most 15 minutes ahead, without waiting for the sweep. Both run in the sweep function.
//   - A concurrency group is a set of runs of which only a limited number may run at once. A run in the set holds a
//     slot (it is a holder) until it ends. A waiter is a run that waits for a slot.
//   - A capacity breaker (one for each capacity, such as spot) keeps runs from calls that ECS would refuse; see below.
//   - The launch rate limiter spaces the RunTask calls of all launchers, to stay below the account's quota. A
//     [Reservation] tells when one run may make its call, and which capacity it asks for.
//   - The loop guard pauses a model that is launched more than max-launches-per-hour times in one clock hour. Such
//     a model usually starts itself. Its runs that are ready already are held back by run.Run.DelayByLoopGuard.
//   - A launcher is an instance of the launch function. The launch queue and the wake queue hold ids of runs to launch
//     and to advance.
//   - A debounce window collects the events of one key (`per`) into one run, until no event has joined for a while.
//   - A task observation ([run.TaskObservation]) holds the facts about a task from one answer or one event of ECS. An
//     orphan task is a live task that belongs to no open attempt. The sweep stops it, and its run starts no attempt
//     beside it.
//   - Retry inputs ([run.RetryInputs]) are the random jitter and the table of task sizes that package run needs to
//     decide about another attempt. [Hooks] are functions that the dispatcher calls for metrics, logs and tests.
//
// # Capacity breakers
//
//	state      when                                           runs with this capacity
//	closed     no refusal since it closed                     are launched
//	open       ECS refused, or stopped a task, for lack of    wait in the order of their acceptance; each task on this
//	           capacity or for a quota (openBreaker)          capacity that ends releases one as its replacement
//	half-open  once a minute, while open (probeBreakers)      one waiter is released as a probe. Each probe whose task
//	                                                          runs releases two more. A probe that is refused waits
//	                                                          again
//
// A breaker closes when a probe is due and no run waits. A run whose model lists several capacities takes the first
// one with a closed breaker; if all are open, it waits at the breaker of the last one. A launcher reads the open
// breakers with the rate limiter, from one document.
//
// # Pause
//
// Pause and the loop guard set Control.Paused of a model. While it is set, Admit grants its runs no slot, and skips
// none of them by an overlap policy: they wait with waiting/slot. A run of a model without a concurrency limit waits
// in the group of the pause (pausedGroup, groupOrPaused). Its waiters do not block other models of a pool. Runs that
// have left waiting/slot continue: launches, retries and tasks are not stopped. Only the loop guard also holds back
// runs that wait for their first launch (run.Run.DelayByLoopGuard). The control document lists the groups in which
// runs were held; [Dispatcher.Resume] stores an Admit effect for each.
//
// # Where a decision is made
//
//   - Does an event start a run, join one, or get rejected? tryAccept. Was it delivered before? AcceptBinding, after
//     a conflict. For an event that no model matches: acceptUnmatched.
//   - Which run gets a slot, and what happens when the group is full? Admit, grantSlot, applyOverlap, by groupRule.
//   - When may a run call RunTask, and with which capacity? reserve proposes both; run.Run.Claim decides.
//   - When does a breaker open or close? openBreaker, probeBreakers. Which waiters leave it? releaseAtBreaker.
//   - What happens after an outcome or a refusal? run.Run.Observed and run.Run.Refused. fargate.Outcome gives the
//     class.
//   - What does an announcement contain? announcement. Its id is the same whenever it is repeated (announcementID).
//
// # When something fails
//
//   - Another caller changed a document first: store.ErrConflict. The code reads again and starts over. AcceptBinding,
//     Admit and updateLimiter give up after maxConflicts tries; the message or effect is then tried again later.
//   - An effect fails: carryOut logs it and leaves it to the sweep. It returns no error to the caller, whose change is
//     stored. An error that wraps [ErrPermanent] drops the effect, with its reason in Outbox.Dropped.
//   - RunTask gives no clear answer: the attempt keeps its client token, and the same request is sent again. 50 minutes
//     after the first call (run.MaxTokenAge), run.Run.Claim asks for a listing instead, and listTasks asks ECS for the
//     tasks of the attempt.
//   - A document cannot be processed: its error is returned at the end of the sweep. The other documents are not
//     delayed.
//   - A document was written by newer code: [Read] returns an error, so that SQS delivers the message again, by then to
//     a newer function.
//
// # Rules for maintainers
//
//   - Calls that change something in other services come after the commit that asks for them, except objects in the
//     state bucket. Calls that only read (objects, tasks, task definitions) may come at any time.
//   - Only Admit grants slots. A run that starts to wait for a slot, a run that ends, and a resume each store an Admit
//     effect.
//   - Only call sends RunTask, after a claim. Calls of Launch for one run may overlap: a single one of them commits
//     the claim.
//   - Only the sweep function may stop or describe tasks; the launch function may list them. Most functions have no
//     permission for StopTask, so run.Outbox.Since leaves StopTask effects to the sweep.
//   - Take the time from Options.Now and random numbers from Options.Random. Package simulation replays a seed exactly,
//     and docs/simulation.md records findings by seed: a different order of store calls changes them.
package dispatch
