package event_test

import (
	"fmt"
	"strings"
	"testing"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
)

// On every way a key arrives as it was written, and on every way the same write is the same event.
func TestKeysOnEveryWay(t *testing.T) {
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
		w := written{bucket: "landing", key: key, sequencer: "0066417CA4BB6E5AAF", etag: "2cf38e866d26412c83a7ab4578767830", size: 12}
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

// A record is what a replay sends: it leads to the same event again.
func TestPayloadOfAnArrivalIsAnArrival(t *testing.T) {
	t.Parallel()
	w := written{bucket: "landing", key: "umsatz/📈 +%2B.csv", version: "L4kqtJlcpXroDTDmpUMLUo", sequencer: "0066417CA4BB6E5AAF", size: 12}
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
				t.Errorf("again it is %+v, and was %+v", again[0].Object, first[0].Object)
			}
		})
	}
}

// What tells two writes of one key apart: the version, else the sequencer, else the ETag.
func TestIdentityOfAnArrival(t *testing.T) {
	t.Parallel()
	const sequencer, etag = "0066417CA4BB6E5AAF", "2cf38e866d26412c83a7ab4578767830"
	tests := []struct {
		name   string
		one    written
		other  written
		isSame bool
	}{
		{"a sequencer shorter by zeros at its end is the same", written{sequencer: "0066417CA4BB6E5A"}, written{sequencer: "0066417CA4BB6E5A00"}, true},
		{"a sequencer in lower case is the same", written{sequencer: "0066417ca4bb6e5aaf"}, written{sequencer: sequencer}, true},
		{"another sequencer is another write", written{sequencer: sequencer}, written{sequencer: "0066417CA4BB6E5AB0"}, false},
		{"the same ETag written twice is two writes", written{sequencer: "1A", etag: etag}, written{sequencer: "1B", etag: etag}, false},
		{"a version wins over sequencers", written{version: "v1", sequencer: "1A"}, written{version: "v1", sequencer: "1B"}, true},
		{"another version is another write", written{version: "v1", sequencer: "1A"}, written{version: "v2", sequencer: "1A"}, false},
		{"the version null is no version", written{version: "null", sequencer: sequencer}, written{sequencer: sequencer}, true},
		{"without a sequencer the ETag tells", written{etag: etag}, written{etag: "00000000000000000000000000000000"}, false},
		{"another key is another object", written{key: "a", sequencer: sequencer}, written{key: "b", sequencer: sequencer}, false},
		{"another bucket is another object", written{bucket: "landing", sequencer: sequencer}, written{bucket: "archive", sequencer: sequencer}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			one, other := identities(t, test.one), identities(t, test.other)
			for _, a := range one {
				for _, b := range other {
					if (a == b) != test.isSame {
						t.Errorf("%q and %q: the same is %v, want %v", a, b, a == b, test.isSame)
					}
				}
			}
		})
	}
}

// identities are those that a write has on S3's two ways.
func identities(t *testing.T, w written) []string {
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

// What S3 says besides is no arrival, and no error.
func TestDecodeArrivalIgnores(t *testing.T) {
	t.Parallel()
	removed := record(written{bucket: "landing", key: "old.csv"}, "old.csv")
	removed["eventName"] = "ObjectRemoved:Delete"
	test := []byte(`{"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-01-05T07:12:30.518Z", "Bucket": "landing", "RequestId": "A", "HostId": "B"}`)
	tests := map[string][]byte{
		"the test when notifications are turned on": test,
		"that test through SNS in Lambda":           topicBatch(t, test),
		"that test through SQS":                     queueBatch(t, test),
		"that test through SNS in SQS":              queueBatch(t, envelope(t, test)),
		"a deletion in a notification":              encode(t, tree{"Records": []any{removed}}),
		"a deletion over EventBridge":               []byte(`{"source": "aws.s3", "detail-type": "Object Deleted", "detail": {"bucket": {"name": "landing"}, "object": {"key": "old.csv"}}}`),
	}
	for name, payload := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if all, err := event.DecodeArrival(payload); err != nil || len(all) != 0 {
				t.Errorf("%d events, error %v: want neither", len(all), err)
			}
		})
	}
}

// What is no arrival at all is an error that names what it is.
func TestDecodeArrivalRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, payload, says string }{
		{"no JSON", `not json`, "it is invalid JSON at 1:2: invalid character 'o' in literal null"},
		{"nothing", ``, "it is empty"},
		{"a list", `[1]`, "it is a list"}, {"a list below", "{\n \"a\": 1,\n}", "it is invalid JSON at 3:1"},
		{"an object of something else", `{"hello": "world"}`, "nothing that is known"},
		{"another EventBridge event", `{"source": "aws.glue", "detail-type": "Glue Job State Change", "detail": {}}`, `"Glue Job State Change" event of "aws.glue"`},
		{"a schedule", `{"source": "modeldispatch.schedule", "model": "m", "trigger": "schedule", "scheduled-time": "2026-01-05T06:00:00Z"}`, "a schedule's payload"},
		{"a key that is not form-encoded", `{"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "landing"}, "object": {"key": "100%.csv"}}}]}`, `"100%.csv"`},
		{"a key that is not UTF-8", `{"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "landing"}, "object": {"key": "caf%E9.csv"}}}]}`, "is not UTF-8"},
		{"no key", `{"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "landing"}, "object": {}}}]}`, "without a bucket or a key"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			all, err := event.DecodeArrival([]byte(test.payload))
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%d events, error %v: want one that says %q", len(all), err, test.says)
			}
		})
	}
}

// A record that cannot be read does not take the others with it.
func TestOneBadKeyAmongGoodOnes(t *testing.T) {
	t.Parallel()
	w := written{bucket: "landing", sequencer: "1A"}
	payload := encode(t, tree{"Records": []any{record(w, "a.csv"), record(w, "100%.csv"), record(w, "caf%E9.csv"), record(w, "b.csv")}})
	all, err := event.DecodeArrival(payload)
	if len(all) != 2 || all[0].Object.Key != "a.csv" || all[1].Object.Key != "b.csv" {
		t.Errorf("events %+v, want a.csv and b.csv", all)
	}
	if err == nil || !strings.Contains(err.Error(), "100%.csv") || !strings.Contains(err.Error(), `caf\xe9.csv`) {
		t.Errorf("error %v, want one that names both bad keys", err)
	}
}
