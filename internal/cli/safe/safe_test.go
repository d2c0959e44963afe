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

// texts lists texts with the results of Text and Line.
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
	{"\x9b31m", "\ufffd31m", "\ufffd31m"}, // the byte of a C1 control in a terminal without UTF-8
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

// writeAll writes a text to a Writer in the parts that a reader returns, and returns the Writer's output.
func writeAll(t *testing.T, parts io.Reader) string {
	t.Helper()
	var out strings.Builder
	w := safe.NewWriter(&out)
	for part := make([]byte, 16); ; {
		n, err := parts.Read(part)
		if wrote, err := w.Write(part[:n]); wrote != n || err != nil {
			t.Fatalf("Write wrote %d of %d bytes, error %v", wrote, n, err)
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

// TestWriter writes each text at once, and again byte by byte.
func TestWriter(t *testing.T) {
	t.Parallel()
	for _, c := range texts {
		if got := writeAll(t, strings.NewReader(c.given)); got != c.text {
			t.Errorf("Writer(%q) wrote %q, want %q", c.given, got, c.text)
		}
		if got := writeAll(t, iotest.OneByteReader(strings.NewReader(c.given))); got != c.text {
			t.Errorf("Writer(%q), byte by byte, wrote %q, want %q", c.given, got, c.text)
		}
	}
}

// TestWriterShowsPromptAtOnce writes a prompt, which does not end in a newline. It must appear without a Flush.
func TestWriterShowsPromptAtOnce(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if _, err := safe.NewWriter(&out).Write([]byte("ü: ")); err != nil || out.String() != "ü: " {
		t.Errorf("Writer wrote %q, error %v; want the prompt", &out, err)
	}
}

func TestWriterReturnsError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	r, w := io.Pipe()
	_ = r.CloseWithError(broken)
	if n, err := safe.NewWriter(w).Write([]byte("text")); n != 0 || !errors.Is(err, broken) {
		t.Errorf("Write returned %d, %v; want 0, %v", n, err, broken)
	}
}

func TestPrintf(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	type word string
	safe.Printf(&out, "%s|%-6s|%03d|%q|%v|%s|%s|%.1f|%[1]s\n",
		"a\nb", "x", 7, "\x1b", errors.New("x\r\ny"), word("\u202e"), 90*time.Second, 2.25)
	if want := `a\nb|x     |007|"\x1b"|x\r\ny|\u202e|1m30s|2.2|a\nb` + "\n"; out.String() != want {
		t.Errorf("Printf wrote %q, want %q", &out, want)
	}
}

// TestWriterKeepsMeaningOfJSON writes JSON that contains raw control characters. It must decode to the same text.
func TestWriterKeepsMeaningOfJSON(t *testing.T) {
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
		if err := json.Unmarshal([]byte(writeAll(t, bytes.NewReader(raw))), &got); err != nil || got != c.given {
			t.Errorf("the JSON of %q decodes to %q after the Writer, error %v", c.given, got, err)
		}
	}
}

// FuzzText checks any text: the results hold no control character, escaping twice changes nothing, and a Writer that
// gets the text in two parts writes the same as Text.
func FuzzText(f *testing.F) {
	for _, c := range texts {
		f.Add(c.given, 3)
	}
	f.Fuzz(func(t *testing.T, given string, cut int) {
		text, line := safe.Text(given), safe.Line(given)
		for _, r := range text {
			if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
				t.Fatalf("Text(%q) contains %U", given, r)
			}
		}
		if strings.ContainsAny(line, "\t\n") || line != safe.Line(text) && !strings.Contains(given, "\r\n") {
			t.Fatalf("Line(%q) = %q, but Line(Text) = %q", given, line, safe.Line(text))
		}
		if !utf8.ValidString(text) || safe.Text(text) != text || safe.Line(line) != line || safe.Text(line) != line {
			t.Fatalf("Text(%q) = %q and Line = %q are not valid UTF-8, or change when escaped again", given, text, line)
		}
		cut = max(0, min(cut, len(given)))
		if got := writeAll(t, io.MultiReader(strings.NewReader(given[:cut]), strings.NewReader(given[cut:]))); got != text {
			t.Fatalf("Writer(%q), cut at %d, wrote %q, want %q", given, cut, got, text)
		}
	})
}
