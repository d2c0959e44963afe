package stack_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"modeldispatch/internal/model"
	"modeldispatch/internal/stack"
)

// statement returns the statement of a generated role policy as JSON, or "" when the policy does not exist.
func statement(t *testing.T, c model.Catalog, id string) string {
	t.Helper()
	policy, has := parse(t, generate(t, c, nil)[stack.File]).Resources[id]
	if !has {
		return ""
	}
	text, err := json.Marshal(policy.Properties["PolicyDocument"].(map[string]any)["Statement"].([]any)[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func parseURI(t *testing.T, text string) model.Template {
	t.Helper()
	template, err := model.ParseTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

// TestPermissionsCoverWhatModelsName checks that a role gets a policy only for resources that models name, and for
// each one.
func TestPermissionsCoverWhatModelsName(t *testing.T) {
	t.Parallel()
	c := catalogOf(1)
	for _, id := range []string{"ReadQueues", "RunOthers", "FindAwaited", "FindOutputs", "FindBoth"} {
		if got := statement(t, c, id); got != "" {
			t.Errorf("a model that needs no permission has the policy %s: %s", id, got)
		}
	}
	m := &c.Models[0]
	m.Task = model.Task{Family: "tool"}
	m.Outputs = []model.Output{{Name: "a", URI: parseURI(t, "s3://results/{x}.csv")}}
	m.Policy.WaitFor = &model.WaitFor{Objects: []model.Template{parseURI(t, "s3://rates/{x}.csv")}}
	c.Models = append(c.Models,
		model.Model{Name: "revision", Task: model.Task{Family: "tool:7"}},
		model.Model{Name: "arn", Task: model.Task{Family: "arn:aws:ecs:eu-west-1:111122223333:task-definition/theirs"}},
		model.Model{Name: "arn-revision", Task: model.Task{Family: "arn:aws:ecs:eu-west-1:111122223333:task-definition/theirs:3"}},
	)
	inAccount := func(name string) string {
		return `{"Fn::Sub":"arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task-definition/` + name + `"}`
	}
	list := func(resources string) string {
		return `{"Action":["s3:ListBucket"],"Effect":"Allow","Resource":` + resources + `}`
	}
	want := map[string]string{
		"RunOthers": `{"Action":["ecs:RunTask"],"Condition":{"ArnEquals":{"ecs:cluster":{"Ref":"Cluster"}}},"Effect":"Allow","Resource":[` +
			`"arn:aws:ecs:eu-west-1:111122223333:task-definition/theirs:*","arn:aws:ecs:eu-west-1:111122223333:task-definition/theirs:3",` +
			inAccount("tool:*") + "," + inAccount("tool:7") + `]}`,
		"FindAwaited": list(`[{"Fn::Sub":"arn:${AWS::Partition}:s3:::rates"}]`),
		"FindOutputs": list(`[{"Fn::Sub":"arn:${AWS::Partition}:s3:::results"}]`),
		"FindBoth":    list(`[{"Fn::Sub":"arn:${AWS::Partition}:s3:::rates"},{"Fn::Sub":"arn:${AWS::Partition}:s3:::results"}]`),
	}
	for id, want := range want {
		if got := statement(t, c, id); got != want {
			t.Errorf("%s allows\n%s, want\n%s", id, got, want)
		}
	}
	m.Outputs[0].URI = parseURI(t, "s3://{x}-results/a.csv")
	if got := statement(t, c, "FindOutputs"); got != list(`"*","Sid":"ABucketDependsOnInputs"`) {
		t.Errorf("with an output bucket that depends on inputs FindOutputs allows %s, want s3:ListBucket on *", got)
	}
}

func TestLimitOfAPolicy(t *testing.T) {
	t.Parallel()
	c := catalogOf(1)
	for i := range 150 {
		c.Models[0].Triggers = append(c.Models[0].Triggers, model.Trigger{Kind: model.Message, Queue: fmt.Sprintf("queue-%03d", i)})
	}
	_, err := stack.Generate(c, nil, now)
	if want := `the policy "queues" of MessageRole has 150 resources in `; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Generate = %v, want an error with %q", err, want)
	}
}

// TestPolicyVariables checks the three kinds of ${…} in a policy.json: the environment's, CloudFormation's and IAM's.
func TestPolicyVariables(t *testing.T) {
	t.Parallel()
	c := catalogOf(1)
	c.Variables = map[string]string{"LANDING": "acme-landing"}
	policy := `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": [
		"arn:${AWS::Partition}:s3:::${LANDING}/${aws:PrincipalTag/team}/*", "${aws:username}${*}"
	]}]}`
	files, err := stack.Generate(c, map[string][]byte{"model-0000": []byte(policy)}, now)
	if err != nil {
		t.Fatal(err)
	}
	var all string
	for _, text := range files {
		all += string(text)
	}
	for _, want := range []string{
		"- Fn::Sub: arn:${AWS::Partition}:s3:::acme-landing/${!aws:PrincipalTag/team}/*\n",
		"- ${aws:username}${*}\n",
		" Fn::Sub: arn:${AWS::Partition}:s3:::${StateBucket}/inputs/*\n",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the templates do not contain %q", want)
		}
	}
	_, err = stack.Generate(c, map[string][]byte{"model-0000": []byte(strings.ReplaceAll(policy, "LANDING", "LANDINGS"))}, now)
	want := `model "model-0000": policy.json: the environment has no variable ${LANDINGS}; it has LANDING`
	if err == nil || err.Error() != want {
		t.Errorf("Generate = %v, want %s", err, want)
	}
}
