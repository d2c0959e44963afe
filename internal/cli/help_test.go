package cli

import (
	"io"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestEveryCommandHasHelp requires a sentence, a longer text and an example for each command, and a sentence for each
// flag and argument. Every line of an example must fit into a terminal with 80 columns.
func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	parser, err := (&session{raw: io.Discard}).newParser(func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	var check func(node *kong.Node)
	check = func(node *kong.Node) {
		if node.Hidden {
			return
		}
		if node.Type == kong.CommandNode && (!isSentence(node.Help) || !strings.Contains(node.Detail, "\n  ") ||
			!strings.Contains(node.Detail, "modeldispatch "+strings.TrimPrefix(node.Path(), "modeldispatch "))) {
			t.Errorf("%s: the help text needs a sentence and an example, got\n%s\n%s", node.Path(), node.Help, node.Detail)
		}
		for line := range strings.Lines(node.Detail) {
			if example, isExample := strings.CutPrefix(line, "  "); isExample && len(example) > 76 {
				t.Errorf("%s: the example is too long for a terminal with 80 columns: %s", node.Path(), example)
			}
		}
		for _, flag := range node.Flags {
			if !flag.Hidden && !isSentence(flag.Help) {
				t.Errorf("%s --%s: the help text %q is not a sentence", node.Path(), flag.Name, flag.Help)
			}
		}
		for _, argument := range node.Positional {
			if !isSentence(argument.Help) {
				t.Errorf("%s %s: the help text %q is not a sentence", node.Path(), argument.Name, argument.Help)
			}
		}
		for _, child := range node.Children {
			check(child)
		}
	}
	check(parser.Model.Node)
}

func isSentence(text string) bool {
	return text != "" && strings.ToUpper(text[:1]) == text[:1] && strings.HasSuffix(text, ".")
}
