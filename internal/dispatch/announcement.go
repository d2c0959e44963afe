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
	DetailRejected = "Event Rejected"    // an event was rejected
	DetailPaused   = "Model Paused"      // a model was paused
	DetailResumed  = "Model Resumed"     // a model was resumed
	DetailOverdue  = "Model Run Overdue" // no run of a model has succeeded in time
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

// announceRun emits an announcement about a run.
func (a announcer) announceRun(ctx context.Context, key store.Key, e run.AnnounceRun) error {
	r, _, err := records.Read[run.Run](ctx, a.Store, key)
	if err != nil {
		return err
	}
	return a.emitRun(ctx, e.DetailType, RunDetail{ID: a.id(key, e), Sequence: e.Sequence, Attempt: e.Attempt}, r)
}

// announceWait emits the announcement that a run waits. It emits none if the run does not wait any more.
func (a announcer) announceWait(ctx context.Context, key store.Key, e run.AnnounceWait) error {
	r, _, err := records.Read[run.Run](ctx, a.Store, key)
	if err != nil || r.State != run.Waiting || r.WaitingFor != e.WaitingFor {
		return err
	}
	return a.emitRun(ctx, run.DetailWaiting, RunDetail{ID: a.id(key, e), Sequence: e.Sequence, Attempt: e.Attempt}, r)
}

// emitRun emits an announcement about a run. The given detail has the fields of the effect.
func (a announcer) emitRun(ctx context.Context, detailType string, detail RunDetail, r run.Run) error {
	spec, _, err := records.Read[run.Spec](ctx, a.Store, records.SpecKey(r.ID))
	if err != nil {
		return err
	}
	detail.Deployment, detail.Model, detail.Run, detail.Trigger, detail.Event = a.Deployment, r.Model, r.ID, r.Trigger, spec.Event
	detail.State, detail.WaitingFor, detail.Outcome, detail.Task = r.State, r.WaitingFor, r.Outcome, r.Task.ARN
	detail.Inputs, detail.Outputs, detail.Accepted, detail.Ended = spec.Inputs, spec.Task.Outputs, r.Accepted, r.Ended
	if r.Task.ARN != "" && a.LogLink != nil {
		detail.Log = a.LogLink(r, spec.Task.Container)
	}
	return a.emit(ctx, detailType, detail)
}

// announceRejection emits the announcement that an event was rejected.
func (a announcer) announceRejection(ctx context.Context, key store.Key, e run.AnnounceRejection) error {
	r, _, err := records.Read[records.EventRecord](ctx, a.Store, key)
	if err != nil {
		return err
	}
	return a.emit(ctx, DetailRejected, EventDetail{
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
	detailType := DetailResumed
	if e.Paused {
		detailType = DetailPaused
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
	return a.emit(ctx, DetailOverdue, OverdueDetail{
		ID: a.id(key, e), Sequence: e.Sequence, Deployment: a.Deployment,
		Model: x.Model, Value: x.Value, By: e.ExpectedBy, LastSuccess: x.Success,
	})
}

// emit emits an announcement with a detail.
func (a announcer) emit(ctx context.Context, detailType string, detail any) error {
	announcement := Announcement{detailType, records.Encode(detail)}
	if err := a.Bus.Announce(ctx, announcement); err != nil {
		return err
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
