package event_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
)

// Decode returns the function that takes a payload, and the events in it.
func TestDecode(t *testing.T) {
	t.Parallel()
	w := s3Write{bucket: "landing", key: "a b.csv", sequencer: "1A"}
	tests := []struct {
		name, function string
		kind           model.Kind
		payload        []byte
	}{
		{"EventBridge's Object Created", "arrival", model.Arrival, bridge(t, w)},
		{"an S3 notification", "arrival", model.Arrival, notification(t, w)},
		{"SNS in Lambda", "arrival", model.Arrival, topicBatch(t, notification(t, w))},
		{"an SNS envelope", "arrival", model.Arrival, envelope(t, notification(t, w))},
		{"a batch of messages", "message", model.Message, queueBatch(t, []byte(`{}`))},
		{"a batch of notifications", "message", model.Arrival, queueBatch(t, notification(t, w))},
		{"a schedule", "schedule", model.Schedule, []byte(`{"source": "modeldispatch.schedule", "model": "m",
			"trigger": "schedule", "scheduled-time": "2026-01-05T06:00:00Z"}`)},
		{"an event of a scheduled EventBridge rule", "event", model.Event, []byte(`{"id": "e", "source": "aws.events",
			"detail-type": "Scheduled Event", "time": "2026-01-08T16:53:00Z", "detail": {}}`)},
		{"another event", "event", model.Event, []byte(glue)},
		{"another event of ECS", "event", model.Event, []byte(`{"id": "e", "source": "aws.ecs",
			"detail-type": "ECS Service Action", "time": "2026-01-08T16:53:00Z", "detail": {}}`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d, err := event.Decode(test.payload)
			if err != nil || len(d.Events) != 1 || d.Task != nil {
				t.Fatalf("decoded %+v, error %v", d, err)
			}
			if d.Function != test.function || d.Events[0].Kind != test.kind {
				t.Errorf("a %s event for the %s function, want %s for %s", d.Events[0].Kind, d.Function, test.kind, test.function)
			}
		})
	}
}

func TestDecodeTaskStateChange(t *testing.T) {
	t.Parallel()
	d, err := event.Decode(stopped(`"version": 6`))
	if err != nil || d.Function != "completion" || d.Task == nil || d.Task.Version != 6 || len(d.Events) != 0 {
		t.Errorf("decoded %+v, error %v", d, err)
	}
}

func TestDecodeErrorListsKnownPayloads(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{`{}`, `[]`, `x`, ``, `{"Records": []}`, `{"Records": [{"eventSource": "aws:kinesis"}]}`} {
		if d, err := event.Decode([]byte(payload)); err == nil || !strings.Contains(err.Error(), "is expected") {
			t.Errorf("%s: decoded %+v, error %v", payload, d, err)
		}
	}
}

func TestInvalidTime(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{
		`{"source": "modeldispatch.schedule", "model": "m", "trigger": "schedule", "scheduled-time": "yesterday"}`,
		`{"id": "e", "source": "acme", "detail-type": "Done", "time": "yesterday", "detail": {}}`,
		`{"Records": [{"eventSource": "aws:s3", "eventTime": "yesterday"}]}`,
	} {
		_, err := event.Decode([]byte(payload))
		if err == nil || !strings.Contains(err.Error(), `"yesterday" is not a time; RFC 3339 is expected`) {
			t.Errorf("%s: error %v", payload, err)
		}
		if err != nil && strings.Contains(err.Error(), "2006") {
			t.Errorf("%s: error %v shows Go's reference layout", payload, err)
		}
	}
}

// sampleFiles returns the files of the sample events. The test fails if there are none.
func sampleFiles(t testing.TB) []string {
	t.Helper()
	const pattern = "../../events/*.json"
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s matches no sample event: %v", pattern, err)
	}
	return files
}

// Each sample event decodes. The payload of each event in it decodes to the same event again.
func TestSamples(t *testing.T) {
	t.Parallel()
	for _, sample := range sampleFiles(t) {
		t.Run(filepath.Base(sample), func(t *testing.T) {
			t.Parallel()
			payload, err := os.ReadFile(sample)
			if err != nil {
				t.Fatal(err)
			}
			d, err := event.Decode(payload)
			if err != nil || len(d.Events) == 0 && d.Task == nil {
				t.Fatalf("decoded %+v, error %v", d, err)
			}
			for _, e := range d.Events {
				checkEvent(t, e)
				again, err := event.Decode(e.Payload)
				if err != nil || len(again.Events) != 1 || again.Events[0].Identity != e.Identity {
					t.Errorf("%s: its payload decodes to %+v, error %v", e.Identity, again, err)
				}
			}
		})
	}
}

// checkEvent checks the rules that hold for every decoded event.
func checkEvent(t *testing.T, e event.Event) {
	t.Helper()
	if e.Kind == "" || e.Identity == "" || !json.Valid(e.Payload) {
		t.Errorf("%s event %q with payload %q", e.Kind, e.Identity, e.Payload)
	}
	if (e.Kind == model.Arrival) != (e.Object != nil) || (e.Kind == model.Schedule) != (e.Schedule != nil) {
		t.Errorf("a %s event with object %v and schedule %v", e.Kind, e.Object, e.Schedule)
	}
}
