// Package handler contains the handlers of the seven Lambda functions. Each method of [Handlers] decodes a payload,
// calls the dispatcher (package dispatch), and returns the response that Lambda expects. The Lambda functions, the
// local stack and the simulation use the same handlers.
//
// In the flow event -> binding -> run -> launch -> task -> outcome -> announcement, the handlers are the entry points
// from AWS:
//
//	handler      payload                                       calls
//	Schedule     payload of a schedule that is due             Dispatcher.Accept
//	Arrival      S3 event, in any wrapping                     Dispatcher.Accept
//	Event        EventBridge event                             Dispatcher.Accept
//	Message      SQS batch of the queues of message triggers   Dispatcher.Accept
//	Launch       SQS batch of the launch queue                 Dispatcher.Reserve, then Dispatcher.Launch
//	Completion   ECS Task State Change                         Dispatcher.Observe
//	Sweep        SQS batch of the wake queue                   Dispatcher.Advance
//	             any other payload, from a timer               Dispatcher.Sweep
//
// The timer of the sweep fires once a minute in an account, and more often in the local stack.
//
// # Terms
//
//   - An accepting handler (Schedule, Arrival, Event, Message) turns a payload into events (package event) and accepts
//     them. Accepting handlers never call ECS.
//   - A run message (awsadapters.RunMessage) is the body of a message on the launch queue or the wake queue. It holds
//     the id of a run.
//   - To acknowledge a message is to report no failure for it, so that SQS deletes it. SQS delivers a message with a
//     reported failure (events.SQSBatchItemFailure) again, until the redrive policy of its queue moves it to a
//     dead-letter queue. To acknowledge any other payload is to return no error, so that Lambda does not invoke the
//     function with it again.
//
// # When something fails
//
//   - A payload or message cannot be decoded: an accepting handler records it with the reason as a rejected event, and
//     acknowledges it. Another delivery would fail in the same way. If only a part cannot be decoded, the handler
//     accepts the events of the other parts first.
//   - The dispatcher returns an error, for example because the store is unavailable: the handler of a batch reports the
//     failure of this message. If Dispatcher.Reserve fails, Launch returns the error, and SQS delivers the whole batch
//     again. Schedule, Arrival, Event and Completion return the error: Lambda invokes the function twice more, and then
//     sends the payload to the dead-letter queue.
//   - A sweep fails: Sweep returns the error, and Lambda repeats it in the same way. In addition, the next timer starts
//     a new sweep. It finds all work of the failed one, because that work is still due in the store.
//   - A message makes the code panic: handleSafely turns the panic into an error of this message. The other messages of
//     the batch are not affected.
//   - A run message names an unknown run: it is logged and acknowledged. A body of another form is reported as failed,
//     because the program did not write it.
//   - Completion cannot decode its payload: it returns the error and records nothing, because the payload is not an
//     event of a user.
//
// The handlers keep no state. Every call can be repeated, because the dispatcher recognizes events and runs that it has
// processed before.
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
	"modeldispatch/internal/dispatch/awsadapters"
	"modeldispatch/internal/event"
	"modeldispatch/internal/records"
	"modeldispatch/internal/store"
)

// Handlers holds the handlers of all functions, for one dispatcher.
type Handlers struct {
	Dispatcher *dispatch.Dispatcher
	Log        zerolog.Logger
}

// Schedule accepts the event that a schedule is due, which EventBridge Scheduler sends. It rejects any other payload.
func (h Handlers) Schedule(ctx context.Context, payload json.RawMessage) error {
	e, err := event.DecodeSchedule(payload)
	if err != nil {
		return h.undecoded(ctx, payload, err)
	}
	return h.accept(ctx, e)
}

// Arrival accepts the events that S3 objects were created, in any wrapping that event.DecodeArrival knows. It accepts
// the records that it can decode, and then rejects the payload because of the others.
func (h Handlers) Arrival(ctx context.Context, payload json.RawMessage) error {
	arrivals, err := event.DecodeArrival(payload)
	if err := h.accept(ctx, arrivals...); err != nil {
		return err
	}
	if err != nil { // about the records that could not be decoded
		return h.undecoded(ctx, payload, err)
	}
	return nil
}

// Event accepts any EventBridge event. It rejects any other payload.
func (h Handlers) Event(ctx context.Context, payload json.RawMessage) error {
	e, err := event.DecodeEventBridge(payload)
	if err != nil {
		return h.undecoded(ctx, payload, err)
	}
	return h.accept(ctx, e)
}

// Message accepts the messages of a queue that a message trigger names. It rejects a message that cannot be decoded. It
// returns an error only if the payload is not an SQS batch.
func (h Handlers) Message(ctx context.Context, payload json.RawMessage) (events.SQSEventResponse, error) {
	deliveries, err := event.DecodeMessages(payload)
	if err != nil {
		return events.SQSEventResponse{}, err
	}
	return handleEach(h, deliveries, func(d event.Delivery) string { return d.MessageID }, func(d event.Delivery) error {
		if err := h.accept(ctx, d.Events...); err != nil || d.Err == nil {
			return err
		}
		return h.reject(ctx, d.Message, d.Err)
	}), nil
}

// Launch launches the runs that a batch of the launch queue names. It gets the reservations of all of them in one
// call. If that call fails, Launch returns its error, and the whole batch fails.
func (h Handlers) Launch(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	var ids []string
	for _, m := range batch.Records {
		var body awsadapters.RunMessage
		if json.Unmarshal([]byte(m.Body), &body) == nil {
			ids = append(ids, body.Run)
		}
	}
	reservations, err := h.Dispatcher.Reserve(h.context(ctx), ids...)
	if err != nil {
		return events.SQSEventResponse{}, err
	}
	return h.handleRuns(ctx, batch, func(ctx context.Context, id string) error {
		return h.Dispatcher.Launch(ctx, id, reservations[id])
	})
}

// Completion applies an ECS Task State Change to the run of the task. It returns an error for any other payload.
func (h Handlers) Completion(ctx context.Context, payload json.RawMessage) error {
	task, err := event.DecodeTask(payload)
	if err != nil {
		return err
	}
	return h.Dispatcher.Observe(h.context(ctx), task)
}

// Sweep advances the runs that a batch of the wake queue names. With any other payload it advances all runs that are
// due. A timer sends such a payload.
func (h Handlers) Sweep(ctx context.Context, payload json.RawMessage) (events.SQSEventResponse, error) {
	var batch events.SQSEvent
	if err := json.Unmarshal(payload, &batch); err == nil && len(batch.Records) > 0 {
		return h.handleRuns(ctx, batch, h.Dispatcher.Advance)
	}
	return events.SQSEventResponse{}, h.Dispatcher.Sweep(h.context(ctx))
}

// context returns a context with the log. Each line of the log has the request id of Lambda, which CloudWatch and X-Ray
// also show.
func (h Handlers) context(ctx context.Context) context.Context {
	log := h.Log
	if request, found := lambdacontext.FromContext(ctx); found {
		log = log.With().Str("request", request.AwsRequestID).Logger()
	}
	return log.WithContext(ctx)
}

// accept accepts events in their order, and stops at the first error.
func (h Handlers) accept(ctx context.Context, all ...event.Event) error {
	for _, e := range all {
		if _, err := h.Dispatcher.Accept(h.context(ctx), e); err != nil {
			return err
		}
	}
	return nil
}

// undecoded records a payload that cannot be decoded as a rejected event.
func (h Handlers) undecoded(ctx context.Context, payload json.RawMessage, cause error) error {
	return h.reject(ctx, event.Undecoded(payload, h.Dispatcher.Now()), cause)
}

// reject records an event as rejected, with the cause as its reason.
func (h Handlers) reject(ctx context.Context, e event.Event, cause error) error {
	_, err := h.Dispatcher.Reject(h.context(ctx), e, records.Decision{Reason: cause.Error()})
	return err
}

// handleRuns calls advance for each run that a batch of run messages names.
func (h Handlers) handleRuns(
	ctx context.Context, batch events.SQSEvent, advance func(ctx context.Context, run string) error,
) (events.SQSEventResponse, error) {
	return handleEach(h, batch.Records, func(m events.SQSMessage) string { return m.MessageId }, func(m events.SQSMessage) error {
		var body awsadapters.RunMessage
		if err := json.Unmarshal([]byte(m.Body), &body); err != nil || body.Run == "" {
			return fmt.Errorf("its body is %q; {\"run\": \"<run id>\"} is expected", m.Body)
		}
		err := advance(h.context(ctx), body.Run)
		if errors.Is(err, store.ErrNotFound) {
			zerolog.Ctx(h.context(ctx)).Error().Err(err).Str("run", body.Run).Msg("message for an unknown run")
			return nil
		}
		return err
	}), nil
}

// handleEach handles each message of a batch on its own. Its response lists the messages that failed.
func handleEach[M any](h Handlers, batch []M, id func(M) string, handle func(M) error) events.SQSEventResponse {
	errs := make([]error, len(batch))
	h.Dispatcher.ForEach(len(batch), func(i int) { errs[i] = handleSafely(batch[i], handle) })
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for i, err := range errs {
		if err != nil {
			h.Log.Error().Err(err).Str("message", id(batch[i])).Msg("message failed; SQS delivers it again")
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: id(batch[i])})
		}
	}
	return response
}

// handleSafely handles one message, and turns a panic into an error of this message.
func handleSafely[M any](m M, handle func(M) error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	return handle(m)
}
