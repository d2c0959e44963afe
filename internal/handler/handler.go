// Package handler holds the functions' handlers: a Lambda payload in, the dispatcher's work, and
// the response that Lambda wants. The functions and the local stack wire the same handlers.
//
// Accepting handlers (Schedule, Arrival, Message, Event) never call ECS. A batch of messages is
// answered message by message, so that one bad message never takes others with it.
package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/rs/zerolog"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/dispatch/awsio"
	"modeldispatch/internal/event"
	"modeldispatch/internal/store"
)

// Handlers are the handlers of all functions over one dispatcher.
type Handlers struct {
	Dispatcher *dispatch.Dispatcher
	Log        zerolog.Logger
}

// Schedule takes what EventBridge Scheduler sends when a schedule is due.
func (h Handlers) Schedule(ctx context.Context, payload json.RawMessage) error {
	e, err := event.DecodeSchedule(payload)
	if err != nil {
		return h.undecoded(ctx, payload, err)
	}
	return h.accept(ctx, e)
}

// Arrival takes what says that S3 objects were created, in any of its wrappings.
func (h Handlers) Arrival(ctx context.Context, payload json.RawMessage) error {
	arrivals, err := event.DecodeArrival(payload)
	if err := h.accept(ctx, arrivals...); err != nil {
		return err
	}
	if err != nil { // of what could not be read; the rest is accepted all the same
		return h.undecoded(ctx, payload, err)
	}
	return nil
}

// Event takes any EventBridge event.
func (h Handlers) Event(ctx context.Context, payload json.RawMessage) error {
	e, err := event.DecodeBridge(payload)
	if err != nil {
		return h.undecoded(ctx, payload, err)
	}
	return h.accept(ctx, e)
}

// Message takes a batch of the queues that models are started from.
func (h Handlers) Message(ctx context.Context, payload json.RawMessage) (events.SQSEventResponse, error) {
	deliveries, err := event.DecodeMessages(payload)
	if err != nil {
		return events.SQSEventResponse{}, err
	}
	return each(h, deliveries, func(d event.Delivery) string { return d.MessageID }, func(d event.Delivery) error {
		if err := h.accept(ctx, d.Events...); err != nil || d.Err == nil {
			return err
		}
		return h.reject(ctx, d.Message, d.Err)
	}), nil
}

// Launch takes a batch of the launch queue.
func (h Handlers) Launch(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	var ids []string
	for _, m := range batch.Records {
		var body awsio.RunMessage
		if json.Unmarshal([]byte(m.Body), &body) == nil {
			ids = append(ids, body.Run)
		}
	}
	turns, err := h.Dispatcher.Turns(h.context(ctx), ids...)
	if err != nil {
		return events.SQSEventResponse{}, err
	}
	return h.runs(ctx, batch, func(ctx context.Context, id string) error { return h.Dispatcher.Launch(ctx, id, turns[id]) })
}

// Completion takes an ECS Task State Change.
func (h Handlers) Completion(ctx context.Context, payload json.RawMessage) error {
	task, err := event.DecodeTask(payload)
	if err != nil {
		return err
	}
	return h.Dispatcher.Observe(h.context(ctx), task)
}

// Sweep takes a batch of the wake queue, and does what is due for those runs; with any other
// payload, which comes every minute, it does what is due for all.
func (h Handlers) Sweep(ctx context.Context, payload json.RawMessage) (events.SQSEventResponse, error) {
	var batch events.SQSEvent
	if err := json.Unmarshal(payload, &batch); err == nil && len(batch.Records) > 0 {
		return h.runs(ctx, batch, h.Dispatcher.Advance)
	}
	return events.SQSEventResponse{}, h.Dispatcher.Sweep(h.context(ctx))
}

// context carries the log, with the id of the request to Lambda, as CloudWatch and X-Ray know it.
func (h Handlers) context(ctx context.Context) context.Context {
	log := h.Log
	if request, found := lambdacontext.FromContext(ctx); found {
		log = log.With().Str("request", request.AwsRequestID).Logger()
	}
	return log.WithContext(ctx)
}

func (h Handlers) accept(ctx context.Context, all ...event.Event) error {
	for _, e := range all {
		if _, err := h.Dispatcher.Accept(h.context(ctx), e); err != nil {
			return err
		}
	}
	return nil
}

// undecoded records a payload that is no event of the kind that the function takes.
func (h Handlers) undecoded(ctx context.Context, payload json.RawMessage, cause error) error {
	return h.reject(ctx, event.Undecoded(payload, h.Dispatcher.Now()), cause)
}

func (h Handlers) reject(ctx context.Context, e event.Event, cause error) error {
	_, err := h.Dispatcher.Reject(h.context(ctx), e, dispatch.Decision{Reason: cause.Error()})
	return err
}

// runs gives each run that a batch names to a method of the dispatcher.
func (h Handlers) runs(ctx context.Context, batch events.SQSEvent, move func(context.Context, string) error) (events.SQSEventResponse, error) {
	return each(h, batch.Records, func(m events.SQSMessage) string { return m.MessageId }, func(m events.SQSMessage) error {
		var body awsio.RunMessage
		if err := json.Unmarshal([]byte(m.Body), &body); err != nil || body.Run == "" {
			return fmt.Errorf("its body is %q, and {\"run\": id} was expected", m.Body)
		}
		err := move(h.context(ctx), body.Run)
		if errors.Is(err, store.ErrNotFound) {
			zerolog.Ctx(h.context(ctx)).Error().Err(err).Str("run", body.Run).Msg("message for an unknown run")
			return nil
		}
		return err
	}), nil
}

// each handles each message of a batch by itself, and names those that are to come back.
func each[M any](h Handlers, batch []M, id func(M) string, handle func(M) error) events.SQSEventResponse {
	errs := make([]error, len(batch))
	h.Dispatcher.Each(len(batch), func(i int) { errs[i] = guarded(batch[i], handle) })
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for i, err := range errs {
		if err != nil {
			h.Log.Error().Err(err).Str("message", id(batch[i])).Msg("message comes back")
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: id(batch[i])})
		}
	}
	return response
}

// guarded turns a crash over one message into that message's error: the others are not to blame.
func guarded[M any](m M, handle func(M) error) (err error) {
	defer func() {
		if crash := recover(); crash != nil {
			err = fmt.Errorf("crashed: %v\n%s", crash, debug.Stack())
		}
	}()
	return handle(m)
}
