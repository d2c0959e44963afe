package sqs

import (
	"context"
	"database/sql"
	"errors"
	"regexp"

	"modeldispatch/internal/local/awsjson"
)

type batchRequest[Entry any] struct {
	QueueUrl string
	Entries  []Entry
}

type batchAnswer[Result any] struct {
	Successful []Result     `json:",omitempty"`
	Failed     []batchError `json:",omitempty"`
}

type batchError struct {
	Id          string
	SenderFault bool
	Code        string
	Message     string
}

type settled struct{ Id string }

// batch runs each entry by itself: a bad one fails alone. The good ones are one transaction.
func batch[Entry, Result any](ctx context.Context, s *Server, in batchRequest[Entry], id func(Entry) string,
	do func(ctx context.Context, tx *sql.Tx, q queue, e Entry) (Result, error)) (out batchAnswer[Result], err error) {
	if err := checkBatch(in.Entries, id); err != nil {
		return out, err
	}
	var name string
	err = s.withQueue(ctx, in.QueueUrl, func(ctx context.Context, tx *sql.Tx, q queue) error {
		name = q.name
		for _, e := range in.Entries {
			result, err := do(ctx, tx, q, e)
			var sender *awsjson.Error
			switch {
			case err == nil:
				out.Successful = append(out.Successful, result)
			case errors.As(err, &sender):
				out.Failed = append(out.Failed, batchError{Id: id(e), SenderFault: true, Code: code(sender), Message: sender.Message})
			default:
				return err
			}
		}
		return nil
	})
	if err != nil {
		return batchAnswer[Result]{}, err
	}
	s.wake(name)
	return out, nil
}

func checkBatch[Entry any](entries []Entry, id func(Entry) string) error {
	switch {
	case len(entries) == 0:
		return legacy("EmptyBatchRequest", "There should be at least one entry in the request.")
	case len(entries) > 10:
		return legacy("TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent %d.", len(entries))
	}
	seen := map[string]bool{}
	valid := regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)
	for _, e := range entries {
		switch {
		case !valid.MatchString(id(e)):
			return legacy("InvalidBatchEntryId", "The batch entry id %q is invalid: 1 to 80 letters, digits, hyphens and underscores are right.", id(e))
		case seen[id(e)]:
			return legacy("BatchEntryIdsNotDistinct", "Id %s repeated.", id(e))
		}
		seen[id(e)] = true
	}
	return nil
}

func (s *Server) sendMessageBatch(ctx context.Context, in batchRequest[sendRequest]) (batchAnswer[sendAnswer], error) {
	size := 0
	for _, e := range in.Entries {
		size += draft{body: e.MessageBody, attributes: e.MessageAttributes}.size()
	}
	if size > maxMessage {
		return batchAnswer[sendAnswer]{}, legacy("BatchRequestTooLong", "Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxMessage, size)
	}
	return batch(ctx, s, in, func(e sendRequest) string { return e.Id }, s.put)
}

func (s *Server) deleteMessageBatch(ctx context.Context, in batchRequest[settleRequest]) (batchAnswer[settled], error) {
	return s.settleBatch(ctx, in, s.deleteEntry)
}

func (s *Server) changeMessageVisibilityBatch(ctx context.Context, in batchRequest[settleRequest]) (batchAnswer[settled], error) {
	return s.settleBatch(ctx, in, s.hideEntry)
}

func (s *Server) settleBatch(ctx context.Context, in batchRequest[settleRequest], do settle) (batchAnswer[settled], error) {
	return batch(ctx, s, in, func(e settleRequest) string { return e.Id },
		func(ctx context.Context, tx *sql.Tx, q queue, e settleRequest) (settled, error) {
			return settled{e.Id}, do(ctx, tx, q, e)
		})
}
