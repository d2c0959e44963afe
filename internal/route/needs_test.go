package route_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"modeldispatch/internal/model"
	"modeldispatch/internal/pattern"
	"modeldispatch/internal/route"
)

// waiting returns a model that waits for objects.
func waiting(t *testing.T, name string, objects ...string) model.Model {
	t.Helper()
	w := &model.WaitFor{}
	for _, text := range objects {
		object, err := model.ParseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		w.Objects = append(w.Objects, object)
	}
	return model.Model{Name: name, Policy: model.Policy{WaitFor: w}}
}

// withTriggers returns a model with these triggers.
func withTriggers(name string, triggers ...model.Trigger) model.Model {
	return model.Model{Name: name, Triggers: triggers}
}

// A bucket has one rule for all models. A wait-for adds to it, unless its bucket depends on inputs.
func TestRules(t *testing.T) {
	t.Parallel()
	glue := json.RawMessage(`{"source":["aws.glue"]}`)
	c := model.Catalog{Models: []model.Model{
		withTriggers("a", model.Trigger{Kind: model.Arrival, Arrival: []string{"s3://landing/b/{x}.csv", "s3://archive/{x}.csv"}}),
		withTriggers("b", model.Trigger{Kind: model.Arrival, Arrival: []string{"s3://landing/a/{x}.csv"}},
			model.Trigger{Kind: model.Event, Name: "glue", Pattern: glue}, model.Trigger{Kind: model.Schedule, Schedule: "rate(1 day)"}),
		withTriggers("c", model.Trigger{Kind: model.Event, Pattern: glue},
			model.Trigger{Kind: model.Event, Pattern: json.RawMessage(`{"source":["acme"]}`)}),
		waiting(t, "d", "s3://landing/a/{day}.csv", "s3://rates/{day}.csv", "s3://rates/eur.csv", "s3://{region}/a.csv"),
	}}
	got, err := route.Rules(c)
	if err != nil {
		t.Fatal(err)
	}
	want := `{[{archive []} {landing [a/ b/]} {rates [ eur.csv]}] [{"source":["acme"]} {"source":["aws.glue"]}]}`
	if text := fmt.Sprintf("{%v %s}", got.Arrivals, got.Events); text != want {
		t.Errorf("the rules are\n%s, want\n%s", text, want)
	}
	compiled, err := c.ForDeployment("team")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := route.Rules(compiled); err != nil || fmt.Sprint(again) != fmt.Sprint(got) {
		t.Errorf("the compiled catalog needs %v (%v), want %v", again, err, got)
	}
}

func TestRulesErrors(t *testing.T) {
	t.Parallel()
	long := json.RawMessage(`{"source":["` + strings.Repeat("x", route.MaxEventPattern) + `"]}`)
	for _, c := range []struct {
		trigger model.Trigger
		want    string
	}{
		{model.Trigger{Kind: model.Arrival, Arrival: []string{"landing/{x}"}}, `model "m": arrival pattern "landing/{x}" is not of the form`},
		{model.Trigger{Kind: model.Event, Name: "t", Pattern: long},
			`model "m": trigger "t": the event pattern has 2063 characters; EventBridge allows 2048`},
	} {
		if _, err := route.Rules(catalog(withTriggers("m", c.trigger))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

// EventBridge accepts the pattern of an arrival rule. The pattern matches each key that an arrival pattern of the rule
// matches, and lists prefixes only if they fit and none is empty.
func TestPatternOfAnArrivalRule(t *testing.T) {
	t.Parallel()
	many := make([]string, 50)
	for i := range many {
		many[i] = fmt.Sprintf("%060d/", i)
	}
	for _, c := range []struct {
		prefixes           []string
		key                string
		isPrefixed, others bool // the pattern has prefixes; it matches other keys
	}{
		{[]string{"a/", "b/"}, "b/1.csv", true, false},
		{[]string{"", "b/"}, "b/1.csv", false, true},
		{many, many[7] + "1.csv", false, true},
	} {
		text, err := json.Marshal(route.ArrivalRule{Bucket: "landing", Prefixes: c.prefixes}.Pattern())
		if err != nil {
			t.Fatal(err)
		}
		p, err := pattern.Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		matches := func(bucket, key string) bool {
			return p.Match(map[string]any{"source": "aws.s3", "detail-type": "Object Created", "detail": map[string]any{
				"bucket": map[string]any{"name": bucket}, "object": map[string]any{"key": key},
			}})
		}
		if !matches("landing", c.key) || matches("landing", "other.csv") != c.others || matches("archive", c.key) {
			t.Errorf("%s matches %s: %v, another key: %v, another bucket: %v", text, c.key,
				matches("landing", c.key), matches("landing", "other.csv"), matches("archive", c.key))
		}
		if got := strings.Contains(string(text), "prefix"); got != c.isPrefixed {
			t.Errorf("%s has prefixes: %v, want %v", text, got, c.isPrefixed)
		}
	}
}

func TestQueues(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:sqs:eu-central-1:111122223333:theirs"
	got := route.Queues(catalog(
		withTriggers("a", model.Trigger{Kind: model.Message, Queue: "requests"}, model.Trigger{Kind: model.Message, Queue: arn}),
		withTriggers("b", model.Trigger{Kind: model.Message, Queue: "requests"}, model.Trigger{Kind: model.Schedule}),
	))
	if want := []model.Queue{{Name: "theirs", ARN: arn}, {Name: "requests"}}; !slices.Equal(got, want) {
		t.Errorf("the queues are %+v, want %+v", got, want)
	}
	if got[0].String() != arn || got[1].String() != "requests" {
		t.Errorf("the queues are written %s and %s", got[0], got[1])
	}
}
