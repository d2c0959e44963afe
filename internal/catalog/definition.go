package catalog

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// lint checks a task definition: what ECS would refuse is an error, what will probably not work
// as meant is a warning.
type lint struct {
	*draft
	root   value
	places map[string]value // by dotted path
}

// index notes where everything is, and finds what ECS does not know. A shape is a path without the numbers of its lists.
func (l *lint) index(path, shape string, v value, depth int) {
	l.places[path] = v
	if depth > maxDepth {
		return
	}
	switch {
	case v.isObject():
		known, closed := members[shape]
		all, _ := v.members("a task definition")
		for _, m := range all {
			if names := strings.Fields(known); closed && !slices.Contains(names, m.name) && (shape != "" || !slices.Contains(shown, m.name)) {
				v.doc.problem(m.key, false, "ECS knows no %q here, and would refuse the definition; %s", m.name, meant(m.name, names))
			}
			l.index(strings.TrimPrefix(path+"."+m.name, "."), strings.TrimPrefix(shape+"."+m.name, "."), m.value, depth+1)
		}
	case v.isList():
		for i, item := range v.list() {
			l.index(path+"."+strconv.Itoa(i), shape, item, depth+1)
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
	l.volumes(fields, containers)
	l.sums(fields, containers)
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
	Log         *struct {
		LogDriver string
		Options   map[string]string
	} `json:"logConfiguration"`
	EntryPoint  []string
	StopTimeout *int
	Links       []string
	Privileged  bool
	DependsOn   []struct{ ContainerName string }
	MountPoints []struct{ SourceVolume string }
}

func (l *lint) containers(all []any) {
	var essential, names []string
	read, whole := make([]container, len(all)), true
	for i, raw := range all {
		path := fmt.Sprintf("containerDefinitions.%d", i)
		_, isObject := raw.(map[string]any)
		if err := json.Unmarshal(rawJSON(raw), &read[i]); err != nil || !isObject {
			l.unreadable(path, err)
			whole = false
			continue
		}
		c := read[i]
		switch {
		case c.Name == "":
			l.at(path+".name").errorf("container %d has no name: write \"name\": \"model\"", i+1)
		case !ecsName.MatchString(c.Name):
			l.at(path+".name").errorf("a container has the name %q: %s", c.Name, ecsNames)
		case slices.Contains(names, c.Name):
			l.at(path+".name").errorf("two containers have the name %q", c.Name)
		}
		names = append(names, c.Name)
		if c.Essential == nil || *c.Essential {
			essential = append(essential, c.Name)
		}
	}
	if !whole {
		return
	}
	l.choose(essential, names)
	for i, c := range read {
		path := fmt.Sprintf("containerDefinitions.%d", i)
		l.container(path, c, all[i].(map[string]any))
		l.together(path, c, names)
	}
}

// unreadable says that a container has something of the wrong type.
func (l *lint) unreadable(path string, err error) {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) || wrong.Field == "" {
		l.at(path).errorf("the container is no object, as {\"name\": \"model\", \"image\": \"…\"}")
		return
	}
	kinds := map[reflect.Kind]string{reflect.String: "text", reflect.Int: "a whole number", reflect.Bool: "true or false", reflect.Slice: "a list"}
	field := ""
	for name := range strings.SplitSeq(wrong.Field, ".") {
		field = strings.TrimPrefix(field+"."+strings.ToLower(name[:min(1, len(name))])+name[min(1, len(name)):], ".")
	}
	l.at(path+"."+field).errorf("%s is of type %s, and ECS takes %s", field, wrong.Value, cmp.Or(kinds[wrong.Type.Kind()], "an object"))
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
	l.logs(path, c)
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

func (l *lint) logs(path string, c container) {
	if c.Log == nil || c.Log.LogDriver == "" {
		l.at(path).warnf("container %q has no logConfiguration: nothing that it prints is kept; use awslogs", c.Name)
		return
	}
	var missing []string
	for _, option := range []string{"awslogs-group", "awslogs-region", "awslogs-stream-prefix"} {
		if c.Log.LogDriver == "awslogs" && c.Log.Options[option] == "" {
			missing = append(missing, option)
		}
	}
	if len(missing) > 0 {
		l.at(path+".logConfiguration").warnf("container %q: awslogs has no %s; a deployment of these models adds what is missing, and whoever else registers the definition needs it", c.Name, strings.Join(missing, ", "))
	}
}

// together checks what containers have to do with each other, and what a Fargate task cannot have of the machine.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
func (l *lint) together(path string, c container, names []string) {
	for i, d := range c.DependsOn {
		if !slices.Contains(names, d.ContainerName) || d.ContainerName == c.Name {
			others := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == c.Name })
			l.at(fmt.Sprintf("%s.dependsOn.%d", path, i)).errorf("container %q depends on %q, which is no other container; %s", c.Name, d.ContainerName, meant(d.ContainerName, others))
		}
	}
	if l.fargate() && len(c.Links) > 0 {
		l.at(path+".links").errorf("container %q has links, which Fargate does not take: the containers of a task reach each other at localhost", c.Name)
	}
	if l.fargate() && c.Privileged {
		l.at(path+".privileged").errorf("container %q is privileged, which Fargate does not take: leave it out", c.Name)
	}
}

// volumes checks that what containers mount is there, and can be on Fargate.
func (l *lint) volumes(fields map[string]any, containers []any) {
	var names []string
	volumes, _ := fields["volumes"].([]any)
	for i, raw := range volumes {
		volume, _ := raw.(map[string]any)
		names = append(names, fmt.Sprint(volume["name"]))
		if name, has := volume["name"].(string); has && !ecsName.MatchString(name) {
			l.at(fmt.Sprintf("volumes.%d.name", i)).errorf("a volume has the name %q: %s", name, ecsNames)
		}
		host, _ := volume["host"].(map[string]any)
		if l.fargate() && (host["sourcePath"] != nil || volume["dockerVolumeConfiguration"] != nil) {
			l.at(fmt.Sprintf("volumes.%d", i)).errorf("volume %v is of the host, which Fargate does not have: leave host out for an empty one, or use efsVolumeConfiguration", volume["name"])
		}
	}
	for i, raw := range containers {
		var c container
		if json.Unmarshal(rawJSON(raw), &c) != nil {
			continue // has its own error
		}
		for j, m := range c.MountPoints {
			if !slices.Contains(names, m.SourceVolume) {
				l.at(fmt.Sprintf("containerDefinitions.%d.mountPoints.%d", i, j)).errorf("container %q mounts %q, which is no volume of the definition; %s", c.Name, m.SourceVolume, meant(m.SourceVolume, slices.Clone(names)))
			}
		}
	}
}

// sums checks that the containers fit into the task. Only Fargate adds hard limits up: elsewhere they may be more than there
// is. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html#container_definition_limits
func (l *lint) sums(fields map[string]any, containers []any) {
	task := map[string]int{"cpu": number(fields["cpu"]), "memory": number(fields["memory"])}
	sum := map[string]int{}
	for i, raw := range containers {
		c, _ := raw.(map[string]any)
		limit := max(number(c["memory"]), number(c["memoryReservation"]))
		if task["memory"] > 0 && limit > task["memory"] {
			l.at(fmt.Sprintf("containerDefinitions.%d.memory", i)).errorf("the container's memory of %d MiB is more than the task's %d MiB", limit, task["memory"])
			return
		}
		for _, name := range []string{"cpu", "memory", "memoryReservation"} {
			sum[name] += number(c[name])
		}
	}
	switch total := task["memory"]; {
	case total > 0 && sum["memoryReservation"] > total:
		l.at("memory").errorf("the containers reserve %d MiB together, and the task has %d MiB", sum["memoryReservation"], total)
	case total > 0 && l.fargate() && sum["memory"] > total:
		l.at("memory").errorf("the containers' memory is %d MiB together, and the task has %d MiB: lower theirs, use memoryReservation, or raise the task's", sum["memory"], total)
	}
	if total := task["cpu"]; total > 0 && sum["cpu"] > total {
		l.at("cpu").errorf("the containers' cpu is %d units together, and the task has %d: lower theirs, or raise the task's", sum["cpu"], total)
	}
}
