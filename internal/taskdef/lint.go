package taskdef

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

	"modeldispatch/internal/model"
	"modeldispatch/internal/yamldoc"
)

// lint checks a task definition. It reports an error if ECS would reject the definition, and a warning if the
// definition probably does not do what its author wants.
type lint struct {
	use        Use
	root       yamldoc.Value            // the whole definition
	values     map[string]yamldoc.Value // each value of the definition by its dotted path, such as containerDefinitions.0.name
	fields     map[string]any           // the definition in the form in which it is registered
	cpu        int                      // CPU units of the task; 0 if they are not known
	memory     int                      // MiB of the task; 0 if they are not known
	containers []container              // a container with an error is the zero container
}

// container holds the fields of a container definition that the lint reads.
type container struct {
	path   string         // the container's path in the definition
	fields map[string]any // all fields, which complete changes

	Name              string
	Image             string
	Essential         *bool
	CPU               int `json:"cpu"`
	Memory            int
	MemoryReservation int
	Environment       []struct{ Name, Value string }
	Secrets           []struct{ Name string }
	Log               *struct {
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

// check makes all checks. It also selects the container that runs the model, and completes it.
func (l *lint) check() {
	l.index("", "", l.root)
	l.cpu = l.size("cpu", `CPU units such as 256, or vCPUs such as "0.25 vCPU"`)
	l.memory = l.size("memory", `MiB such as 512, or GB such as "0.5 GB"`)
	l.checkFargate()
	all, _ := l.fields["containerDefinitions"].([]any)
	if len(all) == 0 {
		l.at("containerDefinitions").Errorf("the task definition has no containers")
		return
	}
	whole := l.readContainers(all)
	l.checkVolumes()
	l.checkSums()
	if !whole {
		return // a container with an error may be the one that runs the model
	}
	l.selectContainer()
	for i := range l.containers {
		c := &l.containers[i]
		if c.Name == l.use.Container {
			l.complete(c)
		}
		l.checkContainer(*c)
		l.checkLinks(*c)
	}
	l.checkRoles()
}

// index fills values, and reports fields that ECS does not know. shape is the path without list indexes.
func (l *lint) index(path, shape string, v yamldoc.Value) {
	l.values[path] = v
	switch {
	case v.IsObject():
		known, closed := members[shape]
		all, _ := v.Members(what)
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

// size returns the task's cpu or memory as a number. right names the correct forms. size returns 0 if the definition does
// not set the field, and after an error.
func (l *lint) size(name, right string) int {
	text, has := l.fields[name].(string) // in its registered form, which is text
	if !has {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		l.at(name).Errorf("%s is %q; expected %s", name, text, right)
		return 0
	}
	return n
}

// checkFargate checks the size of the task, and the fields that Fargate requires.
func (l *lint) checkFargate() {
	if !l.use.Fargate {
		return
	}
	if l.fields["networkMode"] != "awsvpc" {
		l.at("networkMode").Errorf("networkMode must be \"awsvpc\" for Fargate")
	}
	if list, _ := l.fields["requiresCompatibilities"].([]any); !slices.Contains(list, any("FARGATE")) {
		l.at("requiresCompatibilities").Errorf("requiresCompatibilities must contain FARGATE: write [\"FARGATE\"]")
	}
	switch {
	case l.fields["cpu"] == nil || l.fields["memory"] == nil:
		l.root.Errorf("Fargate requires cpu and memory for the task: " +
			"write \"cpu\": \"256\" and \"memory\": \"512\", or more, next to containerDefinitions")
	case l.cpu > 0 && l.memory > 0: // size has reported any other size
		CheckSize(l.at("cpu"), l.cpu, l.memory)
	}
}

// readContainers reads the container definitions, and checks their names. It returns false if one has a wrong type.
func (l *lint) readContainers(all []any) bool {
	l.containers = make([]container, len(all))
	var names []string
	whole := true
	for i, raw := range all {
		c := container{path: fmt.Sprintf("containerDefinitions.%d", i)}
		fields, isObject := raw.(map[string]any)
		if err := json.Unmarshal(encode(raw), &c); err != nil || !isObject {
			l.reportType(c.path, err)
			whole = false
			continue
		}
		at, err := l.at(c.path+".name"), CheckName(c.Name)
		switch {
		case c.Name == "":
			at.Errorf("container %d has no name: write \"name\": \"model\"", i+1)
		case err != nil:
			at.Errorf("container name %q is not valid: %v", c.Name, err)
		case slices.Contains(names, c.Name):
			at.Errorf("two containers have the name %q", c.Name)
		}
		names = append(names, c.Name)
		c.fields = fields
		l.containers[i] = c
	}
	return whole
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

// selectContainer sets use.Container to the only essential container, unless model.yaml names one.
func (l *lint) selectContainer() {
	var names, essential []string
	for _, c := range l.containers {
		names = append(names, c.Name)
		if c.Essential == nil || *c.Essential {
			essential = append(essential, c.Name)
		}
	}
	switch chosen := l.use.Container; {
	case len(essential) == 0:
		l.at("containerDefinitions").Errorf("no container is essential, so the task would never end by itself: " +
			"set \"essential\": true on the container that runs the model")
	case chosen != "" && !slices.Contains(names, chosen):
		l.use.At.Errorf("task.container is %q, but the task definition has no such container; %s",
			chosen, yamldoc.Hint("containers", chosen, names))
	case chosen == "" && len(essential) > 1:
		l.use.At.Errorf("the task definition has %d essential containers (%s): set task.container to the container that runs the model",
			len(essential), strings.Join(essential, ", "))
	case chosen == "":
		l.use.Container = essential[0]
	}
}

// complete changes the container that runs the model as model.yaml asks for: its image, and its command.
func (l *lint) complete(c *container) {
	if l.use.Image != "" {
		c.Image, c.fields["image"] = l.use.Image, l.use.Image
	}
	if l.use.Command == nil {
		return
	}
	for _, name := range []string{"entryPoint", "workingDirectory", "command"} {
		delete(c.fields, name)
	}
	if len(l.use.Command) > 0 {
		c.fields["command"] = l.use.Command
	}
}

var secretForm = regexp.MustCompile(`(?i)(password|passwd|secret|token|api_?key|private_?key|credential)`)

// checkContainer checks the fields of one container.
func (l *lint) checkContainer(c container) {
	switch at := l.at(c.path + ".image"); {
	case c.Image == "":
		at.Errorf("container %q has no image: set it here, or in task.image for the container that runs the model", c.Name)
	case strings.HasSuffix(c.Image, ":latest") || !strings.Contains(c.Image[strings.LastIndexByte(c.Image, '/')+1:], ":"):
		at.Warnf("image %s has no fixed tag, so each task may run a different version: use a version tag or a digest", c.Image)
	}
	l.checkLogs(c)
	if c.StopTimeout != nil && (*c.StopTimeout < 2 || *c.StopTimeout > 120) {
		l.at(c.path+".stopTimeout").Errorf("stopTimeout is %d; Fargate allows 2 to 120 seconds", *c.StopTimeout)
	}
	for i, e := range c.Environment {
		at := l.at(fmt.Sprintf("%s.environment.%d", c.path, i))
		if secretForm.MatchString(e.Name) && e.Value != "" {
			at.Warnf("variable %s looks like a secret in plain text, which anyone "+
				"with permission to describe the task definition can read: use secrets", e.Name)
		}
		if model.IsReserved(e.Name) {
			at.Errorf("variable %s is set by modeldispatch for each run: remove it", e.Name)
		}
	}
}

// checkLogs warns about a log configuration that is missing or incomplete.
func (l *lint) checkLogs(c container) {
	if c.Log == nil || c.Log.LogDriver == "" {
		l.at(c.path).Warnf("container %q has no logConfiguration, so its output is lost: use awslogs", c.Name)
		return
	}
	var missing []string
	for _, option := range []string{"awslogs-group", "awslogs-region", "awslogs-stream-prefix"} {
		if c.Log.LogDriver == "awslogs" && c.Log.Options[option] == "" {
			missing = append(missing, option)
		}
	}
	if len(missing) > 0 {
		l.at(c.path+".logConfiguration").Warnf("container %q: awslogs has no %s; a deployment adds the missing options, "+
			"but any other way to register the definition needs them", c.Name, strings.Join(missing, ", "))
	}
}

// checkLinks checks the references to other containers, and the fields that Fargate does not support because its tasks
// share no host.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
func (l *lint) checkLinks(c container) {
	var others []string
	for _, other := range l.containers {
		if other.Name != c.Name {
			others = append(others, other.Name)
		}
	}
	for i, d := range c.DependsOn {
		if !slices.Contains(others, d.ContainerName) {
			l.at(fmt.Sprintf("%s.dependsOn.%d", c.path, i)).Errorf("container %q depends on %q, which is not another container of the task; %s",
				c.Name, d.ContainerName, yamldoc.Hint("containers", d.ContainerName, others))
		}
	}
	if l.use.Fargate && len(c.Links) > 0 {
		l.at(c.path+".links").Errorf("container %q has links, which Fargate does not support: "+
			"containers of a task reach each other at localhost", c.Name)
	}
	if l.use.Fargate && c.Privileged {
		l.at(c.path+".privileged").Errorf("container %q is privileged, which Fargate does not support: remove it", c.Name)
	}
}

// checkVolumes checks that Fargate supports the volumes, and that each mount point names a volume.
func (l *lint) checkVolumes() {
	var names []string
	volumes, _ := l.fields["volumes"].([]any)
	for i, raw := range volumes {
		volume, _ := raw.(map[string]any)
		names = append(names, fmt.Sprint(volume["name"]))
		if name, has := volume["name"].(string); has {
			if err := CheckName(name); err != nil {
				l.at(fmt.Sprintf("volumes.%d.name", i)).Errorf("volume name %q is not valid: %v", name, err)
			}
		}
		host, _ := volume["host"].(map[string]any)
		if l.use.Fargate && (host["sourcePath"] != nil || volume["dockerVolumeConfiguration"] != nil) {
			l.at(fmt.Sprintf("volumes.%d", i)).Errorf("volume %v is on the host, which Fargate does not support: "+
				"remove its host or dockerVolumeConfiguration for an empty volume, or use efsVolumeConfiguration", volume["name"])
		}
	}
	for _, c := range l.containers {
		for i, m := range c.MountPoints {
			if !slices.Contains(names, m.SourceVolume) {
				l.at(fmt.Sprintf("%s.mountPoints.%d", c.path, i)).Errorf("container %q mounts %q, which is not a volume of the task definition; %s",
					c.Name, m.SourceVolume, yamldoc.Hint("volumes", m.SourceVolume, names))
			}
		}
	}
}

// checkSums checks that the containers fit into the task. Only on Fargate must the sum of the containers' hard memory
// limits (memory) fit; on other capacity only the sum of their reservations must.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html#container_definition_limits
func (l *lint) checkSums() {
	var cpu, memory, reserved int
	for _, c := range l.containers {
		if limit := max(c.Memory, c.MemoryReservation); l.memory > 0 && limit > l.memory {
			l.at(c.path+".memory").Errorf("the container's memory of %d MiB is more than the task's %d MiB", limit, l.memory)
			return
		}
		cpu, memory, reserved = cpu+c.CPU, memory+c.Memory, reserved+c.MemoryReservation
	}
	switch {
	case l.memory > 0 && reserved > l.memory:
		l.at("memory").Errorf("the containers together reserve %d MiB, but the task has only %d MiB", reserved, l.memory)
	case l.memory > 0 && l.use.Fargate && memory > l.memory:
		l.at("memory").Errorf("the containers together have %d MiB of memory, but the task has only %d MiB: "+
			"lower theirs, use memoryReservation, or raise the task's memory", memory, l.memory)
	}
	if l.cpu > 0 && cpu > l.cpu {
		l.at("cpu").Errorf("the containers together have %d CPU units, but the task has only %d: "+
			"lower theirs, or raise the task's cpu", cpu, l.cpu)
	}
}

// checkRoles checks that the task has an execution role if it needs one. It warns if the task role is the same role.
func (l *lint) checkRoles() {
	execution, task := l.fields["executionRoleArn"], l.fields["taskRoleArn"]
	needs := ""
	for _, c := range l.containers {
		switch {
		case c.Log != nil && c.Log.LogDriver == "awslogs":
			needs = "to write logs"
		case strings.Contains(c.Image, ".dkr.ecr."):
			needs = "to pull its image from ECR"
		case len(c.Secrets) > 0:
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
