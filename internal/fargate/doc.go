// Package fargate builds the RunTask requests, calls the ECS API, and classifies the results.
//
// The flow of a run uses it at two points: launch -> task, and task -> outcome. The launcher (package dispatch)
// resolves and pins the task definition with Client.Definition, builds a request with NewRequest, stores it, and sends
// it with Client.RunTask. When ECS reports that the task has stopped, in a Task State Change event or in an answer of
// DescribeTasks, Outcome returns the outcome of the attempt. The package has no state of its own: the store holds the
// request and the outcome. The package does not retry. It names the class of a failure, and package run decides from
// the class what follows.
//
// # Terms
//
//   - A request is the complete JSON of a RunTask call. The store keeps it, so a repeated call for the same
//     attempt sends the same bytes.
//   - The client token identifies a call to ECS. ECS starts at most one task for each token. All calls of
//     one attempt have the same token.
//   - The startedBy of a task is DEPLOYMENT/RUN/ATTEMPT. It connects a task with its attempt.
//   - To pin a task definition is to store the ARN of its latest active revision with the run at the first attempt. All
//     later attempts of the run use that revision, also when a newer one exists.
//   - A refusal is the outcome of a RunTask call that returned no task.
//   - A refusal is definite if ECS has answered that it starts no task for the call. It is indefinite
//     (Answer.Indefinite) if a task may still follow: an HTTP call of the SDK got no answer, a 5xx answer, or an answer
//     that does not come from ECS (isIndefinite). The run then keeps the lease of the call: it makes no other call
//     until the lease has ended. A throttled call, a 5xx answer and no answer all have ClassThrottled: the attempt stays
//     open, and its next call has the same client token (run.Class.KeepsToken). After any other class the attempt is
//     closed, and the next call belongs to a new attempt with a new token.
//   - A class (run.Class) names the cause of a refusal or of the end of a task, such as ClassCapacity or
//     ClassImagePull. The failure taxonomy is the list of all classes. This package finds the class of a text of ECS
//     (rules), and package run finds the retry budget of a class (budgets).
//   - A permanent outcome would be the same after another attempt, so the run does not try again.
//   - A size is a number of CPU units together with an amount of memory in MiB.
//
// # Entry points
//
//   - NewRequest builds a request, and Request.Check reports if it is too long for ECS.
//   - Client calls ECS: RunTask, StopTask, DescribeTasks, ListTasks and Definition.
//   - StartedBy and ParseStartedBy write and read the startedBy of a task.
//   - Outcome classifies a stopped task.
//   - Sizes, ValidSize and NextSize know the sizes of Fargate tasks.
//
// # Rules
//
// One table (rules, in taxonomy.go) assigns the classes to the texts of ECS. Refusals and stopped tasks both
// use it. To add a text, add it to the table and to the tests: each rule must match at least one text there.
//
// A nil error from the API does not mean success. An answer of RunTask without a task is a refusal, and its failures[]
// decide the class. If ECS answers with a conflict that names a task, Client.RunTask returns that task: an earlier call
// with the same client token started it.
//
// Outcome checks the causes of a stopped task in this order: out of memory; a stop by a user; an
// interruption by AWS; the model's own exit code; a known reason of ECS; the exit code of another container;
// a failed start. A task without any of these is ClassUnknown, and keeps the text of ECS.
//
// Exit code 137 alone (the container was killed by SIGKILL) is ClassModelError. With a reason that contains
// "OutOfMemory", in a container or in the task, it is ClassOutOfMemory.
//
// The texts of ECS change in case, blanks and punctuation. normalize removes these differences before a rule
// sees a text.
package fargate
