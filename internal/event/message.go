package event

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"modeldispatch/internal/jsonread"
	"modeldispatch/internal/model"
)

// IdentityAttribute is the message attribute that holds the identity of the first message when a message is replayed.
const IdentityAttribute = "modeldispatch-identity"

// Delivery is one message of an SQS batch.
type Delivery struct {
	MessageID string
	Events    []Event // the arrivals in the message, or the message event itself
	Message   Event   // the message event, to record the message if Err is not nil
	Err       error   // the errors about the records that could not be read; Events holds the others
}

// DecodeMessages decodes an SQS batch. A body that S3 wrote gives arrivals, and any other body gives one message event.
// An error about one message is in its Delivery. DecodeMessages itself returns an error only if the payload is not an
// SQS batch.
func DecodeMessages(payload []byte) ([]Delivery, error) {
	var batch events.SQSEvent
	if err := json.Unmarshal(payload, &batch); err != nil {
		return nil, readError("reading an SQS batch", err)
	}
	if shapeOf(payload) != queueShape && len(batch.Records) > 0 {
		return nil, fmt.Errorf("it is %s, not an SQS batch", shapeOf(payload))
	}
	deliveries := make([]Delivery, len(batch.Records))
	for i, m := range batch.Records {
		deliveries[i] = decodeMessage(m)
	}
	return deliveries, nil
}

func decodeMessage(m events.SQSMessage) Delivery {
	d := Delivery{MessageID: m.MessageId, Message: newMessage(m)}
	inner, isArrival, err := arrivalsIn([]byte(m.Body))
	if isArrival {
		d.Events, d.Err = inner, err
	} else {
		d.Events = []Event{d.Message}
	}
	return d
}

// arrivalsIn decodes a body that S3 wrote, in any wrapping. It reports whether S3 wrote the body.
func arrivalsIn(body []byte) (all []Event, isArrival bool, err error) {
	switch shapeOf(unwrapSNS(body)) {
	case notificationShape, testShape:
		all, err = arrivalsFromNotification(body)
		return all, true, err
	case bridgeShape:
		if e, _, err := readEnvelope(body); err == nil && e.Source == SourceS3 {
			all, err = arrivalFromBridge(body)
			return all, true, err
		}
	}
	return nil, false, nil
}

// newMessage returns the event that a message was sent.
func newMessage(m events.SQSMessage) Event {
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
	content, fieldless := decodeBody(m.Body)
	return Event{
		Kind: model.Message, Identity: identity, ID: m.MessageId, Time: sentTime(m), Source: queue,
		Fields:         newTree(messageFields, messageContent{body: content, attributes: attributes, id: m.MessageId, queue: queue}),
		NoFieldsReason: fieldless,
		Payload:        singleBatch(m),
	}
}

// decodeBody returns the body of a message as decoded JSON, or as its text if it is not JSON. If the body is not a JSON
// object, decodeBody also returns why it has no fields.
func decodeBody(text string) (content any, fieldless string) {
	v, err := jsonread.Value([]byte(text))
	if err != nil {
		return text, fmt.Sprintf("the body is %v", err)
	}
	if _, err = jsonread.AsObject(v); err != nil {
		return v, fmt.Sprintf("the body is %v", err)
	}
	return v, ""
}

// sentTime returns when the message was sent, from the attribute SentTimestamp in milliseconds. It returns the zero
// time if the attribute is missing or not a number.
func sentTime(m events.SQSMessage) time.Time {
	ms, err := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// singleBatch returns an SQS batch that holds this message alone. It leaves out the receipt handle, which is used up by
// the time of a replay.
func singleBatch(m events.SQSMessage) json.RawMessage {
	m.ReceiptHandle = ""
	text, err := json.Marshal(events.SQSEvent{Records: []events.SQSMessage{m}})
	if err != nil {
		return asJSON([]byte(m.Body))
	}
	return text
}
