package sqs

import (
	"context"
	"database/sql"
	"errors"

	"modeldispatch/internal/local/awsjson"
)

type batchRequest[Entry any] struct {
	QueueUrl string
	Entries  []Entry
}

type batchResponse[Result any] struct {
	Successful []Result     `json:",omitempty"`
	Failed     []batchError `json:",omitempty"`
}

type batchError struct {
	Id          string
	SenderFault bool
	Code        string
	Message     string
}

// settleResult is the result of a batch entry that deletes a message or changes its visibility.
type settleResult struct{ Id string }

// batch calls do for each entry, in one transaction. An entry whose error is the sender's fails alone.
// Any other error fails the whole batch, and none of it is stored. id returns the id of an entry.
func batch[Entry, Result any](ctx context.Context, s *Server, in batchRequest[Entry], id func(Entry) string,
	do func(ctx context.Context, tx *sql.Tx, q queue, e Entry) (Result, error)) (out batchResponse[Result], err error) {
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
				out.Failed = append(out.Failed, batchError{
					Id: id(e), SenderFault: true, Code: queryCode(sender), Message: sender.Message,
				})
			default:
				return err
			}
		}
		return nil
	})
	if err != nil {
		return batchResponse[Result]{}, err
	}
	s.wake(name)
	return out, nil
}

// checkBatch checks the number of entries and their ids.
func checkBatch[Entry any](entries []Entry, id func(Entry) string) error {
	switch {
	case len(entries) == 0:
		return prefixedError("EmptyBatchRequest", "There should be at least one entry in the request.")
	case len(entries) > 10:
		return prefixedError("TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent %d.", len(entries))
	}
	seen := map[string]bool{}
	for _, e := range entries {
		switch {
		case !plainName.MatchString(id(e)):
			return prefixedError("InvalidBatchEntryId", "The batch entry id %q is invalid: "+
				"use 1 to 80 letters, digits, hyphens and underscores.", id(e))
		case seen[id(e)]:
			return prefixedError("BatchEntryIdsNotDistinct", "Id %s repeated.", id(e))
		}
		seen[id(e)] = true
	}
	return nil
}

func (s *Server) sendMessageBatch(ctx context.Context, in batchRequest[sendRequest]) (batchResponse[sendResponse], error) {
	size := 0
	for _, e := range in.Entries {
		size += draft{body: e.MessageBody, attributes: e.MessageAttributes}.size()
	}
	if size > maxMessage {
		return batchResponse[sendResponse]{}, prefixedError("BatchRequestTooLong",
			"Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxMessage, size)
	}
	return batch(ctx, s, in, func(e sendRequest) string { return e.Id }, s.put)
}

func (s *Server) deleteMessageBatch(ctx context.Context, in batchRequest[settleRequest]) (batchResponse[settleResult], error) {
	return s.settleBatch(ctx, in, s.deleteEntry)
}

func (s *Server) changeMessageVisibilityBatch(
	ctx context.Context, in batchRequest[settleRequest],
) (batchResponse[settleResult], error) {
	return s.settleBatch(ctx, in, s.hideEntry)
}

func (s *Server) settleBatch(
	ctx context.Context, in batchRequest[settleRequest], do settleFunc,
) (batchResponse[settleResult], error) {
	return batch(ctx, s, in, func(e settleRequest) string { return e.Id },
		func(ctx context.Context, tx *sql.Tx, q queue, e settleRequest) (settleResult, error) {
			return settleResult{e.Id}, do(ctx, tx, q, e)
		})
}
