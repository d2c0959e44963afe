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

// FromDefault is the origin in Binding.From of an input whose value is its default.
const FromDefault = "its default"

// binder binds the inputs of one run.
type binder struct {
	model       model.Model
	trigger     model.Trigger
	event       event.Event
	captures    map[string]string
	combination model.Combination
}

// bind returns the canonical text of each input and the origin of its value. Its error names every input that is wrong.
func (b binder) bind() (model.Inputs, map[string]string, error) {
	inputs, from := model.Inputs{}, map[string]string{}
	var failed []string
	for _, in := range b.model.Inputs {
		v, source, found := b.find(in, inputs)
		if !found {
			if !in.Optional {
				failed = append(failed, fmt.Sprintf("%s: %s", in.Name, b.unbound(in, inputs)))
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

// find returns the value of an input and the origin of the value. It takes the first that exists: the for-each value,
// the value that the trigger assigns, the capture of the same name, the field of the same name, the default.
func (b binder) find(in model.Input, bound model.Inputs) (model.Value, string, bool) {
	if text, set := b.combination[in.Name]; set {
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
	return defaultOf(b.model, in, bound)
}

// defaultOf returns the default of an input, which may use the inputs above it. It reports false if the input has no
// default, or if the default uses an input that is not set.
func defaultOf(m model.Model, in model.Input, bound model.Inputs) (model.Value, string, bool) {
	if in.Default == nil {
		return model.Value{}, "", false
	}
	v, absent := in.Default.Expand(m.Lookup(bound))
	return v, FromDefault, absent == ""
}

// lacksDefault returns why defaultOf finds no value, as the end of a sentence about the input.
func lacksDefault(m model.Model, in model.Input, bound model.Inputs) string {
	if in.Default == nil {
		return "has no default"
	}
	_, absent := in.Default.Expand(m.Lookup(bound))
	return fmt.Sprintf("has a default that uses {%s}, which has no value", absent)
}

// assigned returns the value that the trigger's `inputs` map assigns to an input.
func (b binder) assigned(name string) (model.Value, string, bool) {
	i := slices.IndexFunc(b.trigger.Inputs, func(a model.Assignment) bool { return a.Input == name })
	if i < 0 {
		return model.Value{}, "", false
	}
	template := b.trigger.Inputs[i].Value
	v, absent := template.Expand(b.lookup)
	return v, template.String(), absent == ""
}

// lookup returns the value of a placeholder in the trigger's `inputs` map.
func (b binder) lookup(p model.Placeholder) (model.Value, bool) {
	if text, captured := b.captures[p.Name]; captured {
		return model.Text(text), true
	}
	if text, set := b.combination[p.Name]; set {
		return model.Text(text), true
	}
	return b.event.Value(p, b.trigger.Location())
}

// unbound returns why an input has no value.
func (b binder) unbound(in model.Input, bound model.Inputs) string {
	lacks := lacksDefault(b.model, in, bound)
	i := slices.IndexFunc(b.trigger.Inputs, func(a model.Assignment) bool { return a.Input == in.Name })
	var absent string
	switch {
	case i >= 0:
		_, absent = b.trigger.Inputs[i].Value.Expand(b.lookup)
	case b.trigger.Fields != "":
		absent = b.trigger.Fields + "." + in.Name
	default:
		return fmt.Sprintf("trigger %q does not bind it, and it %s", b.trigger.Name, lacks)
	}
	if b.event.NoFieldsReason != "" && strings.HasPrefix(absent, event.BodyField+".") {
		return b.event.NoFieldsReason + ", and the input " + lacks
	}
	return fmt.Sprintf("the event has no %s, and the input %s", absent, lacks)
}

// Bind binds the inputs of a manual run. It returns the canonical text of each input and the origin of its value.
// Its error names every input that is unknown, missing or invalid.
func (t *Table) Bind(m model.Model, given map[string]string) (model.Inputs, map[string]string, error) {
	inputs, from := model.Inputs{}, map[string]string{}
	var failed []string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, declared := m.Input(name); !declared {
			failed = append(failed, fmt.Sprintf("there is no input %q; %s", name, listInputs(m)))
		}
	}
	for _, in := range m.Inputs {
		text, set := given[in.Name]
		v, source := model.Text(text), "the command line"
		if !set {
			if v, source, set = defaultOf(m, in, inputs); !set {
				if !in.Optional {
					failed = append(failed, fmt.Sprintf("%s: it is not given, and %s", in.Name, lacksDefault(m, in, inputs)))
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

// listInputs returns a sentence that lists the inputs of a model.
func listInputs(m model.Model) string {
	var all []string
	for _, in := range m.Inputs {
		all = append(all, in.Name)
	}
	if len(all) == 0 {
		return "the model has no inputs"
	}
	return "the inputs are " + strings.Join(all, ", ")
}
