// Package apptest watches the AWS calls of the functions in tests, and holds them against the roles that the templates give
// them: those of template.yaml, and what the template of the models adds.
package apptest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"
)

// Call is an IAM action that a function's call needs, on what, and what the call says of itself.
type Call struct {
	Function, Action, Resource string
	Context                    map[string]string // by condition key
}

// Watch keeps the calls that functions make.
type Watch struct {
	region, account string
	function        func(context.Context) string // that makes a call

	mu         sync.Mutex
	calls      map[string]Call
	operations map[string]bool
}

// NewWatch makes a watch of the calls in a Region and an account. function says of a call's context whose it is.
func NewWatch(region, account string, function func(context.Context) string) *Watch {
	return &Watch{region: region, account: account, function: function, calls: map[string]Call{}, operations: map[string]bool{}}
}

// Middleware goes into aws.Config.APIOptions.
func (w *Watch) Middleware(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("roles", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		w.mu.Lock()
		for _, c := range w.needed(ctx, in.Parameters) {
			c.Function = w.function(ctx)
			w.calls[fmt.Sprint(c)] = c
		}
		w.operations[awsmiddleware.GetOperationName(ctx)] = true
		w.mu.Unlock()
		return next.HandleInitialize(ctx, in)
	}), middleware.After)
}

// Calls are the different calls so far.
func (w *Watch) Calls() []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Values(w.calls))
}

// Operations are the names of the SDK's operations that were called so far, sorted.
func (w *Watch) Operations() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.operations))
}

// needed are the IAM actions that a call needs, as the Service Authorization Reference has them.
// https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
func (w *Watch) needed(ctx context.Context, in any) []Call {
	one := func(action, resource string, context map[string]string) []Call {
		return []Call{{Action: action, Resource: resource, Context: context}}
	}
	switch in := in.(type) {
	case *ecs.RunTaskInput:
		all := one("ecs:RunTask", aws.ToString(in.TaskDefinition), w.cluster(in.Cluster))
		if len(in.Tags) > 0 { // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/supported-iam-actions-tagging.html
			task := w.arn("ecs", "task/"+after(w.cluster(in.Cluster)["ecs:cluster"], '/')+"/t")
			all = append(all, one("ecs:TagResource", task, map[string]string{"ecs:CreateAction": "RunTask"})...)
		}
		return all
	case *ecs.StopTaskInput:
		return one("ecs:StopTask", aws.ToString(in.Task), w.cluster(in.Cluster))
	case *ecs.DescribeTasksInput:
		return one("ecs:DescribeTasks", in.Tasks[0], w.cluster(in.Cluster))
	case *ecs.ListTasksInput:
		return one("ecs:ListTasks", "any", w.cluster(in.Cluster))
	case *ecs.DescribeTaskDefinitionInput:
		return one("ecs:DescribeTaskDefinition", "any", nil)
	case *sqs.SendMessageInput:
		return one("sqs:SendMessage", w.arn("sqs", after(aws.ToString(in.QueueUrl), '/')), nil)
	case *s3.ListObjectsV2Input:
		return one("s3:ListBucket", "arn:aws:s3:::"+aws.ToString(in.Bucket), map[string]string{"s3:prefix": aws.ToString(in.Prefix)})
	case *s3.GetObjectInput:
		return one("s3:GetObject", "arn:aws:s3:::"+aws.ToString(in.Bucket)+"/"+aws.ToString(in.Key), nil)
	case *s3.PutObjectInput:
		return one("s3:PutObject", "arn:aws:s3:::"+aws.ToString(in.Bucket)+"/"+aws.ToString(in.Key), nil)
	case *eventbridge.PutEventsInput:
		var all []Call
		for _, entry := range in.Entries {
			bus := w.arn("events", "event-bus/"+aws.ToString(entry.EventBusName))
			all = append(all, one("events:PutEvents", bus, map[string]string{"events:source": aws.ToString(entry.Source), "events:detail-type": aws.ToString(entry.DetailType)})...)
		}
		return all
	case *dynamodb.GetItemInput:
		return one("dynamodb:GetItem", w.table(in.TableName), nil)
	case *dynamodb.PutItemInput:
		return one("dynamodb:PutItem", w.table(in.TableName), nil)
	case *dynamodb.QueryInput:
		if in.IndexName != nil {
			return one("dynamodb:Query", w.table(in.TableName)+"/index/"+*in.IndexName, nil)
		}
		return one("dynamodb:Query", w.table(in.TableName), nil)
	case *dynamodb.TransactWriteItemsInput: // is allowed by what it consists of
		var all []Call
		for _, item := range in.TransactItems {
			switch {
			case item.Put != nil:
				all = append(all, one("dynamodb:PutItem", w.table(item.Put.TableName), nil)...)
			case item.Delete != nil:
				all = append(all, one("dynamodb:DeleteItem", w.table(item.Delete.TableName), nil)...)
			case item.Update != nil:
				all = append(all, one("dynamodb:UpdateItem", w.table(item.Update.TableName), nil)...)
			case item.ConditionCheck != nil:
				all = append(all, one("dynamodb:ConditionCheckItem", w.table(item.ConditionCheck.TableName), nil)...)
			}
		}
		return all
	}
	// What is new is to be described here, too: until then no role allows it.
	return one(strings.ToLower(awsmiddleware.GetServiceID(ctx))+":"+awsmiddleware.GetOperationName(ctx), "what apptest does not know", nil)
}

func (w *Watch) table(name *string) string { return w.arn("dynamodb", "table/"+aws.ToString(name)) }

// cluster is the condition key of a cluster, which calls give by its name or ARN.
func (w *Watch) cluster(nameOrARN *string) map[string]string {
	return map[string]string{"ecs:cluster": w.arn("ecs", "cluster/"+after(aws.ToString(nameOrARN), '/'))}
}

func (w *Watch) arn(service, resource string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, w.region, w.account, resource)
}

// after is what comes after the last of a character.
func after(text string, last byte) string { return text[strings.LastIndexByte(text, last)+1:] }
