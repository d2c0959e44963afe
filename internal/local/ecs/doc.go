// Package ecs imitates Amazon ECS on one machine, for standalone tasks only. Any AWS SDK or CLI can register task
// definitions, and can run, list, describe and stop tasks.
//
// The package is the "task" step in the flow event -> binding -> run -> launch -> task -> outcome -> announcement. The
// launch function calls RunTask here, as it does in an account. Each change of a task becomes an event on the local
// EventBridge, which invokes the completion function when the task is running and when it has stopped.
//
// # Terms
//
//   - A task definition describes containers. Its family and its revision name it. RegisterTaskDefinition adds a
//     revision.
//   - A task is one execution of the containers of a task definition. It goes through PROVISIONING, PENDING, RUNNING,
//     DEPROVISIONING and STOPPED. It waits in PENDING while Options.Parallel other tasks have running containers. Its
//     version starts at 1 and grows by 1 with each change.
//   - An essential container stops its task when it exits. Other containers may exit before.
//   - A call is a RunTask request with a clientToken. The server remembers it by cluster and token.
//   - A Runner starts containers. Package process implements it with processes of this machine.
//   - Faults make RunTask calls fail and tasks end on purpose. Package fault reads them from a file.
//
// # Entry points
//
// New opens the server. Recover settles the tasks of an earlier process. Register adds a task definition without HTTP.
// ServeHTTP answers API calls, and Handles reports whether a request is one. StartedByValues lists the known tasks.
// Close stops all tasks.
//
// Inside, runRequest.check and runRequest.checkWith decide which RunTask requests are refused, runLifecycle takes a
// task from PENDING to STOPPED, watch decides when and why a task stops, and dropExpired decides when a task or a
// token is forgotten.
//
// # Contracts kept from ECS
//
//   - A clientToken names one call in one cluster. The same request again returns the same tasks, or the same
//     failures[]. Another request with the token gets a ConflictException that names the existing tasks. A token lives
//     for 24 hours, or until an hour after its last task stopped, whichever comes first:
//     https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html. A call with failures[] and no
//     task is remembered for an hour. A call that got an error, such as ThrottlingException, is not remembered: the
//     same request again is a new call. The exception is a fault that answers with an error although it starts the
//     tasks (Refusal.Started): the same request again returns these tasks.
//   - RunTask can start nothing and still answer 200, with failures[].
//   - Each change of a task is one ECS Task State Change event. The events of one task come in the order of its
//     versions.
//   - DescribeTasks shows a stopped task for an hour and then reports it as MISSING. ECS shows it for at least an hour:
//     https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html
//
// # State and failures
//
// Tasks, calls and task definitions are in one SQLite file (Options.File). Clusters are in memory. The server writes a
// call and its tasks before it starts a container, so they survive the death of this process. Recover then kills the
// leftover processes of each live task and stops the task with TerminationNotice. It also emits the last event of each
// stopped task again, because the earlier process may have died before it did.
//
// The server does not read dependsOn or health checks. It starts containers in the order of the definition.
package ecs
