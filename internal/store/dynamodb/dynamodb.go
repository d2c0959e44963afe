// Package dynamodb keeps documents in one DynamoDB table.
//
// A commit of one write is a PutItem or DeleteItem with a condition, one of several is a
// TransactWriteItems. Every item carries the id of the commit that wrote it: when DynamoDB has
// committed but the answer was lost, the SDK's retry is told that a condition failed; the store
// then reads the items, recognises its own commit, and says that it succeeded. A commit that only
// deletes cannot be recognised so; it is reported as a conflict, and whoever made it looks again.
package dynamodb

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

	"modeldispatch/internal/store"
)

// API is what is used of the SDK's client.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// maxItem is how large an item may be, in bytes. DynamoDB's own limit counts names too.
const maxItem = 390 << 10

// conflictRetries is how often a transaction that ran into another one is tried again.
const conflictRetries = 8

// Store keeps documents in a table.
type Store struct {
	api   API
	table string
}

// New makes a store over a table as Table describes it.
func New(api API, table string) *Store { return &Store{api, table} }

// Get reads one document.
func (s *Store) Get(ctx context.Context, key store.Key) (store.Doc, error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: keyOf(key), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return store.Doc{}, fmt.Errorf("reading %s: %w", key, err)
	}
	if len(out.Item) == 0 {
		return store.Doc{}, fmt.Errorf("%s: %w", key, store.ErrNotFound)
	}
	return document(out.Item)
}

// Commit carries out all writes or none.
func (s *Store) Commit(ctx context.Context, writes ...store.Write) error {
	if err := store.Check(writes); err != nil {
		return err
	}
	for _, w := range writes {
		if len(w.Doc.Body) > maxItem {
			return fmt.Errorf("%s has %d bytes, and an item at most %d: large values belong into the state bucket", w.Doc.Key, len(w.Doc.Body), maxItem)
		}
	}
	id := uuid.NewString()
	err := s.write(ctx, id, writes)
	if failed := failedWrite(writes, err); failed >= 0 {
		if s.isOurs(ctx, id, writes) {
			return nil
		}
		return fmt.Errorf("%s: %w", writes[failed].Doc.Key, store.ErrConflict)
	}
	return err
}

// write sends one write, or a transaction of several.
func (s *Store) write(ctx context.Context, id string, writes []store.Write) error {
	if len(writes) > 1 {
		return s.transact(ctx, id, writes)
	}
	w := writes[0]
	condition, values := conditionOf(w)
	if w.Delete {
		_, err := s.api.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.table, Key: keyOf(w.Doc.Key), ConditionExpression: &condition, ExpressionAttributeValues: values})
		return err
	}
	_, err := s.api.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: itemOf(w, id), ConditionExpression: &condition, ExpressionAttributeValues: values})
	return err
}

// transact sends a transaction. One that DynamoDB gave up because of another one is sent again:
// that says nothing about its conditions.
func (s *Store) transact(ctx context.Context, id string, writes []store.Write) error {
	items := make([]types.TransactWriteItem, len(writes))
	for i, w := range writes {
		condition, values := conditionOf(w)
		if w.Delete {
			items[i].Delete = &types.Delete{TableName: &s.table, Key: keyOf(w.Doc.Key), ConditionExpression: &condition, ExpressionAttributeValues: values}
		} else {
			items[i].Put = &types.Put{TableName: &s.table, Item: itemOf(w, id), ConditionExpression: &condition, ExpressionAttributeValues: values}
		}
	}
	var err error
	for range conflictRetries {
		_, err = s.api.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
		if !collided(err) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// conditionOf is a write's condition.
func conditionOf(w store.Write) (string, map[string]types.AttributeValue) {
	if w.Was == 0 {
		return "attribute_not_exists(pk)", nil
	}
	return "version = :was", map[string]types.AttributeValue{":was": numberOf(w.Was)}
}

// failedWrite is the index of the write whose condition did not hold; -1 when the error is
// another one, or none.
func failedWrite(writes []store.Write, err error) int {
	var single *types.ConditionalCheckFailedException
	var several *types.TransactionCanceledException
	switch {
	case errors.As(err, &single):
		return 0
	case errors.As(err, &several):
		for i, reason := range several.CancellationReasons {
			if i < len(writes) && aws.ToString(reason.Code) == "ConditionalCheckFailed" {
				return i
			}
		}
	}
	return -1
}

// collided says that a transaction was given up because another one was writing the same items.
func collided(err error) bool {
	var several *types.TransactionCanceledException
	if !errors.As(err, &several) {
		return false
	}
	collision := false
	for _, reason := range several.CancellationReasons {
		switch aws.ToString(reason.Code) {
		case "ConditionalCheckFailed":
			return false
		case "TransactionConflict":
			collision = true
		}
	}
	return collision
}

// isOurs says whether a commit whose condition failed was in fact this one, the first time that
// it was sent. Any item that it put tells.
func (s *Store) isOurs(ctx context.Context, id string, writes []store.Write) bool {
	for _, w := range writes {
		if w.Delete {
			continue
		}
		out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: keyOf(w.Doc.Key), ConsistentRead: aws.Bool(true)})
		if err == nil && textOf(out.Item["commit"]) == id {
			return true
		}
	}
	return false
}

// Close does nothing: the client is its owner's.
func (s *Store) Close() error { return nil }
