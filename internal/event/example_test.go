package event_test

import (
	"fmt"
	"log"
	"time"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
)

// S3 form-encodes the keys in its notifications. The first message holds such a notification.
func ExampleDecodeMessages() {
	deliveries, err := event.DecodeMessages([]byte(`{"Records": [
		{"messageId": "m-1", "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:111122223333:requests",
		 "body": "{\"Records\": [{\"eventSource\": \"aws:s3\", \"eventName\": \"ObjectCreated:Put\", ` +
		`\"s3\": {\"bucket\": {\"name\": \"landing\"}, \"object\": {\"key\": \"sales/new+york/1%2B1.csv\", \"sequencer\": \"0066\"}}}]}"},
		{"messageId": "m-2", "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:111122223333:requests",
		 "body": "{\"region\": \"us\"}"}]}`))
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range deliveries {
		for _, e := range d.Events {
			fmt.Println(e.Kind, e.Identity)
		}
	}
	// Output:
	// arrival arrival/landing/sales/new york/1+1.csv/0066
	// message message/requests/m-2
}

// The day before the scheduled time, in the trigger's time zone.
func ExampleEvent_Value() {
	e, err := event.DecodeSchedule([]byte(`{"source": "modeldispatch.schedule", "model": "sales-forecast",
		"trigger": "schedule", "hash": "h", "scheduled-time": "2026-01-05T03:00:00Z"}`))
	if err != nil {
		log.Fatal(err)
	}
	yesterday, err := model.ParseTemplate("{scheduled.date-1d}")
	if err != nil {
		log.Fatal(err)
	}
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range yesterday.Placeholders() {
		v, _ := e.Value(p, newYork)
		fmt.Println(v.Type, v.Text)
	}
	// Output: date 2026-01-03
}
