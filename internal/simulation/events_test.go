package simulation

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"modeldispatch/internal/event"
	"modeldispatch/internal/handler"
	"modeldispatch/internal/model"
)

// triggers returns one trigger of each kind that starts the model. A simulated model has these if it declares none.
func triggers(name string) []model.Trigger {
	return []model.Trigger{
		{Name: "arrival", Kind: model.Arrival, Arrival: []string{"s3://landing/" + name + "/{n}"}},
		{Name: "message", Kind: model.Message, Queue: name, Fields: "body"},
		{
			Name: "event", Kind: model.Event, Fields: "detail",
			Pattern: json.RawMessage(`{"source":["upstream"],"detail-type":["` + name + `"]}`),
		},
		{
			Name: "schedule", Kind: model.Schedule, Schedule: "rate(1 minute)",
			Inputs: []model.Assignment{{Input: "n", Value: text("{scheduled.hour}")}},
		},
	}
}

// delivery is an event, with the invocation that delivers it.
type delivery struct {
	event event.Event
	take  func(handler.Handlers) error
}

// happen delivers a random event that starts a model. A bad event lacks the field that the model needs.
func (w *world) happen(name string, n int) {
	field := "n"
	if w.chance(w.faults.bad) {
		field = "m"
	}
	switch w.random.IntN(4) {
	case 0:
		w.arrive(name, n)
	case 1:
		w.deliver(w.messageOf(name, n, field))
	case 2:
		w.deliver(w.eventOf(name, n, field))
	case 3:
		w.deliver(w.scheduleOf(name))
	}
	if name == "patient" && w.chance(0.8) {
		for _, flag := range []string{fmt.Sprint(n), w.now.Format("2006-01-02T15")} {
			w.after(w.between(0, 2*time.Hour), func() { w.arrive("flags", flag) })
		}
	}
}

// arrive puts an object into the bucket landing, and delivers its event.
func (w *world) arrive(folder string, n any) {
	key := fmt.Sprintf("%s/%v", folder, n)
	if err := w.aws.Put(w.t.Context(), "s3://landing/"+key, nil); err != nil {
		panic(err)
	}
	w.serial++
	payload := json.RawMessage(fmt.Sprintf(`{"version":"0","id":"%[2]d","detail-type":"Object Created","source":"aws.s3","time":%[3]q,
		"detail":{"bucket":{"name":"landing"},"object":{"key":"%[1]s","size":1,"sequencer":"%016[2]x"},"reason":"PutObject"}}`,
		key, w.serial, w.now.Format(time.RFC3339)))
	arrived, err := event.DecodeArrival(payload)
	if err != nil {
		panic(err)
	}
	w.deliver(delivery{arrived[0], func(h handler.Handlers) error { return h.Arrival(w.t.Context(), payload) }})
}

// messageOf returns an SQS message for a model, with one field.
func (w *world) messageOf(name string, n int, field string) delivery {
	batch := events.SQSEvent{Records: []events.SQSMessage{{
		MessageId: fmt.Sprint(n), EventSource: "aws:sqs", EventSourceARN: "arn:aws:sqs:us-east-1:000000000000:" + name,
		Body: fmt.Sprintf(`{%q:"%d"}`, field, n),
	}}}
	payload, err := json.Marshal(batch)
	if err != nil {
		panic(err)
	}
	sent, err := event.DecodeMessages(payload)
	if err != nil {
		panic(err)
	}
	return delivery{sent[0].Events[0], func(h handler.Handlers) error { return batchError(h.Message(w.t.Context(), payload)) }}
}

// eventOf returns an EventBridge event for a model, with one field.
func (w *world) eventOf(name string, n int, field string) delivery {
	payload := json.RawMessage(fmt.Sprintf(`{"version":"0","id":"%d","detail-type":%q,"source":"upstream","time":%q,"detail":{%q:"%[1]d"}}`,
		n, name, w.now.Format(time.RFC3339), field))
	e, err := event.DecodeEventBridge(payload)
	if err != nil {
		panic(err)
	}
	return delivery{e, func(h handler.Handlers) error { return h.Event(w.t.Context(), payload) }}
}

// scheduleOf returns the event of a model's schedule for the current minute.
func (w *world) scheduleOf(name string) delivery {
	payload := event.SchedulePayload(event.Scheduled{Model: name, Trigger: "schedule", Time: w.now.Truncate(time.Minute)})
	e, err := event.DecodeSchedule(payload)
	if err != nil {
		panic(err)
	}
	return delivery{e, func(h handler.Handlers) error { return h.Schedule(w.t.Context(), payload) }}
}

// deliver invokes a function with an event, once or up to four times, and possibly late. If each of these deliveries
// fails three times, the event is a dead letter.
func (w *world) deliver(one delivery) {
	w.injected = append(w.injected, one.event.Identity)
	deliveries := 1
	for w.chance(w.faults.duplicate) && deliveries < 4 {
		deliveries++
	}
	lost := 0
	for range deliveries {
		w.after(w.delay(), func() {
			w.invoke(one.event.Identity, 3, time.Minute, one.take, func() {
				if lost++; lost == deliveries {
					w.undone[one.event.Identity] = true
				}
			})
		})
	}
}
