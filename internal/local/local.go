// Package local is the whole of modeldispatch on one machine: the parts of AWS that it uses, each
// in a package of its own and true to AWS's contracts, with the functions wired to them as a
// deployment wires them. Any AWS SDK or CLI can talk to its one port.
//
//	S3 put ──► bus ──► arrival ─┐
//	SQS ─────────────► message ─┼─► store, launch queue ─► launch ─► ECS ─► process
//	schedule ────────► schedule ┘                                     │
//	                        store ◄── completion ◄── bus ◄── task state changes
//
// All of it is durable in one data folder: what was accepted before a crash is settled after the
// next start.
package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/handler"
	"modeldispatch/internal/local/ecs"
	"modeldispatch/internal/local/eventbridge"
	"modeldispatch/internal/local/guard"
	"modeldispatch/internal/local/lambda"
	"modeldispatch/internal/local/process"
	"modeldispatch/internal/local/s3"
	"modeldispatch/internal/local/sqs"
	"modeldispatch/internal/model"
	"modeldispatch/internal/private"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/sqlite"
)

// The names of things in the local stack.
const (
	Deployment = "modeldispatch"
	Bucket     = "modeldispatch-state" // inputs that are given as files, and large payloads
	Region     = "us-east-1"
	Account    = "000000000000"
	cluster    = "modeldispatch"
	port       = 4566 // what AWS tools expect of a local endpoint
)

// Options are what the local stack is started with.
type Options struct {
	Catalog model.Catalog
	Data    string      // folder
	Store   store.Store // nil is SQLite in the data folder; who gives another one closes it, after the stack
	Port    int         // 0 is 4566, or a free one where that is taken; -1 is a free one
	Log     zerolog.Logger
	Secrets map[string]string // what containers' secrets are, by name
	Faults  ecs.Faults        // what goes wrong on purpose

	// Credentials is the file of the credential that requests carry. It is made where it is not there. "" is the one in Data.
	Credentials    string
	NewCredentials bool     // replaces the credential
	AnyCredentials bool     // takes all requests, signed or not
	AllowHosts     []string // hosts beside loopback that a request may name; see guard.Options
	AllowOrigins   []string // web apps that may call the endpoint; see guard.Options
}

// Stack is a running local stack.
type Stack struct {
	options    Options
	credential Credential
	listener   net.Listener
	guard      *guard.Guard
	server     *http.Server

	store     store.Store
	own       *sqlite.Store // the same, where none was given
	queues    *sqs.Server
	objects   *s3.Server
	tasks     *ecs.Server
	bus       *eventbridge.Bus
	functions *lambda.Engine

	mu      sync.Mutex
	notices []dispatch.Notice

	stop    context.CancelFunc
	running sync.WaitGroup
}

// Start starts the stack. When it returns, its endpoint answers, its schedules are set, and the
// runs of an earlier start are being settled.
func Start(ctx context.Context, o Options) (*Stack, error) {
	if there, err := Endpoint(ctx, o.Data); err == nil {
		return nil, fmt.Errorf("a local stack with the data in %s is running already, at %s", o.Data, there.URL)
	}
	s := &Stack{options: o}
	err := s.listen()
	if err == nil {
		err = s.makeData(ctx)
	}
	if err == nil {
		err = s.protect()
	}
	if err == nil {
		err = s.open(ctx)
	}
	if err == nil {
		err = s.wire(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the local stack: %w", err), s.Close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// makeData makes the data folder and the credential.
func (s *Stack) makeData(ctx context.Context) error {
	file := cmp.Or(s.options.Credentials, CredentialFile(s.options.Data))
	for _, folder := range []string{filepath.Dir(file), s.options.Data} {
		if err := makeFolder(folder); err != nil {
			return err
		}
	}
	if there, err := Endpoint(ctx, filepath.Dir(file)); s.options.NewCredentials && err == nil {
		return fmt.Errorf("the stack at %s takes the credentials of %s: stop it before you replace them", there.URL, file)
	}
	var err error
	s.credential, err = makeCredential(file, s.options.NewCredentials)
	return err
}

// makeFolder makes a folder for data, which git ignores.
func makeFolder(path string) error {
	if err := private.Folder(path); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(path, ".gitignore"), []byte("*\n"), private.FileMode)
}

// protect puts the guard in front of the endpoints.
func (s *Stack) protect() error {
	o := guard.Options{
		Port: s.listener.Addr().(*net.TCPAddr).Port, Hosts: s.options.AllowHosts, Origins: s.options.AllowOrigins,
		AccessKeyID: s.credential.AccessKeyID,
	}
	if s.options.AnyCredentials {
		o.AccessKeyID = ""
	}
	var err error
	s.guard, err = guard.New(o, s)
	return err
}

// listen takes the port.
func (s *Stack) listen() error {
	var err error
	switch wanted := s.options.Port; {
	case wanted > 0:
		s.listener, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", wanted))
	case wanted == 0:
		if s.listener, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return nil
		}
		fallthrough
	default:
		s.listener, err = net.Listen("tcp", "127.0.0.1:0")
	}
	return err
}

// URL returns the endpoint.
func (s *Stack) URL() string { return "http://" + s.listener.Addr().String() }

// Address returns the endpoint and the credential that it asks for.
func (s *Stack) Address() Address { return Address{s.URL(), s.credential} }

// open opens everything that is durable.
func (s *Stack) open(ctx context.Context) error {
	file := func(name string) string { return filepath.Join(s.options.Data, name) }
	var err error
	if s.store = s.options.Store; s.store == nil {
		if s.own, err = sqlite.Open(ctx, file("store.db")); err != nil {
			return err
		}
		s.store = s.own
	}
	if s.queues, err = sqs.New(ctx, sqs.Options{File: file("sqs.db"), Region: Region, Account: Account, Now: time.Now}); err != nil {
		return err
	}
	s.bus = eventbridge.New(eventbridge.Options{Region: Region, Account: Account, Now: time.Now})
	if s.objects, err = s3.New(s3.Options{Folder: file("s3"), Now: time.Now, Created: s.created}); err != nil {
		return err
	}
	s.tasks, err = ecs.New(ctx, ecs.Options{
		Region: Region, Account: Account, Clusters: []string{cluster}, Now: time.Now, File: file("ecs.db"),
		Runner: process.Runner{Folder: s.folder, Logs: logFolder(s.options.Data)}, Emit: s.changed, Secrets: s.secret,
		Environment: environment(s.Address()), LogFile: logFile, Faults: s.options.Faults,
	})
	return err
}

// created puts S3's event on the bus, before the client has its answer.
func (s *Stack) created(ctx context.Context, o s3.Object) error {
	return s.bus.Publish(ctx, o.Event(Account, Region))
}

// wire connects the functions to what invokes them, and starts everything.
func (s *Stack) wire(ctx context.Context) error {
	d, err := Wire(s.Address(), s.options.Catalog, s.store)
	if err != nil {
		return err
	}
	d.Notice = dispatch.Notice{Decided: s.decided, Moved: s.moved, Announced: s.announced}
	d.LogLink = func(r run.Run, container string) string { return LogFile(s.options.Data, r.ID, r.Attempt, container) }
	if err := s.deploy(ctx, handler.Handlers{Dispatcher: d, Log: s.options.Log}); err != nil {
		return err
	}
	entries, err := s.schedules()
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.server = &http.Server{Handler: s.guard, ReadHeaderTimeout: 10 * time.Second, DisableGeneralOptionsHandler: true}
	s.start(func() { _ = s.server.Serve(s.listener) })
	s.start(func() { _ = s.functions.Run(running) })
	s.start(func() { s.schedule(running, entries) })
	if err := s.tasks.Recover(running); err != nil {
		return err
	}
	return writeEndpoint(s.options.Data, s.URL())
}

func (s *Stack) start(f func()) {
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		f()
	}()
}

// ServeHTTP gives a request that the guard let through to the service that it is for: AWS's JSON protocols name theirs in a
// header, and everything else is S3.
func (s *Stack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == healthPath:
		w.Header().Set(proofHeader, s.credential.proof(r.Header.Get(proofHeader)))
		w.WriteHeader(http.StatusNoContent)
	case s.tasks.Serves(r):
		s.tasks.ServeHTTP(w, r)
	case s.queues.Serves(r):
		s.queues.ServeHTTP(w, r)
	case s.bus.Serves(r):
		s.bus.ServeHTTP(w, r)
	case r.Header.Get("X-Amz-Target") != "":
		http.Error(w, `{"__type":"UnknownOperationException","message":"the local stack serves S3, SQS, ECS and EventBridge"}`, http.StatusBadRequest)
	case r.URL.Path == "/" && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, queryProtocol)
	default:
		s.objects.ServeHTTP(w, r)
	}
}

// queryProtocol answers clients from before November 2023, which speak AWS's query protocol to SQS.
const queryProtocol = `<ErrorResponse><Error><Type>Sender</Type><Code>UnsupportedOperation</Code>` +
	`<Message>the local stack serves SQS by its JSON protocol only: use version 2.13.28 or later of the AWS CLI, or an SDK of 2024 or later</Message>` +
	`</Error></ErrorResponse>`

// Watch has a notice called for all that happens from now on.
func (s *Stack) Watch(n dispatch.Notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notices = append(s.notices, n)
}

func (s *Stack) watchers() []dispatch.Notice {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notices[:len(s.notices):len(s.notices)]
}

func (s *Stack) decided(e event.Event, d dispatch.Decision) {
	for _, n := range s.watchers() {
		if n.Decided != nil {
			n.Decided(e, d)
		}
	}
}

func (s *Stack) moved(before, after run.Run) {
	for _, n := range s.watchers() {
		if n.Moved != nil {
			n.Moved(before, after)
		}
	}
}

func (s *Stack) announced(a dispatch.Announcement) {
	for _, n := range s.watchers() {
		if n.Announced != nil {
			n.Announced(a)
		}
	}
}

// Seed puts an object in place without anything being told of it.
func (s *Stack) Seed(uri string, body io.Reader) error {
	bucket, key, err := model.SplitS3(uri)
	if err != nil {
		return err
	}
	return s.objects.Seed(bucket, key, body)
}

// Put puts an object through the endpoint, as any client does.
func (s *Stack) Put(ctx context.Context, uri string, body io.Reader) error {
	bucket, key, err := model.SplitS3(uri)
	if err != nil {
		return err
	}
	path := (&url.URL{Path: "/" + bucket + "/" + key}).EscapedPath()
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, s.URL()+path, body)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+s.credential.AccessKeyID+"/s3")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("putting %s: %s", uri, answer.Status)
	}
	return nil
}

// Close stops everything: no new event is taken, tasks are stopped as ECS does, and what they say
// of it is kept for the next start.
func (s *Stack) Close(ctx context.Context) error {
	var failed []error
	if s.tasks != nil {
		failed = append(failed, s.tasks.Close(ctx))
	}
	if s.stop != nil {
		s.stop()
	}
	if s.server != nil {
		failed = append(failed, s.closeServer(ctx))
	} else if s.listener != nil {
		failed = append(failed, s.listener.Close())
	}
	s.running.Wait()
	if s.queues != nil {
		failed = append(failed, s.queues.Close())
	}
	if s.own != nil {
		failed = append(failed, s.own.Close())
	}
	failed = append(failed, removeEndpoint(s.options.Data))
	return errors.Join(failed...)
}

// closeServer waits for requests to end, and then cuts off the rest: a client that has stopped sending never ends its request.
func (s *Stack) closeServer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lastRequests)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		return s.server.Close()
	}
	return nil
}

// lastRequests bounds the wait for requests when the stack stops.
const lastRequests = 5 * time.Second

// Tally is what a look at all runs and tasks says.
type Tally struct {
	Lost    []string // runs that have not ended
	Doubled []string // attempts that have more than one task
}

// Tally waits until nothing is under way, and counts what must not be.
func (s *Stack) Tally(ctx context.Context) (Tally, error) {
	if err := s.functions.WaitIdle(ctx); err != nil {
		return Tally{}, err
	}
	var t Tally
	for q := (store.Query{Kind: dispatch.KindRun}); ; {
		docs, next, err := s.store.List(ctx, q)
		if err != nil {
			return t, err
		}
		for _, doc := range docs {
			var r run.Run
			if err := dispatch.Decode(doc, &r); err != nil {
				return t, err
			}
			if !r.State.Ended() {
				t.Lost = append(t.Lost, r.ID)
			}
		}
		if q.Cursor = next; next == "" {
			break
		}
	}
	started := map[string]int{}
	for _, mark := range s.tasks.StartedBy() {
		if _, _, ours := fargate.ParseStartedBy(Deployment, mark); !ours {
			continue // somebody else's: by the AWS CLI, for instance
		}
		if started[mark]++; started[mark] == 2 {
			t.Doubled = append(t.Doubled, mark)
		}
	}
	return t, nil
}

// Spec is what a run was accepted with.
func (s *Stack) Spec(ctx context.Context, id string) (run.Spec, error) {
	spec, _, err := dispatch.Read[run.Spec](ctx, s.store, dispatch.SpecKey(id))
	return spec, err
}
