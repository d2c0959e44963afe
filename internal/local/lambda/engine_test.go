package lambda_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	awslambda "github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"modeldispatch/internal/local/lambda"
	"modeldispatch/internal/local/sqs"
)

// bench is an engine over queues, in memory unless they have a file.
type bench struct {
	t      *testing.T
	queues *sqs.Server
	engine *lambda.Engine
	stop   context.CancelFunc
	ended  chan error
}

// start makes the queues q, which gives a message up at its third receive, and dead, and runs the engine.
func start(t *testing.T, file string, o lambda.Options) *bench {
	t.Helper()
	queues, err := sqs.New(t.Context(), sqs.Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, queues: queues, ended: make(chan error, 1)}
	for name, a := range map[string]sqs.Attributes{"dead": {}, "q": {}} {
		if err := queues.Create(t.Context(), name, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := queues.Create(t.Context(), "q", sqs.Attributes{DeadLetter: "dead", MaxReceives: 3}); err != nil {
		t.Fatal(err)
	}
	o.Queues = queues
	if b.engine, err = lambda.New(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	b.stop = stop
	go func() { b.ended <- b.engine.Run(ctx) }()
	return b
}

// close ends the engine as a good process does.
func (b *bench) close() {
	b.t.Helper()
	b.stop()
	if err := <-b.ended; err != nil {
		b.t.Errorf("Run: %v", err)
	}
	if err := b.queues.Close(); err != nil {
		b.t.Error(err)
	}
}

func (b *bench) send(bodies ...string) (ids []string) {
	b.t.Helper()
	for _, body := range bodies {
		id, err := b.queues.Send(b.t.Context(), "q", body, map[string]sqs.Attribute{"kind": sqs.Text("test")}, 0)
		if err != nil {
			b.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func (b *bench) idle() {
	b.t.Helper()
	if err := b.engine.WaitIdle(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// bodies takes everything out of a queue.
func (b *bench) bodies(queue string) []string {
	b.t.Helper()
	messages, err := b.queues.Receive(b.t.Context(), queue, 1000, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	var all []string
	for _, m := range messages {
		all = append(all, m.Body)
	}
	return all
}

// journal is what handlers write down.
type journal struct {
	mu   sync.Mutex
	rows []string
}

func (j *journal) add(row string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rows = append(j.rows, row)
	return len(j.rows)
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.rows)
}

func function(name string, handler any) lambda.Function {
	return lambda.Function{Name: name, Handler: awslambda.NewHandler(handler), Timeout: 10 * time.Second}
}

func TestInvoke(t *testing.T) {
	t.Parallel()
	type greeting struct{ Name string }
	b := start(t, "", lambda.Options{Functions: []lambda.Function{
		function("greet", func(ctx context.Context, g greeting) (string, error) {
			c, _ := lambdacontext.FromContext(ctx)
			deadline, _ := ctx.Deadline()
			if left := time.Until(deadline); left <= 0 || left > 10*time.Second || c.AwsRequestID == "" {
				return "", fmt.Errorf("%s left, request %q", left, c.AwsRequestID)
			}
			return g.Name + " by " + c.InvokedFunctionArn, nil
		}),
	}})
	defer b.close()
	got, err := b.engine.Invoke(t.Context(), "greet", []byte(`{"Name":"Ada"}`))
	if want := `"Ada by arn:aws:lambda:us-east-1:000000000000:function:greet"`; err != nil || string(got) != want {
		t.Errorf("answer %s %v, want %s", got, err, want)
	}
	if _, err := b.engine.Invoke(t.Context(), "nobody", []byte(`{}`)); err == nil {
		t.Error("a function that is not there answered")
	}
	if _, err := b.engine.Invoke(t.Context(), "greet", []byte(`{`)); err == nil {
		t.Error("a payload that is not JSON was taken")
	}
}

var errBroken = errors.New("it is broken")

func TestFunctionErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler any
		payload string
		kind    string
		message string
	}{
		"error":             {func() error { return errBroken }, `{}`, "errorString", "it is broken"},
		"panic":             {func() error { panic("no idea") }, `{}`, "string", "no idea"},
		"exit":              {func() error { runtime.Goexit(); return nil }, `{}`, "Runtime.ExitError", "the handler ended without an answer"},
		"payload of a kind": {func(int) error { return nil }, `"text"`, "UnmarshalTypeError", "json: cannot unmarshal string into Go value of type int"},
		"huge answer":       {func() (string, error) { return strings.Repeat("x", 6<<20), nil }, `{}`, "Function.ResponseSizeTooLarge", "the answer has 6291458 bytes; 6291456 is the most"},
		"obedient timeout":  {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, `{}`, "", ""},
		"stubborn timeout": {func(ctx context.Context) error {
			select {
			case <-time.After(time.Hour):
			case <-lambdaTestOver(ctx):
			}
			return nil
		}, `{}`, "Sandbox.Timedout", "Task timed out after 10.00 seconds"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				over := make(chan struct{})
				ctx := context.WithValue(t.Context(), overKey{}, over)
				b := start(t, "", lambda.Options{Functions: []lambda.Function{function("f", c.handler)}})
				defer b.close()
				_, err := b.engine.Invoke(ctx, "f", []byte(c.payload))
				close(over)
				var failure *lambda.FunctionError
				if !errors.As(err, &failure) {
					t.Fatalf("error %v, want a FunctionError", err)
				}
				if c.kind != "" && (failure.Type != c.kind || failure.Message != c.message || failure.Function != "f" || failure.RequestID == "") {
					t.Errorf("failure %+v, want %s: %s", failure, c.kind, c.message)
				}
				if name == "error" && !errors.Is(err, errBroken) {
					t.Error("the cause cannot be found in the error")
				}
			})
		})
	}
}

type overKey struct{}

// lambdaTestOver lets a handler that ignores its deadline end with its test.
func lambdaTestOver(ctx context.Context) <-chan struct{} {
	over, _ := ctx.Value(overKey{}).(chan struct{})
	return over
}

// An event is tried at once, after 1 s and after 2 s more, then it goes to the failure destination.
func TestAsynchronousRetries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		failures int
		calls    []string
		record   bool
	}{
		{0, []string{"0s"}, false},
		{1, []string{"0s", "1s"}, false},
		{2, []string{"0s", "1s", "3s"}, false},
		{3, []string{"0s", "1s", "3s"}, true},
	} {
		t.Run(fmt.Sprint(c.failures, " failures"), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var calls, requests journal
				began := time.Now()
				f := function("f", func(ctx context.Context, event map[string]string) error {
					lc, _ := lambdacontext.FromContext(ctx)
					requests.add(lc.AwsRequestID)
					if calls.add(time.Since(began).String()) <= c.failures {
						panic("cannot " + event["do"])
					}
					return nil
				})
				f.OnFailure = "dead"
				b := start(t, "", lambda.Options{Functions: []lambda.Function{f}})
				defer b.close()
				if err := b.engine.InvokeAsync(t.Context(), "f", []byte(`{"do":"<it>"}`)); err != nil {
					t.Fatal(err)
				}
				b.idle()
				if !slices.Equal(calls.all(), c.calls) {
					t.Errorf("called at %v, want %v", calls.all(), c.calls)
				}
				if n := len(slices.Compact(requests.all())); n != 1 {
					t.Errorf("%d request ids for one event", n)
				}
				checkRecord(t, b.bodies("dead"), c.record, requests.all()[0])
			})
		})
	}
}

func checkRecord(t *testing.T, records []string, want bool, request string) {
	t.Helper()
	if !want {
		if len(records) != 0 {
			t.Errorf("records %v", records)
		}
		return
	}
	if len(records) != 1 {
		t.Fatalf("%d records, want 1", len(records))
	}
	wanted := `{"version":"1.0","timestamp":"2000-01-01T00:00:03.000Z","requestContext":{"requestId":"` + request +
		`","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST","condition":"RetriesExhausted","approximateInvokeCount":3},` +
		`"requestPayload":{"do":"<it>"},"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},` +
		`"responsePayload":{"errorMessage":"cannot <it>","errorType":"string"}}`
	if records[0] != wanted {
		t.Errorf("record\n%s, want\n%s", records[0], wanted)
	}
}

// The engine that accepted an event dies in the middle of it; the next one delivers it.
func TestEventsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "queues.db")
	begun, release := make(chan struct{}), make(chan struct{})
	first := start(t, file, lambda.Options{Functions: []lambda.Function{
		function("f", func(context.Context) error { close(begun); <-release; return nil }),
	}})
	if err := first.engine.InvokeAsync(t.Context(), "f", []byte(`"kept"`)); err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := first.queues.Close(); err != nil { // as a kill: the invocation is under way, its event not deleted
		t.Fatal(err)
	}
	close(release)
	if err := <-first.ended; !errors.Is(err, sqs.ErrClosed) {
		t.Errorf("Run without queues: %v", err)
	}

	var got journal
	second := start(t, file, lambda.Options{Functions: []lambda.Function{
		function("f", func(_ context.Context, event string) error { got.add(event); return nil }),
	}})
	defer second.close()
	second.idle()
	if !slices.Equal(got.all(), []string{"kept"}) {
		t.Errorf("delivered %v", got.all())
	}
}

// What kills the process at every delivery ends at the failure destination.
func TestEventThatKillsTheProcessIsGivenUp(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "queues.db")
	for delivery := 1; ; delivery++ {
		begun, release := make(chan struct{}), make(chan struct{})
		f := function("f", func(context.Context) error { close(begun); <-release; return nil })
		f.OnFailure = "dead"
		b := start(t, file, lambda.Options{Functions: []lambda.Function{f}})
		if delivery == 1 {
			if err := b.engine.InvokeAsync(t.Context(), "f", []byte(`{"kills":"you"}`)); err != nil {
				t.Fatal(err)
			}
		}
		if delivery > 10 {
			b.idle()
			records := b.bodies("dead")
			if len(records) != 1 || !strings.Contains(records[0], `"requestPayload":{"kills":"you"}}`) || !strings.Contains(records[0], `"approximateInvokeCount":11`) {
				t.Errorf("records %v", records)
			}
			b.close()
			return
		}
		<-begun
		if err := b.queues.Close(); err != nil {
			t.Fatal(err)
		}
		close(release)
		if err := <-b.ended; !errors.Is(err, sqs.ErrClosed) {
			t.Errorf("Run = %v, want that the queues are closed", err)
		}
	}
}

func TestRunWaitsForRunningInvocations(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	var got journal
	b := start(t, "", lambda.Options{Functions: []lambda.Function{
		function("f", func(ctx context.Context) error { close(begun); <-release; got.add("done"); return ctx.Err() }),
	}})
	if err := b.engine.InvokeAsync(t.Context(), "f", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	<-begun
	b.stop()
	select {
	case err := <-b.ended:
		t.Fatalf("Run ended while an invocation was running: %v", err)
	default:
	}
	close(release)
	b.idle()
	b.close()
	if len(got.all()) != 1 {
		t.Error("the invocation was not finished")
	}
}

func TestWhatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	queues, err := sqs.New(t.Context(), sqs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = queues.Close() }()
	if err := queues.Create(t.Context(), "q", sqs.Attributes{Visibility: 5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	f := function("f", func() {})
	lost := f
	lost.OnFailure = "nowhere"
	for want, o := range map[string]lambda.Options{
		`function "f" is there twice`:                    {Functions: []lambda.Function{f, f}},
		`its failure destination`:                        {Functions: []lambda.Function{lost}},
		`there is no function "g"`:                       {Mappings: []lambda.Mapping{{Queue: "q", Function: "g"}}},
		`its visibility timeout 5s is less than the 10s`: {Functions: []lambda.Function{f}, Mappings: []lambda.Mapping{{Queue: "q", Function: "f"}}},
		`needs a window of at least 1 s`:                 {Functions: []lambda.Function{f}, Mappings: []lambda.Mapping{{Queue: "q", Function: "f", BatchSize: 11}}},
		`"nowhere" does not exist`:                       {Functions: []lambda.Function{f}, Mappings: []lambda.Mapping{{Queue: "nowhere", Function: "f"}}},
	} {
		o.Queues = queues
		if _, err := lambda.New(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
