package sqs_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"modeldispatch/internal/local/sqs"
)

// FuzzRequest checks that no body of any operation leads to a server error.
func FuzzRequest(f *testing.F) {
	for _, seed := range [][2]string{
		{"CreateQueue", `{"QueueName":"r","Attributes":{"RedrivePolicy":"{` +
			`\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:q\",\"maxReceiveCount\":\"3\"}"}}`},
		{"SetQueueAttributes", `{"QueueUrl":"http://localhost/000000000000/q",` +
			`"Attributes":{"VisibilityTimeout":"-1","RedrivePolicy":"[1]"}}`},
		{"SendMessage", `{"QueueUrl":"q","MessageBody":"\ud800","DelaySeconds":9223372036854775807}`},
		{"SendMessage", `{"QueueUrl":"q","MessageBody":"x","MessageAttributes":{"a":{"DataType":"Number.x","StringValue":"-.5e3"}}}`},
		{"SendMessage", `{"QueueUrl":"q","MessageBody":"x",` +
			`"MessageSystemAttributes":{"AWSTraceHeader":{"DataType":"String","StringValue":"t"}}}`},
		{"SendMessageBatch", `{"QueueUrl":"q","Entries":[{"Id":"1","MessageBody":"x"},{"Id":"2"}]}`},
		{"ReceiveMessage", `{"QueueUrl":"q","MaxNumberOfMessages":10,"MessageAttributeNames":[".*"],"AttributeNames":["All"]}`},
		{"DeleteMessage", `{"QueueUrl":"q","ReceiptHandle":"MSAyIHE="}`},
		{"ChangeMessageVisibility", `{"QueueUrl":"q","ReceiptHandle":"OSB4IHE=","VisibilityTimeout":1}`},
		{"ListQueues", `{"QueueNamePrefix":"%","MaxResults":1,"NextToken":"\u0000"}`},
		{"GetQueueAttributes", `{"QueueUrl":"q","AttributeNames":["All"]}`},
	} {
		f.Add(seed[0], seed[1])
	}
	s, err := sqs.New(f.Context(), sqs.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	f.Fuzz(func(t *testing.T, operation, body string) {
		if strings.Contains(strings.ToUpper(body), "WAIT") {
			t.Skip("would wait")
		}
		if err := s.Create(t.Context(), "q", sqs.Attributes{}); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %s: %d %s", operation, body, w.Code, w.Body)
		}
	})
}
