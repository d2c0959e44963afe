package route_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
)

// catalog returns a catalog with the models sorted by name, which is the order in a compiled catalog.
func catalog(models ...model.Model) model.Catalog {
	slices.SortFunc(models, func(a, b model.Model) int { return strings.Compare(a.Name, b.Name) })
	return model.Catalog{Schema: model.Schema, Models: models}
}

func table(t testing.TB, models ...model.Model) *route.Table {
	t.Helper()
	routes, err := route.New(catalog(models...))
	if err != nil {
		t.Fatal(err)
	}
	return routes
}

func template(text string) model.Template {
	t, err := model.ParseTemplate(text)
	if err != nil {
		panic(err)
	}
	return t
}

// assign returns a trigger's inputs map from pairs of name and template.
func assign(pairs ...string) []model.Assignment {
	var all []model.Assignment
	for pair := range slices.Chunk(pairs, 2) {
		all = append(all, model.Assignment{Input: pair[0], Value: template(pair[1])})
	}
	return all
}

func withDefault(in model.Input, text string) model.Input {
	t := template(text)
	in.Default = &t
	return in
}

// forecast returns a model with a trigger of every kind.
func forecast() model.Model {
	return model.Model{
		Name: "sales-forecast",
		Inputs: []model.Input{
			{Name: "region", Type: model.String, Enum: []string{"us", "eu", "apac"}},
			{Name: "date", Type: model.Date, Format: "%Y%m%d"},
			withDefault(model.Input{Name: "file", Type: model.S3URI}, "s3://landing/sales/{region}/{date}.csv"),
			{Name: "rows", Type: model.JSON, AsFile: true, Optional: true},
		},
		Triggers: []model.Trigger{
			{
				Name: "arrival", Kind: model.Arrival, Arrival: []string{"s3://landing/sales/{region}/{date}.csv"},
				Inputs: assign("file", "{object.uri}"),
			},
			{
				Name: "schedule", Kind: model.Schedule, Schedule: "cron(0 6 ? * MON *)", Timezone: "America/New_York",
				ForEach: []model.Axis{{Input: "region", Values: []string{"us", "eu", "apac"}}}, Inputs: assign("date", "{scheduled.date-1d}"),
			},
			{
				Name: "message", Kind: model.Message, Queue: "requests",
				Where: json.RawMessage(`{"body": {"model": ["sales-forecast"]}}`), Fields: "body",
			},
			{Name: "after", Kind: model.After, After: []string{"clean-sales"}, Fields: "upstream"},
			{
				Name: "event", Kind: model.Event, Pattern: json.RawMessage(`{"source": ["aws.glue"], "detail": {"state": ["SUCCEEDED"]}}`),
				Inputs: assign("region", "us", "date", "{event.date:%Y%m%d}"),
			},
		},
	}
}

// arrived returns the event that an object was created.
func arrived(uri string) event.Event {
	object, err := model.ParseObjectURI(uri)
	if err != nil {
		panic(err)
	}
	return event.AssumedArrival(object.Bucket, object.Key, time.Date(2026, 1, 5, 6, 0, 0, 0, time.UTC))
}

// due returns the event that a model's trigger was due.
func due(name, trigger string) event.Event {
	at := time.Date(2026, 1, 5, 11, 0, 0, 0, time.UTC)
	e, err := event.DecodeSchedule(event.SchedulePayload(event.Scheduled{Model: name, Trigger: trigger, Hash: "h", Time: at}))
	if err != nil {
		panic(err)
	}
	return e
}

// sent returns the event that a message was sent to a queue.
func sent(queue, body string) event.Event {
	payload, err := json.Marshal(map[string]any{"Records": []any{map[string]any{
		"messageId": "m-1", "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:111122223333:" + queue, "body": body,
		"attributes": map[string]any{"SentTimestamp": "1767597151000"}, "messageAttributes": map[string]any{},
	}}})
	if err != nil {
		panic(err)
	}
	deliveries, err := event.DecodeMessages(payload)
	if err != nil {
		panic(err)
	}
	return deliveries[0].Message
}

// emitted returns an EventBridge event of a source.
func emitted(source, detail string) event.Event {
	e, err := event.DecodeEventBridge(fmt.Appendf(nil, `{"id": "e-1", "source": %q, "detail-type": "State Change",
		"time": "2026-01-05T06:00:00Z", "detail": %s}`, source, detail))
	if err != nil {
		panic(err)
	}
	return e
}

// runs returns each binding as text: model by trigger[combination]: input=value …
func runs(r route.Result) []string {
	var all []string
	for _, b := range r.Bindings {
		var inputs []string
		for _, name := range slices.Sorted(maps.Keys(b.Inputs)) {
			inputs = append(inputs, name+"="+b.Inputs[name])
		}
		all = append(all, fmt.Sprintf("%s by %s[%s]: %s", b.Model.Name, b.Trigger.Name, b.Combination, strings.Join(inputs, " ")))
	}
	return all
}

// rejections returns each rejection as text: model by trigger[combination]: reason.
func rejections(r route.Result) []string {
	var all []string
	for _, no := range r.Rejections {
		all = append(all, fmt.Sprintf("%s by %s[%s]: %s", no.Model, no.Trigger, no.Combination, no.Reason))
	}
	return all
}

// misses returns each miss as text: model by trigger: reason.
func misses(r route.Result) []string {
	var all []string
	for _, m := range r.Misses {
		all = append(all, fmt.Sprintf("%s by %s: %s", m.Model, m.Trigger, m.Reason))
	}
	return all
}

// same reports an error if got differs from want.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n  %s\nwant:\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}
