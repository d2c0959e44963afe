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
	Id                      string // the entry's id, only in a batch
	QueueUrl                string // the queue's URL, only outside a batch
	MessageBody             string
	DelaySeconds            *int
	MessageAttributes       map[string]Attribute
	MessageSystemAttributes map[string]Attribute
	MessageGroupId          string
	MessageDeduplicationId  string
}

type sendResponse struct {
	Id                           string `json:",omitempty"`
	MessageId                    string
	MD5OfMessageBody             string
	MD5OfMessageAttributes       string `json:",omitempty"`
	MD5OfMessageSystemAttributes string `json:",omitempty"`
}

// draft converts the request into a draft. It checks the parts that the Go API does not have.
func (in sendRequest) draft() (draft, error) {
	d := draft{body: in.MessageBody, attributes: in.MessageAttributes, system: map[string]string{}}
	if in.DelaySeconds != nil {
		// Clamp before the conversion, which could overflow. draft.check rejects -1 and 901.
		delay := seconds(min(max(*in.DelaySeconds, -1), 901))
		d.delay = &delay
	}
	if in.MessageDeduplicationId != "" {
		return d, invalidParameter("The request includes a parameter that is not valid for this queue type: " +
			"MessageDeduplicationId is for FIFO queues.")
	}
	if in.MessageGroupId != "" {
		d.system["MessageGroupId"] = in.MessageGroupId
	}
	for name, a := range in.MessageSystemAttributes {
		if name != "AWSTraceHeader" || a.DataType != "String" {
			return d, invalidParameter("The message system attribute %q of type %q is invalid: "+
				"SQS accepts only AWSTraceHeader, of type String.", name, a.DataType)
		}
		if err := a.check(name); err != nil {
			return d, err
		}
		d.system[name] = *a.StringValue
	}
	return d, nil
}

// put checks and stores one message.
func (s *Server) put(ctx context.Context, tx *sql.Tx, q queue, in sendRequest) (sendResponse, error) {
	d, err := in.draft()
	if err != nil {
		return sendResponse{}, err
	}
	if err := d.check(q); err != nil {
		return sendResponse{}, err
	}
	id, err := s.insert(ctx, tx, q, d)
	return sendResponse{
		Id:                           in.Id,
		MessageId:                    id,
		MD5OfMessageBody:             md5OfBody(in.MessageBody),
		MD5OfMessageAttributes:       MD5OfAttributes(in.MessageAttributes),
		MD5OfMessageSystemAttributes: MD5OfAttributes(in.MessageSystemAttributes),
	}, err
}

func (s *Server) sendMessage(ctx context.Context, in sendRequest) (out sendResponse, err error) {
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

type receiveResponse struct {
	Messages []receivedMessage `json:",omitempty"`
}

// optionalInt returns the value of an optional parameter, or def if the request does not set it. It
// returns InvalidParameterValue if the value is not between low and high.
func optionalInt(name string, n *int, low, high, def int) (int, error) {
	if n == nil {
		return def, nil
	}
	if *n < low || *n > high {
		return 0, invalidParameter("Value %d for parameter %s is invalid. "+
			"Reason: Must be >= %d and <= %d, if provided.", *n, name, low, high)
	}
	return *n, nil
}

// options checks the request and returns its options, and the time to wait for the first message.
func (in receiveRequest) options(q queue) (o receiveOptions, wait time.Duration, err error) {
	if o.limit, err = optionalInt("MaxNumberOfMessages", in.MaxNumberOfMessages, 1, 10, 1); err != nil {
		return o, 0, err
	}
	visibility, err := optionalInt("VisibilityTimeout", in.VisibilityTimeout, 0, 43200, 0)
	if err != nil {
		return o, 0, err
	}
	if in.VisibilityTimeout != nil {
		d := seconds(visibility)
		o.visibility = &d
	}
	wait = q.limits.wait
	n, err := optionalInt("WaitTimeSeconds", in.WaitTimeSeconds, 0, 20, 0)
	if in.WaitTimeSeconds != nil {
		wait = seconds(n)
	}
	return o, wait, err
}

func (s *Server) receiveMessage(ctx context.Context, in receiveRequest) (receiveResponse, error) {
	var name string
	var options receiveOptions
	var wait time.Duration
	err := s.withQueue(ctx, in.QueueUrl, func(_ context.Context, _ *sql.Tx, q queue) (err error) {
		name = q.name
		options, wait, err = in.options(q)
		return err
	})
	if err != nil {
		return receiveResponse{}, err
	}
	system := append(in.AttributeNames, in.MessageSystemAttributeNames...)
	for _, n := range system {
		if !isSystemAttribute(n) {
			return receiveResponse{}, unknownAttribute(n)
		}
	}
	messages, err := s.receive(ctx, name, options, wait)
	var out receiveResponse
	for _, m := range messages {
		out.Messages = append(out.Messages, m.toWire(system, in.MessageAttributeNames))
	}
	return out, err
}

func isSystemAttribute(name string) bool {
	switch name {
	case "All", "SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp",
		"AWSTraceHeader", "DeadLetterQueueSourceArn", "MessageGroupId", "MessageDeduplicationId", "SequenceNumber":
		return true
	}
	return false
}

// toWire returns the message in SQS's form, with the attributes that the request names. The MD5 sum of
// the attributes covers only those.
func (m Message) toWire(system, names []string) receivedMessage {
	all := slices.Contains(system, "All")
	attributes := maps.Clone(m.System)
	maps.DeleteFunc(attributes, func(name, _ string) bool { return !all && !slices.Contains(system, name) })
	custom := maps.Clone(m.Attributes)
	maps.DeleteFunc(custom, func(name string, _ Attribute) bool {
		return !slices.ContainsFunc(names, func(pattern string) bool { return matchesName(pattern, name) })
	})
	return receivedMessage{
		MessageId: m.ID, ReceiptHandle: m.Receipt, Body: m.Body, MD5OfBody: m.MD5(),
		Attributes: attributes, MessageAttributes: custom, MD5OfMessageAttributes: MD5OfAttributes(custom),
	}
}

// matchesName reports whether a name in a receive request selects the attribute. The forms are All, .*,
// prefix.* and the attribute's own name.
func matchesName(pattern, name string) bool {
	if prefix, wild := strings.CutSuffix(pattern, ".*"); wild {
		return strings.HasPrefix(name, prefix)
	}
	return pattern == "All" || pattern == name
}

// settleRequest is a request, or a batch entry, of DeleteMessage and ChangeMessageVisibility.
type settleRequest struct {
	Id                string // the entry's id, only in a batch
	QueueUrl          string // the queue's URL, only outside a batch
	ReceiptHandle     string
	VisibilityTimeout *int // in seconds, only of ChangeMessageVisibility
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
	n, err := optionalInt("VisibilityTimeout", in.VisibilityTimeout, 0, 43200, 0)
	if err != nil {
		return err
	}
	return s.hide(ctx, tx, q, in.ReceiptHandle, seconds(n))
}

// settleFunc deletes a received message or changes its visibility.
type settleFunc func(ctx context.Context, tx *sql.Tx, q queue, in settleRequest) error

func (s *Server) settleOne(ctx context.Context, in settleRequest, do settleFunc) error {
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
