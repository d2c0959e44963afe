package event_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
)

// sampleEvents returns a decoded event of each kind that has fields. Each has a value for every field of its kind.
func sampleEvents(t *testing.T) []event.Event {
	t.Helper()
	schedule, err := event.DecodeSchedule(event.SchedulePayload(event.Scheduled{
		Model: "m", Trigger: "schedule", Time: time.Date(2026, 1, 5, 6, 0, 0, 0, time.UTC),
	}))
	if err != nil {
		t.Fatal(err)
	}
	arrivals, err := event.DecodeArrival(notification(t, s3Write{
		bucket: "landing", key: "a.csv", version: "v1", sequencer: "1A", etag: "2cf38e86", size: 12,
	}))
	if err != nil || len(arrivals) != 1 {
		t.Fatalf("%d arrivals, error %v", len(arrivals), err)
	}
	bridge, err := event.DecodeEventBridge([]byte(glue))
	if err != nil {
		t.Fatal(err)
	}
	return []event.Event{
		schedule, arrivals[0], bridge,
		onlyMessage(t, message("m-1", `{"region": "us"}`, tree{"tenant": tree{"stringValue": "acme", "dataType": "String"}})),
		event.After(event.Upstream{
			Model: "clean-sales", Run: "clean-sales-5kq2m7x4ab3c",
			Inputs: map[string]model.Value{"date": {Type: model.Date, Text: "2026-01-05"}},
		}, time.Date(2026, 1, 5, 6, 0, 0, 0, time.UTC)),
	}
}

// namesOf returns the dotted names of an event's fields that are not below an open field.
func namesOf(e event.Event) []string {
	isOpen := func(name string) bool {
		return slices.ContainsFunc(event.Fields(e.Kind), func(f event.Field) bool { return f.Open && f.Name == name })
	}
	var all []string
	for name, v := range e.Fields {
		below, isObject := v.(map[string]any)
		if !isObject || isOpen(name) {
			all = append(all, name)
			continue
		}
		for inner := range maps.Keys(below) {
			all = append(all, name+"."+inner)
		}
	}
	return all
}

// The fields that an event is decoded to are the fields of its kind: where, placeholders and the list agree.
func TestFieldsOfEachKind(t *testing.T) {
	t.Parallel()
	for _, e := range sampleEvents(t) {
		t.Run(string(e.Kind), func(t *testing.T) {
			t.Parallel()
			fields := event.Fields(e.Kind)
			for _, name := range namesOf(e) {
				if !slices.ContainsFunc(fields, func(f event.Field) bool { return f.Where && f.Name == name }) {
					t.Errorf("the event has a field %s, which Fields does not list", name)
				}
			}
			for _, f := range append(fields, event.CommonFields()...) {
				if got := e.Field(f.Name); (got != nil) != f.Where {
					t.Errorf("Field(%s) is %v, and Fields says that where can test it: %v", f.Name, got, f.Where)
				}
				// A field that is no placeholder may be read as a field of an open one.
				if got := valueOf(e, f.Name, time.UTC); got == "absent" && f.Placeholder {
					t.Errorf("{%s} is absent, and Fields says that it is a placeholder", f.Name)
				}
				if f.Description == "" {
					t.Errorf("%s has no description", f.Name)
				}
			}
		})
	}
}

// A field is optional if an event without it decodes.
func TestOptionalFields(t *testing.T) {
	t.Parallel()
	arrival := event.AssumedArrival("landing", "a.csv", time.Date(2026, 1, 5, 6, 0, 0, 0, time.UTC))
	manual := event.Manual("m", nil, "key", time.Date(2026, 1, 5, 6, 0, 0, 0, time.UTC))
	for absent, e := range map[string]event.Event{"object.version": arrival, "event.id": manual} {
		for _, f := range append(event.Fields(e.Kind), event.CommonFields()...) {
			got := valueOf(e, f.Name, time.UTC)
			if (got == "absent") != (f.Name == absent) || f.Name == absent && !f.Optional {
				t.Errorf("%s event: {%s} is %s, and optional is %v; want only {%s} absent", e.Kind, f.Name, got, f.Optional, absent)
			}
		}
	}
}

func TestFieldHas(t *testing.T) {
	t.Parallel()
	open, closed := event.Field{Name: "body", Open: true}, event.Field{Name: "object.key"}
	for _, c := range []struct {
		field event.Field
		path  string
		want  bool
	}{
		{open, "body", true}, {open, "body.a.b", true}, {open, "bodyguard", false}, {open, "bod", false},
		{closed, "object.key", true}, {closed, "object.key.a", false}, {closed, "object", false},
	} {
		if got := c.field.Has(c.path); got != c.want {
			t.Errorf("%s has %s: %v, want %v", c.field.Name, c.path, got, c.want)
		}
	}
}

// TestValueOfEachField reads each field of an event whose values all differ, so that no field can have the value of
// another one.
func TestValueOfEachField(t *testing.T) {
	t.Parallel()
	written := s3Write{bucket: "landing", key: "a.csv", version: "v1", sequencer: "1A", etag: "2cf38e86", size: 12}
	fromS3, err := event.DecodeArrival(notification(t, written))
	if err != nil {
		t.Fatal(err)
	}
	fromBridge, err := event.DecodeArrival(bridge(t, written))
	if err != nil {
		t.Fatal(err)
	}
	arrival := map[string]string{
		"object.uri": `string "s3://landing/a.csv"`, "object.bucket": `string "landing"`, "object.key": `string "a.csv"`,
		"object.size": `number "12"`, "object.etag": `string "2cf38e86"`, "object.version": `string "v1"`,
	}
	wantValues(t, fromS3[0], arrival)
	wantValues(t, fromBridge[0], arrival)
	again, err := event.DecodeArrival(fromS3[0].Payload)
	if err != nil {
		t.Fatal(err)
	}
	wantValues(t, again[0], arrival) // the recorded payload has them too

	for _, e := range sampleEvents(t) {
		switch {
		case e.Schedule != nil:
			wantValues(t, e, map[string]string{"event.id": `string "` + e.ID + `"`, "scheduled.month": `string "2026-01"`})
		case e.Upstream != nil:
			wantValues(t, e, map[string]string{"upstream.run": `string "clean-sales-5kq2m7x4ab3c"`, "event.id": `string "` + e.ID + `"`})
			if got := e.Field("upstream.model"); got != "clean-sales" {
				t.Errorf("upstream.model is %v, want clean-sales", got)
			}
		case e.ID == "m-1":
			wantValues(t, e, map[string]string{"message.id": `string "m-1"`, "message.queue": `string "` + e.Source + `"`})
		}
	}
	glueEvent, err := event.DecodeEventBridge([]byte(glue))
	if err != nil {
		t.Fatal(err)
	}
	berlin := time.FixedZone("", 3600)
	for name, want := range map[string]string{
		"event.id": `string "e-1"`, "event.time": `datetime "2026-01-06T00:30:00+01:00"`, "event.date": `date "2026-01-06"`,
	} {
		if got := valueOf(glueEvent, name, berlin); got != want {
			t.Errorf("{%s} is %s, want %s", name, got, want)
		}
	}
}

// wantValues checks the values of placeholders of an event.
func wantValues(t *testing.T, e event.Event, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if got := valueOf(e, name, time.UTC); got != text {
			t.Errorf("%s event: {%s} is %s, want %s", e.Kind, name, got, text)
		}
	}
}
