package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"modeldispatch/internal/model"
)

// notification is the payload that S3 sends to SNS, SQS and Lambda. SNS invokes Lambda with a payload of the same form,
// in which each record holds an S3 notification as text.
type notification struct {
	Event   string // s3:TestEvent in the test that S3 sends once, when notifications are turned on
	Records []notificationRecord
}

type notificationRecord struct {
	EventSource string
	EventName   string // for example ObjectCreated:Put, without the prefix s3: that AWS's documentation has
	EventTime   time.Time
	S3          struct {
		Bucket struct{ Name string }
		Object struct {
			Key       string // form-encoded: "a b" is written a+b, and "+" is written %2B
			Size      int64
			ETag      string
			VersionID string
			Sequencer string
		}
	}
	SNS *struct{ Message string } // set when SNS invokes Lambda
}

// objectCreated is the detail of EventBridge's Object Created event. Its key is not encoded.
type objectCreated struct {
	Bucket struct{ Name string }
	Object struct {
		Key       string
		Size      int64
		ETag      string
		VersionID string `json:"version-id"`
		Sequencer string
	}
}

// DecodeArrival decodes a payload that reports new S3 objects: an EventBridge event, or an S3 notification that comes
// directly, through SNS, through SQS, or through SNS and SQS. Other reports of S3, such as a test or a deletion, give
// no event and no error. If some records cannot be read, DecodeArrival returns the events of the others and an error.
func DecodeArrival(payload []byte) ([]Event, error) {
	shape := shapeOf(payload)
	switch shape {
	case bridgeShape:
		return arrivalFromBridge(payload)
	case notificationShape, snsShape, testShape:
		return arrivalsFromNotification(payload)
	case queueShape:
		return arrivalsFromQueue(payload)
	}
	return nil, fmt.Errorf("it is %s, not an S3 event: EventBridge's Object Created or an S3 notification is expected", shape)
}

func arrivalFromBridge(payload []byte) ([]Event, error) {
	envelope, _, err := readEnvelope(payload)
	if err != nil {
		return nil, err
	}
	if envelope.Source != SourceS3 {
		return nil, fmt.Errorf("it is a %q event of source %q, not of aws.s3", envelope.DetailType, envelope.Source)
	}
	if envelope.DetailType != ObjectCreated {
		return nil, nil
	}
	var detail objectCreated
	if err := json.Unmarshal(envelope.Detail, &detail); err != nil {
		return nil, readError("reading the detail of an Object Created event", err)
	}
	e, err := newArrival(Object{
		ObjectURI: model.ObjectURI{Bucket: detail.Bucket.Name, Key: detail.Object.Key}, ETag: detail.Object.ETag,
		VersionID: detail.Object.VersionID, Sequencer: detail.Object.Sequencer, Size: detail.Object.Size,
	}, envelope.Time, envelope.ID)
	e.Payload = asJSON(payload)
	return []Event{e}, err
}

// arrivalsFromNotification decodes an S3 notification, alone or in an SNS envelope. It skips the records that it cannot
// read, and joins their errors.
func arrivalsFromNotification(payload []byte) ([]Event, error) {
	body := unwrapSNS(payload)
	var n notification
	if err := json.Unmarshal(body, &n); err != nil {
		return nil, readError("reading an S3 notification", err)
	}
	var all []Event
	var failed []error
	for _, r := range n.Records {
		if r.SNS != nil {
			inner, err := arrivalsFromNotification([]byte(r.SNS.Message))
			all, failed = append(all, inner...), append(failed, err)
			continue
		}
		if !strings.HasPrefix(r.EventName, "ObjectCreated:") {
			continue
		}
		e, err := r.arrival()
		if err != nil {
			failed = append(failed, err)
			continue
		}
		all = append(all, e)
	}
	return all, errors.Join(failed...)
}

// arrival returns the event of one record. Its payload is a notification with this record alone.
func (r notificationRecord) arrival() (Event, error) {
	o := r.S3.Object
	key, err := url.QueryUnescape(o.Key)
	if err != nil {
		return Event{}, fmt.Errorf("object key %q of bucket %q is not form-encoded: %w", o.Key, r.S3.Bucket.Name, err)
	}
	e, err := newArrival(Object{
		ObjectURI: model.ObjectURI{Bucket: r.S3.Bucket.Name, Key: key}, ETag: o.ETag,
		VersionID: o.VersionID, Sequencer: o.Sequencer, Size: o.Size,
	}, r.EventTime, "")
	if err != nil {
		return Event{}, err
	}
	e.Payload, err = json.Marshal(map[string]any{"Records": []any{map[string]any{
		"eventSource": "aws:s3", "eventName": r.EventName, "eventTime": r.EventTime,
		"s3": map[string]any{
			"bucket": map[string]any{"name": r.S3.Bucket.Name},
			"object": map[string]any{"key": o.Key, "size": o.Size, "eTag": o.ETag, "versionId": o.VersionID, "sequencer": o.Sequencer},
		},
	}}})
	return e, err
}

// newArrival returns the event that an object was created. Its identity is the same for an S3 notification and an
// EventBridge event. The two may write the same sequencer in another case or with other zeros at its end.
func newArrival(o Object, at time.Time, id string) (Event, error) {
	switch {
	case o.Bucket == "" || o.Key == "":
		return Event{}, errors.New("the S3 event has no bucket or no key")
	case !utf8.ValidString(o.Key):
		return Event{}, fmt.Errorf("the object key %q is not UTF-8", o.Key)
	}
	write := o.VersionID
	if write == "" || write == "null" {
		write = strings.TrimRight(strings.ToUpper(o.Sequencer), "0")
	}
	if write == "" {
		write = o.ETag
	}
	identity := "arrival/" + o.Bucket + "/" + o.Key + "/" + write
	if id == "" {
		id = identity
	}
	return Event{
		Kind: model.Arrival, Identity: identity, ID: id, Time: at, Source: o.Bucket, Object: &o,
		Fields: newTree(arrivalFields, o),
	}, nil
}

// nonEmpty returns the text, or nil if it is empty: the field is then absent.
func nonEmpty(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// AssumedArrival returns the event that an object would cause if it were created now. It has no size, ETag or version,
// and its sequencer is made up from the time. For a key that S3 would not accept, AssumedArrival returns an undecoded
// event.
func AssumedArrival(bucket, key string, now time.Time) Event {
	o := Object{ObjectURI: model.ObjectURI{Bucket: bucket, Key: key}, Sequencer: fmt.Sprintf("%016X", now.UnixNano())}
	e, err := newArrival(o, now, "")
	if err != nil {
		return Undecoded([]byte(bucket+"/"+key), now)
	}
	e.Payload = json.RawMessage(`{}`)
	return e
}

func arrivalsFromQueue(payload []byte) ([]Event, error) {
	deliveries, err := DecodeMessages(payload)
	if err != nil {
		return nil, err
	}
	var all []Event
	var failed []error
	for _, d := range deliveries {
		failed = append(failed, d.Err)
		for _, e := range d.Events {
			if e.Kind != model.Arrival {
				failed = append(failed, fmt.Errorf("message %s is not an S3 notification", d.MessageID))
				continue
			}
			all = append(all, e)
		}
	}
	return all, errors.Join(failed...)
}

// unwrapSNS returns the message in an SNS envelope. It returns any other payload unchanged.
func unwrapSNS(payload []byte) []byte {
	var envelope struct{ Type, Message string }
	if err := json.Unmarshal(payload, &envelope); err != nil || envelope.Type != "Notification" {
		return payload
	}
	return []byte(envelope.Message)
}
