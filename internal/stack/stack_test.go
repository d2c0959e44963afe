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
	"modeldispatch/internal/route"
	"modeldispatch/internal/stack"
)

var (
	update = flag.Bool("update", false, "write the golden files")
	keep   = flag.String("keep", "", "write the generated templates to this folder, where .ci/run checks them with cfn-lint")
)

// now is the time of the compilation in the tests.
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

// samples returns a catalog of this repository's models and the models in testdata/project, and their policies.
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

func TestGoldenFiles(t *testing.T) {
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
		t.Error("the templates differ from the golden files: run `go test ./internal/stack -update`, and look at git diff")
	}
	for range 3 {
		if again := generate(t, c, policies); !maps.EqualFunc(again, got, bytes.Equal) {
			t.Fatal("a second Generate of the same catalog returns different templates")
		}
	}
}

// plainDefinition is the task definition of catalogOf's models.
const plainDefinition = `{
	"family": "x", "cpu": 256, "memory": "512", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
	"containerDefinitions": [{
		"name": "model", "image": "example.com/model:1", "essential": true,
		"logConfiguration": {"logDriver": "awslogs", "options": {}}
	}]
}`

// catalogOf returns a catalog of n plain models. Each has a task definition and one schedule.
func catalogOf(n int) model.Catalog {
	c := model.Catalog{Schema: model.Schema, Environment: "prod"}
	for i := range n {
		c.Models = append(c.Models, model.Model{
			Name: fmt.Sprintf("model-%04d", i),
			Task: model.Task{Container: "model", Definition: json.RawMessage(plainDefinition)},
			Triggers: []model.Trigger{{
				Name: "schedule", Kind: model.Schedule, Hash: "0123", Schedule: "cron(0 6 * * ? *)", Timezone: "Europe/Berlin",
			}},
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

// allResources returns the resources of all templates, by logical id.
func allResources(t *testing.T, files map[string][]byte) map[string]resource {
	t.Helper()
	all := map[string]resource{}
	for _, text := range files {
		maps.Copy(all, parse(t, text).Resources)
	}
	return all
}

func parse(t *testing.T, text []byte) template {
	t.Helper()
	var parsed template
	if err := yaml.Unmarshal(text, &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestLimitsOfTheDeployment(t *testing.T) {
	t.Parallel()
	buckets := model.Catalog{Models: []model.Model{{Name: "many"}}}
	for i := range 201 {
		trigger := model.Trigger{Kind: model.Arrival, Arrival: []string{fmt.Sprintf("s3://bucket-%d/{x}", i)}}
		buckets.Models[0].Triggers = append(buckets.Models[0].Triggers, trigger)
	}
	pattern := json.RawMessage(`{"source":["` + strings.Repeat("x", 2048) + `"]}`)
	long := model.Catalog{Models: []model.Model{{
		Name: "long", Triggers: []model.Trigger{{Name: "event", Kind: model.Event, Pattern: pattern}},
	}}}
	for want, c := range map[string]model.Catalog{
		"need 2608 resources; a deployment may have at most 2400 of the 2,500":                                       catalogOf(1300),
		"need 201 EventBridge rules (one for each bucket and each event pattern); a deployment may have at most 200": buckets,
		`model "long": trigger "event": the event pattern has 2063 characters; EventBridge allows 2048`:              long,
	} {
		if _, err := stack.Generate(c, nil, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Generate = %v, want %q", err, want)
		}
	}
}

// arrivalPattern returns the event pattern of the rule for the arrival patterns of one bucket, as JSON.
func arrivalPattern(t *testing.T, arrivals ...string) string {
	t.Helper()
	c := model.Catalog{Models: []model.Model{{Name: "m", Triggers: []model.Trigger{{Kind: model.Arrival, Arrival: arrivals}}}}}
	var patterns []string
	for _, r := range parse(t, generate(t, c, nil)[stack.File]).Resources {
		if r.Type == "AWS::Events::Rule" {
			text, err := json.Marshal(r.Properties["EventPattern"])
			if err != nil {
				t.Fatal(err)
			}
			patterns = append(patterns, string(text))
		}
	}
	if len(patterns) != 1 {
		t.Fatalf("one bucket has %d rules, want 1", len(patterns))
	}
	return patterns[0]
}

// TestArrivalRuleMatchesEveryKey checks that a bucket's rule lists prefixes only when every key of every model has
// one of them and the pattern fits.
func TestArrivalRuleMatchesEveryKey(t *testing.T) {
	t.Parallel()
	got := arrivalPattern(t, "s3://landing/b/{x}.csv", "s3://landing/a/{x}.csv", "s3://landing/a/{y}.txt")
	if want := `"object":{"key":[{"prefix":"a/"},{"prefix":"b/"}]}`; !strings.Contains(got, want) {
		t.Errorf("the pattern is %s, want %s in it", got, want)
	}
	if got := arrivalPattern(t, "s3://landing/a/{x}.csv", "s3://landing/{x}.csv"); strings.Contains(got, "prefix") {
		t.Errorf("a key may start with anything, and the pattern is %s, want one without prefixes", got)
	}
	var long []string
	for i := range 50 {
		long = append(long, fmt.Sprintf("s3://landing/%060d/{x}.csv", i))
	}
	if got := arrivalPattern(t, long...); strings.Contains(got, "prefix") || len(got) > 2048 {
		t.Errorf("the pattern has %d characters: %s, want at most 2048 and no prefixes", len(got), got)
	}
}

// TestNamesEqualTheCatalogs checks that the functions find every task definition and queue: the templates create them
// under the names in the deployment's catalog.
func TestNamesEqualTheCatalogs(t *testing.T) {
	t.Parallel()
	c, policies := samples(t)
	names := map[string]bool{}
	for _, r := range allResources(t, generate(t, c, policies)) {
		for _, property := range []string{"Family", "QueueName"} {
			if name, has := r.Properties[property].(map[string]any); has {
				names[strings.ReplaceAll(fmt.Sprint(name["Fn::Sub"]), "${Deployment}", "team")] = true
			}
		}
	}
	deployed, err := c.ForDeployment("team")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range deployed.Index() {
		m := e.Model()
		if _, original := c.Model(m.Name); original && m.Task.Definition != nil {
			t.Errorf("the functions' catalog contains the task definition of model %s", m.Name)
		}
		if strings.HasPrefix(m.Task.Family, "team-") && !names[m.Task.Family] {
			t.Errorf("model %s runs family %q; the templates create %v", m.Name, m.Task.Family, slices.Sorted(maps.Keys(names)))
		}
	}
	for _, queue := range route.Queues(deployed) {
		if queue.ARN == "" && !names[queue.Name] {
			t.Errorf("a model reads queue %q; the templates create %v", queue.Name, slices.Sorted(maps.Keys(names)))
		}
	}
	if len(names) < 6 {
		t.Errorf("the templates create only %v, want at least 6 names", slices.Sorted(maps.Keys(names)))
	}
}
