package lambda_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"modeldispatch/internal/local/lambda"
	"modeldispatch/internal/local/sqs"
)

// harness is a running engine with its queues. The queues are in memory unless they have a file.
type harness struct {
	t      *testing.T
	queues *sqs.Server
	engine *lambda.Engine
	stop   context.CancelFunc
	ended  chan error
}

// start creates two queues and runs an engine over them. The queue q moves a message to the queue dead after three
// receives.
func start(t *testing.T, file string, o lambda.Options) *harness {
	t.Helper()
	queues, err := sqs.New(t.Context(), sqs.Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{t: t, queues: queues, ended: make(chan error, 1)}
	for name, a := range map[string]sqs.Attributes{"dead": {}, "q": {}} {
		if err := queues.Create(t.Context(), name, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := queues.Create(t.Context(), "q", sqs.Attributes{DeadLetter: "dead", MaxReceives: 3}); err != nil {
		t.Fatal(err)
	}
	o.Queues = queues
	if h.engine, err = lambda.New(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	h.stop = stop
	go func() { h.ended <- h.engine.Run(ctx) }()
	return h
}

// close stops the engine and closes its queues, like a process that exits normally.
func (h *harness) close() {
	h.t.Helper()
	h.stop()
	if err := <-h.ended; err != nil {
		h.t.Errorf("Run: %v", err)
	}
	if err := h.queues.Close(); err != nil {
		h.t.Error(err)
	}
}

func (h *harness) send(bodies ...string) (ids []string) {
	h.t.Helper()
	for _, body := range bodies {
		id, err := h.queues.Send(h.t.Context(), "q", body, map[string]sqs.Attribute{"kind": sqs.Text("test")}, 0)
		if err != nil {
			h.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func (h *harness) waitIdle() {
	h.t.Helper()
	if err := h.engine.WaitIdle(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// receiveAll receives all visible messages of a queue, and returns their bodies.
func (h *harness) receiveAll(queue string) []string {
	h.t.Helper()
	messages, err := h.queues.Receive(h.t.Context(), queue, 1000, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	var bodies []string
	for _, m := range messages {
		bodies = append(bodies, m.Body)
	}
	return bodies
}

// journal holds the rows that handlers add, from any goroutine.
type journal struct {
	mu   sync.Mutex
	rows []string
}

// add appends a row, and returns the number of rows.
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
	return lambda.Function{Name: name, Handler: handler, Timeout: 10 * time.Second}
}

// TestConcurrentInvocations: each of many invocations of one function gets its own response.
func TestConcurrentInvocations(t *testing.T) {
	t.Parallel()
	h := start(t, "", lambda.Options{Functions: []lambda.Function{
		function("repeat", func(n int) (string, error) { return strings.Repeat(strconv.Itoa(n%10), 1000), nil }),
	}})
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			response, err := h.engine.Invoke(t.Context(), "repeat", []byte(strconv.Itoa(n)))
			if want := `"` + strings.Repeat(strconv.Itoa(n%10), 1000) + `"`; err != nil || strings.TrimSpace(string(response)) != want {
				t.Errorf("invocation %d returned %.20s…, %v, want %.20s…", n, response, err, want)
			}
		})
	}
	all.Wait()
}

func TestInvoke(t *testing.T) {
	t.Parallel()
	type greeting struct{ Name string }
	h := start(t, "", lambda.Options{Functions: []lambda.Function{
		function("greet", func(ctx context.Context, g greeting) (string, error) {
			c, _ := lambdacontext.FromContext(ctx)
			deadline, _ := ctx.Deadline()
			if left := time.Until(deadline); left <= 0 || left > 10*time.Second || c.AwsRequestID == "" {
				return "", fmt.Errorf("%s left, request %q", left, c.AwsRequestID)
			}
			return g.Name + " by " + c.InvokedFunctionArn, nil
		}),
	}})
	defer h.close()
	got, err := h.engine.Invoke(t.Context(), "greet", []byte(`{"Name":"Ada"}`))
	if want := `"Ada by arn:aws:lambda:us-east-1:000000000000:function:greet"`; err != nil || string(got) != want {
		t.Errorf("Invoke = %s, %v, want %s", got, err, want)
	}
	if _, err := h.engine.Invoke(t.Context(), "missing", []byte(`{}`)); err == nil {
		t.Error("Invoke of a function that is not declared returned no error")
	}
	if _, err := h.engine.Invoke(t.Context(), "greet", []byte(`{`)); err == nil {
		t.Error("Invoke with a payload that is not JSON returned no error")
	}
}

var errBroken = errors.New("it is broken")

// functionErrors holds a handler for each kind of failure. An empty kind accepts any type and message.
var functionErrors = map[string]struct {
	handler any
	payload string
	kind    string
	message string
}{
	"error": {func() error { return errBroken }, `{}`, "errorString", "it is broken"},
	"panic": {func() error { panic("no idea") }, `{}`, "string", "no idea"},
	"Goexit": {
		func() error {
			runtime.Goexit()
			return nil
		},
		`{}`, "Runtime.ExitError", "the handler ended without a response",
	},
	"payload of the wrong type": {
		func(int) error { return nil },
		`"text"`, "UnmarshalTypeError", "json: cannot unmarshal string into Go value of type int",
	},
	"response over the limit": {
		func() (string, error) { return strings.Repeat("x", 6<<20), nil },
		`{}`, "Function.ResponseSizeTooLarge", "the response has 6291458 bytes, more than the limit of 6291456",
	},
	"timeout that the handler obeys": {
		func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		},
		`{}`, "", "",
	},
	"timeout that the handler ignores": {
		func(ctx context.Context) error {
			select {
			case <-time.After(time.Hour):
			case <-testOver(ctx):
			}
			return nil
		},
		`{}`, "Sandbox.Timedout", "Task timed out after 10.00 seconds",
	},
}

func TestFunctionErrors(t *testing.T) {
	t.Parallel()
	for name, c := range functionErrors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				over := make(chan struct{})
				ctx := context.WithValue(t.Context(), overKey{}, over)
				h := start(t, "", lambda.Options{Functions: []lambda.Function{function("f", c.handler)}})
				defer h.close()
				_, err := h.engine.Invoke(ctx, "f", []byte(c.payload))
				close(over)
				var failure *lambda.FunctionError
				if !errors.As(err, &failure) {
					t.Fatalf("error %v, want a FunctionError", err)
				}
				if c.kind != "" && (failure.Type != c.kind || failure.Message != c.message) {
					t.Errorf("failure %+v, want %s: %s", failure, c.kind, c.message)
				}
				if c.kind != "" && (failure.Function != "f" || failure.RequestID == "") {
					t.Errorf("failure %+v, want the function f and a request id", failure)
				}
				if name == "error" && !errors.Is(err, errBroken) {
					t.Errorf("error %v, want it to wrap the handler's error", err)
				}
			})
		})
	}
}

type overKey struct{}

// testOver returns a channel that is closed when the test ends. A handler that ignores its deadline ends then.
func testOver(ctx context.Context) <-chan struct{} {
	over, _ := ctx.Value(overKey{}).(chan struct{})
	return over
}

// TestAsynchronousRetries checks that an event is tried at once, after 1 s and after 2 s more, and then goes to the
// failure destination.
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
				h := start(t, "", lambda.Options{Functions: []lambda.Function{f}})
				defer h.close()
				if err := h.engine.InvokeAsync(t.Context(), "f", []byte(`{"do":"<it>"}`)); err != nil {
					t.Fatal(err)
				}
				h.waitIdle()
				if !slices.Equal(calls.all(), c.calls) {
					t.Errorf("called at %v, want %v", calls.all(), c.calls)
				}
				if n := len(slices.Compact(requests.all())); n != 1 {
					t.Errorf("the tries of one event have %d request ids, want 1", n)
				}
				checkRecord(t, h.receiveAll("dead"), c.record, requests.all()[0])
			})
		})
	}
}

func checkRecord(t *testing.T, records []string, want bool, request string) {
	t.Helper()
	if !want {
		if len(records) != 0 {
			t.Errorf("records %v, want none", records)
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

// TestEventsOutliveTheProcess ends the first engine while it delivers an event. The second engine delivers the event
// again.
func TestEventsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "queues.db")
	begun, release := make(chan struct{}), make(chan struct{})
	first := start(t, file, lambda.Options{Functions: []lambda.Function{
		function("f", func(context.Context) error {
			close(begun)
			<-release
			return nil
		}),
	}})
	if err := first.engine.InvokeAsync(t.Context(), "f", []byte(`"kept"`)); err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := first.queues.Close(); err != nil { // has the effect of a kill: the invocation cannot delete its event
		t.Fatal(err)
	}
	close(release)
	if err := <-first.ended; !errors.Is(err, sqs.ErrClosed) {
		t.Errorf("Run = %v, want sqs.ErrClosed", err)
	}

	var got journal
	second := start(t, file, lambda.Options{Functions: []lambda.Function{
		function("f", func(_ context.Context, event string) error {
			got.add(event)
			return nil
		}),
	}})
	defer second.close()
	second.waitIdle()
	if !slices.Equal(got.all(), []string{"kept"}) {
		t.Errorf("delivered %v, want the event once", got.all())
	}
}

// TestEventThatKillsTheProcess checks that an event which ends the process at each delivery goes to the failure
// destination after ten deliveries.
func TestEventThatKillsTheProcess(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "queues.db")
	for delivery := 1; ; delivery++ {
		begun, release := make(chan struct{}), make(chan struct{})
		f := function("f", func(context.Context) error {
			close(begun)
			<-release
			return nil
		})
		f.OnFailure = "dead"
		h := start(t, file, lambda.Options{Functions: []lambda.Function{f}})
		if delivery == 1 {
			if err := h.engine.InvokeAsync(t.Context(), "f", []byte(`{"kills":"you"}`)); err != nil {
				t.Fatal(err)
			}
		}
		if delivery > 10 {
			h.waitIdle()
			records := h.receiveAll("dead")
			if len(records) != 1 || !strings.Contains(records[0], `"requestPayload":{"kills":"you"}}`) ||
				!strings.Contains(records[0], `"approximateInvokeCount":11`) {
				t.Errorf("records %v, want one with the payload and 11 deliveries", records)
			}
			h.close()
			return
		}
		<-begun
		if err := h.queues.Close(); err != nil {
			t.Fatal(err)
		}
		close(release)
		if err := <-h.ended; !errors.Is(err, sqs.ErrClosed) {
			t.Errorf("Run = %v, want sqs.ErrClosed", err)
		}
	}
}

func TestRunWaitsForRunningInvocations(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	var got journal
	h := start(t, "", lambda.Options{Functions: []lambda.Function{
		function("f", func(ctx context.Context) error {
			close(begun)
			<-release
			got.add("done")
			return ctx.Err()
		}),
	}})
	if err := h.engine.InvokeAsync(t.Context(), "f", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	<-begun
	h.stop()
	select {
	case err := <-h.ended:
		t.Fatalf("Run ended while an invocation was running: %v", err)
	default:
	}
	close(release)
	h.waitIdle()
	h.close()
	if len(got.all()) != 1 {
		t.Error("Run ended before the invocation")
	}
}

func TestNewRejectsInvalidOptions(t *testing.T) {
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
		`function "f" is declared twice`: {Functions: []lambda.Function{f, f}},
		`failure destination`:            {Functions: []lambda.Function{lost}},
		`function "g" is not declared`:   {Mappings: []lambda.Mapping{{Queue: "q", Function: "g"}}},
		`its visibility timeout 5s is shorter than the timeout 10s`: {
			Functions: []lambda.Function{f}, Mappings: []lambda.Mapping{{Queue: "q", Function: "f"}},
		},
		`needs a batching window of at least 1 s`: {
			Functions: []lambda.Function{f}, Mappings: []lambda.Mapping{{Queue: "q", Function: "f", BatchSize: 11}},
		},
		`"nowhere" does not exist`: {
			Functions: []lambda.Function{f}, Mappings: []lambda.Mapping{{Queue: "nowhere", Function: "f"}},
		},
	} {
		o.Queues = queues
		if _, err := lambda.New(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want an error that contains %q", err, want)
		}
	}
}
