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
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// The bounds of one file: a project is written by people.
const (
	maxFile  = 1 << 20
	maxDepth = 40
	maxNodes = 20_000 // aliases count each time that they are used
)

// document is one file that is being read: YAML, or JSON, which is YAML too.
type document struct {
	*report
	file      string // relative
	model     string
	json      bool
	least     string // what is expected of it at least
	variables map[string]string
	defined   bool // variables are known: ${NAME} is replaced
	anchors   map[string]ast.Node
	nodes     int
}

// value is a place in a document.
type value struct {
	doc  *document
	node ast.Node
	at   position
}

type position struct{ line, column int }

func (d *document) problem(at position, warning bool, format string, args ...any) {
	d.all = append(d.all, Problem{File: d.file, Line: at.line, Column: at.column, Model: d.model, Message: fmt.Sprintf(format, args...), Warning: warning})
}

// errorf says what is wrong at this place, and what would be right.
func (v value) errorf(format string, args ...any) { v.doc.problem(v.at, false, format, args...) }

func (v value) warnf(format string, args ...any) { v.doc.problem(v.at, true, format, args...) }

// read reads the file. One that cannot be read has its problem, and no value.
func (d *document) read(folder string) (value, bool) {
	text, err := os.ReadFile(filepath.Join(folder, d.file))
	if err != nil {
		d.problem(position{}, false, "it cannot be read: %v", errors.Unwrap(err))
		return value{}, false
	}
	return d.parse(text)
}

func (d *document) parse(text []byte) (value, bool) {
	text = bytes.TrimPrefix(text, []byte("\uFEFF")) // with which some editors begin a file
	if len(text) > maxFile {
		d.problem(position{}, false, "it has %d bytes, and at most %d are read", len(text), maxFile)
		return value{}, false
	}
	if i := invalidUTF8(text); i >= 0 {
		d.problem(placeOf(text, i), false, "it is not UTF-8: the byte %#x is none of its characters; save it as UTF-8", text[i])
		return value{}, false
	}
	if len(bytes.TrimSpace(text)) == 0 {
		d.problem(position{1, 1}, false, "it is empty; %s expected", d.least)
		return value{}, false
	}
	if d.json {
		var whole json.RawMessage
		if err := json.Unmarshal(text, &whole); err != nil {
			d.problem(jsonPosition(text, err), false, "it is not JSON: %v", err)
			return value{}, false
		}
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		d.problem(yamlPosition(err), false, "it is not YAML: %s", yamlMessage(err))
		return value{}, false
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		d.problem(position{1, 1}, false, "it is empty; %s expected", d.least)
		return value{}, false
	}
	if len(file.Docs) > 1 {
		d.problem(position{1, 1}, false, "it has %d YAML documents, and one is expected", len(file.Docs))
		return value{}, false
	}
	d.anchors = map[string]ast.Node{}
	return d.value(file.Docs[0].Body, 0)
}

// invalidUTF8 is where text is not UTF-8; -1 where it is all of it.
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

// placeOf is the line and column of a byte.
func placeOf(text []byte, i int) position {
	before := text[:i]
	return position{1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])}
}

func jsonPosition(text []byte, err error) position {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return position{1, 1}
	}
	return placeOf(text, max(int(syntax.Offset)-1, 0))
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

// value makes a value of a node: anchors are noted and aliases followed.
func (d *document) value(node ast.Node, depth int) (value, bool) {
	v := value{doc: d, node: node, at: positionOf(node)}
	if d.nodes++; d.nodes > maxNodes || depth > maxDepth {
		d.problem(v.at, false, "it is nested or repeated too often: at most %d values, %d deep", maxNodes, maxDepth)
		return v, false
	}
	switch n := node.(type) {
	case *ast.AnchorNode:
		d.anchors[n.Name.String()] = n.Value
		return d.value(n.Value, depth+1)
	case *ast.AliasNode:
		target, known := d.anchors[n.Value.String()]
		if !known {
			v.errorf("there is no anchor &%s above", n.Value.String())
			return v, false
		}
		followed, ok := d.value(target, depth+1)
		followed.at = v.at
		return followed, ok
	case *ast.TagNode:
		v.errorf("the YAML tag %s is not allowed", n.Start.Value)
		return v, false
	}
	return v, true
}

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
	name string
	key  position
	value
}

// isNull says that nothing is written here.
func (v value) isNull() bool {
	_, null := v.node.(*ast.NullNode)
	return null
}

func (v value) isObject() bool {
	switch v.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

func (v value) isList() bool {
	_, list := v.node.(*ast.SequenceNode)
	return list
}

// members are the fields of an object, in their order. Twice the same field is an error.
func (v value) members(what string) ([]member, bool) {
	var pairs []*ast.MappingValueNode
	switch n := v.node.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		v.errorf("%s is %s, and an object (name: value) is expected", what, v.kind())
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
			merged, _ := inner.members("what is merged")
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
			v.doc.problem(at, false, "%q is there twice", name)
			continue
		}
		seen[name] = true
		all = append(all, member{name, at, inner})
	}
	return all, true
}

// fields reads an object with known fields: each is given to its reader. Unknown ones are errors.
func (v value) fields(what string, known map[string]func(member)) bool {
	all, ok := v.members(what)
	for _, m := range all {
		take, isKnown := known[m.name]
		if !isKnown {
			names := make([]string, 0, len(known))
			for name := range known {
				names = append(names, name)
			}
			v.doc.problem(m.key, false, "%s has no field %q; %s", what, m.name, meant(m.name, names))
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

// list are the items of a list; one value that is no list is a list of itself.
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

// kind is what is written here, for errors.
func (v value) kind() string {
	switch v.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "an object"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "empty"
	case *ast.BoolNode:
		return "a boolean"
	case *ast.IntegerNode, *ast.FloatNode:
		return "a number"
	}
	return "text"
}

// raw is a scalar as it is written, without its variables replaced.
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

// text is a scalar as text, with the environment's variables in place. What AWS calls things is known to CloudFormation
// only, and neither to the functions nor here.
func (v value) text(what string) (string, bool) {
	text, ok := v.passed(what)
	if ok && v.doc.defined && strings.Contains(text, "${AWS::") {
		v.errorf("%s is %q, and ${AWS::…} is for CloudFormation: it can be in task definitions, task.image and policies; here use a variable of the environment", what, text)
		return "", false
	}
	return text, ok
}

// passed is a scalar as text, in which ${AWS::…} is left to CloudFormation.
func (v value) passed(what string) (string, bool) {
	text, ok := v.raw()
	if !ok {
		v.errorf("%s is %s, and text is expected", what, v.kind())
		return "", false
	}
	return v.replace(text)
}

var variableForm = regexp.MustCompile(`\$\{([^}]*)\}`)

// replace puts the environment's variables in place. ${AWS::…} is no variable of ours.
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
			v.errorf("the environment has no variable ${%s}; %s", name, meant(name, names))
			ok = false
		}
		return replacement
	}), ok
}

// word is text that is one of a few words.
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
	v.errorf("%s is %q; %s", what, text, meant(text, words))
	return "", false
}

// integer is a whole number of a range.
func (v value) integer(what string, from, to int) (int, bool) {
	text, ok := v.text(what)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < from || n > to {
		v.errorf("%s is %q, and a whole number from %d to %d is expected", what, text, from, to)
		return 0, false
	}
	return n, true
}

func (v value) boolean(what string) bool {
	text, _ := v.word(what, "true", "false")
	return text == "true"
}

var durationForm = regexp.MustCompile(`^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$`)

// duration is a positive duration: 45m, 2h30m, 1d, 30s.
func (v value) duration(what string) (time.Duration, bool) {
	text, ok := v.text(what)
	if !ok {
		return 0, false
	}
	d, err := parseDuration(text)
	if err != nil {
		v.errorf("%s is %q, and a duration as 30s, 45m, 2h30m or 1d is expected", what, text)
	}
	return d, err == nil
}

var errDuration = errors.New("not a duration")

func parseDuration(text string) (time.Duration, error) {
	m := durationForm.FindStringSubmatch(text)
	if m == nil || text == "" {
		return 0, errDuration
	}
	days := 0
	if m[1] != "" {
		var err error
		if days, err = strconv.Atoi(strings.TrimSuffix(m[1], "d")); err != nil || days > 3650 {
			return 0, errDuration
		}
	}
	rest := time.Duration(0)
	if tail := strings.TrimPrefix(text, m[1]); tail != "" {
		var err error
		if rest, err = time.ParseDuration(tail); err != nil {
			return 0, err
		}
	}
	d := time.Duration(days)*24*time.Hour + rest
	if d <= 0 {
		return 0, errDuration
	}
	return d, nil
}

// decoded is a YAML value as JSON would have it, for patterns.
func (v value) decoded(depth int) (any, bool) {
	if depth > maxDepth {
		v.errorf("it is nested too deeply")
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
