package event_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
)

// A placeholder reads a field of a JSON body. A body that is not JSON is text without fields.
func TestPlaceholderReadsBody(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, body, placeholder, want string }{
		{"a field", `{"region": "us"}`, "body.region", `string "us"`},
		{"a field below another", `{"customer": {"id": "c-17"}}`, "body.customer.id", `string "c-17"`},
		{"an item of a list", `{"regions": ["us", "eu"]}`, "body.regions.1", `string "eu"`},
		{"a name with a dot in it", `{"a.b": {"c": "x"}}`, "body.a.b.c", `string "x"`},
		{"a number, as it is written", `{"rate": 1.50}`, "body.rate", `number "1.50"`},
		{"a number of many digits", `{"id": 12345678901234567890}`, "body.id", `number "12345678901234567890"`},
		{"a boolean", `{"full": false}`, "body.full", `boolean "false"`},
		{"an object", `{"options": {"depth": 3}}`, "body.options", `json "{\"depth\":3}"`},
		{"a list", `{"rows": [1, 2]}`, "body.rows", `json "[1,2]"`},
		{"markup is not escaped", `{"note": {"html": "<b>&"}}`, "body.note", `json "{\"html\":\"<b>&\"}"`},
		{"an empty string is a value", `{"region": ""}`, "body.region", `string ""`},
		{"null is absent", `{"region": null}`, "body.region", "absent"},
		{"a field that is not there", `{}`, "body.region", "absent"},
		{"an item beyond the list", `{"regions": ["us"]}`, "body.regions.1", "absent"},
		{"a body that is a number", `42`, "body", `number "42"`},
		{"a body that is text", `run it, please`, "body", `string "run it, please"`},
		{"text has no fields", `run it, please`, "body.region", "absent"},
		{"two JSON values are text", `{} {}`, "body", `string "{} {}"`},
		{"an empty body", ``, "body", `string ""`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := onlyMessage(t, message("m-1", test.body, nil))
			if got := valueOf(e, test.placeholder, time.UTC); got != test.want {
				t.Errorf("{%s} of %s is %s, want %s", test.placeholder, test.body, got, test.want)
			}
		})
	}
}

// valueOf returns a placeholder's type and value, or "absent".
func valueOf(e event.Event, placeholder string, zone *time.Location) string {
	t, err := model.ParseTemplate("{" + placeholder + "}")
	if err != nil {
		return err.Error()
	}
	v, found := e.Value(t.Placeholders()[0], zone)
	if !found {
		return "absent"
	}
	return fmt.Sprintf("%s %q", v.Type, v.Text)
}

func onlyMessage(t testing.TB, record tree) event.Event {
	t.Helper()
	deliveries, err := event.DecodeMessages(encode(t, tree{"Records": []any{record}}))
	if err != nil || len(deliveries) != 1 || deliveries[0].Err != nil || len(deliveries[0].Events) != 1 {
		t.Fatalf("deliveries %+v, error %v", deliveries, err)
	}
	return deliveries[0].Events[0]
}

// A message is identified by its queue and its id. A replayed message keeps its first identity.
func TestIdentityOfAMessage(t *testing.T) {
	t.Parallel()
	again := tree{event.IdentityAttribute: tree{"stringValue": "message/requests/first", "dataType": "String"}}
	tests := []struct {
		name, want string
		message    tree
	}{
		{"a message as it was sent", "message/requests/m-1", message("m-1", `{}`, nil)},
		{"a replayed message, which has a new id", "message/requests/first", message("m-2", `{}`, again)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := onlyMessage(t, test.message)
			if e.Identity != test.want || e.Source != "requests" || e.Kind != model.Message {
				t.Errorf("identity %q of a %s event of %q, want %q", e.Identity, e.Kind, e.Source, test.want)
			}
			if e.Time != time.Date(2026, 1, 5, 7, 12, 31, 0, time.UTC) {
				t.Errorf("sent at %v", e.Time)
			}
		})
	}
}

func TestAttributesAndID(t *testing.T) {
	t.Parallel()
	e := onlyMessage(t, message("m-1", `{}`, tree{"tenant": tree{"stringValue": "acme", "dataType": "String"}}))
	for placeholder, want := range map[string]string{
		"attribute.tenant": `string "acme"`, "attribute.other": "absent", "message.id": `string "m-1"`, "event.id": `string "m-1"`,
		"event.date": `date "2026-01-05"`, "event.time": `datetime "2026-01-05T07:12:31Z"`,
	} {
		if got := valueOf(e, placeholder, time.UTC); got != want {
			t.Errorf("{%s} is %s, want %s", placeholder, got, want)
		}
	}
}

// One batch may hold messages of every kind. Only the delivery of the bad message has an error.
func TestBatchOfAllKinds(t *testing.T) {
	t.Parallel()
	w := s3Write{bucket: "landing", key: "a b.csv", sequencer: "1A"}
	bad := encode(t, tree{"Records": []any{record(w, "100%.csv"), record(w, "ok.csv")}})
	test := []byte(`{"Event": "s3:TestEvent", "Bucket": "landing"}`)
	payload := queueBatch(t, []byte(`{"model": "m"}`), notification(t, w), bad, []byte(`{"broken`), test)
	deliveries, err := event.DecodeMessages(payload)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		id     string
		events []string
		failed bool
	}{
		{"a", []string{"message/requests/a"}, false},
		{"b", []string{"arrival/landing/a b.csv/1A"}, false},
		{"c", []string{"arrival/landing/ok.csv/1A"}, true},
		{"d", []string{"message/requests/d"}, false},
		{"e", nil, false},
	}
	if len(deliveries) != len(want) {
		t.Fatalf("%d deliveries, want %d", len(deliveries), len(want))
	}
	for i, d := range deliveries {
		var identities []string
		for _, e := range d.Events {
			identities = append(identities, e.Identity)
		}
		if d.MessageID != want[i].id || fmt.Sprint(identities) != fmt.Sprint(want[i].events) || (d.Err != nil) != want[i].failed {
			t.Errorf("delivery %s with events %q and error %v, want %+v", d.MessageID, identities, d.Err, want[i])
		}
		if d.Message.Identity != "message/requests/"+want[i].id {
			t.Errorf("delivery %s is recorded as %q", d.MessageID, d.Message.Identity)
		}
	}
}

// The payload of a message is a batch that holds it alone, without its receipt handle.
func TestPayloadOfAMessageIsABatch(t *testing.T) {
	t.Parallel()
	first := onlyMessage(t, message("m-1", `{"region": "us", "rows": [1]}`, nil))
	var batch struct{ Records []tree }
	if err := json.Unmarshal(first.Payload, &batch); err != nil || len(batch.Records) != 1 {
		t.Fatalf("payload %s: %v", first.Payload, err)
	}
	if receipt := batch.Records[0]["receiptHandle"]; receipt != "" {
		t.Errorf("receipt handle %q", receipt)
	}
	again := onlyMessage(t, batch.Records[0])
	if again.Identity != first.Identity || valueOf(again, "body", nil) != valueOf(first, "body", nil) {
		t.Errorf("the payload decodes to %+v, want %+v", again, first)
	}
}

func TestDecodeMessagesErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, payload, says string }{
		{"text that is not JSON", `{`, "reading an SQS batch"},
		{"an S3 notification", `{"Records": [{"eventSource": "aws:s3"}]}`, "an S3 notification, not an SQS batch"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := event.DecodeMessages([]byte(test.payload)); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want an error that contains %q", err, test.says)
			}
		})
	}
}
