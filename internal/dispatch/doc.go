// Package dispatch accepts events, launches runs, follows their tasks and announces the results. It is the only package
// of the functions that changes anything outside the store: it sends messages and announcements, calls RunTask and
// StopTask, and writes objects to the state bucket (the deployment's own S3 bucket for large values).
//
// In the flow event -> binding -> run -> launch -> task -> outcome -> announcement, package dispatch carries out every
// step; most decisions are made in packages run, route, fargate, limiter and groups. The terms run, attempt, claim,
// lease, token, stage and spec are explained in package run. Package route binds events to models, package fargate turns
// the words of ECS into outcomes, package limiter says when a run may be launched, package groups grants slots, and
// package run decides, as a pure state machine, what each input does to a run. A [Dispatcher] reads a run from the store,
// applies the input to it, stores the transition, and then carries out its effects. It keeps no state between calls:
// everything that must survive is in the store (package records has the documents), and large values are in the state
// bucket. docs/protocol.md gives the reason for each step of the protocol.
//
// # Entry points
//
// [Dispatcher.Accept] takes an event (functions schedule, arrival, message and event). [Dispatcher.AcceptBinding]
// accepts one binding: Accept calls it for each, and the command line for a manual run. [Dispatcher.Reject] records a
// payload that cannot be decoded. [Dispatcher.Reserve] and [Dispatcher.Launch] launch runs (function launch).
// [Dispatcher.Observe] takes the state change of a task (function completion). [Dispatcher.Advance] and
// [Dispatcher.Sweep] do the work that is due (function sweep). [Dispatcher.Cancel], [Dispatcher.Pause] and
// [Dispatcher.Resume] carry out commands of a user.
//
// # Parts
//
// A Dispatcher consists of small parts, each with what it needs of the options:
//
//	part          file             does
//	decisions     accept.go,       records what became of an event: a run, a rejection, a duplicate
//	              reject.go
//	runs          update.go        applies an input to a stored run, and stores the transition with the documents that
//	                               change with it
//	outbox        effects.go       carries out effects, and removes them from their documents; Dispatcher.perform has a
//	                               case for each kind of effect
//	announcer     announcement.go  builds and emits announcements
//	launcher      launch.go        makes the RunTask calls of runs
//	tasks         observe.go       applies what ECS says about tasks to their runs
//	sweeper       sweep.go         processes due documents
//	pauses        pause.go         keeps which models are paused
//	expectations  expectation.go   checks the `expect` of each model
//
// Package limiter has the launch rate limiter and the breakers, and package groups the concurrency groups. Both change
// runs through the part runs.
//
// window.go has debounce windows, objects.go the objects that a run waits for, and advance.go the timers of a run.
//
// # The rule: store first, message second, the sweep repairs
//
// A commit saves a change together with the effects that follow from it: they stand in the outbox of the changed
// document. Only after the commit does outbox.carryOut carry them out and remove them from the document. If the process
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
//  2. Accept checks the objects of each run that waits for this object, and calls route.Table.Route, which returns the
//     bindings. A binding is one run that the event would start: a model, a trigger, a combination and the input values.
//  3. For each binding, [Dispatcher.AcceptBinding] calls tryAccept. If an open debounce window has a run, joinWindow
//     adds the event to it. Otherwise run.Accept makes a new run. One commit creates the event record, the run and its
//     spec. If the event was delivered before, this commit conflicts with the existing record: countDuplicate then
//     adds one to the record's number of duplicates, and writes no other document.
//  4. The run waits, one stage after the other, for its debounce window (ended by advanceOne), its objects
//     (checkObjects) and a slot in its concurrency group (groups.Groups.Admit). It skips each stage that its model does
//     not use. Then its outbox gets an Enqueue effect, and carryOut sends the run's id to the launch queue.
//  5. The launch function receives a batch of ids. [Dispatcher.Reserve] gives each ready run a reservation
//     (limiter.Limiter.Reserve), and [Dispatcher.Launch] claims the run with run.Run.Claim. launcher.newAttempt commits
//     the claim and an attempt with the complete RunTask request. Only then does launcher.call send the request. At each
//     later claim of the attempt, as long as there was no clear answer, launcher.repeatCall sends the stored request
//     again, byte for byte.
//  6. ECS reports each state change of the task. handler.Handlers.Completion calls [Dispatcher.Observe]. If the task
//     has stopped, tasks.observation adds its outcome and looks for the declared outputs. tasks.apply applies this task
//     observation with run.Run.Observed, which ends the run or prepares another attempt.
//  7. runs.store stores the end. One commit writes the run, the closed attempt, the expiry of the spec, the concurrency
//     group without this holder, and the time of the last success if the model has an expectation.
//  8. runs.follow carries out the effects of the end: the announcement, the admission of the next waiter, the release of
//     a run that waits for capacity, and the start of the models that run after this one.
//
// If no task event arrives for five minutes, the run is due: [Dispatcher.Sweep] finds it, asks ECS about its task
// (tasks.applyLookup), and continues at step 6.
//
// # The state bucket
//
// The state bucket holds inputs/<run id>/<file> (inputs that a model takes as files), event/<hash of identity>.json
// (payloads of 32 KiB and more) and catalog.json (written by [Dispatcher.Publish], read by the command line).
//
// # Terms
//
//   - An effect ([run.Effect]) is something to do outside the document: send a message, stop a task, announce, admit
//     waiters, release runs at a breaker, start downstream models. The outbox of a document holds its effects until they are done.
//   - The sweep is the pass that runs every minute over all documents that are due. A wake message advances one run at
//     a given time, at most 15 minutes ahead, without waiting for the sweep. Both run in the sweep function.
//   - A launcher is an instance of the launch function. The launch queue and the wake queue hold ids of runs to launch
//     and to advance.
//   - A debounce window collects the events of one key (`per`) into one run, until no event has joined for a while.
//   - A task observation ([run.TaskObservation]) holds the facts about a task from one answer or one event of ECS. An
//     orphan task is a live task that belongs to no open attempt. The sweep stops it, and its run starts no attempt
//     beside it.
//   - Retry inputs ([run.RetryInputs]) are the random jitter and the table of task sizes that package run needs to
//     decide about another attempt. [Hooks] are functions that the dispatcher calls for metrics, logs and tests.
//
// # Pause
//
// Pause and the loop guard set records.Control.Paused of a model. While it is set, package groups grants its runs no
// slot: they wait with waiting/slot. A run of a model without a concurrency limit waits in the group of the pause
// (pauses.groupOf). Runs that have left waiting/slot continue: launches, retries and tasks are not stopped. Only the loop
// guard also delays runs that wait for their first launch (run.Run.DelayByLoopGuard). The control document lists the
// groups in which runs wait because of the pause; [Dispatcher.Resume] stores an Admit effect for each.
//
// # Where a decision is made
//
//   - Does an event start a run, join one, or get rejected? tryAccept. Was it delivered before? AcceptBinding, after
//     a conflict. For an event that no model matches: acceptUnmatched.
//   - Which run gets a slot, and what happens when the group is full? groups.Groups.Admit.
//   - When may a run call RunTask, and with which capacity? limiter.Limiter.Reserve proposes both; run.Run.Claim decides.
//   - When does a breaker open or close, and which waiters leave it? Package limiter.
//   - What happens after an outcome or a refusal? run.Run.Observed and run.Run.Refused. fargate.Outcome gives the
//     class.
//   - What does an announcement contain? announcer. Its id is the same whenever it is repeated (announcer.id).
//
// # When something fails
//
//   - Another caller changed a document first: store.ErrConflict. The code reads again and starts over. AcceptBinding,
//     Admit and Limiter.Reserve give up after 100 tries; the message or effect is then tried again later.
//   - An effect fails: outbox.carryOut logs it and leaves it to the sweep. It returns no error to the caller, whose change is
//     stored. An error that wraps [ErrPermanent] drops the effect, with its reason in Outbox.Dropped.
//   - RunTask gives no clear answer: the attempt keeps its client token, and the same request is sent again. 50 minutes
//     after the first call (run.MaxTokenAge), run.Run.MustList asks for a list instead, and launcher.listTasks asks ECS for
//     the tasks of the attempt.
//   - A document cannot be processed: its error is returned at the end of the sweep. The other documents are not
//     delayed.
//   - A document was written by newer code: records.Read returns an error, so that SQS delivers the message again, by then to
//     a newer function.
//
// # Rules for maintainers
//
//   - Calls that change something in other services come after the commit that asks for them, except objects in the
//     state bucket. Calls that only read (objects, tasks, task definitions) may come at any time.
//   - Only groups.Groups.Admit grants slots. A run that starts to wait for a slot, a run that ends, and a resume each store
//     an Admit effect.
//   - Only launcher.call sends RunTask, after a claim. Calls of Launch for one run may overlap: a single one of them commits
//     the claim.
//   - Only the sweep function may stop or describe tasks; the launch function may list them. Most functions have no
//     permission for StopTask, so run.Outbox.Since leaves StopTask effects to the sweep.
//   - Take the time from Options.Now and random numbers from Options.Random. Package simulation replays a seed exactly,
//     and docs/simulation.md records findings by seed: a different order of store calls changes them.
package dispatch
