package stack_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"modeldispatch/internal/model"
	"modeldispatch/internal/stack"
)

// statement is the only one of a role policy that is generated, as JSON; "" when there is none.
func statement(t *testing.T, c model.Catalog, id string) string {
	t.Helper()
	policy, has := read(t, generate(t, c, nil)[stack.File]).Resources[id]
	if !has {
		return ""
	}
	text, err := json.Marshal(policy.Properties["PolicyDocument"].(map[string]any)["Statement"].([]any)[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func parsed(t *testing.T, text string) model.Template {
	t.Helper()
	template, err := model.ParseTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

func TestRolesAreAllowedWhatModelsName(t *testing.T) {
	t.Parallel()
	c := many(1)
	for _, id := range []string{"ReadQueues", "RunOthers", "FindAwaited", "FindOutputs", "FindBoth"} {
		if got := statement(t, c, id); got != "" {
			t.Errorf("a model that needs nothing has %s: %s", id, got)
		}
	}
	m := &c.Models[0]
	m.Task = model.Task{Family: "tool"}
	m.Outputs = []model.Output{{Name: "a", URI: parsed(t, "s3://results/{x}.csv")}}
	m.Policy.WaitFor = &model.WaitFor{Objects: []model.Template{parsed(t, "s3://rates/{x}.csv")}}
	c.Models = append(c.Models,
		model.Model{Name: "revision", Task: model.Task{Family: "tool:7"}},
		model.Model{Name: "arn", Task: model.Task{Family: "arn:aws:ecs:eu-west-1:111122223333:task-definition/theirs"}},
		model.Model{Name: "arn-revision", Task: model.Task{Family: "arn:aws:ecs:eu-west-1:111122223333:task-definition/theirs:3"}},
	)
	ours := func(name string) string {
		return `{"Fn::Sub":"arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task-definition/` + name + `"}`
	}
	want := map[string]string{
		"RunOthers": `{"Action":["ecs:RunTask"],"Condition":{"ArnEquals":{"ecs:cluster":{"Ref":"Cluster"}}},"Effect":"Allow","Resource":["arn:aws:ecs:eu-west-1:111122223333:task-definition/theirs:*","arn:aws:ecs:eu-west-1:111122223333:task-definition/theirs:3",` +
			ours("tool:*") + "," + ours("tool:7") + `]}`,
		"FindAwaited": `{"Action":["s3:ListBucket"],"Effect":"Allow","Resource":[{"Fn::Sub":"arn:${AWS::Partition}:s3:::rates"}]}`,
		"FindOutputs": `{"Action":["s3:ListBucket"],"Effect":"Allow","Resource":[{"Fn::Sub":"arn:${AWS::Partition}:s3:::results"}]}`,
		"FindBoth":    `{"Action":["s3:ListBucket"],"Effect":"Allow","Resource":[{"Fn::Sub":"arn:${AWS::Partition}:s3:::rates"},{"Fn::Sub":"arn:${AWS::Partition}:s3:::results"}]}`,
	}
	for id, want := range want {
		if got := statement(t, c, id); got != want {
			t.Errorf("%s allows\n%s, want\n%s", id, got, want)
		}
	}
	m.Outputs[0].URI = parsed(t, "s3://{x}-results/a.csv")
	if got := statement(t, c, "FindOutputs"); got != `{"Action":["s3:ListBucket"],"Effect":"Allow","Resource":"*","Sid":"ABucketDependsOnInputs"}` {
		t.Errorf("where a bucket depends on inputs, completion is allowed %s", got)
	}
}

func TestAPolicyThatIsTooLongIsRefused(t *testing.T) {
	t.Parallel()
	c := many(1)
	for i := range 150 {
		c.Models[0].Triggers = append(c.Models[0].Triggers, model.Trigger{Kind: model.Message, Queue: fmt.Sprintf("queue-%03d", i)})
	}
	if _, err := stack.Generate(c, nil, now); err == nil || !strings.Contains(err.Error(), `the policy "queues" of MessageRole has 150 resources in `) {
		t.Errorf("Generate = %v, want a refusal with the numbers", err)
	}
}

// TestAPolicyHasTheEnvironmentsVariables, CloudFormation's, and IAM's own.
func TestAPolicyHasTheEnvironmentsVariables(t *testing.T) {
	t.Parallel()
	c := many(1)
	c.Variables = map[string]string{"LANDING": "acme-landing"}
	policy := `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": ["arn:${AWS::Partition}:s3:::${LANDING}/${aws:PrincipalTag/team}/*", "${aws:username}${*}"]}]}`
	files, err := stack.Generate(c, map[string][]byte{"model-0000": []byte(policy)}, now)
	if err != nil {
		t.Fatal(err)
	}
	var all string
	for _, text := range files {
		all += string(text)
	}
	for _, want := range []string{"- Fn::Sub: arn:${AWS::Partition}:s3:::acme-landing/${!aws:PrincipalTag/team}/*\n", "- ${aws:username}${*}\n", " Fn::Sub: arn:${AWS::Partition}:s3:::${StateBucket}/inputs/*\n"} {
		if !strings.Contains(all, want) {
			t.Errorf("the role lacks %q", want)
		}
	}
	_, err = stack.Generate(c, map[string][]byte{"model-0000": []byte(strings.ReplaceAll(policy, "LANDING", "LANDINGS"))}, now)
	if want := `model "model-0000": policy.json: the environment has no variable ${LANDINGS}; it has LANDING`; err == nil || err.Error() != want {
		t.Errorf("Generate = %v, want %s", err, want)
	}
}
