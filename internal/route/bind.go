package route

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
)

// Default is where an input came from that nothing else gave a value.
const Default = "its default"

// binder binds the inputs of one run.
type binder struct {
	model    model.Model
	trigger  model.Trigger
	event    event.Event
	captures map[string]string
	each     values
}

// bind binds the model's inputs in their order. Its error names every input that is wrong.
func (b binder) bind() (model.Inputs, map[string]string, error) {
	inputs, from := model.Inputs{}, map[string]string{}
	var failed []string
	for _, in := range b.model.Inputs {
		v, source, found := b.find(in, inputs)
		if !found {
			if !in.Optional {
				failed = append(failed, fmt.Sprintf("%s: %s", in.Name, b.unbound(in)))
			}
			continue
		}
		text, err := in.Parse(v)
		if err != nil {
			failed = append(failed, fmt.Sprintf("%s: %v", in.Name, err))
			continue
		}
		inputs[in.Name], from[in.Name] = text, source
	}
	if len(failed) > 0 {
		return nil, nil, errors.New(strings.Join(failed, "; "))
	}
	return inputs, from, nil
}

// find looks for an input's value: for-each, what the trigger assigns, a capture or field of its
// name, its default. It says where the value came from.
func (b binder) find(in model.Input, bound model.Inputs) (model.Value, string, bool) {
	if text, set := b.each[in.Name]; set {
		return model.Text(text), "for-each", true
	}
	if v, source, found := b.assigned(in.Name); found {
		return v, source, true
	}
	if text, captured := b.captures[in.Name]; captured {
		return model.Text(text), "the key", true
	}
	if b.trigger.Fields != "" {
		name := b.trigger.Fields + "." + in.Name
		if v, found := b.event.Value(model.Placeholder{Name: name}, b.trigger.Location()); found {
			return v, name, true
		}
	}
	return defaulted(b.model, in, bound)
}

// defaulted gives an input's default, which may mention the inputs above it.
func defaulted(m model.Model, in model.Input, bound model.Inputs) (model.Value, string, bool) {
	if in.Default == nil {
		return model.Value{}, "", false
	}
	v, absent := in.Default.Expand(m.Lookup(bound))
	return v, Default, absent == ""
}

// assigned gives what the trigger's `inputs` map assigns to an input.
func (b binder) assigned(name string) (model.Value, string, bool) {
	i := slices.IndexFunc(b.trigger.Inputs, func(a model.Assignment) bool { return a.Input == name })
	if i < 0 {
		return model.Value{}, "", false
	}
	template := b.trigger.Inputs[i].Value
	v, absent := template.Expand(b.lookup)
	return v, template.String(), absent == ""
}

func (b binder) lookup(p model.Placeholder) (model.Value, bool) {
	if text, captured := b.captures[p.Name]; captured {
		return model.Text(text), true
	}
	if text, set := b.each[p.Name]; set {
		return model.Text(text), true
	}
	return b.event.Value(p, b.trigger.Location())
}

// unbound says why an input has no value, and what would give it one.
func (b binder) unbound(in model.Input) string {
	i := slices.IndexFunc(b.trigger.Inputs, func(a model.Assignment) bool { return a.Input == in.Name })
	var absent string
	switch {
	case i >= 0:
		_, absent = b.trigger.Inputs[i].Value.Expand(b.lookup)
	case b.trigger.Fields != "":
		absent = b.trigger.Fields + "." + in.Name
	default:
		return fmt.Sprintf("trigger %q does not bind it, and it has no default", b.trigger.Name)
	}
	if b.event.Fieldless != "" && strings.HasPrefix(absent, "body.") {
		return b.event.Fieldless + ", and the input has no default"
	}
	return fmt.Sprintf("the event has no %s, and the input has no default", absent)
}

// Bind binds inputs that are given by hand. Its error names everything that is wrong.
func (t *Table) Bind(m model.Model, given map[string]string) (model.Inputs, map[string]string, error) {
	inputs, from := model.Inputs{}, map[string]string{}
	var failed []string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, declared := m.Input(name); !declared {
			failed = append(failed, fmt.Sprintf("there is no input %q; there are %s", name, names(m)))
		}
	}
	for _, in := range m.Inputs {
		text, set := given[in.Name]
		v, source := model.Text(text), "given by hand"
		if !set {
			if v, source, set = defaulted(m, in, inputs); !set {
				if !in.Optional {
					failed = append(failed, fmt.Sprintf("%s: it is not given, and has no default", in.Name))
				}
				continue
			}
		}
		canonical, err := in.Parse(v)
		if err != nil {
			failed = append(failed, fmt.Sprintf("%s: %v", in.Name, err))
			continue
		}
		inputs[in.Name], from[in.Name] = canonical, source
	}
	if len(failed) > 0 {
		return nil, nil, errors.New(strings.Join(failed, "; "))
	}
	return inputs, from, nil
}

func names(m model.Model) string {
	var all []string
	for _, in := range m.Inputs {
		all = append(all, in.Name)
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

// values are the for-each values of one run.
type values map[string]string

// key is the values as text, in the order of their names.
func (v values) key() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(v)) {
		all = append(all, name+"="+v[name])
	}
	return strings.Join(all, ",")
}

// combinations are all combinations of the axes' values; one empty one without axes.
func combinations(axes []model.Axis) []values {
	all := []values{{}}
	for _, axis := range axes {
		var next []values
		for _, base := range all {
			for _, value := range axis.Values {
				one := maps.Clone(base)
				one[axis.Input] = value
				next = append(next, one)
			}
		}
		all = next
	}
	return all
}
