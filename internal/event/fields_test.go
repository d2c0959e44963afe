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
