package cli

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

type connectCommand struct {
	Bucket string `arg:"" help:"The bucket, in the account and Region of the deployment."`
}

// Run adds EventBridge to where a bucket sends its events. S3 knows only the whole list of these, so all that is there is
// read, and written with it. https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-event-notifications-eventbridge.html
func (c connectCommand) Run(s *session) error {
	cfg, err := s.aws()
	if err != nil {
		return err
	}
	buckets := s3.NewFromConfig(cfg, pathStyle)
	there, err := buckets.GetBucketNotificationConfiguration(s.ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: &c.Bucket})
	if err != nil {
		return fmt.Errorf("reading where bucket %s sends its events: %w; s3:GetBucketNotification is needed, in the bucket's own account and Region", c.Bucket, err)
	}
	if there.EventBridgeConfiguration != nil {
		s.printf("bucket %s sends its events to EventBridge already\n", c.Bucket)
		return nil
	}
	_, err = buckets.PutBucketNotificationConfiguration(s.ctx, &s3.PutBucketNotificationConfigurationInput{
		Bucket:                    &c.Bucket,
		SkipDestinationValidation: aws.Bool(true), // what is there was valid once, and stays, whatever became of it
		NotificationConfiguration: &types.NotificationConfiguration{
			EventBridgeConfiguration:     &types.EventBridgeConfiguration{},
			LambdaFunctionConfigurations: there.LambdaFunctionConfigurations,
			QueueConfigurations:          there.QueueConfigurations,
			TopicConfigurations:          there.TopicConfigurations,
		},
	})
	if err != nil {
		return fmt.Errorf("having bucket %s send its events to EventBridge: %w; s3:PutBucketNotification is needed", c.Bucket, err)
	}
	kept := len(there.LambdaFunctionConfigurations) + len(there.QueueConfigurations) + len(there.TopicConfigurations)
	s.printf("bucket %s sends its events to EventBridge; %s kept\n", c.Bucket, count(kept, "notification"))
	return nil
}

// pathStyle has the bucket in the path, where another endpoint than AWS's is used.
func pathStyle(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil }
