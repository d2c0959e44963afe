package stack_test

import (
	"bytes"
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
	return generateAt(t, c, policies, now)
}

func generateAt(t *testing.T, c model.Catalog, policies map[string][]byte, at time.Time) map[string][]byte {
	t.Helper()
	files, err := stack.Generate(c, policies, at)
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
	policies, err := stack.Policies(c)
	if err != nil {
		t.Fatal(err)
	}
	return c, policies
}

func TestTheSamplesAreTheGoldenFiles(t *testing.T) {
	t.Parallel()
	c, policies := samples(t)
	got := generate(t, c, policies)
	if *update {
		old, _ := filepath.Glob("testdata/golden/*.yaml")
		for _, file := range old {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
		for name, text := range got {
			if err := os.WriteFile(filepath.Join("testdata/golden", name), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := map[string][]byte{}
	golden, err := os.ReadDir("testdata/golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range golden {
		if want[file.Name()], err = os.ReadFile(filepath.Join("testdata/golden", file.Name())); err != nil {
			t.Fatal(err)
		}
	}
	if !maps.EqualFunc(got, want, bytes.Equal) {
		t.Error("the templates are not the golden files: look at what has changed with `go test ./internal/stack -update` and git diff")
	}
	for range 3 {
		if again := generate(t, c, policies); !maps.EqualFunc(again, got, bytes.Equal) {
			t.Fatal("the same catalog gives other templates")
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
	Parameters map[string]any      `yaml:"Parameters"`
	Resources  map[string]resource `yaml:"Resources"`
}

type resource struct {
	Type       string         `yaml:"Type"`
	DependsOn  []string       `yaml:"DependsOn"`
	Properties map[string]any `yaml:"Properties"`
}

// every is the resources of all templates.
func every(t *testing.T, files map[string][]byte) map[string]resource {
	t.Helper()
	all := map[string]resource{}
	for _, text := range files {
		maps.Copy(all, read(t, text).Resources)
	}
	return all
}

func read(t *testing.T, text []byte) template {
	t.Helper()
	var read template
	if err := yaml.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	return read
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
		"need 2608 resources, and a deployment may have 2400":                                        many(1300),
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
		var rules []string
		for _, r := range resources {
			if r.Type == "AWS::Events::Rule" {
				text, err := json.Marshal(r.Properties["EventPattern"])
				if err != nil {
					t.Fatal(err)
				}
				rules = append(rules, string(text))
			}
		}
		if len(rules) != 1 {
			t.Fatalf("%d rules for one bucket", len(rules))
		}
		return rules[0]
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
	for _, r := range every(t, generate(t, c, policies)) {
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
