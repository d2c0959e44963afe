package operate

import (
	"strconv"

	"modeldispatch/internal/model"
)

// Policy is the view of the rules that a run was accepted with. It leaves out the rules that modeldispatch reads from
// the deployed model: concurrency, expect and max-launches-per-hour.
type Policy struct {
	TimeoutSeconds float64                         `json:"timeoutSeconds,omitempty"` // 0 is none
	Retry          Retry                           `json:"retry"`
	ExitCodes      map[string]model.ExitCodeAction `json:"exitCodes,omitempty"`
	WaitFor        *WaitFor                        `json:"waitFor,omitempty"`
	Debounce       *Debounce                       `json:"debounce,omitempty"`
}

// Retry is the view of the rules for another attempt.
type Retry struct {
	Attempts          int          `json:"attempts"` // at least 1
	BackoffMinSeconds float64      `json:"backoffMinSeconds,omitempty"`
	BackoffMaxSeconds float64      `json:"backoffMaxSeconds,omitempty"`
	OutOfMemory       *OutOfMemory `json:"outOfMemory,omitempty"`
	TimedOut          bool         `json:"timedOut,omitempty"`
	Lost              bool         `json:"lost,omitempty"`
}

// OutOfMemory is the view of the rule that raises the memory of a task.
type OutOfMemory struct {
	MaxMemoryMiB int `json:"maxMemoryMiB"`
}

// WaitFor is the view of the rules for the objects that a run waits for.
type WaitFor struct {
	MaxAgeSeconds  float64 `json:"maxAgeSeconds,omitempty"`  // 0 is any age
	TimeoutSeconds float64 `json:"timeoutSeconds,omitempty"` // 0 is the default
}

// Debounce is the view of the rules for a debounce window.
type Debounce struct {
	QuietSeconds    float64  `json:"quietSeconds"`
	MaxDelaySeconds float64  `json:"maxDelaySeconds,omitempty"` // 0 is never
	Per             []string `json:"per,omitzero"`              // nil stands for all inputs, empty for one window
}

func newPolicy(p model.Policy) *Policy {
	v := &Policy{TimeoutSeconds: p.Timeout.Seconds(), Retry: newRetry(p.Retry)}
	for code, action := range p.ExitCodes {
		if v.ExitCodes == nil {
			v.ExitCodes = map[string]model.ExitCodeAction{}
		}
		v.ExitCodes[strconv.Itoa(code)] = action
	}
	if w := p.WaitFor; w != nil {
		v.WaitFor = &WaitFor{MaxAgeSeconds: w.MaxAge.Seconds(), TimeoutSeconds: w.Timeout.Seconds()}
	}
	if d := p.Debounce; d != nil {
		v.Debounce = &Debounce{QuietSeconds: d.Quiet.Seconds(), MaxDelaySeconds: d.MaxDelay.Seconds(), Per: d.Per}
	}
	return v
}

func newRetry(r model.Retry) Retry {
	v := Retry{Attempts: max(r.Attempts, 1), TimedOut: r.TimedOut, Lost: r.Lost}
	if r.BackoffMin > 0 {
		v.BackoffMinSeconds, v.BackoffMaxSeconds = r.BackoffMin.Seconds(), max(r.BackoffMin, r.BackoffMax).Seconds()
	}
	if r.OutOfMemory != nil {
		v.OutOfMemory = &OutOfMemory{MaxMemoryMiB: r.OutOfMemory.MaxMemory}
	}
	return v
}
