package local_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modeldispatch/internal/catalog"
	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/run"
)

// controlled has control characters in the keys that it waits for and writes, by its own file and by an input of type json.
// Its runs share one slot, so a run that never ends blocks all others.
const controlled = `
name: controlled
task: { definition: task-definition.json }
inputs:
  name: { default: none }
  rows: { type: json }
outputs: { result: "s3://results/\x01{rows}.txt" }
wait-for: { objects: ["s3://landing/ready\x01"] }
concurrency: { limit: 1 }
local: { command: [%q] }
triggers:
  - message: requests
    inputs: body
  - arrival: "s3://landing/in/{name}"
    inputs: { rows: "1" }
`

// TestControlCharacters has keys and JSON with them arrive. An input of another type is refused, with the reason; a run
// whose keys have them is found what it waits for and what it writes, and ends.
func TestControlCharacters(t *testing.T) {
	t.Parallel()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, catalog.ProjectFile), "environments: { local: {} }\n")
	write(t, filepath.Join(dir, "models", "controlled", "model.yaml"), fmt.Sprintf(controlled, binary))
	write(t, filepath.Join(dir, "models", "controlled", "task-definition.json"), fmt.Sprintf(definition, "controlled"))
	s := start(t, dir)

	s.put(t, "s3://landing/in/a\x01.csv", "")
	s.decided(t, dispatch.Rejected, `name: "a\x01.csv" has the control character '\x01' at character 2`)
	rows := []string{`{"a":"\u0001"}`, "[\"\u007f\u009b\"]"}
	for _, one := range rows {
		s.send(t, `{"rows": `+one+`}`)
	}
	s.until(t, "two runs", func() bool { return len(s.runs) == len(rows) })
	s.put(t, "s3://landing/ready\x01", "")
	s.decided(t, dispatch.Awaited, "waited for by controlled-")
	for _, r := range s.ended(t, len(rows)) {
		if r.State != run.Succeeded {
			t.Errorf("run %s ended as %s: %v", r.ID, r.State, r.Outcome)
		}
	}
	for _, one := range rows {
		s.get(t, "s3://results/\x01"+one+".txt")
	}
}

// decided waits for a decision with a reason.
func (s *stand) decided(t *testing.T, verdict dispatch.Verdict, reason string) {
	t.Helper()
	s.until(t, fmt.Sprintf("%s: %s", verdict, reason), func() bool {
		for _, d := range s.decisions {
			if d.Verdict == verdict && strings.Contains(d.Reason, reason) {
				return true
			}
		}
		return false
	})
}
