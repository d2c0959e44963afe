package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// The detail types of the announcements that are not about a run. Package run has the others.
const (
	AnnounceRejected = "Event Rejected"    // an event was rejected
	AnnouncePaused   = "Model Paused"      // a model was paused
	AnnounceResumed  = "Model Resumed"     // a model was resumed
	AnnounceOverdue  = "Model Run Overdue" // no run of a model has succeeded in time
)

// Announcement is an EventBridge event about a run, an event or a model. An announcement may be emitted more than once,
// each time with the same id in its detail. The sequence in the detail orders the announcements of one document.
type Announcement struct {
	DetailType string
	Detail     json.RawMessage // a RunDetail, EventDetail, ControlDetail or OverdueDetail
}

// RunDetail is the detail of an announcement about a run: a contract that other systems build on.
type RunDetail struct {
	ID         string         `json:"id"`       // the same whenever this announcement is repeated
	Sequence   int            `json:"sequence"` // orders the announcements of the run
	Deployment string         `json:"deployment"`
	Model      string         `json:"model"`
	Run        string         `json:"run"`
	State      run.State      `json:"state"`
	WaitingFor run.Wait       `json:"waitingFor,omitempty"` // empty unless the state is waiting
	Trigger    string         `json:"trigger"`
	Event      string         `json:"event"` // the identity of the event that started the run
	Attempt    int            `json:"attempt"`
	Outcome    *run.Outcome   `json:"outcome,omitempty"` // the outcome of the last attempt that ended
	Inputs     model.Inputs   `json:"inputs,omitempty"`  // the URI instead of the value for an external input
	Outputs    []model.Object `json:"outputs,omitempty"`
	Task       string         `json:"task,omitempty"` // the ARN of the last attempt's task
	Log        string         `json:"log,omitempty"`  // the URL of the log of that task
	Accepted   time.Time      `json:"accepted"`
	Ended      time.Time      `json:"ended,omitzero"`
}

// EventDetail is the detail of the announcement that an event was rejected.
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

// ControlDetail is the detail of the announcement that a model was paused or resumed.
type ControlDetail struct {
	ID         string    `json:"id"`
	Sequence   int       `json:"sequence"`
	Deployment string    `json:"deployment"`
	Model      string    `json:"model"`
	Paused     bool      `json:"paused"`
	Reason     string    `json:"reason,omitempty"`
	By         string    `json:"by,omitempty"`
	At         time.Time `json:"at"`
}

// OverdueDetail is the detail of the announcement that no run of a model has succeeded in time.
type OverdueDetail struct {
	ID          string    `json:"id"`
	Sequence    int       `json:"sequence"`
	Deployment  string    `json:"deployment"`
	Model       string    `json:"model"`
	Value       string    `json:"value,omitempty"` // the value of `expect.per`, for example eu, or region=eu,kind=daily
	By          time.Time `json:"by"`              // the deadline for a successful run
	LastSuccess time.Time `json:"lastSuccess,omitzero"`
}

// announcer builds and emits announcements. Each describes the document of its effect as it is stored now.
type announcer struct{ *Options }

// announceRun emits an announcement about a run. It emits none if there is nothing to announce any more: the run does
// not wait for what the effect says.
func (a announcer) announceRun(ctx context.Context, key store.Key, e run.AnnounceRun) error {
	r, _, err := records.Read[run.Run](ctx, a.Store, key)
	if err != nil || e.DetailType == run.AnnounceWaiting && (r.State != run.Waiting || r.WaitingFor != e.WaitingFor) {
		return err
	}
	spec, _, err := records.Read[run.Spec](ctx, a.Store, records.SpecKey(r.ID))
	if err != nil {
		return err
	}
	detail := RunDetail{
		ID: a.id(key, e), Sequence: e.Sequence, Deployment: a.Deployment, Model: r.Model, Run: r.ID,
		State: r.State, WaitingFor: r.WaitingFor, Trigger: r.Trigger, Event: spec.Event, Attempt: e.Attempt, Outcome: r.Outcome,
		Inputs: spec.Inputs, Outputs: spec.Task.Outputs, Task: r.Task.ARN, Accepted: r.Accepted, Ended: r.Ended,
	}
	if r.Task.ARN != "" && a.LogLink != nil {
		detail.Log = a.LogLink(r, spec.Task.Container)
	}
	return a.emit(ctx, e.DetailType, detail)
}

// announceRejection emits the announcement that an event was rejected.
func (a announcer) announceRejection(ctx context.Context, key store.Key, e run.AnnounceRejection) error {
	r, _, err := records.Read[records.EventRecord](ctx, a.Store, key)
	if err != nil {
		return err
	}
	return a.emit(ctx, AnnounceRejected, EventDetail{
		ID: a.id(key, e), Sequence: e.Sequence, Deployment: a.Deployment,
		Event: r.Identity, Kind: r.EventKind, Model: r.Model, Reason: r.Reason, Received: r.Received,
	})
}

// announcePause emits the announcement that a model was paused or resumed.
func (a announcer) announcePause(ctx context.Context, key store.Key, e run.AnnouncePause) error {
	c, _, err := records.Read[records.Control](ctx, a.Store, key)
	if err != nil {
		return err
	}
	detailType := AnnounceResumed
	if e.Paused {
		detailType = AnnouncePaused
	}
	return a.emit(ctx, detailType, ControlDetail{
		ID: a.id(key, e), Sequence: e.Sequence, Deployment: a.Deployment,
		Model: c.Model, Paused: e.Paused, Reason: c.Reason, By: c.By, At: c.At,
	})
}

// announceOverdue emits the announcement that no run of a model has succeeded in time.
func (a announcer) announceOverdue(ctx context.Context, key store.Key, e run.AnnounceOverdue) error {
	x, _, err := records.Read[records.Expectation](ctx, a.Store, key)
	if err != nil {
		return err
	}
	return a.emit(ctx, AnnounceOverdue, OverdueDetail{
		ID: a.id(key, e), Sequence: e.Sequence, Deployment: a.Deployment,
		Model: x.Model, Value: x.Value, By: e.ExpectedBy, LastSuccess: x.Success,
	})
}

// emit emits an announcement with a detail.
func (a announcer) emit(ctx context.Context, detailType string, detail any) error {
	announcement := Announcement{detailType, records.Encode(detail)}
	if err := a.Bus.Announce(ctx, announcement); err != nil {
		return fmt.Errorf("announcing %s: %w", detailType, err)
	}
	if a.Hooks.Announced != nil {
		a.Hooks.Announced(announcement)
	}
	return nil
}

// id returns the id of the announcement that an effect of a document asks for: the same whenever it is repeated, and
// another one for each different announcement.
func (a announcer) id(key store.Key, e run.Effect) string {
	return records.Hash(fmt.Sprintf("%s\x00%s\x00%s\x00%s\x00%s", a.Deployment, key.PK, key.SK, e.Kind(), records.Encode(e)))
}
