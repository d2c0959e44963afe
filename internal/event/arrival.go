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

// notification is what S3 sends to SNS, SQS and Lambda, or what says that it will.
type notification struct {
	Event   string // s3:TestEvent, sent once when notifications are turned on
	Records []notificationRecord
}

type notificationRecord struct {
	EventSource string
	EventName   string // ObjectCreated:Put, without the s3: of the documents
	EventTime   time.Time
	S3          struct {
		Bucket struct{ Name string }
		Object struct {
			Key       string // form-encoded: "a b" is a+b, "+" is %2B
			Size      int64
			ETag      string
			VersionID string
			Sequencer string
		}
	}
	SNS *struct{ Message string } // of S3 -> SNS -> Lambda
}

// created is EventBridge's Object Created. Its key is not encoded.
type created struct {
	Bucket struct{ Name string }
	Object struct {
		Key       string
		Size      int64
		ETag      string
		VersionID string `json:"version-id"`
		Sequencer string
	}
}

// DecodeArrival decodes what says that S3 objects were created: an EventBridge event, or S3's own
// notification as it is, in SNS, in SQS, or in SNS in SQS. What else S3 says (a test, a deletion)
// is no arrival, and no error.
func DecodeArrival(payload []byte) ([]Event, error) {
	shape := shapeOf(payload)
	switch shape {
	case bridgeShape:
		return arrivalOfBridge(payload)
	case notificationShape, snsShape, testShape:
		return arrivals(payload)
	case queueShape:
		return arrivalsOfQueue(payload)
	}
	return nil, fmt.Errorf("it is %s, and not an S3 event: EventBridge's Object Created or an S3 notification is expected", shape)
}

func arrivalOfBridge(payload []byte) ([]Event, error) {
	envelope, _, err := readEnvelope(payload)
	if err != nil {
		return nil, err
	}
	if envelope.Source != "aws.s3" {
		return nil, fmt.Errorf("it is a %q event of %q, and not of S3", envelope.DetailType, envelope.Source)
	}
	if envelope.DetailType != "Object Created" {
		return nil, nil
	}
	var detail created
	if err := json.Unmarshal(envelope.Detail, &detail); err != nil {
		return nil, unread("reading the detail of an Object Created event", err)
	}
	e, err := arrival(Object{
		Bucket: detail.Bucket.Name, Key: detail.Object.Key, ETag: detail.Object.ETag, VersionID: detail.Object.VersionID,
		Sequencer: detail.Object.Sequencer, Size: detail.Object.Size,
	}, envelope.Time, envelope.ID)
	e.Payload = asJSON(payload)
	return []Event{e}, err
}

// arrivals decodes S3's notification, bare or in an SNS envelope. Records that cannot be read do
// not hold up the others: they are joined into the error.
func arrivals(payload []byte) ([]Event, error) {
	body := unwrapSNS(payload)
	var n notification
	if err := json.Unmarshal(body, &n); err != nil {
		return nil, unread("reading an S3 notification", err)
	}
	var all []Event
	var failed []error
	for _, r := range n.Records {
		if r.SNS != nil {
			inner, err := arrivals([]byte(r.SNS.Message))
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

func (r notificationRecord) arrival() (Event, error) {
	o := r.S3.Object
	key, err := url.QueryUnescape(o.Key)
	if err != nil {
		return Event{}, fmt.Errorf("object key %q of bucket %q is not form-encoded: %w", o.Key, r.S3.Bucket.Name, err)
	}
	e, err := arrival(Object{
		Bucket: r.S3.Bucket.Name, Key: key, ETag: o.ETag, VersionID: o.VersionID, Sequencer: o.Sequencer, Size: o.Size,
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

// arrival is the event that an object was created. Both of S3's ways to say so give the same
// identity: the version where there is one, else the sequencer of the write.
func arrival(o Object, at time.Time, id string) (Event, error) {
	switch {
	case o.Bucket == "" || o.Key == "":
		return Event{}, errors.New("an S3 event without a bucket or a key")
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
		Fields: map[string]any{"object": map[string]any{
			"uri": o.URI(), "bucket": o.Bucket, "key": o.Key, "size": json.Number(fmt.Sprint(o.Size)), "etag": o.ETag, "version": nonEmpty(o.VersionID),
		}},
	}, nil
}

// nonEmpty is the text, or nothing: an empty field is an absent one.
func nonEmpty(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// Arrived is the arrival of an object that somebody asks about.
func Arrived(bucket, key string, now time.Time) Event {
	e, err := arrival(Object{Bucket: bucket, Key: key, Sequencer: fmt.Sprintf("%016X", now.UnixNano())}, now, "")
	if err != nil {
		return Undecoded([]byte(bucket+"/"+key), now)
	}
	e.Payload = json.RawMessage(`{}`)
	return e
}

func arrivalsOfQueue(payload []byte) ([]Event, error) {
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

// unwrapSNS is the message of an SNS envelope; anything else is returned as it is.
func unwrapSNS(payload []byte) []byte {
	var envelope struct{ Type, Message string }
	if err := json.Unmarshal(payload, &envelope); err != nil || envelope.Type != "Notification" {
		return payload
	}
	return []byte(envelope.Message)
}
