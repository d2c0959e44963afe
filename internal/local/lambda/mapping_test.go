package lambda_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"modeldispatch/internal/local/lambda"
)

// The rows are those of the table of batch responses in Lambda's documentation.
func TestBatchResponses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer string // IDn stands for the id of message n
		err    error
		ignore bool
		again  []string // the bodies that come a second time
	}{
		{"an empty list", `{"batchItemFailures":[]}`, nil, false, nil},
		{"a null list", `{"batchItemFailures":null}`, nil, false, nil},
		{"an empty object", `{}`, nil, false, nil},
		{"null", `null`, nil, false, nil},
		{"one of them", `{"batchItemFailures":[{"itemIdentifier":"ID1"}]}`, nil, false, []string{"m1"}},
		{"two, one of them twice", `{"batchItemFailures":[{"itemIdentifier":"ID0"},{"itemIdentifier":"ID2"},{"itemIdentifier":"ID0"}]}`, nil, false, []string{"m0", "m2"}},
		{"an error", `null`, errBroken, false, []string{"m0", "m1", "m2"}},
		{"text", `"fine"`, nil, false, []string{"m0", "m1", "m2"}},
		{"a list that is none", `{"batchItemFailures":"ID1"}`, nil, false, []string{"m0", "m1", "m2"}},
		{"an empty id", `{"batchItemFailures":[{"itemIdentifier":""}]}`, nil, false, []string{"m0", "m1", "m2"}},
		{"a null id", `{"batchItemFailures":[{"itemIdentifier":null}]}`, nil, false, []string{"m0", "m1", "m2"}},
		{"a wrong key", `{"batchItemFailures":[{"ItemIdentifier":"ID1"}]}`, nil, false, []string{"m0", "m1", "m2"}},
		{"an unknown id", `{"batchItemFailures":[{"itemIdentifier":"ID1"},{"itemIdentifier":"x"}]}`, nil, false, []string{"m0", "m1", "m2"}},
		{"failures that nobody reads", `{"batchItemFailures":[{"itemIdentifier":"ID1"}]}`, nil, true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var again journal
				b := start(t, "", lambda.Options{
					Functions: []lambda.Function{function("f", func(e events.SQSEvent) (json.RawMessage, error) {
						if e.Records[0].Attributes["ApproximateReceiveCount"] != "1" {
							for _, m := range e.Records {
								again.add(m.Body)
							}
							return nil, nil
						}
						answer := c.answer
						for i, m := range e.Records {
							answer = strings.ReplaceAll(answer, fmt.Sprint("ID", i), m.MessageId)
						}
						return json.RawMessage(answer), c.err
					})},
					Mappings: []lambda.Mapping{{Queue: "q", Function: "f", Window: time.Second, BatchSize: 3, ReportBatchItemFailures: !c.ignore}},
				})
				defer b.close()
				b.send("m0", "m1", "m2")
				b.idle()
				if got := slices.Sorted(slices.Values(again.all())); !slices.Equal(got, c.again) {
					t.Errorf("came again: %v, want %v", got, c.again)
				}
			})
		})
	}
}

func TestPoisonEndsInTheDeadLetterQueueAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var good journal
		b := start(t, "", lambda.Options{
			Functions: []lambda.Function{function("f", func(e events.SQSEvent) (r events.SQSEventResponse, _ error) {
				for _, m := range e.Records {
					if m.Body == "poison" {
						r.BatchItemFailures = append(r.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
						continue
					}
					good.add(m.Body)
				}
				return r, nil
			})},
			Mappings: []lambda.Mapping{{Queue: "q", Function: "f", ReportBatchItemFailures: true, Retry: 5 * time.Second}},
		})
		defer b.close()
		began := time.Now()
		b.send("a", "poison", "b")
		b.idle()
		if got := slices.Sorted(slices.Values(good.all())); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("dealt with %v", got)
		}
		if got := b.bodies("dead"); !slices.Equal(got, []string{"poison"}) {
			t.Errorf("dead letters %v", got)
		}
		if took := time.Since(began); took != 15*time.Second {
			t.Errorf("three receives, 5 s apart, took %s", took)
		}
	})
}

// The event that a function gets, byte for byte.
func TestSQSEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got journal
		b := start(t, "", lambda.Options{
			Functions: []lambda.Function{function("f", func(e json.RawMessage) error {
				var parsed events.SQSEvent
				if err := json.Unmarshal(e, &parsed); err != nil {
					return err
				}
				got.add(strings.ReplaceAll(strings.ReplaceAll(string(e), parsed.Records[0].MessageId, "ID"), parsed.Records[0].ReceiptHandle, "RECEIPT"))
				return nil
			})},
			Mappings: []lambda.Mapping{{Queue: "q", Function: "f"}},
		})
		defer b.close()
		b.send(`{"a":"<ü>"}`)
		b.idle()
		want := `{"Records":[{"messageId":"ID","receiptHandle":"RECEIPT","body":"{\"a\":\"<ü>\"}",` +
			`"attributes":{"ApproximateFirstReceiveTimestamp":"946684800000","ApproximateReceiveCount":"1","SenderId":"000000000000","SentTimestamp":"946684800000"},` +
			`"messageAttributes":{"kind":{"stringValue":"test","stringListValues":[],"binaryListValues":[],"dataType":"String"}},` +
			`"md5OfMessageAttributes":"b208efaf010247370cb046e6adfb8858","md5OfBody":"f36fc7a56559dc24d2fb1f4a7f3c120e","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:000000000000:q","awsRegion":"us-east-1"}]}`
		if len(got.all()) != 1 || got.all()[0] != want {
			t.Errorf("events\n%s\nwant\n%s", strings.Join(got.all(), "\n"), want)
		}
	})
}

func TestWindowFillsBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sizes journal
		b := start(t, "", lambda.Options{
			Functions: []lambda.Function{function("f", func(e events.SQSEvent) { sizes.add(fmt.Sprint(len(e.Records))) })},
			Mappings:  []lambda.Mapping{{Queue: "q", Function: "f", BatchSize: 25, Window: 10 * time.Second, Concurrency: 1}},
		})
		defer b.close()
		for range 30 { // one every half second: the window ends with 20, then with the other 10
			b.send("x")
			time.Sleep(500*time.Millisecond + time.Nanosecond)
		}
		b.idle()
		if got := sizes.all(); !slices.Equal(got, []string{"20", "10"}) {
			t.Errorf("batches of %v", got)
		}
	})
}

// Seven messages of 1 MiB are more than the 6 MB that a function can be sent.
func TestLargeBatchIsSplit(t *testing.T) {
	t.Parallel()
	var sizes journal
	b := start(t, "", lambda.Options{
		Functions: []lambda.Function{function("f", func(e events.SQSEvent) { sizes.add(fmt.Sprint(len(e.Records))) })},
		Mappings:  []lambda.Mapping{{Queue: "q", Function: "f"}},
	})
	b.stop() // nothing is polled until all seven are there
	if err := <-b.ended; err != nil {
		t.Fatal(err)
	}
	for range 7 {
		b.send(strings.Repeat("x", 1<<20-len("kindStringtest")))
	}
	ctx, stop := context.WithCancel(t.Context())
	b.stop = stop
	go func() { b.ended <- b.engine.Run(ctx) }()
	b.idle()
	b.close()
	if got := sizes.all(); !slices.Equal(got, []string{"5", "2"}) {
		t.Errorf("batches of %v", got)
	}
}
