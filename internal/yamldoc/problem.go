package yamldoc

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"modeldispatch/internal/similar"
)

// Problem is one error or warning about a file.
type Problem struct {
	File    string `json:"file"`             // path relative to the project's folder
	Line    int    `json:"line,omitempty"`   // line, counted from 1; 0 means the file as a whole
	Column  int    `json:"column,omitempty"` // column in characters, counted from 1
	Model   string `json:"model,omitempty"`  // name of the model; "" in modeldispatch.yaml
	Message string `json:"message"`          // the cause, and then the correct form
	Warning bool   `json:"warning"`          // true for a file that compiles, but probably does not do what its author wants
}

// String returns the problem as one line: file:line:col: model "x": message.
func (p Problem) String() string {
	var text strings.Builder
	text.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&text, ":%d:%d", p.Line, p.Column)
	}
	text.WriteString(": ")
	if p.Warning {
		text.WriteString("warning: ")
	}
	if p.Model != "" {
		fmt.Fprintf(&text, "model %q: ", p.Model)
	}
	return text.String() + p.Message
}

// Problems is the error for files with errors: all of them, sorted by file and line.
type Problems []Problem

// Error returns the problems, one on each line.
func (p Problems) Error() string {
	var lines []string
	for _, one := range p {
		lines = append(lines, one.String())
	}
	return strings.Join(lines, "\n")
}

// Report collects the problems of the documents that are read with it. The zero Report is ready for use.
type Report struct{ all []Problem }

// Split returns the warnings and the errors, both sorted by file and line and without duplicates.
func (r *Report) Split() (warnings []Problem, errors Problems) {
	slices.SortStableFunc(r.all, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Message, b.Message))
	})
	for _, p := range slices.Compact(r.all) {
		if p.Warning {
			warnings = append(warnings, p)
		} else {
			errors = append(errors, p)
		}
	}
	return warnings, errors
}

// Hint returns the end of an error about an unknown name: the most similar known name, or else all known names if they
// are at most 12. kind names their kind in the plural, such as models.
func Hint(kind, word string, known []string) string {
	known = slices.Compact(slices.Sorted(slices.Values(known)))
	best := similar.Nearest(word, known)
	switch {
	case best != "":
		return fmt.Sprintf("did you mean %q?", best)
	case len(known) == 0:
		return "none defined"
	case len(known) > 12:
		return "no known name is similar"
	}
	return "known " + kind + ": " + strings.Join(known, ", ")
}

// wordHint returns the end of an error about a value that is not one of a few words: the most similar word, or else
// all.
func wordHint(text string, words []string) string {
	if best := similar.Nearest(text, words); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "expected one of " + strings.Join(words, ", ")
}
