package limiter_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"modeldispatch/internal/limiter"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/memory"
)

// world has a limiter with a store in memory, and a clock that the test moves. It implements limiter.Runs.
type world struct {
	*limiter.Limiter
	store.Store
	now      time.Time
	released []string // the runs that were released, as id and kind of release
}

func newWorld(rate float64, models ...model.Model) *world {
	w := &world{Store: memory.New(), now: time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)}
	w.Limiter = limiter.New(limiter.Options{
		Store: w, Runs: w, Catalog: model.Catalog{Models: models}, Rate: rate, Now: func() time.Time { return w.now },
	})
	return w
}

// TryUpdate implements limiter.Runs. Its runs are in no store: each input is applied to a run that waits at a breaker.
func (w *world) TryUpdate(_ context.Context, id string, input func(run.Run) run.Transition, _ ...store.Write) error {
	t := input(run.Run{ID: id, State: run.Waiting, WaitingFor: run.ForCapacity})
	w.released = append(w.released, id+" "+string(t.Run.Released))
	return nil
}

// ready returns a run that waits for its launch.
func ready(id string) run.Run {
	return run.Run{
		ID: id, Model: "m", State: run.Waiting, WaitingFor: run.ForLaunch, Capacities: []model.Capacity{model.Spot, model.OnDemand},
	}
}

// reserve returns the reservation of a run.
func (w *world) reserve(t *testing.T, r run.Run) limiter.Reservation {
	t.Helper()
	all, _, err := w.Reserve(t.Context(), []run.Run{r})
	if err != nil {
		t.Fatal(err)
	}
	return all[r.ID]
}

func TestReservationsAreSpaced(t *testing.T) {
	t.Parallel()
	w := newWorld(10)
	var waits []time.Duration
	for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		waits = append(waits, w.reserve(t, ready(id)).At.Sub(w.now))
	}
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	if want := []time.Duration{ms(-500), ms(-400), ms(-300), ms(-200), ms(-100), 0, ms(100), ms(200)}; !slices.Equal(waits, want) {
		t.Errorf("the reservations are %v from now, want %v: half a second's calls at once, and then ten a second", waits, want)
	}
	_, lag, err := w.Reserve(t.Context(), []run.Run{ready("i")})
	if err != nil || lag != ms(400) {
		t.Errorf("the lag is %s, %v; want 400 ms until the next free reservation", lag, err)
	}
}

func TestARunKeepsItsReservation(t *testing.T) {
	t.Parallel()
	w := newWorld(1)
	r := ready("a")
	r.Reservation = w.now.Add(time.Minute)
	if got := w.reserve(t, r); !got.At.Equal(r.Reservation) {
		t.Errorf("the reservation moved from %s to %s", r.Reservation, got.At)
	}
	w.now = r.Reservation.Add(11 * time.Second)
	if got := w.reserve(t, r); got.At.Equal(r.Reservation) {
		t.Error("the run keeps a reservation that is 11 seconds old, want a new one")
	}
}

func TestOpenBreakers(t *testing.T) {
	t.Parallel()
	w := newWorld(1000)
	open := func(c model.Capacity) {
		if err := w.OpenBreaker(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	open(model.Spot)
	if got := w.reserve(t, ready("a")); got.CapacityIndex != 1 || got.WaitFor != "" {
		t.Errorf("with an open breaker for Spot: %+v, want on-demand", got)
	}
	open(model.OnDemand)
	if got := w.reserve(t, ready("b")); got.WaitFor != model.OnDemand || !got.At.IsZero() {
		t.Errorf("with two open breakers: %+v, want a wait at the last one", got)
	}
	released := ready("c")
	released.Released = run.ReleasedAsReplacement
	if got := w.reserve(t, released); got.WaitFor != "" || got.CapacityIndex != 1 {
		t.Errorf("a replacement gets %+v, want a call on the last capacity type", got)
	}
}

// TestProbe releases the first of two waiters once a minute, and closes the breaker when no run waits.
func TestProbe(t *testing.T) {
	t.Parallel()
	w := newWorld(1000)
	if err := w.OpenBreaker(t.Context(), model.Spot); err != nil {
		t.Fatal(err)
	}
	var waiters []store.Doc
	for i, id := range []string{"a", "b"} {
		waits := run.Run{ID: id, WaitingFor: run.ForCapacity, Breaker: model.Spot, Accepted: w.now.Add(time.Duration(i) * time.Second)}
		waiters = append(waiters, records.WaiterDoc(waits))
		if err := w.Commit(t.Context(), store.Create(waiters[i])); err != nil {
			t.Fatal(err)
		}
	}
	probe := func(after time.Duration, want ...string) {
		t.Helper()
		w.now, w.released = w.now.Add(after), nil
		if err := w.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(w.released, want) {
			t.Errorf("the probe released %v, want %v", w.released, want)
		}
	}
	probe(59 * time.Second)
	probe(time.Second, "a probe")
	probe(59 * time.Second)
	for _, doc := range waiters {
		if err := w.Commit(t.Context(), store.Remove(doc)); err != nil {
			t.Fatal(err)
		}
	}
	probe(time.Minute)
	if got := w.reserve(t, ready("c")); got.CapacityIndex != 0 || got.WaitFor != "" {
		t.Errorf("after a probe without waiters: %+v, want a closed breaker", got)
	}
}

func TestLoopGuard(t *testing.T) {
	t.Parallel()
	w := newWorld(1000, model.Model{Name: "m", Policy: model.Policy{MaxLaunchesPerHour: 2}})
	for i, want := range []bool{false, false, true, true} {
		if got := w.reserve(t, ready(string(rune('a'+i)))); got.Looping != want {
			t.Errorf("launch %d of the hour: %+v, want looping %t", i+1, got, want)
		}
	}
	retry := ready("a")
	retry.Attempt = 1
	if got := w.reserve(t, retry); got.Looping {
		t.Errorf("a second attempt: %+v, want it not to count", got)
	}
	w.now = w.now.Add(time.Hour)
	if got := w.reserve(t, ready("e")); !got.Looping {
		t.Errorf("in the next hour: %+v, want the model to stay stopped until its resume", got)
	}
	if err := w.ResetLaunchCount(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	if got := w.reserve(t, ready("f")); got.Looping {
		t.Errorf("after the resume: %+v, want a launch", got)
	}
}
