package dynamodb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"modeldispatch/internal/store"
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
		return nil, fmt.Errorf("reading partition %s: %w", pk, err)
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
	items, err := s.query(ctx, &dynamodb.QueryInput{
		TableName: &s.table, IndexName: aws.String(dueIndex), KeyConditionExpression: aws.String("duePK = :shard AND due <= :before"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":shard": stringOf(duePK(shard)), ":before": numberOf(before.UnixMilli())},
	}, limit)
	if err != nil {
		return nil, fmt.Errorf("listing what is due: %w", err)
	}
	keys := make([]store.Key, len(items))
	for i, item := range items {
		keys[i] = store.Key{PK: textOf(item["pk"]), SK: textOf(item["sk"])}
	}
	return keys, nil
}

// List reads a page of listed documents, newest first. The shards are read side by side, and
// merged; the cursor is the place of the last document in that order.
func (s *Store) List(ctx context.Context, q store.Query) ([]store.Doc, string, error) {
	limit := cmp.Or(q.Limit, 100)
	from, to, err := bounds(q)
	if err != nil {
		return nil, "", err
	}
	var items []map[string]types.AttributeValue
	for shard := range store.Shards {
		found, err := s.listShard(ctx, q, shard, from, to, limit+1)
		if err != nil {
			return nil, "", fmt.Errorf("listing %ss: %w", q.Kind, err)
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
	docs := []store.Doc{}
	for _, item := range items {
		d, err := s.Get(ctx, store.Key{PK: textOf(item["pk"]), SK: textOf(item["sk"])})
		if errors.Is(err, store.ErrNotFound) {
			continue // the index lags
		}
		if err != nil {
			return nil, "", err
		}
		docs = append(docs, d)
	}
	return docs, cursor, nil
}

// bounds are the sort keys between which a query's documents lie.
func bounds(q store.Query) (from, to string, err error) {
	from, to = "0", "9"
	if q.Day != "" {
		day, err := time.Parse(time.DateOnly, q.Day)
		if err != nil {
			return "", "", fmt.Errorf("day %q is not of the form 2006-01-02", q.Day)
		}
		from, to = millisecondsText(day), millisecondsText(day.AddDate(0, 0, 1))
	}
	if q.Cursor != "" && q.Cursor < to {
		to = q.Cursor
	}
	return from, to, nil
}

func (s *Store) listShard(ctx context.Context, q store.Query, shard int, from, to string, limit int) ([]map[string]types.AttributeValue, error) {
	in := &dynamodb.QueryInput{
		TableName: &s.table, IndexName: aws.String(listIndex), KeyConditionExpression: aws.String("listPK = :list AND listSK BETWEEN :from AND :to"),
		ScanIndexForward:          aws.Bool(false),
		ExpressionAttributeValues: map[string]types.AttributeValue{":list": stringOf(listPK(q.Kind, shard)), ":from": stringOf(from), ":to": stringOf(to)},
	}
	var filters []string
	names := map[string]string{}
	for name, value := range map[string]string{"model": q.Model, "state": q.State} {
		if value != "" {
			filters, names["#"+name] = append(filters, "#"+name+" = :"+name), name
			in.ExpressionAttributeValues[":"+name] = stringOf(value)
		}
	}
	if len(filters) > 0 {
		slices.Sort(filters)
		in.FilterExpression, in.ExpressionAttributeNames = aws.String(strings.Join(filters, " AND ")), maps.Clone(names)
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
