// Package similar finds the name that a user most likely meant, for the "did you mean" of error texts.
//
// Terms:
//
//   - The edit distance of two words is the number of letters that must be inserted, deleted or replaced to turn one
//     word into the other (Levenshtein).
//   - A name is near a word if their distance is at most 1, plus 1 for each three letters of the word. So "sals" is
//     near "sales", and "rates" is not.
//
// Entry point: Nearest. Packages yamldoc, catalog and pattern write the sentence around the name.
package similar
