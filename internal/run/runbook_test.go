package run

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestTheRunbookHasEachClass checks that docs/runbook.md has a heading for each class that an announcement can name.
func TestTheRunbookHasEachClass(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	for class := range budgets {
		heading := regexp.MustCompile(`(?m)^### (.*, )?` + string(class) + `(,|$)`)
		if class != ClassSucceeded && !heading.Match(text) {
			t.Errorf("docs/runbook.md has no heading for class %q", class)
		}
	}
}
