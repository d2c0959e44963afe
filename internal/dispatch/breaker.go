package dispatch

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// A capacity breaker is open while its capacity type, such as spot, is a key of limiter.Breakers. Runs then wait at the
// breaker: their waiters are in the partition breakerPartition. A run leaves in one of these ways:
//
//   - as a probe: once a minute, the sweep releases the first waiter (probeBreakers). When the task of a probe runs,
//     ECS has room again, and two more probes follow (ConfirmProbe);
//   - as a replacement: a task of this capacity type has ended, so ECS has room for one more (ReplaceTask);
//   - when the breaker has closed, as it does at a probe that finds no waiters (probeBreakers).

// probeInterval is the time between two probes of an open breaker.
const probeInterval = time.Minute

// openBreaker opens the breaker of a capacity type, because ECS has refused or stopped a task for missing capacity or a
// quota. The breaker stays open until a probe is due and no run waits. Opening an open breaker does not change the time
// of its next probe.
func (d *Dispatcher) openBreaker(ctx context.Context, c model.Capacity) error {
	return d.updateLimiter(ctx, func(l limiter) (limiter, bool) {
		if _, open := l.Breakers[c]; open {
			return l, false
		}
		if l.Breakers == nil {
			l.Breakers = map[model.Capacity]time.Time{}
		}
		l.Breakers[c] = d.Now().Add(probeInterval)
		return l, true
	})
}

// capacity returns the index of the capacity type that a run asks for. It takes the first one whose breaker is closed,
// starting with the run's current one. If all of these breakers are open, it takes the last one. It then also returns
// that capacity type, because the run must wait at its breaker. A run that a breaker has released need not wait, and a
// replacement always asks for the last capacity type.
func (l limiter) capacity(r run.Run) (int, model.Capacity) {
	last := len(r.Capacities) - 1
	for i := r.CapacityIndex; i <= last && r.Released != run.ReleasedAsReplacement; i++ {
		if _, open := l.Breakers[r.Capacities[i]]; !open {
			return i, ""
		}
	}
	if r.Released != "" {
		return last, ""
	}
	return last, r.Capacities[last]
}

// probeBreakers releases one waiter as a probe from each open breaker whose next probe is due. It closes a breaker
// without waiters.
func (d *Dispatcher) probeBreakers(ctx context.Context) error {
	l, _, err := d.readLimiter(ctx)
	if err != nil {
		return err
	}
	for _, c := range slices.Sorted(maps.Keys(l.Breakers)) {
		if d.Now().Before(l.Breakers[c]) {
			continue
		}
		waiters, err := d.Store.Partition(ctx, breakerPartition(c), waiterPrefix, 1)
		if err != nil {
			return err
		}
		err = d.updateLimiter(ctx, func(l limiter) (limiter, bool) {
			if d.Now().Before(l.Breakers[c]) || l.Breakers[c].IsZero() {
				return l, false
			}
			delete(l.Breakers, c)
			if len(waiters) > 0 {
				l.Breakers[c] = d.Now().Add(probeInterval)
			}
			return l, true
		})
		if err == nil {
			err = d.releaseWaiters(ctx, c, 1, run.ReleasedAsProbe)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkBreaker carries out a CheckBreaker effect: it releases the next waiter of a breaker that is closed.
func (d *Dispatcher) checkBreaker(ctx context.Context, c model.Capacity) error {
	l, _, err := d.readLimiter(ctx)
	if err != nil || !l.Breakers[c].IsZero() {
		return err
	}
	return d.releaseWaiters(ctx, c, 1, run.ReleasedAsProbe)
}

// releaseWaiters releases the first n waiters from a breaker. A run that does not wait any more, or that another
// caller changed meanwhile, is skipped.
func (d *Dispatcher) releaseWaiters(ctx context.Context, c model.Capacity, n int, release run.BreakerRelease) error {
	waiters, err := d.Store.Partition(ctx, breakerPartition(c), waiterPrefix, n)
	if err != nil {
		return err
	}
	for _, doc := range waiters {
		var w waiter
		if err := Decode(doc, &w); err != nil {
			return err
		}
		err := d.tryUpdate(ctx, w.Run, func(r run.Run) run.Transition { return r.Release(release, d.Now()) })
		if err != nil && !errors.Is(err, errIgnored) && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}
