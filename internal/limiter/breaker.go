package limiter

import (
	"context"
	"maps"
	"slices"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
)

// A breaker is open while its capacity type is a key of records.Limiter.Breakers. A run leaves it in one of these ways:
//
//   - as a probe: once a minute, the sweep releases the first waiter (Probe). When the task of a probe runs, ECS has room
//     again, and two more probes follow (run.ConfirmProbe);
//   - as a replacement: a task of this capacity type has ended, so ECS has room for one more (run.ReplaceTask);
//   - when the breaker has closed, as it does at a probe that finds no waiters (Probe).

// probeInterval is the time between two probes of an open breaker.
const probeInterval = time.Minute

// OpenBreaker opens the breaker of a capacity type, because ECS has refused or stopped a task for missing capacity or a
// quota. The breaker stays open until a probe is due and no run waits. Opening an open breaker does not change the time
// of its next probe.
func (l *Limiter) OpenBreaker(ctx context.Context, c model.Capacity) error {
	return l.update(ctx, func(doc *records.Limiter) bool {
		if _, open := doc.Breakers[c]; open {
			return false
		}
		if doc.Breakers == nil {
			doc.Breakers = map[model.Capacity]time.Time{}
		}
		doc.Breakers[c] = l.o.Now().Add(probeInterval)
		return true
	})
}

// CheckBreaker releases the next waiter of a breaker that is closed.
func (l *Limiter) CheckBreaker(ctx context.Context, c model.Capacity) error {
	doc, _, err := l.read(ctx)
	if err != nil || !doc.Breakers[c].IsZero() {
		return err
	}
	return l.Release(ctx, c, 1, run.ReleasedAsProbe)
}

// Probe releases one waiter as a probe from each open breaker whose next probe is due. It closes a breaker without
// waiters.
func (l *Limiter) Probe(ctx context.Context) error {
	doc, _, err := l.read(ctx)
	if err != nil {
		return err
	}
	for _, c := range slices.Sorted(maps.Keys(doc.Breakers)) {
		if l.o.Now().Before(doc.Breakers[c]) {
			continue
		}
		waiters, err := l.o.Store.Partition(ctx, records.BreakerPartition(c), records.WaiterPrefix, 1)
		if err != nil {
			return err
		}
		err = l.update(ctx, func(doc *records.Limiter) bool {
			if l.o.Now().Before(doc.Breakers[c]) || doc.Breakers[c].IsZero() {
				return false
			}
			delete(doc.Breakers, c)
			if len(waiters) > 0 {
				doc.Breakers[c] = l.o.Now().Add(probeInterval)
			}
			return true
		})
		if err == nil {
			err = l.Release(ctx, c, 1, run.ReleasedAsProbe)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// capacity returns the index of the capacity type that a run asks for. It takes the first one whose breaker is closed,
// starting with the run's current one. If all of these breakers are open, it takes the last one. It then also returns
// that capacity type, because the run must wait at its breaker. A run that a breaker has released need not wait, and a
// replacement always asks for the last capacity type.
func capacity(doc *records.Limiter, r run.Run) (int, model.Capacity) {
	last := len(r.Capacities) - 1
	for i := r.CapacityIndex; i <= last && r.Released != run.ReleasedAsReplacement; i++ {
		if _, open := doc.Breakers[r.Capacities[i]]; !open {
			return i, ""
		}
	}
	if r.Released != "" {
		return last, ""
	}
	return last, r.Capacities[last]
}
