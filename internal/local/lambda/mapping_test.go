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

// batchResponses holds the cases in Lambda's documentation of batch responses, and some more.
var batchResponses = []struct {
	name   string
	answer string // the function's response; IDn stands for the id of message n
	err    error
	ignore bool     // ReportBatchItemFailures is off
	again  []string // the bodies of the messages that are delivered again
}{
	{"an empty list", `{"batchItemFailures":[]}`, nil, false, nil},
	{"a null list", `{"batchItemFailures":null}`, nil, false, nil},
	{"an empty object", `{}`, nil, false, nil},
	{"null", `null`, nil, false, nil},
	{"one message", `{"batchItemFailures":[{"itemIdentifier":"ID1"}]}`, nil, false, []string{"m1"}},
	{
		"two messages, one of them twice",
		`{"batchItemFailures":[{"itemIdentifier":"ID0"},{"itemIdentifier":"ID2"},{"itemIdentifier":"ID0"}]}`,
		nil, false, []string{"m0", "m2"},
	},
	{"an error", `null`, errBroken, false, []string{"m0", "m1", "m2"}},
	{"text", `"fine"`, nil, false, []string{"m0", "m1", "m2"}},
	{"a list of the wrong type", `{"batchItemFailures":"ID1"}`, nil, false, []string{"m0", "m1", "m2"}},
	{"an empty id", `{"batchItemFailures":[{"itemIdentifier":""}]}`, nil, false, []string{"m0", "m1", "m2"}},
	{"a null id", `{"batchItemFailures":[{"itemIdentifier":null}]}`, nil, false, []string{"m0", "m1", "m2"}},
	{"a wrong key", `{"batchItemFailures":[{"ItemIdentifier":"ID1"}]}`, nil, false, []string{"m0", "m1", "m2"}},
	{
		"an unknown id", `{"batchItemFailures":[{"itemIdentifier":"ID1"},{"itemIdentifier":"x"}]}`,
		nil, false, []string{"m0", "m1", "m2"},
	},
	{"failures without ReportBatchItemFailures", `{"batchItemFailures":[{"itemIdentifier":"ID1"}]}`, nil, true, nil},
}

func TestBatchResponses(t *testing.T) {
	t.Parallel()
	for _, c := range batchResponses {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var again journal
				h := start(t, "", lambda.Options{
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
					Mappings: []lambda.Mapping{{
						Queue: "q", Function: "f", BatchingWindow: time.Second, BatchSize: 3, ReportBatchItemFailures: !c.ignore,
					}},
				})
				defer h.close()
				h.send("m0", "m1", "m2")
				h.waitIdle()
				if got := slices.Sorted(slices.Values(again.all())); !slices.Equal(got, c.again) {
					t.Errorf("delivered again: %v, want %v", got, c.again)
				}
			})
		})
	}
}

func TestOnlyThePoisonMessageBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var good journal
		h := start(t, "", lambda.Options{
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
			Mappings: []lambda.Mapping{{Queue: "q", Function: "f", ReportBatchItemFailures: true, RetryDelay: 5 * time.Second}},
		})
		defer h.close()
		began := time.Now()
		h.send("a", "poison", "b")
		h.waitIdle()
		if got := slices.Sorted(slices.Values(good.all())); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("handled %v, want a and b", got)
		}
		if got := h.receiveAll("dead"); !slices.Equal(got, []string{"poison"}) {
			t.Errorf("dead letters %v, want the poison message", got)
		}
		if took := time.Since(began); took != 15*time.Second {
			t.Errorf("three receives with a delay of 5 s took %s, want 15s", took)
		}
	})
}

// TestSQSEvent compares the event of a function byte for byte.
func TestSQSEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got journal
		h := start(t, "", lambda.Options{
			Functions: []lambda.Function{function("f", func(e json.RawMessage) error {
				var parsed events.SQSEvent
				if err := json.Unmarshal(e, &parsed); err != nil {
					return err
				}
				m := parsed.Records[0]
				got.add(strings.NewReplacer(m.MessageId, "ID", m.ReceiptHandle, "RECEIPT").Replace(string(e)))
				return nil
			})},
			Mappings: []lambda.Mapping{{Queue: "q", Function: "f"}},
		})
		defer h.close()
		h.send(`{"a":"<ü>"}`)
		h.waitIdle()
		want := `{"Records":[{"messageId":"ID","receiptHandle":"RECEIPT","body":"{\"a\":\"<ü>\"}",` +
			`"attributes":{"ApproximateFirstReceiveTimestamp":"946684800000","ApproximateReceiveCount":"1",` +
			`"SenderId":"000000000000","SentTimestamp":"946684800000"},` +
			`"messageAttributes":{"kind":{"stringValue":"test","stringListValues":[],"binaryListValues":[],"dataType":"String"}},` +
			`"md5OfMessageAttributes":"b208efaf010247370cb046e6adfb8858","md5OfBody":"f36fc7a56559dc24d2fb1f4a7f3c120e",` +
			`"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:000000000000:q","awsRegion":"us-east-1"}]}`
		if len(got.all()) != 1 || got.all()[0] != want {
			t.Errorf("events\n%s\nwant\n%s", strings.Join(got.all(), "\n"), want)
		}
	})
}

func TestBatchingWindowFillsBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sizes journal
		h := start(t, "", lambda.Options{
			Functions: []lambda.Function{function("f", func(e events.SQSEvent) { sizes.add(fmt.Sprint(len(e.Records))) })},
			Mappings:  []lambda.Mapping{{Queue: "q", Function: "f", BatchSize: 25, BatchingWindow: 10 * time.Second, Concurrency: 1}},
		})
		defer h.close()
		for range 30 { // two per second: 20 messages fall into the first window, 10 into the second
			h.send("x")
			time.Sleep(500*time.Millisecond + time.Nanosecond)
		}
		h.waitIdle()
		if got := sizes.all(); !slices.Equal(got, []string{"20", "10"}) {
			t.Errorf("batches of %v", got)
		}
	})
}

// TestLargeBatchIsSplit sends seven messages of 1 MiB, which exceed the payload limit of 6 MiB.
func TestLargeBatchIsSplit(t *testing.T) {
	t.Parallel()
	var sizes journal
	h := start(t, "", lambda.Options{
		Functions: []lambda.Function{function("f", func(e events.SQSEvent) { sizes.add(fmt.Sprint(len(e.Records))) })},
		Mappings:  []lambda.Mapping{{Queue: "q", Function: "f"}},
	})
	h.stop() // no poller runs until all seven messages are in the queue
	if err := <-h.ended; err != nil {
		t.Fatal(err)
	}
	for range 7 {
		h.send(strings.Repeat("x", 1<<20-len("kindStringtest")))
	}
	ctx, stop := context.WithCancel(t.Context())
	h.stop = stop
	go func() { h.ended <- h.engine.Run(ctx) }()
	h.waitIdle()
	h.close()
	if got := sizes.all(); !slices.Equal(got, []string{"5", "2"}) {
		t.Errorf("batches of %v", got)
	}
}
