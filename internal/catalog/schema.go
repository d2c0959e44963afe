package catalog

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

//go:embed model.schema.json
var schema []byte

// Schema is the JSON schema of model.yaml, from which editors complete it.
func Schema() []byte { return schema }

// ProjectSchema is the JSON schema of modeldispatch.yaml. Its defaults are as in model.yaml.
func ProjectSchema() []byte {
	var ofModel struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(schema, &ofModel); err != nil {
		panic(fmt.Sprintf("the embedded schema is no JSON: %v", err)) // a test reads it
	}
	type fields map[string]any
	object := func(description string, more fields) fields {
		more["type"], more["description"] = "object", description
		if _, open := more["additionalProperties"]; !open {
			more["additionalProperties"] = false
		}
		return more
	}
	defaults := fields{}
	for _, name := range defaultable {
		defaults[name] = ofModel.Properties[name]
	}
	environment := object("Where the models run.", fields{"properties": fields{
		"stack":     fields{"type": "string", "pattern": nameForm.String(), "description": "The CloudFormation stack, and name of the deployment."},
		"variables": object("What ${NAME} stands for in model.yaml.", fields{"patternProperties": fields{variableNameForm.String(): fields{"type": []string{"string", "number", "boolean"}}}}),
		"triggers":  fields{"enum": []string{"active", "paused"}, "description": "paused: nothing is started by itself."},
	}})
	text, err := json.MarshalIndent(object("What all models of a project share.", fields{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "modeldispatch modeldispatch.yaml",
		"properties": fields{
			"defaults":     object("For all models that do not say themselves.", fields{"properties": defaults}),
			"environments": object("Each with its variables; local is this machine.", fields{"additionalProperties": environment}),
			"pools": object("Concurrency that models share: name and how many runs at a time.", fields{
				"additionalProperties": fields{"type": "integer", "minimum": 1, "maximum": 200},
			}),
		},
	}), "", "  ")
	if err != nil {
		panic(fmt.Sprintf("a schema that cannot be encoded: %v", err)) // plain data: cannot happen
	}
	return append(text, '\n')
}
