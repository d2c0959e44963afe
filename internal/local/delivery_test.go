package local

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"modeldispatch/internal/local/eventbridge"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/memory"
)

// logLines collects the lines of a log, and tells waiting tests about each new line.
type logLines struct {
	mu    sync.Mutex
	text  strings.Builder
	added chan struct{}
}

func newLog() *logLines { return &logLines{added: make(chan struct{}, 1)} }

// Write implements io.Writer.
func (l *logLines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.added <- struct{}{}:
	default:
	}
	return l.text.Write(line)
}

func (l *logLines) contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// waitFor waits until the log contains the text. The test fails after a minute.
func (l *logLines) waitFor(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !l.contains(text) {
		select {
		case <-l.added:
		case <-ctx.Done():
			t.Fatalf("the log has no line with %q", text)
		}
	}
}

// startLogged starts a stack without models. The stack stops when the test ends.
func startLogged(t *testing.T, s store.Store) (*Stack, *logLines) {
	t.Helper()
	log := newLog()
	stack, err := Start(t.Context(), Options{Data: t.TempDir(), Port: -1, Log: zerolog.New(log), Store: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stack.Close(context.Background()) }) // some tests break the stack
	return stack, log
}

// TestFailedDeliveryIsLogged puts an object while the target of its event fails. The failure is in the stack's log.
func TestFailedDeliveryIsLogged(t *testing.T) {
	t.Parallel()
	stack, log := startLogged(t, nil)
	var recovered atomic.Bool
	stack.bus.SetRules(eventbridge.Rule{
		Name: "full", Match: func(any) bool { return true }, Target: func(context.Context, json.RawMessage) error {
			if recovered.Load() {
				return nil
			}
			return errors.New("the disk is full")
		},
	})
	done := make(chan error, 1)
	go func() { done <- stack.Put(t.Context(), "s3://"+Bucket+"/x", strings.NewReader("x")) }()
	log.waitFor(t, "the disk is full")
	recovered.Store(true)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestTaskEventEndsWithoutTarget checks that a task goes on when nothing stores its event, and that the log has the
// event.
func TestTaskEventEndsWithoutTarget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		stack := Stack{options: Options{Log: zerolog.New(log)}, bus: eventbridge.New(eventbridge.Options{}, eventbridge.Rule{
			Name: "full", Match: func(any) bool { return true },
			Target: func(context.Context, json.RawMessage) error { return errors.New("the disk is full") },
		})}
		begin := time.Now()
		stack.publishTask(json.RawMessage(`{"source":"aws.ecs","detail-type":"ECS Task State Change","detail":{"taskArn":"task-1"}}`))
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("publishing took %s, want at most a minute", took)
		}
		for _, text := range []string{"gave up", "task-1", "the sweep will describe the task"} {
			if !log.contains(text) {
				t.Errorf("the log has no line with %q", text)
			}
		}
	})
}

// failingStore fails every read of due documents.
type failingStore struct{ store.Store }

func (failingStore) Due(context.Context, int, time.Time, int) ([]store.DueDoc, error) {
	return nil, errors.New("the store is away")
}

// TestFailedFunctionIsLogged checks that the local Lambda writes to the stack's log.
func TestFailedFunctionIsLogged(t *testing.T) {
	t.Parallel()
	stack, log := startLogged(t, failingStore{memory.New()})
	if err := stack.functions.InvokeAsync(t.Context(), "sweep", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	log.waitFor(t, "function failed")
}

// TestStoppedPartIsLogged checks that the log tells when the endpoint or the functions stop before Close.
func TestStoppedPartIsLogged(t *testing.T) {
	t.Parallel()
	stack, log := startLogged(t, nil)
	if err := stack.listener.Close(); err != nil {
		t.Fatal(err)
	}
	log.waitFor(t, "the endpoint stopped")
	if err := stack.queues.Close(); err != nil {
		t.Fatal(err)
	}
	log.waitFor(t, "the functions stopped")
}

// TestSweepIsNotRetried checks that a failed delivery of the sweep is not retried, as in template.yaml. Otherwise, the
// retries of all sweeps would add up while the queues are unusable.
func TestSweepIsNotRetried(t *testing.T) {
	t.Parallel()
	entries, err := (&Stack{}).schedules()
	if err != nil || len(entries) != 1 || entries[0].Name != sweepEntry || !entries[0].NoRetry {
		t.Errorf("the schedules are %+v, %v; want a sweep without retries", entries, err)
	}
}
