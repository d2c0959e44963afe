package wiring_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"
	"github.com/rs/zerolog"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/handler"
	"modeldispatch/internal/local"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/wiring"
	"modeldispatch/internal/wiring/iamtest"
)

// calls runs the handlers of all functions in one account, watches their AWS calls, and moves their clock.
type calls struct {
	account
	handler.Handlers
	ahead  atomic.Int64 // how far the clock of the handlers is ahead of the real time, in nanoseconds
	during func() error // called before each RunTask call, which then fails with its error; may be nil
	serial int          // makes the ids of events and messages unique
}

type functionKey struct{}

// as returns a context that marks all calls as calls of a function.
func as(t *testing.T, function string) context.Context {
	return context.WithValue(t.Context(), functionKey{}, function)
}

// newCalls returns the handlers of a new account, and the watch of their calls.
func newCalls(t *testing.T) (*calls, *iamtest.Watch) {
	t.Helper()
	c := &calls{account: newAccount(t)}
	w := iamtest.NewWatch(local.Region, local.Account, func(ctx context.Context) string {
		function, _ := ctx.Value(functionKey{}).(string)
		return function
	})
	cfg := wiring.Endpoint(c.environment["AWS_ENDPOINT_URL"], local.Region, "test", "test")
	cfg.APIOptions = append(cfg.APIOptions, w.Middleware, c.disturb)
	deployed, err := c.catalog.ForDeployment(deployment)
	if err != nil {
		t.Fatal(err)
	}
	d, err := wiring.Wire(cfg, c.options(), deployed, c.storeWith(w.Middleware), func(o *dispatch.Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Handlers = handler.Handlers{Dispatcher: d, Log: zerolog.Nop()}
	return c, w
}

// disturb adds middleware that calls during before each RunTask call.
func (c *calls) disturb(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("disturb", c.callDuring), middleware.After)
}

func (c *calls) callDuring(
	ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
) (middleware.InitializeOutput, middleware.Metadata, error) {
	if _, isRunTask := in.Parameters.(*ecs.RunTaskInput); isRunTask && c.during != nil {
		if err := c.during(); err != nil {
			return middleware.InitializeOutput{}, middleware.Metadata{}, err
		}
	}
	return next.HandleInitialize(ctx, in)
}

// accept invokes a function with an event that starts a run, and with garbage that is too large for the store.
func (c *calls) accept(t *testing.T, function string) {
	t.Helper()
	c.serial++
	ctx, large := as(t, function), strings.Repeat("x", 40_000)
	var err error
	both := func(handle func(context.Context, json.RawMessage) error, payload string) {
		garbage := fmt.Sprintf("{%q: %d}", large, c.serial)
		err = errors.Join(err, handle(ctx, json.RawMessage(payload)), handle(ctx, json.RawMessage(garbage)))
	}
	switch function {
	case "schedule":
		const due = `{"source":"modeldispatch.schedule","model":%q,"trigger":"schedule","hash":"h",
			"scheduled-time":"20%02d-01-01T00:00:00Z"}`
		for _, name := range []string{"second", "flaky"} {
			both(c.Schedule, fmt.Sprintf(due, name, c.serial))
		}
	case "arrival":
		c.arrive(t, "second/a.txt")
		both(c.Arrival, `{}`)
	case "event":
		both(c.Event, happened("test", fmt.Sprint("e", c.serial)))
	case "message":
		batch := events.SQSEvent{Records: []events.SQSMessage{c.message("{}"), c.message(large)}}
		var text []byte
		if text, err = json.Marshal(batch); err == nil {
			_, err = c.Message(ctx, text)
		}
	}
	if err != nil {
		t.Fatalf("%s: %v", function, err)
	}
}

// happened returns an EventBridge event.
func happened(source, id string) string {
	return fmt.Sprintf(`{"version":"0","id":%q,"detail-type":"t","source":%q,"account":"1","time":"2026-01-05T08:00:00Z",`+
		`"region":"us-east-1","resources":[],"detail":{}}`, id, source)
}

// message returns a message of the queue that starts the model second.
func (c *calls) message(body string) events.SQSMessage {
	c.serial++
	return events.SQSMessage{
		MessageId: fmt.Sprint("m", c.serial), Body: body,
		EventSource: "aws:sqs", EventSourceARN: "arn:aws:sqs:us-east-1:000000000000:boot-seconds",
	}
}

// pump invokes launch and sweep with the messages of their queues. Its four steps suffice for every situation in live.
func (c *calls) pump(t *testing.T) {
	t.Helper()
	for _, queue := range []string{"LAUNCH_QUEUE_URL", "LAUNCH_QUEUE_URL", "WAKE_QUEUE_URL", "LAUNCH_QUEUE_URL"} {
		url := aws.String(c.environment[queue])
		out, err := c.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		var batch events.SQSEvent
		for _, m := range out.Messages {
			batch.Records = append(batch.Records, events.SQSMessage{MessageId: *m.MessageId, Body: *m.Body})
			remove := &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}
			if _, err := c.sqs.DeleteMessage(t.Context(), remove); err != nil {
				t.Fatal(err)
			}
		}
		switch text, err := json.Marshal(batch); {
		case len(batch.Records) == 0:
		case err != nil:
			t.Fatal(err)
		case queue == "WAKE_QUEUE_URL":
			if answer, err := c.Sweep(as(t, "sweep"), text); err != nil || len(answer.BatchItemFailures) > 0 {
				t.Fatal(answer, err)
			}
		default:
			if answer, err := c.Launch(as(t, "launch"), batch); err != nil || len(answer.BatchItemFailures) > 0 {
				t.Fatal(answer, err)
			}
		}
	}
}

// runs returns all runs of a model in a state, newest first.
func (c *calls) runs(t *testing.T, name string, state run.State) []run.Run {
	t.Helper()
	docs, _, err := c.store.List(t.Context(), store.Query{Kind: records.KindRun, Model: name, State: string(state)})
	if err != nil {
		t.Fatal(err)
	}
	all := make([]run.Run, len(docs))
	for i, doc := range docs {
		if all[i], err = records.Decode[run.Run](doc); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// one returns the only run of a model in a state.
func (c *calls) one(t *testing.T, name string, state run.State) run.Run {
	t.Helper()
	all := c.runs(t, name, state)
	if len(all) != 1 {
		t.Fatalf("%d runs of %s are %s, want one", len(all), name, state)
	}
	return all[0]
}

// stopped waits until a run's task has stopped. If told is true, it then invokes completion with the event of the task.
func (c *calls) stopped(t *testing.T, r run.Run, told bool) {
	t.Helper()
	out := c.waitUntilStopped(t, r.Task.ARN)
	if told {
		if err := c.Completion(as(t, "completion"), stateChange(t, out)); err != nil {
			t.Fatal(err)
		}
	}
}

// arrive invokes arrival with the event of an object.
func (c *calls) arrive(t *testing.T, key string) {
	t.Helper()
	c.serial++
	payload := strings.NewReplacer("copy/a.txt", key, `"0A"`, fmt.Sprintf(`"0%d"`, c.serial)).Replace(arrived)
	if err := c.Arrival(as(t, "arrival"), []byte(payload)); err != nil {
		t.Fatal(err)
	}
}

// first starts a run of the model first, with an input that is too large for the store. The model second runs after
// first.
func (c *calls) first(t *testing.T, n string) run.Run {
	t.Helper()
	detail := fmt.Sprintf(`"detail":{"n":%q,"note":%q}`, n, strings.Repeat("x", 40_000))
	if err := c.Event(as(t, "event"), []byte(strings.Replace(happened("first", n), `"detail":{}`, detail, 1))); err != nil {
		t.Fatal(err)
	}
	if err := c.stack.Seed("s3://landing/results/"+n, strings.NewReader("{}")); err != nil {
		t.Fatal(err)
	}
	c.pump(t)
	return c.one(t, "first", run.Running)
}

// live lets each function make every AWS call that it can make. The steps depend on each other.
func (c *calls) live(t *testing.T) {
	t.Helper()
	c.liveAccept(t)
	c.liveRetryAndDownstream(t)
	c.liveCancelAndRefusal(t)
	c.liveObjectsAndLostAnswer(t)
}

// liveAccept lets each function that accepts events start a run, and replace a run, so that the task of the replaced
// run is stopped. The same events also start a run of flaky, which waits in its debounce window.
func (c *calls) liveAccept(t *testing.T) {
	t.Helper()
	for _, function := range []string{"schedule", "arrival", "message", "event"} {
		for _, r := range c.runs(t, "second", run.Running) {
			if err := c.Dispatcher.Cancel(as(t, "sweep"), r.ID, "test", "a test"); err != nil {
				t.Fatal(err)
			}
			c.pump(t)
			c.stopped(t, r, true)
		}
		c.accept(t, function)
		c.pump(t)
		before := c.one(t, "second", run.Running)
		c.accept(t, function)
		c.pump(t)
		c.stopped(t, before, true)
		c.pump(t)
		c.one(t, "second", run.Running)
	}
}

// liveRetryAndDownstream lets a run fail and wait for its next attempt. Then first succeeds twice, and second starts
// after it: once completion gets the event of the task, and once the sweep finds the end of the task.
func (c *calls) liveRetryAndDownstream(t *testing.T) {
	t.Helper()
	c.sweep(t, time.Hour/2)
	c.pump(t)
	c.stopped(t, c.one(t, "flaky", run.Running), true)

	for _, told := range []bool{true, false} {
		before := c.one(t, "second", run.Running)
		c.stopped(t, c.first(t, fmt.Sprint(told)), told)
		if !told {
			c.sweep(t, time.Hour/2)
		}
		c.pump(t)
		c.stopped(t, before, true)
		c.pump(t)
		c.one(t, "second", run.Running)
	}
}

// liveCancelAndRefusal cancels a run during its RunTask call, so that launch has to stop the new task. Then ECS refuses
// a task, so that launch has to grant the slot to the next waiter.
func (c *calls) liveCancelAndRefusal(t *testing.T) {
	t.Helper()
	before := c.one(t, "second", run.Running)
	c.accept(t, "event")
	c.pump(t)
	c.stopped(t, before, true)
	waiting := c.one(t, "second", run.Waiting)
	c.during = func() error { return c.Dispatcher.Cancel(as(t, "sweep"), waiting.ID, "test", "a test") }
	c.pump(t)
	c.during = nil
	cancelled, _, err := records.Read[run.Run](t.Context(), c.store, records.RunKey(waiting.ID))
	if err != nil {
		t.Fatal(err)
	}
	c.stopped(t, cancelled, true)
	if n := len(c.runs(t, "second", run.Running)); n > 0 {
		t.Errorf("%d runs of second are running, want none", n)
	}

	c.during = func() error { return &types.InvalidParameterException{Message: aws.String("no")} }
	c.arrive(t, "first/refused")
	c.arrive(t, "first/next")
	c.pump(t)
	c.during = nil
}

// liveObjectsAndLostAnswer lets a run wait for an object, so that arrival and the sweep look for the object. The run's
// model has a task definition from outside the deployment. Then the answer of a RunTask call is lost for longer than
// its token may be sent, so that launch has to list the tasks.
func (c *calls) liveObjectsAndLostAnswer(t *testing.T) {
	t.Helper()
	if err := c.Event(as(t, "event"), []byte(happened("rates", "r"))); err != nil {
		t.Fatal(err)
	}
	c.arrive(t, "rates")
	c.pump(t)
	c.one(t, "third", run.Waiting)
	if err := c.stack.Seed("s3://landing/rates", strings.NewReader("{}")); err != nil {
		t.Fatal(err)
	}
	c.arrive(t, "rates")
	c.pump(t)
	c.one(t, "third", run.Running)

	c.during = func() error { return errors.New("connection reset") }
	c.accept(t, "event")
	c.pump(t)
	c.during = nil
	c.sweep(t, run.MaxTokenAge)
	c.pump(t)
}

// sweep moves the clock of the handlers, and invokes the sweep.
func (c *calls) sweep(t *testing.T, later time.Duration) {
	t.Helper()
	c.ahead.Add(int64(later))
	if _, err := c.Sweep(as(t, "sweep"), []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
}
