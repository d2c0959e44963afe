package event

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"modeldispatch/internal/model"
)

// ScheduleSource is the source of what our schedules send.
const ScheduleSource = "modeldispatch.schedule"

// envelope is EventBridge's. Detail is an object, except that EventBridge Scheduler without an
// Input sends it as a string.
type envelope struct {
	ID         string
	DetailType string `json:"detail-type"`
	Source     string
	Time       time.Time
	Detail     json.RawMessage
}

func readEnvelope(payload []byte) (envelope, map[string]any, error) {
	fields, err := object(payload)
	if err != nil {
		return envelope{}, nil, err
	}
	var e envelope
	if err := json.Unmarshal(payload, &e); err != nil {
		return envelope{}, nil, unread("reading an EventBridge event", err)
	}
	if e.Source == "" || e.DetailType == "" {
		return envelope{}, nil, errors.New("it is not an EventBridge event: source and detail-type are expected")
	}
	return e, fields, nil
}

// DecodeBridge decodes any EventBridge event.
func DecodeBridge(payload []byte) (Event, error) {
	e, fields, err := readEnvelope(payload)
	if err != nil {
		return Event{}, err
	}
	if text, isText := fields["detail"].(string); isText {
		if detail, err := object([]byte(text)); err == nil {
			fields["detail"] = detail
		}
	}
	id := e.ID
	if id == "" {
		id = digest(payload)
	}
	return Event{Kind: model.Event, Identity: "event/" + id, ID: id, Time: e.Time, Source: e.Source, Fields: fields, Payload: asJSON(payload)}, nil
}

// schedule is what our schedules send: the Input of an EventBridge Scheduler schedule.
type schedule struct {
	Source    string    `json:"source"`
	Model     string    `json:"model"`
	Trigger   string    `json:"trigger"`
	Hash      string    `json:"hash"`
	Scheduled time.Time `json:"scheduled-time"`
	ARN       string    `json:"schedule-arn,omitempty"`
}

// SchedulePayload is what a schedule sends when it is due.
func SchedulePayload(s Scheduled) json.RawMessage {
	text, err := json.Marshal(schedule{Source: ScheduleSource, Model: s.Model, Trigger: s.Trigger, Hash: s.Hash, Scheduled: s.Time.UTC()})
	if err != nil {
		return json.RawMessage(`{}`) // a year beyond 9999: no schedule fires then
	}
	return text
}

// DecodeSchedule decodes what our schedules send. Its identity is the trigger's content and the
// scheduled time, so that a changed schedule is another one, and a repeated delivery is not.
func DecodeSchedule(payload []byte) (Event, error) {
	var s schedule
	if err := json.Unmarshal(payload, &s); err != nil {
		return Event{}, unread("reading a schedule's payload", err)
	}
	if s.Source != ScheduleSource {
		return Event{}, fmt.Errorf("its source is %q, and not %q: the schedule's Input must name model, trigger and scheduled-time", s.Source, ScheduleSource)
	}
	if s.Model == "" || s.Trigger == "" || s.Scheduled.IsZero() {
		return Event{}, errors.New("a schedule's payload must name model, trigger and scheduled-time")
	}
	at := s.Scheduled.UTC().Format(time.RFC3339)
	identity := fmt.Sprintf("schedule/%s/%s/%s/%s", s.Model, s.Trigger, s.Hash, at)
	return Event{
		Kind: model.Schedule, Identity: identity, ID: identity, Time: s.Scheduled, Source: s.Model,
		Schedule: &Scheduled{Model: s.Model, Trigger: s.Trigger, Hash: s.Hash, Time: s.Scheduled},
		Fields:   map[string]any{"scheduled": map[string]any{"time": at}},
		Payload:  asJSON(payload),
	}, nil
}

// digest is a short hash of what has no identity of its own.
func digest(payload []byte) string {
	sum := sha256.Sum256(payload)
	return hex.EncodeToString(sum[:12])
}
