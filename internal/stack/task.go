package stack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode"

	"modeldispatch/internal/model"
)

// taskDefinition turns a definition of ECS's register-task-definition form into CloudFormation's. Its family, its roles
// and where it logs are the deployment's. A replaced revision is kept: CloudFormation would deregister it, and runs that
// were accepted with it could not be launched any more.
func taskDefinition(m model.Model, role any) (resource, error) {
	decoded, err := decode(m.Task.Definition)
	definition, isObject := decoded.(fields)
	if err != nil || !isObject {
		return resource{}, fmt.Errorf("its task definition is no JSON object: %w", err)
	}
	for _, c := range list(definition["containerDefinitions"]) {
		logs(m.Name, c)
	}
	properties, _ := capitalised("", definition).(fields)
	properties = substituted(properties).(fields)
	for _, size := range []string{"Cpu", "Memory"} { // of a task these are text, of a container they are numbers
		if n, has := properties[size]; has {
			properties[size] = fmt.Sprint(n)
		}
	}
	properties["Family"] = sub("${Deployment}-" + m.Name)
	properties["TaskRoleArn"], properties["ExecutionRoleArn"] = role, ref("ExecutionRole")
	for _, c := range list(properties["ContainerDefinitions"]) {
		if options, has := c["LogConfiguration"].(fields); has && options["LogDriver"] == "awslogs" {
			own, _ := options["Options"].(fields)
			own["awslogs-group"], own["awslogs-region"] = ref("LogGroup"), ref("AWS::Region")
		}
	}
	return resource{id("Task", m.Name), fields{
		"Type": "AWS::ECS::TaskDefinition", "UpdateReplacePolicy": "Retain", "DeletionPolicy": "Retain", "Properties": properties,
	}}, nil
}

// decode decodes JSON, its whole numbers as such.
func decode(text []byte) (any, error) {
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	var v any
	if err := in.Decode(&v); err != nil {
		return nil, err
	}
	return numbers(v), nil
}

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

func list(v any) []fields {
	var all []fields
	items, _ := v.([]any)
	for _, item := range items {
		if f, ok := item.(fields); ok {
			all = append(all, f)
		}
	}
	return all
}

// logs gives a container's awslogs the prefix of its model: one log group holds the streams of all models.
func logs(name string, container fields) {
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

// maps whose keys are the user's own.
var literal = map[string]bool{"options": true, "dockerLabels": true, "driverOpts": true, "labels": true}

// renamed are the fields that CloudFormation calls otherwise than ECS with a capital letter.
var renamed = map[string]string{
	"efsVolumeConfiguration": "EFSVolumeConfiguration", "fsxWindowsFileServerVolumeConfiguration": "FSxWindowsFileServerVolumeConfiguration",
	"efsVolumeConfiguration.fileSystemId": "FilesystemId", "iam": "IAM", "proxyConfiguration.properties": "ProxyConfigurationProperties",
}

// unknown are fields that describe-task-definition answers, and nothing registers.
var unknown = []string{"taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy", "deregisteredAt"}

// capitalised gives the fields of a definition CloudFormation's names. What is null, or an empty list, is left out.
func capitalised(at string, v any) any {
	switch v := v.(type) {
	case fields:
		if at == "" {
			for _, name := range unknown {
				delete(v, name)
			}
		}
		out := fields{}
		for name, value := range v {
			if empty(value) {
				continue
			}
			if literal[at] {
				out[name] = value
				continue
			}
			out[property(at, name)] = capitalised(name, value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = capitalised(at+"[]", v[i])
		}
		return out
	}
	return v
}

func property(at, name string) string {
	for _, key := range []string{at + "." + name, name} {
		if other, has := renamed[key]; has {
			return other
		}
	}
	return string(unicode.ToUpper(rune(name[0]))) + name[1:]
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	}
	return false
}
