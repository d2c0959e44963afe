package catalog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"modeldispatch/internal/catalog"
	"modeldispatch/internal/yamldoc"
)

var update = flag.Bool("update", false, "write the golden files")

func TestSamplesCompile(t *testing.T) {
	t.Parallel()
	for _, environment := range []string{"local", "prod"} {
		c, warnings, err := catalog.Compile("../..", catalog.Options{Environment: environment})
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%s: %v %v", environment, err, warnings)
		}
		if len(c.Models) != 4 {
			t.Errorf("%s: got %d models, want 4", environment, len(c.Models))
		}
		again, _, err := catalog.Compile("../..", catalog.Options{Environment: environment})
		if err != nil {
			t.Fatal(err)
		}
		first, _ := json.Marshal(c)
		second, _ := json.Marshal(again)
		if !bytes.Equal(first, second) {
			t.Errorf("%s: compiling twice gives different catalogs", environment)
		}
	}
}

// TestSchemaFilesAreCurrent compares the schema files in the project's root with the schemas of this package.
func TestSchemaFilesAreCurrent(t *testing.T) {
	t.Parallel()
	for name, schema := range map[string]struct {
		text []byte
		flag string
	}{"model.schema.json": {catalog.Schema(), "--schema"}, "project.schema.json": {catalog.ProjectSchema(), "--project-schema"}} {
		if file, err := os.ReadFile("../../" + name); err != nil || !bytes.Equal(file, schema.text) {
			t.Errorf("%s differs from the output of `check %s` (%v): refresh it with `go run . check %[2]s >%[1]s`", name, schema.flag, err)
		}
	}
}

// compileProblems compiles a project, and returns its warnings and errors, one on each line.
func compileProblems(t *testing.T, dir string) string {
	t.Helper()
	_, warnings, err := catalog.Compile(dir, catalog.Options{Environment: "local", Now: time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)})
	var all []string
	for _, w := range warnings {
		all = append(all, w.String())
	}
	var errs yamldoc.Problems
	if errors.As(err, &errs) {
		all = append(all, errs.Error())
	} else if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n") + "\n"
}

// TestBadProjects compiles one bad project for each rule, and compares the problems with the project's expected.txt.
func TestBadProjects(t *testing.T) {
	t.Parallel()
	projects, err := filepath.Glob("testdata/bad/*")
	if err != nil || len(projects) == 0 {
		t.Fatalf("found no bad projects: %v", err)
	}
	for _, dir := range projects {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			project := unpack(t, dir)
			got := compileProblems(t, project)
			golden := filepath.Join(dir, "expected.txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if !strings.Contains(got, ":") {
				t.Error("the project has no problems")
			}
		})
	}
}

// unpack creates a project from the files in dir, which all are optional: modeldispatch.yaml, model.yaml and
// task-definition.json of the model forecast, and further models. Valid files in testdata take the place of missing
// ones.
func unpack(t *testing.T, dir string) string {
	t.Helper()
	project := t.TempDir()
	write := func(name string, text []byte) {
		file := filepath.Join(project, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name, fallback string) []byte {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			text, err = os.ReadFile(filepath.Join("testdata", fallback))
		}
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	write("modeldispatch.yaml", read("modeldispatch.yaml", "modeldispatch.yaml"))
	write("models/forecast/model.yaml", read("model.yaml", "model.yaml"))
	write("models/forecast/task-definition.json", read("task-definition.json", "task-definition.json"))
	others, err := filepath.Glob(filepath.Join(dir, "models", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range others {
		name := filepath.Base(other)
		text, err := os.ReadFile(filepath.Join(other, "model.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		write("models/"+name+"/model.yaml", text)
		write("models/"+name+"/task-definition.json", read("task-definition.json", "task-definition.json"))
	}
	return project
}

// TestWholeProject reads a modeldispatch.yaml that has every field.
func TestWholeProject(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text, err := os.ReadFile("testdata/whole-project.yaml")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, catalog.ProjectFile), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if stack, err := catalog.DeploymentName(dir, "dev"); err != nil || stack != "models-dev" {
		t.Errorf("got stack %q, error %v; want models-dev", stack, err)
	}
}

// TestSchemasAcceptValidFiles validates valid and invalid files against the JSON schemas. whole.yaml has every field.
func TestSchemasAcceptValidFiles(t *testing.T) {
	t.Parallel()
	schema := compileSchema(t, catalog.Schema())
	files, err := filepath.Glob("../../models/*/model.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range append(files, "testdata/model.yaml", "testdata/whole.yaml") {
		if err := schema.Validate(decode(t, file)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	unknown := decode(t, "testdata/model.yaml").(map[string]any)
	unknown["tigers"] = []any{}
	if err := schema.Validate(unknown); err == nil {
		t.Error("the schema accepts an unknown field")
	}
	project := compileSchema(t, catalog.ProjectSchema())
	for _, file := range []string{"../../modeldispatch.yaml", "testdata/modeldispatch.yaml", "testdata/whole-project.yaml"} {
		if err := project.Validate(decode(t, file)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	for _, wrong := range []string{
		"defaults: { name: x }",
		"environments: { prod: { stak: x } }",
		"pools: { a: 0 }",
		"environments: { local: { variables: { A-X: x } } }",
	} {
		if err := project.Validate(decodeYAML(t, []byte(wrong))); err == nil {
			t.Errorf("the schema accepts %s", wrong)
		}
	}
}

func compileSchema(t *testing.T, schema []byte) *jsonschema.Schema {
	t.Helper()
	text, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("model.schema.json", text); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("model.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// decode reads a YAML file as JSON values.
func decode(t *testing.T, file string) any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return decodeYAML(t, text)
}

func decodeYAML(t *testing.T, text []byte) any {
	t.Helper()
	plain, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestLocalCommand checks that local.command becomes the command of the task definition on this machine, for tasks
// that are started without a command override.
func TestLocalCommand(t *testing.T) {
	t.Parallel()
	for local, want := range map[string]string{
		`[sh, run.sh]`:               `["sh","run.sh"]`,
		`[sh, run.sh, "--{region}"]`: `null`, // only a run has inputs
	} {
		dir := unpack(t, "testdata/local-command")
		file := filepath.Join(dir, "models/forecast/model.yaml")
		text, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(file, append(text, "local: { command: "+local+" }\n"...), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		c, _, err := catalog.Compile(dir, catalog.Options{Processes: true})
		if err != nil {
			t.Fatal(err)
		}
		var definition struct {
			ContainerDefinitions []struct{ Command, EntryPoint []string }
		}
		if err := json.Unmarshal(c.Models[0].Task.Definition, &definition); err != nil {
			t.Fatal(err)
		}
		container := definition.ContainerDefinitions[0]
		if got, _ := json.Marshal(container.Command); string(got) != want || container.EntryPoint != nil {
			t.Errorf("local.command %s: registered command is %s and entry point is %q; want %s and none", local, got, container.EntryPoint, want)
		}
	}
}

// TestDebounceHasADefaultMaxDelay checks the default of max-delay, without which a steady flow of events would keep the
// debounce window open forever.
func TestDebounceHasADefaultMaxDelay(t *testing.T) {
	t.Parallel()
	dir := unpack(t, "testdata/local-command")
	file := filepath.Join(dir, "models/forecast/model.yaml")
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, append(text, "debounce: { quiet: 2m }\n"...), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := catalog.Compile(dir, catalog.Options{Processes: true})
	if err != nil {
		t.Fatal(err)
	}
	if d := c.Models[0].Policy.Debounce; d.MaxDelay != 20*time.Minute {
		t.Errorf("max-delay is %s, want ten times quiet, which is %s", d.MaxDelay, d.Quiet)
	}
}
