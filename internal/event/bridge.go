package event

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"modeldispatch/internal/jsonread"
	"modeldispatch/internal/model"
)

// ScheduleSource is the source in the payload of every schedule that modeldispatch deploys.
const ScheduleSource = "modeldispatch.schedule"

// The source and the detail-type of the EventBridge events that S3 and ECS send.
const (
	SourceS3        = "aws.s3"
	ObjectCreated   = "Object Created"
	SourceECS       = "aws.ecs"
	TaskStateChange = "ECS Task State Change"
)

// envelope holds the fields that all EventBridge events have. Detail is an object. A schedule in EventBridge Scheduler
// that has no Input sends it as a string.
type envelope struct {
	ID         string
	DetailType string `json:"detail-type"`
	Source     string
	Time       time.Time
	Detail     json.RawMessage
}

// readEnvelope reads an EventBridge event. It also returns all fields of the event as decoded JSON.
func readEnvelope(payload []byte) (envelope, map[string]any, error) {
	fields, err := jsonread.Object(payload)
	if err != nil {
		return envelope{}, nil, fmt.Errorf("it is %w", err)
	}
	var e envelope
	if err := json.Unmarshal(payload, &e); err != nil {
		return envelope{}, nil, readError("reading an EventBridge event", err)
	}
	if e.Source == "" || e.DetailType == "" {
		return envelope{}, nil, errors.New("it is not an EventBridge event: source and detail-type are expected")
	}
	return e, fields, nil
}

// DecodeEventBridge decodes any EventBridge event. It returns an error if the payload has no source or no detail-type.
func DecodeEventBridge(payload []byte) (Event, error) {
	e, fields, err := readEnvelope(payload)
	if err != nil {
		return Event{}, err
	}
	if text, isText := fields[detailField].(string); isText {
		if detail, err := jsonread.Object([]byte(text)); err == nil {
			fields[detailField] = detail
		}
	}
	id := e.ID
	if id == "" {
		id = digest(payload)
	}
	return Event{
		Kind: model.Event, Identity: "event/" + id, ID: id, Time: e.Time, Source: e.Source, Fields: fields, Payload: asJSON(payload),
	}, nil
}

// schedulePayload is the Input of a schedule in EventBridge Scheduler.
type schedulePayload struct {
	Source    string    `json:"source"`
	Model     string    `json:"model"`
	Trigger   string    `json:"trigger"`
	Hash      string    `json:"hash"`
	Scheduled time.Time `json:"scheduled-time"`
	ARN       string    `json:"schedule-arn,omitempty"`
}

// SchedulePayload returns the payload that a schedule sends when it is due.
func SchedulePayload(s Scheduled) json.RawMessage {
	text, err := json.Marshal(schedulePayload{
		Source: ScheduleSource, Model: s.Model, Trigger: s.Trigger, Hash: s.Hash, Scheduled: s.Time.UTC(),
	})
	if err != nil {
		return json.RawMessage(`{}`) // only for a year after 9999, in which no schedule is due
	}
	return text
}

// DecodeSchedule decodes the payload of a schedule. The identity contains the hash of the trigger's content and the
// scheduled time. A changed trigger is therefore another event, and a repeated delivery is not. DecodeSchedule returns
// an error if the source of the payload is not ScheduleSource, or if the payload names no model, trigger or time.
func DecodeSchedule(payload []byte) (Event, error) {
	var s schedulePayload
	if err := json.Unmarshal(payload, &s); err != nil {
		return Event{}, readError("reading a schedule's payload", err)
	}
	if s.Source != ScheduleSource {
		return Event{}, fmt.Errorf("its source is %q, not %q: the schedule's Input must name model, trigger and scheduled-time",
			s.Source, ScheduleSource)
	}
	if s.Model == "" || s.Trigger == "" || s.Scheduled.IsZero() {
		return Event{}, errors.New("a schedule's payload must name model, trigger and scheduled-time")
	}
	at := s.Scheduled.UTC().Format(time.RFC3339)
	identity := fmt.Sprintf("schedule/%s/%s/%s/%s", s.Model, s.Trigger, s.Hash, at)
	return Event{
		Kind: model.Schedule, Identity: identity, ID: identity, Time: s.Scheduled, Source: s.Model,
		Schedule: &Scheduled{Model: s.Model, Trigger: s.Trigger, Hash: s.Hash, Time: s.Scheduled},
		Fields:   newTree(scheduleFields, s.Scheduled.UTC()),
		Payload:  asJSON(payload),
	}, nil
}

// digest returns a short hash of a text that has no identity of its own: the first 12 bytes of its SHA-256.
func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}
