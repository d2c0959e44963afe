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
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/sqlite"
)

// The names and numbers of the local stack.
const (
	Deployment = "modeldispatch"
	Bucket     = "modeldispatch-state" // stores inputs that are passed as files, and large payloads
	Region     = "us-east-1"
	Account    = "000000000000"
	cluster    = "modeldispatch"
	port       = 4566 // the usual port of local AWS endpoints
)

// Options configures a local stack. Data is required.
type Options struct {
	Catalog model.Catalog
	Data    string         // the data folder; Start creates it if it does not exist
	Store   store.Store    // nil selects SQLite in the data folder; the caller closes any other store, after the stack
	Port    int            // 0 selects 4566, or a free port if 4566 is taken; -1 selects a free port
	Log     zerolog.Logger // of the local services
	// FunctionLog is the log of the functions.
	FunctionLog zerolog.Logger
	Secrets     map[string]string // the values of containers' secrets, by name
	Faults      ecs.Faults        // failures to simulate; the zero value simulates none

	// Credentials is the file of the credential that requests must carry; "" selects the file in Data. Start creates
	// the file if it does not exist.
	Credentials    string
	NewCredentials bool     // replaces the credential
	AnyCredentials bool     // accepts requests with any credential, or none
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
	ownStore  *sqlite.Store // the same store if Start opened it, else nil
	queues    *sqs.Server
	objects   *s3.Server
	tasks     *ecs.Server
	bus       *eventbridge.Bus
	functions *lambda.Engine

	mu      sync.Mutex
	watched []dispatch.Hooks // the hooks of Watch

	stop    context.CancelFunc
	running sync.WaitGroup
}

// Start starts a stack. When it returns, the endpoint answers, the schedules are set, and the stack continues the runs
// of an earlier start. ctx bounds the start only; Close stops the stack.
//
// Start returns an error if a stack with the same data folder already runs, if the port is taken (syscall.EADDRINUSE),
// or if the data folder, the credential, a host or an origin is unusable. It then leaves nothing running.
func Start(ctx context.Context, o Options) (*Stack, error) {
	if other, err := Endpoint(ctx, o.Data); err == nil {
		return nil, fmt.Errorf("a local stack with the data folder %s is already running at %s: stop it first", o.Data, other.URL)
	}
	s := &Stack{options: o}
	err := s.listen()
	if err == nil {
		err = s.prepareData(ctx)
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

// prepareData creates the data folder and the credential. It returns an error if NewCredentials would replace the
// credential of a running stack.
func (s *Stack) prepareData(ctx context.Context) error {
	file := cmp.Or(s.options.Credentials, CredentialFile(s.options.Data))
	for _, folder := range []string{filepath.Dir(file), s.options.Data} {
		if err := makeFolder(folder); err != nil {
			return err
		}
	}
	if other, err := Endpoint(ctx, filepath.Dir(file)); s.options.NewCredentials && err == nil {
		return fmt.Errorf("the stack at %s uses the credentials in %s: stop it before you replace them", other.URL, file)
	}
	var err error
	s.credential, err = makeCredential(file, s.options.NewCredentials)
	return err
}

// makeFolder creates a private folder that git ignores.
func makeFolder(path string) error {
	if err := private.Folder(path); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(path, ".gitignore"), []byte("*\n"), private.FileMode)
}

// protect puts the guard in front of the endpoint.
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

// listen listens on the port that Options.Port selects.
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

// URL returns the URL of the endpoint.
func (s *Stack) URL() string { return "http://" + s.listener.Addr().String() }

// Address returns the URL of the endpoint and the credential that it requires.
func (s *Stack) Address() Address { return Address{s.URL(), s.credential} }

// open opens the store and the local services, with the state of an earlier start.
func (s *Stack) open(ctx context.Context) error {
	file := func(name string) string { return filepath.Join(s.options.Data, name) }
	var err error
	if s.store = s.options.Store; s.store == nil {
		if s.ownStore, err = sqlite.Open(ctx, file("store.db")); err != nil {
			return err
		}
		s.store = s.ownStore
	}
	if s.queues, err = sqs.New(ctx, sqs.Options{File: file("sqs.db"), Region: Region, Account: Account, Now: time.Now}); err != nil {
		return err
	}
	s.bus = eventbridge.New(eventbridge.Options{Region: Region, Account: Account, Now: time.Now})
	if s.objects, err = s3.New(s3.Options{Folder: file("s3"), Now: time.Now, OnCreated: s.publishObject}); err != nil {
		return err
	}
	s.tasks, err = ecs.New(ctx, ecs.Options{
		Region: Region, Account: Account, Clusters: []string{cluster}, Now: time.Now, File: file("ecs.db"),
		Runner: process.Runner{Folder: s.modelFolder, Logs: logFolder(s.options.Data)}, Emit: s.publishTask, Secrets: s.secret,
		Environment: environment(s.Address()), LogFile: logFile, Faults: s.options.Faults, Log: s.options.Log,
	})
	return err
}

// publishObject publishes the event of a new object on the bus. S3 calls it before it answers the client, so an error
// reaches the client, which then puts the object again.
func (s *Stack) publishObject(ctx context.Context, o s3.Object) error {
	return s.bus.Publish(ctx, o.Event(Account, Region))
}

// wire deploys the functions and their triggers, and starts the HTTP server, the functions and the schedules.
// Finally it lets ECS settle the tasks of an earlier start, and writes the endpoint file.
func (s *Stack) wire(ctx context.Context) error {
	d, err := Wire(s.Address(), s.options.Catalog, s.store, func(o *dispatch.Options) {
		o.Hooks = dispatch.Hooks{Decided: s.decided, Transitioned: s.transitioned, Announced: s.announced}
		o.LogLink = func(r run.Run, container string) string { return LogFile(s.options.Data, r.ID, r.Attempt, container) }
	})
	if err != nil {
		return err
	}
	if err := s.deploy(ctx, handler.Handlers{Dispatcher: d, Log: s.options.FunctionLog}); err != nil {
		return err
	}
	entries, err := s.schedules()
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(s.withLog(context.WithoutCancel(ctx)))
	s.stop = stop
	s.server = &http.Server{
		Handler: s.guard, ReadHeaderTimeout: 10 * time.Second, DisableGeneralOptionsHandler: true,
		BaseContext: func(net.Listener) context.Context { return s.withLog(context.Background()) },
	}
	s.background(s.serve)
	s.background(func() { s.runFunctions(running) })
	s.background(func() { s.schedule(running, entries) })
	if err := s.tasks.Recover(running); err != nil {
		return err
	}
	return writeEndpoint(s.options.Data, s.URL())
}

// withLog returns a context with the log of the stack. The local services take their log from the context of a call.
func (s *Stack) withLog(ctx context.Context) context.Context { return s.options.Log.WithContext(ctx) }

// serve answers requests until Close, and logs why the endpoint stopped if Close did not stop it.
func (s *Stack) serve() {
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		s.options.Log.Error().Err(err).Msg("the endpoint stopped; restart the stack")
	}
}

// runFunctions runs the functions until ctx ends, and logs why they stopped if they stopped before.
func (s *Stack) runFunctions(ctx context.Context) {
	if err := s.functions.Run(ctx); err != nil {
		s.options.Log.Error().Err(err).Msg("the functions stopped; restart the stack")
	}
}

// background runs f in a goroutine that Close waits for.
func (s *Stack) background(f func()) {
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		f()
	}()
}

// ServeHTTP passes a request that the guard allowed to its service. AWS's JSON protocols name the service in the header
// X-Amz-Target. Other requests go to S3, except the health check and calls of AWS's query protocol, which get an error.
func (s *Stack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == healthPath:
		w.Header().Set(proofHeader, s.credential.proof(r.Header.Get(proofHeader)))
		w.WriteHeader(http.StatusNoContent)
	case s.tasks.Handles(r):
		s.tasks.ServeHTTP(w, r)
	case s.queues.Handles(r):
		s.queues.ServeHTTP(w, r)
	case s.bus.Handles(r):
		s.bus.ServeHTTP(w, r)
	case r.Header.Get("X-Amz-Target") != "":
		http.Error(w, unknownService, http.StatusBadRequest)
	case r.URL.Path == "/" && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, queryProtocol)
	default:
		s.objects.ServeHTTP(w, r)
	}
}

// unknownService is the response to a JSON call of a service that the local stack does not serve.
const unknownService = `{"__type":"UnknownOperationException","message":"the local stack serves S3, SQS, ECS and EventBridge"}`

// queryProtocol is the response to clients from before November 2023, which call SQS by AWS's query protocol.
const queryProtocol = `<ErrorResponse><Error><Type>Sender</Type><Code>UnsupportedOperation</Code>` +
	`<Message>the local stack serves SQS by its JSON protocol only: ` +
	`use version 2.13.28 or later of the AWS CLI, or an SDK of 2024 or later</Message></Error></ErrorResponse>`

// Watch calls the hooks for every decision, change of a run, and announcement from now on. It ignores the other hooks.
func (s *Stack) Watch(h dispatch.Hooks) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched = append(s.watched, h)
}

// hooks returns the hooks of all calls of Watch so far. A later Watch does not change the returned slice.
func (s *Stack) hooks() []dispatch.Hooks {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watched[:len(s.watched):len(s.watched)]
}

func (s *Stack) decided(e event.Event, d records.Decision) {
	for _, h := range s.hooks() {
		if h.Decided != nil {
			h.Decided(e, d)
		}
	}
}

func (s *Stack) transitioned(t run.Transition) {
	for _, h := range s.hooks() {
		if h.Transitioned != nil {
			h.Transitioned(t)
		}
	}
}

func (s *Stack) announced(a dispatch.Announcement) {
	for _, h := range s.hooks() {
		if h.Announced != nil {
			h.Announced(a)
		}
	}
}

// Seed stores an object without an event, so no trigger and no waiting run reacts to it. It returns an error if the URI
// is not an s3:// URI.
func (s *Stack) Seed(uri string, body io.Reader) error {
	object, err := model.ParseObjectURI(uri)
	if err != nil {
		return err
	}
	return s.objects.Seed(object.Bucket, object.Key, body)
}

// Put puts an object through the endpoint, as any client does. When it returns nil, the object's event has been stored.
func (s *Stack) Put(ctx context.Context, uri string, body io.Reader) error {
	object, err := model.ParseObjectURI(uri)
	if err != nil {
		return err
	}
	path := (&url.URL{Path: "/" + object.Bucket + "/" + object.Key}).EscapedPath()
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, s.URL()+path, body)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+s.credential.AccessKeyID+"/s3") // the guard needs no signature
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

// Close stops the stack. It stops the tasks as ECS does on a host that goes away, and waits for their containers to
// exit. The next start continues with the events of these tasks and with all other work that is left. ctx bounds the
// wait for the tasks.
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
	if s.ownStore != nil {
		failed = append(failed, s.ownStore.Close())
	}
	failed = append(failed, removeEndpoint(s.options.Data))
	return errors.Join(failed...)
}

// closeServer waits up to lastRequests for the open requests, and then closes their connections. A client that has
// stopped sending never ends its request.
func (s *Stack) closeServer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lastRequests)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		return s.server.Close()
	}
	return nil
}

// lastRequests is the longest wait for open requests when the stack stops.
const lastRequests = 5 * time.Second

// Tally lists the runs and attempts that break a promise of modeldispatch. Both lists are empty if all is well.
type Tally struct {
	Lost    []string // ids of runs that have not ended
	Doubled []string // startedBy of attempts that have more than one task
}

// Tally waits until no message and no asynchronous event is left to process, and then checks all runs and tasks. It
// does not wait for delayed messages or for tasks: the run of a live task counts as lost.
func (s *Stack) Tally(ctx context.Context) (Tally, error) {
	if err := s.functions.WaitIdle(ctx); err != nil {
		return Tally{}, err
	}
	var t Tally
	for q := (store.Query{Kind: records.KindRun}); ; {
		docs, next, err := s.store.List(ctx, q)
		if err != nil {
			return t, err
		}
		for _, doc := range docs {
			r, err := records.Decode[run.Run](doc)
			if err != nil {
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
	for _, mark := range s.tasks.StartedByValues() {
		if _, _, ours := fargate.ParseStartedBy(Deployment, mark); !ours {
			continue // a task of another client, such as the AWS CLI
		}
		if started[mark]++; started[mark] == 2 {
			t.Doubled = append(t.Doubled, mark)
		}
	}
	return t, nil
}

// Spec returns the inputs and the rendered task with which a run was accepted. It returns the store's error if there is
// no such run.
func (s *Stack) Spec(ctx context.Context, id string) (run.Spec, error) {
	spec, _, err := records.Read[run.Spec](ctx, s.store, records.SpecKey(id))
	return spec, err
}
