package stack_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"modeldispatch/internal/catalog"
	"modeldispatch/internal/model"
	"modeldispatch/internal/stack"
)

var (
	update = flag.Bool("update", false, "write the golden files")
	// For cfn-lint: .ci/run reads what the tests have generated.
	keep = flag.String("keep", "", "a folder that the generated templates are written to")
)

var now = time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)

func generate(t *testing.T, c model.Catalog, policies map[string][]byte) map[string][]byte {
	t.Helper()
	files, err := stack.Generate(c, policies, now)
	if err != nil {
		t.Fatal(err)
	}
	if *keep != "" {
		for name, text := range files {
			folder := filepath.Join(*keep, strings.ReplaceAll(t.Name(), "/", "-"))
			if err := os.MkdirAll(folder, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return files
}

// samples are this repository's models, and one that has everything.
func samples(t *testing.T) (model.Catalog, map[string][]byte) {
	t.Helper()
	c, _, err := catalog.Compile("../..", catalog.Options{Environment: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	whole, _, err := catalog.Compile("testdata/project", catalog.Options{Environment: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	c.Models = append(c.Models, whole.Models...)
	return c, map[string][]byte{"whole": []byte(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:${AWS::Partition}:s3:::landing/*"}]}`)}
}

func TestTheSamplesAreTheGoldenFile(t *testing.T) {
	t.Parallel()
	c, policies := samples(t)
	got := generate(t, c, policies)[stack.File]
	if *update {
		if err := os.WriteFile("testdata/models.golden.yaml", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/models.golden.yaml")
	if err != nil || string(got) != string(want) {
		t.Errorf("the template is not the golden file (%v): look at what has changed with `go test ./internal/stack -update` and git diff", err)
	}
	for range 3 {
		if again := generate(t, c, policies)[stack.File]; string(again) != string(got) {
			t.Fatal("the same catalog gives another template")
		}
	}
}

// many is a catalog of models with a schedule each.
func many(n int) model.Catalog {
	c := model.Catalog{Schema: model.Schema, Environment: "prod"}
	for i := range n {
		c.Models = append(c.Models, model.Model{
			Name: fmt.Sprintf("model-%04d", i),
			Task: model.Task{Container: "model", Definition: json.RawMessage(`{"family": "x", "cpu": 256, "memory": "512", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
				"containerDefinitions": [{"name": "model", "image": "example.com/model:1", "essential": true, "logConfiguration": {"logDriver": "awslogs", "options": {}}}]}`)},
			Triggers: []model.Trigger{{Name: "schedule", Kind: model.Schedule, Hash: "0123", Schedule: "cron(0 6 * * ? *)", Timezone: "Europe/Berlin"}},
		})
	}
	return c
}

type template struct {
	Resources map[string]struct {
		Type       string         `yaml:"Type"`
		Properties map[string]any `yaml:"Properties"`
	} `yaml:"Resources"`
}

func read(t *testing.T, text []byte) template {
	t.Helper()
	var read template
	if err := yaml.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

func TestAThousandModelsAreSplit(t *testing.T) {
	t.Parallel()
	files := generate(t, many(1000), nil)
	definitions, schedules := 0, 0
	for name, text := range files {
		part := read(t, text)
		if len(part.Resources) > 500 || len(text) > 1<<20 {
			t.Errorf("%s has %d resources and %d bytes; CloudFormation takes 500 and 1 MB", name, len(part.Resources), len(text))
		}
		for id, r := range part.Resources {
			switch r.Type {
			case "AWS::ECS::TaskDefinition":
				definitions++
			case "AWS::Scheduler::Schedule":
				schedules++
			case "AWS::CloudFormation::Stack":
				if _, there := files[fmt.Sprint(r.Properties["TemplateURL"])]; !there {
					t.Errorf("%s nests %v, which is not there", id, r.Properties["TemplateURL"])
				}
			}
		}
	}
	if definitions != 1000 || schedules != 1000 {
		t.Errorf("the %d files have %d task definitions and %d schedules, want 1000 of each", len(files), definitions, schedules)
	}
}

func TestWhatDoesNotFitIsRefusedWithTheNumbers(t *testing.T) {
	t.Parallel()
	buckets := model.Catalog{Models: []model.Model{{Name: "many"}}}
	for i := range 201 {
		trigger := model.Trigger{Kind: model.Arrival, Arrival: []string{fmt.Sprintf("s3://bucket-%d/{x}", i)}}
		buckets.Models[0].Triggers = append(buckets.Models[0].Triggers, trigger)
	}
	long := model.Catalog{Models: []model.Model{{Name: "long", Triggers: []model.Trigger{{Name: "event", Kind: model.Event, Pattern: json.RawMessage(`{"source":["` + strings.Repeat("x", 2048) + `"]}`)}}}}}
	for want, c := range map[string]model.Catalog{
		"need 2600 resources, and a deployment may have 2400":                                        many(1300),
		"need 201 EventBridge rules":                                                                 buckets,
		`model "long": trigger "event": its pattern has 2063 characters, and EventBridge takes 2048`: long,
	} {
		if _, err := stack.Generate(c, nil, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Generate = %v, want %q", err, want)
		}
	}
}

// TestABucketsRuleDropsNothingThatAModelTakes: a prefix is in a rule only as long as all of them fit.
func TestABucketsRuleDropsNothingThatAModelTakes(t *testing.T) {
	t.Parallel()
	of := func(patterns ...string) string {
		c := model.Catalog{Models: []model.Model{{Name: "m", Triggers: []model.Trigger{{Kind: model.Arrival, Arrival: patterns}}}}}
		resources := read(t, generate(t, c, nil)[stack.File]).Resources
		if len(resources) != 1 {
			t.Errorf("%d rules for one bucket", len(resources))
		}
		for _, r := range resources {
			text, err := json.Marshal(r.Properties["EventPattern"])
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		return ""
	}
	if got, want := of("s3://landing/b/{x}.csv", "s3://landing/a/{x}.csv", "s3://landing/a/{y}.txt"), `"object":{"key":[{"prefix":"a/"},{"prefix":"b/"}]}`; !strings.Contains(got, want) {
		t.Errorf("the pattern is %s, want %s in it", got, want)
	}
	if got := of("s3://landing/a/{x}.csv", "s3://landing/{x}.csv"); strings.Contains(got, "prefix") {
		t.Errorf("a model takes keys without a common beginning, and the pattern is %s", got)
	}
	var long []string
	for i := range 50 {
		long = append(long, fmt.Sprintf("s3://landing/%060d/{x}.csv", i))
	}
	if got := of(long...); strings.Contains(got, "prefix") || len(got) > 2048 {
		t.Errorf("a pattern of %d characters: %s", len(got), got)
	}
}

func TestNamesAreThoseThatTheFunctionsUse(t *testing.T) {
	t.Parallel()
	c, policies := samples(t)
	names := map[string]bool{}
	for _, r := range read(t, generate(t, c, policies)[stack.File]).Resources {
		for _, property := range []string{"Family", "QueueName"} {
			if name, has := r.Properties[property].(map[string]any); has {
				names[strings.ReplaceAll(fmt.Sprint(name["Fn::Sub"]), "${Deployment}", "team")] = true
			}
		}
	}
	deployed, err := c.Deployed("team")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range deployed.Index() {
		m := e.Model()
		if _, original := c.Model(m.Name); original && m.Task.Definition != nil {
			t.Errorf("model %s carries its task definition to the functions", m.Name)
		}
		if strings.HasPrefix(m.Task.Family, "team-") && !names[m.Task.Family] {
			t.Errorf("model %s runs family %q; there are %v", m.Name, m.Task.Family, slices.Sorted(maps.Keys(names)))
		}
	}
	for _, queue := range deployed.Queues() {
		if !strings.HasPrefix(queue, "arn:") && !names[queue] {
			t.Errorf("queue %q is read; there are %v", queue, slices.Sorted(maps.Keys(names)))
		}
	}
	if len(names) < 6 {
		t.Errorf("the template has the names %v only", slices.Sorted(maps.Keys(names)))
	}
}
