package catalog

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"modeldispatch/internal/model"
	"modeldispatch/internal/taskdef"
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
	var own taskdef.Definition
	name, ok := d.definition.Text("definition")
	switch {
	case !ok:
	case definitionFile.MatchString(name):
		own = d.readDefinition(name)
	case familyForm.MatchString(name), definitionARN.MatchString(name):
		d.model.Task.Family = name
		d.checkOutside(name)
	default:
		d.definition.Errorf("task.definition is %q; expected a .json file, a family, family:revision or an ARN", name)
	}
	d.checkOverride(own.CPU, own.Memory)
}

// checkOutside checks the fields that depend on a task definition that is not a file of the project.
func (d *draft) checkOutside(name string) {
	container := d.model.Task.Container
	switch err := taskdef.CheckName(container); {
	case container == "":
		d.definition.Errorf("task definition %s is not a file of the project, "+
			"so task.container must name the container that runs the model", name)
	case err != nil:
		d.definition.Errorf("task.container is %q: %v", container, err)
	}
	if d.image != nil {
		d.image.Errorf("task.image needs a task definition that is a file of the project; %s has its own image", name)
	}
}

// readDefinition reads a task definition that is a file in the model's folder, checks it, and sets it as the model's.
// It returns the zero Definition if it cannot read the file.
func (d *draft) readDefinition(name string) taskdef.Definition {
	file := &yamldoc.Document{
		Report: d.file.Report, File: filepath.ToSlash(filepath.Join(d.folder, name)), Model: d.file.Model, JSON: true,
		Minimum: "a task definition in the form that aws ecs register-task-definition reads",
	}
	text, err := os.ReadFile(filepath.Join(d.dir, file.File))
	if err != nil {
		d.definition.Errorf("cannot read %s: %v", file.File, errors.Unwrap(err))
		return taskdef.Definition{}
	}
	root, ok := file.Parse(text)
	if !ok {
		return taskdef.Definition{}
	}
	use := taskdef.Use{
		At: d.definition.Value, Family: model.NameIn(d.project.deployment, d.model.Name), Fargate: d.usesFargate(),
		Container: d.model.Task.Container, Command: d.localCommand(),
	}
	if d.image != nil {
		use.Image, _ = d.image.TextForCloudFormation("image")
	}
	own, ok := taskdef.Check(root, use)
	if ok {
		d.model.Task.Definition, d.model.Task.Family, d.model.Task.Container = own.JSON, use.Family, own.Container
	}
	return own
}

// localCommand returns the command for the container's own definition, so that a task that is started without a command
// override runs local.command too. It is empty if local.command mentions inputs, because only runs have inputs. It is
// nil if local.command does not apply.
func (d *draft) localCommand() []string {
	if len(d.local) == 0 || !d.project.options.Processes {
		return nil
	}
	command := []string{}
	for _, t := range d.local {
		if len(t.Placeholders()) > 0 {
			return []string{}
		}
		argument, _ := t.Expand(nil)
		command = append(command, argument.Text)
	}
	return command
}

// checkOverride checks the size of the task: task.cpu and task.memory, or for each that is not set, the task
// definition's own value. 0 means that the definition's value is not known. It also checks max-memory, which depends
// on the size.
func (d *draft) checkOverride(cpu, memory int) {
	t := d.model.Task
	cpu, memory = cmp.Or(t.CPU, cpu), cmp.Or(t.Memory, memory)
	d.checkMaxMemory(memory)
	if (t.CPU > 0 || t.Memory > 0) && d.usesFargate() && cpu > 0 && memory > 0 {
		taskdef.CheckSize(d.definition.Value, cpu, memory)
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
