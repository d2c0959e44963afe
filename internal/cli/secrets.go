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

// secretsFile is the file in a project's folder that holds the values of containers' secrets for the local stack.
const secretsFile = ".env.local"

// secrets reads the project's secrets, and prints a warning for each value that differs from the text in the file.
func (s *session) secrets(folder string) (map[string]string, error) {
	values, warnings, err := readSecrets(folder)
	for _, w := range warnings {
		s.warnf("%s\n", w)
	}
	return values, err
}

// readSecrets reads the lines NAME=value of .env.local in a folder, and returns the values by name, and warnings. A
// folder without the file has no secrets. All errors are returned at once. No error or warning shows a part of a
// value, or of a line that may belong to a value.
func readSecrets(folder string) (map[string]string, []string, error) {
	text, err := os.ReadFile(filepath.Join(folder, secretsFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("reading secrets: %w", err)
	case !utf8.Valid(text):
		return nil, nil, fmt.Errorf("%s is not in UTF-8: save it in this encoding", secretsFile)
	}
	return parseSecrets(strings.TrimPrefix(string(text), "\uFEFF")) // some editors write a byte order mark at the beginning
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
		if one.canShowName() && len(failed) == 0 { // after an error, a line may be part of a value
			at += one.name + ": "
		}
		switch {
		case err != nil:
			failed = append(failed, fmt.Errorf("%s%w", at, err))
		case one.name != "":
			lines[one.name], values[one.name] = i+1, one.value
			if !one.isVerbatim() {
				warnings = append(warnings, at+"warning: "+one.warning())
			}
		}
	}
	return values, warnings, errors.Join(failed...)
}

// secret is a line of .env.local. The name is empty for blank lines and comments.
type secret struct {
	name    string
	written string // text from the = to the end of the line
	value   string // value that the task gets
}

// canShowName reports whether messages may show the name. The last line of a base64 secret looks like a name without a
// value, so such a name is not shown.
func (s secret) canShowName() bool { return s.name != "" && strings.Trim(s.written, "= \t\"'") != "" }

// secretName matches valid names. The parser also accepts a slash. A base64 secret can contain one, so such a line is
// an error, and its beginning is not shown as a name.
var secretName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// parseSecret parses a line. Its errors replace those of the parser, which can show a character of a value.
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
		return secret{}, errors.New("the line has no =: write NAME=value, or start a comment with #")
	case !secretName.MatchString(name):
		return secret{}, errors.New("the text before the = is not a name: use letters, digits, _ and dots, and begin with a letter or _")
	case err != nil:
		return one, errors.New(parserProblem(err, written))
	case strings.ContainsRune(one.value, 0):
		return one, errors.New("the value contains the character NUL, which no variable can have: remove it")
	case !utf8.ValidString(one.value): // the parser cuts a comment off by bytes
		return one, errors.New("the value is cut off within a character: write it in quotes, and the comment on its own line")
	}
	return one, nil
}

// parserProblem returns the text for an error of the parser: the problem, and the correct form.
func parserProblem(err error, written string) string {
	if parse := (*envparse.ParseError)(nil); errors.As(err, &parse) {
		err = parse.Err
	}
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		return "the line is longer than 64 KB: shorten it"
	case strings.ContainsFunc(strings.TrimSpace(written), unicode.IsControl):
		return `the value contains a control character: in double quotes, write \t for a tab and \n for a line break`
	case errors.Is(err, envparse.ErrUnmatchedSingle), errors.Is(err, envparse.ErrUnmatchedDouble):
		return `a quote is not closed on its line: write a value that contains ' in double quotes, a value that contains " in ` +
			`single quotes, and a line break as \n in double quotes`
	default:
		return `a \ in double quotes starts no valid escape: use \n, \t, \r, \", \\ or the form \u20ac, or write the value in single quotes`
	}
}

// isVerbatim reports whether the value equals the text in the file, apart from the quotes around it.
func (s secret) isVerbatim() bool {
	text := strings.TrimSpace(s.written)
	return s.value == s.written || s.value == text && text == "" || text == "'"+s.value+"'" || text == `"`+s.value+`"`
}

// warning returns the text for a value that differs from the text in the file.
func (s secret) warning() string {
	form := "in single quotes"
	if strings.Contains(s.value, "'") {
		form = `in double quotes, with \ before each " and \`
	}
	return "the task gets a value that differs from this line: blanks around the value, quotes, escapes and a # comment are not part of it. " +
		"To keep the text, write it " + form + "; write a comment on its own line"
}
