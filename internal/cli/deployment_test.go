package cli_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	stacktypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"go.yaml.in/yaml/v3"

	"modeldispatch/internal/app"
	"modeldispatch/internal/catalog"
	"modeldispatch/internal/cli"
	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/dynamodb"
	"modeldispatch/internal/store/dynamodb/dynamodbtest"
)

// shell runs commands on a deployment.
type shell struct {
	t       *testing.T
	project string
}

// says runs a command, whose output and errors have to match a pattern. It gives the output.
func (s shell) says(code int, pattern string, args ...string) string {
	s.t.Helper()
	var out, errs strings.Builder
	got := cli.Main(s.t.Context(), append([]string{"-e", "prod", "--project", s.project}, args...), cli.Streams{Out: &out, Err: &errs})
	if got != code || !regexp.MustCompile(pattern).MatchString(out.String()+errs.String()) {
		s.t.Fatalf("%v: exit code %d, and it printed:\n%s%s\nwant %d and %s", args, got, &out, &errs, code, pattern)
	}
	return out.String()
}

const sample = "../app/testdata/project"

// TestCommandsOnADeployment has commands work on a stack, with moto as the account.
func TestCommandsOnADeployment(t *testing.T) {
	url := dynamodbtest.Moto(t)
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull} {
		t.Setenv(name, value)
	}
	cfg := app.Endpoint(url, "us-east-1", "test", "test")
	s := shell{t, sample}

	s.says(1, `there is no environment "pord"`, "runs", "-e", "pord")
	t.Setenv("AWS_REGION", "")
	s.says(1, `names no Region: set AWS_REGION`, "runs")
	t.Setenv("AWS_REGION", "us-east-1")
	s.says(1, `reading the outputs of stack "models" in us-east-1, where environment "prod" is: .*; make deploy ENV=prod deploys it`, "runs")

	o := deploy(t, cfg)
	s.says(0, `^RUN +STATE`, "runs")
	s.says(1, `catalog.json is not there yet: the sweep lays it there`, "run", "first", "n=1")

	here, _, err := catalog.Compile(sample, catalog.Options{Environment: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	publish := func(version string) {
		t.Helper()
		c := here
		c.Version = version
		d, err := app.Wire(cfg, o, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.says(0, `"cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/models",\s+"taskDefinition": "models-first"(?s:.*)"subnet-1",\s+"subnet-2"\s+\],\s+"securityGroups": \[\s+"sg-1"\s+\],\s+"assignPublicIp": "ENABLED"(?s:.*)"startedBy": "models/first-[a-z2-7]{12}/1"(?s:.*)latest ACTIVE revision at launch: ECS does not have it yet`, "explain", "s3://landing/first/1")
	register(t, cfg, "models-first")
	s.says(0, `"taskDefinition": "arn:aws:ecs:us-east-1:123456789012:task-definition/models-first:1"`, "explain", "s3://landing/first/1")

	publish("another")
	s.says(1, `warning: the models here \(version `+here.Version+`\) are not those deployed to prod \(version another\), which are used; make deploy ENV=prod(?s:.*)there is no model "fist"`, "run", "fist", "n=1")
	publish(here.Version)
	said := s.says(0, `^first-[a-z2-7]{12}  accepted\n$`, "run", "first", "n=1")
	id, _, _ := strings.Cut(said, " ")
	s.says(0, `is the run of this very call`, "run", "first", "n=1")
	sent, err := sqs.NewFromConfig(cfg).ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &o.LaunchURL})
	if err != nil || len(sent.Messages) != 1 || !strings.Contains(*sent.Messages[0].Body, id) {
		t.Fatalf("%+v %v, want a message of run %s in the launch queue", sent, err, id)
	}
	s.says(0, id+` +waiting \(queued\)`, "runs")
	s.says(0, `event +manual(?s:.*)input n +1`, "show", id)
	s.says(1, `has no log: it has not been launched`, "logs", id)
	launched(t, cfg, o, id)
	s.says(0, `^first line\nsecond line\n$`, "logs", id)
	s.says(0, `model first is paused`, "pause", "first")
	s.says(0, `model first was paused already`, "pause", "first")
	s.says(0, `model first is resumed`, "resume", "first")
	s.says(0, `^$`, "cancel", id)
	s.says(0, id+` +cancelled`, "runs", "--state", "cancelled")
	s.says(1, `there is no run "first-x"`, "cancel", "first-x")
}

// deploy makes a stack with the outputs of template.yaml, which name real things.
func deploy(t *testing.T, cfg aws.Config) app.Options {
	t.Helper()
	o := app.Options{Deployment: "models", Table: dynamodbtest.Table(t, client.NewFromConfig(cfg)), Bucket: "models-state", Bus: "default"}
	o.Placement.Cluster = "arn:aws:ecs:us-east-1:123456789012:cluster/models"
	if _, err := s3.NewFromConfig(cfg, pathStyle).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &o.Bucket}); err != nil {
		t.Fatal(err)
	}
	queue := func(name string) string {
		out, err := sqs.NewFromConfig(cfg).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name})
		if err != nil {
			t.Fatal(err)
		}
		return *out.QueueUrl
	}
	o.LaunchURL, o.WakeURL = queue("models-launch"), queue("models-wake")
	values := map[string]string{"Deployment": o.Deployment, "Table": o.Table, "StateBucket": o.Bucket, "EventBus": o.Bus, "LaunchQueueUrl": o.LaunchURL, "WakeQueueUrl": o.WakeURL, "Cluster": o.Placement.Cluster}

	text, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Outputs map[string]any `yaml:"Outputs"`
	}
	if err := yaml.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	outputs := map[string]any{}
	for name := range template.Outputs {
		outputs[name] = map[string]string{"Value": values[name]}
	}
	parameter := map[string]string{"Type": "String"}
	body, err := json.Marshal(map[string]any{"Resources": map[string]any{"Topic": map[string]string{"Type": "AWS::SNS::Topic"}}, "Outputs": outputs,
		"Parameters": map[string]any{"Subnets": parameter, "SecurityGroups": parameter, "AssignPublicIp": parameter}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cloudformation.NewFromConfig(cfg).CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: aws.String("models"), TemplateBody: aws.String(string(body)), Parameters: []stacktypes.Parameter{
		{ParameterKey: aws.String("Subnets"), ParameterValue: aws.String("subnet-1,subnet-2")},
		{ParameterKey: aws.String("SecurityGroups"), ParameterValue: aws.String("sg-1")},
		{ParameterKey: aws.String("AssignPublicIp"), ParameterValue: aws.String("ENABLED")},
	}}); err != nil {
		t.Fatal(err)
	}
	return o
}

// register has ECS have a task definition of a family.
func register(t *testing.T, cfg aws.Config, family string) {
	t.Helper()
	_, err := ecs.NewFromConfig(cfg).RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: &family, ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("model"), Image: aws.String("example.com/model:1"), Memory: aws.Int32(512)}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// launched has a run have a task, which has written a log.
func launched(t *testing.T, cfg aws.Config, o app.Options, id string) {
	t.Helper()
	const task = "arn:aws:ecs:us-east-1:123456789012:task/models/0123456789abcdef"
	attempt, err := json.Marshal(run.Attempt{Number: 1, Task: task})
	if err != nil {
		t.Fatal(err)
	}
	db := dynamodb.New(client.NewFromConfig(cfg), o.Table)
	if err := db.Commit(t.Context(), store.Create(store.Doc{Key: dispatch.AttemptKey(id, 1), Body: attempt})); err != nil {
		t.Fatal(err)
	}
	logs, group, stream := cloudwatchlogs.NewFromConfig(cfg), aws.String("/models/models"), aws.String("first/model/0123456789abcdef")
	if _, err := logs.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group}); err != nil {
		t.Fatal(err)
	}
	if _, err := logs.CreateLogStream(t.Context(), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream}); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixMilli()
	if _, err := logs.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: []logtypes.InputLogEvent{
		{Timestamp: &now, Message: aws.String("first line")}, {Timestamp: &now, Message: aws.String("second line")},
	}}); err != nil {
		t.Fatal(err)
	}
}

// TestConnectKeepsWhatIsThere has a bucket that sends to a queue send to EventBridge, too.
func TestConnectKeepsWhatIsThere(t *testing.T) {
	var written string // to the bucket's notifications: moto does not say later that EventBridge is among them
	address := between(t, dynamodbtest.Moto(t), &written)
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": address, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull} {
		t.Setenv(name, value)
	}
	cfg := app.Endpoint(address, "us-east-1", "test", "test")
	s, buckets, bucket := shell{t, sample}, s3.NewFromConfig(cfg, pathStyle), aws.String("landing")
	s.says(1, `reading where bucket landing sends its events: .*NoSuchBucket`, "connect", "landing")

	if _, err := buckets.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	queue, err := sqs.NewFromConfig(cfg).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("others")})
	if err != nil {
		t.Fatal(err)
	}
	others := types.QueueConfiguration{
		Id: aws.String("others"), QueueArn: aws.String("arn:aws:sqs:us-east-1:123456789012:" + filepath.Base(*queue.QueueUrl)), Events: []types.Event{"s3:ObjectCreated:*"},
		Filter: &types.NotificationConfigurationFilter{Key: &types.S3KeyFilter{FilterRules: []types.FilterRule{{Name: "prefix", Value: aws.String("a/")}}}},
	}
	if _, err := buckets.PutBucketNotificationConfiguration(t.Context(), &s3.PutBucketNotificationConfigurationInput{Bucket: bucket, NotificationConfiguration: &types.NotificationConfiguration{QueueConfigurations: []types.QueueConfiguration{others}}}); err != nil {
		t.Fatal(err)
	}
	s.says(0, `bucket landing sends its events to EventBridge; 1 notification kept`, "connect", "landing")
	got, err := buckets.GetBucketNotificationConfiguration(t.Context(), &s3.GetBucketNotificationConfigurationInput{Bucket: bucket})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(written, "<EventBridgeConfiguration></EventBridgeConfiguration>") || len(got.QueueConfigurations) != 1 {
		t.Fatalf("%s became %+v", written, got)
	}
	if q := got.QueueConfigurations[0]; *q.Id != "others" || *q.QueueArn != *others.QueueArn || *q.Filter.Key.FilterRules[0].Value != "a/" {
		t.Errorf("%+v", q)
	}
}

// between gives an address whose requests go on to another, and keeps the body of the last PUT.
func between(t *testing.T, address string, put *string) string {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			if r.Method == http.MethodPut {
				*put = string(body)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func pathStyle(o *s3.Options) { o.UsePathStyle = true }
