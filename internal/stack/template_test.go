package stack_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"modeldispatch/internal/stack"
)

// templates are template.yaml, and what is generated for models that bring nothing of their own.
func templates(t *testing.T) map[string]map[string]any {
	t.Helper()
	root, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, policies := samples(t)
	texts := map[string][]byte{"template.yaml": root, "the samples": generate(t, c, policies)[stack.File], "plain models": generate(t, many(2), nil)[stack.File]}
	all := map[string]map[string]any{}
	for name, text := range texts {
		var decoded map[string]any
		if err := yaml.Unmarshal(text, &decoded); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = decoded
	}
	return all
}

// walk visits every object of a template, with its path.
func walk(at string, v any, visit func(at string, object map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(at, v)
		for name, value := range v {
			walk(at+"."+name, value, visit)
		}
	case []any:
		for i, value := range v {
			walk(fmt.Sprintf("%s[%d]", at, i), value, visit)
		}
	}
}

// resources visits every resource of all templates.
func resources(t *testing.T, visit func(at, kind string, properties map[string]any)) {
	t.Helper()
	for name, template := range templates(t) {
		for id, r := range template["Resources"].(map[string]any) {
			body := r.(map[string]any)
			properties, _ := body["Properties"].(map[string]any)
			visit(name+": "+id, fmt.Sprint(body["Type"]), properties)
		}
	}
}

func words(v any) []string {
	if list, isList := v.([]any); isList {
		var all []string
		for _, one := range list {
			all = append(all, fmt.Sprint(one))
		}
		return all
	}
	return []string{fmt.Sprint(v)}
}

// wide are the actions that may be allowed on everything; template.yaml says why beside each.
var wide = []string{"s3:ListBucket", "ecs:DescribeTaskDefinition", "ecs:ListTasks", "ecr:GetAuthorizationToken"}

func TestNoStatementIsWiderThanItMust(t *testing.T) {
	t.Parallel()
	statements := 0
	for name, template := range templates(t) {
		walk(name, template, func(at string, s map[string]any) {
			if s["Effect"] != "Allow" || s["Principal"] != nil {
				return
			}
			statements++
			for _, action := range words(s["Action"]) {
				if strings.Contains(action, "*") {
					t.Errorf("%s allows %s", at, action)
				}
				if slices.Contains(words(s["Resource"]), "*") && !slices.Contains(wide, action) {
					t.Errorf("%s allows %s on every resource", at, action)
				}
			}
		})
	}
	if statements < 30 {
		t.Errorf("there were %d statements to look at only", statements)
	}
}

func TestNothingIsLostOrInTheClear(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	resources(t, func(at, kind string, p map[string]any) {
		seen[kind]++
		has := func(property, why string) {
			if p[property] == nil || p[property] == false {
				t.Errorf("%s has no %s: %s", at, property, why)
			}
		}
		switch kind {
		case "AWS::SQS::Queue":
			has("SqsManagedSseEnabled", "it is not encrypted")
			if !strings.HasSuffix(at, ": DeadLetters") {
				has("RedrivePolicy", "what fails in it comes back for ever")
			}
		case "AWS::Serverless::Function":
			if fed := at == "template.yaml: Launch" || at == "template.yaml: Message"; !fed {
				has("EventInvokeConfig", "what it fails to do is lost")
			}
			has("Role", "SAM would make one of its own")
		case "AWS::DynamoDB::Table":
			has("SSESpecification", "it is not encrypted")
			has("PointInTimeRecoverySpecification", "it cannot be restored")
		case "AWS::S3::Bucket":
			has("BucketEncryption", "it is not encrypted")
			has("PublicAccessBlockConfiguration", "it could be made public")
		case "AWS::Events::Rule", "AWS::Scheduler::Schedule":
			targets, _ := p["Targets"].([]any)
			for _, target := range append(targets, p["Target"]) {
				if to, isTarget := target.(map[string]any); isTarget && to["DeadLetterConfig"] == nil {
					t.Errorf("%s has a target without DeadLetterConfig", at)
				}
			}
		case "AWS::Lambda::EventSourceMapping":
			has("FunctionResponseTypes", "one bad message would take its whole batch with it")
			has("ScalingConfig", "it could use up all concurrency of the account")
		case "AWS::ECS::TaskDefinition":
			has("ExecutionRoleArn", "ECS could not pull its image")
		}
	})
	for _, kind := range []string{"AWS::SQS::Queue", "AWS::Serverless::Function", "AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Events::Rule", "AWS::Scheduler::Schedule", "AWS::Lambda::EventSourceMapping", "AWS::ECS::TaskDefinition"} {
		if seen[kind] == 0 {
			t.Errorf("no template has a %s", kind)
		}
	}
	if root := templates(t)["template.yaml"]; seen["AWS::Serverless::Function"] != 7 || root == nil {
		t.Errorf("there are %d functions, want 7", seen["AWS::Serverless::Function"])
	}
}

// TestNamesHaveTheDeployment: two deployments share an account and a cluster in peace.
func TestNamesHaveTheDeployment(t *testing.T) {
	t.Parallel()
	names := []string{"FunctionName", "QueueName", "TableName", "ClusterName", "LogGroupName", "RuleName", "Family", "GroupName", "Name"}
	named := 0
	resources(t, func(at, kind string, p map[string]any) {
		for _, property := range names {
			name, has := p[property]
			inGroup := property == "Name" && p["GroupName"] != nil // a schedule's group has the deployment's name
			if !has || inGroup || strings.HasPrefix(kind, "AWS::Lambda::") {
				continue
			}
			named++
			if !strings.Contains(fmt.Sprint(name), "Deployment") {
				t.Errorf("%s has %s %v without the deployment's", at, property, name)
			}
		}
	})
	if named < 20 {
		t.Errorf("there were %d names to look at only", named)
	}
}

func TestNothingOfOneAccountIsInTheTemplates(t *testing.T) {
	t.Parallel()
	root, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	own := regexp.MustCompile(`arn:aws[:-]|[^0-9]\d{12}[^0-9]|\b(us|eu|ap|sa|ca|me|af)-[a-z]+-\d\b`)
	for name, text := range map[string][]byte{"template.yaml": root, "plain models": generate(t, many(2), nil)[stack.File]} {
		if found := own.FindAllString(string(text), -1); len(found) > 0 {
			t.Errorf("%s has %q: a partition, an account or a region", name, found)
		}
	}
}

// TestTheStacksAreNoCircle: what is generated gets all from template.yaml, which takes nothing back.
func TestTheStacksAreNoCircle(t *testing.T) {
	t.Parallel()
	all := templates(t)
	handed := all["template.yaml"]["Resources"].(map[string]any)["Models"].(map[string]any)["Properties"].(map[string]any)["Parameters"].(map[string]any)
	for _, name := range []string{"the samples", "plain models"} {
		declared := all[name]["Parameters"].(map[string]any)
		for parameter := range declared {
			if handed[parameter] == nil {
				t.Errorf("%s wants %s, and template.yaml does not hand it down", name, parameter)
			}
		}
		for parameter := range handed {
			if declared[parameter] == nil {
				t.Errorf("template.yaml hands down %s, which %s does not take", parameter, name)
			}
		}
	}
	root, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(root), "Models.Outputs") || strings.Contains(string(root), "DependsOn: Models") {
		t.Error("template.yaml takes something back from the stack that it nests")
	}
}
