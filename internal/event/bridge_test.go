package event_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// A schedule's payload names the model, the trigger and the time. Two payloads with the same hash and time are the same
// event.
func TestSchedule(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 5, 11, 0, 0, 0, time.UTC)
	payload := event.SchedulePayload(event.Scheduled{Model: "sales-forecast", Trigger: "weekly", Hash: "h1", Time: at})
	e, err := event.DecodeSchedule(payload)
	if err != nil {
		t.Fatal(err)
	}
	want := event.Scheduled{Model: "sales-forecast", Trigger: "weekly", Hash: "h1", Time: at}
	if e.Kind != model.Schedule || e.Source != "sales-forecast" || *e.Schedule != want {
		t.Errorf("event %+v of schedule %+v", e, e.Schedule)
	}
	for name, change := range map[string]event.Scheduled{
		"a changed trigger": {Model: "sales-forecast", Trigger: "weekly", Hash: "h2", Time: at},
		"another time":      {Model: "sales-forecast", Trigger: "weekly", Hash: "h1", Time: at.Add(time.Hour)},
		"another model":     {Model: "clean-sales", Trigger: "weekly", Hash: "h1", Time: at},
	} {
		if other, err := event.DecodeSchedule(event.SchedulePayload(change)); err != nil || other.Identity == e.Identity {
			t.Errorf("%s: identity %q, error %v", name, other.Identity, err)
		}
	}
	if again, err := event.DecodeSchedule(e.Payload); err != nil || again.Identity != e.Identity {
		t.Errorf("its payload decodes to %q, error %v", again.Identity, err)
	}
}

// Scheduled times are local times in the trigger's zone. An offset in days or months keeps the local time.
func TestScheduledTimes(t *testing.T) {
	t.Parallel()
	tests := []struct{ zone, scheduled, placeholder, want string }{
		{"UTC", "2026-01-05T11:00:00Z", "scheduled.time", `datetime "2026-01-05T11:00:00Z"`},
		{"America/New_York", "2026-01-05T11:00:00Z", "scheduled.time", `datetime "2026-01-05T06:00:00-05:00"`},
		{"UTC", "2026-01-05T11:00:00Z", "scheduled.date", `date "2026-01-05"`},
		{"Pacific/Auckland", "2026-01-05T11:00:00Z", "scheduled.date", `date "2026-01-06"`},
		{"UTC", "2026-01-05T11:00:00Z", "scheduled.hour", `string "2026-01-05T11"`},
		{"UTC", "2026-01-05T11:00:00Z", "scheduled.month", `string "2026-01"`},
		{"UTC", "2026-01-05T11:00:00Z", "scheduled.month-1month", `string "2025-12"`},
		{"UTC", "2026-03-31T00:00:00Z", "scheduled.date-1month", `date "2026-02-28"`},
		{"UTC", "2026-01-01T00:10:00Z", "scheduled.date-1d", `date "2025-12-31"`},
		{"UTC", "2026-01-01T00:10:00Z", "scheduled.time-30min", `datetime "2025-12-31T23:40:00Z"`},
		{"UTC", "2026-01-01T00:10:00Z", "scheduled.hour+2h", `string "2026-01-01T02"`},
		// New York's clocks went forward on 8 March 2026. One day before has the same local time, and 24 hours before
		// has another.
		{"America/New_York", "2026-03-08T10:00:00Z", "scheduled.time-1d", `datetime "2026-03-07T06:00:00-05:00"`},
		{"America/New_York", "2026-03-08T10:00:00Z", "scheduled.time-24h", `datetime "2026-03-07T05:00:00-05:00"`},
		{"UTC", "2026-01-05T11:00:00Z", "scheduled.week", "absent"},
	}
	for _, test := range tests {
		t.Run(test.zone+" "+test.placeholder, func(t *testing.T) {
			t.Parallel()
			at, err := time.Parse(time.RFC3339, test.scheduled)
			if err != nil {
				t.Fatal(err)
			}
			e, err := event.DecodeSchedule(event.SchedulePayload(event.Scheduled{Model: "m", Trigger: "schedule", Time: at}))
			if err != nil {
				t.Fatal(err)
			}
			if got := valueOf(e, test.placeholder, zone(t, test.zone)); got != test.want {
				t.Errorf("{%s} is %s, want %s", test.placeholder, got, test.want)
			}
		})
	}
}

// AWS's own payload of a schedule without an Input names no model. The error lists the fields that the Input must have.
func TestDecodeScheduleErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, payload, says string }{
		{
			"an event of a scheduled EventBridge rule",
			`{"source": "aws.events", "detail-type": "Scheduled Event", "time": "2026-01-08T16:53:00Z", "detail": {}}`,
			"must name model, trigger and scheduled-time",
		},
		{
			"an event of EventBridge Scheduler without an Input",
			`{"source": "aws.scheduler", "detail-type": "Scheduled Event", "time": "2026-01-08T16:53:00Z", "detail": "{}"}`,
			"must name model, trigger and scheduled-time",
		},
		{
			"no model", `{"source": "modeldispatch.schedule", "trigger": "schedule", "scheduled-time": "2026-01-05T06:00:00Z"}`,
			"must name model",
		},
		{"no time", `{"source": "modeldispatch.schedule", "model": "m", "trigger": "schedule"}`, "scheduled-time"},
		{
			"a context attribute that Scheduler did not replace",
			`{"source": "modeldispatch.schedule", "model": "m", "trigger": "schedule",
				"scheduled-time": "<aws.scheduler.scheduled-time>"}`,
			"<aws.scheduler.scheduled-time>",
		},
		{"text that is not JSON", `cron(0 6 ? * MON *)`, "reading a schedule's payload"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := event.DecodeSchedule([]byte(test.payload)); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want an error that contains %q", err, test.says)
			}
		})
	}
}

const glue = `{"version": "0", "id": "e-1", "detail-type": "Glue Job State Change", "source": "aws.glue", "account": "111122223333",
	"time": "2026-01-05T23:30:00Z", "region": "eu-central-1", "resources": [],
	"detail": {"jobName": "clean", "state": "SUCCEEDED", "severity": "INFO"}}`

func TestDecodeBridge(t *testing.T) {
	t.Parallel()
	e, err := event.DecodeEventBridge([]byte(glue))
	if err != nil {
		t.Fatal(err)
	}
	if e.Kind != model.Event || e.Identity != "event/e-1" || e.Source != "aws.glue" {
		t.Errorf("%s event %q of %q", e.Kind, e.Identity, e.Source)
	}
	for placeholder, want := range map[string]string{
		"detail.jobName": `string "clean"`, "detail.nothing": "absent", "event.id": `string "e-1"`,
		"event.date": `date "2026-01-06"`, "event.time": `datetime "2026-01-06T00:30:00+01:00"`,
	} {
		if got := valueOf(e, placeholder, zone(t, "Europe/Berlin")); got != want {
			t.Errorf("{%s} is %s, want %s", placeholder, got, want)
		}
	}
	if again, err := event.DecodeEventBridge(e.Payload); err != nil || again.Identity != e.Identity {
		t.Errorf("its payload decodes to %q, error %v", again.Identity, err)
	}
}

// EventBridge Scheduler sends the detail as a string if the schedule has no Input.
func TestDetailAsAString(t *testing.T) {
	t.Parallel()
	e, err := event.DecodeEventBridge([]byte(`{"id": "e-2", "source": "aws.scheduler", "detail-type": "Scheduled Event",
		"time": "2026-01-05T06:00:00Z", "detail": "{\"a\": 1}"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := valueOf(e, "detail.a", nil); got != `number "1"` {
		t.Errorf("{detail.a} is %s", got)
	}
}

// Two events without an id are the same event if their payloads are equal.
func TestBridgeWithoutAnID(t *testing.T) {
	t.Parallel()
	one, err := event.DecodeEventBridge([]byte(`{"source": "acme", "detail-type": "Done", "detail": {"n": 1}}`))
	if err != nil {
		t.Fatal(err)
	}
	again, _ := event.DecodeEventBridge(one.Payload)
	other, _ := event.DecodeEventBridge([]byte(`{"source": "acme", "detail-type": "Done", "detail": {"n": 2}}`))
	if one.Identity != again.Identity || one.Identity == other.Identity {
		t.Errorf("identities %q, again %q, other %q", one.Identity, again.Identity, other.Identity)
	}
}

func TestDecodeBridgeErrors(t *testing.T) {
	t.Parallel()
	for payload, says := range map[string]string{
		`{"hello": "world"}`: "source and detail-type are expected",
		`"text"`:             "it is text, not a JSON object",
		`{`:                  "it is not JSON",
		``:                   "it is empty",
	} {
		if _, err := event.DecodeEventBridge([]byte(payload)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want an error that contains %q", payload, err, says)
		}
	}
}

// The key of a manual event identifies it. Its inputs do not.
func TestManual(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 5, 6, 0, 0, 0, time.UTC)
	call := event.Manual("m", model.Inputs{"region": "us", "date": "2026-01-05"}, "key", now)
	repeated := event.Manual("m", model.Inputs{"date": "2026-01-05", "region": "us"}, "key", now.Add(time.Hour))
	if repeated.Identity != call.Identity || !bytes.Equal(repeated.Payload, call.Payload) {
		t.Errorf("the repeated call is %q %s, want %q %s", repeated.Identity, repeated.Payload, call.Identity, call.Payload)
	}
	other := event.Manual("m", model.Inputs{"region": "eu"}, "key", now)
	if other.Identity != call.Identity || bytes.Equal(other.Payload, call.Payload) {
		t.Errorf("the call with other inputs is %q %s, want the same identity with another payload", other.Identity, other.Payload)
	}
	for name, other := range map[string]event.Event{
		"another model": event.Manual("n", model.Inputs{"region": "us", "date": "2026-01-05"}, "key", now),
		"another key":   event.Manual("m", model.Inputs{"region": "us", "date": "2026-01-05"}, "key2", now),
	} {
		if other.Identity == call.Identity || !json.Valid(other.Payload) {
			t.Errorf("%s: identity %q, payload %s", name, other.Identity, other.Payload)
		}
	}
	for want, inputs := range map[string]model.Inputs{
		`{"inputs":null,"model":"m"}`:          nil,
		`{"inputs":{},"model":"m"}`:            {},
		`{"inputs":{"region":""},"model":"m"}`: {"region": ""},
	} {
		if e := event.Manual("m", inputs, "key", now); string(e.Payload) != want || !json.Valid(e.Payload) || e.Identity != call.Identity {
			t.Errorf("inputs %v: identity %q, payload %s; want %q and %s", inputs, e.Identity, e.Payload, call.Identity, want)
		}
	}
}

// An event of kind after has the run's inputs with their types, its outputs, and its id.
func TestAfter(t *testing.T) {
	t.Parallel()
	e := event.After(event.Upstream{
		Model: "clean-sales", Run: "clean-sales-5kq2m7x4ab3c",
		Inputs:  map[string]model.Value{"date": {Type: model.Date, Text: "2026-01-05"}, "run": model.Text("hidden")},
		Outputs: map[string]string{"cleaned": "s3://results/clean/2026-01-05.csv"},
	}, time.Date(2026, 1, 5, 6, 0, 0, 0, time.UTC))
	if e.Identity != "after/clean-sales-5kq2m7x4ab3c" || e.Source != "clean-sales" || e.Kind != model.After {
		t.Errorf("%s event %q of %q", e.Kind, e.Identity, e.Source)
	}
	for placeholder, want := range map[string]string{
		"upstream.date": `date "2026-01-05"`, "upstream.cleaned": `s3-uri "s3://results/clean/2026-01-05.csv"`,
		"upstream.run": `string "clean-sales-5kq2m7x4ab3c"`, "upstream.other": "absent",
	} {
		if got := valueOf(e, placeholder, nil); got != want {
			t.Errorf("{%s} is %s, want %s", placeholder, got, want)
		}
	}
}

// A payload that cannot be decoded is kept as JSON. Two such payloads are the same event if they are equal.
func TestUndecoded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 5, 6, 0, 0, 0, time.UTC)
	for payload, kept := range map[string]string{`{"a": 1}`: `{"a": 1}`, `not "json"`: `"not \"json\""`, ``: `""`} {
		e := event.Undecoded([]byte(payload), now)
		if string(e.Payload) != kept || e.Identity != event.Undecoded([]byte(payload), now.Add(time.Hour)).Identity {
			t.Errorf("%q is kept as %s, identity %q", payload, e.Payload, e.Identity)
		}
	}
}
