package wiring_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/local"
	"modeldispatch/internal/stack"
	"modeldispatch/internal/wiring/iamtest"
)

// outside is the ARN of a role that belongs to a task definition from outside the deployment.
const outside = "arn:aws:iam::" + local.Account + ":role/outside"

// templates returns the templates of the deployment, with the parameters and names of the account.
func (c *calls) templates(t *testing.T) iamtest.Stack {
	t.Helper()
	root, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	policies := map[string][]byte{"first": []byte(`{"Version": "2012-10-17", "Statement": []}`)}
	models, err := stack.Generate(c.catalog, policies, time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	templates := map[string]string{iamtest.Root: string(root)}
	for name, text := range models {
		templates[name] = string(text)
	}
	return iamtest.Stack{
		Templates: templates, Region: local.Region, Account: local.Account,
		Parameters: map[string]any{
			"Deployment": deployment, "ExtraTaskRoleArns": []any{outside},
			"Cluster": "arn:aws:ecs:" + local.Region + ":" + local.Account + ":cluster/" + c.environment["CLUSTER"],
		},
		Names: map[string]string{"Table": c.environment["TABLE"], "StateBucket": c.environment["STATE_BUCKET"]},
	}
}

// operations returns the names of the SDK operations that the code of the functions can call. The test compares them
// with the calls of calls.live, which show what the roles must allow only if they include every operation. BatchGetItem
// does not count. It reads the store's lists for the command line, which has the credentials of its user.
func operations(t *testing.T) []string {
	t.Helper()
	found := map[string]bool{}
	for _, folder := range []string{"../fargate", "../dispatch/awsadapters", "../store/dynamodb"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no Go files, error %v", folder, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			code, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(code, func(n ast.Node) bool {
				call, _ := n.(*ast.CallExpr)
				if call == nil {
					return true
				}
				if method, _ := call.Fun.(*ast.SelectorExpr); method != nil {
					if client, _ := method.X.(*ast.SelectorExpr); client != nil && (client.Sel.Name == "api" || client.Sel.Name == "Client") {
						found[method.Sel.Name] = true
					}
				}
				return true
			})
		}
	}
	delete(found, "BatchGetItem")
	return slices.Sorted(maps.Keys(found))
}

// TestRoles checks that the roles of the templates allow every call of the functions, and nothing else. It also checks
// that each mistake in a template (see doctored) is found.
func TestRoles(t *testing.T) {
	t.Parallel()
	c, watch := newCalls(t)
	c.live(t)
	if called, all := watch.Operations(), operations(t); !slices.Equal(called, all) {
		t.Errorf("the test has called the operations %q, want every operation in the code: %q", called, all)
	}
	given := c.templates(t)
	for _, wrong := range watch.Check(t, given) {
		t.Error(wrong)
	}
	own := given // without a value for Cluster, the deployment makes its own cluster
	own.Parameters, own.Names = maps.Clone(given.Parameters), maps.Clone(given.Names)
	own.Parameters["Cluster"], own.Names["OwnCluster"] = "", c.environment["CLUSTER"]
	for _, wrong := range watch.Check(t, own) {
		t.Errorf("with the deployment's own cluster: %s", wrong)
	}
	for _, one := range doctored {
		bad := given
		bad.Templates = map[string]string{}
		for name, text := range given.Templates {
			bad.Templates[name] = strings.ReplaceAll(text, one.old, one.new)
		}
		if maps.Equal(bad.Templates, given.Templates) {
			t.Errorf("%s: no template contains %q", one.what, one.old)
		}
		found := strings.Join(watch.Check(t, bad), "\n")
		for _, want := range one.want {
			if !strings.Contains(found, want) {
				t.Errorf("%s: the findings are\n%s\nwant one with %q", one.what, found, want)
			}
		}
	}
}

// doctored lists mistakes that the test makes in the templates, and parts of the findings that must follow.
var doctored = []struct {
	what, old, new string
	want           []string
}{
	{
		what: "no permission for tags",
		old:  "[ecs:TagResource]",
		new:  "[ecs:UntagResource]",
		want: []string{
			"LaunchRole does not allow ecs:TagResource",
			"LaunchRole allows more than is needed: ecs:UntagResource",
		},
	},
	{
		what: "permission for tags of another call",
		old:  "ecs:CreateAction: RunTask",
		new:  "ecs:CreateAction: CreateService",
		want: []string{"does not allow ecs:TagResource", "more than is needed: ecs:TagResource"},
	},
	{
		what: "permission to pass other roles",
		old:  "role/${Deployment}/*",
		new:  "role/nonsense/*",
		want: []string{
			"does not allow iam:PassRole on arn:aws:iam::000000000000:role/boot/TaskRole",
			"role/boot/ExecutionRole",
			"role/boot/RoleFirst",
			"more than is needed: iam:PassRole",
			"more than is needed: arn:aws:iam::000000000000:role/nonsense/*",
		},
	},
	{
		what: "no permission to pass roles from outside",
		old:  "Resource: !Ref ExtraTaskRoleArns",
		new:  "Resource: !GetAtt TaskRole.Arn",
		want: []string{"does not allow iam:PassRole on " + outside},
	},
	{
		what: "permission to pass roles to another service",
		old:  "iam:PassedToService: ecs-tasks.amazonaws.com",
		new:  "iam:PassedToService: ec2.amazonaws.com",
		want: []string{"does not allow iam:PassRole"},
	},
	{
		what: "ECS cannot assume the roles",
		old:  "Principal: {Service: ecs-tasks.amazonaws.com}",
		new:  "Principal: {Service: ec2.amazonaws.com}",
		want: []string{"TaskRole does not allow sts:AssumeRole", "ExecutionRole does not allow sts:AssumeRole"},
	},
	{
		what: "services of another account assume the roles",
		old:  "aws:SourceAccount: !Ref AWS::AccountId",
		new:  "aws:SourceAccount: other",
		want: []string{"TaskRole does not allow sts:AssumeRole", "SchedulerRole does not allow sts:AssumeRole"},
	},
	{
		what: "Lambda cannot assume the roles",
		old:  "Principal: {Service: lambda.amazonaws.com}",
		new:  "Principal: {Service: ec2.amazonaws.com}",
		want: []string{
			"SweepRole does not allow sts:AssumeRole",
			"SweepRole allows more than is needed: ec2.amazonaws.com",
		},
	},
	{
		what: "no permission to receive messages",
		old:  "sqs:ReceiveMessage, ",
		new:  "",
		want: []string{"LaunchRole does not allow sqs:ReceiveMessage", "SweepRole does not allow sqs:ReceiveMessage"},
	},
	{
		what: "no permission to delete messages",
		old:  "sqs:DeleteMessage, ",
		new:  "",
		want: []string{"LaunchRole does not allow sqs:DeleteMessage", "SweepRole does not allow sqs:DeleteMessage"},
	},
	{
		what: "no permission to receive messages of the models' queues",
		old:  "- sqs:ReceiveMessage",
		new:  "- sqs:SendMessage",
		want: []string{
			"MessageRole does not allow sqs:ReceiveMessage",
			"MessageRole allows more than is needed: sqs:SendMessage",
		},
	},
	{
		what: "permission to receive messages of another queue",
		old:  "Resource: !GetAtt WakeQueue.Arn",
		new:  "Resource: !GetAtt DeadLetters.Arn",
		want: []string{
			"SweepRole does not allow sqs:ReceiveMessage",
			"SweepRole allows more than is needed: sqs:ReceiveMessage",
		},
	},
	{
		what: "no permission to send dead letters",
		old:  "[sqs:SendMessage]\n                Resource: !GetAtt DeadLetters.Arn",
		new:  "[sqs:SendMessage]\n                Resource: !GetAtt WakeQueue.Arn",
		want: []string{
			"ScheduleRole does not allow sqs:SendMessage",
			"SweepRole does not allow",
			"SchedulerRole does not allow sqs:SendMessage",
		},
	},
	{
		what: "no destination for failed invocations",
		old:  "EventInvokeConfig:",
		new:  "Nothing:",
		want: []string{"ScheduleRole allows more than is needed: sqs:SendMessage", "SweepRole allows more"},
	},
	{
		what: "permission for another cluster",
		old:  "ecs:cluster: !If [MakeCluster, !GetAtt OwnCluster.Arn, !Ref Cluster]",
		new:  "ecs:cluster: nonsense",
		want: []string{
			"LaunchRole does not allow ecs:ListTasks",
			"SweepRole does not allow ecs:DescribeTasks",
			"does not allow ecs:StopTask",
			"more than is needed: ecs:StopTask",
		},
	},
	{
		what: "permission to announce as another source",
		old:  "events:source: modeldispatch",
		new:  "events:source: nonsense",
		want: []string{
			"CompletionRole does not allow events:PutEvents",
			"CompletionRole allows more than is needed: events:PutEvents",
		},
	},
	{
		what: "an unknown condition operator",
		old:  "StringEquals: {events:source",
		new:  "StringNotEquals: {events:source",
		want: []string{"does not allow events:PutEvents"},
	},
	{
		what: "no permission to write logs",
		old:  "logs:CreateLogStream, ",
		new:  "",
		want: []string{"ArrivalRole does not allow logs:CreateLogStream"},
	},
	{
		what: "an action for all functions that none of them needs",
		old:  "dynamodb:Query]",
		new:  "dynamodb:Query, dynamodb:Scan]",
		want: []string{"ScheduleRole allows more than is needed: dynamodb:Scan", "SweepRole allows more"},
	},
	{
		what: "a queue for all functions that none of them needs",
		old:  "[!GetAtt LaunchQueue.Arn, !GetAtt WakeQueue.Arn]",
		new:  "[!GetAtt LaunchQueue.Arn, !GetAtt WakeQueue.Arn, !GetAtt DeadLetters.Arn]",
		want: []string{"LaunchRole allows more than is needed: arn:aws:sqs:us-east-1:000000000000:boot-dead-letters"},
	},
	{
		what: "no permission for schedules to invoke functions",
		old:  "[lambda:InvokeFunction]",
		new:  "[lambda:GetFunction]",
		want: []string{
			"SchedulerRole does not allow lambda:InvokeFunction",
			"SchedulerRole allows more than is needed: lambda:GetFunction",
		},
	},
	{
		what: "no permission to read external inputs",
		old:  "[s3:GetObject]",
		new:  "[s3:GetObjectAcl]",
		want: []string{
			"CompletionRole does not allow s3:GetObject",
			"SweepRole allows more than is needed: s3:GetObjectAcl",
		},
	},
	{
		what: "no permission to look for objects",
		old:  "s3:ListBucket",
		new:  "s3:GetBucketAcl",
		want: []string{"SweepRole does not allow s3:ListBucket", "SweepRole allows more than is needed: s3:GetBucketAcl"},
	},
}
