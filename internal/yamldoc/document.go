package yamldoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// The limits of one file. Files that users write stay far below them.
const (
	maxFile  = 1 << 20 // bytes
	maxDepth = 40
	maxNodes = 20_000 // an alias counts as many times as it is used
)

// Document is one file while it is read. The file is YAML, or JSON, which the YAML parser reads too.
type Document struct {
	Report  *Report // collects the problems of the file
	File    string  // path relative to the project's folder
	Model   string  // name of the model, or "" for a file that belongs to none
	JSON    bool    // the file must be JSON
	Minimum string  // the least that the file must contain, for the error about an empty file
	// Variables holds the values of the variables ${NAME}. While it is nil, readers leave ${NAME} as it is.
	Variables map[string]string

	anchors map[string]ast.Node
	nodes   int // number of values that were visited
}

// position is a line and a column of a file, from 1. The zero position stands for the file as a whole.
type position struct{ line, column int }

// Errorf reports an error about the file as a whole.
func (d *Document) Errorf(format string, args ...any) { d.problem(position{}, false, format, args...) }

// problem reports an error, or a warning if warning is true.
func (d *Document) problem(at position, warning bool, format string, args ...any) {
	d.Report.all = append(d.Report.all, Problem{
		File: d.File, Line: at.line, Column: at.column, Model: d.Model, Message: fmt.Sprintf(format, args...), Warning: warning,
	})
}

// Read reads and parses the file. folder is the project's folder. Read reports an error and returns false if it cannot.
func (d *Document) Read(folder string) (Value, bool) {
	text, err := os.ReadFile(filepath.Join(folder, d.File))
	if err != nil {
		d.Errorf("cannot read the file: %v", errors.Unwrap(err))
		return Value{}, false
	}
	return d.Parse(text)
}

// Parse parses the text of the file. It reports an error and returns false if it cannot.
func (d *Document) Parse(text []byte) (Value, bool) {
	text = bytes.TrimPrefix(text, []byte("\uFEFF")) // the byte order mark that some editors write
	if len(text) > maxFile {
		d.Errorf("the file has %d bytes; the maximum is %d", len(text), maxFile)
		return Value{}, false
	}
	if i := invalidUTF8(text); i >= 0 {
		d.problem(positionAt(text, i), false, "the file is not valid UTF-8: unexpected byte %#x; save the file as UTF-8", text[i])
		return Value{}, false
	}
	if len(bytes.TrimSpace(text)) == 0 {
		d.problem(position{1, 1}, false, "the file is empty; expected %s", d.Minimum)
		return Value{}, false
	}
	if d.JSON {
		var whole json.RawMessage
		if err := json.Unmarshal(text, &whole); err != nil {
			d.problem(jsonPosition(text, err), false, "the file is not valid JSON: %v", err)
			return Value{}, false
		}
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		d.problem(yamlPosition(err), false, "the file is not valid YAML: %s", yamlMessage(err))
		return Value{}, false
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		d.problem(position{1, 1}, false, "the file is empty; expected %s", d.Minimum)
		return Value{}, false
	}
	if len(file.Docs) > 1 {
		d.problem(position{1, 1}, false, "the file has %d YAML documents; expected one", len(file.Docs))
		return Value{}, false
	}
	d.anchors = map[string]ast.Node{}
	return d.value(file.Docs[0].Body, 0)
}

// invalidUTF8 returns the index of the first byte that is not valid UTF-8, or -1.
func invalidUTF8(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// positionAt returns the line and column of the byte at index i.
func positionAt(text []byte, i int) position {
	before := text[:i]
	return position{1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])}
}

func jsonPosition(text []byte, err error) position {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return position{1, 1}
	}
	return positionAt(text, max(int(syntax.Offset)-1, 0))
}

func yamlPosition(err error) position {
	var syntax yaml.Error
	if errors.As(err, &syntax) && syntax.GetToken() != nil && syntax.GetToken().Position != nil {
		at := syntax.GetToken().Position
		return position{at.Line, at.Column}
	}
	return position{1, 1}
}

func yamlMessage(err error) string {
	var syntax yaml.Error
	if errors.As(err, &syntax) {
		return syntax.GetMessage()
	}
	return strings.SplitN(err.Error(), "\n", 2)[0]
}
