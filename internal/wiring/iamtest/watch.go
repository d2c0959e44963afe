// Package iamtest checks in tests that the IAM roles of a deployment allow exactly the AWS calls that its functions
// make.
//
// A [Watch] is middleware for AWS clients. It records each call as the IAM action, resource and condition keys that the
// call needs. [Watch.Check] then reads the roles from the CloudFormation templates of a [Stack]: template.yaml, and the
// templates that package stack generates for the models. It returns a text for each call that a role does not allow,
// and for each permission that no call needs. The test in package wiring makes every call that the functions can make,
// from the event to the announcement.
//
// # Terms
//
//   - A [Call] is a request of a function to AWS, in the words of IAM.
//   - A need is a request that a role must allow. It comes from a call, or from AWS itself: Lambda assumes the role of
//     a function and receives messages with it, ECS assumes the roles of a task.
//   - A statement is an Allow statement of a policy or of a trust policy. The package ignores Deny statements.
//
// # Rules for maintainers
//
//   - A new AWS operation needs a case in Watch.needed. Until it has one, no role allows it.
//   - A new CloudFormation function needs a case in template.function, a new resource type one in template.attribute,
//     and a new condition operator one in statement.met. An unknown function or type fails the test. A condition with
//     an unknown operator never holds.
//   - The roles of tasks may allow more than this package sees, because the code of a model makes its own calls.
package iamtest

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

// Call is a request of a function to AWS, in the words of IAM.
type Call struct {
	Function string            // the name of the function, such as launch
	Action   string            // the IAM action, such as ecs:RunTask
	Resource string            // the ARN of the resource; "any" if the action has no resource
	Context  map[string]string // the values of the request, by condition key
}

// Watch records the calls of functions. It is safe for concurrent use.
type Watch struct {
	region, account string
	function        func(context.Context) string // returns the function that makes a call

	mu         sync.Mutex
	calls      map[string]Call
	operations map[string]bool
}

// NewWatch returns a watch for calls in a Region and an account. function returns the name of the function that makes a
// call, from the context of the call.
func NewWatch(region, account string, function func(context.Context) string) *Watch {
	return &Watch{region: region, account: account, function: function, calls: map[string]Call{}, operations: map[string]bool{}}
}

// Middleware adds the watch to a client. It is an element for aws.Config.APIOptions.
func (w *Watch) Middleware(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("roles", w.record), middleware.After)
}

// record records a call, and makes it.
func (w *Watch) record(
	ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
) (middleware.InitializeOutput, middleware.Metadata, error) {
	w.mu.Lock()
	for _, c := range w.needed(ctx, in.Parameters) {
		c.Function = w.function(ctx)
		w.calls[fmt.Sprint(c)] = c
	}
	w.operations[awsmiddleware.GetOperationName(ctx)] = true
	w.mu.Unlock()
	return next.HandleInitialize(ctx, in)
}

// Calls returns the calls so far, each different call once.
func (w *Watch) Calls() []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Values(w.calls))
}

// Operations returns the sorted names of the SDK operations that were called so far.
func (w *Watch) Operations() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.operations))
}

// needed returns the IAM actions that a call needs, as the Service Authorization Reference lists them.
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
			all = append(all, one("events:PutEvents", bus, map[string]string{
				"events:source": aws.ToString(entry.Source), "events:detail-type": aws.ToString(entry.DetailType),
			})...)
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
	case *dynamodb.TransactWriteItemsInput: // IAM checks the action of each item
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
	// No role allows an action on this resource, so a new operation fails the test until it has a case above.
	action := strings.ToLower(awsmiddleware.GetServiceID(ctx)) + ":" + awsmiddleware.GetOperationName(ctx)
	return one(action, "an operation that iamtest does not know", nil)
}

// table returns the ARN of a table.
func (w *Watch) table(name *string) string { return w.arn("dynamodb", "table/"+aws.ToString(name)) }

// cluster returns the context of a request for a cluster, from the name or the ARN of the cluster.
func (w *Watch) cluster(nameOrARN *string) map[string]string {
	return map[string]string{"ecs:cluster": w.arn("ecs", "cluster/"+after(aws.ToString(nameOrARN), '/'))}
}

// arn returns the ARN of a resource in the watch's Region and account.
func (w *Watch) arn(service, resource string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, w.region, w.account, resource)
}

// after returns the part of a text after the last occurrence of a byte.
func after(text string, last byte) string { return text[strings.LastIndexByte(text, last)+1:] }
