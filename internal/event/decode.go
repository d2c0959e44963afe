package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"modeldispatch/internal/jsonread"
)

// shape is the kind of a payload, as a noun phrase for error texts.
type shape string

const (
	unknownShape      shape = "a JSON object of an unknown kind"
	bridgeShape       shape = "an EventBridge event"
	scheduleShape     shape = "a schedule's payload"
	notificationShape shape = "an S3 notification"
	snsShape          shape = "an SNS notification"
	queueShape        shape = "an SQS batch"
	testShape         shape = "S3's test event"
)

// shapeOf recognizes a payload by the fields that only its kind has. For a payload that is not a JSON object it returns
// a description, such as "a list".
func shapeOf(payload []byte) shape {
	var p struct {
		Source     string
		DetailType *string `json:"detail-type"`
		Model      *string
		Event      string
		Type       string
		Message    *string
		Records    []struct {
			EventSource string // S3 and SQS write eventSource, SNS writes EventSource; encoding/json ignores the case
		}
	}
	if other := describeNonObject(payload); other != "" {
		return shape(other)
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return unknownShape // a field has a different type from that in AWS's payloads
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

// describeNonObject describes a text that is not a JSON object. It returns "" for a JSON object.
func describeNonObject(text []byte) string {
	v, err := jsonread.Value(text)
	var at *jsonread.Error
	switch {
	case errors.As(err, &at):
		return fmt.Sprintf("invalid JSON at %d:%d: %v", at.Line, at.Column, at.Cause)
	case err != nil:
		return err.Error()
	}
	if _, isObject := v.(map[string]any); isObject {
		return ""
	}
	return jsonread.Kind(v)
}

// readError returns the error for a payload that cannot be read. If a time cannot be parsed, the error names the format
// that AWS uses. The text of package time would show Go's reference layout instead.
func readError(doing string, err error) error {
	if t := (*time.ParseError)(nil); errors.As(err, &t) {
		text := strings.Trim(t.Value, `"`)
		return fmt.Errorf("%s: %s is not a time; RFC 3339 is expected, such as 2026-01-05T06:00:00Z", doing, strconv.Quote(text))
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Decoded is the result of decoding a payload of any known kind.
type Decoded struct {
	Function       string  // the function that takes it: schedule, arrival, message, event or completion; empty if unknown
	ViaEventBridge bool    // whether it comes over an EventBridge bus
	Events         []Event // empty for an ECS task state change
	Task           *Task   // the task of an ECS task state change; otherwise nil
}

// Decode recognizes a payload by its shape and decodes it. It returns an error if the shape is unknown. If a part of
// the payload cannot be read, it returns an error together with the events that it could decode.
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
		return Decoded{}, fmt.Errorf("it is %s: an EventBridge event, a schedule's payload, "+
			"an S3 or SNS notification or an SQS batch is expected", s)
	}
}

func decodeBridge(payload []byte) (Decoded, error) {
	e, _, err := readEnvelope(payload)
	if err != nil {
		return Decoded{}, err
	}
	switch {
	case e.Source == SourceS3 && e.DetailType == ObjectCreated:
		all, err := DecodeArrival(payload)
		return Decoded{Function: "arrival", ViaEventBridge: true, Events: all}, err
	case e.Source == SourceECS && e.DetailType == TaskStateChange:
		t, err := DecodeTask(payload)
		return Decoded{Function: "completion", ViaEventBridge: true, Task: &t}, err
	default:
		other, err := DecodeEventBridge(payload)
		return Decoded{Function: "event", ViaEventBridge: true, Events: []Event{other}}, err
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
