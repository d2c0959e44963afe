// Package awsio connects the dispatcher to SQS, S3 and EventBridge.
package awsio

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

// Source is the source of all announcements.
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

// Enqueue sends a run to the launch queue, for after a delay.
func (q Queue) Enqueue(ctx context.Context, run string, delay time.Duration) error {
	return q.send(ctx, q.LaunchURL, run, delay)
}

// Wake has a run advanced after a delay.
func (q Queue) Wake(ctx context.Context, run string, delay time.Duration) error {
	return q.send(ctx, q.WakeURL, run, delay)
}

// Seconds is a delay as SQS takes it: in whole seconds, at most 15 minutes.
func Seconds(delay time.Duration) int32 {
	const most = 15 * time.Minute
	return int32((min(delay, most) + time.Second - 1) / time.Second)
}

func (q Queue) send(ctx context.Context, url, run string, delay time.Duration) error {
	body, err := json.Marshal(RunMessage{run})
	if err != nil {
		return err
	}
	_, err = q.Client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String(string(body)), DelaySeconds: Seconds(delay)})
	if err != nil {
		return fmt.Errorf("sending run %s to %s: %w", run, url, err)
	}
	return nil
}

// Objects looks for objects in S3 and lays them there.
type Objects struct{ Client *s3.Client }

// Find reports whether an object is there, and since when. It lists, because without s3:ListBucket a HEAD of a
// missing object answers 403. It lists with URL-encoded keys, because XML cannot carry most control characters: a
// key with one makes a plain listing unreadable.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
func (o Objects) Find(ctx context.Context, uri string) (time.Time, bool, error) {
	bucket, key, err := model.SplitS3(uri)
	if err != nil {
		return time.Time{}, false, err
	}
	out, err := o.Client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &bucket, Prefix: &key, MaxKeys: aws.Int32(1), EncodingType: s3types.EncodingTypeUrl,
	})
	if err != nil {
		return time.Time{}, false, fmt.Errorf("looking for %s: %w", uri, err)
	}
	if len(out.Contents) == 0 {
		return time.Time{}, false, nil
	}
	first := out.Contents[0] // listings are sorted: a key comes before longer ones that begin with it
	listed := aws.ToString(first.Key)
	if out.EncodingType == s3types.EncodingTypeUrl { // the SDK leaves it to the caller
		if listed, err = url.QueryUnescape(listed); err != nil {
			return time.Time{}, false, fmt.Errorf("looking for %s: S3 lists a key that is not URL-encoded: %w", uri, err)
		}
	}
	if listed != key {
		return time.Time{}, false, nil
	}
	return aws.ToTime(first.LastModified), true, nil
}

// Put lays an object.
func (o Objects) Put(ctx context.Context, uri string, body []byte) error {
	bucket, key, err := model.SplitS3(uri)
	if err != nil {
		return err
	}
	_, err = o.Client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)})
	if err != nil {
		return fmt.Errorf("writing %s: %w", uri, err)
	}
	return nil
}

// Get reads an object.
func (o Objects) Get(ctx context.Context, uri string) ([]byte, error) {
	bucket, key, err := model.SplitS3(uri)
	if err != nil {
		return nil, err
	}
	out, err := o.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
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
	Name   string
}

// Announce emits one announcement. PutEvents answers 200 for an entry that it did not take.
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
		if slices.Contains(faulty, aws.ToString(e.ErrorCode)) {
			err = fmt.Errorf("%w; %w", err, dispatch.ErrPermanent)
		}
		return err
	}
	return nil
}

// faulty are the error codes of an entry that is wrong in itself. https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
var faulty = []string{"InvalidArgument", "MalformedDetail", "RedactionFailure"}
