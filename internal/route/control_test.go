package route_test

import (
	"strings"
	"testing"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
)

// TestControlCharactersAreRejected has one come to an input by each way on which values come.
func TestControlCharactersAreRejected(t *testing.T) {
	t.Parallel()
	const hostile = "\x1b[2J"
	upstream := map[string]model.Value{"x": model.Text(hostile)}
	for name, c := range map[string]struct {
		trigger model.Trigger
		event   event.Event
	}{
		"a capture":       {model.Trigger{Kind: model.Arrival, Arrival: []string{"s3://landing/{x}"}}, arrived("s3://landing/" + hostile)},
		"a key":           {model.Trigger{Kind: model.Arrival, Arrival: []string{"s3://landing/*"}, Inputs: assign("x", "{object.key}")}, arrived("s3://landing/" + hostile)},
		"a URI":           {model.Trigger{Kind: model.Arrival, Arrival: []string{"s3://landing/*"}, Inputs: assign("x", "{object.uri}")}, arrived("s3://landing/" + hostile)},
		"a message":       {model.Trigger{Kind: model.Message, Queue: "requests", Fields: "body"}, sent("requests", `{"x": "\u001b[2J"}`)},
		"an event":        {model.Trigger{Kind: model.Event, Pattern: []byte(`{"source": ["acme"]}`), Fields: "detail"}, emitted("acme", `{"x": "\u001b[2J"}`)},
		"another model":   {model.Trigger{Kind: model.After, After: []string{"clean"}, Fields: "upstream"}, finished("clean", upstream)},
		"for-each":        {model.Trigger{Kind: model.Schedule, ForEach: []model.Axis{{Input: "x", Values: []string{hostile}}}}, due("m", "t")},
		"an input's text": {model.Trigger{Kind: model.Schedule, Inputs: assign("x", hostile+"{scheduled.date}")}, due("m", "t")},
		"a default":       {model.Trigger{Kind: model.Schedule}, due("m", "t")},
	} {
		c.trigger.Name = "t"
		in := withDefault(model.Input{Name: "x", Type: model.String}, hostile)
		result := table(t, model.Model{Name: "m", Inputs: []model.Input{in}, Triggers: []model.Trigger{c.trigger}}).Route(c.event)
		if len(result.Bindings) > 0 || len(result.Rejections) != 1 || !saysWhich(result.Rejections[0].Reason) {
			t.Errorf("%s: %q rejections %q", name, runs(result), rejections(result))
		}
	}

	m := model.Model{Name: "m", Inputs: []model.Input{{Name: "x", Type: model.String}}}
	if inputs, _, err := table(t, m).Bind(m, map[string]string{"x": hostile}); err == nil || !saysWhich(err.Error()) {
		t.Errorf("by hand: %q, error %v", inputs, err)
	}
}

// saysWhich reports whether a reason names the input and the character, and can be printed.
func saysWhich(reason string) bool {
	return strings.HasPrefix(reason, "x: ") && strings.Contains(reason, `has the control character '\x1b' at character `) && !strings.Contains(reason, "\x1b")
}

// TestJSONInputsCarryControlCharacters has a message carry one, escaped as JSON does.
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
