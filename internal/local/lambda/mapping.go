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

// nextBatch waits for a first message, and then, if the mapping has a window, for more.
func (e *Engine) nextBatch(m Mapping) func(context.Context) ([]sqs.Message, error) {
	return func(ctx context.Context) ([]sqs.Message, error) {
		batch, err := e.queues.Receive(ctx, m.Queue, m.BatchSize, longWait)
		if err != nil || len(batch) == 0 {
			return nil, err
		}
		end := e.options.Now().Add(m.Window)
		for len(batch) < m.BatchSize {
			left := end.Sub(e.options.Now())
			if left <= 0 {
				break
			}
			more, err := e.queues.Receive(ctx, m.Queue, m.BatchSize-len(batch), left)
			if err != nil {
				return batch, nil //nolint:nilerr // what is here is dealt with first; the error comes again
			}
			batch = append(batch, more...)
		}
		return batch, nil
	}
}

// serveBatch invokes the function with a batch, or with several if their payload would be too large.
func (e *Engine) serveBatch(m Mapping) func(context.Context, []sqs.Message) {
	return func(ctx context.Context, batch []sqs.Message) {
		for len(batch) > 0 {
			payload, n, err := e.sqsEvent(m.Queue, batch)
			if err == nil {
				err = e.feed(ctx, m, batch[:n], payload)
			}
			if err != nil {
				// What is not settled becomes visible again by its timeout.
				zerolog.Ctx(ctx).Error().Err(err).Str("queue", m.Queue).Msg("batch cannot be settled")
			}
			batch = batch[max(n, 1):]
		}
	}
}

// feed invokes the function, deletes what it dealt with, and makes the rest visible again soon.
func (e *Engine) feed(ctx context.Context, m Mapping, batch []sqs.Message, payload []byte) error {
	answer, err := e.invoke(ctx, e.functions[m.Function], uuid.NewString(), payload)
	var failed map[string]bool
	if err == nil && m.ReportBatchItemFailures {
		failed, err = itemFailures(answer, batch)
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
		problems = append(problems, e.queues.ChangeVisibility(ctx, m.Queue, message.Receipt, m.Retry))
	}
	if len(done) > 0 {
		problems = append(problems, e.queues.Delete(ctx, m.Queue, done...))
	}
	return errors.Join(problems...)
}

// itemFailures reads the answer of a function that reports failures. No answer and no list mean that
// all went well. An answer that cannot be understood, or names a message that was not in the
// batch, fails the whole batch: deleting a message on a misunderstanding would lose it.
// Keys are compared exactly, as Lambda does.
func itemFailures(answer []byte, batch []sqs.Message) (map[string]bool, error) {
	if len(bytes.TrimSpace(answer)) == 0 {
		return nil, nil
	}
	var response map[string]json.RawMessage
	if err := json.Unmarshal(answer, &response); err != nil {
		return nil, fmt.Errorf("reading the function's batch response: %w", err)
	}
	var items []map[string]json.RawMessage
	if list, has := response["batchItemFailures"]; has {
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
			return nil, fmt.Errorf("the function's batch response names %s, which is no message of the batch", describeItem(item))
		}
		failed[id] = true
	}
	return failed, nil
}

func describeItem(item map[string]json.RawMessage) string {
	text, err := json.Marshal(item)
	if err != nil {
		return "something"
	}
	return string(text)
}

// record is one message in the event that a function gets, as Lambda writes it.
type record struct {
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

// sqsEvent is the event of the first n messages: as many as a payload holds.
func (e *Engine) sqsEvent(queue string, batch []sqs.Message) (payload []byte, n int, err error) {
	const frame = len(`{"Records":[]}`)
	size := frame
	var records []json.RawMessage
	for _, m := range batch {
		text, err := encode(e.record(queue, m))
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

func (e *Engine) record(queue string, m sqs.Message) record {
	attributes := make(map[string]attribute, len(m.Attributes))
	for name, a := range m.Attributes {
		attributes[name] = attribute{
			StringValue: a.StringValue, BinaryValue: a.BinaryValue, DataType: a.DataType,
			StringListValues: []string{}, BinaryListValues: [][]byte{},
		}
	}
	return record{
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

// encode is JSON without HTML escapes, which AWS does not use either.
func encode(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(out.Bytes()), nil
}
