package dynamodb_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"modeldispatch/internal/store"
	"modeldispatch/internal/store/dynamodb"
	"modeldispatch/internal/store/dynamodb/dynamodbtest"
)

// newStore returns a store whose client has the SDK's default retries, as in a Lambda function. The caller runs it in a
// synctest bubble, where pauses take no time.
func newStore(f *fake, table string) *dynamodb.Store {
	c := dynamodbtest.Connect(f.server().endpoint, func(o *client.Options) { o.HTTPClient = &http.Client{Transport: f} })
	return dynamodb.New(c, table)
}

type commitErrorTest struct {
	name   string
	writes []store.Write
	script []answer // DynamoDB's answers to the first attempts
	want   string   // "committed", "conflict", or a part of another error
	sent   int      // the number of attempts
}

func commitErrorTests() []commitErrorTest {
	one := []store.Write{store.Create(text("a", "1"))}
	two := []store.Write{store.Create(text("a", "1")), store.Create(text("b", "1"))}
	none, ongoing, failed := newReason("None"), newReason("TransactionConflict"), newReason("ConditionalCheckFailed")
	throttled, overCapacity := newReason("ThrottlingError"), newReason("ProvisionedThroughputExceeded")
	collision := cancelled(none, ongoing)
	const dynamo, coral = "com.amazonaws.dynamodb.v20120810#", "com.amazon.coral."
	otherTransaction := failure(dynamo+"TransactionConflictException", "Transaction is ongoing for the item")
	allThrottled := failure(coral+"availability#ThrottlingException", "Rate of requests exceeds the allowed throughput.")
	inProgress := failure(dynamo+"TransactionInProgressException", "Transaction is in progress")
	internal := answer{http.StatusInternalServerError, failure(dynamo+"InternalServerError", "Internal server error").body}
	denied := failure(coral+"service#AccessDeniedException", "User: alice is not authorized to perform: dynamodb:PutItem")
	return []commitErrorTest{
		{"another transaction writes one of the items", two, []answer{collision, collision}, "committed", 3},
		{"another transaction writes the item of a put", one, []answer{otherTransaction}, "committed", 2},
		{"an item of a transaction is throttled", two, []answer{cancelled(throttled, none)}, "committed", 2},
		{"a transaction exceeds the capacity", two, []answer{cancelled(none, overCapacity)}, "committed", 2},
		{"other transactions at every attempt", two, slices.Repeat([]answer{collision}, 7), "TransactionConflict", 7},
		{"the request is throttled", one, []answer{allThrottled}, "committed", 2},
		{"the transaction is still in progress", two, []answer{inProgress}, "committed", 2},
		{"an internal error of DynamoDB", one, []answer{internal}, "committed", 2},
		{"an internal error at every attempt", one, slices.Repeat([]answer{{500, struct{}{}}}, 3), "500", 3},

		{"a condition fails", two, []answer{cancelled(none, failed)}, "conflict", 1},
		{"a condition fails beside another transaction", two, []answer{cancelled(ongoing, failed)}, "conflict", 1},
		{"an item is too large", two, []answer{cancelled(ongoing, newReason("ValidationError"))}, "ValidationError", 1},
		{"no permission", one, []answer{denied}, "not authorized to perform: dynamodb:PutItem", 1},
	}
}

// TestCommitErrors checks the result of Commit for each error that DynamoDB can return.
func TestCommitErrors(t *testing.T) {
	t.Parallel()
	for _, test := range commitErrorTests() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.script = test.script
				err := newStore(f, tableName).Commit(t.Context(), test.writes...)
				if got := commitResult(err); !strings.Contains(got, test.want) {
					t.Errorf("Commit = %s, want %s", got, test.want)
				}
				if f.writes != test.sent {
					t.Errorf("the commit was sent %d times, want %d", f.writes, test.sent)
				}
				if want := test.want == "committed"; want != (len(f.items) == len(test.writes)) {
					t.Errorf("the table holds %d items of %d, want all: %v", len(f.items), len(test.writes), want)
				}
			})
		})
	}
}

// commitResult returns "committed", "conflict", or the text of another error.
func commitResult(err error) string {
	switch {
	case err == nil:
		return "committed"
	case errors.Is(err, store.ErrConflict):
		return "conflict"
	default:
		return err.Error()
	}
}

// TestCancelledWhileWaiting cancels a commit that pauses after a collision: it must return at once.
func TestCancelledWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		for range 7 {
			f.script = append(f.script, cancelled(newReason("None"), newReason("TransactionConflict")))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		err := newStore(f, tableName).Commit(ctx, store.Create(text("a", "1")), store.Create(text("b", "1")))
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrConflict) {
			t.Errorf("Commit = %v, want context.DeadlineExceeded", err)
		}
		if f.writes != 1 {
			t.Errorf("the commit was sent %d times, want once", f.writes)
		}
	})
}

// TestInvalidCommitsAreNotSent checks that Commit returns an error for a commit that DynamoDB cannot take, and sends
// nothing.
func TestInvalidCommitsAreNotSent(t *testing.T) {
	t.Parallel()
	var many []store.Write
	for i := range store.MaxWrites + 1 {
		many = append(many, store.Create(text(fmt.Sprint(i), "1")))
	}
	large := store.Create(text("spec", strings.Repeat("x", 400_000)))
	tests := map[string]struct {
		writes []store.Write
		want   string
	}{
		"101 writes":              {many, "1 to 100 writes, not 101"},
		"400 KB":                  {[]store.Write{large}, "run/a spec has 400000 bytes"},
		"400 KB in a transaction": {[]store.Write{many[0], large}, "run/a spec has 400000 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake()
			err := newStore(f, tableName).Commit(t.Context(), test.writes...)
			if err == nil || errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Commit = %v, want an error that contains %q", err, test.want)
			}
			if f.writes != 0 {
				t.Error("the commit was sent")
			}
		})
	}
}

func TestErrorsNameMissingTable(t *testing.T) {
	t.Parallel()
	testErrorsNameMissingTable(t, newFake().server())
}

// testErrorsNameMissingTable checks that the error of each call names a missing table.
func testErrorsNameMissingTable(t *testing.T, s server) {
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
