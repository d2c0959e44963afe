package event_test

import (
	"encoding/json"
	"net/url"
	"testing"
)

// s3Write describes the write of an object. Its key is not encoded.
type s3Write struct {
	bucket, key, version, sequencer, etag string
	size                                  int
}

// wrapping is one of the forms in which the report of a new object reaches a function.
type wrapping struct {
	name string
	wrap func(testing.TB, s3Write) []byte
}

// wrappings returns all wrappings. S3 form-encodes the key in all of them except EventBridge's.
func wrappings() []wrapping {
	return []wrapping{
		{"EventBridge", bridge},
		{"S3 notification", notification},
		{"SNS in Lambda", func(t testing.TB, w s3Write) []byte { return topicBatch(t, notification(t, w)) }},
		{"SQS", func(t testing.TB, w s3Write) []byte { return queueBatch(t, notification(t, w)) }},
		{"SNS in SQS", func(t testing.TB, w s3Write) []byte { return queueBatch(t, envelope(t, notification(t, w))) }},
		{"SNS in SQS, raw delivery", func(t testing.TB, w s3Write) []byte { return queueBatch(t, notification(t, w)) }},
		{"EventBridge in SQS", func(t testing.TB, w s3Write) []byte { return queueBatch(t, bridge(t, w)) }},
	}
}

type tree = map[string]any

func encode(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// bridge returns EventBridge's Object Created event.
func bridge(t testing.TB, w s3Write) []byte {
	object := tree{"key": w.key, "size": w.size, "etag": w.etag, "sequencer": w.sequencer}
	if w.version != "" {
		object["version-id"] = w.version
	}
	return encode(t, tree{
		"version": "0", "id": "5a77c415-0ccb-47c0-8a14-62124f156af7", "detail-type": "Object Created", "source": "aws.s3",
		"account": "111122223333", "time": "2026-01-05T07:12:31Z", "region": "eu-central-1", "resources": []string{"arn:aws:s3:::" + w.bucket},
		"detail": tree{"version": "0", "bucket": tree{"name": w.bucket}, "object": object, "reason": "PutObject"},
	})
}

// notification returns an S3 notification.
func notification(t testing.TB, w s3Write) []byte {
	return encode(t, tree{"Records": []any{record(w, url.QueryEscape(w.key))}})
}

// record returns one record of a notification. S3 writes ObjectCreated:Put in it, without the prefix s3: that AWS's
// documentation has.
func record(w s3Write, encodedKey string) tree {
	object := tree{"key": encodedKey, "size": w.size, "eTag": w.etag, "sequencer": w.sequencer}
	if w.version != "" {
		object["versionId"] = w.version
	}
	return tree{
		"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-central-1", "eventTime": "2026-01-05T07:12:30.518Z",
		"eventName": "ObjectCreated:Put", "s3": tree{"s3SchemaVersion": "1.0", "bucket": tree{"name": w.bucket}, "object": object},
	}
}

// envelope returns a message in the envelope in which SNS sends it to SQS.
func envelope(t testing.TB, message []byte) []byte {
	return encode(t, tree{
		"Type": "Notification", "MessageId": "b1a9c4d2", "TopicArn": "arn:aws:sns:eu-central-1:111122223333:landing",
		"Subject": "Amazon S3 Notification", "Message": string(message), "Timestamp": "2026-01-05T07:12:31.000Z",
		"SignatureVersion": "1", "Signature": "…", "SigningCertURL": "https://sns.example", "UnsubscribeURL": "https://sns.example",
	})
}

// topicBatch returns a message in the payload with which SNS invokes Lambda. The case of some names differs from the
// envelope.
func topicBatch(t testing.TB, message []byte) []byte {
	return encode(t, tree{"Records": []any{tree{
		"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": "arn:aws:sns:eu-central-1:111122223333:landing:1",
		"Sns": tree{"Type": "Notification", "MessageId": "b1a9c4d2", "Message": string(message), "SigningCertUrl": "https://sns.example"},
	}}})
}

// queueBatch returns an SQS batch of the queue "requests" with one message for each body.
func queueBatch(t testing.TB, bodies ...[]byte) []byte {
	var records []any
	for i, body := range bodies {
		records = append(records, message(string(rune('a'+i)), string(body), nil))
	}
	return encode(t, tree{"Records": records})
}

// message returns one record of an SQS batch.
func message(id, body string, attributes tree) tree {
	if attributes == nil {
		attributes = tree{}
	}
	return tree{
		"messageId": id, "receiptHandle": "AQEB" + id, "body": body, "messageAttributes": attributes,
		"attributes":  tree{"ApproximateReceiveCount": "1", "SentTimestamp": "1767597151000", "SenderId": "portal"},
		"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:111122223333:requests", "awsRegion": "eu-central-1",
	}
}
