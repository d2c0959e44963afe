package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
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

// document holds one file while it is read. The file is YAML, or JSON, which the YAML parser reads too.
type document struct {
	*report
	file      string // path relative to the project's folder
	model     string // name of the model, or "" for modeldispatch.yaml
	json      bool   // the file must be JSON
	minimum   string // the least that the file must contain, for the error about an empty file
	variables map[string]string
	defined   bool // the variables are known, so ${NAME} is replaced
	anchors   map[string]ast.Node
	nodes     int // number of values that were visited
}

// value is a YAML value together with its position in a document.
type value struct {
	doc  *document
	node ast.Node
	at   position
}

// position is a line and a column of a file, from 1. The zero position stands for the file as a whole.
type position struct{ line, column int }

// problem reports an error, or a warning if warning is true.
func (d *document) problem(at position, warning bool, format string, args ...any) {
	d.all = append(d.all, Problem{
		File: d.file, Line: at.line, Column: at.column, Model: d.model, Message: fmt.Sprintf(format, args...), Warning: warning,
	})
}

// errorf reports an error at the position of the value. The message states the cause and then the correct form.
func (v value) errorf(format string, args ...any) { v.doc.problem(v.at, false, format, args...) }

// warnf reports a warning at the position of the value.
func (v value) warnf(format string, args ...any) { v.doc.problem(v.at, true, format, args...) }

// read reads and parses the file. It reports an error and returns false if it cannot.
func (d *document) read(folder string) (value, bool) {
	text, err := os.ReadFile(filepath.Join(folder, d.file))
	if err != nil {
		d.problem(position{}, false, "cannot read the file: %v", errors.Unwrap(err))
		return value{}, false
	}
	return d.parse(text)
}

// parse parses the text of the file.
func (d *document) parse(text []byte) (value, bool) {
	text = bytes.TrimPrefix(text, []byte("\uFEFF")) // the byte order mark that some editors write
	if len(text) > maxFile {
		d.problem(position{}, false, "the file has %d bytes; the maximum is %d", len(text), maxFile)
		return value{}, false
	}
	if i := invalidUTF8(text); i >= 0 {
		d.problem(positionAt(text, i), false, "the file is not valid UTF-8: unexpected byte %#x; save the file as UTF-8", text[i])
		return value{}, false
	}
	if len(bytes.TrimSpace(text)) == 0 {
		d.problem(position{1, 1}, false, "the file is empty; expected %s", d.minimum)
		return value{}, false
	}
	if d.json {
		var whole json.RawMessage
		if err := json.Unmarshal(text, &whole); err != nil {
			d.problem(jsonPosition(text, err), false, "the file is not valid JSON: %v", err)
			return value{}, false
		}
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		d.problem(yamlPosition(err), false, "the file is not valid YAML: %s", yamlMessage(err))
		return value{}, false
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		d.problem(position{1, 1}, false, "the file is empty; expected %s", d.minimum)
		return value{}, false
	}
	if len(file.Docs) > 1 {
		d.problem(position{1, 1}, false, "the file has %d YAML documents; expected one", len(file.Docs))
		return value{}, false
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

// value returns the value of a node. It records anchors, and replaces an alias by the value of its anchor.
func (d *document) value(node ast.Node, depth int) (value, bool) {
	v := value{doc: d, node: node, at: positionOf(node)}
	if d.nodes++; d.nodes > maxNodes || depth > maxDepth {
		d.problem(v.at, false, "the file has too many values or is nested too deeply: the maximum is %d values, nested %d deep",
			maxNodes, maxDepth)
		return v, false
	}
	switch n := node.(type) {
	case *ast.AnchorNode:
		d.anchors[n.Name.String()] = n.Value
		return d.value(n.Value, depth+1)
	case *ast.AliasNode:
		target, known := d.anchors[n.Value.String()]
		if !known {
			v.errorf("there is no anchor &%s above this alias", n.Value.String())
			return v, false
		}
		aliased, ok := d.value(target, depth+1)
		aliased.at = v.at
		return aliased, ok
	case *ast.TagNode:
		v.errorf("the YAML tag %s is not allowed: remove it", n.Start.Value)
		return v, false
	}
	return v, true
}

// positionOf returns the position of the start of a node. An object starts at its first key.
func positionOf(node ast.Node) position {
	if n, isMap := node.(*ast.MappingNode); isMap && len(n.Values) > 0 {
		return positionOf(n.Values[0].Key)
	}
	if n, isPair := node.(*ast.MappingValueNode); isPair {
		return positionOf(n.Key)
	}
	if token := node.GetToken(); token != nil && token.Position != nil {
		return position{token.Position.Line, token.Position.Column}
	}
	return position{1, 1}
}

// member is a field of an object.
type member struct {
	name  string
	key   position // the position of the name
	value          // the field's value
}

// isNull reports whether the value is null or missing, as after "name:".
func (v value) isNull() bool {
	_, null := v.node.(*ast.NullNode)
	return null
}

// isObject reports whether the value is a YAML mapping.
func (v value) isObject() bool {
	switch v.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

// isList reports whether the value is a YAML sequence.
func (v value) isList() bool {
	_, list := v.node.(*ast.SequenceNode)
	return list
}

// members returns the fields of an object in the order of the file. A field that is set twice is an error. what names
// the value in an error.
func (v value) members(what string) ([]member, bool) {
	var pairs []*ast.MappingValueNode
	switch n := v.node.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		v.errorf("%s must be an object (name: value), not %s", what, v.kind())
		return nil, false
	}
	var all []member
	seen := map[string]bool{}
	for _, pair := range pairs {
		at := positionOf(pair.Key)
		inner, ok := v.doc.value(pair.Value, 1)
		if !ok {
			continue
		}
		if _, merge := pair.Key.(*ast.MergeKeyNode); merge {
			merged, _ := inner.members("the value of <<")
			for _, m := range merged {
				if !seen[m.name] {
					all = append(all, m)
				}
			}
			continue
		}
		name := strings.Trim(pair.Key.String(), `"'`)
		if s, isText := pair.Key.(*ast.StringNode); isText {
			name = s.Value
		}
		if seen[name] {
			v.doc.problem(at, false, "%q is set twice", name)
			continue
		}
		seen[name] = true
		all = append(all, member{name, at, inner})
	}
	return all, true
}

// fields reads an object with known fields, and calls the reader of each. An unknown field and a field without a
// value are errors. It returns false if the value is not an object.
func (v value) fields(what string, known map[string]func(member)) bool {
	all, ok := v.members(what)
	for _, m := range all {
		take, isKnown := known[m.name]
		if !isKnown {
			names := make([]string, 0, len(known))
			for name := range known {
				names = append(names, name)
			}
			v.doc.problem(m.key, false, "%s has no field %q; %s", what, m.name, hint("fields", m.name, names))
			continue
		}
		if m.isNull() {
			m.errorf("%q has no value", m.name)
			continue
		}
		take(m)
	}
	return ok
}

// list returns the items of a list. For any other value, it returns that value as the only item.
func (v value) list() []value {
	n, isList := v.node.(*ast.SequenceNode)
	if !isList {
		return []value{v}
	}
	var all []value
	for _, item := range n.Values {
		if one, ok := v.doc.value(item, 1); ok {
			all = append(all, one)
		}
	}
	return all
}

// kind returns the kind of the value with its article, for errors.
func (v value) kind() string {
	switch v.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "an object"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "an empty value"
	case *ast.BoolNode:
		return "a boolean"
	case *ast.IntegerNode, *ast.FloatNode:
		return "a number"
	}
	return "text"
}

// raw returns a scalar as text, without replacing variables. It returns false for other values.
func (v value) raw() (string, bool) {
	switch n := v.node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// text returns a scalar as text, with the environment's variables replaced. ${AWS::…} is an error: only CloudFormation
// knows its value. what names the value in an error.
func (v value) text(what string) (string, bool) {
	text, ok := v.textForCloudFormation(what)
	if ok && v.doc.defined && strings.Contains(text, "${AWS::") {
		v.errorf("%s is %q, but only CloudFormation replaces ${AWS::…}: it may be used in task definitions, task.image and policies; "+
			"use a variable of the environment here", what, text)
		return "", false
	}
	return text, ok
}

// textForCloudFormation returns a scalar as text, with the environment's variables replaced and ${AWS::…} unchanged.
func (v value) textForCloudFormation(what string) (string, bool) {
	text, ok := v.raw()
	if !ok {
		v.errorf("%s must be text, not %s", what, v.kind())
		return "", false
	}
	return v.replace(text)
}

var variableForm = regexp.MustCompile(`\$\{([^}]*)\}`)

// replace replaces the environment's variables in a text. It leaves ${AWS::…} unchanged.
func (v value) replace(text string) (string, bool) {
	ok := true
	if !v.doc.defined {
		return text, true
	}
	return variableForm.ReplaceAllStringFunc(text, func(match string) string {
		name := match[2 : len(match)-1]
		if strings.HasPrefix(name, "AWS::") {
			return match
		}
		replacement, known := v.doc.variables[name]
		if !known {
			names := []string{}
			for n := range v.doc.variables {
				names = append(names, n)
			}
			v.errorf("the environment has no variable ${%s}; %s", name, hint("variables", name, names))
			ok = false
		}
		return replacement
	}), ok
}

// word reads a text that must be one of a few words.
func (v value) word(what string, words ...string) (string, bool) {
	text, ok := v.text(what)
	if !ok {
		return "", false
	}
	for _, w := range words {
		if w == text {
			return text, true
		}
	}
	v.errorf("%s is %q; %s", what, text, wordHint(text, words))
	return "", false
}

// integer reads a whole number in a range.
func (v value) integer(what string, from, to int) (int, bool) {
	text, ok := v.text(what)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < from || n > to {
		v.errorf("%s is %q; expected a whole number from %d to %d", what, text, from, to)
		return 0, false
	}
	return n, true
}

// boolean reads true or false. It returns false after an error.
func (v value) boolean(what string) bool {
	text, _ := v.word(what, "true", "false")
	return text == "true"
}

// decoded returns the value in the form of json.Unmarshal, with variables replaced. Patterns and task definitions use
// it. depth is the depth of the value in the pattern or definition.
func (v value) decoded(depth int) (any, bool) {
	if depth > maxDepth {
		v.errorf("the value is nested more than %d levels deep", maxDepth)
		return nil, false
	}
	switch n := v.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		out := map[string]any{}
		all, ok := v.members("a pattern")
		for _, m := range all {
			inner, good := m.decoded(depth + 1)
			out[m.name], ok = inner, ok && good
		}
		return out, ok
	case *ast.SequenceNode:
		out, ok := []any{}, true
		for _, item := range v.list() {
			inner, good := item.decoded(depth + 1)
			out, ok = append(out, inner), ok && good
		}
		return out, ok
	case *ast.NullNode:
		return nil, true
	case *ast.BoolNode:
		return n.Value, true
	case *ast.IntegerNode:
		return n.Value, true
	case *ast.FloatNode:
		return n.Value, true
	}
	return v.text("a pattern's value")
}
