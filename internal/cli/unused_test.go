package cli

import (
	"slices"
	"testing"
	"time"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
)

// TestUnusedFieldsOfAMessage checks that the fields of a message's body are listed also if the trigger does not name the
// body in its inputs.
func TestUnusedFieldsOfAMessage(t *testing.T) {
	t.Parallel()
	decoded, err := event.Decode([]byte(`{"Records": [{"messageId": "m-1", "eventSource": "aws:sqs",
		"eventSourceARN": "arn:aws:sqs:eu-west-1:111122223333:requests", "body": "{\"regoin\": \"eu\"}",
		"attributes": {"SentTimestamp": "1767597151000"}, "messageAttributes": {}}]}`))
	if err != nil || len(decoded.Events) != 1 {
		t.Fatalf("the message is decoded as %+v, %v", decoded.Events, err)
	}
	b := route.Binding{Trigger: model.Trigger{Name: "message", Kind: model.Message}}
	if got := unusedFields(decoded.Events[0], b); !slices.Equal(got, []string{"body.regoin"}) {
		t.Errorf("the unused fields are %q, want body.regoin", got)
	}
	if got := unusedFields(event.AssumedArrival("landing", "a.csv", time.Now()), b); got != nil {
		t.Errorf("the unused fields of an arrival are %q, want none", got)
	}
}
