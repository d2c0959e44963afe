package simulation

import (
	"flag"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/run"
)

var (
	seeds = flag.Int("seeds", 100, "how many seeds TestSimulation runs")
	seed  = flag.Uint64("seed", 0, "the one seed that TestSimulation runs; with -v it tells what happens")
)

// faults are the chances of what goes wrong, each for each time that it could.
type faults struct {
	crash        float64 // of whoever makes a call, before and after it
	zombie       float64 // a call takes longer than it should, up to hours
	slow         float64 // RunTask takes half a minute
	throttle     float64
	serverError  float64 // RunTask answers 5xx, and may have started the task
	gatewayError float64 // RunTask answers 5xx, and starts the task later
	refuse       float64 // RunTask starts nothing
	conflict     float64 // RunTask's answer names the task, and no more: a ConflictException
	fails        float64 // any other call fails: without effect, or with
	bad          float64 // an event says too little to be of use
	lose         float64 // a state change, or a wake message
	duplicate    float64
	late         float64
	hang         float64 // a task that does not end by itself
	stuck        float64 // one that does not even start
	interrupt    float64
	startFails   float64
	cancel       float64       // somebody cancels a run
	pause        float64       // somebody pauses a model for a while
	blink        float64       // a task is not shown
	forget       float64       // a task is not shown for so long that it is taken for lost, and lives
	lost         float64       // DynamoDB's answer, so that the SDK sends the call again
	invisible    time.Duration // a new task is not shown
	skew         time.Duration // between clocks
	outageFrom   time.Duration // of the sweep
	outageTo     time.Duration
}

// roll rolls how bad a seed's world is.
func roll(w *world) faults {
	some := func(most float64) float64 {
		if w.chance(0.4) {
			return 0
		}
		return most * w.random.Float64()
	}
	f := faults{
		crash: some(0.03), zombie: some(0.01), slow: some(0.1), throttle: some(0.3), serverError: some(0.3), gatewayError: some(0.2), refuse: some(0.5), lose: some(0.3),
		duplicate: some(0.4), late: some(0.2), hang: some(0.3), interrupt: some(0.4), startFails: some(0.2), cancel: some(0.3), pause: some(0.6), blink: some(0.5),
		forget: some(0.05), conflict: some(0.3), fails: some(0.05), bad: some(0.3), stuck: some(0.1),
		invisible: w.between(0, 3*time.Second), skew: w.between(0, 2*time.Second),
	}
	if w.chance(0.3) {
		f.outageFrom = w.between(0, 2*time.Hour)
		f.outageTo = f.outageFrom + w.between(0, 30*time.Hour)
	}
	return f
}

// gentle says that nobody crashes, is held up, or works in vain: what is done in time then is done in time.
func (f faults) gentle() bool {
	return f.crash+f.zombie+f.slow+f.fails+f.lose+f.late == 0 && f.outageTo == 0
}

// simulate runs the world of a seed to its end, and says what was wrong with it.
func simulate(t testing.TB, number uint64, broken variant) (*world, string) {
	w := newWorld(t, number, faults{}, broken)
	return w, w.live()
}

// live lets the world live to its end, and says what was wrong with it.
func (w *world) live() string {
	w.faults = roll(w)
	if w.broken.harsh != nil {
		w.broken.harsh(&w.faults)
	}
	w.checks.gentle = w.faults.gentle()
	const arrivals = 4
	names := themes[int(w.seed)%len(themes)]
	if w.broken.models != nil {
		names = w.broken.models
	}
	for n := range arrivals {
		w.after(w.between(0, time.Hour), func() { w.happen(names[w.random.IntN(len(names))], n) })
	}
	w.after(w.between(0, time.Hour), func() { w.pause(names[0]) })
	w.after(w.between(0, 2*time.Hour), func() { w.deploy(deployments[1+w.random.IntN(2)]) })
	w.after(w.between(0, 3*time.Hour), func() { w.cancelSome() })
	w.sweep(func() bool { return w.now.Sub(w.begin) > 100*time.Hour || w.settled() })
	calm := w.begin.Add(60 * time.Hour)
	for steps := 0; w.failure == "" && w.step(); steps++ {
		if w.now.After(calm) { // from here on nothing goes wrong any more
			w.faults = faults{}
		}
		if steps > 300_000 {
			w.fail("it does not come to an end")
		}
	}
	w.checkEnd()
	for _, a := range w.actors {
		a.end()
	}
	return w.failure
}

// settled says that nothing is left to happen but sweeps that find nothing.
func (w *world) settled() bool {
	return w.now.Sub(w.begin) > 3*time.Hour && len(w.actors) == 0 && len(w.timers) == 0 && !w.due(1000*time.Hour) &&
		!slices.ContainsFunc(w.runs(), func(r run.Run) bool { return !r.State.Ended() })
}

func (w *world) cancelSome() {
	for _, r := range w.runs() {
		if !r.State.Ended() && w.chance(w.faults.cancel) {
			w.trace("cancel %s", r.ID)
			w.spawn("cancel", func(d *dispatch.Dispatcher) bool { return d.Cancel(w.t.Context(), r.ID, "enough", "somebody") == nil }, func(bool) {})
		}
	}
}

// survive lets the world live to its end, tells what happened, and has the test fail if anything was wrong.
func (w *world) survive(t *testing.T) {
	failure := w.live()
	t.Logf("seed %d: %+v\n%s", w.seed, w.faults, strings.Join(w.log, "\n"))
	if failure != "" {
		t.Error(failure)
	}
}

func TestSimulation(t *testing.T) {
	t.Parallel()
	if *seed != 0 {
		newWorld(t, *seed, faults{}, variant{}).survive(t)
		return
	}
	each(*seeds, func(number uint64) bool {
		if _, failure := simulate(t, number, variant{}); failure != "" {
			t.Errorf("seed %d: %s", number, failure)
		}
		return !t.Failed()
	})
}

// each runs seeds 1, 2, … on all processors until one of them says stop. It gives how many it began.
func each(n int, f func(uint64) bool) int {
	var next atomic.Int64
	var stop atomic.Bool
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for number := next.Add(1); number <= int64(n) && !stop.Load(); number = next.Add(1) {
				if !f(uint64(number)) {
					stop.Store(true)
				}
			}
		})
	}
	workers.Wait()
	return int(min(next.Load(), int64(n)))
}
