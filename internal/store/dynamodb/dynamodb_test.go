package dynamodb_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"modeldispatch/internal/store"
	"modeldispatch/internal/store/dynamodb"
	"modeldispatch/internal/store/storetest"
)

func TestDynamoDBLocal(t *testing.T) {
	t.Parallel()
	storetest.Run(t, inTablesOf(connect(dynamoDBLocal(t))))
}

func TestMoto(t *testing.T) {
	t.Parallel()
	storetest.Run(t, inTablesOf(connect(moto(t))))
}

// inTablesOf opens stores, each in a table of its own.
func inTablesOf(c *client.Client) func(*testing.T) store.Store {
	var tables atomic.Int32
	return func(t *testing.T) store.Store {
		name := fmt.Sprintf("store-%d", tables.Add(1))
		if _, err := c.CreateTable(t.Context(), dynamodb.Table(name)); err != nil {
			t.Fatal(err)
		}
		return dynamodb.New(c, name)
	}
}
