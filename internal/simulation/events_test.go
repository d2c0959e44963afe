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

// triggers are the ways in which each simulated model is started, if it has none of its own.
func triggers(name string) []model.Trigger {
	return []model.Trigger{
		{Name: "arrival", Kind: model.Arrival, Arrival: []string{"s3://landing/" + name + "/{n}"}},
		{Name: "message", Kind: model.Message, Queue: name, Fields: "body"},
		{Name: "event", Kind: model.Event, Pattern: json.RawMessage(`{"source":["upstream"],"detail-type":["` + name + `"]}`), Fields: "detail"},
		{Name: "schedule", Kind: model.Schedule, Schedule: "rate(1 minute)", Inputs: []model.Assignment{{Input: "n", Value: text("{scheduled.hour}")}}},
	}
}

// happened is an event, as a function is given it.
type happened struct {
	event event.Event
	take  func(handler.Handlers) error
}

// happen has something happen that starts a model; now and then it says too little to be of use.
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

// arrive has an object arrive.
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
	w.deliver(happened{arrived[0], func(h handler.Handlers) error { return h.Arrival(w.t.Context(), payload) }})
}

func (w *world) messageOf(name string, n int, field string) happened {
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
	return happened{sent[0].Events[0], func(h handler.Handlers) error { return batchError(h.Message(w.t.Context(), payload)) }}
}

func (w *world) eventOf(name string, n int, field string) happened {
	payload := json.RawMessage(fmt.Sprintf(`{"version":"0","id":"%d","detail-type":%q,"source":"upstream","time":%q,"detail":{%q:"%[1]d"}}`,
		n, name, w.now.Format(time.RFC3339), field))
	e, err := event.DecodeBridge(payload)
	if err != nil {
		panic(err)
	}
	return happened{e, func(h handler.Handlers) error { return h.Event(w.t.Context(), payload) }}
}

func (w *world) scheduleOf(name string) happened {
	payload := event.SchedulePayload(event.Scheduled{Model: name, Trigger: "schedule", Time: w.now.Truncate(time.Minute)})
	e, err := event.DecodeSchedule(payload)
	if err != nil {
		panic(err)
	}
	return happened{e, func(h handler.Handlers) error { return h.Schedule(w.t.Context(), payload) }}
}

// deliver has a function take an event: once, twice, late. What it fails with again and again ends as a dead letter.
func (w *world) deliver(one happened) {
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
