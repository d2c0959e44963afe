package event_test

import (
	"fmt"
	"strings"
	"testing"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
)

// Every wrapping gives the key as it was written, and the same identity for the same write.
func TestKeyInEveryWrapping(t *testing.T) {
	t.Parallel()
	keys := []string{
		"sales/us/20260105.csv",
		"sales/red flower.csv",
		"a+b.csv",
		"a%2Bb.csv",
		"this im + age.csv",
		"100%.csv",
		"100%/50%25.csv",
		"a@b&c=d;e?f#g.csv",
		`quote".csv`,
		`back\slash.csv`,
		"grün/größe.csv",
		"売上/東京.csv",
		"umsatz/📈 2026.csv",
		"family/👩‍👩‍👧.csv",
		"//double//slash",
		strings.Repeat("k", 1024),
	}
	for _, key := range keys {
		w := s3Write{bucket: "landing", key: key, sequencer: "0066417CA4BB6E5AAF", etag: "2cf38e866d26412c83a7ab4578767830", size: 12}
		identity := "arrival/landing/" + key + "/0066417CA4BB6E5AAF"
		for _, way := range wrappings() {
			t.Run(fmt.Sprintf("%s/%.20q", way.name, key), func(t *testing.T) {
				t.Parallel()
				all, err := event.DecodeArrival(way.wrap(t, w))
				if err != nil || len(all) != 1 {
					t.Fatalf("%d events, error %v", len(all), err)
				}
				e := all[0]
				if e.Object.Key != key || e.Kind != model.Arrival || e.Source != "landing" {
					t.Errorf("key %q of a %s event of %q, want %q of an arrival in landing", e.Object.Key, e.Kind, e.Source, key)
				}
				if e.Identity != identity {
					t.Errorf("identity %q, want %q", e.Identity, identity)
				}
				if uri, _ := e.Value(model.Placeholder{Name: "object.uri"}, nil); uri.Text != "s3://landing/"+key {
					t.Errorf("{object.uri} is %q", uri.Text)
				}
			})
		}
	}
}

// A replay sends the payload of an event. It decodes to the same event again.
func TestArrivalPayloadDecodesToSameArrival(t *testing.T) {
	t.Parallel()
	w := s3Write{bucket: "landing", key: "umsatz/📈 +%2B.csv", version: "L4kqtJlcpXroDTDmpUMLUo", sequencer: "0066417CA4BB6E5AAF", size: 12}
	for _, way := range wrappings() {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			first, err := event.DecodeArrival(way.wrap(t, w))
			if err != nil {
				t.Fatal(err)
			}
			again, err := event.DecodeArrival(first[0].Payload)
			if err != nil || len(again) != 1 {
				t.Fatalf("%s: %d events, error %v", first[0].Payload, len(again), err)
			}
			if again[0].Identity != first[0].Identity || *again[0].Object != *first[0].Object {
				t.Errorf("the payload decodes to %+v, want %+v", again[0].Object, first[0].Object)
			}
		})
	}
}

// Two writes of one key differ in their version, else in their sequencer, else in their ETag.
func TestIdentityOfAnArrival(t *testing.T) {
	t.Parallel()
	const sequencer, etag = "0066417CA4BB6E5AAF", "2cf38e866d26412c83a7ab4578767830"
	tests := []struct {
		name   string
		one    s3Write
		other  s3Write
		isSame bool
	}{
		{"zeros at the end of a sequencer do not count", s3Write{sequencer: "0066417CA4BB6E5A"}, s3Write{sequencer: "0066417CA4BB6E5A00"}, true},
		{"the case of a sequencer does not count", s3Write{sequencer: "0066417ca4bb6e5aaf"}, s3Write{sequencer: sequencer}, true},
		{"another sequencer is another write", s3Write{sequencer: sequencer}, s3Write{sequencer: "0066417CA4BB6E5AB0"}, false},
		{"the same ETag written twice is two writes", s3Write{sequencer: "1A", etag: etag}, s3Write{sequencer: "1B", etag: etag}, false},
		{"a version wins over sequencers", s3Write{version: "v1", sequencer: "1A"}, s3Write{version: "v1", sequencer: "1B"}, true},
		{"another version is another write", s3Write{version: "v1", sequencer: "1A"}, s3Write{version: "v2", sequencer: "1A"}, false},
		{"the version null is no version", s3Write{version: "null", sequencer: sequencer}, s3Write{sequencer: sequencer}, true},
		{"without a sequencer the ETag decides", s3Write{etag: etag}, s3Write{etag: "00000000000000000000000000000000"}, false},
		{"another key is another object", s3Write{key: "a", sequencer: sequencer}, s3Write{key: "b", sequencer: sequencer}, false},
		{
			"another bucket is another object",
			s3Write{bucket: "landing", sequencer: sequencer}, s3Write{bucket: "archive", sequencer: sequencer}, false,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			one, other := identities(t, test.one), identities(t, test.other)
			for _, a := range one {
				for _, b := range other {
					if (a == b) != test.isSame {
						t.Errorf("%q and %q: equal is %v, want %v", a, b, a == b, test.isSame)
					}
				}
			}
		})
	}
}

// identities returns the identities of one write in an EventBridge event and in an S3 notification.
func identities(t *testing.T, w s3Write) []string {
	t.Helper()
	if w.bucket == "" {
		w.bucket = "landing"
	}
	if w.key == "" {
		w.key = "sales/us.csv"
	}
	var found []string
	for _, way := range wrappings()[:2] {
		all, err := event.DecodeArrival(way.wrap(t, w))
		if err != nil || len(all) != 1 {
			t.Fatalf("%s: %d events, error %v", way.name, len(all), err)
		}
		found = append(found, all[0].Identity)
	}
	return found
}

// S3's tests and deletions give no event and no error.
func TestDecodeArrivalIgnoresOtherReports(t *testing.T) {
	t.Parallel()
	removed := record(s3Write{bucket: "landing", key: "old.csv"}, "old.csv")
	removed["eventName"] = "ObjectRemoved:Delete"
	test := []byte(`{"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-01-05T07:12:30.518Z",
		"Bucket": "landing", "RequestId": "A", "HostId": "B"}`)
	tests := map[string][]byte{
		"the test when notifications are turned on": test,
		"that test through SNS in Lambda":           topicBatch(t, test),
		"that test through SQS":                     queueBatch(t, test),
		"that test through SNS in SQS":              queueBatch(t, envelope(t, test)),
		"a deletion in a notification":              encode(t, tree{"Records": []any{removed}}),
		"a deletion over EventBridge": []byte(`{"source": "aws.s3", "detail-type": "Object Deleted",
			"detail": {"bucket": {"name": "landing"}, "object": {"key": "old.csv"}}}`),
	}
	for name, payload := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if all, err := event.DecodeArrival(payload); err != nil || len(all) != 0 {
				t.Errorf("%d events, error %v: want no event and no error", len(all), err)
			}
		})
	}
}

// The error for a payload that is not an arrival names its kind.
func TestDecodeArrivalErrors(t *testing.T) {
	t.Parallel()
	oneRecord := func(object string) string {
		return `{"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
			"s3": {"bucket": {"name": "landing"}, "object": ` + object + `}}]}`
	}
	tests := []struct{ name, payload, says string }{
		{"text that is not JSON", `not json`, "it is invalid JSON at 1:2: invalid character 'o' in literal null"},
		{"an empty payload", ``, "it is empty"},
		{"a list", `[1]`, "it is a list"},
		{"an error in a later line", "{\n \"a\": 1,\n}", "it is invalid JSON at 3:1"},
		{"an object of another kind", `{"hello": "world"}`, "a JSON object of an unknown kind"},
		{
			"another EventBridge event", `{"source": "aws.glue", "detail-type": "Glue Job State Change", "detail": {}}`,
			`"Glue Job State Change" event of source "aws.glue"`,
		},
		{
			"a schedule",
			`{"source": "modeldispatch.schedule", "model": "m", "trigger": "schedule", "scheduled-time": "2026-01-05T06:00:00Z"}`,
			"a schedule's payload",
		},
		{"a key that is not form-encoded", oneRecord(`{"key": "100%.csv"}`), `"100%.csv"`},
		{"a key that is not UTF-8", oneRecord(`{"key": "caf%E9.csv"}`), "is not UTF-8"},
		{"no key", oneRecord(`{}`), "has no bucket or no key"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			all, err := event.DecodeArrival([]byte(test.payload))
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%d events, error %v, want an error that contains %q", len(all), err, test.says)
			}
		})
	}
}

// A record that cannot be read does not affect the others.
func TestBadRecordDoesNotAffectOthers(t *testing.T) {
	t.Parallel()
	w := s3Write{bucket: "landing", sequencer: "1A"}
	payload := encode(t, tree{"Records": []any{record(w, "a.csv"), record(w, "100%.csv"), record(w, "caf%E9.csv"), record(w, "b.csv")}})
	all, err := event.DecodeArrival(payload)
	if len(all) != 2 || all[0].Object.Key != "a.csv" || all[1].Object.Key != "b.csv" {
		t.Errorf("events %+v, want a.csv and b.csv", all)
	}
	if err == nil || !strings.Contains(err.Error(), "100%.csv") || !strings.Contains(err.Error(), `caf\xe9.csv`) {
		t.Errorf("error %v, want an error that names both bad keys", err)
	}
}
