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

// maxDeliveries bounds how often an event is delivered, deliveries that ended with this process
// included: what kills the process must not kill it for ever. Function errors alone count for
// Options.Retries, so a process that is killed a few times loses no event.
const maxDeliveries = 10

// longWait is how long a poller waits for a message before it asks again.
const longWait = time.Hour

// events is the queue of the function's asynchronous events; no queue made by hand can have this name.
func (f *Function) events() string { return "function:" + f.Name }

// InvokeAsync accepts an event for a function. When it returns nil, the event is durable, and will be
// delivered at least once.
func (e *Engine) InvokeAsync(ctx context.Context, name string, payload []byte) error {
	f, err := e.find(name, payload)
	if err != nil {
		return err
	}
	if _, err := e.queues.Send(ctx, f.events(), string(payload), nil, 0); err != nil {
		return fmt.Errorf("invoking %s: %w", name, err)
	}
	return nil
}

func (e *Engine) nextEvent(f *Function) func(context.Context) ([]sqs.Message, error) {
	return func(ctx context.Context) ([]sqs.Message, error) {
		return e.queues.Receive(ctx, f.events(), 1, longWait)
	}
}

// serveEvent delivers one event. The id of its message is the request id of all its tries.
func (e *Engine) serveEvent(f *Function) func(context.Context, []sqs.Message) {
	return func(ctx context.Context, events []sqs.Message) {
		for _, m := range events {
			if err := e.deliver(ctx, f, m); err != nil {
				// The event stays in its queue and comes again.
				zerolog.Ctx(ctx).Error().Err(err).Str("function", f.Name).Str("request", m.ID).Msg("event cannot be settled")
			}
		}
	}
}

func (e *Engine) deliver(ctx context.Context, f *Function, m sqs.Message) error {
	var failure *FunctionError
	if m.Received <= maxDeliveries {
		_, err := e.invoke(ctx, f, m.ID, []byte(m.Body))
		if err == nil {
			return e.settle(ctx, f, m)
		}
		errors.As(err, &failure)
		zerolog.Ctx(ctx).Warn().Err(err).Str("function", f.Name).Str("request", m.ID).Int("delivery", m.Received).Msg("function failed")
		if n := e.countFailure(m.ID); n <= len(e.options.Retries) {
			return e.queues.ChangeVisibility(ctx, f.events(), m.Receipt, e.options.Retries[n-1])
		}
	}
	if err := e.giveUp(ctx, f, m, failure); err != nil {
		return err
	}
	return e.settle(ctx, f, m)
}

func (e *Engine) settle(ctx context.Context, f *Function, m sqs.Message) error {
	e.mu.Lock()
	delete(e.failures, m.ID)
	e.mu.Unlock()
	return e.queues.Delete(ctx, f.events(), m.Receipt)
}

func (e *Engine) countFailure(request string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failures[request]++
	return e.failures[request]
}

// destinationRecord is what Lambda sends to a failure destination.
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

// giveUp sends an event to the function's failure destination. failure is nil when the last deliveries
// ended with the process.
func (e *Engine) giveUp(ctx context.Context, f *Function, m sqs.Message, failure *FunctionError) error {
	log := zerolog.Ctx(ctx).Error().Str("function", f.Name).Str("request", m.ID)
	if f.OnFailure == "" {
		log.Str("event", m.Body).Msg("event given up, and the function has no failure destination")
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
		return fmt.Errorf("giving up an event of %s: %w", f.Name, err)
	}
	log.Str("destination", f.OnFailure).Msg("event given up")
	return nil
}
