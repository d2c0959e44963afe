package catalog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"modeldispatch/internal/model"
	"modeldispatch/internal/yamldoc"
)

// capacities lists the words that task.capacity accepts.
var capacities = []string{string(model.OnDemand), string(model.Spot), string(model.EC2), string(model.External)}

// readTaskFields reads task. readTask reads task.definition later.
func (d *draft) readTaskFields(m yamldoc.Member) {
	t := &d.model.Task
	m.Fields("task", yamldoc.Readers{
		"definition": func(f yamldoc.Member) { d.definition = &f },
		"image":      func(f yamldoc.Member) { d.image = &f },
		"container":  func(f yamldoc.Member) { t.Container, _ = f.Text("container") },
		"cpu":        func(f yamldoc.Member) { t.CPU, _ = f.Integer("cpu", 256, 16384) },
		"memory":     func(f yamldoc.Member) { t.Memory, _ = f.Integer("memory", 512, 122880) },
		"capacity": func(f yamldoc.Member) {
			for _, v := range f.List() {
				word, ok := v.Word("capacity", capacities...)
				if ok && slices.Contains(t.Capacity, model.Capacity(word)) {
					v.Errorf("capacity lists %q twice", word)
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

// ecsName matches the names that ECS accepts for containers and volumes:
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
var ecsName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

const ecsNameRule = "ECS allows at most 255 letters (a-z and A-Z), digits, hyphens and underscores"

var (
	familyForm    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}(:[1-9][0-9]*)?$`)
	definitionARN = regexp.MustCompile(
		`^arn:[a-z-]+:ecs:[a-z0-9-]+:[0-9]{12}:task-definition/[A-Za-z0-9_-]{1,255}(:[1-9][0-9]*)?$`)
	definitionFile = regexp.MustCompile(`\.json$`)
)

// readTask reads task.definition when all other fields of the model except the triggers are known.
func (d *draft) readTask() {
	if d.definition == nil {
		d.root.Errorf("a model needs task.definition: a .json file with a task definition, a family, family:revision or an ARN")
		return
	}
	name, ok := d.definition.Text("definition")
	switch {
	case !ok:
	case definitionFile.MatchString(name):
		d.readDefinition(name)
	case familyForm.MatchString(name), definitionARN.MatchString(name):
		d.model.Task.Family = name
		switch container := d.model.Task.Container; {
		case container == "":
			d.definition.Errorf("task definition %s is not a file of the project, "+
				"so task.container must name the container that runs the model", name)
		case !ecsName.MatchString(container):
			d.definition.Errorf("task.container is %q: %s", container, ecsNameRule)
		}
		if d.image != nil {
			d.image.Errorf("task.image needs a task definition that is a file of the project; %s has its own image", name)
		}
		d.checkOverride(*d.definition, 0, 0)
	default:
		d.definition.Errorf("task.definition is %q; expected a .json file, a family, family:revision or an ARN", name)
	}
}

// readDefinition reads a task definition that is a file in the model's folder.
func (d *draft) readDefinition(name string) {
	file := &yamldoc.Document{
		Report: d.file.Report, File: filepath.ToSlash(filepath.Join(d.folder, name)), Model: d.file.Model, JSON: true,
		Minimum: "a task definition in the form that aws ecs register-task-definition reads",
	}
	text, err := os.ReadFile(filepath.Join(d.dir, file.File))
	if err != nil {
		d.definition.Errorf("cannot read %s: %v", file.File, errors.Unwrap(err))
		d.checkOverride(*d.definition, 0, 0)
		return
	}
	root, ok := file.Parse(text)
	if !ok {
		d.checkOverride(*d.definition, 0, 0)
		return
	}
	d.useDefinition(root)
}

// useDefinition checks a task definition, and sets it as the model's in the form in which it is registered.
func (d *draft) useDefinition(root yamldoc.Value) {
	root, tags := unwrapDescribed(root)
	decoded, ok := root.Decode("a task definition")
	fields, isObject := decoded.(map[string]any)
	if !ok || !isObject {
		root.Errorf("a task definition must be a JSON object in the form that aws ecs register-task-definition reads, not %s", root.Kind())
		return
	}
	if tags != nil {
		fields["tags"] = tags
	}
	l := &lint{draft: d, root: root, values: map[string]yamldoc.Value{}}
	l.index("", "", root)
	l.normalize(fields)
	d.model.Task.Definition = rawJSON(fields)
	d.model.Task.Family = fmt.Sprint(fields["family"])
}

// unwrapDescribed returns the task definition and the tags in the output of aws ecs describe-task-definition, which has
// them in two separate objects. It returns any other value unchanged.
func unwrapDescribed(root yamldoc.Value) (definition yamldoc.Value, tags any) {
	if !root.IsObject() {
		return root, nil
	}
	definition = root
	all, _ := root.Members("a task definition")
	for _, m := range all {
		switch m.Name {
		case "taskDefinition":
			definition = m.Value
		case "tags":
			tags, _ = m.Decode("a task definition")
		default:
			return root, nil
		}
	}
	return definition, tags
}

// checkOverride checks the size of the task: task.cpu and task.memory, or for each that is not set, the task
// definition's own value. 0 means that the definition's value is not known. It also checks max-memory, which depends
// on the size.
func (d *draft) checkOverride(at yamldoc.Member, cpu, memory int) {
	t := d.model.Task
	if t.CPU > 0 {
		cpu = t.CPU
	}
	if t.Memory > 0 {
		memory = t.Memory
	}
	d.checkMaxMemory(memory)
	if (t.CPU > 0 || t.Memory > 0) && d.usesFargate() && cpu > 0 && memory > 0 {
		checkSize(at.Value, cpu, memory)
	}
}

// checkMaxMemory checks that retry.out-of-memory allows more memory than the first attempt has.
func (d *draft) checkMaxMemory(memory int) {
	switch {
	case d.maxMemory == nil:
	case !d.usesFargate():
		d.maxMemory.Errorf("max-memory needs capacity on-demand or spot, because only Fargate can start a larger task; the capacity is %s",
			d.model.Task.Capacity)
	case d.model.Policy.Retry.OutOfMemory.MaxMemory <= memory:
		d.maxMemory.Errorf("max-memory is %d MiB; it must be more than the task's own %d MiB",
			d.model.Policy.Retry.OutOfMemory.MaxMemory, memory)
	}
}

// usesFargate reports whether a task of the model may run on Fargate.
func (d *draft) usesFargate() bool {
	return slices.Contains(d.model.Task.Capacity, model.OnDemand) || slices.Contains(d.model.Task.Capacity, model.Spot)
}
