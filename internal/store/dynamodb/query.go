package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"modeldispatch/internal/store"
)

const (
	pageSize  = 100 // the limit of a page whose query names none
	batchSize = 100 // as many as a BatchGetItem takes
)

// Partition reads the documents of a partition, ascending.
func (s *Store) Partition(ctx context.Context, pk, skPrefix string, limit int) ([]store.Doc, error) {
	condition, values := "pk = :pk", map[string]types.AttributeValue{":pk": stringOf(pk)}
	if skPrefix != "" {
		condition += " AND begins_with(sk, :prefix)"
		values[":prefix"] = stringOf(skPrefix)
	}
	items, err := s.query(ctx, &dynamodb.QueryInput{
		TableName: &s.table, KeyConditionExpression: &condition, ExpressionAttributeValues: values, ConsistentRead: aws.Bool(true),
	}, limit)
	if err != nil {
		return nil, s.failed(fmt.Sprintf("reading partition %s", pk), err)
	}
	docs := make([]store.Doc, len(items))
	for i, item := range items {
		if docs[i], err = document(item); err != nil {
			return nil, err
		}
	}
	return docs, nil
}

// Due lists keys of one shard that are due, earliest first.
func (s *Store) Due(ctx context.Context, shard int, before time.Time, limit int) ([]store.Key, error) {
	if shard < 0 || shard >= store.Shards {
		return nil, fmt.Errorf("there is no shard %d: they are 0 to %d", shard, store.Shards-1)
	}
	items, err := s.query(ctx, &dynamodb.QueryInput{
		TableName: &s.table, IndexName: aws.String(dueIndex), KeyConditionExpression: aws.String("duePK = :shard AND due <= :before"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":shard": stringOf(duePK(shard)), ":before": numberOf(before.UnixMilli())},
	}, limit)
	if err != nil {
		return nil, s.failed(fmt.Sprintf("reading what is due in shard %d", shard), err)
	}
	return keysOf(items), nil
}

// List reads a page of listed documents, newest first. The shards are read one after the other and
// merged; the cursor is the place of the last document in that order.
func (s *Store) List(ctx context.Context, q store.Query) ([]store.Doc, string, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = pageSize
	}
	from, to, err := bounds(q)
	if err != nil {
		return nil, "", err
	}
	if from >= to {
		return nil, "", nil
	}
	var items []map[string]types.AttributeValue
	for shard := range store.Shards {
		found, err := s.listShard(ctx, q, shard, from, to, limit+1)
		if err != nil {
			return nil, "", s.failed(fmt.Sprintf("listing documents of kind %s", q.Kind), err)
		}
		items = append(items, found...)
	}
	slices.SortFunc(items, func(a, b map[string]types.AttributeValue) int {
		return strings.Compare(textOf(b["listSK"]), textOf(a["listSK"]))
	})
	cursor := ""
	if len(items) > limit {
		items = items[:limit]
		cursor = textOf(items[limit-1]["listSK"])
	}
	docs, err := s.documents(ctx, keysOf(items))
	return docs, cursor, err
}

// documents reads documents, in the order of their keys. The index that led to them lags: those
// that are gone are left out, and one that has just got another place, and so came twice, is read
// once.
func (s *Store) documents(ctx context.Context, keys []store.Key) ([]store.Doc, error) {
	seen := make(map[store.Key]bool, len(keys))
	keys = slices.DeleteFunc(keys, func(key store.Key) bool {
		twice := seen[key]
		seen[key] = true
		return twice
	})
	found := make(map[store.Key]store.Doc, len(keys))
	for batch := range slices.Chunk(keys, batchSize) {
		if err := s.read(ctx, batch, found); err != nil {
			return nil, err
		}
	}
	docs := make([]store.Doc, 0, len(keys))
	for _, key := range keys {
		if d, there := found[key]; there {
			docs = append(docs, d)
		}
	}
	return docs, nil
}

// read reads a batch of documents into found.
func (s *Store) read(ctx context.Context, batch []store.Key, found map[store.Key]store.Doc) error {
	wanted := make([]map[string]types.AttributeValue, len(batch))
	for i, key := range batch {
		wanted[i] = keyOf(key)
	}
	for len(wanted) > 0 { // an answer has 16 MB at most, and says what it left out
		out, err := s.api.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{s.table: {Keys: wanted, ConsistentRead: aws.Bool(true)}},
		})
		if err != nil {
			return s.failed(fmt.Sprintf("reading %d documents", len(wanted)), err)
		}
		for _, item := range out.Responses[s.table] {
			d, err := document(item)
			if err != nil {
				return err
			}
			found[d.Key] = d
		}
		wanted = out.UnprocessedKeys[s.table].Keys
	}
	return nil
}

// bounds are the sort keys between which a query's documents lie; to is not one of them.
func bounds(q store.Query) (from, to string, err error) {
	if q.Kind == "" {
		return "", "", errors.New("a query needs a kind of documents to list")
	}
	from, to = "0", "9"
	if q.Day != "" {
		day, err := time.Parse(time.DateOnly, q.Day)
		if err != nil {
			return "", "", fmt.Errorf("the day of a query is of the form 2006-01-02, not %q", q.Day)
		}
		from, to = millisecondsText(day), millisecondsText(day.AddDate(0, 0, 1))
	}
	if q.Cursor != "" {
		if !isListSK(q.Cursor) {
			return "", "", fmt.Errorf("%q is not the cursor of a page of this store", q.Cursor)
		}
		to = min(to, q.Cursor)
	}
	return from, to, nil
}

func (s *Store) listShard(ctx context.Context, q store.Query, shard int, from, to string, limit int) ([]map[string]types.AttributeValue, error) {
	index, partition, of := listIndex, "listPK", listPK(q.Kind, shard)
	if q.Model != "" { // its own documents, however many others there are
		index, partition, of = modelIndex, "modelPK", modelPK(q.Kind, q.Model, shard)
	}
	in := &dynamodb.QueryInput{
		TableName: &s.table, IndexName: &index, KeyConditionExpression: aws.String(partition + " = :list AND listSK BETWEEN :from AND :to"),
		ScanIndexForward:          aws.Bool(false),
		ExpressionAttributeValues: map[string]types.AttributeValue{":list": stringOf(of), ":from": stringOf(from), ":to": stringOf(to)},
	}
	if q.State != "" {
		in.FilterExpression, in.ExpressionAttributeNames = aws.String("#state = :state"), map[string]string{"#state": "state"} // a reserved word
		in.ExpressionAttributeValues[":state"] = stringOf(q.State)
	}
	items, err := s.query(ctx, in, limit+1)
	// BETWEEN takes its bounds with it: the document that the cursor names was given before.
	return slices.DeleteFunc(items, func(item map[string]types.AttributeValue) bool { return textOf(item["listSK"]) >= to }), err
}

// query reads pages until there are enough items, or no more.
func (s *Store) query(ctx context.Context, in *dynamodb.QueryInput, limit int) ([]map[string]types.AttributeValue, error) {
	var items []map[string]types.AttributeValue
	for {
		if limit > 0 && in.FilterExpression == nil {
			in.Limit = aws.Int32(int32(limit - len(items)))
		}
		out, err := s.api.Query(ctx, in)
		if err != nil {
			return nil, err
		}
		items = append(items, out.Items...)
		if len(out.LastEvaluatedKey) == 0 || limit > 0 && len(items) >= limit {
			if limit > 0 && len(items) > limit {
				items = items[:limit]
			}
			return items, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

func keysOf(items []map[string]types.AttributeValue) []store.Key {
	keys := make([]store.Key, len(items))
	for i, item := range items {
		keys[i] = store.Key{PK: textOf(item["pk"]), SK: textOf(item["sk"])}
	}
	return keys
}
