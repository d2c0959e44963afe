package play

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzPlan parses any text as a plan. Each step of an accepted plan has a name, and none of its methods panics.
func FuzzPlan(f *testing.F) {
	files, err := filepath.Glob("../../events/*/play.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("found no plans in events: %v", err)
	}
	for _, file := range append(files, "../../events/play.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		steps, err := parsePlan(text)
		if err != nil {
			return
		}
		for _, step := range steps {
			if step.Name() == "" {
				t.Errorf("step %+v has no name", step)
			}
			_, _, _ = step.total(), step.compare(nil), Player{}.leaveOut(step)
		}
	})
}
