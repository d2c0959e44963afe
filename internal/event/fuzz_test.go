package event_test

import (
	"os"
	"testing"
	"time"
	"unicode/utf8"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
)

// seed adds the sample events, and every wrapping of an awkward key, to the corpus of a fuzz target.
func seed(f *testing.F) {
	f.Helper()
	for _, sample := range sampleFiles(f) {
		payload, err := os.ReadFile(sample)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload)
	}
	for _, way := range wrappings() {
		f.Add(way.wrap(f, s3Write{bucket: "landing", key: "a +%2B 📈.csv", version: "v1", sequencer: "1A00", size: 3}))
	}
	f.Add(stopped(`"version": 6, "containers": [{"name": "model", "exitCode": 0}]`))
	f.Add([]byte(glue))
	f.Add([]byte(`{"Records": [{"eventSource": "aws:sns", "Sns": {"Message": "{\"Records\": []}"}}]}`))
	f.Add([]byte(`{"Records": [{"eventSource": "aws:sqs"}, null, {}]}`))
	f.Add([]byte("{\"source\": \"\xff\", \"detail-type\": null, \"detail\": \"{}\"}"))
}

// checkDecoded checks decoded events, and reads some placeholders of each. If err is not nil, it skips events without a
// kind.
func checkDecoded(t *testing.T, all []event.Event, err error) {
	t.Helper()
	for _, e := range all {
		if err != nil && e.Kind == "" {
			continue
		}
		checkEvent(t, e)
		if e.Kind == model.Arrival && (e.Object.Key == "" || !utf8.ValidString(e.Object.Key)) {
			t.Errorf("an arrival with key %q", e.Object.Key)
		}
		for _, name := range placeholderNames {
			p := model.Placeholder{Name: name, Offset: model.Offset{Count: -99999, Unit: "month"}}
			if v, found := e.Value(p, time.UTC); found && v.Type == "" {
				t.Errorf("{%s} has no type", name)
			}
		}
	}
}

// placeholderNames lists placeholders of several kinds of events.
var placeholderNames = []string{
	"body", "body.a.0.b", "attribute.a", "object.size", "detail.a", "scheduled.time", "event.date", "message.id",
}

func FuzzDecodeSchedule(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		if e, err := event.DecodeSchedule(payload); err == nil {
			checkDecoded(t, []event.Event{e}, nil)
		}
	})
}

func FuzzDecodeArrival(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		all, err := event.DecodeArrival(payload)
		checkDecoded(t, all, err)
	})
}

func FuzzDecodeMessages(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		deliveries, err := event.DecodeMessages(payload)
		for _, d := range deliveries {
			checkDecoded(t, d.Events, d.Err)
			if err == nil && d.Message.Kind != model.Message {
				t.Errorf("delivery %+v without its message", d)
			}
		}
	})
}

func FuzzDecodeBridge(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		if e, err := event.DecodeEventBridge(payload); err == nil {
			checkDecoded(t, []event.Event{e}, nil)
		}
	})
}

func FuzzDecodeTask(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		if task, err := event.DecodeTask(payload); err == nil && (task.ARN == "" || task.LastStatus == "") {
			t.Errorf("task %+v", task)
		}
	})
}

func FuzzDecode(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		d, err := event.Decode(payload)
		if err == nil {
			checkDecoded(t, d.Events, nil)
		}
	})
}
