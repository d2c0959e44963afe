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

// runAnnouncement returns the announcement that an AnnounceRun effect of a run asks for. It describes the run as it is
// stored now. It returns the zero Announcement if there is nothing to announce any more: the run does not wait for what
// the effect says.
func (d *Dispatcher) runAnnouncement(ctx context.Context, key store.Key, e run.AnnounceRun) (Announcement, error) {
	r, _, err := Read[run.Run](ctx, d.Store, key)
	if err != nil || e.DetailType == run.AnnounceWaiting && (r.State != run.Waiting || r.WaitingFor != e.WaitingFor) {
		return Announcement{}, err
	}
	spec, _, err := Read[run.Spec](ctx, d.Store, SpecKey(r.ID))
	detail := RunDetail{
		ID: announcementID(d.Deployment, key, e), Sequence: e.Sequence, Deployment: d.Deployment, Model: r.Model, Run: r.ID,
		State: r.State, WaitingFor: r.WaitingFor, Trigger: r.Trigger, Event: spec.Event, Attempt: e.Attempt, Outcome: r.Outcome,
		Inputs: spec.Inputs, Outputs: spec.Task.Outputs, Task: r.Task.ARN, Accepted: r.Accepted, Ended: r.Ended,
	}
	if r.Task.ARN != "" && d.LogLink != nil {
		detail.Log = d.LogLink(r, spec.Task.Container)
	}
	return Announcement{e.DetailType, encode(detail)}, err
}

// rejection returns the announcement that an event was rejected.
func (d *Dispatcher) rejection(ctx context.Context, key store.Key, e run.AnnounceRejection) (Announcement, error) {
	r, _, err := Read[EventRecord](ctx, d.Store, key)
	return Announcement{AnnounceRejected, encode(EventDetail{
		ID: announcementID(d.Deployment, key, e), Sequence: e.Sequence, Deployment: d.Deployment,
		Event: r.Identity, Kind: r.EventKind, Model: r.Model, Reason: r.Reason, Received: r.Received,
	})}, err
}

// pauseAnnouncement returns the announcement that a model was paused or resumed.
func (d *Dispatcher) pauseAnnouncement(ctx context.Context, key store.Key, e run.AnnouncePause) (Announcement, error) {
	c, _, err := Read[Control](ctx, d.Store, key)
	detailType := AnnounceResumed
	if e.Paused {
		detailType = AnnouncePaused
	}
	return Announcement{detailType, encode(ControlDetail{
		ID: announcementID(d.Deployment, key, e), Sequence: e.Sequence, Deployment: d.Deployment,
		Model: c.Model, Paused: e.Paused, Reason: c.Reason, By: c.By, At: c.At,
	})}, err
}

// overdue returns the announcement that no run of a model has succeeded in time.
func (d *Dispatcher) overdue(ctx context.Context, key store.Key, e run.AnnounceOverdue) (Announcement, error) {
	x, _, err := Read[Expectation](ctx, d.Store, key)
	return Announcement{AnnounceOverdue, encode(OverdueDetail{
		ID: announcementID(d.Deployment, key, e), Sequence: e.Sequence, Deployment: d.Deployment,
		Model: x.Model, Value: x.Value, By: e.ExpectedBy, LastSuccess: x.Success,
	})}, err
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

// announcementID returns the id of the announcement that an effect of a document asks for: the same whenever it is
// repeated, and another one for each different announcement.
func announcementID(deployment string, key store.Key, e run.Effect) string {
	return hash(fmt.Sprintf("%s\x00%s\x00%s\x00%s\x00%s", deployment, key.PK, key.SK, e.Kind(), encode(e)))
}
