package pattern

import (
	"fmt"
	"strconv"
	"strings"
)

// A matcher is one alternative of a field: a value or an operator.
type matcher interface {
	matches(v value) bool
	String() string // for people
}

// exactString is a string that must be equal, character by character.
type exactString string

func (m exactString) matches(v value) bool { return v.quoted && v.text == string(m) }
func (m exactString) String() string       { return strconv.Quote(string(m)) }

// exactScalar is a number, true, false or null.
type exactScalar struct{ value value }

func (m exactScalar) matches(v value) bool {
	return !v.quoted && (v.text == m.value.text || v.numeric && m.value.numeric && v.number == m.value.number)
}
func (m exactScalar) String() string { return m.value.text }

// prefix, suffix and the others below look at strings only: no number begins with "1".
type prefix string

func (m prefix) matches(v value) bool { return v.quoted && strings.HasPrefix(v.text, string(m)) }
func (m prefix) String() string       { return fmt.Sprintf("prefix %q", string(m)) }

type suffix string

func (m suffix) matches(v value) bool { return v.quoted && strings.HasSuffix(v.text, string(m)) }
func (m suffix) String() string       { return fmt.Sprintf("suffix %q", string(m)) }

type equalsIgnoreCase struct{ folded }

func (m equalsIgnoreCase) matches(v value) bool {
	rest, ok := m.prefixOf(v.text)
	return v.quoted && ok && rest == ""
}
func (m equalsIgnoreCase) String() string { return fmt.Sprintf("equals-ignore-case %q", m.text) }

type prefixIgnoreCase struct{ folded }

func (m prefixIgnoreCase) matches(v value) bool {
	_, ok := m.prefixOf(v.text)
	return v.quoted && ok
}
func (m prefixIgnoreCase) String() string { return fmt.Sprintf("prefix %q in any case", m.text) }

type suffixIgnoreCase struct{ folded }

func (m suffixIgnoreCase) matches(v value) bool { return v.quoted && m.suffixOf(v.text) }
func (m suffixIgnoreCase) String() string       { return fmt.Sprintf("suffix %q in any case", m.text) }

type wildcard struct{ glob }

func (m wildcard) matches(v value) bool { return v.quoted && m.match(v.text) }
func (m wildcard) String() string       { return fmt.Sprintf("wildcard %q", m.text) }

// anythingBut takes every value that none of the others takes, of whatever type.
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

// numeric is a range of numbers; a missing bound is infinite.
type numeric struct {
	text              string
	low, high         float64
	openLow, openHigh bool
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

// exists takes whatever is there, null too.
type exists struct{}

func (exists) matches(value) bool { return true }
func (exists) String() string     { return "exists" }

// list writes alternatives for people.
func list(matchers []matcher) string {
	var texts []string
	for _, m := range matchers {
		texts = append(texts, m.String())
	}
	return strings.Join(texts, ", ")
}
