// Package awsadapters connects package dispatch to SQS, S3 and EventBridge. Its types implement interfaces of that
// package with the clients of the AWS SDK:
//
//   - [Queue] implements dispatch.Queue. It sends the id of a run, as a [RunMessage], to the launch queue or the wake
//     queue.
//   - [Objects] implements dispatch.Objects. It reads and writes objects of S3.
//   - [Bus] implements dispatch.Bus. It emits announcements with PutEvents.
//
// The other two interfaces, dispatch.Launcher and dispatch.Watcher, are implemented by fargate.Client. Package wiring
// wires all of them, for the Lambda functions and, with other endpoints, for the local stack.
//
// The types keep no state, and are safe for concurrent use. They do not retry, except as the SDK's clients do: the
// dispatcher leaves a failed effect to the sweep. Only Bus tells errors apart: if EventBridge refuses an entry that is
// wrong in itself, its error wraps dispatch.ErrPermanent.
package awsadapters

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/model"
)

// Source is the source of all announcements, as EventBridge rules match it.
const Source = "modeldispatch"

// RunMessage is the body of a message on the launch and wake queues.
type RunMessage struct {
	Run string `json:"run"`
}

// Queue sends runs to the launch and wake queues.
type Queue struct {
	Client    *sqs.Client
	LaunchURL string
	WakeURL   string
}

// Enqueue sends a run to the launch queue. SQS delivers it after the delay, rounded as by DelaySeconds.
func (q Queue) Enqueue(ctx context.Context, run string, delay time.Duration) error {
	return q.send(ctx, q.LaunchURL, run, delay)
}

// Wake sends a run to the wake queue. SQS delivers it after the delay, rounded as by DelaySeconds.
func (q Queue) Wake(ctx context.Context, run string, delay time.Duration) error {
	return q.send(ctx, q.WakeURL, run, delay)
}

// DelaySeconds returns a delay in the form that SQS accepts: whole seconds, rounded up, and at most 15 minutes.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
func DelaySeconds(delay time.Duration) int32 {
	const longest = 15 * time.Minute
	return int32((min(delay, longest) + time.Second - 1) / time.Second)
}

func (q Queue) send(ctx context.Context, url, run string, delay time.Duration) error {
	body, err := json.Marshal(RunMessage{run})
	if err != nil {
		return err
	}
	_, err = q.Client.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: &url, MessageBody: aws.String(string(body)), DelaySeconds: DelaySeconds(delay),
	})
	if err != nil {
		return fmt.Errorf("sending run %s to %s: %w", run, url, err)
	}
	return nil
}

// Objects reads and writes objects of S3.
type Objects struct{ Client *s3.Client }

// Stat reports whether an object exists, and when it was last modified. It lists instead of sending a HEAD request,
// because S3 answers a HEAD of a missing object with 403 if the caller lacks s3:ListBucket. It asks for URL-encoded
// keys, because XML cannot carry most control characters: a key with one makes a plain listing unreadable.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
func (o Objects) Stat(ctx context.Context, uri string) (time.Time, bool, error) {
	object, err := model.ParseObjectURI(uri)
	if err != nil {
		return time.Time{}, false, err
	}
	out, err := o.Client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &object.Bucket, Prefix: &object.Key, MaxKeys: aws.Int32(1), EncodingType: s3types.EncodingTypeUrl,
	})
	if err != nil {
		return time.Time{}, false, fmt.Errorf("looking for %s: %w", uri, err)
	}
	if len(out.Contents) == 0 {
		return time.Time{}, false, nil
	}
	first := out.Contents[0] // listings are sorted: a key comes before longer keys that begin with it
	listed := aws.ToString(first.Key)
	if out.EncodingType == s3types.EncodingTypeUrl { // the SDK does not decode keys
		if listed, err = url.QueryUnescape(listed); err != nil {
			return time.Time{}, false, fmt.Errorf("looking for %s: S3 lists a key that is not URL-encoded: %w", uri, err)
		}
	}
	if listed != object.Key {
		return time.Time{}, false, nil
	}
	return aws.ToTime(first.LastModified), true, nil
}

// Put writes an object, and replaces an existing one.
func (o Objects) Put(ctx context.Context, uri string, body []byte) error {
	object, err := model.ParseObjectURI(uri)
	if err != nil {
		return err
	}
	_, err = o.Client.PutObject(ctx, &s3.PutObjectInput{Bucket: &object.Bucket, Key: &object.Key, Body: bytes.NewReader(body)})
	if err != nil {
		return fmt.Errorf("writing %s: %w", uri, err)
	}
	return nil
}

// Get reads an object. A missing object is an error.
func (o Objects) Get(ctx context.Context, uri string) ([]byte, error) {
	object, err := model.ParseObjectURI(uri)
	if err != nil {
		return nil, err
	}
	out, err := o.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &object.Bucket, Key: &object.Key})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", uri, err)
	}
	defer func() { _ = out.Body.Close() }()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", uri, err)
	}
	return body, nil
}

// Bus emits announcements on an event bus.
type Bus struct {
	Client *eventbridge.Client
	Name   string // the name or the ARN of the event bus
}

// Announce emits one announcement. PutEvents answers with status 200 also if it refuses the entry, so Announce checks
// the entry's error code. Its error wraps dispatch.ErrPermanent if that code says that the entry is wrong in itself.
func (b Bus) Announce(ctx context.Context, a dispatch.Announcement) error {
	out, err := b.Client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{{
		EventBusName: &b.Name, Source: aws.String(Source), DetailType: &a.DetailType, Detail: aws.String(string(a.Detail)),
	}}})
	if err != nil {
		return fmt.Errorf("announcing %q: %w", a.DetailType, err)
	}
	if out.FailedEntryCount > 0 {
		e := out.Entries[0]
		err := fmt.Errorf("announcing %q: %s: %s", a.DetailType, aws.ToString(e.ErrorCode), aws.ToString(e.ErrorMessage))
		if slices.Contains(permanentCodes, aws.ToString(e.ErrorCode)) {
			err = fmt.Errorf("%w; %w", err, dispatch.ErrPermanent)
		}
		return err
	}
	return nil
}

// permanentCodes holds the error codes for an entry that is wrong in itself.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
var permanentCodes = []string{"InvalidArgument", "MalformedDetail", "RedactionFailure"}
