package sqs_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"modeldispatch/internal/local/sqs"
)

// open opens the queues in a file, or in memory if file is "". It works inside a synctest bubble too.
func open(t *testing.T, file string) *sqs.Server {
	t.Helper()
	s, err := sqs.New(t.Context(), sqs.Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeNow(t *testing.T, s *sqs.Server) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func makeQueue(t *testing.T, s *sqs.Server, name string, a sqs.Attributes) {
	t.Helper()
	if err := s.Create(t.Context(), name, a); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s *sqs.Server, queue, body string, delay time.Duration) {
	t.Helper()
	if _, err := s.Send(t.Context(), queue, body, nil, delay); err != nil {
		t.Fatal(err)
	}
}

// take receives once. It returns the messages, and their bodies.
func take(t *testing.T, s *sqs.Server, queue string, n int, wait time.Duration) ([]sqs.Message, []string) {
	t.Helper()
	messages, err := s.Receive(t.Context(), queue, n, wait)
	if err != nil {
		t.Fatal(err)
	}
	var bodies []string
	for _, m := range messages {
		bodies = append(bodies, m.Body)
	}
	return messages, bodies
}

// The clock is that of a synctest bubble, so a wait takes exactly its nominal time.
func TestWaitingReceiver(t *testing.T) {
	t.Parallel()
	sendAfter := func(delay time.Duration) func(*testing.T, *sqs.Server) {
		return func(t *testing.T, s *sqs.Server) { put(t, s, "q", "a", delay) }
	}
	cases := []struct {
		name  string
		queue sqs.Attributes
		send  func(t *testing.T, s *sqs.Server)
		wait  time.Duration
		want  []string
		after time.Duration
	}{
		{"gets a visible message at once", sqs.Attributes{}, sendAfter(0), time.Minute, []string{"a"}, 0},
		{"returns nothing after its wait", sqs.Attributes{}, func(*testing.T, *sqs.Server) {}, time.Minute, nil, time.Minute},
		{"is woken when a delay ends", sqs.Attributes{}, sendAfter(40 * time.Second), time.Minute, []string{"a"}, 40 * time.Second},
		{"is woken when the queue's delay ends", sqs.Attributes{Delay: 5 * time.Second},
			sendAfter(0), time.Minute, []string{"a"}, 5 * time.Second},
		{"waits for a message in flight", sqs.Attributes{}, func(t *testing.T, s *sqs.Server) {
			put(t, s, "q", "a", 0)
			take(t, s, "q", 1, 0)
		}, time.Minute, []string{"a"}, 30 * time.Second},
		{"is woken when a message is made visible", sqs.Attributes{}, func(t *testing.T, s *sqs.Server) {
			put(t, s, "q", "a", 0)
			m, _ := take(t, s, "q", 1, 0)
			time.AfterFunc(3*time.Second, func() {
				if err := s.ChangeVisibility(t.Context(), "q", m[0].Receipt, 0); err != nil {
					t.Error(err)
				}
			})
		}, time.Minute, []string{"a"}, 3 * time.Second},
		{"gets no message that is older than the retention", sqs.Attributes{Retention: time.Minute}, func(t *testing.T, s *sqs.Server) {
			put(t, s, "q", "a", 0)
			time.Sleep(time.Minute)
		}, 0, nil, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := open(t, "")
				defer closeNow(t, s)
				makeQueue(t, s, "q", c.queue)
				c.send(t, s)
				before := time.Now()
				_, got := take(t, s, "q", 10, c.wait)
				if !slices.Equal(got, c.want) || time.Since(before) != c.after {
					t.Errorf("received %v after %s, want %v after %s", got, time.Since(before), c.want, c.after)
				}
			})
		})
	}
}

func TestReceiveEndsWhenContextOrServerEnds(t *testing.T) {
	t.Parallel()
	s := open(t, "")
	makeQueue(t, s, "q", sqs.Attributes{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() {
		_, err := s.Receive(ctx, "q", 1, time.Hour)
		ended <- err
		_, err = s.Receive(context.WithoutCancel(ctx), "q", 1, time.Hour)
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v", err)
	}
	closeNow(t, s)
	if err := <-ended; !errors.Is(err, sqs.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := s.Send(t.Context(), "q", "late", nil, 0); !errors.Is(err, sqs.ErrClosed) {
		t.Errorf("sending after Close: %v", err)
	}
}

// Many senders and receivers work at the same time, and exactly one receiver gets each message.
func TestEachMessageIsReceivedOnce(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "queues.db"))
	defer closeNow(t, s)
	makeQueue(t, s, "q", sqs.Attributes{})
	const senders, each, receivers = 4, 50, 4
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	seen := map[string]int{}
	var group sync.WaitGroup
	for range senders {
		group.Go(func() {
			for range each {
				if _, err := s.Send(t.Context(), "q", "x", nil, 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range receivers {
		group.Go(func() {
			for ctx.Err() == nil {
				got, err := s.Receive(ctx, "q", 7, time.Hour)
				if err != nil {
					return
				}
				mu.Lock()
				for _, m := range got {
					seen[m.ID]++
				}
				if len(seen) == senders*each {
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	cancel()
	for id, n := range seen {
		if n != 1 {
			t.Errorf("message %s was received %d times", id, n)
		}
	}
	if len(seen) != senders*each {
		t.Errorf("%d messages received, want %d", len(seen), senders*each)
	}
}

func TestReopenedFileReleasesHeldMessages(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "queues.db")
	s := open(t, file)
	makeQueue(t, s, "q", sqs.Attributes{Visibility: time.Hour})
	put(t, s, "q", "held", 0)
	take(t, s, "q", 1, 0)
	put(t, s, "q", "visible", 0)
	put(t, s, "q", "delayed", 15*time.Minute)
	closeNow(t, s)

	s = open(t, file)
	defer closeNow(t, s)
	if counts, err := s.Counts(t.Context()); err != nil || counts["q"] != (sqs.Counts{Visible: 2, Delayed: 1}) {
		t.Errorf("counts %+v %v", counts, err)
	}
	got, bodies := take(t, s, "q", 10, 0)
	if !slices.Equal(bodies, []string{"held", "visible"}) || got[0].Received != 2 {
		t.Errorf("received %v, the first with receive count %d, want held (count 2) and visible", bodies, got[0].Received)
	}
}

func TestSecondProcessIsRejected(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "queues.db")
	s := open(t, file)
	defer closeNow(t, s)
	_, err := sqs.New(t.Context(), sqs.Options{File: file})
	if err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("opening a file twice: error %v, want that another process has it open", err)
	}
}

func TestCreateAgainChangesAttributesAndKeepsMessages(t *testing.T) {
	t.Parallel()
	s := open(t, "")
	defer closeNow(t, s)
	makeQueue(t, s, "q", sqs.Attributes{})
	put(t, s, "q", "a", 0)
	makeQueue(t, s, "q", sqs.Attributes{Visibility: 90 * time.Second})
	if d, err := s.Visibility(t.Context(), "q"); err != nil || d != 90*time.Second {
		t.Errorf("visibility %s %v", d, err)
	}
	if _, bodies := take(t, s, "q", 1, 0); len(bodies) != 1 {
		t.Error("the message is lost")
	}
}

func TestHiddenQueueAcceptsAnyBytes(t *testing.T) {
	t.Parallel()
	s := open(t, "")
	defer closeNow(t, s)
	makeQueue(t, s, "function:f", sqs.Attributes{Hidden: true})
	body := "\x00\xff" + strings.Repeat("x", 2<<20)
	put(t, s, "function:f", body, 0)
	if m, _ := take(t, s, "function:f", 1, 0); len(m) != 1 || m[0].Body != body {
		t.Error("the received body differs from the sent one")
	}
}

func TestBusyAndChanged(t *testing.T) {
	t.Parallel()
	s := open(t, "")
	defer closeNow(t, s)
	makeQueue(t, s, "q", sqs.Attributes{})
	expect := func(when string, want bool) {
		t.Helper()
		if busy, err := s.Busy(t.Context(), "q"); err != nil || busy != want {
			t.Errorf("%s: busy %t, error %v, want %t", when, busy, err, want)
		}
	}
	changed := s.Changed()
	put(t, s, "q", "later", time.Minute)
	expect("with a delayed message", false)
	<-changed
	put(t, s, "q", "now", 0)
	expect("with a visible message", true)
	m, _ := take(t, s, "q", 1, 0)
	expect("with a message in flight", true)
	changed = s.Changed()
	if err := s.Delete(t.Context(), "q", m[0].Receipt); err != nil {
		t.Fatal(err)
	}
	<-changed
	expect("after the message is deleted", false)
}

func TestDeadLettersOfALongBacklog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, "")
		defer closeNow(t, s)
		makeQueue(t, s, "dead", sqs.Attributes{})
		makeQueue(t, s, "q", sqs.Attributes{DeadLetter: "dead", MaxReceives: 1})
		for range 25 {
			put(t, s, "q", "poison", 0)
		}
		take(t, s, "q", 100, 0)
		time.Sleep(31 * time.Second)
		put(t, s, "q", "good", 0)
		if _, bodies := take(t, s, "q", 3, 0); !slices.Equal(bodies, []string{"good"}) {
			t.Errorf("received %v", bodies)
		}
		if _, bodies := take(t, s, "dead", 100, 0); len(bodies) != 25 {
			t.Errorf("%d dead letters", len(bodies))
		}
	})
}

// A dead-letter queue can have a dead-letter queue. It counts only its own receives, not those of the
// queue before it.
func TestDeadLetterQueueWithItsOwnDeadLetterQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, "")
		defer closeNow(t, s)
		makeQueue(t, s, "third", sqs.Attributes{})
		makeQueue(t, s, "second", sqs.Attributes{DeadLetter: "third", MaxReceives: 2})
		makeQueue(t, s, "first", sqs.Attributes{DeadLetter: "second", MaxReceives: 2})
		put(t, s, "first", "poison", 0)
		expect := func(queue string, want ...string) {
			t.Helper()
			if _, bodies := take(t, s, queue, 1, 0); !slices.Equal(bodies, want) {
				t.Errorf("%s received %v, want %v", queue, bodies, want)
			}
		}
		for i, queue := range []string{"first", "second", "third"} {
			expect(queue, "poison")
			time.Sleep(31 * time.Second)
			expect(queue, "poison")
			time.Sleep(31 * time.Second)
			if i < 2 {
				expect(queue) // the third receive moves the message to the next queue
			}
		}
	})
}
