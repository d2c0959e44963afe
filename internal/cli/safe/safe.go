// Package safe prints text from outside, such as keys, inputs, logs and what services answer. Printed as it is, such a text
// can clear the screen, change a line above, or add a line that looks like one of ours.
//
//   - A Writer stands in front of a stream. It escapes control characters, so no escape sequence reaches the terminal.
//   - Line and Printf keep a text to one line, where it enters a line or a table cell of ours.
//
// Escapes have the form that JSON has too, \u001b or \n: JSON that passes a Writer means the same as before.
package safe

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Text returns a text with its control characters escaped, apart from tab and newline: C0, DEL and C1, the line and
// paragraph separators, and the controls that change the direction of writing. A Windows end of line becomes a newline,
// and a byte that is not UTF-8 becomes U+FFFD.
func Text(text string) string { return escape(strings.ReplaceAll(text, "\r\n", "\n"), false) }

// Line returns a text as Text does, on one line: tabs and newlines are escaped too.
func Line(text string) string { return escape(text, true) }

func escape(text string, line bool) string {
	var out strings.Builder
	out.Grow(len(text))
	for _, r := range text {
		switch {
		case r == '\r':
			out.WriteString(`\r`)
		case r == '\n' && line:
			out.WriteString(`\n`)
		case r == '\t' && line:
			out.WriteString(`\t`)
		case r != '\n' && r != '\t' && acts(r):
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// acts reports whether a terminal or an editor does something else with a character than show it.
func acts(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// Printf prints as fmt.Fprintf does, with each argument kept to one line: the lines are those of the format.
func Printf(to io.Writer, format string, args ...any) {
	for i, arg := range args {
		args[i] = lined{arg}
	}
	_, _ = fmt.Fprintf(to, format, args...)
}

// lined formats a value on one line.
type lined struct{ value any }

// Format formats the value as it formats itself, and escapes the result.
func (l lined) Format(to fmt.State, verb rune) {
	_, _ = io.WriteString(to, Line(fmt.Sprintf(fmt.FormatString(to, verb), l.value)))
}

// Writer escapes what is written to it as Text does, and writes it on. It may be used by several goroutines.
type Writer struct {
	to io.Writer

	mu   sync.Mutex
	rest []byte // the beginning of a character, or a \r, whose next byte has not come yet
}

// NewWriter returns a writer in front of another.
func NewWriter(to io.Writer) *Writer { return &Writer{to: to} }

// Write writes all of p, except for the beginning of a character at its end: that waits for the next call.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := append(w.rest, p...)
	whole := len(text) - unfinished(text)
	w.rest = text[whole:]
	if _, err := io.WriteString(w.to, Text(string(text[:whole]))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what waits for more, at the end of the text.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := io.WriteString(w.to, Text(string(w.rest)))
	w.rest = nil
	return err
}

// unfinished returns how many bytes at the end may be part of something longer.
func unfinished(text []byte) int {
	if n := len(text); n > 0 && text[n-1] == '\r' {
		return 1
	}
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if end := text[len(text)-n:]; utf8.RuneStart(end[0]) {
			if utf8.FullRune(end) {
				return 0
			}
			return n
		}
	}
	return 0
}
