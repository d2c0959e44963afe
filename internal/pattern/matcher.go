package pattern

import (
	"fmt"
	"strconv"
	"strings"
)

// A matcher is one alternative of a field: a value or an operator.
type matcher interface {
	matches(v value) bool
	String() string // the alternative as a message shows it
}

// exactString matches an equal string, character by character.
type exactString string

func (m exactString) matches(v value) bool { return v.quoted && v.text == string(m) }
func (m exactString) String() string       { return strconv.Quote(string(m)) }

// exactScalar matches an equal number, true, false or null.
type exactScalar struct{ value value }

func (m exactScalar) matches(v value) bool {
	return !v.quoted && (v.text == m.value.text || v.numeric && m.value.numeric && v.number == m.value.number)
}
func (m exactScalar) String() string { return m.value.text }

// prefix matches a string that starts with it. Like all operators on text, it matches strings only:
// {"prefix": "1"} does not match the number 12.
type prefix string

func (m prefix) matches(v value) bool { return v.quoted && strings.HasPrefix(v.text, string(m)) }
func (m prefix) String() string       { return fmt.Sprintf("prefix %q", string(m)) }

// suffix matches a string that ends with it.
type suffix string

func (m suffix) matches(v value) bool { return v.quoted && strings.HasSuffix(v.text, string(m)) }
func (m suffix) String() string       { return fmt.Sprintf("suffix %q", string(m)) }

// equalsIgnoreCase matches an equal string in upper or lower case.
type equalsIgnoreCase struct{ folded }

func (m equalsIgnoreCase) matches(v value) bool {
	rest, ok := m.prefixOf(v.text)
	return v.quoted && ok && rest == ""
}
func (m equalsIgnoreCase) String() string { return fmt.Sprintf("equals-ignore-case %q", m.text) }

// prefixIgnoreCase matches a string that starts with it, in upper or lower case.
type prefixIgnoreCase struct{ folded }

func (m prefixIgnoreCase) matches(v value) bool {
	_, ok := m.prefixOf(v.text)
	return v.quoted && ok
}
func (m prefixIgnoreCase) String() string { return fmt.Sprintf("prefix %q ignoring case", m.text) }

// suffixIgnoreCase matches a string that ends with it, in upper or lower case.
type suffixIgnoreCase struct{ folded }

func (m suffixIgnoreCase) matches(v value) bool { return v.quoted && m.suffixOf(v.text) }
func (m suffixIgnoreCase) String() string       { return fmt.Sprintf("suffix %q ignoring case", m.text) }

// wildcard matches a string in which each * stands for any number of characters.
type wildcard struct{ glob }

func (m wildcard) matches(v value) bool { return v.quoted && m.match(v.text) }
func (m wildcard) String() string       { return fmt.Sprintf("wildcard %q", m.text) }

// anythingBut matches a value of any type that none of its matchers accepts.
type anythingBut []matcher

func (m anythingBut) matches(v value) bool {
	for _, other := range m {
		if other.matches(v) {
			return false
		}
	}
	return true
}
func (m anythingBut) String() string { return "anything-but " + list(m) }

// numeric matches a number in a range. A missing bound is infinite.
type numeric struct {
	text              string
	low, high         float64
	openLow, openHigh bool // the bound itself is outside of the range
}

func (m numeric) matches(v value) bool {
	if !v.numeric {
		return false
	}
	above := v.number > m.low || v.number == m.low && !m.openLow
	below := v.number < m.high || v.number == m.high && !m.openHigh
	return above && below
}
func (m numeric) String() string { return "numeric " + m.text }

// exists matches every value, null too.
type exists struct{}

func (exists) matches(value) bool { return true }
func (exists) String() string     { return "exists" }

// list joins alternatives with commas for a message.
func list(matchers []matcher) string {
	var texts []string
	for _, m := range matchers {
		texts = append(texts, m.String())
	}
	return strings.Join(texts, ", ")
}
