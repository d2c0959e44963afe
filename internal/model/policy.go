package model

import "time"

// DefaultTimeout is the timeout of a model that declares none. Fargate itself never stops a task that runs too long.
const DefaultTimeout = time.Hour

// DefaultMaxLaunchesPerHour is the loop guard of a model that declares none. More launches in a clock hour look like a
// loop, such as a model that starts itself.
const DefaultMaxLaunchesPerHour = 1000

// MaxWait is the longest time that a run may be ready for its launch without an attempt. The run then fails. The time
// starts when the run has its slot, and again after each attempt that used a retry budget or got a larger size.
const MaxWait = 24 * time.Hour

// Policy holds the rules for a model's runs. A run keeps the policy that it was accepted with; only limits, overlap
// and pause are read live.
type Policy struct {
	Timeout     time.Duration          `json:"timeout,omitempty"` // limit of one attempt, counted from its last RunTask call; 0 is none
	Retry       Retry                  `json:"retry"`
	ExitCodes   map[int]ExitCodeAction `json:"exitCodes,omitempty"` // a code that is not listed is a failure
	WaitFor     *WaitFor               `json:"waitFor,omitempty"`
	Debounce    *Debounce              `json:"debounce,omitempty"`
	Concurrency *Concurrency           `json:"concurrency,omitempty"`
	Expect      *Expect                `json:"expect,omitempty"`
	// MaxLaunchesPerHour is the loop guard: a model is paused if more new runs than this would be launched within a
	// clock hour. Retries do not count. 0 stands for DefaultMaxLaunchesPerHour.
	MaxLaunchesPerHour int `json:"maxLaunchesPerHour,omitempty"`
}

// ExitCodeAction is the action for an exit code that the policy lists.
type ExitCodeAction string

const (
	ExitCodeSkip  ExitCodeAction = "skip"  // there was nothing to do: the run ends as skipped
	ExitCodeRetry ExitCodeAction = "retry" // another attempt, which uses the infrastructure budget
	ExitCodeFail  ExitCodeAction = "fail"  // the run fails without another attempt
)

// Retry holds the rules for another attempt after a failure of the model itself. Package run lists the classes of
// failure and their retry budgets.
type Retry struct {
	Attempts    int           `json:"attempts"`             // number of failures with which the run fails; 0 is 1
	BackoffMin  time.Duration `json:"backoffMin,omitempty"` // first delay; 0 is none
	BackoffMax  time.Duration `json:"backoffMax,omitempty"` // longest delay; less than BackoffMin is BackoffMin
	OutOfMemory *OutOfMemory  `json:"outOfMemory,omitempty"`
	TimedOut    bool          `json:"timedOut,omitempty"` // also retry an attempt that timed out
	Lost        bool          `json:"lost,omitempty"`     // also retry an attempt whose task is lost and may have succeeded
}

// OutOfMemory lets a larger attempt follow an attempt that ran out of memory.
type OutOfMemory struct {
	MaxMemory int `json:"maxMemory"` // MiB
}

// WaitFor names S3 objects that must exist before a run is launched.
type WaitFor struct {
	Objects []Template    `json:"objects"`
	MaxAge  time.Duration `json:"maxAge,omitempty"`  // greatest age of an object when the run is accepted; 0 is any
	Timeout time.Duration `json:"timeout,omitempty"` // 0 is run.DefaultObjectsTimeout
}

// Debounce lets the events within a window become one run.
type Debounce struct {
	Quiet    time.Duration `json:"quiet"`    // the window closes after this time without an event
	MaxDelay time.Duration `json:"maxDelay"` // the window closes this long after its first event; 0 is never
	// Per names the inputs whose values tell windows apart. nil stands for all inputs.
	Per Per `json:"per"`
}

// Concurrency limits the runs that hold a slot in a concurrency group at the same time, by a limit or by a pool.
type Concurrency struct {
	Limit   int     `json:"limit,omitempty"`
	Per     Per     `json:"per"` // inputs whose values tell groups apart; none is one group for all runs
	Overlap Overlap `json:"overlap,omitempty"`
	Pool    string  `json:"pool,omitempty"` // name of a pool of the project, which several models share
}

// Overlap is the action for a run whose concurrency group is full.
type Overlap string

const (
	OverlapQueue   Overlap = "queue"   // the run waits for a slot
	OverlapSkip    Overlap = "skip"    // the run ends as skipped
	OverlapReplace Overlap = "replace" // the oldest holder is cancelled for the newest run; runs in between are skipped
)

// Expect names the times by which a run of the model must have succeeded. If none has, "Model Run Overdue" is
// announced.
type Expect struct {
	SuccessBy string `json:"successBy"`          // cron()
	Timezone  string `json:"timezone,omitempty"` // IANA time zone; "" is UTC
	Per       Per    `json:"per,omitempty"`      // inputs with an enum: a success is expected for each combination
}
