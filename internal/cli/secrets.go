package cli

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/go-envparse"
)

// secretsFile is the file in a project's folder with the values of containers' secrets.
const secretsFile = ".env.local"

// secrets reads the project's secrets, and prints a warning for each value that is not kept as it is written.
func (s *session) secrets(folder string) (map[string]string, error) {
	values, warnings, err := readSecrets(folder)
	for _, w := range warnings {
		s.warnf("%s\n", w)
	}
	return values, err
}

// readSecrets reads the lines NAME=value of .env.local in a folder. Without the file there are no secrets. It returns all
// errors at once. No error or warning shows a part of a value, or of a line that may be one.
func readSecrets(folder string) (map[string]string, []string, error) {
	text, err := os.ReadFile(filepath.Join(folder, secretsFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("reading secrets: %w", err)
	case !utf8.Valid(text):
		return nil, nil, fmt.Errorf("%s is not in UTF-8: save it in that encoding", secretsFile)
	}
	return parseSecrets(strings.TrimPrefix(string(text), "\uFEFF")) // some editors begin a file with a byte order mark
}

func parseSecrets(text string) (map[string]string, []string, error) {
	values, lines := map[string]string{}, map[string]int{}
	var warnings []string
	var failed []error
	for i, line := range strings.Split(text, "\n") {
		one, err := parseSecret(strings.TrimSuffix(line, "\r"))
		if first := lines[one.name]; first > 0 && err == nil {
			err = fmt.Errorf("line %d has the same name: remove one of the two", first)
		}
		at := fmt.Sprintf("%s:%d: ", secretsFile, i+1)
		if one.shown() && len(failed) == 0 { // after an error a line may be part of a value
			at += one.name + ": "
		}
		switch {
		case err != nil:
			failed = append(failed, fmt.Errorf("%s%w", at, err))
		case one.name != "":
			lines[one.name], values[one.name] = i+1, one.value
			if !one.kept() {
				warnings = append(warnings, at+"warning: "+one.warning())
			}
		}
	}
	return values, warnings, errors.Join(failed...)
}

// secret is a line of .env.local. Blank lines and comments have no name.
type secret struct {
	name    string
	written string // from the = to the end of the line
	value   string
}

// shown reports whether messages may show the name. The end of a secret in base64 looks like a name with nothing behind it.
func (s secret) shown() bool { return s.name != "" && strings.Trim(s.written, "= \t\"'") != "" }

// secretName is the form of names. The parser also takes a slash, which a secret in base64 has: such a line is refused, and its
// beginning is not shown as a name.
var secretName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// parseSecret reads a line. Its errors replace the parser's, which can show a character of a value.
func parseSecret(line string) (secret, error) {
	parsed, err := envparse.Parse(strings.NewReader(line))
	if err == nil && len(parsed) == 0 {
		return secret{}, nil // blank, or a comment
	}
	name, written, assigns := strings.Cut(line, "=")
	name = strings.TrimPrefix(strings.TrimSpace(name), "export ")
	one := secret{name, written, parsed[name]}
	switch {
	case !assigns:
		return secret{}, errors.New("the line has no =: write NAME=value, or # before a comment")
	case !secretName.MatchString(name):
		return secret{}, errors.New("the text before the = cannot be a name: a name has letters, digits, _ and dots, and begins with a letter or _")
	case err != nil:
		return one, errors.New(unreadable(err, written))
	case strings.ContainsRune(one.value, 0):
		return one, errors.New("the value has the character NUL, which no variable can have: leave it out")
	case !utf8.ValidString(one.value): // the parser cuts a comment off by bytes
		return one, errors.New("the value ends within a character: write it in quotes, and the comment on a line of its own")
	}
	return one, nil
}

// unreadable says why the parser does not read a value, and what it would read.
func unreadable(err error, written string) string {
	if parse := (*envparse.ParseError)(nil); errors.As(err, &parse) {
		err = parse.Err
	}
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		return "the line has more than 64 KB: shorten it"
	case strings.ContainsFunc(strings.TrimSpace(written), unicode.IsControl):
		return `the value has a control character: in double quotes, \t is a tab and \n a line break`
	case errors.Is(err, envparse.ErrUnmatchedSingle), errors.Is(err, envparse.ErrUnmatchedDouble):
		return `a quote is not closed in its line: write a value with ' in double quotes, one with " in single quotes, ` +
			`and a line break as \n in double quotes`
	default:
		return `a \ in double quotes begins no escape: there are \n, \t, \r, \", \\ and \u20ac; in single quotes \ stays as it is`
	}
}

// kept reports whether the task gets the text as it is written, without the quotes around it.
func (s secret) kept() bool {
	text := strings.TrimSpace(s.written)
	return s.value == s.written || s.value == text && text == "" || text == "'"+s.value+"'" || text == `"`+s.value+`"`
}

func (s secret) warning() string {
	how := "in single quotes"
	if strings.Contains(s.value, "'") {
		how = `in double quotes, with \ before each " and \`
	}
	return "the task gets another text than the line has: blanks around a value, quotes, escapes, and a # with what follows are no part of it. " +
		"To keep the text, write it " + how + "; write a comment on a line of its own"
}
