package catalog

import (
	"os"
	"path/filepath"
	"testing"
)

// seeds adds files to what is fuzzed.
func seeds(f *testing.F, patterns ...string) {
	f.Helper()
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: no files, %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
}

// fuzzed is a project whose models are in memory; only testdata/task-definition.json is a file.
func fuzzed() *project {
	p := newProject(&report{}, Options{Environment: "local", Processes: true})
	p.deployment, p.defined, p.variables = "modeldispatch", true, map[string]string{"LANDING": "landing", "RESULTS": "results", "EMPTY": ""}
	return p
}

// sound fails where nothing is said of a file, and nothing comes of it either.
func sound(t *testing.T, r *report, ok bool) {
	t.Helper()
	if _, problems := r.split(); !ok && len(problems) == 0 {
		t.Fatal("it was not taken, and has no errors")
	}
}

func FuzzModel(f *testing.F) {
	seeds(f, "../../models/*/model.yaml", "testdata/bad/*/model.yaml", "testdata/*.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		p := fuzzed()
		d := p.draft(".", "forecast", filepath.Join("testdata", "model.yaml"))
		root, ok := d.parse(text)
		if ok {
			d.build(root, "forecast")
			p.checkTogether()
		}
		sound(t, p.report, ok)
	})
}

func FuzzProject(f *testing.F) {
	seeds(f, "../../modeldispatch.yaml", "testdata/modeldispatch.yaml", "testdata/bad/*/modeldispatch.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		p := newProject(&report{}, Options{Environment: "prod"})
		v, ok := p.parse(text)
		sound(t, p.report, ok && p.build(v))
	})
}

func FuzzTaskDefinition(f *testing.F) {
	seeds(f, "../../models/*/task-definition.json", "testdata/task-definition.json", "testdata/bad/*/task-definition.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		p := fuzzed()
		d := p.draft(".", "forecast", filepath.Join("testdata", "model.yaml"))
		model, ok := d.parse([]byte("name: forecast\ntask: { definition: x.json }"))
		if !ok {
			t.Fatal("the model is wrong")
		}
		d.root, d.definition = model, &member{name: "definition", value: model}
		file := &document{report: p.report, file: "task-definition.json", model: "forecast", json: true}
		root, ok := file.parse(text)
		if ok {
			d.takeDefinition(root)
		}
		sound(t, p.report, ok && (d.model.Task.Definition != nil))
	})
}
