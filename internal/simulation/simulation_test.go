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
	seeds = flag.Int("seeds", 100, "number of seeds that TestSimulation runs, from 1")
	seed  = flag.Uint64("seed", 0, "the only seed that TestSimulation runs; with -v it prints the story of that world")
)

// faults holds the probability of each fault, from 0 to 1, for each occasion on which it can happen. The times at the
// end apply to the whole world.
type faults struct {
	crash        float64 // an actor crashes before or after a call
	zombie       float64 // a call takes up to three hours
	slow         float64 // RunTask takes up to half a minute
	throttle     float64 // AWS throttles a call
	serverError  float64 // RunTask answers 5xx, and may have started the task
	gatewayError float64 // RunTask answers 5xx, and starts the task up to 25 seconds later
	refuse       float64 // RunTask starts nothing
	conflict     float64 // RunTask answers with a ConflictException, which names the task and nothing else
	fails        float64 // any call except RunTask fails; in half of the cases it still has its effect
	bad          float64 // an event lacks the field that the model needs
	lose         float64 // a task state change or a wake message is lost; a launch message 20 times less often
	duplicate    float64 // a message, an event, a state change or a sweep comes twice
	late         float64 // a delivery takes up to two hours
	hang         float64 // a task does not end by itself
	stuck        float64 // a task does not start
	interrupt    float64 // a Spot interruption stops a task
	startFails   float64 // ECS cannot start the containers of a task
	cancel       float64 // a user cancels a run
	pause        float64 // a user pauses a model for a while
	blink        float64 // ECS does not show a task for some minutes
	forget       float64 // ECS does not show a live task for so long that it counts as lost
	lost         float64 // DynamoDB's answer is lost, so that the SDK sends the call again

	invisible  time.Duration // how long ECS does not show a new task
	skew       time.Duration // the largest difference between an actor's clock and the world's
	outageFrom time.Duration // the start of an outage of the sweep, since the world began
	outageTo   time.Duration // the end of that outage; 0 means that there is none
}

// roll draws the faults of a world. Each probability is 0 in four of ten worlds.
func roll(w *world) faults {
	some := func(most float64) float64 {
		if w.chance(0.4) {
			return 0
		}
		return most * w.random.Float64()
	}
	f := faults{
		crash: some(0.03), zombie: some(0.01), slow: some(0.1), throttle: some(0.3),
		serverError: some(0.3), gatewayError: some(0.2), refuse: some(0.5), lose: some(0.3),
		duplicate: some(0.4), late: some(0.2), hang: some(0.3), interrupt: some(0.4),
		startFails: some(0.2), cancel: some(0.3), pause: some(0.6), blink: some(0.5),
		forget: some(0.05), conflict: some(0.3), fails: some(0.05), bad: some(0.3), stuck: some(0.1),
		invisible: w.between(0, 3*time.Second), skew: w.between(0, 2*time.Second),
	}
	if w.chance(0.3) {
		f.outageFrom = w.between(0, 2*time.Hour)
		f.outageTo = f.outageFrom + w.between(0, 30*time.Hour)
	}
	return f
}

// gentle reports whether no actor crashes, is delayed or fails. In a gentle world, work that is due happens on time.
func (f faults) gentle() bool {
	return f.crash+f.zombie+f.slow+f.fails+f.lose+f.late == 0 && f.outageTo == 0
}

// simulate runs the world of a seed, with one rule broken if the variant breaks one. It returns the world and its
// finding, or "" if every check passed.
func simulate(t testing.TB, number uint64, broken variant) (*world, string) {
	w := newWorld(t, number, faults{}, broken)
	return w, w.live()
}

// live runs the world to its end. It returns the finding, or "" if every check passed.
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
		if w.now.After(calm) { // no more faults from here on, so that every run can end
			w.faults = faults{}
		}
		if steps > 300_000 {
			w.fail("the world did not end within 300,000 steps")
		}
	}
	w.checkEnd()
	for _, a := range w.actors {
		a.end()
	}
	return w.failure
}

// settled reports whether only sweeps that find nothing would follow.
func (w *world) settled() bool {
	return w.now.Sub(w.begin) > 3*time.Hour && len(w.actors) == 0 && len(w.timers) == 0 && !w.due(1000*time.Hour) &&
		!slices.ContainsFunc(w.runs(), func(r run.Run) bool { return !r.State.Ended() })
}

// cancelSome cancels some of the runs that have not ended.
func (w *world) cancelSome() {
	for _, r := range w.runs() {
		if !r.State.Ended() && w.chance(w.faults.cancel) {
			w.trace("cancel %s", r.ID)
			w.spawn("cancel", func(d *dispatch.Dispatcher) bool {
				return d.Cancel(w.t.Context(), r.ID, "enough", "somebody") == nil
			}, func(bool) {})
		}
	}
}

// survive runs the world to its end and logs its faults and its story. It fails the test if there is a finding.
func (w *world) survive(t *testing.T) {
	failure := w.live()
	t.Logf("seed %d: %+v\n%s", w.seed, w.faults, strings.Join(w.log, "\n"))
	if failure != "" {
		t.Error(failure)
	}
}

// TestSimulation checks that no world has a finding: seeds 1 to -seeds, or only the seed given with -seed.
func TestSimulation(t *testing.T) {
	t.Parallel()
	if *seed != 0 {
		newWorld(t, *seed, faults{}, variant{}).survive(t)
		return
	}
	forEachSeed(*seeds, func(number uint64) bool {
		if _, failure := simulate(t, number, variant{}); failure != "" {
			t.Errorf("seed %d: %s", number, failure)
		}
		return !t.Failed()
	})
}

// forEachSeed calls f with the seeds 1 to n, on all processors, until f returns false. It returns how many seeds it has
// begun.
func forEachSeed(n int, f func(uint64) bool) int {
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
