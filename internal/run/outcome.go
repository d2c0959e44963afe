package run

import "fmt"

// Class is a class of the failure taxonomy: why an attempt ended, or why RunTask started nothing.
type Class string

const (
	OK            Class = "succeeded"      // exit 0, and every declared output is there
	Throttled     Class = "throttled"      // RunTask was not answered, or asked us to slow down
	Capacity      Class = "capacity"       // no place for the task at this time
	Quota         Class = "quota"          // the account's limit of tasks or vCPUs
	ImagePull     Class = "image-pull"     // the image could not be pulled
	StartFailed   Class = "start-failed"   // the task stopped before its container ran
	Interrupted   Class = "interrupted"    // Spot or maintenance took the task away
	OutOfMemory   Class = "out-of-memory"  // the container was killed for its memory
	ModelError    Class = "model-error"    // the container exited with something other than 0
	OutputMissing Class = "output-missing" // exit 0, and a declared output is not there
	TimedOut      Class = "timed-out"      // over its timeout: we stopped it
	Stopped       Class = "cancelled"      // stopped by hand, replaced, or by someone else
	Lost          Class = "lost"           // ECS no longer knows the task and no event came
	Misconfigured Class = "misconfigured"  // will never start as it is
	InputsMissing Class = "inputs-missing" // wait-for was not there in time
	Overlap       Class = "overlap"        // its line was taken, and its model does not wait
	NothingToDo   Class = "nothing-to-do"  // an exit code that is declared as skipped
	Unknown       Class = "unknown"        // anything else, with its raw text
)

// Outcome is why an attempt ended.
type Outcome struct {
	Class     Class  `json:"class"`
	Detail    string `json:"detail,omitempty"`
	ExitCode  *int   `json:"exitCode,omitempty"`  // nil when the container never reported one
	Permanent bool   `json:"permanent,omitempty"` // trying again would not help
}

func (o Outcome) String() string {
	if o.Detail == "" {
		return string(o.Class)
	}
	return fmt.Sprintf("%s: %s", o.Class, o.Detail)
}

// charge is what an attempt of this class is charged to.
type charge int

const (
	free           charge = iota // never counts
	infrastructure               // the infrastructure budget
	attempts                     // retry.attempts
	final                        // never tried again
)

// charges is the column of the taxonomy that says who pays for another attempt.
var charges = map[Class]charge{
	Throttled: free, Capacity: free, Quota: free,
	ImagePull: infrastructure, StartFailed: infrastructure, Interrupted: infrastructure, Unknown: infrastructure,
	OutOfMemory: attempts, ModelError: attempts, OutputMissing: attempts, TimedOut: attempts, Lost: attempts,
	Stopped: final, Misconfigured: final, InputsMissing: final, Overlap: final, NothingToDo: final, OK: final,
}

// NoPlace says that ECS had no place for the task: the run waits at a gate.
func (c Class) NoPlace() bool { return c == Capacity || c == Quota }

// SameToken says that after a refusal of this class RunTask must be called again with the same
// token: a task may have been started all the same.
func (c Class) SameToken() bool { return c == Throttled }
