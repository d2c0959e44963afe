package model

import "time"

// DefaultTimeout is a run's timeout where the model names none. Fargate itself never stops a task.
const DefaultTimeout = time.Hour

// DefaultBrake is how many launches an hour a model may have that does not say: more look like a loop.
const DefaultBrake = 1000

// MaxWait is how long a run may go unlaunched after it left its line before it fails.
const MaxWait = 24 * time.Hour

// Policy is how a model's runs are treated. A run keeps the policy it was accepted with; only
// limits, overlap and pause are read live.
type Policy struct {
	Timeout     time.Duration   `json:"timeout,omitempty"` // of one attempt, from its launch; 0 is none
	Retry       Retry           `json:"retry"`
	ExitCodes   map[int]Verdict `json:"exitCodes,omitempty"`
	WaitFor     *WaitFor        `json:"waitFor,omitempty"`
	Debounce    *Debounce       `json:"debounce,omitempty"`
	Concurrency *Concurrency    `json:"concurrency,omitempty"`
	Expect      *Expect         `json:"expect,omitempty"`
	Brake       int             `json:"brake,omitempty"` // runs launched within an hour, from which on the model is paused; 0 is DefaultBrake
}

// Verdict is what an exit code means for a model, other than failure.
type Verdict string

const (
	VerdictSkipped Verdict = "skipped" // nothing was to be done: the run ends skipped
	VerdictRetry   Verdict = "retry"   // try again, charged to the infrastructure budget instead of the attempts
	VerdictFail    Verdict = "fail"    // never run it again
)

// Retry is how often a run is tried again, and when.
type Retry struct {
	Attempts    int           `json:"attempts"` // of failures of the model itself, the first included
	BackoffMin  time.Duration `json:"backoffMin,omitempty"`
	BackoffMax  time.Duration `json:"backoffMax,omitempty"`
	OutOfMemory *OutOfMemory  `json:"outOfMemory,omitempty"`
	TimedOut    bool          `json:"timedOut,omitempty"`
	Lost        bool          `json:"lost,omitempty"`
}

// OutOfMemory lets an attempt that ran out of memory be followed by a larger one.
type OutOfMemory struct {
	UpTo int `json:"upTo"` // MiB
}

// WaitFor are objects that must be there before a run is launched.
type WaitFor struct {
	Objects   []Template    `json:"objects"`
	NewerThan time.Duration `json:"newerThan,omitempty"`
	Timeout   time.Duration `json:"timeout,omitempty"`
}

// Debounce lets the events of one group become one run.
type Debounce struct {
	Quiet  time.Duration `json:"quiet"`
	AtMost time.Duration `json:"atMost"`
	Per    Template      `json:"per"`
}

// Concurrency is how many runs hold a place in a line at the same time.
type Concurrency struct {
	Limit   int      `json:"limit,omitempty"`
	Per     Template `json:"per"`
	Overlap Overlap  `json:"overlap,omitempty"`
	Pool    string   `json:"pool,omitempty"` // of the deployment, instead of the model's own limit
}

// Overlap is what becomes of a run whose line is full.
type Overlap string

const (
	OverlapQueue   Overlap = "queue"   // it waits
	OverlapSkip    Overlap = "skip"    // it ends skipped
	OverlapReplace Overlap = "replace" // the oldest holder is cancelled for the newest waiter
)

// Expect is when a model should have succeeded; it is announced when it has not.
type Expect struct {
	SuccessBy string `json:"successBy"` // cron()
	Timezone  string `json:"timezone,omitempty"`
	Per       string `json:"per,omitempty"` // an input with a closed set of values
}
