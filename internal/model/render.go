package model

import (
	"fmt"
	"strings"
)

// Rendered is the task of one run, with the values of all inputs filled in. The run's Spec keeps it, so a later deploy
// does not change a run that was accepted.
type Rendered struct {
	Family      string            `json:"family"`           // see Task.Family
	Container   string            `json:"container"`        // name of the container that runs the model
	CPU         int               `json:"cpu,omitempty"`    // override in CPU units; 0 keeps the definition's value
	Memory      int               `json:"memory,omitempty"` // override in MiB; 0 keeps the definition's value
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

// Render fills bound inputs into the model's command, environment and outputs, and returns the task of a run. files
// holds the S3 URI of each input that the task gets as a file. Besides the declared environment, the task gets
// MODEL_NAME, RUN_ID, INPUT_… for each input and OUTPUT_… for each output.
//
// Render leaves out an argument or a variable that mentions an unset optional input. It returns an error if an output
// mentions one, or if the URI of an output is not an S3 URI.
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
		if _, err := ParseObjectURI(v.Text); err != nil {
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

// Lookup returns a function for Template.Expand that looks up bound inputs. A date is text in the format of its input,
// unless the placeholder has its own format.
func (m Model) Lookup(inputs Inputs) func(Placeholder) (Value, bool) { return m.lookup(inputs, nil) }

// lookup is Lookup with the S3 URIs of the inputs that the task gets as files.
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

// EnvironmentName returns the name of the environment variable for an input (prefix INPUT) or an output (prefix
// OUTPUT): INPUT_SALES_REGION for the input sales-region.
func EnvironmentName(prefix, name string) string {
	return prefix + "_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// IsReserved reports whether each run has an environment variable of this name that modeldispatch sets itself.
func IsReserved(name string) bool {
	switch name {
	case "MODEL_NAME", "RUN_ID", "RUN_ATTEMPT":
		return true
	}
	return strings.HasPrefix(name, "INPUT_") || strings.HasPrefix(name, "OUTPUT_")
}

// tags returns the model's tags for its tasks, together with model and owner.
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
