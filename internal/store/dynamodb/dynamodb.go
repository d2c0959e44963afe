// Package dynamodb implements store.Store in one DynamoDB table. The Lambda functions use it, and so do the commands of
// the CLI for a deployment in an AWS account.
//
// Terms:
//
//   - An item is the form of a document in the table. itemOf and document convert between the two.
//   - A commit id is a UUID that every item carries. It names the commit that wrote the item.
//   - A collision means that DynamoDB gave up a commit because another transaction was writing the same items, or
//     because of throttling. It says nothing about the conditions of the commit.
//   - The indexes due, list and model are the table's global secondary indexes. They are sparse: an item is in an index
//     only if it has the keys of the index. They lag behind the table, and so do Due and List.
//
// New returns a store over a table. Table describes the table that the store needs; template.yaml describes the same
// table, and a test in package stack compares the two.
//
// A commit of a single put is a PutItem with a condition. Any other commit is a TransactWriteItems. On a collision,
// Commit sends it again after a random pause.
//
// The SDK repeats a request when no answer arrives, although DynamoDB may have carried out the first one. Commit must
// not report a conflict with itself then:
//
//   - The SDK gives each transaction a token. For ten minutes, DynamoDB answers a repeated token with success and does
//     nothing:
//     https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
//   - A PutItem has no token, and after ten minutes DynamoDB has forgotten that of a transaction. Then the condition of
//     the repeated request fails, and DynamoDB returns the item that is stored. Commit returns success if this item
//     carries the id of the same commit.
//   - If another commit has overwritten the item meanwhile, Commit returns store.ErrConflict, although its write
//     happened before. The caller finds this out when it reads the document again.
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

// API holds the methods of the SDK's client that the store calls.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	TransactWriteItems(
		context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options),
	) (*dynamodb.TransactWriteItemsOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// maxBody is the maximum size of a document's body in bytes. It is below DynamoDB's limit of 400 KB for an item,
// which includes the names and values of all attributes.
const maxBody = 390 << 10

// Commit repeats a commit after a collision, each time after a random pause. The longest possible pause starts at
// firstPause and doubles with each attempt: all pauses together take at most 1.6 s.
const (
	collisionRetries = 6
	firstPause       = 25 * time.Millisecond
)

// Store holds documents in a table. It is safe for concurrent use.
type Store struct {
	api   API
	table string
}

var _ store.Store = (*Store)(nil)

// New returns a store over an existing table. Table describes the keys and indexes that the table must have.
func New(api API, table string) *Store { return &Store{api, table} }

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key store.Key) (store.Doc, error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: keyOf(key), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return store.Doc{}, s.wrap(fmt.Sprintf("reading %s", key), err)
	}
	if len(out.Item) == 0 {
		return store.Doc{}, fmt.Errorf("%s: %w", key, store.ErrNotFound)
	}
	return document(out.Item)
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, writes ...store.Write) error {
	if err := store.Check(writes); err != nil {
		return err
	}
	for _, w := range writes {
		if len(w.Doc.Body) > maxBody {
			return fmt.Errorf("%s has %d bytes; a document can have at most %d: keep large values in the state bucket",
				w.Doc.Key, len(w.Doc.Body), maxBody)
		}
	}
	id := uuid.NewString()
	err := s.writeWithRetries(ctx, id, writes)
	failed := failedConditions(writes, err)
	switch {
	case err == nil, slices.ContainsFunc(failed, func(f failedCondition) bool { return textOf(f.stored["commit"]) == id }):
		return nil
	case len(failed) > 0:
		return fmt.Errorf("committing %s: %w", failed[0].key, store.ErrConflict)
	default:
		return s.wrap(fmt.Sprintf("committing %s", writes[0].Doc.Key), err)
	}
}

// writeWithRetries sends a commit, and sends it again after each collision.
func (s *Store) writeWithRetries(ctx context.Context, id string, writes []store.Write) error {
	err := s.write(ctx, id, writes)
	for i := range collisionRetries {
		if !isCollision(err) {
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

// write sends a single put as a PutItem, and any other commit as a transaction.
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

// transact sends a transaction. The SDK gives it a token, and repeats the token when it repeats the request.
func (s *Store) transact(ctx context.Context, id string, writes []store.Write) error {
	const returnStored = types.ReturnValuesOnConditionCheckFailureAllOld
	items := make([]types.TransactWriteItem, len(writes))
	for i, w := range writes {
		condition, values := conditionOf(w)
		if w.Delete {
			items[i].Delete = &types.Delete{
				TableName: &s.table, Key: keyOf(w.Doc.Key), ConditionExpression: &condition,
				ExpressionAttributeValues: values, ReturnValuesOnConditionCheckFailure: returnStored,
			}
		} else {
			items[i].Put = &types.Put{
				TableName: &s.table, Item: itemOf(w, id), ConditionExpression: &condition,
				ExpressionAttributeValues: values, ReturnValuesOnConditionCheckFailure: returnStored,
			}
		}
	}
	_, err := s.api.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
	return err
}

// conditionOf returns the condition expression of a write, and its values.
func conditionOf(w store.Write) (string, map[string]types.AttributeValue) {
	if w.IfVersion == 0 {
		return "attribute_not_exists(pk)", nil
	}
	return "version = :was", map[string]types.AttributeValue{":was": numberOf(w.IfVersion)}
}

// failedCondition is a write whose condition did not hold.
type failedCondition struct {
	key    store.Key
	stored map[string]types.AttributeValue // the item in the table; nil if there is none
}

// failedConditions returns the writes whose conditions did not hold. It returns none if err has another cause.
func failedConditions(writes []store.Write, err error) []failedCondition {
	var single *types.ConditionalCheckFailedException
	if errors.As(err, &single) {
		return []failedCondition{{writes[0].Doc.Key, single.Item}}
	}
	var all []failedCondition
	var several *types.TransactionCanceledException
	if errors.As(err, &several) {
		for i, reason := range several.CancellationReasons { // one for each write, in the same order
			if i < len(writes) && aws.ToString(reason.Code) == "ConditionalCheckFailed" {
				all = append(all, failedCondition{writes[i].Doc.Key, reason.Item})
			}
		}
	}
	return all
}

// isCollision reports whether DynamoDB gave up a commit because another transaction was writing the same items, or
// because of throttling. The SDK repeats a request that is throttled as a whole. It does not read the reasons for which
// a transaction was cancelled, so this function does.
func isCollision(err error) bool {
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
		default: // a condition did not hold, or the request is invalid: another attempt would fail too
			return false
		}
	}
	return collision
}

// wrap adds the operation and the table to an error. If the table does not exist, the error says where DynamoDB looked
// for it, since the account, the region or the name is probably wrong.
func (s *Store) wrap(what string, err error) error {
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return fmt.Errorf("%s: there is no table %s with indexes %s, %s and %s in this account and region: %w",
			what, s.table, dueIndex, listIndex, modelIndex, err)
	}
	return fmt.Errorf("%s in table %s: %w", what, s.table, err)
}

// Close does nothing: the caller of New owns the client.
func (s *Store) Close() error { return nil }
