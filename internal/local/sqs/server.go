package sqs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"modeldispatch/internal/local/awsjson"
)

// Options configure a Server. The zero value is ready to use.
type Options struct {
	File    string           // the path of the SQLite database; "" keeps the messages in memory
	Region  string           // the region in ARNs; default us-east-1
	Account string           // the account in ARNs and queue URLs; default 000000000000
	Now     func() time.Time // the clock; default time.Now
}

func (o Options) withDefaults() Options {
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Account == "" {
		o.Account = "000000000000"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// ErrClosed is the error of calls after Close, and of receives that are waiting when Close is called.
var ErrClosed = errors.New("the local SQS is closed")

// Server holds the queues and their messages. Its methods may be called from any goroutine.
type Server struct {
	options Options
	db      *sql.DB
	service awsjson.Service

	mu      sync.Mutex
	arrived map[string]*signal   // by queue: raised when a message is visible, or will be earlier than before
	purged  map[string]time.Time // by queue: the time of the last purge; SQS allows one in 60 s
	changed signal               // raised at each change of any queue
	closing sync.Once
	done    chan struct{} // closed by Close
}

// New opens the queues in options.File. Messages that an earlier process received with Receive and
// did not delete are visible at once, because their receivers are gone. Messages received over HTTP
// stay hidden until their visibility timeout ends. New returns an error if the file cannot be opened
// or another process has it open.
func New(ctx context.Context, options Options) (*Server, error) {
	options = options.withDefaults()
	db, err := open(ctx, options.File)
	if err != nil {
		return nil, err
	}
	s := &Server{
		options: options,
		db:      db,
		arrived: map[string]*signal{},
		purged:  map[string]time.Time{},
		done:    make(chan struct{}),
	}
	s.service = awsjson.Service{Target: "AmazonSQS", Version: "1.0", Operations: s.operations()}
	if err := s.releaseHeld(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("releasing messages of an earlier process: %w", err), db.Close())
	}
	return s, nil
}

// Close ends waiting receives with ErrClosed and closes the database. Further calls of Close do nothing.
func (s *Server) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.done)
		err = s.db.Close()
	})
	return err
}

// Handles reports whether the request is for SQS.
func (s *Server) Handles(r *http.Request) bool { return s.service.Handles(r) }

// ServeHTTP answers a request to SQS's API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.service.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), hostKey{}, r.Host)))
}

// hostKey is the context key of the host name by which the caller reached the endpoint.
type hostKey struct{}

// Changed returns a channel that is closed at the next change of any queue, such as a message that is
// sent, received, deleted, moved or hidden for another time.
func (s *Server) Changed() <-chan struct{} { return s.changed.wait() }

// ARN returns the Amazon Resource Name of a queue.
func (s *Server) ARN(queue string) string {
	return "arn:aws:sqs:" + s.options.Region + ":" + s.options.Account + ":" + queue
}

// url returns the queue's URL, with the host name by which the caller reached the endpoint. Some SDKs
// send requests to that URL, and a container reaches this machine by a different host name than a
// program outside does.
func (s *Server) url(ctx context.Context, queue string) string {
	host, _ := ctx.Value(hostKey{}).(string)
	return "http://" + host + "/" + s.options.Account + "/" + queue
}

// Region returns the region in the queues' ARNs.
func (s *Server) Region() string { return s.options.Region }

// Account returns the account in the queues' ARNs and URLs.
func (s *Server) Account() string { return s.options.Account }

// arrivalSignal returns the signal that wakes the receivers of a queue.
func (s *Server) arrivalSignal(queue string) *signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.arrived[queue] == nil {
		s.arrived[queue] = &signal{}
	}
	return s.arrived[queue]
}

// wake makes the waiting receivers of the queues look for messages again, and raises changed.
func (s *Server) wake(queues ...string) {
	for _, q := range queues {
		s.arrivalSignal(q).raise()
	}
	s.changed.raise()
}

// signal wakes all goroutines that wait for it. A goroutine calls wait first and looks at the queue
// second, so it cannot miss a change in between.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

// wait returns a channel that the next raise closes.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

// raise closes the channel that wait has returned.
func (s *signal) raise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
