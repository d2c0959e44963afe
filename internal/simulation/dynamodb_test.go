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

// lossy sends the HTTP requests of a world's actors to DynamoDB, and loses some answers. Other actors continue before
// the SDK repeats such a request.
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
	l.trace("%s loses the answer of %s", a.name, operation)
	if err := a.pause("the lost answer of " + operation); err != nil {
		return nil, err
	}
	return nil, io.ErrUnexpectedEOF
}

// onDynamoDB returns a world whose store is a new table. Real time has no effect on it: the SDK waits at most 1 ms
// between two attempts, and the table has no TTL. With a TTL, DynamoDB would delete items that have expired by its own
// clock.
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

// TestSimulationOnDynamoDB checks that no world on DynamoDB Local has a finding. Without lost answers, such a world
// must be equal to the world of the same seed in memory. This prints the story of seed 7:
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
		if got, want := w.result(), want.result(); !reflect.DeepEqual(got, want) {
			t.Errorf("on DynamoDB the world ended with\n%+v, want the same as in memory\n%+v", got, want)
		}
	})
	seeds("with lost answers", 16, func(t *testing.T, number uint64) {
		w := onDynamoDB(t, endpoint, number, variant{harsh: func(f *faults) { f.lost = 0.2 }})
		w.survive(t)
		if w.unanswered == 0 {
			t.Error("no answer was lost, so this seed tests nothing; want at least one")
		}
	})
	t.Run("with a rule broken", func(t *testing.T) {
		t.Parallel()
		if failure := onDynamoDB(t, endpoint, 1, unconditional).live(); failure == "" {
			t.Errorf("with this rule broken the world has no finding, want one: %s", unconditional.rule)
		}
	})
}

// worldResult holds the result of a world, to compare two worlds of one seed.
type worldResult struct {
	took time.Duration // the simulated time until its end
	dice uint64        // the next random number: it is equal if both worlds have drawn equally often
	runs []run.Run
}

// result returns the result of a world that has ended.
func (w *world) result() worldResult {
	runs := w.runs()
	slices.SortFunc(runs, func(a, b run.Run) int { return strings.Compare(a.ID, b.ID) })
	return worldResult{w.now.Sub(w.begin), w.random.Uint64(), runs}
}
