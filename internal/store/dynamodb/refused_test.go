package dynamodb_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"modeldispatch/internal/store"
	"modeldispatch/internal/store/dynamodb"
	"modeldispatch/internal/store/dynamodb/dynamodbtest"
)

// stock is a store with the SDK's own retries, as a function has it. Its pauses are those of a
// synctest bubble.
func stock(f *fake, table string) *dynamodb.Store {
	return dynamodb.New(dynamodbtest.Connect(f.server().endpoint, func(o *client.Options) { o.HTTPClient = &http.Client{Transport: f} }), table)
}

// TestRefusals: what DynamoDB says of a commit, and what the store makes of it.
func TestRefusals(t *testing.T) {
	t.Parallel()
	one, two := []store.Write{store.Create(text("a", "1"))}, []store.Write{store.Create(text("a", "1")), store.Create(text("b", "1"))}
	collision := cancelled(because("None"), because("TransactionConflict"))
	const ddb = "com.amazonaws.dynamodb.v20120810#"
	tests := []struct {
		name   string
		writes []store.Write
		script []answer
		want   string // "committed", "conflict", or a part of another error
		sent   int
	}{
		{"another transaction on one of the items", two, []answer{collision, collision}, "committed", 3},
		{"another transaction on the item of a put", one, []answer{failure(ddb+"TransactionConflictException", "Transaction is ongoing for the item")}, "committed", 2},
		{"a throttled item of a transaction", two, []answer{cancelled(because("ThrottlingError"), because("None"))}, "committed", 2},
		{"a transaction over the capacity", two, []answer{cancelled(because("None"), because("ProvisionedThroughputExceeded"))}, "committed", 2},
		{"other transactions on and on", two, []answer{collision, collision, collision, collision, collision, collision, collision}, "TransactionConflict", 7},
		{"throttled as a whole", one, []answer{failure("com.amazon.coral.availability#ThrottlingException", "Rate of requests exceeds the allowed throughput.")}, "committed", 2},
		{"still in progress", two, []answer{failure(ddb+"TransactionInProgressException", "Transaction is in progress")}, "committed", 2},
		{"DynamoDB's own failure", one, []answer{{http.StatusInternalServerError, failure(ddb+"InternalServerError", "Internal server error").body}}, "committed", 2},
		{"DynamoDB's own failure, on and on", one, []answer{{500, struct{}{}}, {500, struct{}{}}, {500, struct{}{}}}, "500", 3},

		{"a condition", two, []answer{cancelled(because("None"), because("ConditionalCheckFailed"))}, "conflict", 1},
		{"a condition, and another transaction", two, []answer{cancelled(because("TransactionConflict"), because("ConditionalCheckFailed"))}, "conflict", 1},
		{"an item that is too large", two, []answer{cancelled(because("TransactionConflict"), because("ValidationError"))}, "ValidationError", 1},
		{"no permission", one, []answer{failure("com.amazon.coral.service#AccessDeniedException", "User: somebody is not authorized to perform: dynamodb:PutItem")}, "not authorized to perform: dynamodb:PutItem", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.script = test.script
				err := stock(f, tableName).Commit(t.Context(), test.writes...)
				if got := verdict(err); !strings.Contains(got, test.want) {
					t.Errorf("Commit = %s, want %s", got, test.want)
				}
				if f.writes != test.sent {
					t.Errorf("the commit was sent %d times, want %d", f.writes, test.sent)
				}
				if want := test.want == "committed"; want != (len(f.items) == len(test.writes)) {
					t.Errorf("%d items are there, and the commit was to succeed: %v", len(f.items), want)
				}
			})
		})
	}
}

func verdict(err error) string {
	switch {
	case err == nil:
		return "committed"
	case errors.Is(err, store.ErrConflict):
		return "conflict"
	default:
		return err.Error()
	}
}

// A call that is cancelled while it waits for other transactions does not wait on.
func TestCancelledWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		for range 7 {
			f.script = append(f.script, cancelled(because("None"), because("TransactionConflict")))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		err := stock(f, tableName).Commit(ctx, store.Create(text("a", "1")), store.Create(text("b", "1")))
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrConflict) {
			t.Errorf("Commit = %v, want context.DeadlineExceeded", err)
		}
		if f.writes != 1 {
			t.Errorf("the commit was sent %d times, want once", f.writes)
		}
	})
}

// What cannot be a commit is not sent.
func TestNotSent(t *testing.T) {
	t.Parallel()
	var many []store.Write
	for i := range store.MaxWrites + 1 {
		many = append(many, store.Create(text(fmt.Sprint(i), "1")))
	}
	tests := map[string]struct {
		writes []store.Write
		want   string
	}{
		"101 writes":              {many, "1 to 100 writes, not 101"},
		"400 KB":                  {[]store.Write{store.Create(text("spec", strings.Repeat("x", 400_000)))}, "run/a spec has 400000 bytes"},
		"400 KB in a transaction": {[]store.Write{many[0], store.Create(text("spec", strings.Repeat("x", 400_000)))}, "run/a spec has 400000 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake()
			err := stock(f, tableName).Commit(t.Context(), test.writes...)
			if err == nil || errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Commit = %v, want an error that says %q", err, test.want)
			}
			if f.writes != 0 {
				t.Errorf("the commit was sent")
			}
		})
	}
}

func TestNoTable(t *testing.T) {
	t.Parallel()
	noTable(t, newFake().server())
}

// noTable checks that each call names the table that is not there.
func noTable(t *testing.T, s server) {
	s.table = "elsewhere-store"
	elsewhere := s.store(s.transport)
	key := store.Key{PK: "run/a", SK: "run"}
	calls := map[string]func() error{
		"Get":       func() error { _, err := elsewhere.Get(t.Context(), key); return err },
		"Partition": func() error { _, err := elsewhere.Partition(t.Context(), "run/a", "", 0); return err },
		"Commit":    func() error { return elsewhere.Commit(t.Context(), store.Create(text("a", "1"))) },
		"Commit of two": func() error {
			return elsewhere.Commit(t.Context(), store.Create(text("a", "1")), store.Create(text("b", "1")))
		},
		"Due":  func() error { _, err := elsewhere.Due(t.Context(), 0, time.UnixMilli(0), 1); return err },
		"List": func() error { _, _, err := elsewhere.List(t.Context(), store.Query{Kind: "run"}); return err },
	}
	for name, call := range calls {
		err := call()
		if err == nil || !strings.Contains(err.Error(), "there is no table elsewhere-store") || errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s = %v, want an error that names the table elsewhere-store", name, err)
		}
	}
}
