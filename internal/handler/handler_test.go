package handler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/rs/zerolog"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/dispatch/dispatchtest"
	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/handler"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/route"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/memory"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// world holds the handlers of a dispatcher on fakes, and records the decisions about events.
type world struct {
	handler.Handlers
	aws       *dispatchtest.AWS
	decisions []records.Decision
}

// newWorld returns a world whose catalog has one model, with an arrival trigger and a message trigger.
func newWorld(t *testing.T, change ...func(*dispatch.Options)) *world {
	t.Helper()
	w := &world{aws: dispatchtest.New(func() time.Time { return noon })}
	c := model.Catalog{Schema: model.Schema, Models: []model.Model{{
		Name: "sales", Task: model.Task{Family: "sales", Container: "model"},
		Inputs: []model.Input{{Name: "year", Type: model.Integer}},
		Triggers: []model.Trigger{
			{Name: "arrival", Kind: model.Arrival, Arrival: []string{"s3://landing/{year}.csv"}},
			{Name: "message", Kind: model.Message, Queue: "requests", Fields: "body"},
		},
	}}}
	routes, err := route.New(c)
	if err != nil {
		t.Fatal(err)
	}
	options := dispatch.Options{
		Deployment: "test", Catalog: c, Routes: routes, Bucket: "state", Store: memory.New(),
		Placement: fargate.Placement{Cluster: "c", Subnets: []string{"s"}},
		Queue:     w.aws, Launcher: w.aws.ECS, Watcher: w.aws.ECS, Objects: w.aws, Bus: w.aws,
		Now: func() time.Time { return noon }, Random: func() float64 { return 0.5 }, ForEach: func(n int, work func(int)) {
			for i := range n {
				work(i)
			}
		},
	}
	options.Hooks.Decided = func(_ event.Event, decision records.Decision) { w.decisions = append(w.decisions, decision) }
	for _, f := range change {
		f(&options)
	}
	w.Handlers = handler.Handlers{Dispatcher: dispatch.New(options), Log: zerolog.Nop()}
	return w
}

// invoke calls a handler as Lambda does, with a JSON payload, and returns its JSON response. A payload that is a string
// is JSON already.
func invoke(t *testing.T, function any, payload any) (string, error) {
	t.Helper()
	in, isText := payload.(string)
	if !isText {
		text, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		in = string(text)
	}
	out, err := lambda.NewHandler(function).Invoke(t.Context(), []byte(in))
	return string(out), err
}

// message returns a message of the queue "requests".
func message(id, body string) events.SQSMessage {
	return events.SQSMessage{MessageId: id, Body: body, EventSource: "aws:sqs", EventSourceARN: "arn:aws:sqs:us-east-1:111122223333:requests"}
}

// outcomes returns the decisions in their order, one a line.
func (w *world) outcomes() string {
	var all []string
	for _, d := range w.decisions {
		all = append(all, strings.TrimSpace(string(d.Kind)+" "+d.Reason))
	}
	return strings.Join(all, "\n")
}

func TestBadMessagesDoNotAffectOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	batch := events.SQSEvent{Records: []events.SQSMessage{
		message("1", `{"year": 2024}`),
		message("2", `{"year": "soon"}`),
		message("3", `{"year": 2025`),
		message("4", `[]`),
		message("5", `{"year": 2025}`),
	}}
	out, err := invoke(t, w.Message, batch)
	if err != nil || out != `{"batchItemFailures":[]}` {
		t.Errorf("Message = %s, %v, want no failures: bad messages are recorded and acknowledged", out, err)
	}
	want := `started
rejected year: "soon" is not an integer of at most 64 bits
rejected year: the body is not JSON: unexpected end of JSON input at byte 13, and the input has no default
rejected year: the body is a list, not a JSON object, and the input has no default
started`
	if got := w.outcomes(); got != want {
		t.Errorf("the decisions are\n%s\nwant\n%s", got, want)
	}
	if announced := w.aws.Announced()["Event Rejected"]; announced != 3 {
		t.Errorf("%d rejections were announced, want 3", announced)
	}
}

// An error of the store is not an error of the message, so SQS must deliver the message again.
func TestFailedMessageIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *dispatch.Options) { o.Store = failing{o.Store, "2025"} })
	out, err := invoke(t, w.Message, events.SQSEvent{Records: []events.SQSMessage{
		message("1", `{"year": 2024}`), message("2", `{"year": 2025}`), message("3", `{"year": 2026}`),
	}})
	if want := `{"batchItemFailures":[{"itemIdentifier":"2"}]}`; err != nil || out != want {
		t.Errorf("Message = %s, %v, want %s", out, err, want)
	}
}

// failing is a store that cannot write documents that contain a text.
type failing struct {
	store.Store
	text string
}

func (f failing) Commit(ctx context.Context, writes ...store.Write) error {
	for _, w := range writes {
		if strings.Contains(string(w.Doc.Body), f.text) {
			return errors.New("the store is unavailable")
		}
	}
	return f.Store.Commit(ctx, writes...)
}

// A message that causes a panic is reported as failed. SQS moves it to a dead-letter queue if it causes panics again.
func TestPanicFailsOneMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *dispatch.Options) {
		o.Hooks.Decided = func(e event.Event, _ records.Decision) {
			if strings.Contains(string(e.Payload), "2025") {
				panic("a bug")
			}
		}
	})
	out, err := invoke(t, w.Message, events.SQSEvent{Records: []events.SQSMessage{
		message("1", `{"year": 2025}`), message("2", `{"year": 2026}`),
	}})
	if want := `{"batchItemFailures":[{"itemIdentifier":"1"}]}`; err != nil || out != want {
		t.Errorf("Message = %s, %v, want %s", out, err, want)
	}
}

func TestObjectsInAQueueAreArrivals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	notification := `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put",
		"eventTime":"2026-01-05T08:00:00.000Z","s3":{"bucket":{"name":"landing"},
		"object":{"key":"2024.csv","size":1,"sequencer":"0A"}}}]}`
	testEvent := `{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-01-05T08:00:00.000Z","Bucket":"landing",
		"RequestId":"x","HostId":"y"}`
	out, err := invoke(t, w.Message, events.SQSEvent{Records: []events.SQSMessage{message("1", notification), message("2", testEvent)}})
	if err != nil || out != `{"batchItemFailures":[]}` || w.outcomes() != "started" {
		t.Errorf("Message = %s, %v, and %q; want one run", out, err, w.outcomes())
	}
}

func TestUndecodedPayloadsAreRecorded(t *testing.T) {
	t.Parallel()
	for name, pick := range map[string]func(handler.Handlers) any{
		"schedule": func(h handler.Handlers) any { return h.Schedule },
		"arrival":  func(h handler.Handlers) any { return h.Arrival },
		"event":    func(h handler.Handlers) any { return h.Event },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if _, err := invoke(t, pick(w.Handlers), `{"nothing": "of ours"}`); err != nil {
				t.Errorf("%s = %v, want no error: the payload is recorded", name, err)
			}
			if len(w.decisions) != 1 || w.decisions[0].Kind != records.Rejected || w.decisions[0].Reason == "" {
				t.Errorf("the decisions are %q, want rejected with a reason", w.outcomes())
			}
		})
	}
}

func TestLaunch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := invoke(t, w.Message, events.SQSEvent{Records: []events.SQSMessage{message("1", `{"year": 2024}`)}}); err != nil {
		t.Fatal(err)
	}
	id := w.aws.TakeQueued()[0]
	out, err := invoke(t, w.Launch, events.SQSEvent{Records: []events.SQSMessage{
		message("1", "no JSON"), message("2", fmt.Sprintf(`{"run": %q}`, id)),
		message("3", `{"run": "sales-unknown"}`), message("4", fmt.Sprintf(`{"run": %q}`, id)),
	}})
	if want := `{"batchItemFailures":[{"itemIdentifier":"1"}]}`; err != nil || out != want {
		t.Errorf("Launch = %s, %v, want %s: only a body of another form fails", out, err, want)
	}
	if tasks := w.aws.ECS.Tasks(); len(tasks) != 1 || w.aws.ECS.Calls != 1 {
		t.Errorf("%d tasks after %d calls, want one", len(tasks), w.aws.ECS.Calls)
	}
}

func TestCompletionTakesTaskStateChangesOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := invoke(t, w.Completion, `{"source":"aws.s3","detail-type":"Object Created","detail":{}}`)
	if err == nil || !strings.Contains(err.Error(), "not an ECS Task State Change") {
		t.Errorf("Completion = %v", err)
	}
	change := `{"source":"aws.ecs","detail-type":"ECS Task State Change",
		"detail":{"taskArn":"arn","lastStatus":"STOPPED","startedBy":"test/sales-unknown/1","version":3}}`
	if _, err := invoke(t, w.Completion, change); err != nil {
		t.Errorf("Completion of an unknown run = %v, want no error", err)
	}
}

// The payload of the minute sweeps all runs. A batch of the wake queue advances the runs that it names.
func TestSweepTakesMinuteAndWakeQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if out, err := invoke(t, w.Sweep, `{"source":"aws.events"}`); err != nil || strings.Contains(out, "itemIdentifier") {
		t.Errorf("Sweep = %s, %v", out, err)
	}
	out, err := invoke(t, w.Sweep, events.SQSEvent{Records: []events.SQSMessage{message("1", `{"run":"sales-unknown"}`), message("2", `?`)}})
	if want := `{"batchItemFailures":[{"itemIdentifier":"2"}]}`; err != nil || out != want {
		t.Errorf("Sweep = %s, %v, want %s", out, err, want)
	}
}
