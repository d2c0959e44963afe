package catalog

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

//go:embed model.schema.json
var schema []byte

// Schema returns the JSON schema of model.yaml. Editors use it for completion and checks.
func Schema() []byte { return schema }

// ProjectSchema returns the JSON schema of modeldispatch.yaml. It copies the fields of defaults from the schema of
// model.yaml.
func ProjectSchema() []byte {
	text, err := json.MarshalIndent(object("The settings that all models of a project share.", node{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "modeldispatch modeldispatch.yaml",
		"properties": node{
			"defaults": object("Fields of model.yaml for the models that do not set them.", node{"properties": defaultProperties()}),
			"environments": object("The environments by name. local is this machine, and exists without an entry.", node{
				"additionalProperties": environmentSchema(),
			}),
			"pools": object("Pools that models share, by name: how many of their runs may run at the same time, from 1 to 200.", node{
				"additionalProperties": node{"type": "integer", "minimum": 1, "maximum": 200},
			}),
		},
	}), "", "  ")
	if err != nil {
		panic(fmt.Sprintf("encoding the schema: %v", err)) // cannot happen: it is plain data
	}
	return append(text, '\n')
}

// node is an object of a JSON schema.
type node map[string]any

// object returns the schema of an object. Without additionalProperties, it accepts no other fields than its properties.
func object(description string, more node) node {
	more["type"], more["description"] = "object", description
	if _, open := more["additionalProperties"]; !open {
		more["additionalProperties"] = false
	}
	return more
}

// defaultProperties returns the parts of the schema of model.yaml that describe the fields of defaults.
func defaultProperties() node {
	var ofModel struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(schema, &ofModel); err != nil {
		panic(fmt.Sprintf("decoding the embedded schema: %v", err)) // cannot happen: a test reads it
	}
	defaults := node{}
	for _, name := range defaultable {
		defaults[name] = ofModel.Properties[name]
	}
	return defaults
}

// environmentSchema returns the schema of one entry of environments.
func environmentSchema() node {
	return object("A place where the models run.", node{"properties": node{
		"stack": node{
			"type": "string", "pattern": nameForm.String(),
			"description": "The name of the CloudFormation stack, which is also the name of the deployment. Default: modeldispatch.",
		},
		"variables": object("The variables that model.yaml may use as ${NAME}, with their values.", node{
			"patternProperties": node{variableNameForm.String(): node{"type": []string{"string", "number", "boolean"}}},
		}),
		"triggers": node{
			"enum":        []string{"active", "paused"},
			"description": "paused: no event starts a run, except the success of another model. Default: active.",
		},
	}})
}
