// Package dispatch is the only place where effects happen. A Dispatcher takes what a function was
// given, moves runs in the store, and does what their outboxes ask for:
//
//	Accept   an event: binds it, and commits the record of the event and its run together
//	Launch   a run whose turn it is: RunTask, once for each attempt
//	Observe  what is seen of a task: its outcome moves the run on
//	Advance  a run, or a recorded event, whose time has come
//	Cancel   a run, by hand
//
// Whatever is done outside the store is written down before, is idempotent, and is done again
// by the sweep when it was lost. The package keeps no state between calls.
package dispatch

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// Queue sends runs to the functions that move them.
type Queue interface {
	Enqueue(ctx context.Context, run string, delay time.Duration) error
	Wake(ctx context.Context, run string, delay time.Duration) error
}

// Launcher starts tasks.
type Launcher interface {
	RunTask(ctx context.Context, request json.RawMessage, deadline time.Time) (fargate.Answer, error)
	Definition(ctx context.Context, family, container string) (fargate.Definition, error)
}

// Watcher looks at tasks and stops them.
type Watcher interface {
	// DescribeTasks looks at tasks, by ARN. Each has its own error: fargate.ErrMissing where ECS does not know it.
	DescribeTasks(ctx context.Context, arns ...string) map[string]fargate.Described
	ListTasks(ctx context.Context, cluster, startedBy string) ([]string, error)
	StopTask(ctx context.Context, arn, reason string) error
}

// Objects looks for S3 objects and keeps large values.
type Objects interface {
	// Find says whether an object is there, and when it was last modified.
	Find(ctx context.Context, uri string) (modified time.Time, there bool, err error)
	Put(ctx context.Context, uri string, body []byte) error
	Get(ctx context.Context, uri string) ([]byte, error)
}

// Bus emits announcements.
type Bus interface {
	Announce(ctx context.Context, a Announcement) error
}

// Options are what a Dispatcher works with.
type Options struct {
	Deployment string
	Catalog    model.Catalog
	Routes     *route.Table
	Placement  fargate.Placement
	Bucket     string        // the state bucket
	Rate       float64       // RunTask calls a second of all launchers together; 0 is DefaultRate
	Retention  time.Duration // how long what has ended is kept; 0 is DefaultRetention
	Store      store.Store
	Queue      Queue
	Launcher   Launcher
	Watcher    Watcher
	Objects    Objects
	Bus        Bus
	Now        func() time.Time
	Random     func() float64 // in [0, 1): the jitter of backoffs
	Notice     Notice
	LogLink    func(r run.Run, container string) string // where the log of a run's last task can be read; nil is not known
	// Each does independent work n times: nil is all at the same time, as most of it is waiting for AWS.
	Each func(n int, work func(i int))
}

// Notice is told what happens, as it happens: after it is stored, and once for each time that it
// is. What others do at the same time may be told in another order. Fields that are nil are not called.
type Notice struct {
	Decided   func(event.Event, Decision)
	Moved     func(before, after run.Run)
	Announced func(Announcement)
	Lag       func(time.Duration) // until all that is ready has had its turn at RunTask
	Swept     func()              // all that was due has been looked at
	Dropped   func(run.Effect)    // an effect can never be done, and is given up
}

// Dispatcher moves runs.
type Dispatcher struct{ Options }

// New makes a dispatcher.
func New(o Options) *Dispatcher {
	if o.Each == nil {
		o.Each = atOnce
	}
	return &Dispatcher{o}
}

func atOnce(n int, work func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { work(i) })
	}
	all.Wait()
}

// plan is what decides about another attempt besides the run itself.
func (d *Dispatcher) plan() run.Plan {
	return run.Plan{Jitter: d.Random(), Larger: fargate.Next}
}

func log(ctx context.Context) *zerolog.Logger { return zerolog.Ctx(ctx) }
