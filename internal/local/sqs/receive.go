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

// demand is what a receiver asks of a queue.
type demand struct {
	limit      int
	visibility *time.Duration // nil means the queue's
	held       bool           // the receiver dies with this process
}

// Receive takes up to limit messages, waiting for the first of them as long as wait. It returns none
// when the time is over. They are hidden for the queue's visibility timeout, or until this
// process ends, and belong to whoever received them last.
func (s *Server) Receive(ctx context.Context, queue string, limit int, wait time.Duration) ([]Message, error) {
	messages, err := s.receive(ctx, queue, demand{limit: limit, held: true}, wait)
	if err != nil {
		return nil, fmt.Errorf("receiving from the queue %s: %w", queue, err)
	}
	return messages, nil
}

func (s *Server) receive(ctx context.Context, queue string, want demand, wait time.Duration) ([]Message, error) {
	deadline := s.options.Now().Add(wait)
	arrival := s.arrival(queue)
	for {
		arrived := arrival.wait()
		messages, next, err := s.take(ctx, queue, want)
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

// take receives what is visible now; if nothing is, it says when the next message will be.
func (s *Server) take(ctx context.Context, name string, want demand) (messages []Message, next time.Time, err error) {
	var moved string
	err = s.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		q, err := s.find(ctx, tx, name)
		if err != nil {
			return err
		}
		buried, err := s.bury(ctx, tx, q, want.limit)
		if err != nil {
			return err
		}
		if buried {
			moved = q.limits.deadLetter
		}
		if messages, err = s.claim(ctx, tx, q, want); err != nil || len(messages) > 0 {
			return err
		}
		next, err = s.nextVisible(ctx, tx, q)
		return err
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	if moved != "" {
		s.wake(moved)
	}
	if len(messages) > 0 {
		s.changed.raise()
	}
	return messages, next, nil
}

// bury moves those of the next limit messages that were received too often to the dead-letter
// queue, until the next limit messages are all alive.
func (s *Server) bury(ctx context.Context, tx *sql.Tx, q queue, limit int) (bool, error) {
	if q.limits.deadLetter == "" {
		return false, nil
	}
	switch _, err := s.find(ctx, tx, q.limits.deadLetter); {
	case isAbsent(err):
		return false, nil // deleted meanwhile: as in SQS, the messages stay
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

func (s *Server) claim(ctx context.Context, tx *sql.Tx, q queue, want demand) ([]Message, error) {
	now := s.options.Now()
	visibility := q.limits.visibility
	if want.visibility != nil {
		visibility = *want.visibility
	}
	rows, err := tx.QueryContext(ctx, `
		UPDATE message SET received = received + 1, taken = ?2, visible = ?3, held = ?5,
			first = CASE received WHEN 0 THEN ?2 ELSE first END
		WHERE seq IN (SELECT seq FROM message WHERE queue = ?1 AND visible <= ?2 ORDER BY visible, seq LIMIT ?4)
		RETURNING seq, id, body, attributes, system, source, sent, first, received`,
		q.name, now.UnixMilli(), now.Add(visibility).UnixMilli(), want.limit, want.held)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	byAge := map[int64]Message{}
	var order []int64
	for rows.Next() {
		seq, m, err := s.scanMessage(rows, q.name)
		if err != nil {
			return nil, err
		}
		byAge[seq], order = m, append(order, seq)
	}
	slices.Sort(order) // RETURNING promises no order
	messages := make([]Message, 0, len(order))
	for _, seq := range order {
		messages = append(messages, byAge[seq])
	}
	return messages, rows.Err()
}

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
	if err := json.Unmarshal([]byte(system), &m.System); err != nil { // adds what the sender gave
		return 0, m, fmt.Errorf("reading the system attributes of message %s: %w", m.ID, err)
	}
	m.Body, m.Sent = string(body), time.UnixMilli(sent)
	m.Receipt = receipt{queue: queue, id: m.ID, received: m.Received}.String()
	return seq, m, nil
}

func (s *Server) nextVisible(ctx context.Context, tx *sql.Tx, q queue) (time.Time, error) {
	var at sql.NullInt64
	row := tx.QueryRowContext(ctx, `SELECT min(visible) FROM message WHERE queue = ?`, q.name)
	if err := row.Scan(&at); err != nil || !at.Valid {
		return time.Time{}, err
	}
	return time.UnixMilli(at.Int64), nil
}
