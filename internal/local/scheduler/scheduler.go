// Package scheduler fires schedules at their times, as EventBridge Scheduler does, inside this
// process.
//
// An Entry knows when it is due; Run waits for the earliest, and delivers the payload of each that
// is due. What could not be delivered is tried again with growing pauses, 185 times as in AWS,
// and then reported: nothing is dropped without a word.
//
// One thing differs from AWS: times that passed while nobody ran, because the process was down or
// the machine asleep, are not made up for. A time that is noticed more than a minute late, the
// precision that AWS promises, counts as missed; it is logged, and not fired.
package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// precision is how late a time may be and still fire.
	precision = time.Minute
	// glance is the longest wait for one timer. Timers stop while a machine sleeps, the clock on the wall does
	// not; so the wall is looked at now and then.
	glance = 30 * time.Second
)

// Entry is one schedule.
type Entry struct {
	Name string
	// Next is the first time after the given one; the zero time means never again.
	Next func(after time.Time) time.Time
	// Payload is what is delivered for a time.
	Payload func(scheduled time.Time) json.RawMessage
}

// Deliver takes what is due; when it returns nil, the payload must be durable with it.
type Deliver func(ctx context.Context, entry Entry, scheduled time.Time, payload json.RawMessage) error

// Options change how failed deliveries are tried again. The zero value is right for use.
type Options struct {
	Now        func() time.Time // default time.Now
	Retries    int              // after the first try; default 185
	FirstPause time.Duration    // before the first retry, doubled each time; default 100 ms
	LastPause  time.Duration    // what the pause grows to; default 5 min
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Retries == 0 {
		o.Retries = 185
	}
	if o.FirstPause == 0 {
		o.FirstPause = 100 * time.Millisecond
	}
	if o.LastPause == 0 {
		o.LastPause = 5 * time.Minute
	}
	return o
}

// Undelivered is a firing that nobody took.
type Undelivered struct {
	Entry     string
	Scheduled time.Time
	Payload   json.RawMessage
	Err       error // of the last try
}

func (u *Undelivered) Error() string {
	return fmt.Sprintf("schedule %s of %s was not delivered: %v", u.Entry, u.Scheduled.Format(time.RFC3339), u.Err)
}

func (u *Undelivered) Unwrap() error { return u.Err }

// Scheduler fires entries. Its methods may be called from any goroutine.
type Scheduler struct {
	options Options

	mu      sync.Mutex
	entries []Entry
	version int           // of the entries
	changed chan struct{} // closed by the next Set
}

// New makes a scheduler without entries.
func New(options Options) *Scheduler {
	return &Scheduler{options: options.withDefaults(), changed: make(chan struct{})}
}

// Set replaces the entries, whose times count from now on. What is being delivered is not taken back.
func (s *Scheduler) Set(entries []Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = entries
	s.version++
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Scheduler) current() (entries []Entry, version int, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries, s.version, s.changed
}

// Run fires the entries from now on until ctx ends, and returns when no delivery is under way. Each
// delivery has a goroutine of its own: a slow one holds up nobody. The error joins an *Undelivered
// for each firing that was given up, or was not taken yet when ctx ended.
func (s *Scheduler) Run(ctx context.Context, entries []Entry, deliver Deliver) error {
	s.Set(entries)
	p := plan{after: wall(s.options.Now())}
	known := 0
	var deliveries sync.WaitGroup
	var lost losses
	for ctx.Err() == nil {
		entries, version, changed := s.current()
		for _, f := range p.due(ctx, wall(s.options.Now())) {
			deliveries.Go(func() { lost.add(s.deliver(ctx, f, deliver)) })
		}
		if version != known {
			known = version
			p.set(ctx, entries)
		}
		s.sleep(ctx, p.earliest(), changed)
	}
	deliveries.Wait()
	return errors.Join(lost.errs...)
}

// sleep waits for a time, for new entries, or for the next glance at the clock.
func (s *Scheduler) sleep(ctx context.Context, until time.Time, changed <-chan struct{}) {
	wait := glance
	if !until.IsZero() {
		wait = min(wait, until.Sub(wall(s.options.Now())))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-changed:
	case <-timer.C:
	}
}

// wall strips the monotonic clock, which stands still while the machine sleeps.
func wall(t time.Time) time.Time { return t.Round(0) }

// deliver tries until the payload is taken. The end of ctx ends the pauses, not a try: what was due
// before the end is still handed over.
func (s *Scheduler) deliver(ctx context.Context, f firing, deliver Deliver) error {
	payload := f.entry.Payload(f.scheduled)
	log := zerolog.Ctx(ctx).With().Str("schedule", f.entry.Name).Time("scheduled", f.scheduled).Logger()
	pause := s.options.FirstPause
	for try := 0; ; try++ {
		err := deliver(context.WithoutCancel(ctx), f.entry, f.scheduled, payload)
		if err == nil {
			return nil
		}
		lost := &Undelivered{Entry: f.entry.Name, Scheduled: f.scheduled, Payload: payload, Err: err}
		if try == s.options.Retries {
			log.Error().Err(err).RawJSON("payload", payload).Msg("schedule given up")
			return lost
		}
		log.Warn().Err(err).Int("try", try+1).Msg("schedule not delivered")
		timer := time.NewTimer(pause/2 + rand.N(pause/2+1))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return lost
		}
		pause = min(2*pause, s.options.LastPause)
	}
}

// losses collects the firings that were not delivered.
type losses struct {
	mu   sync.Mutex
	errs []error
}

func (l *losses) add(err error) {
	if err == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}
