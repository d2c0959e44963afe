package run

import "fmt"

// Class names why an attempt ended, or why RunTask returned no task. It is one row of the failure taxonomy: the class
// decides which retry budget the next attempt uses (budgets), and docs/runbook.md has a heading for each. Package
// fargate finds the class of ECS's texts. An outcome that is Permanent is not retried, whatever its class.
type Class string

const (
	// ClassSucceeded means exit code 0, and every declared output exists. The run ends.
	ClassSucceeded Class = "succeeded"
	// ClassThrottled means that ECS throttled RunTask, answered 5xx, or did not answer. It uses no retry budget: the
	// attempt stays open, and the same call is repeated with the same token.
	ClassThrottled Class = "throttled"
	// ClassCapacity means that ECS has no capacity for the task at this time. It uses no retry budget: the run tries its
	// next capacity type (such as on-demand after spot), and after the last one waits at the breaker, for model.MaxWait
	// at most.
	ClassCapacity Class = "capacity"
	// ClassQuota means that the account has reached a limit of tasks or vCPUs. It uses no retry budget; see
	// ClassCapacity.
	ClassQuota Class = "quota"
	// ClassImagePull means that the image could not be pulled. It uses the infrastructure budget. It is permanent if
	// the image does not exist or access is denied.
	ClassImagePull Class = "image-pull"
	// ClassStartFailed means that the task stopped before its container ran. It uses the infrastructure budget.
	ClassStartFailed Class = "start-failed"
	// ClassInterrupted means that Spot or maintenance took the task away. It uses the infrastructure budget; after the
	// second interruption the run moves to on-demand capacity, if its model allows that.
	ClassInterrupted Class = "interrupted"
	// ClassOutOfMemory means that a container was killed for its memory. The retry has a larger size and uses no
	// budget, as long as retry.out-of-memory allows one; otherwise it uses the model's own attempts.
	ClassOutOfMemory Class = "out-of-memory"
	// ClassModelError means that the container exited with a non-zero code. It uses the model's own attempts, or the
	// infrastructure budget if the policy maps the code to retry. It is permanent if the policy maps it to fail.
	ClassModelError Class = "model-error"
	// ClassOutputMissing means exit code 0, and a declared output does not exist. It uses the model's own attempts.
	ClassOutputMissing Class = "output-missing"
	// ClassTimedOut means that this program stopped the task because it was over its timeout. It is retried only with
	// retry.timed-out, and then uses the model's own attempts.
	ClassTimedOut Class = "timed-out"
	// ClassCancelled means that a user cancelled the run, a newer run replaced it, or its task was stopped from
	// outside. It is never retried.
	ClassCancelled Class = "cancelled"
	// ClassLost means that ECS no longer knows the task, and no event said how it ended: it may have succeeded. It is
	// retried only with retry.lost, and then uses the model's own attempts.
	ClassLost Class = "lost"
	// ClassMisconfigured means that ECS would refuse the same request each time. It is never retried.
	ClassMisconfigured Class = "misconfigured"
	// ClassInputsMissing means that an object of wait-for did not exist in time, or was too old. The run ends without
	// an attempt.
	ClassInputsMissing Class = "inputs-missing"
	// ClassOverlap means that the concurrency group was full, and the policy does not queue. The run ends without an
	// attempt.
	ClassOverlap Class = "overlap"
	// ClassNothingToDo means that the container exited with a code that the policy maps to skip. It is never retried.
	ClassNothingToDo Class = "nothing-to-do"
	// ClassUnknown means everything else; the detail holds ECS's own text. It uses the infrastructure budget.
	ClassUnknown Class = "unknown"
)

// Outcome says why an attempt ended.
type Outcome struct {
	Class     Class  `json:"class"`
	Detail    string `json:"detail,omitempty"`    // the cause for users, in ECS's own words if it gave any
	ExitCode  *int   `json:"exitCode,omitempty"`  // exit code of the model's container; nil if it never reported one
	Permanent bool   `json:"permanent,omitempty"` // another attempt would fail the same way
}

// String returns the class, and the detail if there is one: "capacity: Capacity is unavailable at this time".
func (o Outcome) String() string {
	if o.Detail == "" {
		return string(o.Class)
	}
	return fmt.Sprintf("%s: %s", o.Class, o.Detail)
}

// budget names the retry budget that an outcome uses.
type budget int

const (
	budgetNone           budget = iota // uses no budget: the retry is not counted
	budgetInfrastructure               // at most maxInfrastructureFailures failures of a run
	budgetModel                        // at most retry.attempts failures of a run
	budgetFinal                        // the run is never retried
)

// budgets is the column of the failure taxonomy that says which retry budget each class uses. budgetFor reads it.
var budgets = map[Class]budget{
	ClassThrottled: budgetNone,
	ClassCapacity:  budgetNone,
	ClassQuota:     budgetNone,

	ClassImagePull:   budgetInfrastructure,
	ClassStartFailed: budgetInfrastructure,
	ClassInterrupted: budgetInfrastructure,
	ClassUnknown:     budgetInfrastructure,

	ClassOutOfMemory:   budgetModel,
	ClassModelError:    budgetModel,
	ClassOutputMissing: budgetModel,
	ClassTimedOut:      budgetModel,
	ClassLost:          budgetModel,

	ClassCancelled:     budgetFinal,
	ClassMisconfigured: budgetFinal,
	ClassInputsMissing: budgetFinal,
	ClassOverlap:       budgetFinal,
	ClassNothingToDo:   budgetFinal,
	ClassSucceeded:     budgetFinal,
}
