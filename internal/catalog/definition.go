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

	"modeldispatch/internal/yamldoc"
)

// lint checks a task definition. It reports an error if ECS would reject the definition, and a warning if the
// definition probably does not do what its author wants.
type lint struct {
	*draft
	root   yamldoc.Value            // the whole definition
	values map[string]yamldoc.Value // each yamldoc.Value of the definition by its dotted path, such as containerDefinitions.0.name
}

// index fills values, and reports fields that ECS does not know. shape is the path without list indexes.
func (l *lint) index(path, shape string, v yamldoc.Value) {
	l.values[path] = v
	switch {
	case v.IsObject():
		known, closed := members[shape]
		all, _ := v.Members("a task definition")
		for _, m := range all {
			names := strings.Fields(known)
			described := shape == "" && slices.Contains(describedOnly, m.Name)
			if closed && !described && !slices.Contains(names, m.Name) {
				m.Key.Errorf("ECS does not know the field %q here, and would reject the definition; %s",
					m.Name, yamldoc.Hint("fields", m.Name, names))
			}
			l.index(strings.TrimPrefix(path+"."+m.Name, "."), strings.TrimPrefix(shape+"."+m.Name, "."), m.Value)
		}
	case v.IsList():
		for i, item := range v.List() {
			l.index(path+"."+strconv.Itoa(i), shape, item)
		}
	}
}

// at returns the value at a path, or else the nearest enclosing value that the file has.
func (l *lint) at(path string) yamldoc.Value {
	for ; path != ""; path = path[:max(strings.LastIndexByte(path, '.'), 0)] {
		if v, known := l.values[path]; known {
			return v
		}
	}
	return l.root
}

// describedOnly lists the fields that DescribeTaskDefinition adds to a definition, and that RegisterTaskDefinition
// rejects.
var describedOnly = []string{
	"taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy", "deregisteredAt",
}

// normalize checks a definition, and changes it in place to the form in which it is registered.
func (l *lint) normalize(fields map[string]any) {
	for _, name := range describedOnly {
		delete(fields, name)
	}
	removeEmpty(fields)
	fields["family"] = l.project.deployment + "-" + l.draft.model.Name
	for _, name := range []string{"cpu", "memory"} {
		if size, has := fields[name]; has {
			fields[name] = fmt.Sprint(size)
		}
	}
	containers, _ := fields["containerDefinitions"].([]any)
	if len(containers) == 0 {
		l.at("containerDefinitions").Errorf("the task definition has no containers")
		return
	}
	l.checkFargate(fields)
	l.checkRoles(fields, containers)
	l.checkContainers(containers)
	l.checkVolumes(fields, containers)
	l.checkSums(fields, containers)
}

// removeEmpty removes the nulls and empty lists that the export of the ECS console contains.
func removeEmpty(fields map[string]any) {
	for name, v := range fields {
		switch v := v.(type) {
		case nil:
			delete(fields, name)
		case map[string]any:
			removeEmpty(v)
		case []any:
			if len(v) == 0 {
				delete(fields, name)
			}
			for _, item := range v {
				if inner, isObject := item.(map[string]any); isObject {
					removeEmpty(inner)
				}
			}
		}
	}
}

// number returns a whole number that is written as a number or as text, or 0 for any other value.
func number(v any) int {
	n, err := strconv.Atoi(fmt.Sprint(v))
	if err != nil {
		return 0
	}
	return n
}

// checkFargate checks the size of the task, and the fields that Fargate requires.
func (l *lint) checkFargate(fields map[string]any) {
	cpu, memory := number(fields["cpu"]), number(fields["memory"])
	l.checkOverride(*l.draft.definition, cpu, memory)
	if !l.usesFargate() {
		return
	}
	if fields["networkMode"] != "awsvpc" {
		l.at("networkMode").Errorf("networkMode must be \"awsvpc\" for Fargate")
	}
	if list, _ := fields["requiresCompatibilities"].([]any); !slices.Contains(list, any("FARGATE")) {
		l.at("requiresCompatibilities").Errorf("requiresCompatibilities must contain FARGATE: write [\"FARGATE\"]")
	}
	switch {
	case fields["cpu"] == nil || fields["memory"] == nil:
		l.root.Errorf("Fargate requires cpu and memory for the task: " +
			"write \"cpu\": \"256\" and \"memory\": \"512\", or more, next to containerDefinitions")
	default:
		checkSize(l.at("cpu"), cpu, memory)
	}
}

// checkRoles checks that the task has an execution role if it needs one. It warns if the task role is the same role.
func (l *lint) checkRoles(fields map[string]any, containers []any) {
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
		l.root.Errorf("executionRoleArn is missing: the task needs it %s", needs)
	}
	if execution != nil && execution == task {
		l.at("taskRoleArn").Warnf("taskRoleArn and executionRoleArn are the same role, so the model has all permissions " +
			"that ECS uses to start it: give the model its own task role")
	}
}

// container holds the fields of a container definition that the lint reads.
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

// checkContainers checks the containers one by one, and selects the container that runs the model.
func (l *lint) checkContainers(all []any) {
	var essential, names []string
	read, whole := make([]container, len(all)), true
	for i, raw := range all {
		path := fmt.Sprintf("containerDefinitions.%d", i)
		_, isObject := raw.(map[string]any)
		if err := json.Unmarshal(rawJSON(raw), &read[i]); err != nil || !isObject {
			l.reportType(path, err)
			whole = false
			continue
		}
		c := read[i]
		switch {
		case c.Name == "":
			l.at(path+".name").Errorf("container %d has no name: write \"name\": \"model\"", i+1)
		case !ecsName.MatchString(c.Name):
			l.at(path+".name").Errorf("container name %q is not valid: %s", c.Name, ecsNameRule)
		case slices.Contains(names, c.Name):
			l.at(path+".name").Errorf("two containers have the name %q", c.Name)
		}
		names = append(names, c.Name)
		if c.Essential == nil || *c.Essential {
			essential = append(essential, c.Name)
		}
	}
	if !whole {
		return
	}
	l.selectContainer(essential, names)
	for i, c := range read {
		path := fmt.Sprintf("containerDefinitions.%d", i)
		l.checkContainer(path, c, all[i].(map[string]any))
		l.checkLinks(path, c, names)
	}
}

// reportType reports a container definition in which a value has the wrong type. err is the error of decoding it.
func (l *lint) reportType(path string, err error) {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) || wrong.Field == "" {
		l.at(path).Errorf("a container must be an object such as {\"name\": \"model\", \"image\": \"…\"}")
		return
	}
	kinds := map[reflect.Kind]string{
		reflect.String: "text", reflect.Int: "a whole number", reflect.Bool: "true or false", reflect.Slice: "a list",
	}
	field := ""
	for name := range strings.SplitSeq(wrong.Field, ".") {
		field = strings.TrimPrefix(field+"."+strings.ToLower(name[:min(1, len(name))])+name[min(1, len(name)):], ".")
	}
	l.at(path+"."+field).Errorf("%s has type %s; ECS expects %s", field, wrong.Value, cmp.Or(kinds[wrong.Type.Kind()], "an object"))
}

// selectContainer sets task.container to the only essential container, unless model.yaml names one.
func (l *lint) selectContainer(essential, names []string) {
	t := &l.draft.model.Task
	switch {
	case len(essential) == 0:
		l.at("containerDefinitions").Errorf("no container is essential, so the task would never end by itself: " +
			"set \"essential\": true on the container that runs the model")
	case t.Container != "" && !slices.Contains(names, t.Container):
		l.draft.definition.Errorf("task.container is %q, but the task definition has no such container; %s",
			t.Container, yamldoc.Hint("containers", t.Container, names))
	case t.Container == "" && len(essential) > 1:
		l.draft.definition.Errorf("the task definition has %d essential containers (%s): set task.container to the container that runs the model",
			len(essential), strings.Join(essential, ", "))
	case t.Container == "":
		t.Container = essential[0]
	}
}

var secretForm = regexp.MustCompile(`(?i)(password|passwd|secret|token|api_?key|private_?key|credential)`)

// checkContainer checks one container. In the container that runs the model, it also sets task.image and local.command.
func (l *lint) checkContainer(path string, c container, fields map[string]any) {
	if c.Name == l.draft.model.Task.Container {
		if l.image != nil {
			c.Image, _ = l.image.TextForCloudFormation("image")
			fields["image"] = c.Image
		}
		if len(l.local) > 0 && l.project.options.Processes {
			l.setLocalCommand(fields)
		}
	}
	switch {
	case c.Image == "":
		l.at(path+".image").Errorf("container %q has no image: set it here, or in task.image for the container that runs the model", c.Name)
	case strings.HasSuffix(c.Image, ":latest") || !strings.Contains(c.Image[strings.LastIndexByte(c.Image, '/')+1:], ":"):
		l.at(path+".image").Warnf("image %s has no fixed tag, so each task may run a different version: use a version tag or a digest", c.Image)
	}
	l.checkLogs(path, c)
	if c.StopTimeout != nil && (*c.StopTimeout < 2 || *c.StopTimeout > 120) {
		l.at(path+".stopTimeout").Errorf("stopTimeout is %d; Fargate allows 2 to 120 seconds", *c.StopTimeout)
	}
	l.checkEnvironment(path, c)
}

// checkEnvironment checks the names of a container's environment variables.
func (l *lint) checkEnvironment(path string, c container) {
	for i, e := range c.Environment {
		if secretForm.MatchString(e.Name) && e.Value != "" {
			l.at(fmt.Sprintf("%s.environment.%d", path, i)).Warnf("variable %s looks like a secret in plain text, which anyone "+
				"with permission to describe the task definition can read: use secrets", e.Name)
		}
		if isReserved(e.Name) {
			l.at(fmt.Sprintf("%s.environment.%d", path, i)).Errorf("variable %s is set by modeldispatch for each run: remove it", e.Name)
		}
	}
}

// setLocalCommand makes local.command the container's own command, so that a task that is started without a command
// override runs it too. It sets no command if local.command mentions inputs, because only runs have inputs.
func (l *lint) setLocalCommand(fields map[string]any) {
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

// checkLogs warns about a log configuration that is missing or incomplete.
func (l *lint) checkLogs(path string, c container) {
	if c.Log == nil || c.Log.LogDriver == "" {
		l.at(path).Warnf("container %q has no logConfiguration, so its output is lost: use awslogs", c.Name)
		return
	}
	var missing []string
	for _, option := range []string{"awslogs-group", "awslogs-region", "awslogs-stream-prefix"} {
		if c.Log.LogDriver == "awslogs" && c.Log.Options[option] == "" {
			missing = append(missing, option)
		}
	}
	if len(missing) > 0 {
		l.at(path+".logConfiguration").Warnf("container %q: awslogs has no %s; a deployment adds the missing options, "+
			"but any other way to register the definition needs them", c.Name, strings.Join(missing, ", "))
	}
}

// checkLinks checks the references to other containers, and the fields that Fargate does not support because its tasks
// share no host. names holds the names of all containers.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
func (l *lint) checkLinks(path string, c container, names []string) {
	for i, d := range c.DependsOn {
		if !slices.Contains(names, d.ContainerName) || d.ContainerName == c.Name {
			others := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == c.Name })
			l.at(fmt.Sprintf("%s.dependsOn.%d", path, i)).Errorf("container %q depends on %q, which is not another container of the task; %s",
				c.Name, d.ContainerName, yamldoc.Hint("containers", d.ContainerName, others))
		}
	}
	if l.usesFargate() && len(c.Links) > 0 {
		l.at(path+".links").Errorf("container %q has links, which Fargate does not support: "+
			"containers of a task reach each other at localhost", c.Name)
	}
	if l.usesFargate() && c.Privileged {
		l.at(path+".privileged").Errorf("container %q is privileged, which Fargate does not support: remove it", c.Name)
	}
}

// checkVolumes checks that Fargate supports the volumes, and that each mount point names a volume.
func (l *lint) checkVolumes(fields map[string]any, containers []any) {
	var names []string
	volumes, _ := fields["volumes"].([]any)
	for i, raw := range volumes {
		volume, _ := raw.(map[string]any)
		names = append(names, fmt.Sprint(volume["name"]))
		if name, has := volume["name"].(string); has && !ecsName.MatchString(name) {
			l.at(fmt.Sprintf("volumes.%d.name", i)).Errorf("volume name %q is not valid: %s", name, ecsNameRule)
		}
		host, _ := volume["host"].(map[string]any)
		if l.usesFargate() && (host["sourcePath"] != nil || volume["dockerVolumeConfiguration"] != nil) {
			l.at(fmt.Sprintf("volumes.%d", i)).Errorf("volume %v is on the host, which Fargate does not support: "+
				"remove its host or dockerVolumeConfiguration for an empty volume, or use efsVolumeConfiguration", volume["name"])
		}
	}
	for i, raw := range containers {
		var c container
		if json.Unmarshal(rawJSON(raw), &c) != nil {
			continue // checkContainers has reported it
		}
		for j, m := range c.MountPoints {
			if !slices.Contains(names, m.SourceVolume) {
				at := l.at(fmt.Sprintf("containerDefinitions.%d.mountPoints.%d", i, j))
				at.Errorf("container %q mounts %q, which is not a volume of the task definition; %s",
					c.Name, m.SourceVolume, yamldoc.Hint("volumes", m.SourceVolume, slices.Clone(names)))
			}
		}
	}
}

// checkSums checks that the containers fit into the task. Only on Fargate must the sum of the containers' hard memory
// limits (memory) fit; on other capacity only the sum of their reservations must.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html#container_definition_limits
func (l *lint) checkSums(fields map[string]any, containers []any) {
	task := map[string]int{"cpu": number(fields["cpu"]), "memory": number(fields["memory"])}
	sum := map[string]int{}
	for i, raw := range containers {
		c, _ := raw.(map[string]any)
		limit := max(number(c["memory"]), number(c["memoryReservation"]))
		if task["memory"] > 0 && limit > task["memory"] {
			at := l.at(fmt.Sprintf("containerDefinitions.%d.memory", i))
			at.Errorf("the container's memory of %d MiB is more than the task's %d MiB", limit, task["memory"])
			return
		}
		for _, name := range []string{"cpu", "memory", "memoryReservation"} {
			sum[name] += number(c[name])
		}
	}
	switch total := task["memory"]; {
	case total > 0 && sum["memoryReservation"] > total:
		l.at("memory").Errorf("the containers together reserve %d MiB, but the task has only %d MiB", sum["memoryReservation"], total)
	case total > 0 && l.usesFargate() && sum["memory"] > total:
		l.at("memory").Errorf("the containers together have %d MiB of memory, but the task has only %d MiB: "+
			"lower theirs, use memoryReservation, or raise the task's memory", sum["memory"], total)
	}
	if total := task["cpu"]; total > 0 && sum["cpu"] > total {
		l.at("cpu").Errorf("the containers together have %d CPU units, but the task has only %d: "+
			"lower theirs, or raise the task's cpu", sum["cpu"], total)
	}
}
