package route_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
)

// Each kind of event starts runs of the sales forecast with their inputs, or gives the reason for a rejection.
func TestRoute(t *testing.T) {
	t.Parallel()
	const arrival = "sales-forecast by arrival[]: "
	tests := []struct {
		name       string
		event      event.Event
		runs       []string
		rejections []string
	}{
		{
			"captures bind the inputs of the same name, the inputs map binds others", arrived("s3://landing/sales/us/20260105.csv"),
			[]string{arrival + "date=2026-01-05 file=s3://landing/sales/us/20260105.csv region=us"}, nil,
		},
		{
			"a key that matches but gives an invalid input is rejected", arrived("s3://landing/sales/xx/20260105.csv"),
			nil, []string{arrival + `region: "xx" is not one of us, eu, apac`},
		},
		{"a key that does not match the pattern", arrived("s3://landing/sales/us.csv"), nil, nil},
		{"a key in another bucket", arrived("s3://archive/sales/us/20260105.csv"), nil, nil},
		{
			"a schedule with for-each starts one run for each value, with times in its zone", due("sales-forecast", "schedule"),
			[]string{
				"sales-forecast by schedule[region=us]: date=2026-01-04 file=s3://landing/sales/us/20260104.csv region=us",
				"sales-forecast by schedule[region=eu]: date=2026-01-04 file=s3://landing/sales/eu/20260104.csv region=eu",
				"sales-forecast by schedule[region=apac]: date=2026-01-04 file=s3://landing/sales/apac/20260104.csv region=apac",
			}, nil,
		},
		{"a schedule of an unknown model", due("other", "schedule"), nil, nil},
		{"a schedule of an unknown trigger", due("sales-forecast", "nightly"), nil, nil},
		{
			"the fields of a message bind the inputs of the same name, other fields are ignored",
			sent("requests", `{"model": "sales-forecast", "region": "eu", "date": "20260105", "rows": [{"a": 1}], "else": 1}`),
			[]string{`sales-forecast by message[]: date=2026-01-05 file=s3://landing/sales/eu/20260105.csv region=eu rows=[{"a":1}]`}, nil,
		},
		{
			"null in a message is absent, so an optional input is unset",
			sent("requests", `{"model": "sales-forecast", "region": "eu", "date": "20260105", "rows": null}`),
			[]string{"sales-forecast by message[]: date=2026-01-05 file=s3://landing/sales/eu/20260105.csv region=eu"}, nil,
		},
		{"a message for another model", sent("requests", `{"model": "other", "region": "eu", "date": "20260105"}`), nil, nil},
		{"a message of another queue", sent("orders", `{"model": "sales-forecast", "region": "eu", "date": "20260105"}`), nil, nil},
		{"a message that is not JSON", sent("requests", `sales-forecast, please`), nil, nil},
		{
			"an EventBridge event", emitted("aws.glue", `{"state": "SUCCEEDED"}`),
			[]string{"sales-forecast by event[]: date=2026-01-05 file=s3://landing/sales/us/20260105.csv region=us"}, nil,
		},
		{"an event that does not match the pattern", emitted("aws.glue", `{"state": "FAILED"}`), nil, nil},
		{"an event of another source", emitted("acme.app", `{"state": "SUCCEEDED"}`), nil, nil},
		{
			"the inputs of an upstream run bind the inputs of the same name",
			finished("clean-sales", map[string]model.Value{"region": model.Text("apac"), "date": {Type: model.Date, Text: "2026-01-05"}}),
			[]string{"sales-forecast by after[]: date=2026-01-05 file=s3://landing/sales/apac/20260105.csv region=apac"}, nil,
		},
		{"a success of a model that it does not run after", finished("other", nil), nil, nil},
	}
	routes := table(t, forecast())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			result := routes.Route(test.event)
			same(t, "runs", runs(result), test.runs)
			same(t, "rejections", rejections(result), test.rejections)
		})
	}
}

// finished returns the event that a run of a model succeeded.
func finished(name string, inputs map[string]model.Value) event.Event {
	return event.After(event.Upstream{Model: name, Run: name + "-5kq2m7x4ab3c", Inputs: inputs}, time.Date(2026, 1, 5, 6, 0, 0, 0, time.UTC))
}

// The subtests stand in the order in which an input looks for its value.
func TestBindingOrder(t *testing.T) {
	t.Parallel()
	region := func(changes ...func(*model.Input)) []model.Input {
		in := model.Input{Name: "region", Type: model.String}
		for _, change := range changes {
			change(&in)
		}
		return []model.Input{in}
	}
	defaulted := func(in *model.Input) { *in = withDefault(*in, "by default") }
	optional := func(in *model.Input) { in.Optional = true }
	captures, other := []string{"s3://landing/{region}.csv"}, []string{"s3://landing/{other}.csv"}
	each := []model.Axis{{Input: "region", Values: []string{"each"}}}
	tests := []struct {
		name, want string
		inputs     []model.Input
		trigger    model.Trigger
	}{
		{
			"for-each comes first", "each", region(defaulted),
			model.Trigger{Arrival: captures, ForEach: each, Inputs: assign("region", "assigned")},
		},
		{
			"then the trigger's inputs map", "assigned", region(defaulted),
			model.Trigger{Arrival: captures, Inputs: assign("region", "assigned")},
		},
		{
			"the inputs map may put a capture into text", "in key.", region(defaulted),
			model.Trigger{Arrival: captures, Inputs: assign("region", "in {region}.")},
		},
		{"then the capture of the same name", "key", region(defaulted), model.Trigger{Arrival: captures}},
		{"then the default", "by default", region(defaulted), model.Trigger{Arrival: other}},
		{
			"an absent field in the inputs map leaves the input to its default", "by default", region(defaulted),
			model.Trigger{Arrival: []string{"s3://landing/*.csv"}, Inputs: assign("region", "{object.version}")},
		},
		{"an optional input is unset", "unset", region(optional), model.Trigger{Arrival: other}},
		{"an optional input takes its default", "by default", region(optional, defaulted), model.Trigger{Arrival: other}},
		{"an input without any value is rejected", "rejected", region(), model.Trigger{Arrival: other}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.trigger.Kind, test.trigger.Name = model.Arrival, "arrival"
			m := model.Model{Name: "m", Inputs: test.inputs, Triggers: []model.Trigger{test.trigger}}
			result := table(t, m).Route(arrived("s3://landing/key.csv"))
			got := "rejected"
			if len(result.Bindings) == 1 && len(result.Rejections) == 0 {
				if text, set := result.Bindings[0].Inputs["region"]; set {
					got = text
				} else {
					got = "unset"
				}
			} else if len(result.Rejections) != 1 || !strings.HasPrefix(result.Rejections[0].Reason, "region: ") {
				t.Errorf("result %+v", result)
			}
			if got != test.want {
				t.Errorf("region is %q, want %q", got, test.want)
			}
		})
	}
}

// Every binding names the origin of each input's value.
func TestBindingNamesOriginOfEachInput(t *testing.T) {
	t.Parallel()
	routes := table(t, forecast())
	byKey := routes.Route(arrived("s3://landing/sales/us/20260105.csv")).Bindings[0].From
	if byKey["region"] != "the key" || byKey["file"] != "{object.uri}" {
		t.Errorf("for an arrival: %v", byKey)
	}
	due := routes.Route(due("sales-forecast", "schedule")).Bindings[0].From
	if due["region"] != "for-each" || due["date"] != "{scheduled.date-1d}" || !strings.Contains(due["file"], "default") {
		t.Errorf("for a schedule: %v", due)
	}
	message := routes.Route(sent("requests", `{"model": "sales-forecast", "region": "eu", "date": "20260105"}`)).Bindings[0].From
	if message["region"] != "body.region" {
		t.Errorf("for a message: %v", message)
	}
}

// The first trigger that matches an event wins, even if its inputs are wrong and the second trigger would give valid
// ones.
func TestFirstTriggerWins(t *testing.T) {
	t.Parallel()
	m := model.Model{
		Name:   "m",
		Inputs: []model.Input{{Name: "year", Type: model.Integer}},
		Triggers: []model.Trigger{
			{Name: "narrow", Kind: model.Arrival, Arrival: []string{"s3://landing/weather/{year}.csv"}},
			{Name: "wide", Kind: model.Arrival, Arrival: []string{"s3://landing/{path*}"}, Inputs: assign("year", "2000")},
		},
	}
	routes := table(t, m)
	same(t, "both match it", runs(routes.Route(arrived("s3://landing/weather/2026.csv"))), []string{"m by narrow[]: year=2026"})
	same(t, "one matches it", runs(routes.Route(arrived("s3://landing/other.csv"))), []string{"m by wide[]: year=2000"})
	wrong := routes.Route(arrived("s3://landing/weather/soon.csv"))
	same(t, "runs", runs(wrong), nil)
	same(t, "rejections", rejections(wrong), []string{`m by narrow[]: year: "soon" is not an integer of at most 64 bits`})
}

// The patterns of a trigger are tried in order. If two match, the event starts one run.
func TestListOfPatterns(t *testing.T) {
	t.Parallel()
	m := model.Model{
		Name:   "m",
		Inputs: []model.Input{{Name: "name", Type: model.String}},
		Triggers: []model.Trigger{{
			Name: "arrival", Kind: model.Arrival,
			Arrival: []string{"s3://landing/in/{name}.csv", "s3://landing/{name}", "s3://archive/{name*}"},
		}},
	}
	routes := table(t, m)
	same(t, "the first", runs(routes.Route(arrived("s3://landing/in/a.csv"))), []string{"m by arrival[]: name=a"})
	same(t, "the second", runs(routes.Route(arrived("s3://landing/b.csv"))), []string{"m by arrival[]: name=b.csv"})
	same(t, "another bucket", runs(routes.Route(arrived("s3://archive/c/d.csv"))), []string{"m by arrival[]: name=c/d.csv"})
}

// Two axes give one run for each combination. A combination with a wrong input does not affect the others.
func TestForEachCombination(t *testing.T) {
	t.Parallel()
	m := model.Model{
		Name:   "m",
		Inputs: []model.Input{{Name: "region", Type: model.String, Enum: []string{"us", "eu"}}, {Name: "n", Type: model.Integer}},
		Triggers: []model.Trigger{{
			Name: "schedule", Kind: model.Schedule,
			ForEach: []model.Axis{{Input: "region", Values: []string{"us", "xx"}}, {Input: "n", Values: []string{"1", "2"}}},
		}},
	}
	result := table(t, m).Route(due("m", "schedule"))
	same(t, "runs", runs(result), []string{"m by schedule[n=1,region=us]: n=1 region=us", "m by schedule[n=2,region=us]: n=2 region=us"})
	same(t, "rejections", rejections(result), []string{
		`m by schedule[n=1,region=xx]: region: "xx" is not one of us, eu`, `m by schedule[n=2,region=xx]: region: "xx" is not one of us, eu`,
	})
}

// A rejection names every input that is wrong.
func TestRejectionNamesAll(t *testing.T) {
	t.Parallel()
	m := model.Model{
		Name:   "m",
		Inputs: []model.Input{{Name: "year", Type: model.Integer}, {Name: "full", Type: model.Boolean}, {Name: "who", Type: model.String}},
		Triggers: []model.Trigger{
			{Name: "message", Kind: model.Message, Queue: "arn:aws:sqs:eu-central-1:111122223333:requests", Fields: "body"},
		},
	}
	result := table(t, m).Route(sent("requests", `{"year": "last", "full": "maybe"}`))
	same(t, "rejections", rejections(result), []string{
		`m by message[]: year: "last" is not an integer of at most 64 bits; full: "maybe" is not a boolean: true or false; ` +
			`who: the event has no body.who, and the input has no default`,
	})
}

// A default has no value if an input that it uses has none.
func TestRejectionNamesInputOfDefault(t *testing.T) {
	t.Parallel()
	region := model.Input{Name: "region", Type: model.String, Enum: []string{"us", "eu"}}
	file := withDefault(model.Input{Name: "file", Type: model.S3URI}, "s3://landing/sales/{region}.csv")
	for _, c := range []struct {
		trigger model.Trigger
		want    string
	}{
		{model.Trigger{}, `trigger "message" does not bind it, and it has a default that uses {region}, which has no value`},
		{
			model.Trigger{Fields: "body"},
			`the event has no body.file, and the input has a default that uses {region}, which has no value`,
		},
		{
			model.Trigger{Inputs: assign("region", "{body.region}", "file", "{body.path}")},
			`the event has no body.path, and the input has a default that uses {region}, which has no value`,
		},
	} {
		c.trigger.Name, c.trigger.Kind, c.trigger.Queue = "message", model.Message, "arn:aws:sqs:eu-central-1:111122223333:requests"
		m := model.Model{Name: "m", Inputs: []model.Input{region, file}, Triggers: []model.Trigger{c.trigger}}
		got := rejections(table(t, m).Route(sent("requests", `{"region": "xx"}`)))
		if len(got) != 1 || !strings.HasSuffix(got[0], "file: "+c.want) {
			t.Errorf("rejections %q, want one that ends with %q", got, c.want)
		}
	}
}

// The S3 console creates an empty object with a slash at its end for a folder. No trigger matches it.
func TestFolderMarker(t *testing.T) {
	t.Parallel()
	m := model.Model{Name: "m", Triggers: []model.Trigger{{Name: "arrival", Kind: model.Arrival, Arrival: []string{"s3://landing/**"}}}}
	routes := table(t, m)
	marker := arrived("s3://landing/sales/")
	same(t, "runs", runs(routes.Route(marker)), nil)
	same(t, "misses", misses(routes.Explain(marker)), []string{"m by arrival: s3://landing/sales/ is an empty folder marker"})
	filled := arrived("s3://landing/sales/")
	filled.Object.Size = 3
	same(t, "with content", runs(routes.Route(filled)), []string{"m by arrival[]: "})
}

// `where` reads the event's namespaces and the captures.
func TestWhere(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, where string
		matches     bool
	}{
		{"a capture", `{"region": ["us"]}`, true},
		{"another capture", `{"region": ["eu"]}`, false},
		{"the key", `{"object": {"key": [{"suffix": ".csv"}]}}`, true},
		{"a number", `{"object": {"size": [{"numeric": [">", 0]}]}}`, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := model.Model{Name: "m", Triggers: []model.Trigger{
				{Name: "arrival", Kind: model.Arrival, Arrival: []string{"s3://landing/{region}.csv"}, Where: json.RawMessage(test.where)},
			}}
			routes := table(t, m)
			e := arrived("s3://landing/us.csv")
			if got := len(routes.Route(e).Bindings) == 1; got != test.matches {
				t.Errorf("matches it: %v, want %v", got, test.matches)
			}
			if why := misses(routes.Explain(e)); !test.matches && (len(why) != 1 || !strings.HasPrefix(why[0], "m by arrival: where: ")) {
				t.Errorf("misses %q", why)
			}
		})
	}
}

// Explain returns a reason for every model that does not match the event, the nearest first.
func TestExplain(t *testing.T) {
	t.Parallel()
	simple := func(name string, triggers ...model.Trigger) model.Model {
		return model.Model{Name: name, Triggers: triggers}
	}
	file := func(pattern string) model.Trigger {
		return model.Trigger{Name: "arrival", Kind: model.Arrival, Arrival: []string{pattern}}
	}
	routes := table(t, forecast(),
		simple("by-hand"),
		simple("clean", model.Trigger{Name: "message", Kind: model.Message, Queue: "requests"}),
		simple("elsewhere", file("s3://archive/{key*}")),
		simple("prices", file("s3://landing/prices/{x}")),
		simple("small", model.Trigger{
			Name: "arrival", Kind: model.Arrival, Arrival: []string{"s3://landing/sales/**"},
			Where: json.RawMessage(`{"object": {"key": [{"suffix": ".parquet"}]}}`),
		}),
		simple("yearly", file("s3://landing/sales/{year}.csv")),
	)
	result := routes.Explain(arrived("s3://landing/sales/us/20260105.csv"))
	same(t, "runs", runs(result), []string{"sales-forecast by arrival[]: date=2026-01-05 file=s3://landing/sales/us/20260105.csv region=us"})
	same(t, "misses", misses(result), []string{
		`small by arrival: where: object.key: "sales/us/20260105.csv" does not match suffix ".parquet"`,
		`yearly by arrival: key "sales/us/20260105.csv" is not of the form sales/{year}.csv`,
		`prices by arrival: key "sales/us/20260105.csv" does not begin with "prices/"`,
		`elsewhere by arrival: bucket "landing" is not "archive"`,
		`clean by message: its trigger "message" takes message events, and this is an arrival`,
		`by-hand by : it has no triggers: it runs by hand only`,
	})
	for name, test := range map[string]struct {
		event event.Event
		says  string
	}{
		"a removed trigger":      {due("sales-forecast", "nightly"), `trigger "nightly", which the model no longer has`},
		"another queue":          {sent("orders", `{}`), `it reads queue "requests", and this message is from queue "orders"`},
		"a message for another":  {sent("requests", `{"model": "prices"}`), `where: body.model: "prices"`},
		"a message without JSON": {sent("requests", "sales, please"), "where: the body is not JSON"},
		"another event source":   {emitted("acme.app", `{}`), `source: "acme.app"`},
		"another upstream model": {finished("prices", nil), `it runs after clean-sales, and this is a success of "prices"`},
	} {
		found := false
		for _, m := range routes.Explain(test.event).Misses {
			found = found || m.Model == "sales-forecast" && strings.Contains(m.Reason, test.says)
		}
		if !found {
			t.Errorf("%s: misses %q, want a reason that contains %q", name, misses(routes.Explain(test.event)), test.says)
		}
	}
}

func TestNewErrors(t *testing.T) {
	t.Parallel()
	for says, trigger := range map[string]model.Trigger{
		"a { without its }": {Name: "arrival", Kind: model.Arrival, Arrival: []string{"s3://landing/{x"}},
		"it is not JSON":    {Name: "message", Kind: model.Message, Queue: "q", Where: json.RawMessage(`{"body"`)},
		"detail":            {Name: "event", Kind: model.Event, Pattern: json.RawMessage(`{"detail": "x"}`)},
	} {
		_, err := route.New(catalog(model.Model{Name: "m", Triggers: []model.Trigger{trigger}}))
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), `model "m": trigger "`+trigger.Name+`"`) {
			t.Errorf("error %v, want an error that names model and trigger and contains %q", err, says)
		}
	}
}
