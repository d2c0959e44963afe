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

// TestDynamoDBLocal runs everything against AWS's own DynamoDB Local.
func TestDynamoDBLocal(t *testing.T) {
	t.Parallel()
	endpoint := dynamodbtest.Local(t)
	c := dynamodbtest.Connect(endpoint)
	t.Run("conformance", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T) store.Store { return dynamodb.New(c, dynamodbtest.Table(t, c)) })
	})
	t.Run("conformance, with small answers", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T) store.Store { return dynamodb.New(sparing{c}, dynamodbtest.Table(t, c)) })
	})
	t.Run("lost answers", func(t *testing.T) {
		t.Parallel()
		lostAnswers(t, func(t *testing.T) server {
			return server{endpoint: endpoint, transport: http.DefaultTransport, table: dynamodbtest.Table(t, c)}
		})
	})
	t.Run("no table", func(t *testing.T) {
		t.Parallel()
		noTable(t, server{endpoint: endpoint, transport: http.DefaultTransport})
	})
}

// TestMoto is a second opinion, as far as moto follows AWS. It is asked one thing at a time: a
// transaction that fails puts the whole table back as it was, and what others wrote meanwhile is
// gone. And of all tests it leaves out one, that of a removal whose answer was lost: DynamoDB
// answers a transaction that comes again with the same ClientRequestToken as it did the first time,
// moto carries it out again, and finds nothing to remove.
func TestMoto(t *testing.T) {
	t.Parallel()
	endpoint := dynamodbtest.Moto(t)
	c := dynamodbtest.Connect(endpoint, func(o *client.Options) { o.HTTPClient = &http.Client{Transport: &inTurn{}} })
	t.Run("conformance", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T) store.Store { return dynamodb.New(c, dynamodbtest.Table(t, c)) })
	})
	t.Run("lost answers", func(t *testing.T) {
		t.Parallel()
		lostAnswers(t, func(t *testing.T) server {
			return server{endpoint: endpoint, transport: http.DefaultTransport, table: dynamodbtest.Table(t, c), tokenless: true}
		})
	})
	t.Run("no table", func(t *testing.T) {
		t.Parallel()
		noTable(t, server{endpoint: endpoint, transport: http.DefaultTransport})
	})
}

// inTurn carries one call at a time.
type inTurn struct{ mu sync.Mutex }

func (i *inTurn) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return http.DefaultTransport.RoundTrip(r)
}

// sparing is a client whose answers are cut short, as DynamoDB's are when they become large: at
// 1 MB for a query, 16 MB for a batch.
type sparing struct{ *client.Client }

func (s sparing) Query(ctx context.Context, in *client.QueryInput, options ...func(*client.Options)) (*client.QueryOutput, error) {
	short := *in
	short.Limit = aws.Int32(min(cmp.Or(aws.ToInt32(in.Limit), 7), 7))
	return s.Client.Query(ctx, &short, options...)
}

func (s sparing) BatchGetItem(ctx context.Context, in *client.BatchGetItemInput, options ...func(*client.Options)) (*client.BatchGetItemOutput, error) {
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
