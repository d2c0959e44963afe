package catalog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

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

// ecsName is the form of the names of containers and volumes:
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
var ecsName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

const ecsNames = "ECS takes names of letters from a to z, digits, hyphens and underscores, at most 255"

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
		switch container := d.model.Task.Container; {
		case container == "":
			d.definition.errorf("task definition %s is not a file here, so task.container must name the model's container", name)
		case !ecsName.MatchString(container):
			d.definition.errorf("task.container is %q: %s", container, ecsNames)
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
	file := &document{report: d.report, file: filepath.ToSlash(filepath.Join(d.folder, name)), model: d.document.model, json: true, least: "a task definition, as aws ecs register-task-definition reads it, is"}
	text, err := os.ReadFile(filepath.Join(d.dir, file.file))
	if err != nil {
		d.definition.errorf("%s cannot be read: %v", file.file, errors.Unwrap(err))
		d.checkOverride(*d.definition, 0, 0)
		return
	}
	root, ok := file.parse(text)
	if !ok {
		d.checkOverride(*d.definition, 0, 0)
		return
	}
	d.takeDefinition(root)
}

// takeDefinition takes a definition for the model's, in the form in which it is registered.
func (d *draft) takeDefinition(root value) {
	root, tags := described(root)
	decoded, ok := root.decoded(0)
	fields, isObject := decoded.(map[string]any)
	if !ok || !isObject {
		root.errorf("it is %s, and a task definition is a JSON object, as aws ecs register-task-definition reads it", root.kind())
		return
	}
	if tags != nil {
		fields["tags"] = tags
	}
	l := &lint{draft: d, root: root, places: map[string]value{}}
	l.index("", "", root, 0)
	l.definition(fields)
	d.model.Task.Definition = rawJSON(fields)
	d.model.Task.Family = fmt.Sprint(fields["family"])
}

// described takes the answer of aws ecs describe-task-definition apart, which has the definition in an object of its own
// and its tags beside it. A definition itself is left as it is.
func described(root value) (definition value, tags any) {
	if !root.isObject() {
		return root, nil
	}
	definition = root
	all, _ := root.members("a task definition")
	for _, m := range all {
		switch m.name {
		case "taskDefinition":
			definition = m.value
		case "tags":
			tags, _ = m.decoded(0)
		default:
			return root, nil
		}
	}
	return definition, tags
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
