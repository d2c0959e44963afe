package yamldoc

import (
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Value is a value of a document together with its position.
type Value struct {
	doc  *Document
	node ast.Node
	at   position
}

// Errorf reports an error at the position of the value. The message states the cause and then the correct form.
func (v Value) Errorf(format string, args ...any) { v.doc.problem(v.at, false, format, args...) }

// Warnf reports a warning at the position of the value.
func (v Value) Warnf(format string, args ...any) { v.doc.problem(v.at, true, format, args...) }

// value returns the value of a node. It records anchors, and replaces an alias by the value of its anchor.
func (d *Document) value(node ast.Node, depth int) (Value, bool) {
	v := Value{doc: d, node: node, at: positionOf(node)}
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
			v.Errorf("there is no anchor &%s above this alias", n.Value.String())
			return v, false
		}
		aliased, ok := d.value(target, depth+1)
		aliased.at = v.at
		return aliased, ok
	case *ast.TagNode:
		v.Errorf("the YAML tag %s is not allowed: remove it", n.Start.Value)
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

// Member is a field of an object.
type Member struct {
	Name  string
	Key   Value // the name itself: a problem with the name is reported here
	Value       // the field's value
}

// isNull reports whether the value is null or missing, as after "name:".
func (v Value) isNull() bool {
	_, null := v.node.(*ast.NullNode)
	return null
}

// IsObject reports whether the value is a YAML mapping.
func (v Value) IsObject() bool {
	switch v.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

// IsList reports whether the value is a YAML sequence.
func (v Value) IsList() bool {
	_, list := v.node.(*ast.SequenceNode)
	return list
}

// Members returns the fields of an object in the order of the file. A field that is set twice is an error. what names
// the value in an error.
func (v Value) Members(what string) ([]Member, bool) {
	var pairs []*ast.MappingValueNode
	switch n := v.node.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		v.Errorf("%s must be an object (name: value), not %s", what, v.Kind())
		return nil, false
	}
	var all []Member
	seen := map[string]bool{}
	for _, pair := range pairs {
		key := Value{doc: v.doc, node: pair.Key, at: positionOf(pair.Key)}
		inner, ok := v.doc.value(pair.Value, 1)
		if !ok {
			continue
		}
		if _, merge := pair.Key.(*ast.MergeKeyNode); merge {
			merged, _ := inner.Members("the value of <<")
			for _, m := range merged {
				if !seen[m.Name] {
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
			key.Errorf("%q is set twice", name)
			continue
		}
		seen[name] = true
		all = append(all, Member{name, key, inner})
	}
	return all, true
}

// Readers holds a reader for each field that an object may have, by the field's name.
type Readers map[string]func(Member)

// Fields reads an object with known fields, and calls the reader of each field that the object has. An unknown field and
// a field without a value are errors. Fields returns false if the value is not an object. what names the value in an
// error.
func (v Value) Fields(what string, known Readers) bool {
	all, ok := v.Members(what)
	for _, m := range all {
		take, isKnown := known[m.Name]
		if !isKnown {
			m.Key.Errorf("%s has no field %q; %s", what, m.Name, Hint("fields", m.Name, slices.Collect(maps.Keys(known))))
			continue
		}
		if m.isNull() {
			m.Errorf("%q has no value", m.Name)
			continue
		}
		take(m)
	}
	return ok
}

// List returns the items of a list. For any other value, it returns that value as the only item.
func (v Value) List() []Value {
	n, isList := v.node.(*ast.SequenceNode)
	if !isList {
		return []Value{v}
	}
	var all []Value
	for _, item := range n.Values {
		if one, ok := v.doc.value(item, 1); ok {
			all = append(all, one)
		}
	}
	return all
}

// Kind returns the kind of the value with its article, for errors.
func (v Value) Kind() string {
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

// Decode returns the value in the form of json.Unmarshal, but with whole numbers as integers, and with variables
// replaced. what names the value in an error.
func (v Value) Decode(what string) (any, bool) { return v.decode(what, 0) }

// decode decodes a value that is depth levels below the value of Decode.
func (v Value) decode(what string, depth int) (any, bool) {
	if depth > maxDepth {
		v.Errorf("the value is nested more than %d levels deep", maxDepth)
		return nil, false
	}
	switch n := v.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		out := map[string]any{}
		all, ok := v.Members(what)
		for _, m := range all {
			inner, good := m.decode(what, depth+1)
			out[m.Name], ok = inner, ok && good
		}
		return out, ok
	case *ast.SequenceNode:
		out, ok := []any{}, true
		for _, item := range v.List() {
			inner, good := item.decode(what, depth+1)
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
	return v.Text(what + "'s value")
}
