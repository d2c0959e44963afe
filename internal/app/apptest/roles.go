// Package apptest watches the AWS calls of the functions in tests, and holds them against the roles that template.yaml
// gives them.
package apptest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"
	"go.yaml.in/yaml/v3"
)

// Names are what the names in the template stand for in a test.
type Names struct{ Deployment, Table, Bucket, Cluster, LaunchQueue, WakeQueue, Region, Account string }

// statement is one that allows actions on resources, with * in both.
type statement struct {
	actions, resources []string
	used               map[string]bool // of its actions
}

// Watch compares calls with roles.
type Watch struct {
	t        testing.TB
	names    Names
	function func(context.Context) string // that makes a call

	mu    sync.Mutex
	roles map[string][]*statement // of functions
}

// NewWatch reads the roles of the functions in template.yaml.
func NewWatch(t testing.TB, names Names, function func(context.Context) string) *Watch {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(here), "..", "..", "..", "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources map[string]struct {
			Type       string         `yaml:"Type"`
			Properties map[string]any `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	w := &Watch{t: t, names: names, function: function, roles: map[string][]*statement{}}
	shared := w.statements(template.Resources["Functions"].Properties["PolicyDocument"])
	for name, r := range template.Resources {
		if r.Type != "AWS::Serverless::Function" {
			continue
		}
		role := template.Resources[strings.TrimSuffix(r.Properties["Role"].(string), ".Arn")].Properties
		if !slices.Contains(role["ManagedPolicyArns"].([]any), any("Functions")) {
			t.Errorf("the role of %s lacks what all functions do", name)
		}
		w.roles[strings.ToLower(name)] = append(w.byLambda(r.Properties, w.statements(role["Policies"])), shared...)
	}
	return w
}

// byLambda marks what Lambda itself does in the function's name.
func (w *Watch) byLambda(function map[string]any, own []*statement) []*statement {
	uses := func(actions ...string) {
		for _, s := range own {
			for _, action := range actions {
				s.used[action] = s.used[action] || slices.Contains(s.actions, action)
			}
		}
	}
	uses("ecs:TagResource") // RunTask's tags need it
	uses("iam:PassRole")    // RunTask's roles need it
	if function["EventInvokeConfig"] != nil {
		uses("sqs:SendMessage") // to its destination for failures
	}
	if strings.Contains(fmt.Sprint(function["Events"]), "SQS") {
		uses("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
	}
	return own
}

// statements are all that lie in a part of the template.
func (w *Watch) statements(part any) []*statement {
	var all []*statement
	switch part := part.(type) {
	case []any:
		for _, one := range part {
			all = append(all, w.statements(one)...)
		}
	case map[string]any:
		if part["Effect"] == "Allow" {
			return []*statement{{actions: w.texts(part["Action"]), resources: w.texts(part["Resource"]), used: map[string]bool{}}}
		}
		for _, one := range part {
			all = append(all, w.statements(one)...)
		}
	}
	return all
}

var variable = regexp.MustCompile(`\$\{([^}]+)\}`)

// texts resolves texts of the template. Its short functions (!Sub, !GetAtt, !Ref) are tags, which YAML's decoder drops.
func (w *Watch) texts(v any) []string {
	if list, isList := v.([]any); isList {
		var all []string
		for _, one := range list {
			all = append(all, w.texts(one)...)
		}
		return all
	}
	n := w.names
	values := map[string]string{
		"AWS::Partition": "aws", "AWS::Region": n.Region, "AWS::AccountId": n.Account, "Deployment": n.Deployment, "EventBus": "default",
		"Table.Arn": w.arn("dynamodb", "table/"+n.Table), "StateBucket.Arn": "arn:aws:s3:::" + n.Bucket,
		"LaunchQueue.Arn": w.arn("sqs", n.LaunchQueue), "WakeQueue.Arn": w.arn("sqs", n.WakeQueue),
	}
	text := fmt.Sprint(v)
	if value, isName := values[text]; isName {
		return []string{value}
	}
	return []string{variable.ReplaceAllStringFunc(text, func(name string) string { return values[name[2:len(name)-1]] })}
}

func (w *Watch) arn(service, resource string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, w.names.Region, w.names.Account, resource)
}

// Middleware goes into aws.Config.APIOptions.
func (w *Watch) Middleware(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("roles", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		for action, resource := range w.actions(ctx, in.Parameters) {
			w.called(w.function(ctx), action, resource)
		}
		return next.HandleInitialize(ctx, in)
	}), middleware.After)
}

// actions are the IAM actions that a call needs, and on what.
func (w *Watch) actions(ctx context.Context, in any) map[string]string {
	table := func(name *string) string { return w.arn("dynamodb", "table/"+aws.ToString(name)) }
	switch in := in.(type) {
	case *ecs.RunTaskInput:
		return map[string]string{"ecs:RunTask": aws.ToString(in.TaskDefinition)}
	case *ecs.StopTaskInput:
		return map[string]string{"ecs:StopTask": aws.ToString(in.Task)}
	case *ecs.DescribeTasksInput:
		return map[string]string{"ecs:DescribeTasks": in.Tasks[0]}
	case *ecs.ListTasksInput:
		return map[string]string{"ecs:ListTasks": "any"}
	case *ecs.DescribeTaskDefinitionInput:
		return map[string]string{"ecs:DescribeTaskDefinition": "any"}
	case *sqs.SendMessageInput:
		return map[string]string{"sqs:SendMessage": w.arn("sqs", aws.ToString(in.QueueUrl)[strings.LastIndexByte(aws.ToString(in.QueueUrl), '/')+1:])}
	case *s3.ListObjectsV2Input:
		return map[string]string{"s3:ListBucket": "arn:aws:s3:::" + aws.ToString(in.Bucket)}
	case *s3.PutObjectInput:
		return map[string]string{"s3:PutObject": "arn:aws:s3:::" + aws.ToString(in.Bucket) + "/" + aws.ToString(in.Key)}
	case *eventbridge.PutEventsInput:
		return map[string]string{"events:PutEvents": w.arn("events", "event-bus/"+aws.ToString(in.Entries[0].EventBusName))}
	case *dynamodb.GetItemInput:
		return map[string]string{"dynamodb:GetItem": table(in.TableName)}
	case *dynamodb.PutItemInput:
		return map[string]string{"dynamodb:PutItem": table(in.TableName)}
	case *dynamodb.QueryInput:
		if in.IndexName != nil {
			return map[string]string{"dynamodb:Query": table(in.TableName) + "/index/" + *in.IndexName}
		}
		return map[string]string{"dynamodb:Query": table(in.TableName)}
	case *dynamodb.TransactWriteItemsInput:
		all := map[string]string{}
		for _, item := range in.TransactItems {
			switch {
			case item.Put != nil:
				all["dynamodb:PutItem"] = table(item.Put.TableName)
			case item.Delete != nil:
				all["dynamodb:DeleteItem"] = table(item.Delete.TableName)
			default:
				all["dynamodb:UpdateItem or ConditionCheckItem"] = "any"
			}
		}
		return all
	}
	// What is new is to be described here, too: until then no role allows it.
	return map[string]string{strings.ToLower(awsmiddleware.GetServiceID(ctx)) + ":" + awsmiddleware.GetOperationName(ctx): "any"}
}

// called holds one call against the function's role.
func (w *Watch) called(function, action, resource string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	allowed := false
	for _, s := range w.roles[function] {
		if slices.Contains(s.actions, action) && slices.ContainsFunc(s.resources, func(pattern string) bool { return matches(pattern, resource) }) {
			s.used[action], allowed = true, true
		}
	}
	if !allowed {
		w.t.Errorf("the role of function %q does not allow it %s on %s", function, action, resource)
	}
}

func matches(pattern, resource string) bool {
	quoted := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*")
	return regexp.MustCompile("^" + quoted + "$").MatchString(resource)
}

// Unused are the actions that roles allow and nothing needed. What Lambda does beside the code, and says nothing of, is
// writing logs.
func (w *Watch) Unused() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for function, role := range w.roles {
		for _, s := range role {
			for _, action := range s.actions {
				if one := function + ": " + action; !s.used[action] && !strings.HasPrefix(action, "logs:") && !slices.Contains(all, one) {
					all = append(all, one)
				}
			}
		}
	}
	slices.Sort(all)
	return all
}
