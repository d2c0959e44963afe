package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"modeldispatch/internal/model"
)

// IdentityAttribute is the message attribute in which a replayed message carries the identity
// that it had first.
const IdentityAttribute = "modeldispatch-identity"

// Delivery is one message of a batch: the events in it, and what of it could not be read.
type Delivery struct {
	MessageID string
	Events    []Event
	Message   Event // the message itself, for the record
	Err       error
}

// DecodeMessages decodes an SQS batch. A body that S3 wrote gives arrivals; any other is one
// message event. One bad message never takes others with it.
func DecodeMessages(payload []byte) ([]Delivery, error) {
	var batch events.SQSEvent
	if err := json.Unmarshal(payload, &batch); err != nil {
		return nil, fmt.Errorf("reading an SQS batch: %w", err)
	}
	if shapeOf(payload) != queueShape && len(batch.Records) > 0 {
		return nil, fmt.Errorf("it is %s, and not an SQS batch", shapeOf(payload))
	}
	deliveries := make([]Delivery, len(batch.Records))
	for i, m := range batch.Records {
		deliveries[i] = deliver(m)
	}
	return deliveries, nil
}

func deliver(m events.SQSMessage) Delivery {
	d := Delivery{MessageID: m.MessageId, Message: message(m)}
	inner, isArrival, err := arrivalsIn([]byte(m.Body))
	if isArrival {
		d.Events, d.Err = inner, err
	} else {
		d.Events = []Event{d.Message}
	}
	return d
}

// arrivalsIn decodes a body that S3 wrote, on any of its ways.
func arrivalsIn(body []byte) (all []Event, isArrival bool, err error) {
	switch shapeOf(unwrapSNS(body)) {
	case notificationShape, testShape:
		all, err = arrivals(body)
		return all, true, err
	case bridgeShape:
		if e, _, err := readEnvelope(body); err == nil && e.Source == "aws.s3" {
			all, err = arrivalOfBridge(body)
			return all, true, err
		}
	}
	return nil, false, nil
}

// message is the event that a message was sent. Its body is looked into where it is JSON.
func message(m events.SQSMessage) Event {
	queue := m.EventSourceARN[strings.LastIndexByte(m.EventSourceARN, ':')+1:]
	identity := "message/" + queue + "/" + m.MessageId
	attributes := map[string]any{}
	for name, a := range m.MessageAttributes {
		if a.StringValue != nil {
			attributes[name] = *a.StringValue
		}
	}
	if first, replayed := attributes[IdentityAttribute].(string); replayed && utf8.ValidString(first) && first != "" {
		identity = first
	}
	content, fieldless := body(m.Body)
	return Event{
		Kind: model.Message, Identity: identity, ID: m.MessageId, Time: sent(m), Source: queue,
		Fields: map[string]any{
			"body": content, "attribute": attributes,
			"message": map[string]any{"id": m.MessageId, "queue": queue},
		},
		Fieldless: fieldless,
		Payload:   record(m),
	}
}

// body is a message's body as decoded JSON, or as its text where it is none; and why it has no fields.
func body(text string) (content any, fieldless string) {
	v, err := decode([]byte(text))
	if err == nil {
		if what := notObject([]byte(text)); what != "" {
			return v, fmt.Sprintf("the body is %s, and no JSON object", what)
		}
		return v, ""
	}
	var syntax *json.SyntaxError
	switch {
	case strings.TrimSpace(text) == "":
		return text, "the body is empty"
	case errors.As(json.Unmarshal([]byte(text), new(any)), &syntax):
		return text, fmt.Sprintf("the body is not JSON: %v at byte %d", syntax, syntax.Offset)
	}
	return text, fmt.Sprintf("the body: %v", err)
}

// sent is when the message was sent, in its attributes in milliseconds.
func sent(m events.SQSMessage) time.Time {
	ms, err := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// record is the message as a batch of its own.
func record(m events.SQSMessage) json.RawMessage {
	m.ReceiptHandle = ""
	text, err := json.Marshal(events.SQSEvent{Records: []events.SQSMessage{m}})
	if err != nil {
		return asJSON([]byte(m.Body))
	}
	return text
}
