package ecs

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"modeldispatch/internal/local/awsjson"
)

// Options configures a Server. Region, Account, Now, Runner and LogFile are required.
type Options struct {
	Region   string
	Account  string
	Clusters []string // clusters beside `default`, which always exists
	Now      func() time.Time
	Runner   Runner
	// Emit receives an EventBridge event for each change of a task, in the order of the task's versions. nil drops events.
	Emit func(event json.RawMessage)
	// File is the path of the SQLite file for tasks, calls and task definitions. "" keeps them in memory.
	File string
	// Secrets returns the value of a container's secret by the secret's name, and whether it is set. With nil, none is
	// set.
	Secrets func(name string) (string, bool)
	// Environment holds variables for every container, as NAME=value. The container's own variables come after them.
	Environment []string
	// LogFile returns the path of a container's log file, relative to the Runner's log folder.
	LogFile func(startedBy, taskID, container string) string
	// Parallel limits the tasks that have containers running at the same time. Other tasks wait in PENDING.
	// 0 means two for each CPU.
	Parallel int
	// Faults makes calls and tasks fail. Its zero value injects no fault.
	Faults Faults
	// Log receives the errors that no caller gets. Its zero value discards them.
	Log zerolog.Logger
}

// retention limits how long the server remembers a stopped task.
const retention = time.Hour

// Server is a local ECS. It implements http.Handler.
type Server struct {
	Options
	service  awsjson.Service
	db       *sql.DB
	running  chan struct{} // holds one item for each task that has its containers running; full at Options.Parallel
	clusters map[string]bool

	mu          sync.Mutex
	tasks       map[string]*task         // tasks by ARN
	calls       map[string]*call         // calls by call.key
	definitions map[string][]*definition // revisions by family, the first at index 0
	closing     bool                     // Close was called: RunTask is refused
	live        sync.WaitGroup           // counts the goroutines in runLifecycle
}

// New opens the local ECS and loads the tasks, calls and task definitions in Options.File. It fails if that file cannot
// be opened or read. Call Recover as soon as Emit can be called.
func New(ctx context.Context, o Options) (*Server, error) {
	if o.Parallel == 0 {
		o.Parallel = 2 * runtime.NumCPU()
	}
	s := &Server{
		Options: o, running: make(chan struct{}, o.Parallel), clusters: map[string]bool{"default": true},
		tasks: map[string]*task{}, calls: map[string]*call{}, definitions: map[string][]*definition{},
	}
	for _, name := range o.Clusters {
		s.clusters[name] = true
	}
	s.service = awsjson.Service{Target: "AmazonEC2ContainerServiceV20141113", Version: "1.1", Operations: map[string]awsjson.Operation{
		"RunTask":                  s.runTask,
		"StopTask":                 awsjson.Handle(s.stopTask),
		"DescribeTasks":            awsjson.Handle(s.describeTasks),
		"ListTasks":                awsjson.Handle(s.listTasks),
		"RegisterTaskDefinition":   s.registerTaskDefinition,
		"DescribeTaskDefinition":   awsjson.Handle(s.describeTaskDefinition),
		"DeregisterTaskDefinition": awsjson.Handle(s.deregisterTaskDefinition),
		"ListTaskDefinitions":      awsjson.Handle(s.listTaskDefinitions),
		"ListClusters":             awsjson.Handle(s.listClusters),
		"DescribeClusters":         awsjson.Handle(s.describeClusters),
		"CreateCluster":            awsjson.Handle(s.createCluster),
	}}
	if err := s.openFile(ctx); err != nil {
		return nil, fmt.Errorf("opening the local ECS: %w", err)
	}
	return s, nil
}

// Handles reports whether the request is an ECS call.
func (s *Server) Handles(r *http.Request) bool { return s.service.Handles(r) }

// ServeHTTP answers a call of the ECS API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.service.ServeHTTP(w, r) }

// Recover settles the tasks of an earlier process that died. It kills the leftover processes of each live task and
// stops the task with TerminationNotice, as ECS does when a host is lost. For each stopped task it emits the last
// event again, because the earlier process may have died before it did. It returns an error when the Runner cannot
// reap a task. The tasks after that one stay unsettled.
func (s *Server) Recover(context.Context) error {
	s.mu.Lock()
	var live []*task
	var ended []taskState
	for _, t := range s.tasks {
		if t.LastStatus == stopped {
			ended = append(ended, t.state())
		} else {
			live = append(live, t)
		}
	}
	s.mu.Unlock()
	for _, t := range ended {
		s.emit(t)
	}
	for _, t := range live {
		if err := s.Runner.Reap(t.ARN); err != nil {
			return fmt.Errorf("killing the leftover processes of task %s: %w", t.ARN, err)
		}
		s.finish(t, stopCause{code: "TerminationNotice", reason: "Host terminated: the local stack was killed"})
	}
	return nil
}

// Close refuses further RunTask calls, stops all tasks with TerminationNotice and waits for them. Then it closes the
// file. It returns an error, and leaves the file open, when ctx ends before all tasks have stopped.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for _, t := range s.tasks {
		t.requestStop(stopCause{code: "TerminationNotice", reason: "Host terminated: the local stack was stopped"})
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.live.Wait()
		close(done)
	}()
	select {
	case <-done:
		return s.db.Close()
	case <-ctx.Done():
		return fmt.Errorf("closing the local ECS: waiting for tasks to stop: %w", ctx.Err())
	}
}

// arn returns the ARN of an ECS resource in this region and account.
func (s *Server) arn(rest string) string {
	return fmt.Sprintf("arn:aws:ecs:%s:%s:%s", s.Region, s.Account, rest)
}
