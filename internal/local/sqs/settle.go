package sqs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// maxVisibility limits how long a message can be hidden, counted from its latest receive.
const maxVisibility = 12 * time.Hour

// Delete deletes received messages in one transaction. As in SQS, the receipt of an earlier receive
// deletes nothing, without an error. The error wraps an *awsjson.Error if a text is not a receipt of the
// queue, or the queue does not exist; Delete then deletes none of the messages.
func (s *Server) Delete(ctx context.Context, queue string, receipts ...string) error {
	err := s.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		q, err := s.find(ctx, tx, queue)
		if err != nil {
			return err
		}
		for _, r := range receipts {
			if err := s.remove(ctx, tx, q, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("deleting from the queue %s: %w", queue, err)
	}
	s.changed.raise()
	return nil
}

// remove deletes the message of a receipt, if the receipt is that of its latest receive.
func (s *Server) remove(ctx context.Context, tx *sql.Tx, q queue, text string) error {
	r, err := parseReceipt(q.name, text)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM message WHERE queue = ? AND id = ? AND received = ?`, q.name, r.id, r.received)
	return err
}

// ChangeVisibility hides a message that is in flight for d from now; 0 makes it visible. The error wraps
// an *awsjson.Error if the queue does not exist, the message is not in flight, the receipt is not that
// of its latest receive, or the message would stay hidden for more than 12 hours after that receive.
func (s *Server) ChangeVisibility(ctx context.Context, queue, receipt string, d time.Duration) error {
	err := s.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		q, err := s.find(ctx, tx, queue)
		if err != nil {
			return err
		}
		return s.hide(ctx, tx, q, receipt, d)
	})
	if err != nil {
		return fmt.Errorf("changing a message's visibility in the queue %s: %w", queue, err)
	}
	s.wake(queue)
	return nil
}

// hide implements ChangeVisibility within a transaction.
func (s *Server) hide(ctx context.Context, tx *sql.Tx, q queue, text string, d time.Duration) error {
	if d < 0 || d > maxVisibility {
		return invalidParameter("Value %v for parameter VisibilityTimeout is invalid. "+
			"Reason: VisibilityTimeout must be >= 0 and <= 43200.", d.Seconds())
	}
	r, err := parseReceipt(q.name, text)
	if err != nil {
		return err
	}
	now := s.options.Now()
	var taken, visible int64
	row := tx.QueryRowContext(ctx, `SELECT taken, visible FROM message WHERE queue = ? AND id = ? AND received = ?`,
		q.name, r.id, r.received)
	switch err := row.Scan(&taken, &visible); {
	case errors.Is(err, sql.ErrNoRows):
		return invalidParameter("Value %s for parameter ReceiptHandle is invalid. "+
			"Reason: Message does not exist or is not available for visibility timeout change.", text)
	case err != nil:
		return err
	case visible <= now.UnixMilli():
		return prefixedError("MessageNotInflight", "The message %s is not in flight: its visibility timeout has ended.", r.id)
	case now.Add(d).Sub(time.UnixMilli(taken)) > maxVisibility:
		return invalidParameter("Value %v for parameter VisibilityTimeout is invalid. "+
			"Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds].", d.Seconds())
	}
	_, err = tx.ExecContext(ctx, `UPDATE message SET visible = ? WHERE queue = ? AND id = ?`, now.Add(d).UnixMilli(), q.name, r.id)
	return err
}
