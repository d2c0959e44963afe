package catalog

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"modeldispatch/internal/model"
)

// capacities are the words of task.capacity.
var capacities = []string{string(model.OnDemand), string(model.Spot), string(model.EC2), string(model.External)}

func (d *draft) readTaskFields(m member) {
	t := &d.model.Task
	m.fields("task", map[string]func(member){
		"definition": func(f member) { d.definition = &f },
		"image":      func(f member) { d.image = &f },
		"container":  func(f member) { t.Container, _ = f.text("container") },
		"cpu":        func(f member) { t.CPU, _ = f.integer("cpu", 256, 16384) },
		"memory":     func(f member) { t.Memory, _ = f.integer("memory", 512, 122880) },
		"capacity": func(f member) {
			for _, v := range f.list() {
				word, ok := v.word("capacity", capacities...)
				if ok && slices.Contains(t.Capacity, model.Capacity(word)) {
					v.errorf("capacity %q is there twice", word)
				}
				if ok {
					t.Capacity = append(t.Capacity, model.Capacity(word))
				}
			}
		},
	})
	if len(t.Capacity) == 0 {
		t.Capacity = []model.Capacity{model.OnDemand}
	}
}

var (
	familyForm     = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}(:[1-9][0-9]*)?$`)
	definitionARN  = regexp.MustCompile(`^arn:[a-z-]+:ecs:[a-z0-9-]+:[0-9]{12}:task-definition/[A-Za-z0-9_-]{1,255}(:[1-9][0-9]*)?$`)
	definitionFile = regexp.MustCompile(`\.json$`)
)

// readTask reads task.definition, once everything else of the model is known.
func (d *draft) readTask() {
	if d.definition == nil {
		d.root.errorf("a model needs task.definition: a file with a task definition, a family, family:revision or an ARN")
		return
	}
	name, ok := d.definition.text("definition")
	switch {
	case !ok:
	case definitionFile.MatchString(name):
		d.readDefinition(name)
	case familyForm.MatchString(name), definitionARN.MatchString(name):
		d.model.Task.Family = name
		if d.model.Task.Container == "" {
			d.definition.errorf("task definition %s is not a file here, so task.container must name the model's container", name)
		}
		if d.image != nil {
			d.image.errorf("task.image is for a definition that is a file here; %s has its own image", name)
		}
		d.checkOverride(*d.definition, 0, 0)
	default:
		d.definition.errorf("%q is neither a .json file, nor a family, family:revision or ARN of a task definition", name)
	}
}

// readDefinition reads, checks and normalises a task definition that is a file of the model.
func (d *draft) readDefinition(name string) {
	file := &document{report: d.report, file: d.folder + "/" + name, model: d.document.model}
	root, ok := file.read(d.dir)
	if !ok {
		return
	}
	decoded, ok := root.decoded(0)
	fields, isObject := decoded.(map[string]any)
	if !ok || !isObject {
		root.errorf("a task definition is a JSON object, as aws ecs register-task-definition reads it")
		return
	}
	l := &lint{draft: d, root: root, places: map[string]value{}}
	l.index("", root, 0)
	l.definition(fields)
	d.model.Task.Definition = rawJSON(fields)
	d.model.Task.Family = fmt.Sprint(fields["family"])
}

// checkOverride checks task.cpu and task.memory, with the definition's own where one is missing.
func (d *draft) checkOverride(at member, cpu, memory int) {
	t := d.model.Task
	if t.CPU > 0 {
		cpu = t.CPU
	}
	if t.Memory > 0 {
		memory = t.Memory
	}
	d.checkLadder(memory)
	if (t.CPU > 0 || t.Memory > 0) && d.fargate() && cpu > 0 && memory > 0 {
		checkSize(at.value, cpu, memory)
	}
}

// checkLadder checks retry.out-of-memory against the memory that the first attempt has.
func (d *draft) checkLadder(memory int) {
	switch {
	case d.upTo == nil:
	case !d.fargate():
		d.upTo.errorf("only Fargate tasks can be launched with more memory, and the task's capacity is %s", d.model.Task.Capacity)
	case d.model.Policy.Retry.OutOfMemory.UpTo <= memory:
		d.upTo.errorf("up-to is %d MiB, and the task has %d already: more is expected", d.model.Policy.Retry.OutOfMemory.UpTo, memory)
	}
}

func (d *draft) fargate() bool {
	return slices.Contains(d.model.Task.Capacity, model.OnDemand) || slices.Contains(d.model.Task.Capacity, model.Spot)
}

// lint checks a task definition: what ECS would refuse is an error, what will probably not work
// as meant is a warning.
type lint struct {
	*draft
	root   value
	places map[string]value // by dotted path
}

// index notes where everything is.
func (l *lint) index(path string, v value, depth int) {
	l.places[path] = v
	if depth > maxDepth {
		return
	}
	switch {
	case v.isObject():
		all, _ := v.members("a task definition")
		for _, m := range all {
			l.index(strings.TrimPrefix(path+"."+m.name, "."), m.value, depth+1)
		}
	case v.isList():
		for i, item := range v.list() {
			l.index(path+"."+strconv.Itoa(i), item, depth+1)
		}
	}
}

// at is where a path is written, or the nearest thing that is.
func (l *lint) at(path string) value {
	for ; path != ""; path = path[:max(strings.LastIndexByte(path, '.'), 0)] {
		if v, known := l.places[path]; known {
			return v
		}
	}
	return l.root
}

// shown are the fields that describing a definition adds, and registering one refuses.
var shown = []string{"taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy", "deregisteredAt"}

// definition checks a definition, and turns it into the form in which it is registered.
func (l *lint) definition(fields map[string]any) {
	for _, name := range shown {
		delete(fields, name)
	}
	plain(fields)
	fields["family"] = l.project.deployment + "-" + l.draft.model.Name
	for _, name := range []string{"cpu", "memory"} {
		if size, has := fields[name]; has {
			fields[name] = fmt.Sprint(size)
		}
	}
	containers, _ := fields["containerDefinitions"].([]any)
	if len(containers) == 0 {
		l.at("containerDefinitions").errorf("the definition has no containers")
		return
	}
	l.fargateRules(fields)
	l.roles(fields, containers)
	l.containers(containers)
	l.memory(fields, containers)
}

// plain takes nulls and empty lists and objects out, as the console's export has them.
func plain(fields map[string]any) {
	for name, v := range fields {
		switch v := v.(type) {
		case nil:
			delete(fields, name)
		case map[string]any:
			plain(v)
		case []any:
			if len(v) == 0 {
				delete(fields, name)
			}
			for _, item := range v {
				if inner, isObject := item.(map[string]any); isObject {
					plain(inner)
				}
			}
		}
	}
}

func number(v any) int {
	n, err := strconv.Atoi(fmt.Sprint(v))
	if err != nil {
		return 0
	}
	return n
}

func (l *lint) fargateRules(fields map[string]any) {
	cpu, memory := number(fields["cpu"]), number(fields["memory"])
	l.checkOverride(*l.draft.definition, cpu, memory)
	if !l.fargate() {
		return
	}
	if fields["networkMode"] != "awsvpc" {
		l.at("networkMode").errorf("networkMode is %v, and Fargate needs awsvpc", fields["networkMode"])
	}
	if list, _ := fields["requiresCompatibilities"].([]any); !slices.Contains(list, any("FARGATE")) {
		l.at("requiresCompatibilities").errorf("requiresCompatibilities does not have FARGATE: write [\"FARGATE\"]")
	}
	switch {
	case fields["cpu"] == nil || fields["memory"] == nil:
		l.root.errorf("Fargate needs cpu and memory of the task: write \"cpu\": \"256\" and \"memory\": \"512\" or more beside containerDefinitions")
	default:
		checkSize(l.at("cpu"), cpu, memory)
	}
}

func (l *lint) roles(fields map[string]any, containers []any) {
	execution, task := fields["executionRoleArn"], fields["taskRoleArn"]
	needs := ""
	for _, c := range containers {
		text := string(rawJSON(c))
		switch {
		case strings.Contains(text, `"awslogs"`):
			needs = "to write logs"
		case strings.Contains(text, ".dkr.ecr."):
			needs = "to pull its image from ECR"
		case strings.Contains(text, `"secrets":`):
			needs = "to read its secrets"
		}
	}
	if execution == nil && needs != "" {
		l.root.errorf("executionRoleArn is missing: the task needs it %s", needs)
	}
	if execution != nil && execution == task {
		l.at("taskRoleArn").warnf("taskRoleArn and executionRoleArn are the same role: the model could do all that ECS may do for it; give it a role of its own")
	}
}

// container is what is read of a container.
type container struct {
	Name        string
	Image       string
	Essential   *bool
	Memory      int
	Environment []struct{ Name, Value string }
	Secrets     []struct{ Name string }
	Log         *struct{ LogDriver string } `json:"logConfiguration"`
	EntryPoint  []string
	StopTimeout *int
}

func (l *lint) containers(all []any) {
	var essential, names []string
	read := make([]container, len(all))
	for i, raw := range all {
		path := fmt.Sprintf("containerDefinitions.%d", i)
		if err := json.Unmarshal(rawJSON(raw), &read[i]); err != nil {
			l.at(path).errorf("container %d cannot be read: %v", i, err)
			continue
		}
		c := read[i]
		if c.Name == "" || slices.Contains(names, c.Name) {
			l.at(path+".name").errorf("container %d has no name of its own", i)
		}
		names = append(names, c.Name)
		if c.Essential == nil || *c.Essential {
			essential = append(essential, c.Name)
		}
	}
	l.choose(essential, names)
	for i, c := range read {
		fields, isObject := all[i].(map[string]any)
		if isObject {
			l.container(fmt.Sprintf("containerDefinitions.%d", i), c, fields)
		}
	}
}

// choose finds the container that is the model.
func (l *lint) choose(essential, names []string) {
	t := &l.draft.model.Task
	switch {
	case len(essential) == 0:
		l.at("containerDefinitions").errorf("no container is essential: the task would never end by itself; set \"essential\": true on the model's")
	case t.Container != "" && !slices.Contains(names, t.Container):
		l.draft.definition.errorf("task.container is %q, which the definition does not have; %s", t.Container, meant(t.Container, names))
	case t.Container == "" && len(essential) > 1:
		l.draft.definition.errorf("the definition has %d essential containers (%s): say which is the model with task.container", len(essential), strings.Join(essential, ", "))
	case t.Container == "":
		t.Container = essential[0]
	}
}

var secretForm = regexp.MustCompile(`(?i)(password|passwd|secret|token|api_?key|private_?key|credential)`)

// container checks one container, and changes the model's for this environment.
func (l *lint) container(path string, c container, fields map[string]any) {
	if c.Name == l.draft.model.Task.Container {
		if l.image != nil {
			c.Image, _ = l.image.passed("image")
			fields["image"] = c.Image
		}
		if len(l.local) > 0 && l.project.options.Processes {
			l.localCommand(fields)
		}
	}
	switch {
	case c.Image == "":
		l.at(path+".image").errorf("container %q has no image: write it here, or in task.image", c.Name)
	case strings.HasSuffix(c.Image, ":latest") || !strings.Contains(c.Image[strings.LastIndexByte(c.Image, '/')+1:], ":"):
		l.at(path+".image").warnf("image %s has no fixed tag: each task may run another one; name a version or a digest", c.Image)
	}
	if c.Log == nil || c.Log.LogDriver == "" {
		l.at(path).warnf("container %q has no logConfiguration: nothing that it prints is kept; use awslogs", c.Name)
	}
	if c.StopTimeout != nil && (*c.StopTimeout < 2 || *c.StopTimeout > 120) {
		l.at(path+".stopTimeout").errorf("stopTimeout is %d, and Fargate takes 2 to 120 seconds", *c.StopTimeout)
	}
	for i, e := range c.Environment {
		if secretForm.MatchString(e.Name) && e.Value != "" {
			l.at(fmt.Sprintf("%s.environment.%d", path, i)).warnf("variable %s looks like a secret in plain text: everybody who may describe tasks can read it; use secrets", e.Name)
		}
		if reserved(e.Name) {
			l.at(fmt.Sprintf("%s.environment.%d", path, i)).errorf("variable %s is set by modeldispatch for each run: leave it out", e.Name)
		}
	}
}

// localCommand has a container run the model's local.command, so that a task that nobody gives a command runs it, too. One
// that mentions inputs is left out: only runs have these.
func (l *lint) localCommand(fields map[string]any) {
	for _, name := range []string{"entryPoint", "workingDirectory", "command"} {
		delete(fields, name)
	}
	var command []any
	for _, t := range l.local {
		if len(t.Placeholders()) > 0 {
			return
		}
		argument, _ := t.Expand(nil)
		command = append(command, argument.Text)
	}
	fields["command"] = command
}

// memory checks that the containers' limits fit into the task.
func (l *lint) memory(fields map[string]any, containers []any) {
	sum := 0
	for i, raw := range containers {
		c, _ := raw.(map[string]any)
		limit := max(number(c["memory"]), number(c["memoryReservation"]))
		if task := number(fields["memory"]); task > 0 && limit > task {
			l.at(fmt.Sprintf("containerDefinitions.%d.memory", i)).errorf("the container's memory of %d MiB is more than the task's %d MiB", limit, task)
		}
		sum += number(c["memoryReservation"])
	}
	if task := number(fields["memory"]); task > 0 && sum > task {
		l.at("memory").errorf("the containers reserve %d MiB together, and the task has %d MiB", sum, task)
	}
}
