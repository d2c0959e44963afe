package play

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzPlayFile parses any text as a play.yaml. Each step of an accepted file has a name, and none of its methods
// panics.
func FuzzPlayFile(f *testing.F) {
	files, err := filepath.Glob("../../events/*/play.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("found no play.yaml in events: %v", err)
	}
	for _, file := range append(files, "../../events/play.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		steps, err := parseSteps(text)
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
