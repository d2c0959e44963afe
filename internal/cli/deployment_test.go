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

	"modeldispatch/internal/catalog"
	"modeldispatch/internal/cli"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/dynamodb"
	"modeldispatch/internal/store/dynamodb/dynamodbtest"
	"modeldispatch/internal/wiring"
)

// shell runs commands on a deployment.
type shell struct {
	t       *testing.T
	project string
}

// run runs a command and returns its output. The test fails if the exit code is another one, or if the output and the
// errors do not match the pattern.
func (s shell) run(code int, pattern string, args ...string) string {
	s.t.Helper()
	var out, errs strings.Builder
	all := append([]string{"-e", "prod", "--project", s.project}, args...)
	got := cli.Main(s.t.Context(), all, cli.Streams{Out: &out, Err: &errs})
	if got != code || !regexp.MustCompile(pattern).MatchString(out.String()+errs.String()) {
		s.t.Fatalf("%v: the exit code is %d, want %d; the output must match %s:\n%s%s", args, got, code, pattern, &out, &errs)
	}
	return out.String()
}

const sample = "../wiring/testdata/project"

// setAWSEnvironment sets the variables that lead the AWS SDK of a command to an endpoint.
func setAWSEnvironment(t *testing.T, url string) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "",
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
}

// TestCommandsOnDeployment runs commands on a stack. Moto takes the place of the AWS account.
func TestCommandsOnDeployment(t *testing.T) {
	url := dynamodbtest.Moto(t)
	setAWSEnvironment(t, url)
	cfg := wiring.Endpoint(url, "us-east-1", "test", "test")
	s := shell{t, sample}

	s.run(1, `there is no environment "pord"`, "runs", "-e", "pord")
	t.Setenv("AWS_REGION", "")
	s.run(1, `has no Region: set AWS_REGION`, "runs")
	t.Setenv("AWS_REGION", "us-east-1")
	const noStack = `reading the outputs of stack "models" in us-east-1, the stack of environment "prod": .*; make deploy ENV=prod deploys it`
	s.run(1, noStack, "runs")

	o := deploy(t, cfg)
	s.run(0, `^RUN +STATE`, "runs")
	s.run(1, `catalog.json does not exist yet: the sweep writes it`, "run", "first", "n=1")

	current, _, err := catalog.Compile(sample, catalog.Options{Environment: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	publish := func(version string) {
		t.Helper()
		c := current
		c.Version = version
		d, err := wiring.Wire(cfg, o, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	request := `"cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/models",\s+"taskDefinition": "models-first"(?s:.*)` +
		`"subnet-1",\s+"subnet-2"\s+\],\s+"securityGroups": \[\s+"sg-1"\s+\],\s+"assignPublicIp": "ENABLED"(?s:.*)` +
		`"startedBy": "models/first-[a-z2-7]{12}/1"(?s:.*)latest ACTIVE revision at launch: ECS does not have it yet`
	s.run(0, request, "explain", "s3://landing/first/1")
	register(t, cfg, "models-first")
	s.run(0, `"taskDefinition": "arn:aws:ecs:us-east-1:123456789012:task-definition/models-first:1"`, "explain", "s3://landing/first/1")

	publish("another")
	warning := `warning: the models in this project \(version ` + current.Version + `\) differ from ` +
		`those deployed to prod \(version another\); ` +
		`the deployed models are used; make deploy ENV=prod deploys yours(?s:.*)there is no model "fist"`
	s.run(1, warning, "run", "fist", "n=1")
	publish(current.Version)
	accepted := s.run(0, `^first-[a-z2-7]{12}  accepted\n$`, "run", "first", "n=1", "--idempotency-key", "k")
	id, _, _ := strings.Cut(accepted, " ")
	s.run(0, id+`  was started with this idempotency key before`, "run", "first", "n=1", "--idempotency-key", "k")
	sent, err := sqs.NewFromConfig(cfg).ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &o.LaunchURL})
	if err != nil || len(sent.Messages) != 1 || !strings.Contains(*sent.Messages[0].Body, id) {
		t.Fatalf("the launch queue holds %+v, error %v; want a message of run %s", sent, err, id)
	}
	s.run(0, id+` +waiting \(launch\)`, "runs")
	s.run(0, `event +manual(?s:.*)input n +1`, "show", id)
	s.run(1, `has no log: it has not been launched`, "logs", id)
	addAttempt(t, cfg, o, id)
	s.run(0, `^first line\nsecond line\n$`, "logs", id)
	s.run(0, `model first is paused`, "pause", "first")
	s.run(0, `model first was already paused`, "pause", "first")
	s.run(0, `model first is resumed`, "resume", "first")
	s.run(0, `^$`, "cancel", id)
	s.run(0, id+` +cancelled`, "runs", "--state", "cancelled")
	s.run(1, `there is no run "first-x"`, "cancel", "first-x")
}

// deploy creates a stack with the outputs of template.yaml, and the table, bucket and queues that they name.
func deploy(t *testing.T, cfg aws.Config) wiring.Options {
	t.Helper()
	table := dynamodbtest.Table(t, client.NewFromConfig(cfg))
	o := wiring.Options{Deployment: "models", Table: table, Bucket: "models-state", Bus: "default"}
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
	createStack(t, cfg, map[string]string{
		"Deployment": o.Deployment, "Table": o.Table, "StateBucket": o.Bucket, "EventBus": o.Bus,
		"LaunchQueueUrl": o.LaunchURL, "WakeQueueUrl": o.WakeURL, "Cluster": o.Placement.Cluster,
	})
	return o
}

// createStack creates a stack with the outputs and the network parameters of template.yaml. The map has the values of
// the outputs by name.
func createStack(t *testing.T, cfg aws.Config, values map[string]string) {
	t.Helper()
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
	body, err := json.Marshal(map[string]any{
		"Resources":  map[string]any{"Topic": map[string]string{"Type": "AWS::SNS::Topic"}},
		"Outputs":    outputs,
		"Parameters": map[string]any{"Subnets": parameter, "SecurityGroups": parameter, "AssignPublicIp": parameter},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = cloudformation.NewFromConfig(cfg).CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: aws.String("models"), TemplateBody: aws.String(string(body)),
		Parameters: []stacktypes.Parameter{
			{ParameterKey: aws.String("Subnets"), ParameterValue: aws.String("subnet-1,subnet-2")},
			{ParameterKey: aws.String("SecurityGroups"), ParameterValue: aws.String("sg-1")},
			{ParameterKey: aws.String("AssignPublicIp"), ParameterValue: aws.String("ENABLED")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// register registers a task definition of a family in ECS.
func register(t *testing.T, cfg aws.Config, family string) {
	t.Helper()
	_, err := ecs.NewFromConfig(cfg).RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: &family,
		ContainerDefinitions: []ecstypes.ContainerDefinition{
			{Name: aws.String("model"), Image: aws.String("example.com/model:1"), Memory: aws.Int32(512)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// addAttempt stores an attempt of a run, and the log of its task.
func addAttempt(t *testing.T, cfg aws.Config, o wiring.Options, id string) {
	t.Helper()
	const task = "arn:aws:ecs:us-east-1:123456789012:task/models/0123456789abcdef"
	db := dynamodb.New(client.NewFromConfig(cfg), o.Table)
	if err := db.Commit(t.Context(), store.Create(records.AttemptDoc(id, run.Attempt{Number: 1, Task: task}, 0, 0))); err != nil {
		t.Fatal(err)
	}
	logs, group, stream := cloudwatchlogs.NewFromConfig(cfg), aws.String("/models/models"), aws.String("first/model/0123456789abcdef")
	if _, err := logs.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group}); err != nil {
		t.Fatal(err)
	}
	newStream := &cloudwatchlogs.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream}
	if _, err := logs.CreateLogStream(t.Context(), newStream); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixMilli()
	lines := []logtypes.InputLogEvent{
		{Timestamp: &now, Message: aws.String("first line")}, {Timestamp: &now, Message: aws.String("second line")},
	}
	_, err := logs.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: lines})
	if err != nil {
		t.Fatal(err)
	}
}

// TestConnectKeepsOtherNotifications connects a bucket that sends its events to a queue. Afterwards it must send them
// to the queue and to EventBridge.
func TestConnectKeepsOtherNotifications(t *testing.T) {
	var written string // body of the request, since moto does not return the EventBridge setting
	address := startProxy(t, dynamodbtest.Moto(t), &written)
	setAWSEnvironment(t, address)
	cfg := wiring.Endpoint(address, "us-east-1", "test", "test")
	s, buckets, bucket := shell{t, sample}, s3.NewFromConfig(cfg, pathStyle), aws.String("landing")
	s.run(1, `reading the notifications of bucket landing: .*NoSuchBucket`, "connect", "landing")

	if _, err := buckets.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	queue, err := sqs.NewFromConfig(cfg).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("others")})
	if err != nil {
		t.Fatal(err)
	}
	rules := []types.FilterRule{{Name: "prefix", Value: aws.String("a/")}}
	others := types.QueueConfiguration{
		Id: aws.String("others"), QueueArn: aws.String("arn:aws:sqs:us-east-1:123456789012:" + filepath.Base(*queue.QueueUrl)),
		Events: []types.Event{"s3:ObjectCreated:*"},
		Filter: &types.NotificationConfigurationFilter{Key: &types.S3KeyFilter{FilterRules: rules}},
	}
	_, err = buckets.PutBucketNotificationConfiguration(t.Context(), &s3.PutBucketNotificationConfigurationInput{
		Bucket:                    bucket,
		NotificationConfiguration: &types.NotificationConfiguration{QueueConfigurations: []types.QueueConfiguration{others}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.run(0, `bucket landing now sends its events to EventBridge; it keeps 1 other notification\n`, "connect", "landing")
	got, err := buckets.GetBucketNotificationConfiguration(t.Context(), &s3.GetBucketNotificationConfigurationInput{Bucket: bucket})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(written, "<EventBridgeConfiguration></EventBridgeConfiguration>") || len(got.QueueConfigurations) != 1 {
		t.Fatalf("the request %s led to the configuration %+v, want EventBridge and one queue", written, got)
	}
	if q := got.QueueConfigurations[0]; *q.Id != "others" || *q.QueueArn != *others.QueueArn || *q.Filter.Key.FilterRules[0].Value != "a/" {
		t.Errorf("the notification to the queue is %+v, want %+v", q, others)
	}
}

// startProxy starts a proxy for an address and returns the proxy's address. It stores the body of the last PUT request.
func startProxy(t *testing.T, address string, put *string) string {
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
