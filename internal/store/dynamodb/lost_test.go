package dynamodb_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/uuid"

	"modeldispatch/internal/store"
	"modeldispatch/internal/store/dynamodb"
	"modeldispatch/internal/store/dynamodb/dynamodbtest"
)

func TestLostAnswers(t *testing.T) {
	t.Parallel()
	testLostAnswers(t, func(*testing.T) server { return newFake().server() })
}

// server is a DynamoDB or an imitation of it that a test runs against.
type server struct {
	endpoint  string
	transport http.RoundTripper
	table     string
	tokenless bool // it ignores the tokens of transactions
}

func (s server) store(transport http.RoundTripper) *dynamodb.Store {
	return dynamodb.New(dynamodbtest.Connect(s.endpoint, func(o *client.Options) {
		o.HTTPClient = &http.Client{Transport: transport}
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = time.Millisecond })
	}), s.table)
}

// lossyTransport sends requests to a server, and loses the first of them, or their answers.
type lossyTransport struct {
	next      http.RoundTripper
	calls     int    // the number of requests to lose
	answers   int    // the number of answers to lose after that
	forgotten bool   // whether the server has forgotten the transaction's token at each repetition
	meanwhile func() // called between the first loss and the next attempt
	attempts  int    // the number of requests so far
}

var token = regexp.MustCompile(`"ClientRequestToken":"[^"]*"`)

func (l *lossyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	l.attempts++
	if l.attempts <= l.calls {
		return nil, l.lose()
	}
	if l.forgotten {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = token.ReplaceAll(body, fmt.Appendf(nil, `"ClientRequestToken":%q`, uuid.NewString()))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	response, err := l.next.RoundTrip(r)
	if err != nil || l.attempts > l.calls+l.answers {
		return response, err
	}
	_ = response.Body.Close()
	return nil, l.lose()
}

func (l *lossyTransport) lose() error {
	if l.meanwhile != nil && l.attempts == 1 {
		l.meanwhile()
	}
	return io.ErrUnexpectedEOF
}

// lostAnswerTest is a commit over a connection that breaks. The table holds two documents before it, old and gone,
// whose bodies are "original". The commit writes the body "ours", other commits write the body "theirs".
type lostAnswerTest struct {
	name      string
	writes    []store.Write
	network   lossyTransport
	before    []store.Write // another caller's commit before this one
	meanwhile []store.Write // another caller's commit after the first loss
	want      string        // "conflict", a part of another error, or "" for success
	byToken   bool          // only the transaction's token shows that the first attempt succeeded
	stored    string        // the bodies of new, old and gone after the commit; "-" for an absent document
}

func lostAnswerTests() []lostAnswerTest {
	const always = 100 // exceeds the number of attempts of the SDK
	create, remove := store.Create(text("new", "ours")), store.Remove(at(text("gone", ""), 1))
	update := store.Update(at(text("old", "ours"), 1))
	one, all := []store.Write{create}, []store.Write{remove, create, update}
	theirCreate := []store.Write{store.Create(text("new", "theirs"))}
	theirUpdate := []store.Write{store.Update(at(text("old", "theirs"), 1))}
	theirNextUpdate := []store.Write{store.Update(at(text("old", "theirs"), 2))}
	noAnswer, noRequest := lossyTransport{answers: 1}, lossyTransport{calls: 1}
	noAnswerNoToken := lossyTransport{answers: 1, forgotten: true}
	return []lostAnswerTest{
		{name: "a create", writes: one, network: noAnswer, stored: "ours original original"},
		{name: "a create, twice", writes: one, network: lossyTransport{answers: 2}, stored: "ours original original"},
		{name: "an update", writes: []store.Write{update}, network: noAnswer, stored: "- ours original"},
		{name: "a removal", writes: []store.Write{remove}, network: noAnswer, byToken: true, stored: "- original -"},
		{name: "a transaction", writes: all, network: noAnswer, stored: "ours ours -"},
		{name: "a transaction with a forgotten token", writes: all, network: noAnswerNoToken, stored: "ours ours -"},
		{name: "a transaction with a forgotten token, of which one document has changed again",
			writes: []store.Write{update, create}, network: noAnswerNoToken, meanwhile: theirNextUpdate, stored: "ours theirs original"},

		{name: "a create that does not arrive", writes: one, network: noRequest, stored: "ours original original"},
		{name: "a transaction that does not arrive", writes: all, network: noRequest, stored: "ours ours -"},
		{name: "a create that arrives after another create",
			writes: one, network: noRequest, meanwhile: theirCreate, want: "conflict", stored: "theirs original original"},
		{name: "a transaction that arrives after another update",
			writes: all, network: noRequest, meanwhile: theirUpdate, want: "conflict", stored: "- theirs original"},

		{name: "a create of an existing document",
			writes: one, network: noAnswer, before: theirCreate, want: "conflict", stored: "theirs original original"},
		{name: "an update of a changed document",
			writes: []store.Write{update}, network: noAnswer, before: theirUpdate, want: "conflict", stored: "- theirs original"},
		{name: "a transaction with a changed document",
			writes: all, network: noAnswer, before: theirUpdate, want: "conflict", stored: "- theirs original"},
		// Commit reports a conflict although it succeeded: DynamoDB keeps no trace of an item that was overwritten.
		{name: "an update before another update",
			writes: []store.Write{update}, network: noAnswer, meanwhile: theirNextUpdate, want: "conflict", stored: "- theirs original"},

		{name: "a create whose answers never arrive",
			writes: one, network: lossyTransport{answers: always}, want: "unexpected EOF", stored: "ours original original"},
		{name: "a create that never arrives",
			writes: one, network: lossyTransport{calls: always}, want: "unexpected EOF", stored: "- original original"},
	}
}

// testLostAnswers commits over connections that break. It checks the result of each commit, and the documents after it.
func testLostAnswers(t *testing.T, open func(*testing.T) server) {
	for _, test := range lostAnswerTests() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv := open(t)
			if srv.tokenless && test.byToken {
				t.Skip("this server ignores the tokens of transactions")
			}
			others := srv.store(srv.transport) // another caller of the same table
			mustCommit(t, others, store.Create(text("old", "original")), store.Create(text("gone", "original")))
			if test.before != nil {
				mustCommit(t, others, test.before...)
			}
			network := test.network
			network.next = srv.transport
			if test.meanwhile != nil {
				network.meanwhile = func() { mustCommit(t, others, test.meanwhile...) }
			}
			err := srv.store(&network).Commit(t.Context(), test.writes...)
			if got := commitResult(err); !strings.Contains(got, cmp.Or(test.want, "committed")) {
				t.Errorf("Commit = %s, want %s", got, cmp.Or(test.want, "committed"))
			}
			if network.attempts < 2 {
				t.Errorf("the commit was sent %d times, want at least 2: this tests nothing", network.attempts)
			}
			if got := fmt.Sprintf("%s %s %s", body(t, others, "new"), body(t, others, "old"), body(t, others, "gone")); got != test.stored {
				t.Errorf("new, old and gone are %s, want %s", got, test.stored)
			}
		})
	}
}

// text returns a document of the partition run/a.
func text(sk, text string) store.Doc {
	return store.Doc{Key: store.Key{PK: "run/a", SK: sk}, Body: json.RawMessage(text)}
}

// at returns d as read at a version.
func at(d store.Doc, version int64) store.Doc {
	d.Version = version
	return d
}

// mustCommit commits writes, which must succeed.
func mustCommit(t *testing.T, s store.Store, writes ...store.Write) {
	t.Helper()
	if err := s.Commit(t.Context(), writes...); err != nil {
		t.Fatal(err)
	}
}

// body returns the body of a document of the partition run/a, or "-" if it does not exist.
func body(t *testing.T, s store.Store, sk string) string {
	t.Helper()
	d, err := s.Get(t.Context(), store.Key{PK: "run/a", SK: sk})
	if errors.Is(err, store.ErrNotFound) {
		return "-"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(d.Body)
}
