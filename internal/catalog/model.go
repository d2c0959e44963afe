package catalog

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
	"modeldispatch/internal/yamldoc"
)

// draft holds a model while its model.yaml is read. Its methods report errors and continue, so one pass finds all
// errors.
type draft struct {
	file       *yamldoc.Document
	project    *project
	model      model.Model     // the result so far
	folder     string          // the model's folder, relative to dir
	dir        string          // the project's folder
	root       yamldoc.Value   // the whole file
	image      *yamldoc.Member // task.image
	definition *yamldoc.Member // task.definition
	maxMemory  *yamldoc.Member // retry.out-of-memory.max-memory
	local      []model.Template
	timezone   string                   // the model's own time zone; "" is UTC
	inputs     map[string]yamldoc.Value // the names of the inputs
	outputs    map[string]yamldoc.Member
	triggers   []yamldoc.Value
}

// readModel reads the file of the model with this name. dir is the project's folder, and file is relative to it.
func (p *project) readModel(dir, name, file string) {
	d := p.draft(dir, name, file)
	if root, ok := d.file.Read(dir); ok {
		d.build(root, name)
	}
}

func (p *project) draft(dir, name, file string) *draft {
	return &draft{
		file: &yamldoc.Document{
			Report: p.file.Report, File: filepath.ToSlash(file), Model: name, Variables: p.file.Variables,
			Minimum: fmt.Sprintf("name: %s and task: { definition: task-definition.json }", name),
		},
		project: p, folder: filepath.Dir(file), dir: dir, inputs: map[string]yamldoc.Value{}, outputs: map[string]yamldoc.Member{},
	}
}

// build reads the whole file, checks it, and adds the model to the project.
func (d *draft) build(root yamldoc.Value, name string) {
	d.root = root
	d.model.Dir = filepath.Join(d.dir, d.folder)
	d.model.Policy = model.Policy{Timeout: model.DefaultTimeout, Retry: model.Retry{Attempts: 1}}
	d.readFields(name)
	d.readTask()
	d.readTriggers()
	d.finish(name)
	d.project.models = append(d.project.models, d.model)
}

// readFields reads the fields of the file and the project's defaults. It reads inputs before the fields that refer to
// them. It only collects the task's definition and the triggers: readTask and readTriggers read those later.
func (d *draft) readFields(name string) {
	given := map[string]yamldoc.Member{}
	readers := yamldoc.Readers{}
	for _, field := range fields {
		readers[field] = func(m yamldoc.Member) { given[field] = m }
	}
	d.root.Fields("a model", readers)
	for _, m := range d.project.defaults {
		if !slices.Contains(defaultable, m.Name) {
			m.Key.Errorf("defaults cannot have %q; %s", m.Name, yamldoc.Hint("fields", m.Name, defaultable))
			continue
		}
		if _, own := given[m.Name]; !own {
			given[m.Name] = m
		}
	}
	if _, named := given["name"]; !named {
		d.root.Errorf("a model needs a name: write name: %s", name)
	}
	for _, field := range fields {
		if m, has := given[field]; has {
			d.readField(field, m, name)
		}
	}
}

// fields lists the fields of model.yaml in the order in which they are read.
var fields = []string{
	"name", "description", "owner", "tags", "timezone", "inputs", "outputs", "task", "command", "environment", "local",
	"timeout", "retry", "exit-codes", "concurrency", "debounce", "wait-for", "expect", "max-launches-per-hour", "triggers",
}

// defaultable lists the fields that modeldispatch.yaml may set for all models.
var defaultable = []string{
	"owner", "tags", "timezone", "timeout", "retry", "exit-codes", "concurrency", "debounce", "wait-for", "expect",
	"max-launches-per-hour",
}

func (d *draft) readField(field string, m yamldoc.Member, name string) {
	switch field {
	case "name":
		d.readName(m, name)
	case "description":
		d.model.Description, _ = m.Text(field)
	case "owner":
		d.model.Owner, _ = m.Text(field)
	case "tags":
		d.readTags(m)
	case "timezone":
		d.timezone = m.TimeZone("timezone")
	case "inputs":
		list, _ := m.Members("inputs")
		for _, one := range list {
			d.readInput(one)
		}
	case "outputs":
		list, _ := m.Members("outputs")
		for _, one := range list {
			d.readOutput(one)
		}
	case "task":
		d.readTaskFields(m)
	case "command":
		d.model.Command = d.templates(m, "command")
	case "environment":
		d.readEnvironment(m)
	case "local":
		m.Fields("local", yamldoc.Readers{"command": func(f yamldoc.Member) { d.local = d.templates(f, "local.command") }})
	case "triggers":
		d.triggers = m.List()
	default:
		d.readPolicy(field, m)
	}
}

func (d *draft) readName(m yamldoc.Member, folder string) {
	name, ok := m.Text("name")
	switch {
	case !ok:
	case !nameForm.MatchString(name):
		m.Errorf("%q is not a valid model name: %s", name, nameRule)
	case name != folder:
		m.Errorf("the name is %q, but the folder is %q: they must be equal", name, folder)
	}
	d.model.Name = folder
}

func (d *draft) readTags(m yamldoc.Member) {
	list, _ := m.Members("tags")
	d.model.Tags = map[string]string{}
	for _, one := range list {
		text, ok := one.Text("tag " + one.Name)
		if ok && (len(one.Name) > 128 || len(text) > 256 || strings.HasPrefix(strings.ToLower(one.Name), "aws:")) {
			one.Errorf("tag %q: a key may have at most 128 characters and must not start with aws:, and a value may have at most 256", one.Name)
		}
		d.model.Tags[one.Name] = text
	}
	if len(list) > 40 {
		m.Errorf("the model has %d tags; the maximum is 40, because ECS allows 50 and modeldispatch adds its own", len(list))
	}
}

var inputForm = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,39}$`)

const inputRule = "use at most 40 lowercase letters, digits, hyphens and underscores, starting with a letter"

func (d *draft) readInput(m yamldoc.Member) {
	in := model.Input{Name: m.Name, Type: model.String}
	if !inputForm.MatchString(m.Name) {
		m.Key.Errorf("%q is not a valid input name: %s", m.Name, inputRule)
	}
	var enum, format, fallback, file *yamldoc.Member
	ok := m.Fields(fmt.Sprintf("input %q", m.Name), yamldoc.Readers{
		"type": func(f yamldoc.Member) {
			words := []string{}
			for _, t := range model.Types() {
				words = append(words, string(t))
			}
			if word, ok := f.Word("type", words...); ok {
				in.Type = model.Type(word)
			}
		},
		"description": func(f yamldoc.Member) { in.Description, _ = f.Text("description") },
		"optional":    func(f yamldoc.Member) { in.Optional = f.Boolean("optional") },
		"enum":        func(f yamldoc.Member) { enum = &f },
		"format":      func(f yamldoc.Member) { format = &f },
		"default":     func(f yamldoc.Member) { fallback = &f },
		"as":          func(f yamldoc.Member) { file = &f },
	})
	if !ok {
		return
	}
	d.readFormat(&in, format)
	d.readEnum(&in, enum)
	if file != nil {
		_, in.AsFile = file.Word("as", "file")
	}
	d.readDefault(&in, fallback)
	d.inputs[m.Name] = m.Key
	d.model.Inputs = append(d.model.Inputs, in)
}

func (d *draft) readFormat(in *model.Input, m *yamldoc.Member) {
	if m == nil {
		return
	}
	text, ok := m.Text("format")
	if ok && in.Type != model.Date && in.Type != model.DateTime {
		m.Errorf("input %q has type %s, but only a date or datetime can have a format", in.Name, in.Type)
		return
	}
	if err := model.CheckFormat(text); err != nil {
		m.Errorf("%v", err)
		return
	}
	in.Format = text
}

func (d *draft) readEnum(in *model.Input, m *yamldoc.Member) {
	if m == nil {
		return
	}
	plain := *in
	for _, v := range m.List() {
		text, ok := v.Text("an enum value")
		if !ok {
			continue
		}
		canonical, err := plain.Parse(model.Text(text))
		if err != nil {
			v.Errorf("input %q: %v", in.Name, err)
			continue
		}
		if slices.Contains(in.Enum, canonical) {
			v.Errorf("input %q: enum lists %q twice", in.Name, text)
			continue
		}
		in.Enum = append(in.Enum, canonical)
	}
}

func (d *draft) readDefault(in *model.Input, m *yamldoc.Member) {
	if m == nil {
		return
	}
	in.Default = &model.Template{} // so that a default with an error does not also cause "input is not bound"
	t, ok := d.template(m.Value, "default")
	if !ok {
		return
	}
	for _, p := range t.Placeholders() {
		if _, above := d.model.Input(p.Name); !above {
			m.Errorf("the default of %q mentions {%s}, which is not an input above it; %s",
				in.Name, p.Name, yamldoc.Hint("inputs above it", p.Name, d.inputNames()))
			return
		}
	}
	if len(t.Placeholders()) == 0 {
		v, _ := t.Expand(nil)
		if _, err := in.Parse(v); err != nil {
			m.Errorf("the default of %q: %v", in.Name, err)
			return
		}
	}
	in.Default = &t
}

func (d *draft) inputNames() []string {
	var names []string
	for _, in := range d.model.Inputs {
		names = append(names, in.Name)
	}
	return names
}

func (d *draft) readOutput(m yamldoc.Member) {
	if !inputForm.MatchString(m.Name) {
		m.Key.Errorf("%q is not a valid output name: %s", m.Name, inputRule)
	}
	t, ok := d.template(m.Value, "an output")
	if !ok {
		return
	}
	if !strings.HasPrefix(t.String(), model.ObjectScheme) {
		m.Errorf("output %q is %q; expected an S3 URI of the form s3://bucket/key", m.Name, t)
	}
	checkBucket(m.Value, t.String())
	d.checkInputs(m.Value, t, true)
	d.model.Outputs, d.outputs[m.Name] = append(d.model.Outputs, model.Output{Name: m.Name, URI: t}), m
}

// template reads text with placeholders. It does not check that the placeholders exist.
func (d *draft) template(v yamldoc.Value, what string) (model.Template, bool) {
	text, ok := v.Text(what)
	if !ok {
		return model.Template{}, false
	}
	t, err := model.ParseTemplate(text)
	if err != nil {
		v.Errorf("%v", err)
		return model.Template{}, false
	}
	return t, true
}

// templates reads a command: a list of texts that may mention inputs.
func (d *draft) templates(m yamldoc.Member, what string) []model.Template {
	if !m.IsList() {
		m.Errorf("%s must be a list such as [program, argument], not %s", what, m.Kind())
		return nil
	}
	var all []model.Template
	for _, v := range m.List() {
		t, ok := d.template(v, "an argument of "+what)
		if !ok {
			continue
		}
		d.checkInputs(v, t, false)
		all = append(all, t)
	}
	return all
}

// checkInputs checks that a template mentions only inputs of the model. If complete is true, it must not mention an
// input that may be unset.
func (d *draft) checkInputs(v yamldoc.Value, t model.Template, complete bool) {
	for _, p := range t.Placeholders() {
		in, known := d.model.Input(p.Name)
		switch {
		case !known:
			v.Errorf("{%s} is not an input of the model; %s", p.Name, yamldoc.Hint("inputs", p.Name, d.inputNames()))
		case p.Format != "" && in.Type != model.Date && in.Type != model.DateTime:
			v.Errorf("{%s:%s} formats a date, but input %q has type %s", p.Name, p.Format, p.Name, in.Type)
		case complete && in.Optional && in.Default == nil:
			v.Errorf("{%s} may be unset: give input %q a default, or remove the placeholder here", p.Name, p.Name)
		}
	}
}

func (d *draft) readEnvironment(m yamldoc.Member) {
	list, _ := m.Members("environment")
	for _, one := range list {
		switch {
		case !variableNameForm.MatchString(one.Name):
			one.Key.Errorf("%q is not a valid variable name: %s", one.Name, variableNameRule)
		case model.IsReserved(one.Name):
			one.Key.Errorf("variable %s is set by modeldispatch: choose another name", one.Name)
		}
		t, ok := d.template(one.Value, "variable "+one.Name)
		if !ok {
			continue
		}
		d.checkInputs(one.Value, t, false)
		d.model.Environment = append(d.model.Environment, model.Variable{Name: one.Name, Value: t})
	}
}

// finish makes the checks that need all parts of the model.
func (d *draft) finish(name string) {
	if len(d.local) > 0 && d.project.options.Processes {
		d.model.Command = d.local
	}
	seen := map[string]string{}
	for _, in := range d.model.Inputs {
		d.checkVariable(seen, model.EnvironmentName("INPUT", in.Name), in.Name, d.inputs[in.Name])
	}
	d.checkLoop()
	rendered := model.Rendered{Container: d.model.Task.Container}
	for _, t := range d.model.Command {
		rendered.Command = append(rendered.Command, t.String())
	}
	for _, v := range d.model.Environment {
		rendered.Environment = append(rendered.Environment, model.EnvironmentPair{Name: v.Name, Value: v.Value.String()})
	}
	request := fargate.NewRequest(rendered, fargate.Launch{Deployment: d.project.deployment, Run: name, Attempt: 1})
	if err := request.Check(); err != nil {
		d.root.Errorf("command and environment do not fit into one RunTask call: %v", err)
	}
}

// checkVariable reports an input whose environment variable has the same name as another input's. seen holds the inputs
// by variable.
func (d *draft) checkVariable(seen map[string]string, variable, name string, at yamldoc.Value) {
	if other, twice := seen[variable]; twice {
		at.Errorf("inputs %q and %q would both set the variable %s: rename one of them", other, name, variable)
	}
	seen[variable] = name
}

// checkLoop reports a model that would start itself, because one of its outputs matches one of its own arrival
// patterns.
func (d *draft) checkLoop() {
	for _, t := range d.model.Triggers {
		for _, text := range t.Arrival {
			arrival, err := route.ParseArrival(text)
			if err != nil {
				continue // readArrival has reported it
			}
			for _, out := range d.model.Outputs {
				if uri, matches := d.matchingSample(arrival, out.URI); matches {
					d.outputs[out.Name].Errorf("output %q can be %s, which matches the model's own arrival %s: "+
						"the model would start itself forever; write the output elsewhere", out.Name, uri, text)
				}
			}
		}
	}
}

// matchingSample expands the URI of an output with sample inputs, and returns the first result that the arrival pattern
// matches.
func (d *draft) matchingSample(a route.Arrival, t model.Template) (string, bool) {
	for _, inputs := range d.sampleInputs() {
		uri, absent := t.Expand(d.model.Lookup(inputs))
		object, err := model.ParseObjectURI(uri.Text)
		if absent != "" || err != nil {
			continue
		}
		if _, matches := a.Match(object); matches {
			return uri.Text, true
		}
	}
	return "", false
}

// sampleInputs returns examples of the inputs of a run: a first one with a value of each input's type, and one more for
// each enum value of each input.
func (d *draft) sampleInputs() []model.Inputs {
	one := map[model.Type]string{
		model.Date: "2026-01-31", model.DateTime: "2026-01-31T00:00:00Z", model.Integer: "1", model.Number: "1", model.Boolean: "true",
	}
	first := model.Inputs{}
	for _, in := range d.model.Inputs {
		first[in.Name] = cmp.Or(one[in.Type], "x")
		if len(in.Enum) > 0 {
			first[in.Name] = in.Enum[0]
		}
	}
	all := []model.Inputs{first}
	for _, in := range d.model.Inputs {
		for _, value := range in.Enum {
			other := maps.Clone(first)
			other[in.Name] = value
			all = append(all, other)
		}
	}
	return all
}

// rawJSON returns the JSON of a value, or nil if it has none.
func rawJSON(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return text
}
