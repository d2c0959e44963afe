package stack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode"

	"modeldispatch/internal/model"
)

// taskDefinition converts a task definition from the form of ECS's register-task-definition to CloudFormation's. It
// sets the family, the roles and the awslogs options to the deployment's own. It returns an error when the definition
// is not a JSON object.
//
// The resource has Retain policies. Otherwise CloudFormation would deregister a replaced revision, and ECS would
// refuse to launch the runs that were accepted with it.
func taskDefinition(m model.Model, role any) (resource, error) {
	decoded, err := decode(m.Task.Definition)
	definition, isObject := decoded.(fields)
	if err != nil || !isObject {
		return resource{}, fmt.Errorf("the task definition is not a JSON object: %w", err)
	}
	for _, c := range objects(definition["containerDefinitions"]) {
		setLogPrefix(m.Name, c)
	}
	properties, _ := convert("", definition).(fields)
	properties = substitute(properties).(fields)
	for _, size := range []string{"Cpu", "Memory"} { // strings in a task, numbers in a container
		if n, has := properties[size]; has {
			properties[size] = fmt.Sprint(n)
		}
	}
	properties["Family"] = sub("${Deployment}-" + m.Name)
	properties["TaskRoleArn"], properties["ExecutionRoleArn"] = role, ref("ExecutionRole")
	for _, c := range objects(properties["ContainerDefinitions"]) {
		if options, has := c["LogConfiguration"].(fields); has && options["LogDriver"] == "awslogs" {
			own, _ := options["Options"].(fields)
			own["awslogs-group"], own["awslogs-region"] = ref("LogGroup"), ref("AWS::Region")
		}
	}
	return resource{logicalID("Task", m.Name), fields{
		"Type": "AWS::ECS::TaskDefinition", "UpdateReplacePolicy": "Retain", "DeletionPolicy": "Retain", "Properties": properties,
	}}, nil
}

// decode decodes JSON. Whole numbers become int64: a float64 would be written to the template as 512.0.
func decode(text []byte) (any, error) {
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	var v any
	if err := in.Decode(&v); err != nil {
		return nil, err
	}
	return numbers(v), nil
}

// numbers replaces each json.Number in a value with an int64, or with a float64 when it is not a whole number.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case fields:
		for name := range v {
			v[name] = numbers(v[name])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	}
	return v
}

// objects returns the objects in a list. It returns nil when v is not a list.
func objects(v any) []fields {
	var all []fields
	items, _ := v.([]any)
	for _, item := range items {
		if f, ok := item.(fields); ok {
			all = append(all, f)
		}
	}
	return all
}

// setLogPrefix sets the stream prefix of a container's awslogs to the model's name, because one log group holds the
// streams of all models. It removes awslogs-create-group: the deployment creates the group.
func setLogPrefix(name string, container fields) {
	configuration, _ := container["logConfiguration"].(fields)
	if configuration == nil || configuration["logDriver"] != "awslogs" {
		return
	}
	options, _ := configuration["options"].(fields)
	if options == nil {
		options = fields{}
		configuration["options"] = options
	}
	delete(options, "awslogs-create-group")
	options["awslogs-stream-prefix"] = name
}

// freeForm lists the fields whose objects have keys that the user chooses. convert keeps these keys as they are.
var freeForm = map[string]bool{"options": true, "dockerLabels": true, "driverOpts": true, "labels": true}

// renamed lists the fields whose name in CloudFormation is not ECS's name with a capital letter.
var renamed = map[string]string{
	"efsVolumeConfiguration": "EFSVolumeConfiguration", "fsxWindowsFileServerVolumeConfiguration": "FSxWindowsFileServerVolumeConfiguration",
	"efsVolumeConfiguration.fileSystemId": "FilesystemId", "iam": "IAM", "proxyConfiguration.properties": "ProxyConfigurationProperties",
}

// readOnly lists the fields that describe-task-definition returns and register-task-definition does not take.
var readOnly = []string{
	"taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy", "deregisteredAt",
}

// convert returns a part of a task definition with CloudFormation's field names. at names the field that holds the
// part: "" for the whole definition, "volumes" for its list of volumes, "volumes[]" for one of them. convert omits
// nulls, empty lists and the read-only fields of the definition.
func convert(at string, v any) any {
	switch v := v.(type) {
	case fields:
		if at == "" {
			for _, name := range readOnly {
				delete(v, name)
			}
		}
		out := fields{}
		for name, value := range v {
			if isEmpty(value) {
				continue
			}
			if freeForm[at] {
				out[name] = value
				continue
			}
			out[propertyName(at, name)] = convert(name, value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = convert(at+"[]", v[i])
		}
		return out
	}
	return v
}

// propertyName returns CloudFormation's name of a field. at is the name of the field that holds it.
func propertyName(at, name string) string {
	for _, key := range []string{at + "." + name, name} {
		if other, has := renamed[key]; has {
			return other
		}
	}
	return string(unicode.ToUpper(rune(name[0]))) + name[1:]
}

// isEmpty reports whether a value is null or an empty list.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	}
	return false
}
