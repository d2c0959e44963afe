package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"modeldispatch/internal/local/sqs"
)

// maxDeliveries limits the deliveries of an event over all processes. Without it, an event that kills the process
// would kill every later process too. Only function errors use up Options.RetryDelays, so a few killed processes lose
// no event.
const maxDeliveries = 10

// pollWait is the longest wait of one receive. Then the poller receives again.
const pollWait = time.Hour

// eventQueue returns the name of the queue for the function's asynchronous events. The colon keeps it apart from the
// queues of users: SQS allows no colon in a name.
func (f *Function) eventQueue() string { return "function:" + f.Name }

// InvokeAsync accepts an event for a function. When it returns nil, the event is durable, and the engine delivers it
// at least once. It returns an error for an unknown function, for a payload that is not JSON or exceeds 6 MiB, and
// when the queue does not take the event.
func (e *Engine) InvokeAsync(ctx context.Context, name string, payload []byte) error {
	f, err := e.findFunction(name, payload)
	if err != nil {
		return err
	}
	if _, err := e.queues.Send(ctx, f.eventQueue(), string(payload), nil, 0); err != nil {
		return fmt.Errorf("invoking %s: %w", name, err)
	}
	return nil
}

// receiveEvent returns a function that receives one asynchronous event of f.
func (e *Engine) receiveEvent(f *Function) func(context.Context) ([]sqs.Message, error) {
	return func(ctx context.Context) ([]sqs.Message, error) {
		return e.queues.Receive(ctx, f.eventQueue(), 1, pollWait)
	}
}

// handleEvent returns a function that delivers events to f. The id of an event's message is the request id of all its
// tries.
func (e *Engine) handleEvent(f *Function) func(context.Context, []sqs.Message) {
	return func(ctx context.Context, events []sqs.Message) {
		for _, m := range events {
			if err := e.deliver(ctx, f, m); err != nil {
				// The event stays in its queue and is delivered again after its visibility timeout.
				zerolog.Ctx(ctx).Error().Err(err).Str("function", f.Name).Str("request", m.ID).Msg("event not settled; it will be delivered again")
			}
		}
	}
}

// deliver invokes f with an event. After a success it deletes the event. After a function error it delays the event for
// its next try, or gives it up when no try is left.
func (e *Engine) deliver(ctx context.Context, f *Function, m sqs.Message) error {
	var failure *FunctionError
	if m.Received <= maxDeliveries {
		_, err := e.invoke(ctx, f, m.ID, []byte(m.Body))
		if err == nil {
			return e.deleteEvent(ctx, f, m)
		}
		errors.As(err, &failure)
		zerolog.Ctx(ctx).Warn().Err(err).Str("function", f.Name).Str("request", m.ID).Int("delivery", m.Received).Msg("function failed")
		if n := e.countFailure(m.ID); n <= len(e.options.RetryDelays) {
			return e.queues.ChangeVisibility(ctx, f.eventQueue(), m.Receipt, e.options.RetryDelays[n-1])
		}
	}
	if err := e.giveUp(ctx, f, m, failure); err != nil {
		return err
	}
	return e.deleteEvent(ctx, f, m)
}

// deleteEvent removes an event that needs no further try.
func (e *Engine) deleteEvent(ctx context.Context, f *Function, m sqs.Message) error {
	e.mu.Lock()
	delete(e.failures, m.ID)
	e.mu.Unlock()
	return e.queues.Delete(ctx, f.eventQueue(), m.Receipt)
}

// countFailure adds a function error to an event, and returns the event's errors in this process.
func (e *Engine) countFailure(request string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failures[request]++
	return e.failures[request]
}

// destinationRecord is the record that Lambda sends to a failure destination.
type destinationRecord struct {
	Version         string           `json:"version"`
	Timestamp       string           `json:"timestamp"`
	RequestContext  requestContext   `json:"requestContext"`
	RequestPayload  json.RawMessage  `json:"requestPayload"`
	ResponseContext *responseContext `json:"responseContext,omitempty"`
	ResponsePayload json.RawMessage  `json:"responsePayload,omitempty"`
}

type requestContext struct {
	RequestID              string `json:"requestId"`
	FunctionARN            string `json:"functionArn"`
	Condition              string `json:"condition"`
	ApproximateInvokeCount int    `json:"approximateInvokeCount"`
}

type responseContext struct {
	StatusCode      int    `json:"statusCode"`
	ExecutedVersion string `json:"executedVersion"`
	FunctionError   string `json:"functionError"`
}

// giveUp sends a record of an event to the function's failure destination, or logs the event if there is none.
// failure is the last function error. It is nil if the event reached maxDeliveries.
func (e *Engine) giveUp(ctx context.Context, f *Function, m sqs.Message, failure *FunctionError) error {
	log := zerolog.Ctx(ctx).Error().Str("function", f.Name).Str("request", m.ID)
	if f.OnFailure == "" {
		log.Str("event", m.Body).Msg("event discarded after its last try; the function has no failure destination")
		return nil
	}
	record := destinationRecord{
		Version:   "1.0",
		Timestamp: e.options.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		RequestContext: requestContext{
			RequestID: m.ID, FunctionARN: e.ARN(f.Name) + ":$LATEST",
			Condition: "RetriesExhausted", ApproximateInvokeCount: m.Received,
		},
		RequestPayload: json.RawMessage(m.Body),
	}
	if failure != nil {
		record.ResponseContext = &responseContext{StatusCode: 200, ExecutedVersion: "$LATEST", FunctionError: "Unhandled"}
		record.ResponsePayload = failure.payload()
	}
	text, err := encode(record)
	if err != nil {
		return err
	}
	if _, err := e.queues.Send(ctx, f.OnFailure, string(text), nil, 0); err != nil {
		return fmt.Errorf("sending an event of %s to its failure destination: %w", f.Name, err)
	}
	log.Str("destination", f.OnFailure).Msg("event sent to the failure destination after its last try")
	return nil
}
