package run

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestTheRunbookHasEachClass: whoever is told a class finds it there as a heading.
func TestTheRunbookHasEachClass(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	for class := range charges {
		if heading := regexp.MustCompile(`(?m)^### (.*, )?` + string(class) + `(,|$)`); class != OK && !heading.Match(text) {
			t.Errorf("docs/runbook.md has no heading %q", class)
		}
	}
}
