package records

import (
	"encoding/json"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
)

// DecisionKind names the result of an event for a model.
type DecisionKind string

const (
	Started   DecisionKind = "started"   // the event has a run of its own
	Joined    DecisionKind = "joined"    // the event joined the run of an open debounce window
	Duplicate DecisionKind = "duplicate" // the event was delivered before, and has a decision already
	Rejected  DecisionKind = "rejected"  // the event cannot be used; it is recorded with its payload, for replay
	Awaited   DecisionKind = "awaited"   // no model matches the event, but a run waits for its object
	Unmatched DecisionKind = "unmatched" // no model matches the event
)

// Decision is the result of an event for a model, with its reason.
type Decision struct {
	Model       string       `json:"model,omitempty"`       // empty if no model matches the event
	Combination string       `json:"combination,omitempty"` // the for-each values, for example region=us
	Kind        DecisionKind `json:"decision"`
	Run         string       `json:"run,omitempty"`    // the id of the run that was started or joined
	Reason      string       `json:"reason,omitempty"` // empty for a run that was started or joined
}

// EventRecord is the document of an event. An event has one for each model and combination of for-each values that it
// concerns. It makes a second delivery of the event a duplicate.
type EventRecord struct {
	Schema    int        `json:"schema"`
	Identity  string     `json:"identity"` // the same for each delivery of the event
	EventKind model.Kind `json:"kind"`
	Source    string     `json:"source,omitempty"`
	Decision
	Time       time.Time       `json:"time"`                 // the time of the event
	Received   time.Time       `json:"received"`             // the time of its first delivery
	Payload    json.RawMessage `json:"payload,omitempty"`    // empty if PayloadURI is set
	PayloadURI string          `json:"payloadUri,omitempty"` // the object in the state bucket that holds a large payload
	Duplicates int             `json:"duplicates,omitempty"` // the number of deliveries after the first
	Sequence   int             `json:"sequence,omitempty"`   // the number of the last announcement about the event
	Outbox     run.Outbox      `json:"outbox,omitzero"`
}

// Holders is the document of a concurrency group: the set of the runs that hold a slot. A set, unlike a count, stays
// right when a slot is given back twice.
type Holders struct {
	Schema  int      `json:"schema"`
	Holders []string `json:"holders"` // run ids, in the order in which they got their slots
}

// Waiter is the document of a run that waits. Its partition is that of the concurrency group, the breaker or the object
// that the run waits for.
type Waiter struct {
	Schema int    `json:"schema"`
	Run    string `json:"run"`
}

// Window is the document of a debounce window: it names the last run that was opened for its key. The run itself
// decides whether the window is open: more events can join the run as long as it waits for them (run.ForDebounce).
type Window struct {
	Schema int    `json:"schema"`
	Run    string `json:"run"`
}

// Control is the document of a model that was paused, by a user or by the loop guard, or resumed.
type Control struct {
	Schema   int         `json:"schema"`
	Model    string      `json:"model"`
	Paused   bool        `json:"paused"`
	Reason   string      `json:"reason,omitempty"`   // why the model is paused
	By       string      `json:"by,omitempty"`       // the user of the last pause or resume, or max-launches-per-hour
	At       time.Time   `json:"at,omitzero"`        // the time of the last pause or resume
	Groups   []run.Group `json:"groups,omitempty"`   // the concurrency groups in which runs wait because of the pause
	Sequence int         `json:"sequence,omitempty"` // the number of pauses and resumes so far
	Outbox   run.Outbox  `json:"outbox,omitzero"`
}

// Expectation is the document of a model's `expect`, for one value of its `per`. The model promises a success by each
// time of a cron schedule.
type Expectation struct {
	Schema   int        `json:"schema"`
	Model    string     `json:"model"`
	Value    string     `json:"value,omitempty"`    // the value of `per`, for example eu, or region=eu,kind=daily
	From     time.Time  `json:"from"`               // the last promised time that has passed: a success counts from here
	Success  time.Time  `json:"success,omitzero"`   // the time of the last success
	Overdue  time.Time  `json:"overdue,omitzero"`   // the last promised time without a success
	Sequence int        `json:"sequence,omitempty"` // the number of announcements so far
	Outbox   run.Outbox `json:"outbox,omitzero"`
}

// Limiter is the one document that all launchers share. It holds the launch rate, the capacity breakers and the counts
// of the loop guard.
type Limiter struct {
	Schema int       `json:"schema"`
	Next   time.Time `json:"next"` // the time of the next free reservation
	// Breakers holds the open breakers. The value is the time of the next probe.
	Breakers map[model.Capacity]time.Time `json:"breakers,omitempty"`
	Hour     time.Time                    `json:"hour"` // the start of the hour that Launches counts
	// Launches counts the runs of each model that were launched in this clock hour. A count above the limit marks a model
	// that the loop guard has paused. It stays in the next hour, until the model is resumed.
	Launches map[string]int `json:"launches,omitempty"`
}
