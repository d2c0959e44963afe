package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// shape is what a payload looks like.
type shape string

const (
	unknownShape      shape = "nothing that is known"
	bridgeShape       shape = "an EventBridge event"
	scheduleShape     shape = "a schedule's payload"
	notificationShape shape = "an S3 notification"
	snsShape          shape = "an SNS notification"
	queueShape        shape = "an SQS batch"
	testShape         shape = "S3's test event"
)

// shapeOf recognises a payload by the fields that only its kind has.
func shapeOf(payload []byte) shape {
	var p struct {
		Source     string
		DetailType *string `json:"detail-type"`
		Model      *string
		Event      string
		Type       string
		Message    *string
		Records    []struct {
			EventSource string // S3 and SQS; SNS writes EventSource, which is read as the same
		}
	}
	if what := notObject(payload); what != "" {
		return shape(what)
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return unknownShape // fields of other types than ours
	}
	switch {
	case p.Source == ScheduleSource:
		return scheduleShape
	case p.DetailType != nil:
		return bridgeShape
	case p.Event == "s3:TestEvent":
		return testShape
	case p.Type == "Notification" && p.Message != nil:
		return snsShape
	case len(p.Records) == 0:
		return unknownShape
	}
	switch p.Records[0].EventSource {
	case "aws:s3", "aws:sns":
		return notificationShape
	case "aws:sqs":
		return queueShape
	}
	return unknownShape
}

// notObject says what text is that is no JSON object; "" where it is one.
func notObject(text []byte) string {
	var v any
	err := json.Unmarshal(text, &v)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) && len(bytes.TrimSpace(text)) > 0 {
		before := text[:max(syntax.Offset-1, 0)]
		return fmt.Sprintf("invalid JSON at %d:%d: %v", 1+bytes.Count(before, []byte("\n")), len(before)-bytes.LastIndexByte(before, '\n'), err)
	}
	switch v.(type) {
	case map[string]any:
		return ""
	case []any:
		return "a list"
	case string:
		return "text"
	case float64:
		return "a number"
	case bool:
		return "a boolean"
	case nil:
		if err == nil {
			return "null"
		}
	}
	return "empty"
}

// Decoded is a payload of any kind that is known.
type Decoded struct {
	Function string // that gets it: schedule, arrival, message, event or completion
	Bridge   bool   // it comes over an EventBridge bus
	Events   []Event
	Task     *Task // of the completion function
}

// Decode decodes a payload of any kind that is known, by its shape.
func Decode(payload []byte) (Decoded, error) {
	switch s := shapeOf(payload); s {
	case scheduleShape:
		e, err := DecodeSchedule(payload)
		return Decoded{Function: "schedule", Events: []Event{e}}, err
	case bridgeShape:
		return decodeBridge(payload)
	case notificationShape, snsShape, testShape:
		all, err := DecodeArrival(payload)
		return Decoded{Function: "arrival", Events: all}, err
	case queueShape:
		return decodeQueue(payload)
	default:
		return Decoded{}, fmt.Errorf("it is %s: an EventBridge event, a schedule's payload, an S3 or SNS notification or an SQS batch is expected", s)
	}
}

func decodeBridge(payload []byte) (Decoded, error) {
	e, _, err := readEnvelope(payload)
	if err != nil {
		return Decoded{}, err
	}
	switch {
	case e.Source == "aws.s3" && e.DetailType == "Object Created":
		all, err := DecodeArrival(payload)
		return Decoded{Function: "arrival", Bridge: true, Events: all}, err
	case e.Source == "aws.ecs" && e.DetailType == "ECS Task State Change":
		t, err := DecodeTask(payload)
		return Decoded{Function: "completion", Bridge: true, Task: &t}, err
	default:
		other, err := DecodeBridge(payload)
		return Decoded{Function: "event", Bridge: true, Events: []Event{other}}, err
	}
}

func decodeQueue(payload []byte) (Decoded, error) {
	deliveries, err := DecodeMessages(payload)
	d := Decoded{Function: "message"}
	failed := []error{err}
	for _, delivery := range deliveries {
		d.Events = append(d.Events, delivery.Events...)
		failed = append(failed, delivery.Err)
	}
	return d, errors.Join(failed...)
}
