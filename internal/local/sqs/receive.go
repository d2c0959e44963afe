package sqs

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// receiveOptions configure one receive.
type receiveOptions struct {
	limit      int            // the most messages to return
	visibility *time.Duration // the visibility timeout; nil means the queue's own
	held       bool           // the receiver lives in this process, so its messages are released when the process ends
}

// Receive returns up to limit messages. It waits up to wait for the first one, and returns none when
// that time is over. The messages are hidden for the queue's visibility timeout, or until this
// process ends. Only the receipt of a message's latest receive is valid. The error wraps ErrClosed if
// the server is closed, ctx.Err() if ctx ends, and an *awsjson.Error if the queue does not exist.
func (s *Server) Receive(ctx context.Context, queue string, limit int, wait time.Duration) ([]Message, error) {
	messages, err := s.receive(ctx, queue, receiveOptions{limit: limit, held: true}, wait)
	if err != nil {
		return nil, fmt.Errorf("receiving from the queue %s: %w", queue, err)
	}
	return messages, nil
}

// receive is Receive with all options. It sleeps until the queue's signal, the next message's time, or
// the deadline.
func (s *Server) receive(ctx context.Context, queue string, o receiveOptions, wait time.Duration) ([]Message, error) {
	deadline := s.options.Now().Add(wait)
	arrival := s.arrivalSignal(queue)
	for {
		arrived := arrival.wait()
		messages, next, err := s.take(ctx, queue, o)
		if err != nil || len(messages) > 0 {
			return messages, err
		}
		pause := deadline.Sub(s.options.Now())
		if pause <= 0 {
			return nil, nil
		}
		if !next.IsZero() {
			pause = min(pause, next.Sub(s.options.Now()))
		}
		timer := time.NewTimer(pause)
		select {
		case <-arrived:
		case <-timer.C:
		case <-s.done:
			err = ErrClosed
		case <-ctx.Done():
			err = ctx.Err()
		}
		timer.Stop()
		if err != nil {
			return nil, err
		}
	}
}

// take receives messages that are visible now. If there are none, it returns when the next message
// becomes visible, or the zero time if the queue is empty.
func (s *Server) take(ctx context.Context, name string, o receiveOptions) (messages []Message, next time.Time, err error) {
	var deadLetterQueue string // the queue that got dead letters
	err = s.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		q, err := s.find(ctx, tx, name)
		if err != nil {
			return err
		}
		moved, err := s.moveDeadLetters(ctx, tx, q, o.limit)
		if err != nil {
			return err
		}
		if moved {
			deadLetterQueue = q.limits.deadLetter
		}
		if messages, err = s.claim(ctx, tx, q, o); err != nil || len(messages) > 0 {
			return err
		}
		next, err = s.nextVisible(ctx, tx, q)
		return err
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	if deadLetterQueue != "" {
		s.wake(deadLetterQueue)
	}
	if len(messages) > 0 {
		s.changed.raise()
	}
	return messages, next, nil
}

// moveDeadLetters moves messages that were received too often to the dead-letter queue. It looks at
// the next limit visible messages and repeats until it finds none to move among them. It reports
// whether it moved any.
func (s *Server) moveDeadLetters(ctx context.Context, tx *sql.Tx, q queue, limit int) (bool, error) {
	if q.limits.deadLetter == "" {
		return false, nil
	}
	switch _, err := s.find(ctx, tx, q.limits.deadLetter); {
	case isNoSuchQueue(err):
		return false, nil // the dead-letter queue was deleted: as in SQS, the messages stay
	case err != nil:
		return false, err
	}
	moved := false
	for {
		result, err := tx.ExecContext(ctx, `
			UPDATE message SET queue = ?3, source = ?1, carried = received, visible = ?2, held = 0
			WHERE received - carried >= ?5 AND seq IN
				(SELECT seq FROM message WHERE queue = ?1 AND visible <= ?2 ORDER BY visible, seq LIMIT ?4)`,
			q.name, s.options.Now().UnixMilli(), q.limits.deadLetter, limit, q.limits.maxReceives)
		if err != nil {
			return false, err
		}
		n, err := result.RowsAffected()
		if err != nil || n == 0 {
			return moved, err
		}
		moved = true
	}
}

// claim receives up to o.limit visible messages and hides them. It returns them oldest first.
func (s *Server) claim(ctx context.Context, tx *sql.Tx, q queue, o receiveOptions) ([]Message, error) {
	now := s.options.Now()
	visibility := q.limits.visibility
	if o.visibility != nil {
		visibility = *o.visibility
	}
	rows, err := tx.QueryContext(ctx, `
		UPDATE message SET received = received + 1, taken = ?2, visible = ?3, held = ?5,
			first = CASE received WHEN 0 THEN ?2 ELSE first END
		WHERE seq IN (SELECT seq FROM message WHERE queue = ?1 AND visible <= ?2 ORDER BY visible, seq LIMIT ?4)
		RETURNING seq, id, body, attributes, system, source, sent, first, received`,
		q.name, now.UnixMilli(), now.Add(visibility).UnixMilli(), o.limit, o.held)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	bySeq := map[int64]Message{}
	var order []int64
	for rows.Next() {
		seq, m, err := s.scanMessage(rows, q.name)
		if err != nil {
			return nil, err
		}
		bySeq[seq] = m
		order = append(order, seq)
	}
	slices.Sort(order) // SQLite returns the rows of RETURNING in no fixed order
	messages := make([]Message, 0, len(order))
	for _, seq := range order {
		messages = append(messages, bySeq[seq])
	}
	return messages, rows.Err()
}

// scanMessage reads a row that claim returns.
func (s *Server) scanMessage(rows *sql.Rows, queue string) (seq int64, m Message, err error) {
	var attributes, system, source string
	var body []byte
	var sent, first int64
	if err := rows.Scan(&seq, &m.ID, &body, &attributes, &system, &source, &sent, &first, &m.Received); err != nil {
		return 0, m, err
	}
	if err := json.Unmarshal([]byte(attributes), &m.Attributes); err != nil {
		return 0, m, fmt.Errorf("reading the attributes of message %s: %w", m.ID, err)
	}
	m.System = map[string]string{
		"SenderId":                         s.options.Account,
		"SentTimestamp":                    strconv.FormatInt(sent, 10),
		"ApproximateReceiveCount":          strconv.Itoa(m.Received),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(first, 10),
	}
	if source != "" {
		m.System["DeadLetterQueueSourceArn"] = s.ARN(source)
	}
	if err := json.Unmarshal([]byte(system), &m.System); err != nil { // adds the sender's own to the map
		return 0, m, fmt.Errorf("reading the system attributes of message %s: %w", m.ID, err)
	}
	m.Body, m.Sent = string(body), time.UnixMilli(sent)
	m.Receipt = receipt{queue: queue, id: m.ID, received: m.Received}.String()
	return seq, m, nil
}

// nextVisible returns when the next message of the queue becomes visible, or the zero time if the queue
// is empty.
func (s *Server) nextVisible(ctx context.Context, tx *sql.Tx, q queue) (time.Time, error) {
	var at sql.NullInt64
	row := tx.QueryRowContext(ctx, `SELECT min(visible) FROM message WHERE queue = ?`, q.name)
	if err := row.Scan(&at); err != nil || !at.Valid {
		return time.Time{}, err
	}
	return time.UnixMilli(at.Int64), nil
}
