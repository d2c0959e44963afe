package local_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/catalog"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
)

// controlled is a model whose runs wait for and write objects with control characters in their keys. The characters
// come from the model's file and from an input of type json. All runs share one slot, so a run that never ends would
// block all others.
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

// TestControlCharacters sends keys and JSON with control characters. Inputs of any type except json reject them with a
// reason. A run with such keys finds the object that it waits for, writes its output, and ends.
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
	s.waitDecision(t, records.Rejected, `name: "a\x01.csv" has the control character '\x01' at character 2`)
	rows := []string{`{"a":"\u0001"}`, "[\"\u007f\u009b\"]"}
	for _, one := range rows {
		s.send(t, `{"rows": `+one+`}`)
	}
	// A run whose first check found no object is due again in ten minutes. Until then only an arrival can wake it.
	s.waitFor(t, "two runs that wait for their object", func() bool {
		waiting := 0
		for _, r := range s.runs {
			if r.WaitingFor == run.ForObjects && r.Due.After(time.Now().Add(run.ObjectPollInterval/2)) {
				waiting++
			}
		}
		return waiting == len(rows)
	})
	s.put(t, "s3://landing/ready\x01", "")
	s.waitDecision(t, records.Awaited, "waited for by controlled-")
	for _, r := range s.waitEnded(t, len(rows)) {
		if r.State != run.Succeeded {
			t.Errorf("run %s ended as %s: %v", r.ID, r.State, r.Outcome)
		}
	}
	for _, one := range rows {
		s.get(t, "s3://results/\x01"+one+".txt")
	}
}

// waitDecision waits for a decision with a kind and a reason.
func (s *testStack) waitDecision(t *testing.T, kind records.DecisionKind, reason string) {
	t.Helper()
	s.waitFor(t, fmt.Sprintf("%s: %s", kind, reason), func() bool {
		for _, d := range s.decisions {
			if d.Kind == kind && strings.Contains(d.Reason, reason) {
				return true
			}
		}
		return false
	})
}
