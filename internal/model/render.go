package model

import (
	"fmt"
	"strings"
)

// Rendered is the task of one run: what its model asks for, with all inputs in place. It is kept
// with the run, so that a later deploy changes nothing of what was accepted.
type Rendered struct {
	Family      string            `json:"family"`
	Container   string            `json:"container"`
	CPU         int               `json:"cpu,omitempty"`
	Memory      int               `json:"memory,omitempty"`
	Command     []string          `json:"command,omitempty"`
	Environment []EnvironmentPair `json:"environment,omitempty"`
	Outputs     []Object          `json:"outputs,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// EnvironmentPair is one variable of a container's environment.
type EnvironmentPair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Object is a named S3 object.
type Object struct {
	Name string `json:"name"`
	URI  string `json:"uri"`
}

// Render puts bound inputs into the model's command, environment and outputs. files holds the S3
// URI of each input that is given as a file. An argument or variable that mentions an unset
// optional input is left out; an output that does is an error, since it could not be looked for.
func (m Model) Render(run string, inputs Inputs, files map[string]string) (Rendered, error) {
	lookup := m.lookup(inputs, files)
	r := Rendered{
		Family: m.Task.Family, Container: m.Task.Container, CPU: m.Task.CPU, Memory: m.Task.Memory, Tags: m.tags(),
		Environment: []EnvironmentPair{{"MODEL_NAME", m.Name}, {"RUN_ID", run}},
	}
	for _, argument := range m.Command {
		if v, absent := argument.Expand(lookup); absent == "" {
			r.Command = append(r.Command, v.Text)
		}
	}
	for _, in := range m.Inputs {
		if v, set := lookup(Placeholder{Name: in.Name}); set {
			r.Environment = append(r.Environment, EnvironmentPair{EnvironmentName("INPUT", in.Name), v.Text})
		}
	}
	for _, out := range m.Outputs {
		v, absent := out.URI.Expand(lookup)
		if absent != "" {
			return Rendered{}, fmt.Errorf("output %q needs input %q, which is not set", out.Name, absent)
		}
		if _, _, err := SplitS3(v.Text); err != nil {
			return Rendered{}, fmt.Errorf("output %q: %w", out.Name, err)
		}
		r.Outputs = append(r.Outputs, Object{out.Name, v.Text})
		r.Environment = append(r.Environment, EnvironmentPair{EnvironmentName("OUTPUT", out.Name), v.Text})
	}
	for _, variable := range m.Environment {
		if v, absent := variable.Value.Expand(lookup); absent == "" {
			r.Environment = append(r.Environment, EnvironmentPair{variable.Name, v.Text})
		}
	}
	return r, nil
}

// Lookup gives the model's bound inputs to templates, each in its own format.
func (m Model) Lookup(inputs Inputs) func(Placeholder) (Value, bool) { return m.lookup(inputs, nil) }

func (m Model) lookup(inputs Inputs, files map[string]string) func(Placeholder) (Value, bool) {
	return func(p Placeholder) (Value, bool) {
		in, declared := m.Input(p.Name)
		canonical, set := inputs[p.Name]
		switch uri, file := files[p.Name]; {
		case !declared || !set:
			return Value{}, false
		case file:
			return Value{S3URI, uri}, true
		case p.Format != "" || in.Format == "":
			return Value{in.Type, canonical}, true
		default:
			return Text(in.Text(canonical)), true
		}
	}
}

// EnvironmentName is the variable in which a container finds an input or output.
func EnvironmentName(prefix, name string) string {
	return prefix + "_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

func (m Model) tags() map[string]string {
	tags := make(map[string]string, len(m.Tags)+2)
	for k, v := range m.Tags {
		tags[k] = v
	}
	tags["model"] = m.Name
	if m.Owner != "" {
		tags["owner"] = m.Owner
	}
	return tags
}
