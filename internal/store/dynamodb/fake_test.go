package dynamodb_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
)

// item is an item or a key in DynamoDB's JSON form: {"version": {"N": "1"}}.
type item map[string]map[string]any

// write is a PutItem or one write of a TransactWriteItems. It also serves for the fields of the other requests.
type write struct {
	TableName                           string
	Item, Key                           item
	ConditionExpression                 string
	ExpressionAttributeValues           item
	ReturnValuesOnConditionCheckFailure string
}

// fake imitates one table of DynamoDB. It implements GetItem, PutItem and TransactWriteItems with the two conditions of
// the store and the tokens of transactions. Its answers are copied from DynamoDB Local: testLostAnswers and
// testErrorsNameMissingTable run against both.
type fake struct {
	mu     sync.Mutex
	items  map[string]item
	tokens map[string]bool
	script []answer // the answers to the next write requests, which then change nothing
	writes int      // the number of write requests received
}

type answer struct {
	status int
	body   any
}

const tableName = "modeldispatch-store"

func newFake() *fake { return &fake{items: map[string]item{}, tokens: map[string]bool{}} }

// server returns the fake as a server that clients reach without a network. So it works in a bubble of
// testing/synctest, where pauses between attempts take no time.
func (f *fake) server() server {
	return server{endpoint: "http://dynamodb.test", transport: f, table: tableName}
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	request, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	a := f.answer(strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_20120810."), request)
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a.body) // writing to a recorder cannot fail
	return w.Result(), nil
}

func (f *fake) answer(operation string, request []byte) answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	if operation == "PutItem" || operation == "TransactWriteItems" {
		f.writes++
		if len(f.script) > 0 {
			next := f.script[0]
			f.script = f.script[1:]
			return next
		}
	}
	var single write
	var several struct {
		ClientRequestToken string
		TransactItems      []struct{ Put, Delete *write }
	}
	if err := json.Unmarshal(request, &single); err != nil {
		return failure("com.amazon.coral.service#SerializationException", err.Error())
	}
	if err := json.Unmarshal(request, &several); err != nil {
		return failure("com.amazon.coral.service#SerializationException", err.Error())
	}
	switch operation {
	case "GetItem":
		return f.get(single)
	case "Query":
		if single.TableName != tableName {
			return missing()
		}
	case "PutItem":
		return f.put(single)
	case "TransactWriteItems":
		var writes []write
		for _, i := range several.TransactItems {
			if i.Put != nil {
				writes = append(writes, *i.Put)
			} else {
				writes = append(writes, *i.Delete)
			}
		}
		return f.transact(several.ClientRequestToken, writes)
	}
	return failure("com.amazon.coral.service#UnknownOperationException", "")
}

func (f *fake) get(w write) answer {
	if w.TableName != tableName {
		return missing()
	}
	if stored, ok := f.items[name(w.Key)]; ok {
		return answer{http.StatusOK, map[string]any{"Item": stored}}
	}
	return answer{http.StatusOK, map[string]any{}}
}

func (f *fake) put(w write) answer {
	if w.TableName != tableName {
		return missing()
	}
	if reason := f.check(w); reason["Code"] != "None" {
		a := failure("com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "The conditional request failed")
		if stored, ok := reason["Item"]; ok {
			a.body.(map[string]any)["Item"] = stored
		}
		return a
	}
	f.items[name(w.Item)] = w.Item
	return answer{http.StatusOK, map[string]any{}}
}

func (f *fake) transact(token string, writes []write) answer {
	if f.tokens[token] {
		return answer{http.StatusOK, map[string]any{}}
	}
	var reasons []map[string]any
	failed := false
	for _, w := range writes {
		if w.TableName != tableName {
			return missing()
		}
		reason := f.check(w)
		failed = failed || reason["Code"] != "None"
		reasons = append(reasons, reason)
	}
	if failed {
		return cancelled(reasons...)
	}
	for _, w := range writes {
		if w.Item != nil {
			f.items[name(w.Item)] = w.Item
		} else {
			delete(f.items, name(w.Key))
		}
	}
	f.tokens[token] = true
	return answer{http.StatusOK, map[string]any{}}
}

// check returns the cancellation reason of a write; its Code is None if the write's condition holds.
func (f *fake) check(w write) map[string]any {
	key := w.Key
	if key == nil {
		key = w.Item
	}
	stored, found := f.items[name(key)]
	holds := !found
	if w.ConditionExpression == "version = :was" {
		holds = found && reflect.DeepEqual(stored["version"], w.ExpressionAttributeValues[":was"])
	}
	if holds {
		return newReason("None")
	}
	reason := newReason("ConditionalCheckFailed")
	if found && w.ReturnValuesOnConditionCheckFailure == "ALL_OLD" {
		reason["Item"] = maps.Clone(stored)
	}
	return reason
}

func name(key item) string { return fmt.Sprintf("%q %q", key["pk"]["S"], key["sk"]["S"]) }

// newReason returns a cancellation reason of a transaction.
func newReason(code string) map[string]any {
	reason := map[string]any{"Code": code}
	switch code {
	case "ConditionalCheckFailed":
		reason["Message"] = "The conditional request failed"
	case "TransactionConflict":
		reason["Message"] = "Transaction is ongoing for the item"
	case "ThrottlingError":
		reason["Message"] = "Throughput exceeds the current capacity for one or more global secondary indexes. " +
			"DynamoDB is automatically scaling your index so please try again shortly."
	case "ProvisionedThroughputExceeded":
		reason["Message"] = "The level of configured provisioned throughput for the table was exceeded. " +
			"Consider increasing your provisioning level with the UpdateTable API."
	case "ValidationError":
		reason["Message"] = "Item size has exceeded the maximum allowed size"
	}
	return reason
}

func cancelled(reasons ...map[string]any) answer {
	codes := make([]string, len(reasons))
	for i, reason := range reasons {
		codes[i] = reason["Code"].(string)
	}
	a := failure("com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
		fmt.Sprintf("Transaction cancelled, please refer cancellation reasons for specific reasons [%s]", strings.Join(codes, ", ")))
	a.body.(map[string]any)["CancellationReasons"] = reasons
	return a
}

func missing() answer {
	return failure("com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "Requested resource not found")
}

// failure returns an error answer. The text is in Message or in message, as in DynamoDB Local; clients read both.
func failure(kind, message string) answer {
	member := "message"
	if strings.HasPrefix(kind, "com.amazonaws.dynamodb") {
		member = "Message"
	}
	return answer{http.StatusBadRequest, map[string]any{"__type": kind, member: message}}
}
