package sqs

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// draft is a message to send.
type draft struct {
	body       string
	attributes map[string]Attribute
	system     map[string]string // the system attributes that the sender gives
	delay      *time.Duration    // the delay; nil means the queue's own
}

// Send puts a message into a queue and returns the message's id. When Send returns, the message is
// durable. A delay of 0 means the queue's own delay; the longest delay is 15 minutes. The error wraps an
// *awsjson.Error if SQS would reject the message or the queue does not exist.
func (s *Server) Send(ctx context.Context, queue, body string, attributes map[string]Attribute, delay time.Duration) (string, error) {
	d := draft{body: body, attributes: attributes}
	if delay != 0 {
		d.delay = &delay
	}
	var id string
	err := s.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		q, err := s.find(ctx, tx, queue)
		if err != nil {
			return err
		}
		if err := d.check(q); err != nil {
			return err
		}
		id, err = s.insert(ctx, tx, q, d)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("sending to the queue %s: %w", queue, err)
	}
	s.wake(queue)
	return id, nil
}

// size returns the size in bytes that counts against the queue's limit: that of the body and of each
// attribute's name, type and value.
func (d draft) size() int {
	n := len(d.body)
	for name, a := range d.attributes {
		n += len(name) + len(a.DataType) + len(a.value())
	}
	return n
}

// check returns SQS's error for a message that the queue does not accept. A hidden queue accepts any
// body and attributes.
func (d draft) check(q queue) error {
	if d.delay != nil && (*d.delay < 0 || *d.delay > 15*time.Minute) {
		return invalidParameter("Value %v for parameter DelaySeconds is invalid. "+
			"Reason: DelaySeconds must be >= 0 and <= 900.", d.delay.Seconds())
	}
	if q.hidden {
		return nil
	}
	switch size := d.size(); {
	case d.body == "":
		return missingParameter("MessageBody")
	case len(d.attributes) > 10:
		return invalidParameter("Number of message attributes [%d] exceeds the allowed maximum [10].", len(d.attributes))
	case size > q.limits.size:
		return invalidParameter("One or more parameters are invalid. "+
			"Reason: Message must be shorter than %d bytes; it has %d.", q.limits.size+1, size)
	}
	if err := checkText("the message body", d.body); err != nil {
		return err
	}
	for name, a := range d.attributes {
		if err := checkAttributeName(name); err != nil {
			return err
		}
		if err := a.check(name); err != nil {
			return err
		}
	}
	return nil
}

// insert stores a checked draft and returns the id of the message.
func (s *Server) insert(ctx context.Context, tx *sql.Tx, q queue, d draft) (string, error) {
	attributes, err := json.Marshal(d.attributes)
	if err != nil {
		return "", err
	}
	if d.system == nil {
		d.system = map[string]string{} // decoding null would discard the map that scanMessage decodes into
	}
	system, err := json.Marshal(d.system)
	if err != nil {
		return "", err
	}
	delay := q.limits.delay
	if d.delay != nil {
		delay = *d.delay
	}
	now := s.options.Now()
	id := uuid.NewString()
	_, err = tx.ExecContext(ctx, `
		INSERT INTO message (id, queue, body, attributes, system, sent, visible) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		id, q.name, []byte(d.body), string(attributes), string(system), now.UnixMilli(), now.Add(delay).UnixMilli())
	return id, err
}
