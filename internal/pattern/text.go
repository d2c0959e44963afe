package pattern

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// folded is a text for comparisons that ignore case. For each of its characters it holds the lower and
// the upper form. The text of an event matches if it has one of the two at each position.
type folded struct {
	text  string
	forms [][2]string
}

// fold returns the lower and upper forms of a text.
func fold(text string) folded {
	f := folded{text: text}
	for _, r := range text {
		f.forms = append(f.forms, [2]string{lower(r), upper(r)})
	}
	return f
}

// lower returns the result of Java's String.toLowerCase for one character in the root locale.
func lower(r rune) string {
	if r == 'İ' {
		return "i\u0307"
	}
	return string(unicode.ToLower(r))
}

// upper returns the result of Java's String.toUpperCase for one character in the root locale.
// unicode.ToUpper does not convert a character to several, so upper adds these cases. It omits the
// Greek letters with an iota subscript.
func upper(r rune) string {
	switch r {
	case 'ß':
		return "SS"
	case 'ŉ':
		return "\u02bcN"
	case 'ǰ':
		return "J\u030c"
	case '\u0390':
		return "\u0399\u0308\u0301"
	case '\u03b0':
		return "\u03a5\u0308\u0301"
	case '\u0587':
		return "\u0535\u0552"
	case 'ẖ':
		return "H\u0331"
	case 'ẗ':
		return "T\u0308"
	case 'ẘ':
		return "W\u030a"
	case 'ẙ':
		return "Y\u030a"
	case 'ẚ':
		return "A\u02be"
	}
	if r >= 'ﬀ' && r <= 'ﬆ' {
		return [...]string{"FF", "FI", "FL", "FFI", "FFL", "ST", "ST"}[r-'ﬀ']
	}
	return string(unicode.ToUpper(r))
}

// prefixOf removes the folded text from the start of text. It reports false if text does not start
// with it.
func (f folded) prefixOf(text string) (rest string, ok bool) {
	for _, forms := range f.forms {
		if text, ok = cutEither(text, forms, strings.CutPrefix); !ok {
			return "", false
		}
	}
	return text, true
}

// suffixOf reports whether text ends with the folded text.
func (f folded) suffixOf(text string) bool {
	ok := true
	for i := len(f.forms) - 1; i >= 0 && ok; i-- {
		text, ok = cutEither(text, f.forms[i], strings.CutSuffix)
	}
	return ok
}

// cutEither cuts one of the two forms from text.
func cutEither(text string, forms [2]string, cut func(s, part string) (string, bool)) (string, bool) {
	if rest, ok := cut(text, forms[0]); ok {
		return rest, true
	}
	return cut(text, forms[1])
}

// glob is a parsed wildcard: the pieces of text between its stars.
type glob struct {
	text   string
	pieces []string
}

// parseGlob reads a wildcard. In it, \* is a star and \\ is a backslash.
func parseGlob(text string) (glob, error) {
	g := glob{text: text}
	var piece strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '*' && strings.HasPrefix(text[i+1:], "*"):
			return glob{}, errors.New("** is not allowed; one * already matches any number of characters")
		case text[i] == '*':
			g.pieces = append(g.pieces, piece.String())
			piece.Reset()
		case text[i] == '\\':
			i++
			if i == len(text) || text[i] != '*' && text[i] != '\\' {
				return glob{}, fmt.Errorf(`\ must be followed by * or \: write \* for a star and \\ for a backslash (in JSON, %q and %q)`, `\*`, `\\`)
			}
			piece.WriteByte(text[i])
		default:
			piece.WriteByte(text[i])
		}
	}
	g.pieces = append(g.pieces, piece.String())
	return g, nil
}

// match reports whether the text matches. It takes the first occurrence of each piece between the
// first and the last: if a later occurrence works, the first one works too. So it
// never goes back over the text.
func (g glob) match(text string) bool {
	last := len(g.pieces) - 1
	if last == 0 {
		return text == g.pieces[0]
	}
	text, ok := strings.CutPrefix(text, g.pieces[0])
	if !ok {
		return false
	}
	if text, ok = strings.CutSuffix(text, g.pieces[last]); !ok {
		return false
	}
	for _, piece := range g.pieces[1:last] {
		if _, text, ok = strings.Cut(text, piece); !ok {
			return false
		}
	}
	return true
}
