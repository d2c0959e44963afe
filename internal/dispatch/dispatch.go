package dispatch

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/limiter"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/route"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// Queue sends the id of a run to the functions that launch and advance runs.
type Queue interface {
	// Enqueue sends a run to the launch queue. The message is delivered after the delay, at most 15 minutes.
	Enqueue(ctx context.Context, run string, delay time.Duration) error
	// Wake sends a run to the wake queue. Advance is called for it after the delay, at most 15 minutes.
	Wake(ctx context.Context, run string, delay time.Duration) error
}

// Launcher starts tasks.
type Launcher interface {
	// RunTask sends a request, and gives up at the deadline. A refusal by ECS is an Answer, not an error.
	RunTask(ctx context.Context, request json.RawMessage, deadline time.Time) (fargate.Answer, error)
	// Definition returns the latest active revision of a task definition family.
	Definition(ctx context.Context, family, container string) (fargate.Definition, error)
}

// Watcher describes, lists and stops tasks.
type Watcher interface {
	// DescribeTasks describes tasks by ARN. Each has its own error: fargate.ErrMissing if ECS does not know the task.
	DescribeTasks(ctx context.Context, arns ...string) map[string]fargate.Described
	// ListTasks returns the ARNs of the tasks in a cluster that have this startedBy and are not about to stop.
	ListTasks(ctx context.Context, cluster, startedBy string) ([]string, error)
	// StopTask tells ECS to stop a task. It returns fargate.ErrMissing if ECS does not know the task.
	StopTask(ctx context.Context, arn, reason string) error
}

// Objects reads and writes S3 objects, by their s3:// URIs.
type Objects interface {
	// Stat reports whether an object exists, and when it was last modified. A missing object is no error.
	Stat(ctx context.Context, uri string) (modified time.Time, exists bool, err error)
	// Put writes an object, and replaces an existing one.
	Put(ctx context.Context, uri string, body []byte) error
	// Get reads an object. A missing object is an error.
	Get(ctx context.Context, uri string) ([]byte, error)
}

// Bus emits announcements.
type Bus interface {
	// Announce emits one announcement. The error wraps ErrPermanent if the same call would fail each time.
	Announce(ctx context.Context, a Announcement) error
}

// Options holds the settings and the services of a Dispatcher. All fields are required, except where a comment gives
// the meaning of the zero value.
type Options struct {
	Deployment string // the name of the deployment; it marks the tasks that belong to it
	Catalog    model.Catalog
	Routes     *route.Table // the triggers of the catalog
	Placement  fargate.Placement
	Bucket     string            // the name of the state bucket
	Rate       float64           // RunTask calls a second, of all launchers together; 0 means limiter.DefaultRate
	Retention  records.Retention // how long a document stays after its run has ended; 0 means records.DefaultRetention
	Store      store.Store
	Queue      Queue
	Launcher   Launcher
	Watcher    Watcher
	Objects    Objects
	Bus        Bus
	Now        func() time.Time
	Random     func() float64 // returns a number in [0, 1), for the jitter of backoffs
	Hooks      Hooks
	// LogLink returns the URL of the log of a run's last task. Nil means that announcements contain no link.
	LogLink func(r run.Run, container string) string
	// ForEach calls work for 0 to n-1, and returns when all calls have returned. Nil means that they run at the same
	// time: most of the work is waiting for AWS.
	ForEach func(n int, work func(i int))
}

// Hooks holds functions that the dispatcher calls after it has stored a change or carried out an effect, for metrics,
// logs and tests. Each function may be nil. Concurrent calls of the dispatcher may call the hooks in a different order
// from that of their commits.
type Hooks struct {
	Decided       func(event.Event, records.Decision) // an event got a decision
	Transitioned  func(run.Transition)                // a run has changed
	Announced     func(Announcement)                  // an announcement was emitted
	LaunchLag     func(time.Duration)                 // the time until every reservation given so far has come
	Swept         func()                              // a sweep ended without an error
	EffectDropped func(run.Effect)                    // an effect was given up, because it can never succeed
}

// Dispatcher accepts events, and moves runs from one state to the next. It is safe for concurrent use, in one process
// and in several.
type Dispatcher struct {
	o            Options
	runs         *runs
	outbox       *outbox
	announcer    announcer
	limiter      *limiter.Limiter
	decisions    decisions
	pauses       pauses
	expectations expectations
	tasks        tasks
	launcher     launcher
	sweeper      sweeper
}

// New returns a dispatcher with these options.
func New(o Options) *Dispatcher {
	if o.ForEach == nil {
		o.ForEach = concurrently
	}
	d := &Dispatcher{o: o}
	d.announcer = announcer{&d.o}
	d.outbox = &outbox{&d.o, d.perform}
	d.decisions = decisions{&d.o, d.outbox}
	d.pauses = pauses{&d.o, d.outbox}
	d.expectations = expectations{&d.o, d.outbox}
	d.runs = &runs{&d.o, d.outbox, d.expectations}
	d.limiter = limiter.New(limiter.Options{Store: o.Store, Runs: d.runs, Catalog: o.Catalog, Rate: o.Rate, Now: o.Now})
	d.tasks = tasks{&d.o, d.runs, d.limiter}
	d.launcher = launcher{&d.o, d.runs, d.limiter, d.tasks}
	d.sweeper = sweeper{&d.o, d.outbox, d.limiter, d.advance}
	return d
}

// Now returns the time of the dispatcher's clock.
func (d *Dispatcher) Now() time.Time { return d.o.Now() }

// ForEach calls work for 0 to n-1, as Options.ForEach says.
func (d *Dispatcher) ForEach(n int, work func(i int)) { d.o.ForEach(n, work) }

func concurrently(n int, work func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { work(i) })
	}
	all.Wait()
}

// retryInputs returns the inputs, besides the run itself, for the decision about another attempt.
func (o *Options) retryInputs() run.RetryInputs {
	return run.RetryInputs{Jitter: o.Random(), NextSize: fargate.NextSize}
}

func log(ctx context.Context) *zerolog.Logger { return zerolog.Ctx(ctx) }
