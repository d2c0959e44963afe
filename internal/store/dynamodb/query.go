package dynamodb

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"modeldispatch/internal/store"
)

// batchSize is the maximum number of keys in a BatchGetItem.
const batchSize = 100

// Partition implements store.Store.
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
		return nil, s.wrap(fmt.Sprintf("reading partition %s", pk), err)
	}
	docs := make([]store.Doc, len(items))
	for i, item := range items {
		if docs[i], err = document(item); err != nil {
			return nil, err
		}
	}
	return docs, nil
}

// Due implements store.Store. It reads the due index, which lags behind the table.
func (s *Store) Due(ctx context.Context, shard int, before time.Time, limit int) ([]store.DueDoc, error) {
	if err := store.CheckShard(shard); err != nil {
		return nil, err
	}
	items, err := s.query(ctx, &dynamodb.QueryInput{
		TableName: &s.table, IndexName: aws.String(dueIndex), KeyConditionExpression: aws.String("duePK = :shard AND due <= :before"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":shard": stringOf(duePK(shard)), ":before": numberOf(before.UnixMilli()),
		},
	}, limit)
	if err != nil {
		return nil, s.wrap(fmt.Sprintf("reading the due documents of shard %d", shard), err)
	}
	due := make([]store.DueDoc, len(items))
	for i, key := range keysOf(items) {
		due[i] = store.DueDoc{Key: key, Kind: textOf(items[i]["kind"])}
	}
	return due, nil
}

// List implements store.Store. It reads keys from each shard of the list or model index, merges them, and reads the
// documents from the table.
func (s *Store) List(ctx context.Context, q store.Query) ([]store.Doc, string, error) {
	page, err := q.Page()
	if err != nil {
		return nil, "", err
	}
	from, to := bounds(page)
	if from >= to {
		return nil, "", nil
	}
	var items []map[string]types.AttributeValue
	for shard := range store.Shards {
		found, err := s.listShard(ctx, q, shard, from, to, page.Limit+1)
		if err != nil {
			return nil, "", s.wrap(fmt.Sprintf("listing documents of kind %s", q.Kind), err)
		}
		items = append(items, found...)
	}
	slices.SortFunc(items, func(a, b map[string]types.AttributeValue) int {
		return strings.Compare(textOf(b["listSK"]), textOf(a["listSK"]))
	})
	cursor := ""
	if len(items) > page.Limit {
		items = items[:page.Limit]
		cursor = page.Cursor(positionOf(items[page.Limit-1]))
	}
	docs, err := s.documents(ctx, keysOf(items))
	return docs, cursor, err
}

// documents reads the documents of keys that come from an index, and returns them in the order of keys. The index lags
// behind the table, so some documents may no longer exist: documents leaves them out. An index may also return a key
// twice, at an old and a new place: documents uses the first.
func (s *Store) documents(ctx context.Context, keys []store.Key) ([]store.Doc, error) {
	seen := make(map[store.Key]bool, len(keys))
	keys = slices.DeleteFunc(keys, func(key store.Key) bool {
		twice := seen[key]
		seen[key] = true
		return twice
	})
	found := make(map[store.Key]store.Doc, len(keys))
	for batch := range slices.Chunk(keys, batchSize) {
		if err := s.readBatch(ctx, batch, found); err != nil {
			return nil, err
		}
	}
	docs := make([]store.Doc, 0, len(keys))
	for _, key := range keys {
		if d, exists := found[key]; exists {
			docs = append(docs, d)
		}
	}
	return docs, nil
}

// readBatch reads up to batchSize documents, and adds the existing ones to found.
func (s *Store) readBatch(ctx context.Context, batch []store.Key, found map[store.Key]store.Doc) error {
	wanted := make([]map[string]types.AttributeValue, len(batch))
	for i, key := range batch {
		wanted[i] = keyOf(key)
	}
	for len(wanted) > 0 { // an answer has at most 16 MB, and returns the keys that it left out
		out, err := s.api.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{s.table: {Keys: wanted, ConsistentRead: aws.Bool(true)}},
		})
		if err != nil {
			return s.wrap(fmt.Sprintf("reading %d documents", len(wanted)), err)
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

// bounds returns the range of listSK for a page: from is included, to is not.
func bounds(p store.Page) (from, to string) {
	from, to = "0", "9"
	if !p.To.IsZero() {
		from, to = millisecondsText(p.From), millisecondsText(p.To)
	}
	if p.After != nil {
		to = min(to, listSK(p.After.Key, time.UnixMilli(p.After.Time)))
	}
	return from, to
}

// listShard returns the newest index entries of one shard between from and to, at most limit+1.
func (s *Store) listShard(
	ctx context.Context, q store.Query, shard int, from, to string, limit int,
) ([]map[string]types.AttributeValue, error) {
	index, partition, of := listIndex, "listPK", listPK(q.Kind, shard)
	if q.Model != "" { // this index holds only the model's documents, so the query does not read those of other models
		index, partition, of = modelIndex, "modelPK", modelPK(q.Kind, q.Model, shard)
	}
	in := &dynamodb.QueryInput{
		TableName: &s.table, IndexName: &index, ScanIndexForward: aws.Bool(false),
		KeyConditionExpression: aws.String(partition + " = :list AND listSK BETWEEN :from AND :to"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":list": stringOf(of), ":from": stringOf(from), ":to": stringOf(to),
		},
	}
	if q.State != "" {
		in.FilterExpression = aws.String("#state = :state")
		in.ExpressionAttributeNames = map[string]string{"#state": "state"} // state is a reserved word
		in.ExpressionAttributeValues[":state"] = stringOf(q.State)
	}
	items, err := s.query(ctx, in, limit+1)
	// BETWEEN includes both bounds, but to is excluded: the page before returned the document of the cursor.
	return slices.DeleteFunc(items, func(item map[string]types.AttributeValue) bool { return textOf(item["listSK"]) >= to }), err
}

// query reads pages until it has limit items, or all of them. Limit 0 means all.
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
