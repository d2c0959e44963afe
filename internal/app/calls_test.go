package app_test

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

	"modeldispatch/internal/app"
	"modeldispatch/internal/app/apptest"
	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/handler"
	"modeldispatch/internal/local"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/dynamodb"
	"modeldispatch/internal/store/dynamodb/dynamodbtest"
)

// calls is the handlers of an account, whose AWS calls are watched, and its clock.
type calls struct {
	account
	handler.Handlers
	ahead  atomic.Int64 // of the real time
	during func() error // what happens while RunTask is called; nil for nothing
	serial int
}

type functionKey struct{}

// as is a context of one of the functions.
func as(t *testing.T, function string) context.Context {
	return context.WithValue(t.Context(), functionKey{}, function)
}

func newCalls(t *testing.T) (*calls, *apptest.Watch) {
	t.Helper()
	c := &calls{account: newAccount(t)}
	e := c.environment
	w := apptest.NewWatch(local.Region, local.Account, func(ctx context.Context) string { function, _ := ctx.Value(functionKey{}).(string); return function })
	cfg := app.Endpoint(e["AWS_ENDPOINT_URL"], local.Region, "test", "test")
	cfg.APIOptions = append(cfg.APIOptions, w.Middleware, c.disturb)
	o := app.Options{Deployment: deployment, Table: e["TABLE"], LaunchURL: e["LAUNCH_QUEUE_URL"], WakeURL: e["WAKE_QUEUE_URL"], Bucket: e["STATE_BUCKET"], Bus: e["EVENT_BUS"], Placement: local.Placement()}
	deployed, err := c.catalog.Deployed(deployment)
	if err != nil {
		t.Fatal(err)
	}
	d, err := app.Wire(cfg, o, deployed, dynamodb.New(dynamodbtest.Connect(e["AWS_ENDPOINT_URL_DYNAMODB"], dynamodbtest.With(w.Middleware)), e["TABLE"]))
	if err != nil {
		t.Fatal(err)
	}
	d.Now = func() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }
	c.Handlers = handler.Handlers{Dispatcher: d, Log: zerolog.Nop()}
	return c, w
}

// disturb has something happen in the middle of RunTask.
func (c *calls) disturb(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("disturb", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		if _, isRunTask := in.Parameters.(*ecs.RunTaskInput); isRunTask && c.during != nil {
			if err := c.during(); err != nil {
				return middleware.InitializeOutput{}, middleware.Metadata{}, err
			}
		}
		return next.HandleInitialize(ctx, in)
	}), middleware.After)
}

// accept gives a function an event that starts a run, and garbage that is too large for the store.
func (c *calls) accept(t *testing.T, function string) {
	t.Helper()
	c.serial++
	ctx, large := as(t, function), strings.Repeat("x", 40_000)
	var err error
	both := func(handle func(context.Context, json.RawMessage) error, payload string) {
		err = errors.Join(err, handle(ctx, json.RawMessage(payload)), handle(ctx, json.RawMessage(fmt.Sprintf("{%q: %d}", large, c.serial))))
	}
	switch function {
	case "schedule":
		for _, of := range []string{"second", "flaky"} {
			both(c.Schedule, fmt.Sprintf(`{"source":"modeldispatch.schedule","model":%q,"trigger":"schedule","hash":"h","scheduled-time":"20%02d-01-01T00:00:00Z"}`, of, c.serial))
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

func happened(source, id string) string {
	return fmt.Sprintf(`{"version":"0","id":%q,"detail-type":"t","source":%q,"account":"1","time":"2026-01-05T08:00:00Z","region":"us-east-1","resources":[],"detail":{}}`, id, source)
}

func (c *calls) message(body string) events.SQSMessage {
	c.serial++
	return events.SQSMessage{MessageId: fmt.Sprint("m", c.serial), Body: body, EventSource: "aws:sqs", EventSourceARN: "arn:aws:sqs:us-east-1:000000000000:boot-seconds"}
}

// pump gives functions what is in their queues, until that leads to nothing any more.
func (c *calls) pump(t *testing.T) {
	t.Helper()
	for _, queue := range []string{"LAUNCH_QUEUE_URL", "LAUNCH_QUEUE_URL", "WAKE_QUEUE_URL", "LAUNCH_QUEUE_URL"} {
		out, err := c.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(c.environment[queue]), MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		var batch events.SQSEvent
		for _, m := range out.Messages {
			batch.Records = append(batch.Records, events.SQSMessage{MessageId: *m.MessageId, Body: *m.Body})
			if _, err := c.sqs.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: aws.String(c.environment[queue]), ReceiptHandle: m.ReceiptHandle}); err != nil {
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

// runs are all of a model in a state, newest first.
func (c *calls) runs(t *testing.T, of string, state run.State) []run.Run {
	t.Helper()
	docs, _, err := c.store.List(t.Context(), store.Query{Kind: dispatch.KindRun, Model: of, State: string(state)})
	if err != nil {
		t.Fatal(err)
	}
	all := make([]run.Run, len(docs))
	for i, doc := range docs {
		if err := dispatch.Decode(doc, &all[i]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// one is the only run of a model in a state.
func (c *calls) one(t *testing.T, of string, state run.State) run.Run {
	t.Helper()
	all := c.runs(t, of, state)
	if len(all) != 1 {
		t.Fatalf("%d runs of %s are %s, want one", len(all), of, state)
	}
	return all[0]
}

// stopped waits until a run's task has stopped, and tells completion, if it is to be told.
func (c *calls) stopped(t *testing.T, r run.Run, told bool) {
	t.Helper()
	described := &ecs.DescribeTasksInput{Cluster: aws.String("modeldispatch"), Tasks: []string{r.Task.ARN}}
	if err := ecs.NewTasksStoppedWaiter(c.ecs, func(o *ecs.TasksStoppedWaiterOptions) { o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second }).Wait(t.Context(), described, time.Minute); err != nil {
		t.Fatal(err)
	}
	out, err := c.ecs.DescribeTasks(t.Context(), described)
	if err != nil {
		t.Fatal(err)
	}
	if told {
		if err := c.Completion(as(t, "completion"), stateChange(t, out)); err != nil {
			t.Fatal(err)
		}
	}
}

// arrive tells arrival of an object.
func (c *calls) arrive(t *testing.T, key string) {
	t.Helper()
	c.serial++
	if err := c.Arrival(as(t, "arrival"), []byte(strings.NewReplacer("copy/a.txt", key, `"0A"`, fmt.Sprintf(`"0%d"`, c.serial)).Replace(arrived))); err != nil {
		t.Fatal(err)
	}
}

// first runs the model that second comes after, with an input that is too large for the store.
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

// live has each function do all that it can do.
func (c *calls) live(t *testing.T) {
	t.Helper()
	// Each function that accepts events starts a run, and replaces one, whose task is stopped. Another run of each event
	// waits for more of them.
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

	// The run that waited for more events fails, and is to be tried again.
	c.sweep(t, time.Hour/2)
	c.pump(t)
	c.stopped(t, c.one(t, "flaky", run.Running), true)

	// The success of another one does so, too, whoever hears of it: completion, or the sweep.
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

	// A run is cancelled while it is launched: launch stops the task that it has got.
	before := c.one(t, "second", run.Running)
	c.accept(t, "event")
	c.pump(t)
	c.stopped(t, before, true)
	waiting := c.one(t, "second", run.Waiting)
	c.during = func() error { return c.Dispatcher.Cancel(as(t, "sweep"), waiting.ID, "test", "a test") }
	c.pump(t)
	c.during = nil
	cancelled, _, err := dispatch.Read[run.Run](t.Context(), c.store, dispatch.RunKey(waiting.ID))
	if err != nil {
		t.Fatal(err)
	}
	c.stopped(t, cancelled, true)
	if n := len(c.runs(t, "second", run.Running)); n > 0 {
		t.Errorf("%d runs of second are running, want none", n)
	}

	// ECS refuses a task: launch lets the next of its line go.
	c.during = func() error { return &types.InvalidParameterException{Message: aws.String("no")} }
	c.arrive(t, "first/refused")
	c.arrive(t, "first/next")
	c.pump(t)
	c.during = nil

	// A run waits for an object: arrival and the sweep look for it. It is of a definition that is not the deployment's.
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

	// RunTask's answer is lost, for longer than its token lives: launch looks what there is.
	c.during = func() error { return errors.New("connection reset") }
	c.accept(t, "event")
	c.pump(t)
	c.during = nil
	c.sweep(t, run.TokenAge)
	c.pump(t)
}

// sweep has time go by, and the sweep come.
func (c *calls) sweep(t *testing.T, later time.Duration) {
	t.Helper()
	c.ahead.Add(int64(later))
	if _, err := c.Sweep(as(t, "sweep"), []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
}
