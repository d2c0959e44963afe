package cli

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

type connectCommand struct {
	Bucket string `arg:"" help:"Name of the bucket, in the account and Region of the deployment."`
}

// Help returns the long help text.
func (connectCommand) Help() string {
	return `Arrival triggers need the events of their bucket. S3 sends these events to EventBridge only if a
setting of the bucket turns this on. The command turns it on, and keeps the bucket's
notifications to queues, topics and functions. It needs the permissions s3:GetBucketNotification and
s3:PutBucketNotification.

  modeldispatch connect acme-landing`
}

// Run adds EventBridge to the notifications of a bucket. S3 can only replace the whole configuration, so Run reads it
// and writes it back with the addition.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-event-notifications-eventbridge.html
func (c connectCommand) Run(s *session) error {
	cfg, err := s.aws()
	if err != nil {
		return err
	}
	buckets := s3.NewFromConfig(cfg, pathStyle)
	current, err := buckets.GetBucketNotificationConfiguration(s.ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: &c.Bucket})
	if err != nil {
		const text = "reading the notifications of bucket %s: %w; this needs the bucket's account and Region, and " +
			"the permission s3:GetBucketNotification"
		return fmt.Errorf(text, c.Bucket, err)
	}
	if current.EventBridgeConfiguration != nil {
		s.printf("bucket %s already sends its events to EventBridge\n", c.Bucket)
		return nil
	}
	_, err = buckets.PutBucketNotificationConfiguration(s.ctx, &s3.PutBucketNotificationConfigurationInput{
		Bucket:                    &c.Bucket,
		SkipDestinationValidation: aws.Bool(true), // notifications to targets that no longer exist stay, too
		NotificationConfiguration: &types.NotificationConfiguration{
			EventBridgeConfiguration:     &types.EventBridgeConfiguration{},
			LambdaFunctionConfigurations: current.LambdaFunctionConfigurations,
			QueueConfigurations:          current.QueueConfigurations,
			TopicConfigurations:          current.TopicConfigurations,
		},
	})
	if err != nil {
		return fmt.Errorf("connecting bucket %s to EventBridge: %w; this needs the permission s3:PutBucketNotification", c.Bucket, err)
	}
	kept := len(current.LambdaFunctionConfigurations) + len(current.QueueConfigurations) + len(current.TopicConfigurations)
	s.printf("bucket %s now sends its events to EventBridge; it keeps %s\n", c.Bucket, count(kept, "other notification"))
	return nil
}

// pathStyle puts the bucket into the path of a request if the endpoint is not AWS's: such an endpoint often has no
// host name for each bucket.
func pathStyle(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil }
