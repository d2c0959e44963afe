package run

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestEachClass checks that each class has a retry budget, and a heading in docs/runbook.md.
func TestEachClass(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("outcome.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	for _, match := range regexp.MustCompile(`\tClass\w+ Class = "([a-z-]+)"`).FindAllSubmatch(source, -1) {
		class := Class(match[1])
		declared++
		if _, has := budgets[class]; !has {
			t.Errorf("class %q has no row in budgets", class)
		}
		heading := regexp.MustCompile(`(?m)^### (.*, )?` + string(class) + `(,|$)`)
		if class != ClassSucceeded && !heading.Match(text) {
			t.Errorf("docs/runbook.md has no heading for class %q", class)
		}
	}
	if declared != len(budgets) {
		t.Errorf("outcome.go declares %d classes, and budgets has %d rows", declared, len(budgets))
	}
}
