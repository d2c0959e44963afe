package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// Announcement is an EventBridge event about a run or an event. It may come more than once, each
// time with the same id in its detail; sequence orders those of one document.
type Announcement struct {
	DetailType string
	Detail     json.RawMessage
}

// RunDetail is the detail of an announcement about a run: a contract that other systems build on.
type RunDetail struct {
	ID         string         `json:"id"` // the same each time this announcement is repeated
	Sequence   int            `json:"sequence"`
	Deployment string         `json:"deployment"`
	Model      string         `json:"model"`
	Run        string         `json:"run"`
	State      run.State      `json:"state"`
	For        run.Wait       `json:"for,omitempty"` // what it waits for
	Trigger    string         `json:"trigger"`
	Event      string         `json:"event"` // identity of the event that started the run
	Attempt    int            `json:"attempt"`
	Outcome    *run.Outcome   `json:"outcome,omitempty"` // of the last attempt that ended
	Inputs     model.Inputs   `json:"inputs,omitempty"`
	Outputs    []model.Object `json:"outputs,omitempty"`
	Task       string         `json:"task,omitempty"` // ARN of the last attempt's
	Log        string         `json:"log,omitempty"`  // where the log of that task can be read
	Accepted   time.Time      `json:"accepted"`
	Ended      time.Time      `json:"ended,omitzero"`
}

// EventDetail is the detail of an announcement about an event that was rejected.
type EventDetail struct {
	ID         string     `json:"id"`
	Sequence   int        `json:"sequence"`
	Deployment string     `json:"deployment"`
	Event      string     `json:"event"`
	Kind       model.Kind `json:"kind"`
	Model      string     `json:"model,omitempty"`
	Reason     string     `json:"reason"`
	Received   time.Time  `json:"received"`
}

// announcement is what an effect of a document announces, as the document stands now. The zero Announcement is
// nothing any more.
func (d *Dispatcher) announcement(ctx context.Context, key store.Key, e run.Effect) (Announcement, error) {
	id, what := announcementID(d.Deployment, key, e), func(detail any) Announcement { return Announcement{e.What, encode(detail)} }
	switch kindOf(key) {
	case "event":
		r, _, err := Read[Record](ctx, d.Store, key)
		return what(EventDetail{
			ID: id, Sequence: e.Sequence, Deployment: d.Deployment, Event: r.Identity, Kind: r.Kind, Model: r.Model, Reason: r.Reason, Received: r.Received,
		}), err
	case "control":
		c, _, err := Read[Control](ctx, d.Store, key)
		return what(ControlDetail{
			ID: id, Sequence: e.Sequence, Deployment: d.Deployment, Model: c.Model, Paused: e.What == AnnouncePaused, Why: c.Why, By: c.By, At: c.At,
		}), err
	case "expect":
		x, _, err := Read[Expectation](ctx, d.Store, key)
		by, _ := time.Parse(time.RFC3339, e.Reason)
		return what(OverdueDetail{
			ID: id, Sequence: e.Sequence, Deployment: d.Deployment, Model: x.Model, Value: x.Value, By: by, LastSuccess: x.Success,
		}), err
	}
	r, _, err := Read[run.Run](ctx, d.Store, key)
	if err != nil || e.What == run.AnnounceWaiting && (r.State != run.Waiting || string(r.For) != e.Reason) {
		return Announcement{}, err // it does not wait for that any more
	}
	spec, _, err := Read[run.Spec](ctx, d.Store, SpecKey(r.ID))
	detail := RunDetail{
		ID: id, Sequence: e.Sequence, Deployment: d.Deployment,
		Model: r.Model, Run: r.ID, State: r.State, For: r.For, Trigger: r.Trigger, Event: spec.Event, Attempt: e.Attempt, Outcome: r.Outcome,
		Inputs: spec.Inputs, Outputs: spec.Task.Outputs, Task: r.Task.ARN, Accepted: r.Accepted, Ended: r.Ended,
	}
	if r.Task.ARN != "" && d.LogLink != nil {
		detail.Log = d.LogLink(r, spec.Task.Container)
	}
	return what(detail), err
}

// ControlDetail is the detail of an announcement about a model.
type ControlDetail struct {
	ID         string    `json:"id"`
	Sequence   int       `json:"sequence"`
	Deployment string    `json:"deployment"`
	Model      string    `json:"model"`
	Paused     bool      `json:"paused"`
	Why        string    `json:"why,omitempty"`
	By         string    `json:"by,omitempty"`
	At         time.Time `json:"at"`
}

// OverdueDetail is the detail of an announcement that no run has succeeded in time.
type OverdueDetail struct {
	ID          string    `json:"id"`
	Sequence    int       `json:"sequence"`
	Deployment  string    `json:"deployment"`
	Model       string    `json:"model"`
	Value       string    `json:"value,omitempty"` // of the input that the model's expect is per
	By          time.Time `json:"by"`              // when a run should have succeeded
	LastSuccess time.Time `json:"lastSuccess,omitzero"`
}

func announcementID(deployment string, key store.Key, e run.Effect) string {
	return hash(fmt.Sprintf("%s\x00%s\x00%s\x00%s\x00%d\x00%s", deployment, key.PK, key.SK, e.What, e.Attempt, e.Reason))
}
