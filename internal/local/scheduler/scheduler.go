// Package scheduler is the local EventBridge Scheduler: it fires schedules at their times, inside
// this process. In the local stack it starts the flow for the models' schedule triggers (schedule
// due -> schedule function -> run), and it invokes the sweep.
//
// Terms:
//
//   - Entry: one schedule, with functions that return its next time and its payload.
//   - Firing: one entry at one of its times.
//   - Delivery: the call of a Deliver function with the payload of a firing. The local stack's
//     function invokes a Lambda function asynchronously.
//   - Plan: the next firing of each entry, and the time up to which all firings are settled.
//
// Entry points: New makes a Scheduler, Scheduler.Run fires its entries until its context ends, and
// Scheduler.Set replaces the entries meanwhile. plan.due decides which firings are delivered.
//
// Rules:
//
//   - A failed delivery is retried with growing, jittered pauses, up to 185 times as in AWS. The
//     scheduler logs a firing whose retries are used up. Run returns an UndeliveredError for it, and
//     for each firing that is still undelivered when Run ends.
//   - A failed delivery of an entry with NoRetry is logged, and not retried or returned.
//   - A receiver may get a firing twice, if Deliver fails after the payload was stored.
//   - Each delivery has its own goroutine, so a slow one delays no other.
//   - All state is in memory, so a crash loses the deliveries under way. Unlike AWS, the scheduler
//     does not catch up on times that pass while the process is down or the machine sleeps. A time
//     that it notices more than a minute late (the precision that AWS promises) counts as missed: it
//     is logged, and not fired.
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
	// precision is the longest delay after which a time still fires.
	precision = time.Minute
	// maxSleep is the longest wait for one timer. Timers stand still while the machine sleeps, and
	// the wall clock does not. So Run reads the wall clock at least this often.
	maxSleep = 30 * time.Second
)

// Entry is one schedule.
type Entry struct {
	Name string
	// Next returns the first time after the given one, or the zero time if the entry has no further
	// time. An entry whose next time is not after the given one is logged and dropped.
	Next func(after time.Time) time.Time
	// Payload returns the payload that is delivered for a time.
	Payload func(scheduled time.Time) json.RawMessage
	// NoRetry makes the scheduler deliver each payload once, also if the delivery fails.
	NoRetry bool
}

// Deliver hands a payload to its receiver. It returns nil only once the receiver has stored the
// payload durably. After an error the scheduler calls it again with the same payload, unless the entry
// has NoRetry.
type Deliver func(ctx context.Context, entry Entry, scheduled time.Time, payload json.RawMessage) error

// Options configure the clock and the retries of failed deliveries. The zero value is ready to use.
type Options struct {
	Now        func() time.Time // the clock; default time.Now
	Retries    int              // the number of tries after the first; default 185
	FirstPause time.Duration    // the pause before the first retry, doubled for each further one; default 100 ms
	LastPause  time.Duration    // the longest pause; default 5 min
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

// UndeliveredError reports a firing whose deliveries all failed.
type UndeliveredError struct {
	Entry     string // the entry's name
	Scheduled time.Time
	Payload   json.RawMessage
	Err       error // the error of the last try
}

func (u *UndeliveredError) Error() string {
	return fmt.Sprintf("schedule %s: the firing at %s was not delivered: %v", u.Entry, u.Scheduled.Format(time.RFC3339), u.Err)
}

// Unwrap returns the error of the last try.
func (u *UndeliveredError) Unwrap() error { return u.Err }

// Scheduler fires entries. Its methods may be called from any goroutine.
type Scheduler struct {
	options Options

	mu      sync.Mutex
	entries []Entry
	version int           // the number of Set calls, by which Run notices new entries
	changed chan struct{} // closed by the next Set
}

// New returns a scheduler without entries. Call Run to set and fire them.
func New(options Options) *Scheduler {
	return &Scheduler{options: options.withDefaults(), changed: make(chan struct{})}
}

// Set replaces the entries. The times of the new ones count from now on. Deliveries that have begun
// continue.
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

// Run sets the entries, fires them from now on until ctx ends, and returns after the last delivery has
// ended. Each delivery has its own goroutine, so a slow one delays no other. The error joins an
// *UndeliveredError for each firing that used up its retries, or was still undelivered when ctx ended.
func (s *Scheduler) Run(ctx context.Context, entries []Entry, deliver Deliver) error {
	s.Set(entries)
	p := plan{after: wallTime(s.options.Now())}
	known := 0
	var deliveries sync.WaitGroup
	var lost losses
	for ctx.Err() == nil {
		entries, version, changed := s.current()
		for _, f := range p.due(ctx, wallTime(s.options.Now())) {
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

// sleep waits until the given time (zero means no time), new entries, or the end of ctx, but at most
// maxSleep.
func (s *Scheduler) sleep(ctx context.Context, until time.Time, changed <-chan struct{}) {
	wait := maxSleep
	if !until.IsZero() {
		wait = min(wait, until.Sub(wallTime(s.options.Now())))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-changed:
	case <-timer.C:
	}
}

// wallTime strips the monotonic clock reading, which stands still while the machine sleeps.
func wallTime(t time.Time) time.Time { return t.Round(0) }

// deliver calls the Deliver function until it accepts the payload or the retries are used up. The end
// of ctx ends a pause but not a try, so a firing that is due before the end gets at least one try.
func (s *Scheduler) deliver(ctx context.Context, f firing, deliver Deliver) error {
	payload := f.entry.Payload(f.scheduled)
	log := zerolog.Ctx(ctx).With().Str("schedule", f.entry.Name).Time("scheduled", f.scheduled).Logger()
	pause := s.options.FirstPause
	for try := 0; ; try++ {
		err := deliver(context.WithoutCancel(ctx), f.entry, f.scheduled, payload)
		if err == nil {
			return nil
		}
		if f.entry.NoRetry {
			log.Warn().Err(err).Msg("schedule delivery failed; the next firing takes its place")
			return nil
		}
		lost := &UndeliveredError{Entry: f.entry.Name, Scheduled: f.scheduled, Payload: payload, Err: err}
		if try == s.options.Retries {
			log.Error().Err(err).RawJSON("payload", payload).Msg("schedule delivery abandoned")
			return lost
		}
		log.Warn().Err(err).Int("try", try+1).Msg("schedule delivery failed")
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

// losses collects the errors of firings that were not delivered.
type losses struct {
	mu   sync.Mutex
	errs []error
}

// add adds err unless it is nil.
func (l *losses) add(err error) {
	if err == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}
