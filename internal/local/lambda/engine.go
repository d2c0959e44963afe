package lambda

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"modeldispatch/internal/local/sqs"
)

// Function is a Lambda function in this process.
type Function struct {
	Name        string
	Handler     any           // a handler function, as lambda.Start of aws-lambda-go takes it
	Timeout     time.Duration // 0 means 3 s, Lambda's default
	Concurrency int           // the limit on concurrent asynchronous invocations; 0 means 10
	// OnFailure is the name of the SQS queue for records of events that are no longer retried. The queue must exist.
	// With "", such an event is logged and discarded. Lambda discards it too.
	OnFailure string
}

// Mapping connects an SQS queue to a function, as an event source mapping does. The queue must exist, and its
// visibility timeout must not be shorter than the function's timeout.
type Mapping struct {
	Queue    string
	Function string

	BatchSize      int           // 1 to 10000 messages; 0 means 10
	BatchingWindow time.Duration // 0 to 5 min to wait for a full batch; at least 1 s if BatchSize is over 10
	Concurrency    int           // the limit on concurrent batches; 0 means 5
	// ReportBatchItemFailures reads the failed messages from the function's response. Without it the response is
	// ignored, and the whole batch succeeds or fails.
	ReportBatchItemFailures bool
	// RetryDelay is the time until a failed message is visible again. 0 means 1 s. In AWS the message stays hidden
	// until its visibility timeout ends, which takes minutes and would be too slow on a laptop.
	RetryDelay time.Duration
}

// Options configures an Engine.
type Options struct {
	Queues    *sqs.Server
	Functions []Function
	Mappings  []Mapping
	// RetryDelays holds the delay before each new try of an asynchronous event after a function error. nil means 1 s
	// and 2 s. Lambda waits 1 min and 2 min. An empty slice means no retries.
	RetryDelays []time.Duration
	Now         func() time.Time // nil means time.Now
}

// Engine invokes functions and delivers events and messages to them.
type Engine struct {
	options   Options
	queues    *sqs.Server
	functions map[string]*Function
	mappings  []Mapping

	mu       sync.Mutex
	failures map[string]int // the number of function errors of each pending event, by request id
}

// New returns an Engine. It checks the functions and mappings, and creates the queues for asynchronous events. It
// returns all problems in one error. Options.Queues is required.
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
	if o.RetryDelays == nil {
		o.RetryDelays = []time.Duration{time.Second, 2 * time.Second}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func (e *Engine) addFunction(ctx context.Context, f Function) error {
	switch {
	case f.Name == "" || f.Handler == nil:
		return fmt.Errorf("function %q: Name and Handler are required", f.Name)
	case e.functions[f.Name] != nil:
		return fmt.Errorf("function %q is declared twice", f.Name)
	}
	if f.Timeout == 0 {
		f.Timeout = 3 * time.Second
	}
	if f.Concurrency == 0 {
		f.Concurrency = 10
	}
	if f.OnFailure != "" {
		if _, err := e.queues.Visibility(ctx, f.OnFailure); err != nil {
			return fmt.Errorf("function %q: failure destination: %w", f.Name, err)
		}
	}
	e.functions[f.Name] = &f
	// The extra minute keeps an event hidden until its invocation has ended and the event is deleted or delayed.
	return e.queues.Create(ctx, f.eventQueue(), sqs.Attributes{Hidden: true, Visibility: f.Timeout + time.Minute})
}

func (e *Engine) addMapping(ctx context.Context, m Mapping) error {
	f := e.functions[m.Function]
	if f == nil {
		return fmt.Errorf("mapping of queue %q: function %q is not declared", m.Queue, m.Function)
	}
	if m.BatchSize == 0 {
		m.BatchSize = 10
	}
	if m.Concurrency == 0 {
		m.Concurrency = 5
	}
	if m.RetryDelay == 0 {
		m.RetryDelay = time.Second
	}
	switch {
	case m.BatchSize < 1 || m.BatchSize > 10000:
		return fmt.Errorf("mapping of queue %q: batch size %d: must be 1 to 10000", m.Queue, m.BatchSize)
	case m.BatchSize > 10 && m.BatchingWindow < time.Second:
		return fmt.Errorf("mapping of queue %q: a batch size over 10 needs a batching window of at least 1 s", m.Queue)
	case m.BatchingWindow < 0 || m.BatchingWindow > 5*time.Minute:
		return fmt.Errorf("mapping of queue %q: batching window %s: must be 0 to 5m", m.Queue, m.BatchingWindow)
	}
	visibility, err := e.queues.Visibility(ctx, m.Queue)
	if err != nil {
		return fmt.Errorf("mapping to function %q: %w", m.Function, err)
	}
	if visibility < f.Timeout {
		return fmt.Errorf("mapping of queue %q: its visibility timeout %s is shorter than the timeout %s of function %q",
			m.Queue, visibility, f.Timeout, f.Name)
	}
	e.mappings = append(e.mappings, m)
	return nil
}

// Run delivers asynchronous events and the messages of mapped queues until ctx ends. Then it waits for the running
// invocations, each at most for its function's timeout. It returns an error, which wraps sqs.ErrClosed, only if the
// queues are closed.
func (e *Engine) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var pollers sync.WaitGroup
	for _, f := range e.functions {
		p := poller{concurrency: f.Concurrency, take: e.receiveEvent(f), handle: e.handleEvent(f)}
		pollers.Go(func() { p.run(ctx, stop) })
	}
	for _, m := range e.mappings {
		p := poller{concurrency: m.Concurrency, take: e.receiveBatch(m), handle: e.handleBatch(m)}
		pollers.Go(func() { p.run(ctx, stop) })
	}
	pollers.Wait()
	if cause := context.Cause(ctx); errors.Is(cause, sqs.ErrClosed) {
		return fmt.Errorf("delivering events: %w", cause)
	}
	return nil
}

// poller receives messages and handles them. concurrency limits the calls of handle that run at the same time.
type poller struct {
	concurrency int
	take        func(ctx context.Context) ([]sqs.Message, error)
	handle      func(ctx context.Context, messages []sqs.Message)
}

// run polls until ctx ends, and waits for the running handlers. If the queues are closed, it calls stop with the
// error to end the other pollers too.
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
			// A user may have deleted the queue, and may create it again.
			zerolog.Ctx(ctx).Error().Err(err).Msg("polling a queue failed; trying again")
			sleep(ctx, time.Second)
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

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Idle reports whether no work is left: no asynchronous event is pending, and no mapped queue holds a message that is
// visible or in flight. Delayed messages do not count. An event or message that waits for its next try counts.
func (e *Engine) Idle(ctx context.Context) (bool, error) {
	var queues []string
	for _, f := range e.functions {
		queues = append(queues, f.eventQueue())
	}
	for _, m := range e.mappings {
		queues = append(queues, m.Queue)
	}
	busy, err := e.queues.Busy(ctx, queues...)
	return err == nil && !busy, err
}

// WaitIdle waits until Idle reports true. It returns ctx.Err() if ctx ends first.
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
