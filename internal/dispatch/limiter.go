package dispatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// DefaultRate is the rate if Options.Rate is 0: the number of RunTask calls a second, of all launchers together. The
// default quota of an account is 20 calls a second, in bursts of up to 20.
const DefaultRate = 19.5

// reservationLife limits how long a reservation stays valid after its call may be made. After that, the run gets a new
// one. Otherwise, after a time without launches, all runs with old reservations would call RunTask at once.
const reservationLife = 10 * time.Second

// limiter is the one document that all launchers share. It holds the launch rate, the capacity breakers (see
// breaker.go) and the counts of the loop guard.
type limiter struct {
	Schema int       `json:"schema"`
	Next   time.Time `json:"next"` // the time of the next free reservation
	// Breakers holds the open breakers. The value is the time of the next probe.
	Breakers map[model.Capacity]time.Time `json:"breakers,omitempty"`
	Hour     time.Time                    `json:"hour"` // the start of the hour that Launches counts
	// Launches counts the runs of each model that were launched in this clock hour. A count above the limit marks a model
	// that the loop guard has paused. It stays in the next hour, until the model is resumed.
	Launches map[string]int `json:"launches,omitempty"`
}

// limiterKey is the key of the limiter. No model can have the name -.
var limiterKey = store.Key{PK: "control/-", SK: "rate-limiter"}

// limiterWrite returns the write of a limiter that was read at this version; 0 creates it. It is due at its next probe.
func limiterWrite(l limiter, version int64) store.Write {
	due := time.Time{}
	for _, probe := range l.Breakers {
		if due.IsZero() || probe.Before(due) {
			due = probe
		}
	}
	return store.Write{Doc: store.Doc{Key: limiterKey, Version: version, Body: encode(l), Due: due}, IfVersion: version}
}

// readLimiter returns the limiter and its version. A limiter that was never written is empty, with version 0.
func (d *Dispatcher) readLimiter(ctx context.Context) (limiter, int64, error) {
	l, version, err := Read[limiter](ctx, d.Store, limiterKey)
	if errors.Is(err, store.ErrNotFound) {
		return limiter{Schema: model.Schema}, 0, nil
	}
	return l, version, err
}

// updateLimiter stores a change of the limiter, and repeats it after a conflict. It stores nothing if the function
// reports that it changed nothing.
func (d *Dispatcher) updateLimiter(ctx context.Context, change func(limiter) (limiter, bool)) error {
	for range maxConflicts {
		before, version, err := d.readLimiter(ctx)
		if err != nil {
			return err
		}
		before.Breakers, before.Launches = maps.Clone(before.Breakers), maps.Clone(before.Launches)
		after, changed := change(before)
		if !changed {
			return nil
		}
		if err := d.Store.Commit(ctx, limiterWrite(after, version)); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("launch rate limiter: gave up after %d conflicts with other writers", maxConflicts)
}

// Reservation says what a run that is ready to be launched must do. At most one of WaitFor and Looping is set; the run
// then makes no call. The zero Reservation is for a run that is not ready.
type Reservation struct {
	At            time.Time      // the earliest time for the RunTask call
	CapacityIndex int            // the index in Run.Capacities of the capacity type to ask for
	WaitFor       model.Capacity // the capacity type at whose open breaker the run must wait; empty if it need not wait
	Looping       bool           // the loop guard has stopped the model
}

// Reserve gives a reservation to each run of a batch that is ready to be launched, in the order of the ids and in one
// commit. So all launchers together stay below the account's quota, and a run does not call RunTask if ECS is known to
// refuse it. A run that is not ready, or cannot be read, gets none. Reserve also pauses the models that the loop guard
// stops.
func (d *Dispatcher) Reserve(ctx context.Context, ids ...string) (map[string]Reservation, error) {
	runs := make([]run.Run, len(ids))
	d.ForEach(len(ids), func(i int) {
		// Launch reports the error of a run that cannot be read.
		if r, _, err := Read[run.Run](ctx, d.Store, RunKey(ids[i])); err == nil && r.CanCall(d.Now()) {
			runs[i] = r
		}
	})
	var ready []run.Run // without duplicates, in the order of the ids
	for _, r := range runs {
		if r.ID != "" && !slices.ContainsFunc(ready, func(other run.Run) bool { return other.ID == r.ID }) {
			ready = append(ready, r)
		}
	}
	if len(ready) == 0 {
		return nil, nil
	}
	reservations := map[string]Reservation{}
	var lag time.Duration
	err := d.updateLimiter(ctx, func(l limiter) (limiter, bool) {
		clear(reservations)
		before := l.Next
		for _, r := range ready {
			reservations[r.ID] = d.reserve(&l, r)
		}
		lag = max(l.Next.Sub(d.Now()), 0)
		return l, !l.Next.Equal(before) || anyLooping(reservations)
	})
	if err != nil {
		return nil, err
	}
	if d.Hooks.LaunchLag != nil {
		d.Hooks.LaunchLag(lag)
	}
	return reservations, d.pauseLooping(ctx, ready, reservations)
}

// anyLooping reports whether the loop guard has stopped the model of any of the reservations.
func anyLooping(reservations map[string]Reservation) bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(reservations)), func(r Reservation) bool { return r.Looping })
}

// reserve returns the reservation of a run that is ready, and notes it in the limiter. A run keeps a reservation that
// it has already, unless it is too late for it.
func (d *Dispatcher) reserve(l *limiter, r run.Run) Reservation {
	now := d.Now()
	if hour := now.Truncate(time.Hour); !hour.Equal(l.Hour) { // keep only the counts of models that the loop guard paused
		l.Hour = hour
		maps.DeleteFunc(l.Launches, func(name string, n int) bool { return n <= d.maxLaunchesPerHour(name) })
	}
	if l.Launches == nil {
		l.Launches = map[string]int{}
	}
	reserved, firstAttempt := Reservation{At: r.Reservation}, r.Attempt == 0
	if now.Sub(reserved.At) > reservationLife {
		reserved.At = time.Time{}
	}
	if r.State == run.Waiting { // a repeated call sends the stored request, with the capacity type that it names
		reserved.CapacityIndex, reserved.WaitFor = l.capacity(r)
	}
	switch {
	case reserved.WaitFor != "" || !reserved.At.IsZero():
		return reserved
	case firstAttempt && l.Launches[r.Model] >= d.maxLaunchesPerHour(r.Model):
		l.Launches[r.Model], reserved.Looping = d.maxLaunchesPerHour(r.Model)+1, true
		return reserved
	case firstAttempt:
		l.Launches[r.Model]++
	}
	l.Next = later(l.Next, now.Add(-time.Second/2)) // allow a burst of up to half a second's calls
	reserved.At, l.Next = l.Next, l.Next.Add(time.Duration(float64(time.Second)/d.rate()))
	return reserved
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// rate returns the number of RunTask calls a second, of all launchers together.
func (d *Dispatcher) rate() float64 {
	if d.Rate > 0 {
		return d.Rate
	}
	return DefaultRate
}

// maxLaunchesPerHour returns the number of runs of a model that may be launched in a clock hour.
func (d *Dispatcher) maxLaunchesPerHour(name string) int {
	if m, known := d.Catalog.Model(name); known && m.Policy.MaxLaunchesPerHour > 0 {
		return m.Policy.MaxLaunchesPerHour
	}
	return model.DefaultMaxLaunchesPerHour
}

// pauseLooping pauses the models that the loop guard has stopped: most likely they start themselves.
func (d *Dispatcher) pauseLooping(ctx context.Context, ready []run.Run, reservations map[string]Reservation) error {
	for _, r := range ready {
		if !reservations[r.ID].Looping {
			continue
		}
		name := r.Model
		reason := fmt.Sprintf("it was launched %d times in one clock hour, which looks like a loop; "+
			"if it is not one, raise max-launches-per-hour, and resume the model", d.maxLaunchesPerHour(name))
		if _, err := d.Pause(ctx, name, reason, "max-launches-per-hour"); err != nil {
			return err
		}
	}
	return nil
}

// resetLaunchCount sets the loop guard's count of a model to 0.
func (d *Dispatcher) resetLaunchCount(ctx context.Context, name string) error {
	return d.updateLimiter(ctx, func(l limiter) (limiter, bool) {
		_, counted := l.Launches[name]
		delete(l.Launches, name)
		return l, counted
	})
}
