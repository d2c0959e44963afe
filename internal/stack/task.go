package stack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"modeldispatch/internal/jsonread"
	"modeldispatch/internal/model"
	"modeldispatch/internal/taskdef"
)

// taskDefinition returns the resource that creates a model's task definition. The family, the roles and the options of
// awslogs are the deployment's own. It returns an error when the definition is not a JSON object.
//
// The resource has Retain policies. Otherwise CloudFormation would deregister a replaced revision, and ECS would
// refuse to launch the runs that were accepted with it.
func taskDefinition(m model.Model, role any) (resource, error) {
	definition, err := decode(m.Task.Definition)
	if err != nil {
		return resource{}, fmt.Errorf("the task definition: %w", err)
	}
	properties := substitute(taskdef.Properties(definition)).(fields)
	properties["Family"] = sub("${Deployment}-" + m.Name)
	properties["TaskRoleArn"], properties["ExecutionRoleArn"] = role, ref("ExecutionRole")
	containers, _ := properties["ContainerDefinitions"].([]any)
	for _, c := range containers {
		if container, isObject := c.(fields); isObject {
			setLogOptions(m.Name, container)
		}
	}
	return resource{logicalID("Task", m.Name), fields{
		"Type": "AWS::ECS::TaskDefinition", "UpdateReplacePolicy": "Retain", "DeletionPolicy": "Retain", "Properties": properties,
	}}, nil
}

// setLogOptions sets the options of a container's awslogs to the deployment's log group, and its stream prefix to the
// model's name, because one log group holds the streams of all models. It removes awslogs-create-group: the deployment
// creates the group.
func setLogOptions(name string, container fields) {
	configuration, _ := container["LogConfiguration"].(fields)
	if configuration["LogDriver"] != "awslogs" {
		return
	}
	options, _ := configuration["Options"].(fields)
	if options == nil {
		options = fields{}
		configuration["Options"] = options
	}
	delete(options, "awslogs-create-group")
	options["awslogs-group"], options["awslogs-region"] = ref("LogGroup"), ref("AWS::Region")
	options["awslogs-stream-prefix"] = name
}

// decode decodes a JSON object. Whole numbers become int64: a float64 would be written to the template as 512.0. decode
// returns an error with the line when the text is not JSON, and when it is not an object.
func decode(text []byte) (fields, error) {
	object, err := jsonread.Object(text)
	if wrong := (*jsonread.Error)(nil); errors.As(err, &wrong) {
		return nil, fmt.Errorf("line %d is not valid JSON: %w", wrong.Line, wrong.Cause)
	}
	if err != nil {
		return nil, fmt.Errorf("expected a JSON object such as {\"name\": \"value\"}, not %.20s", bytes.TrimSpace(text))
	}
	return numbers(object).(fields), nil
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
