// Package ecs is Amazon ECS on one machine, as far as standalone tasks go: any AWS SDK or CLI can
// register a task definition, run, list, describe and stop tasks. What a container is, a Runner
// decides; here it is kept what ECS promises about tasks:
//
//   - a clientToken names one call: the same call again returns the same tasks (or failures), and
//     another call with the token is a ConflictException that names them. A token lives for 24
//     hours, or an hour longer than its tasks, whichever is shorter;
//   - RunTask can start nothing and still answer 200, with failures[];
//   - a task goes through its statuses with a version that grows at each change, each of which
//     is an ECS Task State Change event;
//   - a stopped task is known for an hour, then MISSING.
//
// Tasks and calls are written down before anything is started, in a SQLite file, so they outlive
// this process: a task that was live when it died is found and stopped by Recover.
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

	"modeldispatch/internal/local/awsjson"
)

// Options are what the local ECS works with.
type Options struct {
	Region   string
	Account  string
	Clusters []string // beside `default`
	Now      func() time.Time
	Runner   Runner
	// Emit is given an EventBridge event for each change of a task, in the order of its versions.
	Emit func(event json.RawMessage)
	// File is the SQLite file that keeps tasks; "" keeps them in memory.
	File string
	// Secrets gives the value of a container's secret, by the secret's name.
	Secrets func(name string) (string, bool)
	// Environment is what every container finds beside its own, as NAME=value.
	Environment []string
	// LogFile returns the path of a container's log, in the Runner's folder of logs.
	LogFile func(startedBy, taskID, container string) string
	// Parallel is how many tasks have their containers running at once; others wait in PENDING.
	// Default: two for each CPU.
	Parallel int
	// Faults, when set, makes calls and tasks fail.
	Faults Faults
}

// retention is how long a stopped task is known.
const retention = time.Hour

// Server is the local ECS.
type Server struct {
	Options
	service  awsjson.Service
	db       *sql.DB
	slots    chan struct{} // one for each task whose containers may run
	clusters map[string]bool

	mu          sync.Mutex
	tasks       map[string]*task // by ARN
	calls       map[string]*call // by cluster and token
	definitions map[string][]*definition
	closing     bool
	live        sync.WaitGroup
}

// New opens the local ECS with what an earlier process left. Call Recover once Emit can be used.
func New(ctx context.Context, o Options) (*Server, error) {
	if o.Parallel == 0 {
		o.Parallel = 2 * runtime.NumCPU()
	}
	s := &Server{
		Options: o, slots: make(chan struct{}, o.Parallel), clusters: map[string]bool{"default": true},
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

// Serves says whether the request is for ECS.
func (s *Server) Serves(r *http.Request) bool { return s.service.Serves(r) }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.service.ServeHTTP(w, r) }

// Recover settles the tasks of an earlier process that died: what is left of their processes is
// ended, and they are STOPPED as if their host had been lost. Of tasks that had stopped the last
// event is emitted again, as it may not have been before.
func (s *Server) Recover(context.Context) error {
	s.mu.Lock()
	var left []*task
	var ended []taskState
	for _, t := range s.tasks {
		if t.LastStatus == stopped {
			ended = append(ended, t.state())
		} else {
			left = append(left, t)
		}
	}
	s.mu.Unlock()
	for _, t := range ended {
		s.emit(t)
	}
	for _, t := range left {
		if err := s.Runner.Reap(t.ARN); err != nil {
			return fmt.Errorf("ending what is left of task %s: %w", t.ARN, err)
		}
		s.finish(t, stop{code: "TerminationNotice", reason: "Host terminated: the local stack was killed"})
	}
	return nil
}

// Close stops all tasks as a host that is going away does, and returns when they have stopped.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for _, t := range s.tasks {
		t.ask(stop{code: "TerminationNotice", reason: "Host terminated: the local stack was stopped"})
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
		return fmt.Errorf("tasks have not stopped: %w", ctx.Err())
	}
}

// arn is the name of something of this account.
func (s *Server) arn(rest string) string {
	return fmt.Sprintf("arn:aws:ecs:%s:%s:%s", s.Region, s.Account, rest)
}
