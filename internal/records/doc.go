// Package records defines the documents that a deployment stores: their keys, their types, and how they are read and
// written. Package store keeps documents without knowing their content; the packages that change or show runs (dispatch,
// limiter, groups, operate and cli) read and write them through this package.
//
// # Documents
//
//	partition key                   sort key                    kind         holds
//	run/<run id>                    run                         run          run.Run: all that changes in a run (RunKey)
//	                                spec                        spec         run.Spec: inputs, rendered task, event (SpecKey)
//	                                attempt/<number>            attempt      run.Attempt: RunTask request, outcome (AttemptKey)
//	event/<hash of identity>        <model>[/<combination>]     event        EventRecord; "-" for no model (EventKey)
//	group/<model>/<hash of per>     holders                     holders      Holders: the runs that hold a slot (HoldersKey)
//	                                w/<accepted, ms>/<run id>   waiter       Waiter: a run that waits for a slot (WaiterKey)
//	group/pool:<pool>/<hash>        as above                                 a group that the models of a pool share
//	group/<model>/-                 w/...                       waiter       runs of a paused model without a concurrency limit
//	breaker/<capacity>              w/...                       waiter       runs that wait for capacity in ECS (WaiterKey)
//	window/<model>/<hash of per>    -                           window       Window: the run that joins debounced events (WindowKey)
//	object/<hash of URI>            <run id>                    object-…     Waiter: a run that waits for this object (ObjectDoc)
//	control/<model>                 -                           control      Control: whether the model is paused, and why
//	control/-                       rate-limiter                limiter      Limiter: launch rate, open breakers, launches this hour
//	expect/<model>                  -<value of per>             expectation  Expectation: the last success, the last one overdue
//
// # Rules
//
//   - The kind of a document (KindRun and so on, store.Doc.Kind) stands beside its key. No code reads it from the key.
//   - Each document has a schema. A document with a newer schema than this code knows is an error ([Read]), so that SQS
//     delivers the message again, by then to a newer function. A change that older code cannot read needs a new
//     model.Schema.
//   - Documents with work to do have a due time: the earliest of their own and of the effects in their outbox.
//   - Documents of ended runs expire after the [Retention].
package records
