package route_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
)

// Route, which uses the index, finds the same as a scan. The scan tries each trigger of a model alone, in the order of
// the file, until one matches the event.
func TestRouteEqualsAScan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		models := drawModels(t)
		routes, err := route.New(catalog(models...))
		if err != nil {
			t.Fatal(err)
		}
		e := drawEvent(t)
		got, want := routes.Route(e), scan(t, models, e)
		if !slices.Equal(runs(got), runs(want)) || !slices.Equal(rejections(got), rejections(want)) {
			t.Errorf("%s %s:\nruns %q, rejections %q\nscan %q, rejections %q",
				e.Kind, e.Identity, runs(got), rejections(got), runs(want), rejections(want))
		}
	})
}

// scan makes a table for each trigger and calls Explain, which uses no index.
func scan(t *rapid.T, models []model.Model, e event.Event) route.Result {
	var all route.Result
	for _, m := range models {
		for _, trigger := range m.Triggers {
			alone := m
			alone.Triggers = []model.Trigger{trigger}
			routes, err := route.New(catalog(alone))
			if err != nil {
				t.Fatal(err)
			}
			if r := routes.Explain(e); len(r.Bindings)+len(r.Rejections) > 0 {
				all.Bindings = append(all.Bindings, r.Bindings...)
				all.Rejections = append(all.Rejections, r.Rejections...)
				break
			}
		}
	}
	return all
}

// There are few names, so that a model matches most events.
var (
	buckets = rapid.SampledFrom([]string{"landing", "archive"})
	names   = rapid.SampledFrom([]string{"a", "b", "ab"})
	queues  = rapid.SampledFrom([]string{"requests", "orders"})
	sources = rapid.SampledFrom([]string{"aws.glue", "acme.app"})
	tails   = rapid.SampledFrom([]string{"{x}", "{x}.csv", "{x*}", "*", "**", "{x}/{n}", "a/{n}.csv", "a", "ab/{x}"})
)

func drawModels(t *rapid.T) []model.Model {
	models := make([]model.Model, rapid.IntRange(0, 6).Draw(t, "models"))
	for i := range models {
		m := model.Model{Name: fmt.Sprintf("m%d", i), Inputs: []model.Input{
			{Name: "x", Type: model.String, Optional: true}, {Name: "n", Type: model.Integer, Optional: true},
		}}
		for j := range rapid.IntRange(0, 3).Draw(t, "triggers") {
			m.Triggers = append(m.Triggers, drawTrigger(t, fmt.Sprintf("t%d", j)))
		}
		models[i] = keepFirstEventTrigger(m)
	}
	return models
}

// keepFirstEventTrigger removes all event triggers of a model but the first.
func keepFirstEventTrigger(m model.Model) model.Model {
	found := false
	m.Triggers = slices.DeleteFunc(m.Triggers, func(t model.Trigger) bool {
		second := found && t.Kind == model.Event
		found = found || t.Kind == model.Event
		return second
	})
	return m
}

func drawTrigger(t *rapid.T, name string) model.Trigger {
	kinds := []model.Kind{model.Schedule, model.Arrival, model.Arrival, model.Message, model.After, model.Event}
	trigger := model.Trigger{Name: name, Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
	switch trigger.Kind {
	case model.Schedule:
		trigger.ForEach = rapid.SampledFrom([][]model.Axis{
			nil, {{Input: "x", Values: []string{"a", "b"}}}, {{Input: "n", Values: []string{"1", "one"}}},
		}).Draw(t, "axes")
	case model.Arrival:
		for range rapid.IntRange(1, 2).Draw(t, "patterns") {
			trigger.Arrival = append(trigger.Arrival, "s3://"+buckets.Draw(t, "bucket")+"/"+names.Draw(t, "folder")+"/"+tails.Draw(t, "tail"))
		}
	case model.Message:
		trigger.Queue, trigger.Fields = queues.Draw(t, "queue"), "body"
		trigger.Where = rapid.SampledFrom([]json.RawMessage{nil, json.RawMessage(`{"body": {"x": ["a"]}}`)}).Draw(t, "where")
	case model.After:
		trigger.After = []string{"m1", "m0"}
	case model.Event:
		trigger.Pattern = rapid.SampledFrom([]json.RawMessage{
			json.RawMessage(`{"source": ["aws.glue"]}`), json.RawMessage(`{"source": ["aws.glue", "acme.app"], "detail": {"x": ["a"]}}`),
			json.RawMessage(`{"source": [{"prefix": "a"}]}`), json.RawMessage(`{"detail": {"x": [{"exists": true}]}}`),
			json.RawMessage(`{"$or": [{"source": ["acme.app"]}, {"detail": {"x": ["b"]}}]}`),
		}).Draw(t, "pattern")
		trigger.Inputs = assign("x", "{detail.x}", "n", "{detail.n}")
	}
	return trigger
}

func drawEvent(t *rapid.T) event.Event {
	n := rapid.SampledFrom([]string{"1", "1.5", "null", `"one"`})
	body := fmt.Sprintf(`{"x": %q, "n": %s}`, names.Draw(t, "x"), n.Draw(t, "n"))
	switch rapid.IntRange(0, 4).Draw(t, "event") {
	case 0:
		name := rapid.SampledFrom([]string{"m0", "m1", "m9"}).Draw(t, "model")
		return due(name, rapid.SampledFrom([]string{"t0", "t1"}).Draw(t, "trigger"))
	case 1:
		return sent(queues.Draw(t, "queue"), body)
	case 2:
		return finished(rapid.SampledFrom([]string{"m0", "m9"}).Draw(t, "model"), nil)
	case 3:
		return emitted(sources.Draw(t, "source"), body)
	default:
		key := rapid.SampledFrom([]string{"a/a", "a/b.csv", "a/a/1.csv", "ab/ab/b", "b/a/soon", "b/", "a/ab/c"}).Draw(t, "key")
		return arrived("s3://" + buckets.Draw(t, "bucket") + "/" + key)
	}
}
