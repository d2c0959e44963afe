package catalog

import (
	"os"
	"path/filepath"
	"testing"

	"modeldispatch/internal/yamldoc"
)

// addSeeds adds files to the seed corpus.
func addSeeds(f *testing.F, patterns ...string) {
	f.Helper()
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s matches no files: %v", pattern, err)
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

// newFuzzProject returns a project whose models are in memory. Only testdata/task-definition.json is a file.
func newFuzzProject() *project {
	p := newProject(&yamldoc.Report{}, Options{Environment: "local", Processes: true})
	p.deployment = "modeldispatch"
	p.file.Variables = map[string]string{"LANDING": "landing", "RESULTS": "results", "EMPTY": ""}
	return p
}

// checkReported fails if a file was rejected without an error.
func checkReported(t *testing.T, r *yamldoc.Report, ok bool) {
	t.Helper()
	if _, problems := r.Split(); !ok && len(problems) == 0 {
		t.Fatal("the file was rejected without an error")
	}
}

func FuzzModel(f *testing.F) {
	addSeeds(f, "../../models/*/model.yaml", "testdata/bad/*/model.yaml", "testdata/*.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		p := newFuzzProject()
		d := p.draft(".", "forecast", filepath.Join("testdata", "model.yaml"))
		root, ok := d.file.Parse(text)
		if ok {
			d.build(root, "forecast")
			p.finish()
		}
		checkReported(t, p.file.Report, ok)
	})
}

func FuzzProject(f *testing.F) {
	addSeeds(f, "../../modeldispatch.yaml", "testdata/modeldispatch.yaml", "testdata/bad/*/modeldispatch.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		p := newProject(&yamldoc.Report{}, Options{Environment: "prod"})
		v, ok := p.file.Parse(text)
		checkReported(t, p.file.Report, ok && p.build(v))
	})
}
