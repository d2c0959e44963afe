package route_test

import (
	"strings"
	"testing"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
)

// TestControlCharactersAreRejected gives an input a control character from each origin that a value can have.
func TestControlCharactersAreRejected(t *testing.T) {
	t.Parallel()
	const hostile = "\x1b[2J"
	upstream := map[string]model.Value{"x": model.Text(hostile)}
	object := arrived("s3://landing/" + hostile)
	anyKey, acme := []string{"s3://landing/*"}, []byte(`{"source": ["acme"]}`)
	for name, c := range map[string]struct {
		trigger model.Trigger
		event   event.Event
	}{
		"a capture":       {model.Trigger{Kind: model.Arrival, Arrival: []string{"s3://landing/{x}"}}, object},
		"a key":           {model.Trigger{Kind: model.Arrival, Arrival: anyKey, Inputs: assign("x", "{object.key}")}, object},
		"a URI":           {model.Trigger{Kind: model.Arrival, Arrival: anyKey, Inputs: assign("x", "{object.uri}")}, object},
		"a message":       {model.Trigger{Kind: model.Message, Queue: "requests", Fields: "body"}, sent("requests", `{"x": "\u001b[2J"}`)},
		"an event":        {model.Trigger{Kind: model.Event, Pattern: acme, Fields: "detail"}, emitted("acme", `{"x": "\u001b[2J"}`)},
		"another model":   {model.Trigger{Kind: model.After, After: []string{"clean"}, Fields: "upstream"}, finished("clean", upstream)},
		"for-each":        {model.Trigger{Kind: model.Schedule, ForEach: []model.Axis{{Input: "x", Values: []string{hostile}}}}, due("m", "t")},
		"an input's text": {model.Trigger{Kind: model.Schedule, Inputs: assign("x", hostile+"{scheduled.date}")}, due("m", "t")},
		"a default":       {model.Trigger{Kind: model.Schedule}, due("m", "t")},
	} {
		c.trigger.Name = "t"
		in := withDefault(model.Input{Name: "x", Type: model.String}, hostile)
		result := table(t, model.Model{Name: "m", Inputs: []model.Input{in}, Triggers: []model.Trigger{c.trigger}}).Route(c.event)
		if len(result.Bindings) > 0 || len(result.Rejections) != 1 || !namesCharacter(result.Rejections[0].Reason) {
			t.Errorf("%s: %q rejections %q", name, runs(result), rejections(result))
		}
	}

	m := model.Model{Name: "m", Inputs: []model.Input{{Name: "x", Type: model.String}}}
	if inputs, _, err := table(t, m).Bind(m, map[string]string{"x": hostile}); err == nil || !namesCharacter(err.Error()) {
		t.Errorf("by hand: %q, error %v", inputs, err)
	}
}

// namesCharacter reports whether a reason names the input and the character, and is safe to print.
func namesCharacter(reason string) bool {
	return strings.HasPrefix(reason, "x: ") && !strings.Contains(reason, "\x1b") &&
		strings.Contains(reason, `has the control character '\x1b' at character `)
}

// TestJSONInputsCarryControlCharacters sends control characters in the escaped form of JSON.
func TestJSONInputsCarryControlCharacters(t *testing.T) {
	t.Parallel()
	m := model.Model{
		Name: "m", Inputs: []model.Input{{Name: "rows", Type: model.JSON}},
		Triggers: []model.Trigger{{Name: "message", Kind: model.Message, Queue: "requests", Fields: "body"}},
	}
	result := table(t, m).Route(sent("requests", `{"rows": ["\u0001\r"]}`))
	same(t, "runs", runs(result), []string{`m by message[]: rows=["\u0001\r"]`})
	same(t, "rejections", rejections(result), nil)
}
