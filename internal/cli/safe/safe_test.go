package safe_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode"
	"unicode/utf8"

	"modeldispatch/internal/cli/safe"
)

// texts are texts with what Text and Line make of them.
var texts = []struct{ given, text, line string }{
	{"plain, ü 日本 🙂 \u00a0", "plain, ü 日本 🙂 \u00a0", "plain, ü 日本 🙂 \u00a0"},
	{"\x1b[2J\x1b]0;title\a", `\u001b[2J\u001b]0;title\u0007`, `\u001b[2J\u001b]0;title\u0007`},
	{"a\tb\nc", "a\tb\nc", `a\tb\nc`},
	{"a\r\nb\r\n", "a\nb\n", `a\r\nb\r\n`},
	{"100 %\rforged\r\r\n", `100 %\rforged\r` + "\n", `100 %\rforged\r\r\n`},
	{"\x00\x08\x0b\x0c\x7f", `\u0000\u0008\u000b\u000c\u007f`, `\u0000\u0008\u000b\u000c\u007f`},
	{"\u0080\u0085\u009b31m\u009f", `\u0080\u0085\u009b31m\u009f`, `\u0080\u0085\u009b31m\u009f`},
	{"\u2028\u2029", `\u2028\u2029`, `\u2028\u2029`},
	{"\u200e\u200f\u061c\u202a\u202e\u2066\u2069", `\u200e\u200f\u061c\u202a\u202e\u2066\u2069`, `\u200e\u200f\u061c\u202a\u202e\u2066\u2069`},
	{"a\xffb\xc3", "a\ufffdb\ufffd", "a\ufffdb\ufffd"},
	{"\x9b31m", "\ufffd31m", "\ufffd31m"}, // C1 in a terminal that is not set to UTF-8
	{`\u001b \n`, `\u001b \n`, `\u001b \n`},
}

func TestTextAndLine(t *testing.T) {
	t.Parallel()
	for _, c := range texts {
		if got := safe.Text(c.given); got != c.text {
			t.Errorf("Text(%q) = %q, want %q", c.given, got, c.text)
		}
		if got := safe.Line(c.given); got != c.line {
			t.Errorf("Line(%q) = %q, want %q", c.given, got, c.line)
		}
	}
}

// written returns what a writer makes of a text that comes in parts.
func written(t *testing.T, parts io.Reader) string {
	t.Helper()
	var out strings.Builder
	w := safe.NewWriter(&out)
	for part := make([]byte, 16); ; {
		n, err := parts.Read(part)
		if wrote, err := w.Write(part[:n]); wrote != n || err != nil {
			t.Fatalf("wrote %d bytes of %d, %v", wrote, n, err)
		}
		if err != nil {
			break
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestWriter writes whole texts, and byte by byte.
func TestWriter(t *testing.T) {
	t.Parallel()
	for _, c := range texts {
		if got := written(t, strings.NewReader(c.given)); got != c.text {
			t.Errorf("%q is written %q, want %q", c.given, got, c.text)
		}
		if got := written(t, iotest.OneByteReader(strings.NewReader(c.given))); got != c.text {
			t.Errorf("%q, byte by byte, is written %q, want %q", c.given, got, c.text)
		}
	}
}

// TestWriterHoldsNothingBack has a prompt, which ends in no newline, appear at once.
func TestWriterHoldsNothingBack(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if _, err := safe.NewWriter(&out).Write([]byte("ü: ")); err != nil || out.String() != "ü: " {
		t.Errorf("wrote %q, %v", &out, err)
	}
}

func TestWriterSaysThatItFailed(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	r, w := io.Pipe()
	_ = r.CloseWithError(broken)
	if n, err := safe.NewWriter(w).Write([]byte("text")); n != 0 || !errors.Is(err, broken) {
		t.Errorf("wrote %d bytes, %v", n, err)
	}
}

func TestPrintf(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	type word string
	safe.Printf(&out, "%s|%-6s|%03d|%q|%v|%s|%s|%.1f|%[1]s\n", "a\nb", "x", 7, "\x1b", errors.New("x\r\ny"), word("\u202e"), 90*time.Second, 2.25)
	if want := `a\nb|x     |007|"\x1b"|x\r\ny|\u202e|1m30s|2.2|a\nb` + "\n"; out.String() != want {
		t.Errorf("%q, want %q", &out, want)
	}
}

// TestJSONKeepsItsMeaning passes JSON with raw controls through a writer.
func TestJSONKeepsItsMeaning(t *testing.T) {
	t.Parallel()
	for _, c := range texts {
		if !utf8.ValidString(c.given) {
			continue
		}
		text, err := json.Marshal(c.given)
		if err != nil {
			t.Fatal(err)
		}
		raw := bytes.ReplaceAll(text, []byte(`\u2028`), []byte("\u2028"))
		var got string
		if err := json.Unmarshal([]byte(written(t, bytes.NewReader(raw))), &got); err != nil || got != c.given {
			t.Errorf("%q is %q after the writer, %v", c.given, got, err)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, c := range texts {
		f.Add(c.given, 3)
	}
	f.Fuzz(func(t *testing.T, given string, cut int) {
		text, line := safe.Text(given), safe.Line(given)
		for _, r := range text {
			if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
				t.Fatalf("Text(%q) holds %U", given, r)
			}
		}
		if strings.ContainsAny(line, "\t\n") || line != safe.Line(text) && !strings.Contains(given, "\r\n") {
			t.Fatalf("Line(%q) = %q, and of its text %q", given, line, safe.Line(text))
		}
		if !utf8.ValidString(text) || safe.Text(text) != text || safe.Line(line) != line || safe.Text(line) != line {
			t.Fatalf("%q is %q and %q, which change again", given, text, line)
		}
		cut = max(0, min(cut, len(given)))
		if got := written(t, io.MultiReader(strings.NewReader(given[:cut]), strings.NewReader(given[cut:]))); got != text {
			t.Fatalf("%q, cut at %d, is written %q, want %q", given, cut, got, text)
		}
	})
}
