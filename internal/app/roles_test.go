package app_test

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

	"modeldispatch/internal/app/apptest"
	"modeldispatch/internal/local"
	"modeldispatch/internal/stack"
)

// outside is the role of the task definition that no model brings.
const outside = "arn:aws:iam::" + local.Account + ":role/outside"

// templates are the deployment's templates, with parameters and names of the account.
func (c *calls) templates(t *testing.T) apptest.Stack {
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
	templates := map[string]string{apptest.Root: string(root)}
	for name, text := range models {
		templates[name] = string(text)
	}
	return apptest.Stack{
		Templates: templates, Region: local.Region, Account: local.Account,
		Parameters: map[string]any{
			"Deployment": deployment, "ExtraTaskRoleArns": []any{outside},
			"Cluster": "arn:aws:ecs:" + local.Region + ":" + local.Account + ":cluster/" + c.environment["CLUSTER"],
		},
		Names: map[string]string{"Table": c.environment["TABLE"], "StateBucket": c.environment["STATE_BUCKET"]},
	}
}

// operations are the SDK's operations that the code of the functions has calls of. Why one life says of all tests' calls
// whether they are allowed: it has called each, and what a role allows is what its function has called in it. BatchGetItem
// is of the store's lists, which the command line reads, with the credentials of who runs it.
func operations(t *testing.T) []string {
	t.Helper()
	found := map[string]bool{}
	for _, folder := range []string{"../fargate", "../dispatch/awsio", "../store/dynamodb"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no code: %v", folder, err)
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

// TestTheRolesAllowWhatTheFunctionsCall, and nothing else.
func TestTheRolesAllowWhatTheFunctionsCall(t *testing.T) {
	t.Parallel()
	c, watch := newCalls(t)
	c.live(t)
	if called, all := watch.Operations(), operations(t); !slices.Equal(called, all) {
		t.Errorf("the functions have called %q, and their code has calls of %q", called, all)
	}
	given := c.templates(t)
	for _, wrong := range watch.Check(t, given) {
		t.Error(wrong)
	}
	own := given // the deployment makes its cluster itself
	own.Parameters, own.Names = maps.Clone(given.Parameters), maps.Clone(given.Names)
	own.Parameters["Cluster"], own.Names["OwnCluster"] = "", c.environment["CLUSTER"]
	for _, wrong := range watch.Check(t, own) {
		t.Errorf("with a cluster of its own: %s", wrong)
	}
	for _, one := range doctored {
		bad := given
		bad.Templates = map[string]string{}
		for name, text := range given.Templates {
			bad.Templates[name] = strings.ReplaceAll(text, one.old, one.new)
		}
		if maps.Equal(bad.Templates, given.Templates) {
			t.Errorf("%s: no template has %q", one.what, one.old)
		}
		found := strings.Join(watch.Check(t, bad), "\n")
		for _, want := range one.want {
			if !strings.Contains(found, want) {
				t.Errorf("%s: found is\n%s\nwant %q", one.what, found, want)
			}
		}
	}
}

// doctored are templates with something wrong, which has to be found.
var doctored = []struct {
	what, old, new string
	want           []string
}{
	{"tags are not allowed", "[ecs:TagResource]", "[ecs:UntagResource]", []string{"LaunchRole does not allow ecs:TagResource", "LaunchRole allows more than is needed: ecs:UntagResource"}},
	{"tags are allowed for something else", "ecs:CreateAction: RunTask", "ecs:CreateAction: CreateService", []string{"does not allow ecs:TagResource", "more than is needed: ecs:TagResource"}},
	{"other roles are passed", "role/${Deployment}/*", "role/nonsense/*", []string{"does not allow iam:PassRole on arn:aws:iam::000000000000:role/boot/TaskRole", "role/boot/ExecutionRole", "role/boot/RoleFirst", "more than is needed: iam:PassRole", "more than is needed: arn:aws:iam::000000000000:role/nonsense/*"}},
	{"the roles of others are not passed", "Resource: !Ref ExtraTaskRoleArns", "Resource: !GetAtt TaskRole.Arn", []string{"does not allow iam:PassRole on " + outside}},
	{"roles are passed to another service", "iam:PassedToService: ecs-tasks.amazonaws.com", "iam:PassedToService: ec2.amazonaws.com", []string{"does not allow iam:PassRole"}},
	{"ECS cannot take the roles", "Principal: {Service: ecs-tasks.amazonaws.com}", "Principal: {Service: ec2.amazonaws.com}", []string{"TaskRole does not allow sts:AssumeRole", "ExecutionRole does not allow sts:AssumeRole"}},
	{"ECS of another account takes the roles", "aws:SourceAccount: !Ref AWS::AccountId", "aws:SourceAccount: other", []string{"TaskRole does not allow sts:AssumeRole", "SchedulerRole does not allow sts:AssumeRole"}},
	{"Lambda cannot take the roles", "Principal: {Service: lambda.amazonaws.com}", "Principal: {Service: ec2.amazonaws.com}", []string{"SweepRole does not allow sts:AssumeRole", "SweepRole allows more than is needed: ec2.amazonaws.com"}},
	{"queues cannot be read", "sqs:ReceiveMessage, ", "", []string{"LaunchRole does not allow sqs:ReceiveMessage", "SweepRole does not allow sqs:ReceiveMessage"}},
	{"messages cannot be deleted", "sqs:DeleteMessage, ", "", []string{"LaunchRole does not allow sqs:DeleteMessage", "SweepRole does not allow sqs:DeleteMessage"}},
	{"the models' queues cannot be read", "- sqs:ReceiveMessage", "- sqs:SendMessage", []string{"MessageRole does not allow sqs:ReceiveMessage", "MessageRole allows more than is needed: sqs:SendMessage"}},
	{"another queue is read", "Resource: !GetAtt WakeQueue.Arn", "Resource: !GetAtt DeadLetters.Arn", []string{"SweepRole does not allow sqs:ReceiveMessage", "SweepRole allows more than is needed: sqs:ReceiveMessage"}},
	{"what has failed is lost", "[sqs:SendMessage]\n                Resource: !GetAtt DeadLetters.Arn", "[sqs:SendMessage]\n                Resource: !GetAtt WakeQueue.Arn", []string{"ScheduleRole does not allow sqs:SendMessage", "SweepRole does not allow", "SchedulerRole does not allow sqs:SendMessage"}},
	{"nothing fails", "EventInvokeConfig:", "Nothing:", []string{"ScheduleRole allows more than is needed: sqs:SendMessage", "SweepRole allows more"}},
	{"another cluster", "ecs:cluster: !If [MakeCluster, !GetAtt OwnCluster.Arn, !Ref Cluster]", "ecs:cluster: nonsense", []string{"LaunchRole does not allow ecs:ListTasks", "SweepRole does not allow ecs:DescribeTasks", "does not allow ecs:StopTask", "more than is needed: ecs:StopTask"}},
	{"announcements of another", "events:source: modeldispatch", "events:source: nonsense", []string{"CompletionRole does not allow events:PutEvents", "CompletionRole allows more than is needed: events:PutEvents"}},
	{"an operator that is not known", "StringEquals: {events:source", "StringNotEquals: {events:source", []string{"does not allow events:PutEvents"}},
	{"no log", "logs:CreateLogStream, ", "", []string{"ArrivalRole does not allow logs:CreateLogStream"}},
	{"something for all that nothing calls", "dynamodb:Query]", "dynamodb:Query, dynamodb:Scan]", []string{"ScheduleRole allows more than is needed: dynamodb:Scan", "SweepRole allows more"}},
	{"a queue more for all", "[!GetAtt LaunchQueue.Arn, !GetAtt WakeQueue.Arn]", "[!GetAtt LaunchQueue.Arn, !GetAtt WakeQueue.Arn, !GetAtt DeadLetters.Arn]", []string{"LaunchRole allows more than is needed: arn:aws:sqs:us-east-1:000000000000:boot-dead-letters"}},
	{"schedules cannot invoke", "[lambda:InvokeFunction]", "[lambda:GetFunction]", []string{"SchedulerRole does not allow lambda:InvokeFunction", "SchedulerRole allows more than is needed: lambda:GetFunction"}},
	{"large inputs cannot be read", "[s3:GetObject]", "[s3:GetObjectAcl]", []string{"CompletionRole does not allow s3:GetObject", "SweepRole allows more than is needed: s3:GetObjectAcl"}},
	{"objects cannot be looked for", "s3:ListBucket", "s3:GetBucketAcl", []string{"SweepRole does not allow s3:ListBucket", "SweepRole allows more than is needed: s3:GetBucketAcl"}},
}
