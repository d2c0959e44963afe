// Package operate reads runs and events from the store of a deployment, and gives them the form in which users see
// them. Commands print its types with --json, and make the tables of runs and events from them.
//
// The stored documents (run.Run, run.Spec, run.Attempt, records.EventRecord, records.Control) belong to the protocol:
// they hold leases, outboxes and keys, and change with it. The types of this package are a contract with users.
// docs/json.md describes each field, and output.schema.json is their JSON schema.
//
// # Terms
//
//   - A view ([Run], [Attempt], [Event], [Decision], [Pause]) is the form of a document, or of several, for users.
//   - A line ([Line]) is one object that the local stack prints while it runs.
//   - A report ([Report]) has the results of a play.
//
// # Entry points
//
// [ListRuns], [ReadRun], [NewestRun] and [ListEvents] read the store. [NewRun], [Run.WithSpec], [NewDecision] and
// [NewPause] make views of documents that a caller has already.
//
// # Rules
//
//   - A view is written out field by field, so a new field of a document is not printed before it is added here, to
//     docs/json.md and to the schema. A test compares the three; `go test ./internal/operate -update` writes the schema.
//   - A word means the same as in announcements (dispatch.RunDetail): `run` is the id of a run, `event` the identity of
//     an event, `task` the ARN of a task, `attempt` the number of an attempt.
//   - A duration is a number of seconds, and a size a number of MiB or CPU units. The name of the field ends with the
//     unit. A time is in UTC. A field without a known value is absent: no view has a zero time.
//   - A field is never renamed or removed without a line in CHANGELOG.md.
package operate
