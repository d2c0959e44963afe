package stack_test

import (
	"encoding/json"
	"testing"

	"modeldispatch/internal/model"
	"modeldispatch/internal/stack"
)

// TestBadJSON checks the errors about a task definition and a policy.json that do not hold a JSON object.
func TestBadJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`[]`:                        `expected a JSON object such as {"name": "value"}, not []`,
		` null`:                     `expected a JSON object such as {"name": "value"}, not null`,
		`"cpu"`:                     `expected a JSON object such as {"name": "value"}, not "cpu"`,
		`{} {}`:                     `line 1 is not valid JSON: invalid character '{' after top-level value`,
		"{\n  \"cpu\": \"256\",\n}": `line 3 is not valid JSON: invalid character '}' looking for beginning of object key string`,
		`{`:                         `line 1 is not valid JSON: unexpected end of JSON input`,
	} {
		m := model.Model{Name: "m", Task: model.Task{Definition: json.RawMessage(text)}}
		_, err := stack.Generate(model.Catalog{Models: []model.Model{m}}, nil, now)
		if err == nil || err.Error() != `model "m": the task definition: `+want {
			t.Errorf("definition %q: Generate = %v, want %s", text, err, want)
		}
		m.Task.Definition = json.RawMessage(plainDefinition)
		_, err = stack.Generate(model.Catalog{Models: []model.Model{m}}, map[string][]byte{"m": []byte(text)}, now)
		if err == nil || err.Error() != `model "m": policy.json: `+want {
			t.Errorf("policy %q: Generate = %v, want %s", text, err, want)
		}
	}
}
