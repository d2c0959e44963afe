package catalog_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"modeldispatch/internal/catalog"
	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
)

// triggerSchemas returns the JSON schemas of one field of a trigger. There are two, because a model may have one trigger
// or a list.
func triggerSchemas(t *testing.T, field string) []map[string]any {
	t.Helper()
	var schema struct{ Properties map[string]any }
	if err := json.Unmarshal(catalog.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	all := below(schema.Properties["triggers"], field)
	if len(all) != 2 {
		t.Errorf("the schema describes %s of a trigger %d times, want 2", field, len(all))
	}
	return all
}

// below returns all objects with a name at any depth of decoded JSON.
func below(v any, name string) []map[string]any {
	var all []map[string]any
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if object, isObject := inner.(map[string]any); isObject && key == name {
				all = append(all, object)
			}
			all = append(all, below(inner, name)...)
		}
	case []any:
		for _, inner := range v {
			all = append(all, below(inner, name)...)
		}
	}
	return all
}

// listed returns the names of fields as the schema lists them.
func listed(k string, fields []event.Field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		if names[i] = f.Name; f.Open {
			names[i] += ".…"
		}
	}
	return k + ": " + strings.Join(names, ", ")
}

var triggerKinds = []model.Kind{model.Schedule, model.Arrival, model.Message, model.After, model.Event}

// The descriptions of `where` and of a trigger's `inputs` list the fields to which package event decodes.
func TestSchemaListsTheFieldsOfEvents(t *testing.T) {
	t.Parallel()
	var placeholders, where []string
	for _, k := range triggerKinds {
		withPlaceholder := slices.DeleteFunc(event.Fields(k), func(f event.Field) bool { return !f.Placeholder })
		placeholders = append(placeholders, listed(string(k), withPlaceholder))
		withWhere := slices.DeleteFunc(event.Fields(k), func(f event.Field) bool { return !f.Where })
		where = append(where, listed(string(k), withWhere))
	}
	placeholders = append(placeholders, listed("all kinds", event.CommonFields()))
	for name, list := range map[string][]string{"where": where, "inputs": placeholders} {
		want := "Fields: " + strings.Join(list, "; ") + "."
		for _, schema := range triggerSchemas(t, name) {
			if got, _ := schema["description"].(string); !strings.HasSuffix(got, want) {
				t.Errorf("%s is described as\n%s\nwant, at its end:\n%s", name, got, want)
			}
		}
	}
}

// The schema of a trigger's `inputs` lists the words that the fields of package event allow.
func TestSchemaListsTheWordsOfInputs(t *testing.T) {
	t.Parallel()
	var want []string
	for _, k := range triggerKinds {
		if word := event.InputsWord(k); word != "" {
			want = append(want, word)
		}
	}
	slices.Sort(want)
	for _, inputs := range triggerSchemas(t, "inputs") {
		var schema struct{ OneOf []struct{ Enum []string } }
		text, err := json.Marshal(inputs)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &schema); err != nil || len(schema.OneOf) == 0 || !slices.Equal(schema.OneOf[0].Enum, want) {
			t.Errorf("inputs has the schema %s (%v), want one of the words %q", text, err, want)
		}
	}
}
