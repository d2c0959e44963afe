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
	lostAnswers(t, func(*testing.T) server { return newFake().server() })
}

// server is where a store's calls go.
type server struct {
	endpoint  string
	transport http.RoundTripper
	table     string
	tokenless bool // it does not know transactions by their tokens
}

func (s server) store(transport http.RoundTripper) *dynamodb.Store {
	return dynamodb.New(dynamodbtest.Connect(s.endpoint, func(o *client.Options) {
		o.HTTPClient = &http.Client{Transport: transport}
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = time.Millisecond })
	}), s.table)
}

// lossy carries calls to a server. Of writes it loses the first ones, or their answers.
type lossy struct {
	next      http.RoundTripper
	calls     int    // that are lost on their way
	answers   int    // that are lost on their way back
	forgotten bool   // the server does not know a transaction by its token any more
	meanwhile func() // happens between the first loss and the next attempt
	attempts  int
}

var token = regexp.MustCompile(`"ClientRequestToken":"[^"]*"`)

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
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

func (l *lossy) lose() error {
	if l.meanwhile != nil && l.attempts == 1 {
		l.meanwhile()
	}
	return io.ErrUnexpectedEOF
}

// lostAnswers commits over connections that break, and looks at what the store says, and at what
// is there. Two documents are there from the start, old and gone.
func lostAnswers(t *testing.T, open func(*testing.T) server) {
	create, update, remove := store.Create(text("new", "ours")), store.Update(at(text("old", "ours"), 1)), store.Remove(at(text("gone", ""), 1))
	taken, changed := store.Create(text("new", "theirs")), store.Update(at(text("old", "theirs"), 1))
	changedAgain := store.Update(at(text("old", "theirs"), 2))
	const atAll = 100 // more often than the SDK tries

	tests := []struct {
		name      string
		writes    []store.Write
		line      lossy
		before    []store.Write // someone else's commit before this one
		meanwhile []store.Write // someone else's commit after the first loss
		want      string        // "conflict", or a part of another error, or "" for none
		byToken   bool          // only the token shows that it was done
		there     string        // the bodies of new, old and gone
	}{
		{name: "a create", writes: []store.Write{create}, line: lossy{answers: 1}, there: "ours original original"},
		{name: "a create, twice", writes: []store.Write{create}, line: lossy{answers: 2}, there: "ours original original"},
		{name: "an update", writes: []store.Write{update}, line: lossy{answers: 1}, there: "- ours original"},
		{name: "a removal", writes: []store.Write{remove}, line: lossy{answers: 1}, byToken: true, there: "- original -"},
		{name: "a transaction", writes: []store.Write{remove, create, update}, line: lossy{answers: 1}, there: "ours ours -"},
		{name: "a transaction whose token is forgotten", writes: []store.Write{remove, create, update}, line: lossy{answers: 1, forgotten: true}, there: "ours ours -"},
		{name: "a transaction whose token is forgotten, and of which someone changed one document", writes: []store.Write{update, create},
			line: lossy{answers: 1, forgotten: true}, meanwhile: []store.Write{changedAgain}, there: "ours theirs original"},

		{name: "a create that did not arrive", writes: []store.Write{create}, line: lossy{calls: 1}, there: "ours original original"},
		{name: "a transaction that did not arrive", writes: []store.Write{remove, create, update}, line: lossy{calls: 1}, there: "ours ours -"},
		{name: "a create that did not arrive before someone else's", writes: []store.Write{create}, line: lossy{calls: 1}, meanwhile: []store.Write{taken}, want: "conflict", there: "theirs original original"},
		{name: "a transaction that did not arrive before someone else's", writes: []store.Write{remove, create, update}, line: lossy{calls: 1}, meanwhile: []store.Write{changed}, want: "conflict", there: "- theirs original"},

		{name: "a create after someone else's", writes: []store.Write{create}, line: lossy{answers: 1}, before: []store.Write{taken}, want: "conflict", there: "theirs original original"},
		{name: "an update after someone else's", writes: []store.Write{update}, line: lossy{answers: 1}, before: []store.Write{changed}, want: "conflict", there: "- theirs original"},
		{name: "a transaction after someone else's", writes: []store.Write{remove, create, update}, line: lossy{answers: 1}, before: []store.Write{changed}, want: "conflict", there: "- theirs original"},
		// The one that the store cannot know: DynamoDB has no memory of a put that was overwritten.
		{name: "an update that someone else's followed", writes: []store.Write{update}, line: lossy{answers: 1}, meanwhile: []store.Write{changedAgain}, want: "conflict", there: "- theirs original"},

		{name: "a create, every time", writes: []store.Write{create}, line: lossy{answers: atAll}, want: "unexpected EOF", there: "ours original original"},
		{name: "a create that never arrives", writes: []store.Write{create}, line: lossy{calls: atAll}, want: "unexpected EOF", there: "- original original"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv := open(t)
			if srv.tokenless && test.byToken {
				t.Skip("this server knows no tokens of transactions")
			}
			others := srv.store(srv.transport)
			must(t, others, store.Create(text("old", "original")), store.Create(text("gone", "original")))
			if test.before != nil {
				must(t, others, test.before...)
			}
			line := test.line
			line.next = srv.transport
			if test.meanwhile != nil {
				line.meanwhile = func() { must(t, others, test.meanwhile...) }
			}
			err := srv.store(&line).Commit(t.Context(), test.writes...)
			if got := verdict(err); !strings.Contains(got, cmp.Or(test.want, "committed")) {
				t.Errorf("Commit = %s, want %s", got, cmp.Or(test.want, "committed"))
			}
			if line.attempts < 2 {
				t.Errorf("the write was sent once only: nothing was tested")
			}
			if got := fmt.Sprintf("%s %s %s", body(t, others, "new"), body(t, others, "old"), body(t, others, "gone")); got != test.there {
				t.Errorf("new, old and gone are %s, want %s", got, test.there)
			}
		})
	}
}

func text(sk, text string) store.Doc {
	return store.Doc{Key: store.Key{PK: "run/a", SK: sk}, Body: json.RawMessage(text)}
}

func at(d store.Doc, version int64) store.Doc {
	d.Version = version
	return d
}

func must(t *testing.T, s store.Store, writes ...store.Write) {
	t.Helper()
	if err := s.Commit(t.Context(), writes...); err != nil {
		t.Fatal(err)
	}
}

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
