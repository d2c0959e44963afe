// Package safe prints untrusted text on a terminal. Untrusted text comes from outside the program: object keys,
// inputs, logs, error messages of services. Printed unchanged, it could clear the screen, overwrite a line above, or
// add a line that looks like the program's own output. All output of package cli passes through this package, except
// its help texts and `logs --raw`.
//
// Terms:
//
//   - A control character is a character on which a terminal or an editor acts instead of showing it: C0, DEL, C1, the
//     line and paragraph separators, and the controls of the writing direction.
//   - An escape is the visible form of a control character, such as \u001b or \n.
//
// Entry points:
//
//   - Writer protects a stream. It escapes control characters, so no escape sequence reaches the terminal. It keeps
//     tabs and newlines.
//   - Line and Printf protect a line. They also escape tabs and newlines, so a text cannot leave its line or table
//     cell.
//   - Text does for one text what Writer does for a stream.
//
// Rules:
//
//   - Escapes have the form of JSON's escapes. So JSON keeps its meaning when it passes a Writer.
//   - Text and Line escape no backslash. A text that is escaped twice equals the text that is escaped once, and a
//     reader cannot tell an escape from the same characters in the original.
//   - A Writer holds back at most three bytes, the beginning of a character or a \r. Call Flush at the end.
package safe

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Text returns a text with its control characters escaped, except tab and newline. A Windows end of line becomes a
// newline, and a byte that is not valid UTF-8 becomes U+FFFD.
func Text(text string) string { return escape(strings.ReplaceAll(text, "\r\n", "\n"), false) }

// Line returns a text on one line. It escapes as Text does, and tabs and newlines too.
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
		case r != '\n' && r != '\t' && isControl(r):
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// isControl reports whether a terminal or an editor may act on a character instead of showing it.
func isControl(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// Printf prints as fmt.Fprintf does, and escapes each argument as Line does. Only the format itself can start a new
// line.
func Printf(to io.Writer, format string, args ...any) {
	for i, arg := range args {
		args[i] = oneLine{arg}
	}
	_, _ = fmt.Fprintf(to, format, args...)
}

// oneLine formats a value on one line.
type oneLine struct{ value any }

// Format formats the value with the same verb and flags, and escapes the result.
func (l oneLine) Format(to fmt.State, verb rune) {
	_, _ = io.WriteString(to, Line(fmt.Sprintf(fmt.FormatString(to, verb), l.value)))
}

// Writer escapes the text that it receives as Text does, and writes it to another writer. It is safe for concurrent
// use.
type Writer struct {
	to io.Writer

	mu     sync.Mutex
	rest   []byte // the beginning of a character, or a \r, until the next byte arrives
	failed error  // the first error of the underlying writer
}

// NewWriter returns a Writer that writes to another writer.
func NewWriter(to io.Writer) *Writer { return &Writer{to: to} }

// Write escapes and writes p. If p ends with the beginning of a character or with a \r, Write holds these bytes back
// until the next call. It returns the error of the underlying writer.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := append(w.rest, p...)
	whole := len(text) - unfinished(text)
	w.rest = text[whole:]
	if err := w.write(text[:whole]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes the bytes that Write holds back. Call it at the end of the text. It returns the first error of the
// underlying writer since NewWriter, because Printf returns no error.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.write(w.rest) // Flush returns it as w.failed
	w.rest = nil
	return w.failed
}

// write escapes and writes whole characters.
func (w *Writer) write(text []byte) error {
	_, err := io.WriteString(w.to, Text(string(text)))
	if w.failed == nil {
		w.failed = err
	}
	return err
}

// unfinished returns the number of bytes at the end that the next bytes may complete: to a character, or to a \r\n.
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
