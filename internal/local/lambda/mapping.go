package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"modeldispatch/internal/local/sqs"
)

// receiveBatch returns a function that waits for a first message and then, if the mapping has a batching window, for
// more.
func (e *Engine) receiveBatch(m Mapping) func(context.Context) ([]sqs.Message, error) {
	return func(ctx context.Context) ([]sqs.Message, error) {
		batch, err := e.queues.Receive(ctx, m.Queue, m.BatchSize, pollWait)
		if err != nil || len(batch) == 0 {
			return nil, err
		}
		end := e.options.Now().Add(m.BatchingWindow)
		for len(batch) < m.BatchSize {
			left := end.Sub(e.options.Now())
			if left <= 0 {
				break
			}
			more, err := e.queues.Receive(ctx, m.Queue, m.BatchSize-len(batch), left)
			if err != nil {
				return batch, nil //nolint:nilerr // handle the received messages first; the next receive returns the error again
			}
			batch = append(batch, more...)
		}
		return batch, nil
	}
}

// handleBatch returns a function that invokes the mapping's function with a batch. It splits a batch that exceeds the
// payload limit.
func (e *Engine) handleBatch(m Mapping) func(context.Context, []sqs.Message) {
	return func(ctx context.Context, batch []sqs.Message) {
		for len(batch) > 0 {
			payload, n, err := e.sqsEvent(m.Queue, batch)
			if err == nil {
				err = e.processBatch(ctx, m, batch[:n], payload)
			}
			if err != nil {
				// Messages that are not settled become visible again after their visibility timeout.
				zerolog.Ctx(ctx).Error().Err(err).Str("queue", m.Queue).Msg("batch not settled; its messages will be delivered again")
			}
			batch = batch[max(n, 1):]
		}
	}
}

// processBatch invokes the function with a batch. It deletes the handled messages, and makes the failed ones visible
// again after Mapping.RetryDelay.
func (e *Engine) processBatch(ctx context.Context, m Mapping, batch []sqs.Message, payload []byte) error {
	response, err := e.invoke(ctx, e.functions[m.Function], uuid.NewString(), payload)
	var failed map[string]bool
	if err == nil && m.ReportBatchItemFailures {
		failed, err = itemFailures(response, batch)
	}
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Str("function", m.Function).Str("queue", m.Queue).Int("messages", len(batch)).Msg("batch failed")
	}
	var done []string
	var problems []error
	for _, message := range batch {
		if err == nil && !failed[message.ID] {
			done = append(done, message.Receipt)
			continue
		}
		problems = append(problems, e.queues.ChangeVisibility(ctx, m.Queue, message.Receipt, m.RetryDelay))
	}
	if len(done) > 0 {
		problems = append(problems, e.queues.Delete(ctx, m.Queue, done...))
	}
	return errors.Join(problems...)
}

// itemFailures returns the ids of the failed messages from the response of a function that reports failures. An empty
// response, and a response without a list, mean that all messages succeeded. An error means that the whole batch
// failed: the response cannot be decoded, or it names a message outside the batch. Then no message is deleted,
// because that could lose it. Keys are case-sensitive, as in Lambda:
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
func itemFailures(response []byte, batch []sqs.Message) (map[string]bool, error) {
	if len(bytes.TrimSpace(response)) == 0 {
		return nil, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(response, &fields); err != nil {
		return nil, fmt.Errorf("reading the function's batch response: %w", err)
	}
	var items []map[string]json.RawMessage
	if list, has := fields["batchItemFailures"]; has {
		if err := json.Unmarshal(list, &items); err != nil {
			return nil, fmt.Errorf("reading batchItemFailures: %w", err)
		}
	}
	known := make(map[string]bool, len(batch))
	for _, m := range batch {
		known[m.ID] = true
	}
	failed := make(map[string]bool, len(items))
	for _, item := range items {
		var id string
		if err := json.Unmarshal(item["itemIdentifier"], &id); err != nil || !known[id] {
			return nil, fmt.Errorf("the function's batch response names %s, which is not a message of the batch", describeItem(item))
		}
		failed[id] = true
	}
	return failed, nil
}

func describeItem(item map[string]json.RawMessage) string {
	text, err := json.Marshal(item)
	if err != nil {
		return "an item that cannot be encoded"
	}
	return string(text)
}

// sqsRecord is one message in the event of a function, in Lambda's form.
type sqsRecord struct {
	MessageID              string               `json:"messageId"`
	ReceiptHandle          string               `json:"receiptHandle"`
	Body                   string               `json:"body"`
	Attributes             map[string]string    `json:"attributes"`
	MessageAttributes      map[string]attribute `json:"messageAttributes"`
	MD5OfMessageAttributes string               `json:"md5OfMessageAttributes,omitempty"`
	MD5OfBody              string               `json:"md5OfBody"`
	EventSource            string               `json:"eventSource"`
	EventSourceARN         string               `json:"eventSourceARN"`
	AWSRegion              string               `json:"awsRegion"`
}

type attribute struct {
	StringValue      *string  `json:"stringValue,omitempty"`
	BinaryValue      []byte   `json:"binaryValue,omitempty"`
	StringListValues []string `json:"stringListValues"`
	BinaryListValues [][]byte `json:"binaryListValues"`
	DataType         string   `json:"dataType"`
}

// sqsEvent returns the event for the first n messages of the batch. n is as large as the payload limit allows, but at
// least 1.
func (e *Engine) sqsEvent(queue string, batch []sqs.Message) (payload []byte, n int, err error) {
	const frame = len(`{"Records":[]}`)
	size := frame
	var records []json.RawMessage
	for _, m := range batch {
		text, err := encode(e.newRecord(queue, m))
		if err != nil {
			return nil, 0, fmt.Errorf("encoding message %s: %w", m.ID, err)
		}
		if size += len(text) + 1; size > maxPayload && len(records) > 0 {
			break
		}
		records = append(records, text)
	}
	payload, err = encode(map[string]any{"Records": records})
	return payload, len(records), err
}

func (e *Engine) newRecord(queue string, m sqs.Message) sqsRecord {
	attributes := make(map[string]attribute, len(m.Attributes))
	for name, a := range m.Attributes {
		attributes[name] = attribute{
			StringValue: a.StringValue, BinaryValue: a.BinaryValue, DataType: a.DataType,
			StringListValues: []string{}, BinaryListValues: [][]byte{},
		}
	}
	return sqsRecord{
		MessageID:              m.ID,
		ReceiptHandle:          m.Receipt,
		Body:                   m.Body,
		Attributes:             m.System,
		MessageAttributes:      attributes,
		MD5OfMessageAttributes: sqs.MD5OfAttributes(m.Attributes),
		MD5OfBody:              m.MD5(),
		EventSource:            "aws:sqs",
		EventSourceARN:         e.queues.ARN(queue),
		AWSRegion:              e.queues.Region(),
	}
}

// encode returns JSON without HTML escapes, as AWS writes it.
func encode(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(out.Bytes()), nil
}
