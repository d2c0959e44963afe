package cli

import (
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestReadSecrets(t *testing.T) {
	t.Parallel()
	const altered = ".env.local:1: X: warning: the task gets a value that differs from this line"
	for _, c := range []struct {
		text, value    string
		warning, wrong string // beginnings of the warning and the error; "" for none
	}{
		{text: "X=s3cret", value: "s3cret"},
		{text: "X=", value: ""},
		{text: "X=pa$$word ${HOME} $PATH `id` \\n", value: "pa$$word ${HOME} $PATH `id` \\n"},
		{text: "X=a=b==", value: "a=b=="},
		{text: "X=пароль", value: "пароль"},
		{text: "X='a # b\\n\"'", value: `a # b\n"`},
		{text: `X="it's"`, value: "it's"},
		{text: "X='  a '", value: "  a "},
		{text: "X= 'a' ", value: "a"},
		{text: "export X=a", value: "a"},
		{text: "X =a", value: "a"},
		{text: "\uFEFFX=a\r\n", value: "a"},
		{text: "X=a\n# X=b\n\n  \n", value: "a"},

		{text: "X= a", value: "a", warning: altered},
		{text: "X=a  ", value: "a", warning: altered},
		{text: "X=a #b", value: "a", warning: altered},
		{text: "X=a#b", value: "a", warning: altered},
		{text: "X='a' # b", value: "a", warning: altered},
		{text: `X=a"b"c`, value: "abc", warning: altered},
		{text: `X=""a""`, value: "a", warning: altered},
		{text: `X='a''b'`, value: "ab", warning: altered},
		{text: `X="C:\\new"`, value: `C:\new`, warning: altered},
		{text: `X="a\nb"`, value: "a\nb", warning: altered},
		{text: "X=a\u00a0", value: "a", warning: altered},

		{text: `X="abc`, wrong: ".env.local:1: X: a quote is not closed on its line"},
		{text: "X=it's", wrong: ".env.local:1: X: a quote is not closed on its line"},
		{text: "X=\"a\nb\"", wrong: ".env.local:1: X: a quote is not closed on its line"},
		{text: `X="C:\dir"`, wrong: `.env.local:1: X: a \ in double quotes starts no valid escape`},
		{text: `X="a\u12"`, wrong: `.env.local:1: X: a \ in double quotes starts no valid escape`},
		{text: `X="\ю"`, wrong: `.env.local:1: X: a \ in double quotes starts no valid escape`},
		{text: "X=a\tb", wrong: ".env.local:1: X: the value contains a control character"},
		{text: "X=a\rb", wrong: ".env.local:1: X: the value contains a control character"},
		{text: "X=a\x00b", wrong: ".env.local:1: X: the value contains a control character"},
		{text: `X="\u0000"`, wrong: ".env.local:1: X: the value contains the character NUL"},
		{text: "X=" + strings.Repeat("a", 1<<16), wrong: ".env.local:1: X: the line is longer than 64 KB"},
		{text: "s3cret", wrong: ".env.local:1: the line has no ="},
		{text: "=s3cret", wrong: ".env.local:1: the text before the = is not a name"},
		{text: "X Y=a", wrong: ".env.local:1: the text before the = is not a name"},
		{text: "1X=a", wrong: ".env.local:1: the text before the = is not a name"},
		{text: "s3cret/base64==", wrong: ".env.local:1: the text before the = is not a name"},
		{text: "X-Y=a", wrong: ".env.local:1: the text before the = is not a name"},
		{text: "X=a\nexport X=a", wrong: ".env.local:2: X: line 1 has the same name"},
		{text: "X=abcü # note", wrong: ".env.local:1: X: the value is cut off within a character"},
		{text: "X=abcü #", wrong: ".env.local:1: X: the value is cut off within a character"},
		{text: "X=\xff", wrong: ".env.local is not in UTF-8"},
		{text: "\xff\xfeX\x00=\x00a\x00", wrong: ".env.local is not in UTF-8"},
	} {
		values, warnings, err := readText(t, c.text)
		switch {
		case c.wrong != "" && (err == nil || !strings.HasPrefix(err.Error(), c.wrong)):
			t.Errorf("%.40q gives the error %v, want %s…", c.text, err, c.wrong)
		case c.wrong == "" && err != nil:
			t.Errorf("%.40q gives the error %v, want none", c.text, err)
		case c.wrong == "" && strings.Contains(c.text, "X") && !maps.Equal(values, map[string]string{"X": c.value}):
			t.Errorf("%.40q sets %q, want %q", c.text, values, c.value)
		case (c.warning != "") != (len(warnings) == 1) || !strings.HasPrefix(strings.Join(warnings, "\n"), c.warning):
			t.Errorf("%.40q gives the warnings %q, want %s…", c.text, warnings, c.warning)
		}
	}
}

// TestSecretsReportEveryError reads three lines with an error. No error may hide the next.
func TestSecretsReportEveryError(t *testing.T) {
	t.Parallel()
	_, _, err := readText(t, "A='1\nB=2\n3\nC=\"4")
	if err == nil || strings.Count(err.Error(), "\n") != 2 ||
		!strings.Contains(err.Error(), "\n.env.local:3: ") || !strings.Contains(err.Error(), "\n.env.local:4: a quote ") {
		t.Errorf("the error is %v, want errors on lines 1, 3 and 4", err)
	}
}

// TestEndOfSecretIsNotShownAsName reads secrets whose last line in base64 looks like a name without a value. No
// message may show it.
func TestEndOfSecretIsNotShownAsName(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"KEY=\"begin\nMIIEabc\nc2VjcmV0=\"\n",
		"c2VjcmV0= \n",
		"c2VjcmV0=\nc2VjcmV0=\n",
		"A='b\nc2VjcmV0=d #e\nc2VjcmV0='\n",
		"c2VjcmV0=\"\n",
	} {
		_, warnings, err := readText(t, text)
		if strings.Contains(strings.Join(warnings, "\n"), "c2VjcmV0") || err != nil && strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("%q is shown in the warnings %q or the error %v", text, warnings, err)
		}
	}
}

func TestSecretsFileMissingOrUnreadable(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if values, warnings, err := readSecrets(folder); len(values)+len(warnings) > 0 || err != nil {
		t.Errorf("a folder without the file gives %q, %q, %v; want nothing", values, warnings, err)
	}
	if err := os.Mkdir(filepath.Join(folder, secretsFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readSecrets(folder); err == nil || !strings.Contains(err.Error(), secretsFile) {
		t.Errorf("a folder in place of the file gives the error %v, want an error with the name of the file", err)
	}
}

// readText reads secrets from a file with this text.
func readText(t *testing.T, text string) (map[string]string, []string, error) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, secretsFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return readSecrets(folder)
}

// secretRunes holds letters that no message contains, and all characters that have a meaning in the file.
var secretRunes = []rune("жщюЖ€😀\\\"'#$ =nu0\t\n")

// leaks reports whether a message contains a letter of a value.
func leaks(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Cyrillic, r) || r == '😀' })
}

// TestEverySecretHasAQuotedForm writes any value in quotes, and reads it again.
func TestEverySecretHasAQuotedForm(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringOf(rapid.RuneFrom(secretRunes)).Draw(t, "value")
		written := "'" + value + "'"
		plain := !strings.ContainsAny(value, "'\t\n")
		if !plain {
			written = strconv.Quote(value) // these runes need only escapes that the file has too: \t, \n, \" and \\
		}
		values, warnings, err := parseSecrets("X=" + written)
		if err != nil || values["X"] != value {
			t.Fatalf("X=%s sets %q, error %v; want %q", written, values, err, value)
		}
		if plain && len(warnings) > 0 {
			t.Fatalf("X=%s gives the warnings %q, want none", written, warnings)
		}
	})
}

// TestSecretsAreNotShownOrSilentlyAltered reads any text. No message may show a part of it, and a value that differs
// from the text needs a warning or an error.
func TestSecretsAreNotShownOrSilentlyAltered(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom(secretRunes)).Draw(t, "text")
		line, _, _ := strings.Cut(text, "\n")
		for _, before := range []string{"", "X=", "export X=", "X=1\nX="} {
			_, warnings, err := parseSecrets(before + text)
			if leaks(strings.Join(warnings, "\n")) || err != nil && leaks(err.Error()) {
				t.Fatalf("a part of %q is shown in the warnings %q or the error %v", before+text, warnings, err)
			}
		}
		values, warnings, err := parseSecrets("X=" + line)
		inner := strings.TrimSpace(line)
		if len(inner) >= 2 && strings.ContainsAny(inner[:1], `'"`) && inner[0] == inner[len(inner)-1] {
			inner = inner[1 : len(inner)-1]
		}
		if got := values["X"]; err == nil && len(warnings) == 0 && got != line && got != inner {
			t.Fatalf("X=%s sets %q without a warning", line, got)
		}
	})
}
