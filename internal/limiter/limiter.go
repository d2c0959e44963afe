package limiter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// DefaultRate is the rate if Options.Rate is 0: the number of RunTask calls a second, of all launchers together. The
// default quota of an account is 20 calls a second, in bursts of up to 20.
const DefaultRate = 19.5

// reservationLife limits how long a reservation stays valid after its call may be made. After that, the run gets a new
// one. Otherwise, after a time without launches, all runs with old reservations would call RunTask at once.
const reservationLife = 10 * time.Second

// Runs applies inputs to stored runs.
type Runs interface {
	// TryUpdate applies an input to a run, and stores the result in one commit with more writes. It returns
	// run.ErrIgnored if the run ignores the input, store.ErrConflict if another caller changed a document meanwhile, and
	// store.ErrNotFound for an unknown run.
	TryUpdate(ctx context.Context, id string, input func(run.Run) run.Transition, more ...store.Write) error
}

// Options holds the settings of a Limiter. All fields are required, except where a comment gives the meaning of the zero
// value.
type Options struct {
	Store   store.Store
	Runs    Runs
	Catalog model.Catalog
	Rate    float64 // RunTask calls a second, of all launchers together; 0 means DefaultRate
	Now     func() time.Time
}

// Limiter gives reservations for RunTask calls. It is safe for concurrent use, in one process and in several.
type Limiter struct{ o Options }

// New returns a limiter with these options.
func New(o Options) *Limiter {
	if o.Rate == 0 {
		o.Rate = DefaultRate
	}
	return &Limiter{o}
}

// read returns the document of the limiter and its version. A document that was never written is empty, with version 0.
func (l *Limiter) read(ctx context.Context) (records.Limiter, int64, error) {
	doc, version, err := records.Read[records.Limiter](ctx, l.o.Store, records.LimiterKey())
	if errors.Is(err, store.ErrNotFound) {
		return records.Limiter{Schema: model.Schema}, 0, nil
	}
	return doc, version, err
}

// update stores a change of the limiter's document, and repeats it after a conflict. It stores nothing if the function
// reports that it changed nothing.
func (l *Limiter) update(ctx context.Context, change func(*records.Limiter) bool) error {
	for range store.MaxConflicts {
		doc, version, err := l.read(ctx)
		if err != nil || !change(&doc) {
			return err
		}
		if err := l.o.Store.Commit(ctx, doc.Write(version)); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("launch rate limiter: gave up after %d conflicts with other writers", store.MaxConflicts)
}

// Reservation says what a run that is ready to be launched must do. At most one of WaitFor and Looping is set; the run
// then makes no call. The zero Reservation is for a run that is not ready.
type Reservation struct {
	At            time.Time      // the earliest time for the RunTask call
	CapacityIndex int            // the index in Run.Capacities of the capacity type to ask for
	WaitFor       model.Capacity // the capacity type at whose open breaker the run must wait; empty if it need not wait
	Looping       bool           // the loop guard has stopped the model
}

// Reserve gives a reservation to each of some runs that are ready to be launched, in their order and in one commit. So
// all launchers together stay below the account's quota, and a run does not call RunTask if ECS is known to refuse it.
// Reserve also returns the time until every reservation given so far has come.
func (l *Limiter) Reserve(ctx context.Context, ready []run.Run) (map[string]Reservation, time.Duration, error) {
	reservations := map[string]Reservation{}
	var lag time.Duration
	err := l.update(ctx, func(doc *records.Limiter) bool {
		clear(reservations)
		before, looping := doc.Next, false
		for _, r := range ready {
			reservations[r.ID] = l.reserve(doc, r)
			looping = looping || reservations[r.ID].Looping
		}
		lag = max(doc.Next.Sub(l.o.Now()), 0)
		return !doc.Next.Equal(before) || looping
	})
	return reservations, lag, err
}

// reserve returns the reservation of a run that is ready, and notes it in the document. A run keeps a reservation that
// it has already, unless it is too late for it.
func (l *Limiter) reserve(doc *records.Limiter, r run.Run) Reservation {
	now := l.o.Now()
	if hour := now.Truncate(time.Hour); !hour.Equal(doc.Hour) { // keep only the counts of models that the loop guard paused
		doc.Hour = hour
		maps.DeleteFunc(doc.Launches, func(name string, n int) bool { return n <= l.MaxLaunchesPerHour(name) })
	}
	if doc.Launches == nil {
		doc.Launches = map[string]int{}
	}
	reserved, firstAttempt := Reservation{At: r.Reservation}, r.Attempt == 0
	if now.Sub(reserved.At) > reservationLife {
		reserved.At = time.Time{}
	}
	if r.State == run.Waiting { // a repeated call sends the stored request, with the capacity type that it names
		reserved.CapacityIndex = r.CapacityIndex
		if len(doc.Breakers) > 0 || r.Released != "" {
			reserved.CapacityIndex, reserved.WaitFor = capacity(doc, r)
		}
	}
	switch {
	case reserved.WaitFor != "" || !reserved.At.IsZero():
		return reserved
	case firstAttempt && doc.Launches[r.Model] >= l.MaxLaunchesPerHour(r.Model):
		doc.Launches[r.Model], reserved.Looping = l.MaxLaunchesPerHour(r.Model)+1, true
		return reserved
	case firstAttempt:
		doc.Launches[r.Model]++
	}
	doc.Next = later(doc.Next, now.Add(-time.Second/2)) // allow a burst of up to half a second's calls
	reserved.At, doc.Next = doc.Next, doc.Next.Add(time.Duration(float64(time.Second)/l.o.Rate))
	return reserved
}

// Release releases the first n waiters of a breaker. A run that does not wait any more, or that another caller changed
// meanwhile, is skipped.
func (l *Limiter) Release(ctx context.Context, c model.Capacity, n int, as run.BreakerRelease) error {
	waiters, err := l.o.Store.Partition(ctx, records.BreakerPartition(c), records.WaiterPrefix, n)
	if err != nil {
		return err
	}
	for _, doc := range waiters {
		w, err := records.Decode[records.Waiter](doc)
		if err != nil {
			return err
		}
		err = l.o.Runs.TryUpdate(ctx, w.Run, func(r run.Run) run.Transition { return r.Release(as, l.o.Now()) })
		if err != nil && !errors.Is(err, run.ErrIgnored) && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// MaxLaunchesPerHour returns the number of runs of a model that may be launched in a clock hour.
func (l *Limiter) MaxLaunchesPerHour(name string) int {
	if m, known := l.o.Catalog.Model(name); known && m.Policy.MaxLaunchesPerHour > 0 {
		return m.Policy.MaxLaunchesPerHour
	}
	return model.DefaultMaxLaunchesPerHour
}

// ResetLaunchCount sets the loop guard's count of a model to 0.
func (l *Limiter) ResetLaunchCount(ctx context.Context, name string) error {
	return l.update(ctx, func(doc *records.Limiter) bool {
		_, counted := doc.Launches[name]
		delete(doc.Launches, name)
		return counted
	})
}
