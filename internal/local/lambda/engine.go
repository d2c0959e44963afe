// Package lambda is AWS Lambda on one machine: functions in this process, called through their
// real JSON, and what stands between an event and a function.
//
// There are three ways to a function. Invoke calls it and waits. InvokeAsync takes the event into
// a durable queue of the function's own and returns; the event is then delivered as Lambda does
// it: a function error leads to two more tries, then to the function's failure destination. A
// Mapping feeds a function from an SQS queue, in batches, and settles each message by the
// function's answer.
//
// Everything that was accepted is a message in the local SQS until the function has dealt with
// it, so it outlives this process. A panic, an error or a timeout of a handler is a function
// error and harms nobody else. Functions share the process: one that ignores its context cannot
// be killed at its timeout, it is only no longer waited for.
package lambda

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	awslambda "github.com/aws/aws-lambda-go/lambda"
	"github.com/rs/zerolog"

	"modeldispatch/internal/local/sqs"
)

// Function is a Lambda function.
type Function struct {
	Name        string
	Handler     awslambda.Handler // from lambda.NewHandler
	Timeout     time.Duration     // default 3 s, as in Lambda
	Concurrency int               // asynchronous invocations at once; default 10
	// OnFailure is the SQS queue that gets the record of an event that was given up. Without
	// one such an event is logged and gone, as in Lambda.
	OnFailure string
}

// Mapping feeds a function from a queue.
type Mapping struct {
	Queue    string
	Function string

	BatchSize   int           // default 10
	Window      time.Duration // how long a batch waits to be filled; 0: not at all
	Concurrency int           // batches at once; default 5
	// ReportBatchItemFailures makes the function's answer say which messages failed. Without it
	// an answer is ignored, and a batch succeeds or fails whole.
	ReportBatchItemFailures bool
	// Retry is how soon a message that failed is visible again; default 1 s. (In AWS it is
	// visible when its visibility timeout ends: minutes, for which nobody waits here.)
	Retry time.Duration
}

// Options is what an Engine needs.
type Options struct {
	Queues    *sqs.Server
	Functions []Function
	Mappings  []Mapping
	// Retries are the waits before an asynchronous event is tried again after a function error;
	// nil means 1 s and 2 s (in AWS 1 min and 2 min).
	Retries []time.Duration
	Now     func() time.Time // default time.Now
}

// Engine invokes functions.
type Engine struct {
	options   Options
	queues    *sqs.Server
	functions map[string]*Function
	mappings  []Mapping

	mu       sync.Mutex
	failures map[string]int // function errors of pending events, by request id
}

// New checks functions and mappings and makes the queues of asynchronous events.
func New(ctx context.Context, options Options) (*Engine, error) {
	e := &Engine{options: options.withDefaults(), queues: options.Queues, functions: map[string]*Function{}, failures: map[string]int{}}
	var problems []error
	for _, f := range options.Functions {
		problems = append(problems, e.addFunction(ctx, f))
	}
	for _, m := range options.Mappings {
		problems = append(problems, e.addMapping(ctx, m))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return e, nil
}

func (o Options) withDefaults() Options {
	if o.Retries == nil {
		o.Retries = []time.Duration{time.Second, 2 * time.Second}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func (e *Engine) addFunction(ctx context.Context, f Function) error {
	switch {
	case f.Name == "" || f.Handler == nil:
		return fmt.Errorf("function %q: a name and a handler are needed", f.Name)
	case e.functions[f.Name] != nil:
		return fmt.Errorf("function %q is there twice", f.Name)
	}
	if f.Timeout == 0 {
		f.Timeout = 3 * time.Second
	}
	if f.Concurrency == 0 {
		f.Concurrency = 10
	}
	if f.OnFailure != "" {
		if _, err := e.queues.Visibility(ctx, f.OnFailure); err != nil {
			return fmt.Errorf("function %q: its failure destination: %w", f.Name, err)
		}
	}
	e.functions[f.Name] = &f
	// A minute on top: an event must not come back while its invocation is being settled.
	return e.queues.Create(ctx, f.events(), sqs.Attributes{Hidden: true, Visibility: f.Timeout + time.Minute})
}

func (e *Engine) addMapping(ctx context.Context, m Mapping) error {
	f := e.functions[m.Function]
	if f == nil {
		return fmt.Errorf("mapping of the queue %q: there is no function %q", m.Queue, m.Function)
	}
	if m.BatchSize == 0 {
		m.BatchSize = 10
	}
	if m.Concurrency == 0 {
		m.Concurrency = 5
	}
	if m.Retry == 0 {
		m.Retry = time.Second
	}
	switch {
	case m.BatchSize < 1 || m.BatchSize > 10000:
		return fmt.Errorf("mapping of the queue %q: the batch size is %d; 1 to 10000 is right", m.Queue, m.BatchSize)
	case m.BatchSize > 10 && m.Window < time.Second:
		return fmt.Errorf("mapping of the queue %q: a batch of more than 10 needs a window of at least 1 s", m.Queue)
	case m.Window < 0 || m.Window > 5*time.Minute:
		return fmt.Errorf("mapping of the queue %q: the window is %s; 0 to 5m is right", m.Queue, m.Window)
	}
	visibility, err := e.queues.Visibility(ctx, m.Queue)
	if err != nil {
		return fmt.Errorf("mapping to the function %q: %w", m.Function, err)
	}
	if visibility < f.Timeout {
		return fmt.Errorf("mapping of the queue %q: its visibility timeout %s is less than the %s that function %q may take", m.Queue, visibility, f.Timeout, f.Name)
	}
	e.mappings = append(e.mappings, m)
	return nil
}

// Run delivers asynchronous events and feeds mapped queues until ctx ends, and then waits for the
// invocations that are under way: each has its timeout. It fails only if the queues are closed.
func (e *Engine) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var pollers sync.WaitGroup
	for _, f := range e.functions {
		p := poller{concurrency: f.Concurrency, take: e.nextEvent(f), handle: e.serveEvent(f)}
		pollers.Go(func() { p.run(ctx, stop) })
	}
	for _, m := range e.mappings {
		p := poller{concurrency: m.Concurrency, take: e.nextBatch(m), handle: e.serveBatch(m)}
		pollers.Go(func() { p.run(ctx, stop) })
	}
	pollers.Wait()
	if cause := context.Cause(ctx); errors.Is(cause, sqs.ErrClosed) {
		return fmt.Errorf("delivering events: %w", cause)
	}
	return nil
}

// poller takes messages and handles them, so many at once.
type poller struct {
	concurrency int
	take        func(ctx context.Context) ([]sqs.Message, error)
	handle      func(ctx context.Context, messages []sqs.Message)
}

func (p poller) run(ctx context.Context, stop context.CancelCauseFunc) {
	slots := make(chan struct{}, p.concurrency)
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		messages, err := p.take(ctx)
		switch {
		case errors.Is(err, sqs.ErrClosed):
			stop(err)
			return
		case err != nil && ctx.Err() == nil:
			// The queue may have been deleted by hand: it may be made again, too.
			zerolog.Ctx(ctx).Error().Err(err).Msg("queue cannot be polled")
			pause(ctx, time.Second)
		}
		if len(messages) == 0 {
			<-slots
			continue
		}
		running.Go(func() {
			defer func() { <-slots }()
			p.handle(context.WithoutCancel(ctx), messages)
		})
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Idle says whether nothing is left to do: no asynchronous event is pending, and no mapped queue
// holds a message that is visible or in flight. Delayed messages do not count.
func (e *Engine) Idle(ctx context.Context) (bool, error) {
	var queues []string
	for _, f := range e.functions {
		queues = append(queues, f.events())
	}
	for _, m := range e.mappings {
		queues = append(queues, m.Queue)
	}
	busy, err := e.queues.Busy(ctx, queues...)
	return err == nil && !busy, err
}

// WaitIdle returns when nothing is left to do.
func (e *Engine) WaitIdle(ctx context.Context) error {
	for {
		changed := e.queues.Changed()
		if idle, err := e.Idle(ctx); idle || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
