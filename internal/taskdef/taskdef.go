package taskdef

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"modeldispatch/internal/fargate"
	"modeldispatch/internal/yamldoc"
)

// Use holds the fields of model.yaml that say how a model uses its task definition.
type Use struct {
	At        yamldoc.Value // where model.yaml names the definition: problems with the fields of Use are reported there
	Family    string        // the family under which the definition is registered
	Fargate   bool          // tasks may run on Fargate
	Container string        // the container that runs the model; "" selects the only essential container
	Image     string        // replaces the image of that container; "" keeps it
	// Command replaces the command of that container, and removes its entry point and its working directory. An empty
	// list removes the command too, and nil keeps all three.
	Command []string
}

// Definition is a task definition that Check has read.
type Definition struct {
	JSON        json.RawMessage // the definition in the form in which it is registered
	Container   string          // the container that runs the model
	CPU, Memory int             // the size of the task in CPU units and MiB; 0 if the definition does not set it
}

// what names a task definition in errors.
const what = "a task definition"

// Check checks the task definition in a file: root is the whole file, in the form that aws ecs register-task-definition
// reads or aws ecs describe-task-definition prints. It reports the problems with the definition, and those with use. It
// returns false if the file holds no definition at all.
func Check(root yamldoc.Value, use Use) (Definition, bool) {
	root, tags := unwrap(root)
	decoded, ok := root.Decode(what)
	if !ok {
		return Definition{}, false
	}
	fields, isObject := decoded.(map[string]any)
	if !isObject {
		root.Errorf("a task definition must be a JSON object in the form that aws ecs register-task-definition reads, not %s", root.Kind())
		return Definition{}, false
	}
	if tags != nil {
		fields["tags"] = tags
	}
	l := &lint{use: use, root: root, values: map[string]yamldoc.Value{}, fields: registered(fields)}
	l.fields["family"] = use.Family
	l.check()
	return Definition{JSON: encode(l.fields), Container: l.use.Container, CPU: l.cpu, Memory: l.memory}, true
}

// unwrap returns the task definition and the tags in the output of aws ecs describe-task-definition, which has them in
// two separate objects. It returns any other value unchanged.
func unwrap(root yamldoc.Value) (definition yamldoc.Value, tags any) {
	if !root.IsObject() {
		return root, nil
	}
	definition = root
	all, _ := root.Members(what)
	for _, m := range all {
		switch m.Name {
		case "taskDefinition":
			definition = m.Value
		case "tags":
			tags, _ = m.Decode(what)
		default:
			return root, nil
		}
	}
	return definition, tags
}

// registered returns a copy of a definition in the form in which it is registered: without the fields that only
// describe-task-definition answers, without the nulls and empty lists of an export from the ECS console, and with the
// size of the task as text, in CPU units and MiB.
func registered(definition map[string]any) map[string]any {
	fields := withoutEmpty(definition).(map[string]any)
	for _, name := range describedOnly {
		delete(fields, name)
	}
	for name, unit := range map[string]string{"cpu": "vCPU", "memory": "GB"} {
		if size, has := fields[name]; has {
			fields[name] = inUnits(fmt.Sprint(size), unit)
		}
	}
	return fields
}

// withoutEmpty returns a copy of a value whose objects have no nulls and no empty lists.
func withoutEmpty(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			if list, isList := value.([]any); value == nil || isList && len(list) == 0 {
				continue
			}
			out[name] = withoutEmpty(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = withoutEmpty(v[i])
		}
		return out
	}
	return v
}

var amountForm = regexp.MustCompile(`^([0-9]{1,9}|[0-9]{0,9}\.[0-9]{1,9}) ?([A-Za-z]+)$`)

// inUnits returns the whole number that ECS makes of a size such as "0.25 vCPU" or "2 GB": 256 or 2048. It returns the
// size unchanged if it does not have the unit, or is not a whole number.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html
func inUnits(size, unit string) string {
	m := amountForm.FindStringSubmatch(size)
	if m == nil || !strings.EqualFold(m[2], unit) {
		return size
	}
	amount, _ := strconv.ParseFloat(m[1], 64)
	if n := amount * 1024; n == math.Trunc(n) {
		return strconv.Itoa(int(n))
	}
	return size
}

// encode returns the JSON of a part of a definition.
func encode(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encoding a task definition: %v", err)) // cannot happen: it is decoded JSON
	}
	return text
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

// CheckName returns an error if ECS does not accept the name for a container or a volume.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
func CheckName(name string) error {
	if nameForm.MatchString(name) {
		return nil
	}
	return errors.New("ECS allows at most 255 letters (a-z and A-Z), digits, hyphens and underscores")
}

// CheckSize reports an error at v if Fargate offers no tasks with these CPU units and MiB.
func CheckSize(v yamldoc.Value, cpu, memory int) {
	if fargate.ValidSize(cpu, memory) {
		return
	}
	var right, cpus []string
	for _, s := range fargate.Sizes() {
		cpus = append(cpus, strconv.Itoa(s.CPU))
		if s.CPU == cpu {
			right = append(right, strconv.Itoa(s.Memory))
		}
	}
	if len(right) == 0 {
		v.Errorf("Fargate does not offer %d CPU units; use one of %s", cpu, strings.Join(slices.Compact(cpus), ", "))
		return
	}
	if len(right) > 6 {
		right = []string{right[0], right[1], "…", right[len(right)-1]}
	}
	v.Errorf("Fargate does not offer %d CPU units with %d MiB; with this CPU, use one of %s MiB", cpu, memory, strings.Join(right, ", "))
}
