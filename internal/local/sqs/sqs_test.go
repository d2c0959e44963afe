package sqs_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"modeldispatch/internal/local/sqs"
)

// start serves a new server over HTTP and returns it with a client of the AWS SDK.
func start(t *testing.T) (*sqs.Server, *awssqs.Client) {
	t.Helper()
	// The file name has characters with a meaning in URLs, because SQLite opens files by URL.
	s, err := sqs.New(t.Context(), sqs.Options{File: filepath.Join(t.TempDir(), "queues #1%20?.db")})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		if err := s.Close(); err != nil { // close it first: this ends the long polls that web.Close waits for
			t.Error(err)
		}
		web.Close()
	})
	return s, awssqs.New(awssqs.Options{
		Region: "us-east-1", BaseEndpoint: &web.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	})
}

func create(t *testing.T, c *awssqs.Client, name string, attributes map[string]string) *string {
	t.Helper()
	out, err := c.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	return out.QueueUrl
}

func send(t *testing.T, c *awssqs.Client, url *string, body string) string {
	t.Helper()
	out, err := c.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: url, MessageBody: &body})
	if err != nil {
		t.Fatal(err)
	}
	return *out.MessageId
}

func receive(t *testing.T, c *awssqs.Client, in awssqs.ReceiveMessageInput) []types.Message {
	t.Helper()
	out, err := c.ReceiveMessage(t.Context(), &in)
	if err != nil {
		t.Fatal(err)
	}
	return out.Messages
}

func attributes(t *testing.T, c *awssqs.Client, url *string) map[string]string {
	t.Helper()
	in := &awssqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{"All"}}
	out, err := c.GetQueueAttributes(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes
}

// counts returns the numbers of visible, in-flight and delayed messages, with spaces between them.
func counts(t *testing.T, c *awssqs.Client, url *string) string {
	t.Helper()
	a := attributes(t, c, url)
	return a["ApproximateNumberOfMessages"] + " " + a["ApproximateNumberOfMessagesNotVisible"] + " " +
		a["ApproximateNumberOfMessagesDelayed"]
}

func TestMessageFromSendToDelete(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	url := create(t, c, "requests", nil)
	if !strings.HasSuffix(*url, "/000000000000/requests") {
		t.Errorf("queue URL %s", *url)
	}
	// The SDK itself checks MD5OfMessageBody and MD5OfBody against the body.
	sent, err := c.SendMessage(t.Context(), &awssqs.SendMessageInput{
		QueueUrl: url, MessageBody: aws.String("größe 🎈\n<&>"),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"tenant": {DataType: aws.String("String"), StringValue: aws.String("acme")},
			"tries":  {DataType: aws.String("Number.int"), StringValue: aws.String("3")},
			"raw":    {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1, 255}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := receive(t, c, awssqs.ReceiveMessageInput{
		QueueUrl: url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"tr.*", "raw"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	if len(got) != 1 || *got[0].MessageId != *sent.MessageId || *got[0].Body != "größe 🎈\n<&>" {
		t.Fatalf("received %+v", got)
	}
	m := got[0]
	if len(m.MessageAttributes) != 2 || string(m.MessageAttributes["raw"].BinaryValue) != "\x00\x01\xff" ||
		*m.MessageAttributes["tries"].StringValue != "3" {
		t.Errorf("message attributes %v, want raw and tries", m.MessageAttributes)
	}
	if m.Attributes["ApproximateReceiveCount"] != "1" || m.Attributes["SentTimestamp"] == "" ||
		m.Attributes["SenderId"] != "000000000000" {
		t.Errorf("system attributes %v", m.Attributes)
	}
	if n := counts(t, c, url); n != "0 1 0" {
		t.Errorf("counts after receive: %s", n)
	}
	if _, err := c.DeleteMessage(t.Context(), &awssqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	if n := counts(t, c, url); n != "0 0 0" {
		t.Errorf("counts after delete: %s", n)
	}
}

// The expected sums come from other programs. Two are in public tests of SQS clients, and a separate
// program computed the third.
func TestMD5OfMessageAttributes(t *testing.T) {
	t.Parallel()
	text := func(v string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &v}
	}
	_, c := start(t)
	url := create(t, c, "sums", nil)
	for want, attributes := range map[string]map[string]types.MessageAttributeValue{
		"cd28f3b68aeee4b2eac9c66f2f694b58": {"SellerName": text("Example Store")},
		"235c5c510d26fb653d073faed50ae77c": {"timestamp": {DataType: aws.String("Number"), StringValue: aws.String("1493147359900")}},
		"f30db1e45a2ac0af94204a2a8f1cd461": {"b": {DataType: aws.String("Binary"), BinaryValue: []byte("v")}, "a": text("v")},
	} {
		in := &awssqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x"), MessageAttributes: attributes}
		out, err := c.SendMessage(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if *out.MD5OfMessageAttributes != want {
			t.Errorf("sum of %v is %s, want %s", attributes, *out.MD5OfMessageAttributes, want)
		}
	}
}

func TestDeadLetter(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	dead := create(t, c, "dead", nil)
	url := create(t, c, "work", map[string]string{
		"VisibilityTimeout": "0",
		"RedrivePolicy":     `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":"2"}`,
	})
	id := send(t, c, url, "poison")
	for i := range 2 {
		if got := receive(t, c, awssqs.ReceiveMessageInput{QueueUrl: url}); len(got) != 1 {
			t.Fatalf("receive %d got %d messages", i, len(got))
		}
	}
	if n := counts(t, c, dead); n != "0 0 0" {
		t.Errorf("dead after two receives: %s", n)
	}
	if got := receive(t, c, awssqs.ReceiveMessageInput{QueueUrl: url}); len(got) != 0 {
		t.Errorf("third receive got %v", got)
	}
	got := receive(t, c, awssqs.ReceiveMessageInput{
		QueueUrl: dead, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	if len(got) != 1 || *got[0].MessageId != id {
		t.Fatalf("dead letters %v", got)
	}
	a := got[0].Attributes
	if a["ApproximateReceiveCount"] != "3" || a["DeadLetterQueueSourceArn"] != "arn:aws:sqs:us-east-1:000000000000:work" {
		t.Errorf("attributes of the dead letter: %v", a)
	}
}

func TestReceiptOfEarlierReceiveDeletesNothing(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	url := create(t, c, "q", map[string]string{"VisibilityTimeout": "0"})
	send(t, c, url, "again")
	first := receive(t, c, awssqs.ReceiveMessageInput{QueueUrl: url})[0]
	second := receive(t, c, awssqs.ReceiveMessageInput{QueueUrl: url})[0]
	for i, m := range []types.Message{first, second} {
		in := &awssqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}
		if _, err := c.DeleteMessage(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		if got, want := counts(t, c, url), []string{"1 0 0", "0 0 0"}[i]; got != want {
			t.Errorf("after delete %d: %s, want %s", i, got, want)
		}
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	url := create(t, c, "q", nil)
	sent, err := c.SendMessageBatch(t.Context(), &awssqs.SendMessageBatchInput{
		QueueUrl: url,
		Entries: []types.SendMessageBatchRequestEntry{
			{Id: aws.String("good"), MessageBody: aws.String("one")},
			{Id: aws.String("bad"), MessageBody: aws.String("bell \a")},
			{Id: aws.String("later"), MessageBody: aws.String("two"), DelaySeconds: 900},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(sent.Successful) != 2 || len(sent.Failed) != 1 || *sent.Failed[0].Id != "bad" ||
		*sent.Failed[0].Code != "InvalidMessageContents" || !sent.Failed[0].SenderFault {
		t.Errorf("batch: %+v", sent)
	}
	if n := counts(t, c, url); n != "1 0 1" {
		t.Errorf("counts: %s", n)
	}
	m := receive(t, c, awssqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10})[0]
	hidden, err := c.ChangeMessageVisibilityBatch(t.Context(), &awssqs.ChangeMessageVisibilityBatchInput{
		QueueUrl: url,
		Entries: []types.ChangeMessageVisibilityBatchRequestEntry{
			{Id: aws.String("m"), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 60},
		},
	})
	if err != nil || len(hidden.Successful) != 1 {
		t.Errorf("change visibility: %+v, error %v", hidden, err)
	}
	deleted, err := c.DeleteMessageBatch(t.Context(), &awssqs.DeleteMessageBatchInput{
		QueueUrl: url,
		Entries: []types.DeleteMessageBatchRequestEntry{
			{Id: aws.String("m"), ReceiptHandle: m.ReceiptHandle},
			{Id: aws.String("junk"), ReceiptHandle: aws.String("junk")},
		},
	})
	if err != nil || len(deleted.Successful) != 1 || len(deleted.Failed) != 1 ||
		*deleted.Failed[0].Code != "ReceiptHandleIsInvalid" {
		t.Errorf("delete: %+v, error %v", deleted, err)
	}
	if n := counts(t, c, url); n != "0 0 1" {
		t.Errorf("counts at the end: %s", n)
	}
}

func TestQueues(t *testing.T) {
	t.Parallel()
	s, c := start(t)
	ctx := t.Context()
	for _, name := range []string{"b", "a-1", "a-2"} {
		create(t, c, name, nil)
	}
	if err := s.Create(ctx, "function:own", sqs.Attributes{Hidden: true}); err != nil {
		t.Fatal(err)
	}
	list := func(in awssqs.ListQueuesInput) (names []string, token *string) {
		out, err := c.ListQueues(ctx, &in)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range out.QueueUrls {
			names = append(names, u[strings.LastIndex(u, "/")+1:])
		}
		return names, out.NextToken
	}
	if got, _ := list(awssqs.ListQueuesInput{}); !slices.Equal(got, []string{"a-1", "a-2", "b"}) {
		t.Errorf("queues %v", got)
	}
	if got, _ := list(awssqs.ListQueuesInput{QueueNamePrefix: aws.String("a-")}); !slices.Equal(got, []string{"a-1", "a-2"}) {
		t.Errorf("queues with prefix: %v", got)
	}
	page, token := list(awssqs.ListQueuesInput{MaxResults: aws.Int32(2)})
	rest, end := list(awssqs.ListQueuesInput{MaxResults: aws.Int32(2), NextToken: token})
	if !slices.Equal(page, []string{"a-1", "a-2"}) || !slices.Equal(rest, []string{"b"}) || end != nil {
		t.Errorf("pages %v %v %v", page, rest, end)
	}
	url, err := c.GetQueueUrl(ctx, &awssqs.GetQueueUrlInput{QueueName: aws.String("b")})
	if err != nil {
		t.Fatal(err)
	}
	send(t, c, url.QueueUrl, "deleted with the queue")
	if _, err := c.DeleteQueue(ctx, &awssqs.DeleteQueueInput{QueueUrl: url.QueueUrl}); err != nil {
		t.Fatal(err)
	}
	if got := counts(t, c, create(t, c, "b", nil)); got != "0 0 0" {
		t.Errorf("a new queue of the same name holds %s", got)
	}
}

func TestQueueAttributes(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	create(t, c, "dead", nil)
	url := create(t, c, "q", map[string]string{"VisibilityTimeout": "60"})
	create(t, c, "q", map[string]string{"VisibilityTimeout": "60", "DelaySeconds": "0"}) // the same attributes again
	set := func(attributes map[string]string) {
		t.Helper()
		in := &awssqs.SetQueueAttributesInput{QueueUrl: url, Attributes: attributes}
		if _, err := c.SetQueueAttributes(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	policy := `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":5}`
	set(map[string]string{"DelaySeconds": "7", "RedrivePolicy": policy})
	a := attributes(t, c, url)
	for name, want := range map[string]string{
		"VisibilityTimeout": "60", "DelaySeconds": "7", "RedrivePolicy": policy, "MessageRetentionPeriod": "345600",
		"MaximumMessageSize": "1048576", "ReceiveMessageWaitTimeSeconds": "0", "QueueArn": "arn:aws:sqs:us-east-1:000000000000:q",
	} {
		if a[name] != want {
			t.Errorf("%s is %q, want %q", name, a[name], want)
		}
	}
	set(map[string]string{"RedrivePolicy": ""})
	if got, has := attributes(t, c, url)["RedrivePolicy"]; has {
		t.Errorf("after its removal the policy is still %q", got)
	}
}

func TestPurge(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	url := create(t, c, "q", nil)
	send(t, c, url, "one")
	if _, err := c.PurgeQueue(t.Context(), &awssqs.PurgeQueueInput{QueueUrl: url}); err != nil {
		t.Fatal(err)
	}
	if n := counts(t, c, url); n != "0 0 0" {
		t.Errorf("counts after purge: %s", n)
	}
	var tooEarly *types.PurgeQueueInProgress
	if _, err := c.PurgeQueue(t.Context(), &awssqs.PurgeQueueInput{QueueUrl: url}); !errors.As(err, &tooEarly) {
		t.Errorf("a second purge: %v", err)
	}
}

// call is one call of the API.
type call func(context.Context) error

// calls makes calls that concern one queue.
type calls struct {
	client *awssqs.Client
	url    *string
}

func (c calls) receive(url string) call {
	return func(ctx context.Context) error {
		_, err := c.client.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: &url})
		return err
	}
}

func (c calls) send(body string) call {
	return func(ctx context.Context) error {
		_, err := c.client.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: c.url, MessageBody: &body})
		return err
	}
}

func (c calls) sendAttribute(name, dataType, value string) call {
	return func(ctx context.Context) error {
		attribute := types.MessageAttributeValue{DataType: &dataType, StringValue: &value}
		_, err := c.client.SendMessage(ctx, &awssqs.SendMessageInput{
			QueueUrl: c.url, MessageBody: aws.String("x"),
			MessageAttributes: map[string]types.MessageAttributeValue{name: attribute},
		})
		return err
	}
}

func (c calls) sendBatch(bodies ...string) call {
	return func(ctx context.Context) error {
		in := &awssqs.SendMessageBatchInput{QueueUrl: c.url, Entries: []types.SendMessageBatchRequestEntry{}}
		for i, body := range bodies {
			id := fmt.Sprint(i)
			in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body})
		}
		_, err := c.client.SendMessageBatch(ctx, in)
		return err
	}
}

func (c calls) createQueue(name string, attributes map[string]string) call {
	return func(ctx context.Context) error {
		_, err := c.client.CreateQueue(ctx, &awssqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		return err
	}
}

func (c calls) changeVisibility(receipt string, timeout int32) call {
	return func(ctx context.Context) error {
		_, err := c.client.ChangeMessageVisibility(ctx, &awssqs.ChangeMessageVisibilityInput{
			QueueUrl: c.url, ReceiptHandle: &receipt, VisibilityTimeout: timeout,
		})
		return err
	}
}

// redrive returns the attributes of a queue with a redrive policy.
func redrive(policy string) map[string]string { return map[string]string{"RedrivePolicy": policy} }

// Every error has the code that SDKs report and the AWS CLI prints.
func TestErrors(t *testing.T) {
	t.Parallel()
	_, client := start(t)
	url := create(t, client, "q", nil)
	absent := strings.TrimSuffix(*url, "q") + "absent"
	send(t, client, url, "something")
	receipt := *receive(t, client, awssqs.ReceiveMessageInput{QueueUrl: url})[0].ReceiptHandle
	c := calls{client, url}
	mb := strings.Repeat("x", 1<<20)
	const arn = "arn:aws:sqs:us-east-1:000000000000:"
	for _, test := range []struct {
		name string
		call call
		code string // the error's code; "" means no error
	}{
		{"unknown queue", c.receive(absent), "AWS.SimpleQueueService.NonExistentQueue"},
		{"FIFO queue", c.createQueue("q.fifo", map[string]string{"FifoQueue": "true"}), "AWS.SimpleQueueService.UnsupportedOperation"},
		{"queue name with a blank", c.createQueue("my queue", nil), "InvalidParameterValue"},
		{"existing queue with other attributes", c.createQueue("q", map[string]string{"DelaySeconds": "1"}), "QueueAlreadyExists"},
		{"unknown attribute", c.createQueue("r", map[string]string{"Colour": "red"}), "InvalidAttributeName"},
		{"attribute out of range", c.createQueue("r", map[string]string{"VisibilityTimeout": "43201"}), "InvalidAttributeValue"},
		{"unknown dead-letter queue",
			c.createQueue("r", redrive(`{"deadLetterTargetArn":"`+arn+`absent","maxReceiveCount":1}`)), "InvalidParameterValue"},
		{"redrive policy without a count",
			c.createQueue("r", redrive(`{"deadLetterTargetArn":"`+arn+`q"}`)), "InvalidAttributeValue"},
		{"empty message", c.send(""), "MissingParameter"},
		{"message of exactly 1 MiB", c.send(mb), ""},
		{"message of 1 MiB + 1 byte", c.send(mb + "x"), "InvalidParameterValue"},
		{"control character", c.send("a\x00b"), "InvalidMessageContents"},
		{"noncharacter", c.send("\uffff"), "InvalidMessageContents"},
		{"attribute without a value", c.sendAttribute("a", "String", ""), "InvalidParameterValue"},
		{"attribute with a reserved name", c.sendAttribute("Aws.trace", "String", "x"), "InvalidParameterValue"},
		{"Number that is not a number", c.sendAttribute("a", "Number", "twelve"), "InvalidParameterValue"},
		{"empty batch", c.sendBatch(), "AWS.SimpleQueueService.EmptyBatchRequest"},
		{"batch of eleven", c.sendBatch(make([]string, 11)...), "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"},
		{"batch over 1 MiB", c.sendBatch(mb, "x"), "AWS.SimpleQueueService.BatchRequestTooLong"},
		{"invalid receipt", c.changeVisibility("junk", 1), "ReceiptHandleIsInvalid"},
		{"hidden for more than 12 hours", c.changeVisibility(receipt, 43201), "InvalidParameterValue"},
		{"made visible", c.changeVisibility(receipt, 0), ""},
		{"hidden when no longer in flight", c.changeVisibility(receipt, 1), "AWS.SimpleQueueService.MessageNotInflight"},
	} {
		err := test.call(t.Context())
		var api smithy.APIError
		switch {
		case test.code == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.code != "" && (!errors.As(err, &api) || api.ErrorCode() != test.code):
			t.Errorf("%s: error %v, want code %s", test.name, err, test.code)
		}
	}
	var typed *types.QueueDoesNotExist
	if _, err := client.DeleteQueue(t.Context(), &awssqs.DeleteQueueInput{QueueUrl: &absent}); !errors.As(err, &typed) {
		t.Errorf("deleting an unknown queue: error %v, want the SDK's QueueDoesNotExist", err)
	}
}

func TestSendWakesLongPoll(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	url := create(t, c, "q", nil)
	got := make(chan []types.Message, 1)
	go func() {
		out, err := c.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 20})
		if err != nil {
			t.Error(err)
			out = &awssqs.ReceiveMessageOutput{}
		}
		got <- out.Messages
	}()
	id := send(t, c, url, "hello")
	if m := <-got; len(m) != 1 || *m[0].MessageId != id {
		t.Errorf("received %v", m)
	}
}

// A container reaches this machine by a different host name, so a queue's URL has the caller's host name.
func TestQueueURLHasHostOfRequest(t *testing.T) {
	t.Parallel()
	server, client := start(t)
	create(t, client, "requests", nil)
	for _, host := range []string{"127.0.0.1:4566", "host.docker.internal:4566"} {
		body := strings.NewReader(`{"QueueName": "requests"}`)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+host+"/", body)
		r.Header.Set("X-Amz-Target", "AmazonSQS.GetQueueUrl")
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		want := `{"QueueUrl":"http://` + host + `/000000000000/requests"}`
		if got := strings.TrimSpace(w.Body.String()); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}
