// Package sqs is Amazon SQS on one machine: standard queues behind SQS's own JSON protocol, for
// any AWS SDK or CLI, and behind a Go API, for the local stack itself.
//
// A message lives in one SQLite table from Send to Delete. It is visible, in flight (received,
// hidden until its visibility timeout) or delayed, and which of these follows from two columns:
// when it is visible next, and how often it was received. Every call is one transaction, so a
// message whose Send was answered survives the death of the process. Receivers that wait are
// woken by whatever made a message visible, or by one timer for the next that will be.
//
// Kept from SQS: at-least-once delivery, receipt handles that only the latest receive may use,
// dead-letter queues by RedrivePolicy (a message is moved by the receive that would be one too
// many), delays, retention, limits, MD5 sums, error names. Left out: FIFO queues, encryption,
// policies, tags, throttling, and the 60 seconds that a deleted queue's name is blocked.
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

// Options says where the queues live. None is required.
type Options struct {
	File    string           // SQLite database, held by one process at a time; "" keeps messages in memory
	Region  string           // default us-east-1
	Account string           // default 000000000000
	Now     func() time.Time // default time.Now
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

// ErrClosed is what a call, waiting ones included, gets once the server is closed.
var ErrClosed = errors.New("the local SQS is closed")

// Server holds the queues. Its methods may be called from any goroutine.
type Server struct {
	options Options
	db      *sql.DB
	service awsjson.Service

	mu      sync.Mutex
	arrived map[string]*signal   // by queue: a message became visible, or will be sooner
	purged  map[string]time.Time // by queue: SQS allows one purge in 60 s
	changed signal               // anything happened, anywhere
	closing sync.Once
	done    chan struct{}
}

// New opens the queues of options.File. Messages that a receiver of an earlier process had in
// flight through Receive are visible again at once, for that receiver is gone; those that were
// received over HTTP stay hidden for their visibility timeout.
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

// Close ends waiting receives and closes the database.
func (s *Server) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.done)
		err = s.db.Close()
	})
	return err
}

// Serves says whether the request is for SQS.
func (s *Server) Serves(r *http.Request) bool { return s.service.Serves(r) }

// ServeHTTP answers a request to SQS's API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.service.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), hostKey{}, r.Host)))
}

// hostKey marks the host by which a caller reached the endpoint.
type hostKey struct{}

// Changed returns a channel that is closed at the next change of any queue: a message sent,
// received, deleted, moved or hidden for another time.
func (s *Server) Changed() <-chan struct{} { return s.changed.wait() }

// ARN is the queue's Amazon Resource Name.
func (s *Server) ARN(queue string) string {
	return "arn:aws:sqs:" + s.options.Region + ":" + s.options.Account + ":" + queue
}

// url returns the queue's address at the host by which the caller reached us: some SDKs call that
// address, and a container reaches this machine by another name than its programs do.
func (s *Server) url(ctx context.Context, queue string) string {
	host, _ := ctx.Value(hostKey{}).(string)
	return "http://" + host + "/" + s.options.Account + "/" + queue
}

// Region is the region that the queues pretend to be in.
func (s *Server) Region() string { return s.options.Region }

// Account is the account that the queues pretend to be in.
func (s *Server) Account() string { return s.options.Account }

func (s *Server) arrival(queue string) *signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.arrived[queue] == nil {
		s.arrived[queue] = &signal{}
	}
	return s.arrived[queue]
}

// wake tells the queues' receivers to look again, and everyone that something changed.
func (s *Server) wake(queues ...string) {
	for _, q := range queues {
		s.arrival(q).raise()
	}
	s.changed.raise()
}

// signal wakes everyone who waits for it, once. Take the channel first and look second: then
// nothing that happens in between is missed.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) raise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
