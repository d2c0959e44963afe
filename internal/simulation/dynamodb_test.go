package simulation

import (
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"modeldispatch/internal/run"
	"modeldispatch/internal/store/dynamodb"
	"modeldispatch/internal/store/dynamodb/dynamodbtest"
)

// lossy carries the calls of a world's actors to DynamoDB, and loses answers: others go on before the SDK sends the
// call again.
type lossy struct{ *world }

func (l lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	a := l.actor
	if a.crashed {
		return nil, errCrashed
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || !l.chance(l.faults.lost) {
		return response, err
	}
	_ = response.Body.Close()
	l.unanswered++
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_20120810.")
	l.trace("%s does not get the answer of %s", a.name, operation)
	if err := a.pause("the lost answer of " + operation); err != nil {
		return nil, err
	}
	return nil, io.ErrUnexpectedEOF
}

// onDynamoDB makes a world whose store is a table of its own. No clock but the world's matters: between two attempts the
// SDK hardly pauses, and the table has no TTL, by which DynamoDB would delete what has long expired by its own clock.
func onDynamoDB(t *testing.T, endpoint string, seed uint64, broken variant) *world {
	w := newWorld(t, seed, faults{}, broken)
	plain := dynamodbtest.Connect(endpoint)
	table := dynamodbtest.Table(t, plain)
	w.store = dynamodb.New(plain, table)
	w.reached = dynamodb.New(dynamodbtest.Connect(endpoint, func(o *client.Options) {
		o.HTTPClient = &http.Client{Transport: lossy{w}}
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = time.Millisecond })
	}), table)
	return w
}

// TestSimulationOnDynamoDB has worlds live on AWS's own DynamoDB Local. As long as no answer is lost they live as they do
// in memory. One of them with its story:
//
//	go test ./internal/simulation -run 'SimulationOnDynamoDB//seed_7$' -v
func TestSimulationOnDynamoDB(t *testing.T) {
	t.Parallel()
	endpoint := dynamodbtest.Local(t)
	seeds := func(name string, n uint64, test func(*testing.T, uint64)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for number := uint64(1); number <= n; number++ {
				t.Run(fmt.Sprint("seed ", number), func(t *testing.T) {
					t.Parallel()
					test(t, number)
				})
			}
		})
	}
	seeds("as in memory", 8, func(t *testing.T, number uint64) { // each theme once
		w := onDynamoDB(t, endpoint, number, variant{})
		w.survive(t)
		want, _ := simulate(t, number, variant{})
		if got, want := w.lived(), want.lived(); !reflect.DeepEqual(got, want) {
			t.Errorf("on DynamoDB it came to\n%+v, in memory to\n%+v", got, want)
		}
	})
	seeds("with lost answers", 16, func(t *testing.T, number uint64) {
		w := onDynamoDB(t, endpoint, number, variant{harsh: func(f *faults) { f.lost = 0.2 }})
		w.survive(t)
		if w.unanswered == 0 {
			t.Error("no answer was lost: nothing was tested")
		}
	})
	t.Run("with a rule broken", func(t *testing.T) {
		t.Parallel()
		if failure := onDynamoDB(t, endpoint, 1, unconditional).live(); failure == "" {
			t.Errorf("%s: without it nothing was noticed", unconditional.rule)
		}
	})
}

// life is what a world's life came to. Two of one seed that have come as far have thrown the same dice.
type life struct {
	took time.Duration
	dice uint64
	runs []run.Run
}

func (w *world) lived() life {
	runs := w.runs()
	slices.SortFunc(runs, func(a, b run.Run) int { return strings.Compare(a.ID, b.ID) })
	return life{w.now.Sub(w.begin), w.random.Uint64(), runs}
}
