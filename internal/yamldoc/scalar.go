package yamldoc

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Raw returns a scalar as text, without replacing variables. It returns false for other values.
func (v Value) Raw() (string, bool) {
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

// Text returns a scalar as text, with the environment's variables replaced. ${AWS::…} is an error: only CloudFormation
// knows its value. what names the value in an error.
func (v Value) Text(what string) (string, bool) {
	text, ok := v.TextForCloudFormation(what)
	if ok && v.doc.Variables != nil && strings.Contains(text, "${AWS::") {
		v.Errorf("%s is %q, but only CloudFormation replaces ${AWS::…}: it may be used in task definitions, task.image and policies; "+
			"use a variable of the environment here", what, text)
		return "", false
	}
	return text, ok
}

// TextForCloudFormation returns a scalar as text, with the environment's variables replaced and ${AWS::…} unchanged.
func (v Value) TextForCloudFormation(what string) (string, bool) {
	text, ok := v.Raw()
	if !ok {
		v.Errorf("%s must be text, not %s", what, v.Kind())
		return "", false
	}
	return v.replace(text)
}

var variableForm = regexp.MustCompile(`\$\{([^}]*)\}`)

// replace replaces the environment's variables in a text. It leaves ${AWS::…} unchanged.
func (v Value) replace(text string) (string, bool) {
	ok := true
	if v.doc.Variables == nil {
		return text, true
	}
	return variableForm.ReplaceAllStringFunc(text, func(match string) string {
		name := match[2 : len(match)-1]
		if strings.HasPrefix(name, "AWS::") {
			return match
		}
		replacement, known := v.doc.Variables[name]
		if !known {
			v.Errorf("the environment has no variable ${%s}; %s", name, Hint("variables", name, slices.Collect(maps.Keys(v.doc.Variables))))
			ok = false
		}
		return replacement
	}), ok
}

// Word reads a text that must be one of a few words.
func (v Value) Word(what string, words ...string) (string, bool) {
	text, ok := v.Text(what)
	if !ok {
		return "", false
	}
	if slices.Contains(words, text) {
		return text, true
	}
	v.Errorf("%s is %q; %s", what, text, wordHint(text, words))
	return "", false
}

// Integer reads a whole number in a range.
func (v Value) Integer(what string, from, to int) (int, bool) {
	text, ok := v.Text(what)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < from || n > to {
		v.Errorf("%s is %q; expected a whole number from %d to %d", what, text, from, to)
		return 0, false
	}
	return n, true
}

// Boolean reads true or false. It returns false after an error.
func (v Value) Boolean(what string) bool {
	text, _ := v.Word(what, "true", "false")
	return text == "true"
}
