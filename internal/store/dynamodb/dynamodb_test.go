package dynamodb_test

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"modeldispatch/internal/store"
	"modeldispatch/internal/store/dynamodb"
	"modeldispatch/internal/store/dynamodb/dynamodbtest"
	"modeldispatch/internal/store/storetest"
)

// TestDynamoDBLocal runs all tests against AWS's DynamoDB Local.
func TestDynamoDBLocal(t *testing.T) {
	t.Parallel()
	endpoint := dynamodbtest.Local(t)
	c := dynamodbtest.Connect(endpoint)
	t.Run("conformance", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T) store.Store { return dynamodb.New(c, dynamodbtest.Table(t, c)) })
	})
	t.Run("conformance, with short answers", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T) store.Store { return dynamodb.New(shortAnswers{c}, dynamodbtest.Table(t, c)) })
	})
	t.Run("lost answers", func(t *testing.T) {
		t.Parallel()
		testLostAnswers(t, func(t *testing.T) server {
			return server{endpoint: endpoint, transport: http.DefaultTransport, table: dynamodbtest.Table(t, c)}
		})
	})
	t.Run("no table", func(t *testing.T) {
		t.Parallel()
		testErrorsNameMissingTable(t, server{endpoint: endpoint, transport: http.DefaultTransport})
	})
}

// TestMoto runs the tests against moto, a second implementation of DynamoDB. Moto differs from AWS in two ways:
//
//   - A transaction that fails restores the whole table, and so undoes concurrent writes. Therefore the conformance
//     suite sends one request at a time.
//   - It ignores ClientRequestToken. DynamoDB answers a repeated transaction with success; moto carries it out again,
//     and finds nothing to remove. Therefore the test of a removal whose answer is lost is skipped.
func TestMoto(t *testing.T) {
	t.Parallel()
	endpoint := dynamodbtest.Moto(t)
	c := dynamodbtest.Connect(endpoint, func(o *client.Options) { o.HTTPClient = &http.Client{Transport: &serialTransport{}} })
	t.Run("conformance", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T) store.Store { return dynamodb.New(c, dynamodbtest.Table(t, c)) })
	})
	t.Run("lost answers", func(t *testing.T) {
		t.Parallel()
		testLostAnswers(t, func(t *testing.T) server {
			return server{endpoint: endpoint, transport: http.DefaultTransport, table: dynamodbtest.Table(t, c), tokenless: true}
		})
	})
	t.Run("no table", func(t *testing.T) {
		t.Parallel()
		testErrorsNameMissingTable(t, server{endpoint: endpoint, transport: http.DefaultTransport})
	})
}

// serialTransport sends one request at a time.
type serialTransport struct{ mu sync.Mutex }

func (s *serialTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return http.DefaultTransport.RoundTrip(r)
}

// shortAnswers is a client that answers with at most 7 items. DynamoDB ends an answer at 1 MB for a Query and at 16 MB
// for a BatchGetItem.
type shortAnswers struct{ *client.Client }

func (s shortAnswers) Query(
	ctx context.Context, in *client.QueryInput, options ...func(*client.Options),
) (*client.QueryOutput, error) {
	short := *in
	short.Limit = aws.Int32(min(cmp.Or(aws.ToInt32(in.Limit), 7), 7))
	return s.Client.Query(ctx, &short, options...)
}

func (s shortAnswers) BatchGetItem(
	ctx context.Context, in *client.BatchGetItemInput, options ...func(*client.Options),
) (*client.BatchGetItemOutput, error) {
	now, later := maps.Clone(in.RequestItems), map[string]types.KeysAndAttributes{}
	for name, wanted := range in.RequestItems {
		few := wanted
		few.Keys = wanted.Keys[:min(len(wanted.Keys), 7)]
		now[name] = few
		if wanted.Keys = wanted.Keys[len(few.Keys):]; len(wanted.Keys) > 0 {
			later[name] = wanted
		}
	}
	out, err := s.Client.BatchGetItem(ctx, &client.BatchGetItemInput{RequestItems: now}, options...)
	if err == nil {
		out.UnprocessedKeys = later
	}
	return out, err
}
