package sqs

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
	"time"
)

type sendRequest struct {
	Id                      string // in a batch
	QueueUrl                string // alone
	MessageBody             string
	DelaySeconds            *int
	MessageAttributes       map[string]Attribute
	MessageSystemAttributes map[string]Attribute
	MessageGroupId          string
	MessageDeduplicationId  string
}

type sendAnswer struct {
	Id                           string `json:",omitempty"`
	MessageId                    string
	MD5OfMessageBody             string
	MD5OfMessageAttributes       string `json:",omitempty"`
	MD5OfMessageSystemAttributes string `json:",omitempty"`
}

// draft checks what only the HTTP side can get wrong.
func (in sendRequest) draft() (draft, error) {
	d := draft{body: in.MessageBody, attributes: in.MessageAttributes, system: map[string]string{}}
	if in.DelaySeconds != nil {
		delay := seconds(min(max(*in.DelaySeconds, -1), 901)) // out of range stays so, without overflow
		d.delay = &delay
	}
	if in.MessageDeduplicationId != "" {
		return d, invalidParameter("The request includes a parameter that is not valid for this queue type: MessageDeduplicationId is for FIFO queues.")
	}
	if in.MessageGroupId != "" {
		d.system["MessageGroupId"] = in.MessageGroupId
	}
	for name, a := range in.MessageSystemAttributes {
		if name != "AWSTraceHeader" || a.DataType != "String" {
			return d, invalidParameter("The message system attribute %q of type %q is invalid: AWSTraceHeader of type String is right.", name, a.DataType)
		}
		if err := a.check(name); err != nil {
			return d, err
		}
		d.system[name] = *a.StringValue
	}
	return d, nil
}

// put checks and writes one message.
func (s *Server) put(ctx context.Context, tx *sql.Tx, q queue, in sendRequest) (sendAnswer, error) {
	d, err := in.draft()
	if err != nil {
		return sendAnswer{}, err
	}
	if err := d.check(q); err != nil {
		return sendAnswer{}, err
	}
	id, err := s.insert(ctx, tx, q, d)
	return sendAnswer{
		Id:                           in.Id,
		MessageId:                    id,
		MD5OfMessageBody:             sumBody(in.MessageBody),
		MD5OfMessageAttributes:       MD5OfAttributes(in.MessageAttributes),
		MD5OfMessageSystemAttributes: MD5OfAttributes(in.MessageSystemAttributes),
	}, err
}

func (s *Server) sendMessage(ctx context.Context, in sendRequest) (out sendAnswer, err error) {
	in.Id = ""
	var name string
	err = s.withQueue(ctx, in.QueueUrl, func(ctx context.Context, tx *sql.Tx, q queue) (err error) {
		name = q.name
		out, err = s.put(ctx, tx, q, in)
		return err
	})
	if err == nil {
		s.wake(name)
	}
	return out, err
}

type receiveRequest struct {
	QueueUrl                    string
	MaxNumberOfMessages         *int
	VisibilityTimeout           *int
	WaitTimeSeconds             *int
	AttributeNames              []string
	MessageSystemAttributeNames []string
	MessageAttributeNames       []string
}

type receivedMessage struct {
	MessageId              string
	ReceiptHandle          string
	Body                   string
	MD5OfBody              string
	Attributes             map[string]string    `json:",omitempty"`
	MessageAttributes      map[string]Attribute `json:",omitempty"`
	MD5OfMessageAttributes string               `json:",omitempty"`
}

type receiveAnswer struct {
	Messages []receivedMessage `json:",omitempty"`
}

// within reads an optional number of a request.
func within(name string, n *int, low, high, otherwise int) (int, error) {
	if n == nil {
		return otherwise, nil
	}
	if *n < low || *n > high {
		return 0, invalidParameter("Value %d for parameter %s is invalid. Reason: Must be >= %d and <= %d, if provided.", *n, name, low, high)
	}
	return *n, nil
}

// demand checks what the receiver asks, against the queue that it asks.
func (in receiveRequest) demand(q queue) (want demand, wait time.Duration, err error) {
	if want.limit, err = within("MaxNumberOfMessages", in.MaxNumberOfMessages, 1, 10, 1); err != nil {
		return want, 0, err
	}
	visibility, err := within("VisibilityTimeout", in.VisibilityTimeout, 0, 43200, 0)
	if err != nil {
		return want, 0, err
	}
	if in.VisibilityTimeout != nil {
		d := seconds(visibility)
		want.visibility = &d
	}
	wait = q.limits.wait
	n, err := within("WaitTimeSeconds", in.WaitTimeSeconds, 0, 20, 0)
	if in.WaitTimeSeconds != nil {
		wait = seconds(n)
	}
	return want, wait, err
}

func (s *Server) receiveMessage(ctx context.Context, in receiveRequest) (receiveAnswer, error) {
	var name string
	var want demand
	var wait time.Duration
	err := s.withQueue(ctx, in.QueueUrl, func(_ context.Context, _ *sql.Tx, q queue) (err error) {
		name = q.name
		want, wait, err = in.demand(q)
		return err
	})
	if err != nil {
		return receiveAnswer{}, err
	}
	system := append(in.AttributeNames, in.MessageSystemAttributeNames...)
	for _, n := range system {
		if !systemAttribute(n) {
			return receiveAnswer{}, unknownAttribute(n)
		}
	}
	messages, err := s.receive(ctx, name, want, wait)
	var out receiveAnswer
	for _, m := range messages {
		out.Messages = append(out.Messages, m.wire(system, in.MessageAttributeNames))
	}
	return out, err
}

func systemAttribute(name string) bool {
	switch name {
	case "All", "SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp",
		"AWSTraceHeader", "DeadLetterQueueSourceArn", "MessageGroupId", "MessageDeduplicationId", "SequenceNumber":
		return true
	}
	return false
}

// wire is the message with the attributes that were asked for; the sum covers those only.
func (m Message) wire(system, names []string) receivedMessage {
	all := slices.Contains(system, "All")
	attributes := maps.Clone(m.System)
	maps.DeleteFunc(attributes, func(name, _ string) bool { return !all && !slices.Contains(system, name) })
	custom := maps.Clone(m.Attributes)
	maps.DeleteFunc(custom, func(name string, _ Attribute) bool {
		return !slices.ContainsFunc(names, func(asked string) bool { return asks(asked, name) })
	})
	return receivedMessage{
		MessageId: m.ID, ReceiptHandle: m.Receipt, Body: m.Body, MD5OfBody: m.MD5(),
		Attributes: attributes, MessageAttributes: custom, MD5OfMessageAttributes: MD5OfAttributes(custom),
	}
}

// asks says whether a name in a receive request means the attribute: All, .*, prefix.* or the name.
func asks(asked, name string) bool {
	if prefix, wild := strings.CutSuffix(asked, ".*"); wild {
		return strings.HasPrefix(name, prefix)
	}
	return asked == "All" || asked == name
}

type settleRequest struct {
	Id                string // in a batch
	QueueUrl          string // alone
	ReceiptHandle     string
	VisibilityTimeout *int
}

func (s *Server) deleteMessage(ctx context.Context, in settleRequest) (empty, error) {
	return empty{}, s.settleOne(ctx, in, s.deleteEntry)
}

func (s *Server) changeMessageVisibility(ctx context.Context, in settleRequest) (empty, error) {
	return empty{}, s.settleOne(ctx, in, s.hideEntry)
}

func (s *Server) deleteEntry(ctx context.Context, tx *sql.Tx, q queue, in settleRequest) error {
	if in.ReceiptHandle == "" {
		return missingParameter("ReceiptHandle")
	}
	return s.remove(ctx, tx, q, in.ReceiptHandle)
}

func (s *Server) hideEntry(ctx context.Context, tx *sql.Tx, q queue, in settleRequest) error {
	switch {
	case in.ReceiptHandle == "":
		return missingParameter("ReceiptHandle")
	case in.VisibilityTimeout == nil:
		return missingParameter("VisibilityTimeout")
	}
	n, err := within("VisibilityTimeout", in.VisibilityTimeout, 0, 43200, 0)
	if err != nil {
		return err
	}
	return s.hide(ctx, tx, q, in.ReceiptHandle, seconds(n))
}

// settle is what is done to a received message.
type settle func(ctx context.Context, tx *sql.Tx, q queue, in settleRequest) error

func (s *Server) settleOne(ctx context.Context, in settleRequest, do settle) error {
	var name string
	err := s.withQueue(ctx, in.QueueUrl, func(ctx context.Context, tx *sql.Tx, q queue) error {
		name = q.name
		return do(ctx, tx, q, in)
	})
	if err == nil {
		s.wake(name)
	}
	return err
}
