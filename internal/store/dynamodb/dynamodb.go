// Package dynamodb keeps documents in one DynamoDB table.
//
// A commit of one put is a PutItem with a condition, any other a TransactWriteItems. The SDK sends
// again what was not answered, so that DynamoDB may have committed when it is asked once more. A
// transaction has a token by which DynamoDB knows it for ten minutes, and says again that it
// succeeded. A put has none, its condition fails the second time: but every item carries the id of
// the commit that wrote it, DynamoDB shows the item that was in the way, and the store recognises
// its own commit and says that it succeeded. If someone else has changed that very item in between,
// the put is reported as a conflict, and whoever made it finds it done when reading again.
package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

	"modeldispatch/internal/store"
)

// API is what is used of the SDK's client.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// maxItem is how large an item may be, in bytes. DynamoDB's own limit counts names too.
const maxItem = 390 << 10

// A commit that ran into another one is tried again after a random pause, which grows from
// firstPause: at most 1.6 s in all.
const (
	collisionRetries = 6
	firstPause       = 25 * time.Millisecond
)

// Store keeps documents in a table.
type Store struct {
	api   API
	table string
}

var _ store.Store = (*Store)(nil)

// New makes a store over a table as Table describes it.
func New(api API, table string) *Store { return &Store{api, table} }

// Get reads one document.
func (s *Store) Get(ctx context.Context, key store.Key) (store.Doc, error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: keyOf(key), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return store.Doc{}, s.failed(fmt.Sprintf("reading %s", key), err)
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
	err := s.writePatiently(ctx, id, writes)
	failed := objections(writes, err)
	switch {
	case err == nil, slices.ContainsFunc(failed, func(o objection) bool { return textOf(o.there["commit"]) == id }):
		return nil
	case len(failed) > 0:
		return fmt.Errorf("committing %s: %w", failed[0].key, store.ErrConflict)
	default:
		return s.failed(fmt.Sprintf("committing %s", writes[0].Doc.Key), err)
	}
}

// writePatiently sends a commit again when DynamoDB gave it up because of others: that says
// nothing about its conditions.
func (s *Store) writePatiently(ctx context.Context, id string, writes []store.Write) error {
	err := s.write(ctx, id, writes)
	for i := range collisionRetries {
		if !collided(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rand.N(firstPause << i)):
			err = s.write(ctx, id, writes)
		}
	}
	return err
}

// write sends one put, or a transaction.
func (s *Store) write(ctx context.Context, id string, writes []store.Write) error {
	if len(writes) > 1 || writes[0].Delete {
		return s.transact(ctx, id, writes)
	}
	condition, values := conditionOf(writes[0])
	_, err := s.api.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.table, Item: itemOf(writes[0], id), ConditionExpression: &condition, ExpressionAttributeValues: values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	return err
}

// transact sends a transaction. Its token is the SDK's: one for the call, however often it is sent.
func (s *Store) transact(ctx context.Context, id string, writes []store.Write) error {
	const show = types.ReturnValuesOnConditionCheckFailureAllOld
	items := make([]types.TransactWriteItem, len(writes))
	for i, w := range writes {
		condition, values := conditionOf(w)
		if w.Delete {
			items[i].Delete = &types.Delete{TableName: &s.table, Key: keyOf(w.Doc.Key), ConditionExpression: &condition, ExpressionAttributeValues: values, ReturnValuesOnConditionCheckFailure: show}
		} else {
			items[i].Put = &types.Put{TableName: &s.table, Item: itemOf(w, id), ConditionExpression: &condition, ExpressionAttributeValues: values, ReturnValuesOnConditionCheckFailure: show}
		}
	}
	_, err := s.api.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
	return err
}

// conditionOf is a write's condition.
func conditionOf(w store.Write) (string, map[string]types.AttributeValue) {
	if w.Was == 0 {
		return "attribute_not_exists(pk)", nil
	}
	return "version = :was", map[string]types.AttributeValue{":was": numberOf(w.Was)}
}

// objection is a write whose condition did not hold, and the item that is there instead, if any.
type objection struct {
	key   store.Key
	there map[string]types.AttributeValue
}

// objections are the writes because of which a commit failed; none when the error is another one.
func objections(writes []store.Write, err error) []objection {
	var single *types.ConditionalCheckFailedException
	if errors.As(err, &single) {
		return []objection{{writes[0].Doc.Key, single.Item}}
	}
	var all []objection
	var several *types.TransactionCanceledException
	if errors.As(err, &several) {
		for i, reason := range several.CancellationReasons { // one for each write, in their order
			if i < len(writes) && aws.ToString(reason.Code) == "ConditionalCheckFailed" {
				all = append(all, objection{writes[i].Doc.Key, reason.Item})
			}
		}
	}
	return all
}

// collided says that a commit was given up because a transaction was writing the same items, or
// because too much was going on. The SDK sends again what is throttled as a whole, but looks at no
// reasons.
func collided(err error) bool {
	var single *types.TransactionConflictException
	if errors.As(err, &single) {
		return true
	}
	var several *types.TransactionCanceledException
	if !errors.As(err, &several) {
		return false
	}
	collision := false
	for _, reason := range several.CancellationReasons {
		switch aws.ToString(reason.Code) {
		case "None":
		case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
			collision = true
		default: // a condition did not hold, or the request is wrong: that stays so
			return false
		}
	}
	return collision
}

// failed says what was tried, and on which table: when that is not there, the account, the region
// or the name is another one than was meant.
func (s *Store) failed(what string, err error) error {
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return fmt.Errorf("%s: there is no table %s with indexes %s and %s in this account and region: %w", what, s.table, dueIndex, listIndex, err)
	}
	return fmt.Errorf("%s in table %s: %w", what, s.table, err)
}

// Close does nothing: the client is its owner's.
func (s *Store) Close() error { return nil }
