package similar

import (
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

// Nearest returns the name with the smallest edit distance to a word, and the first of several such names. It returns
// "" if no name is near the word.
func Nearest(word string, names []string) string {
	best, limit := "", 1+utf8.RuneCountInString(word)/3
	for _, name := range names {
		if d := levenshtein.ComputeDistance(word, name); d <= limit {
			best, limit = name, d-1
		}
	}
	return best
}
