package run_test

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestThePackageCommentHasEachTransition checks that the table of transitions in the package comment has a row for each
// kind, and no row for anything else.
func TestThePackageCommentHasEachTransition(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^//\t([a-z-]+) +(?:\(none\)|waiting|launching|running|any)`)
	var listed []string
	for _, match := range row.FindAllStringSubmatch(string(text), -1) {
		listed = append(listed, match[1])
	}
	kinds := constants(t, "transition.go", "TransitionKind")
	kinds = slices.DeleteFunc(kinds, func(kind string) bool { return kind == "" }) // Ignored
	slices.Sort(kinds)
	slices.Sort(listed)
	if !slices.Equal(kinds, listed) {
		t.Errorf("the package comment lists\n%v, want the kinds\n%v", listed, kinds)
	}
}
