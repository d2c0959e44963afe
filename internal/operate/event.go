package operate

import (
	"encoding/json"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
)

// Decision is the view of the result of an event for a model.
type Decision struct {
	Event       string               `json:"event"` // identity
	Kind        model.Kind           `json:"kind"`
	Model       string               `json:"model,omitempty"`
	Combination string               `json:"combination,omitempty"`
	Decision    records.DecisionKind `json:"decision"`
	Run         string               `json:"run,omitempty"` // id
	Reason      string               `json:"reason,omitempty"`
}

// Event is the view of the record of an event for a model.
type Event struct {
	Event       string               `json:"event"` // identity
	Kind        model.Kind           `json:"kind"`
	Source      string               `json:"source,omitempty"`
	Model       string               `json:"model,omitempty"`
	Combination string               `json:"combination,omitempty"`
	Decision    records.DecisionKind `json:"decision"`
	Run         string               `json:"run,omitempty"` // id
	Reason      string               `json:"reason,omitempty"`
	Time        time.Time            `json:"time,omitzero"`
	Received    time.Time            `json:"received"`
	Duplicates  int                  `json:"duplicates,omitempty"`
	Payload     json.RawMessage      `json:"payload,omitempty"`
	PayloadURI  string               `json:"payloadUri,omitempty"`
}

// Pause tells whether a model is paused.
type Pause struct {
	Model  string    `json:"model"`
	Paused bool      `json:"paused"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// NewDecision returns the view of a decision about the event with this identity and kind.
func NewDecision(identity string, kind model.Kind, d records.Decision) Decision {
	return Decision{
		Event: identity, Kind: kind, Model: d.Model, Combination: d.Combination, Decision: d.Kind, Run: d.Run, Reason: d.Reason,
	}
}

// NewPause returns the view of a model's control document.
func NewPause(c records.Control) Pause {
	return Pause{Model: c.Model, Paused: c.Paused, Reason: c.Reason, By: c.By, At: c.At.UTC()}
}

func newEvent(r records.EventRecord) Event {
	d := r.Decision
	return Event{
		Event: r.Identity, Kind: r.EventKind, Source: r.Source, Model: d.Model, Combination: d.Combination, Decision: d.Kind,
		Run: d.Run, Reason: d.Reason, Time: r.Time.UTC(), Received: r.Received.UTC(), Duplicates: r.Duplicates,
		Payload: r.Payload, PayloadURI: r.PayloadURI,
	}
}
