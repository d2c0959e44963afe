package pattern

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// folded is a text compared without regard to case: for each of its characters, the lower and the
// upper form. An event's text may have either, and nothing else.
type folded struct {
	text  string
	forms [][2]string
}

func fold(text string) folded {
	f := folded{text: text}
	for _, r := range text {
		f.forms = append(f.forms, [2]string{lower(r), upper(r)})
	}
	return f
}

// lower and upper are Java's String.toLowerCase and toUpperCase of one character in the root
// locale. unicode.ToUpper leaves out what becomes several characters; of those, Greek ones with
// an iota beneath are left out here too.
func lower(r rune) string {
	if r == 'İ' {
		return "i\u0307"
	}
	return string(unicode.ToLower(r))
}

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

// prefixOf takes the text off the front, in either case.
func (f folded) prefixOf(text string) (rest string, ok bool) {
	for _, forms := range f.forms {
		if text, ok = cutEither(text, forms, strings.CutPrefix); !ok {
			return "", false
		}
	}
	return text, true
}

func (f folded) suffixOf(text string) bool {
	ok := true
	for i := len(f.forms) - 1; i >= 0 && ok; i-- {
		text, ok = cutEither(text, f.forms[i], strings.CutSuffix)
	}
	return ok
}

func cutEither(text string, forms [2]string, cut func(s, part string) (string, bool)) (string, bool) {
	if rest, ok := cut(text, forms[0]); ok {
		return rest, true
	}
	return cut(text, forms[1])
}

// glob is a wildcard: the pieces of text between its stars.
type glob struct {
	text   string
	pieces []string
}

func parseGlob(text string) (glob, error) {
	g := glob{text: text}
	var piece strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '*' && strings.HasPrefix(text[i+1:], "*"):
			return glob{}, errors.New("has **; one * already matches any number of characters")
		case text[i] == '*':
			g.pieces = append(g.pieces, piece.String())
			piece.Reset()
		case text[i] == '\\':
			i++
			if i == len(text) || text[i] != '*' && text[i] != '\\' {
				return glob{}, fmt.Errorf(`has a lone \; \* is a star and \\ a backslash (in JSON, %q)`, `\*`)
			}
			piece.WriteByte(text[i])
		default:
			piece.WriteByte(text[i])
		}
	}
	g.pieces = append(g.pieces, piece.String())
	return g, nil
}

// match takes the first place for each piece between the ends: if any choice works, that does. So
// the work is linear in the text for each piece.
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
