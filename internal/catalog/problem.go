package catalog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is something that is wrong with a project's files, and where.
type Problem struct {
	File    string `json:"file"`             // relative to the project's folder
	Line    int    `json:"line,omitempty"`   // from 1; 0 is the file as a whole
	Column  int    `json:"column,omitempty"` // in characters, from 1
	Model   string `json:"model,omitempty"`  // "" in modeldispatch.yaml
	Message string `json:"message"`          // the cause; what would be right
	Warning bool   `json:"warning"`          // it works, but probably not as meant
}

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

// Problems are all errors of a project, by file and line.
type Problems []Problem

func (p Problems) Error() string {
	var lines []string
	for _, one := range p {
		lines = append(lines, one.String())
	}
	return strings.Join(lines, "\n")
}

// report collects problems.
type report struct{ all []Problem }

// split gives the warnings and the errors, each by file and line.
func (r *report) split() (warnings []Problem, errors Problems) {
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

// nearest is the known word that is meant by one that is nearly it; "" where there is none.
func nearest(word string, known []string) string {
	best, distance := "", 1+len(word)/3
	for _, k := range known {
		if d := edits(word, k); d <= distance {
			best, distance = k, d-1
		}
	}
	return best
}

// meant is the end of an error about an unknown word: the nearest known one, or all of them.
func meant(word string, known []string) string {
	slices.Sort(known)
	known = slices.Compact(known)
	best := nearest(word, known)
	switch {
	case best != "":
		return fmt.Sprintf("did you mean %q?", best)
	case len(known) == 0:
		return "there are none"
	case len(known) == 1:
		return "there is " + known[0]
	case len(known) > 12:
		return "none that there is has a name like it"
	}
	return "there are " + strings.Join(known, ", ")
}

// edits is the number of letters to insert, delete or replace between two words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
