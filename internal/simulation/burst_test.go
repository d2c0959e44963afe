package simulation

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/rs/zerolog"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/dispatch/awsio"
	"modeldispatch/internal/handler"
	"modeldispatch/internal/run"
)

// burst is what limits thousands of launches at once: the launch queue as Lambda reads it, and ECS's quotas.
type burst struct {
	w     *world
	queue []string // runs on the launch queue
	busy  int      // invocations of the launch function

	calls, tasks bucket // RunTask calls, and tasks launched
	places       int    // tasks that the vCPU quota has place for; 0 is no limit
	live         int
	launched     int
	last         time.Time // of the last launch
}

// The launch function's event source mapping.
const (
	batchSize   = 10
	concurrency = 10
)

// bucket is a token bucket: so much at once, and so much a second.
type bucket struct {
	size, rate, tokens float64
	at                 time.Time
}

func (b *bucket) take(now time.Time) bool {
	b.tokens, b.at = min(b.size, b.tokens+b.rate*now.Sub(b.at).Seconds()), now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// push makes a run visible on the launch queue.
func (b *burst) push(id string) {
	b.queue = append(b.queue, id)
	b.w.after(10*time.Millisecond, b.pump)
}

// pump invokes the launch function with batches, as many at once as its mapping allows.
func (b *burst) pump() {
	for len(b.queue) > 0 && b.busy < concurrency {
		n := min(batchSize, len(b.queue))
		var batch events.SQSEvent
		for i, id := range b.queue[:n] {
			body, err := json.Marshal(awsio.RunMessage{Run: id})
			if err != nil {
				panic(err)
			}
			batch.Records = append(batch.Records, events.SQSMessage{MessageId: fmt.Sprint(i), Body: string(body), EventSource: "aws:sqs"})
		}
		b.queue = b.queue[n:]
		b.busy++
		b.w.spawn("launch", func(d *dispatch.Dispatcher) bool {
			h := handler.Handlers{Dispatcher: d, Log: zerolog.Nop()}
			return batchError(h.Launch(b.w.t.Context(), batch)) == nil
		}, func(ok bool) {
			if !ok {
				b.w.fail("a launch message comes back")
			}
			b.busy--
			b.pump()
		})
	}
}

// each does the work for all messages of a batch at the same time, as actors of their own.
func (b *burst) each(n int, work func(i int)) {
	batch := b.w.actor
	left := n
	for i := range n {
		b.w.start(batch.name, func() { work(i) }, func(bool) { left-- })
	}
	for left > 0 {
		if batch.hold("the rest of its batch", time.Millisecond) != nil {
			return
		}
	}
}

// latency is that of one way of a call.
func (b *burst) latency(point string) time.Duration {
	if strings.HasSuffix(point, "RunTask") {
		return b.w.between(100*time.Millisecond, 500*time.Millisecond)
	}
	return b.w.between(time.Millisecond, 10*time.Millisecond)
}

// refuse is how RunTask refuses: too many calls, too many launches, too many vCPUs.
func (b *burst) refuse() *run.Outcome {
	switch now := b.w.now; {
	case !b.calls.take(now):
		return &run.Outcome{Class: run.Throttled, Detail: "Rate exceeded"}
	case b.places > 0 && b.live >= b.places:
		return &run.Outcome{Class: run.Quota, Detail: "You've reached the limit on the number of vCPUs you can run concurrently"}
	case !b.tasks.take(now):
		return &run.Outcome{Class: run.Throttled, Detail: "Rate exceeded"}
	}
	return nil
}

// began is the life of a task that goes well.
func (b *burst) began(arn string) {
	b.live++
	b.launched++
	b.last = b.w.now
	b.w.after(15*time.Second, func() { b.w.emit(b.w.aws.ECS.Start(arn)) })
	b.w.after(b.w.between(30*time.Second, time.Minute), func() {
		b.live--
		b.w.exit(arn, 0)
	})
}

// drained is what a burst came to.
type drained struct {
	succeeded, tasks, calls int
	after                   time.Duration
}

func (d drained) String() string {
	return fmt.Sprintf("%d runs succeeded of %d tasks after %d calls; the last was launched after %s", d.succeeded, d.tasks, d.calls, d.after)
}

// simulateBurst has so many objects arrive within 20 seconds, and returns when all of their runs have ended.
func simulateBurst(t *testing.T, arrivals, places int, broken variant) drained {
	t.Helper()
	w := newWorld(t, 1, faults{}, broken)
	b := &burst{w: w, places: places, calls: bucket{size: 20, rate: 20, tokens: 20, at: w.now}, tasks: bucket{size: 100, rate: 20, tokens: 100, at: w.now}}
	w.burst = b
	for n := range arrivals {
		w.after(w.between(0, 20*time.Second), func() { w.arrive("fragile", n) })
	}
	w.sweep(func() bool { return b.launched >= arrivals && w.settled() })
	for w.failure == "" && w.step() {
	}
	d := drained{tasks: len(w.aws.ECS.Tasks()), calls: w.aws.ECS.Calls, after: b.last.Sub(w.begin)}
	for _, r := range w.runs() {
		if r.State == run.Succeeded {
			d.succeeded++
		}
	}
	t.Log(d)
	if d.succeeded != arrivals || d.tasks != arrivals || w.failure != "" {
		t.Errorf("%s, want %d of as many: %s", d, arrivals, w.failure)
	}
	return d
}

// The quotas of a burst, in tasks at once.
const (
	unlimited = 0
	sixVCPUs  = 24 // tasks of a quarter of a vCPU
)

// TestBurst: thousands of objects arrive at once. All are launched, each once, at the speed of the account's quotas, and
// hardly a call is made in vain.
func TestBurst(t *testing.T) {
	t.Parallel()
	arrivals := 10_000
	if raceDetector { // ten times slower
		arrivals = 1000
	}
	for name, places := range map[string]int{"the default quotas": unlimited, "6 vCPUs": sixVCPUs} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := simulateBurst(t, arrivals, places, variant{})
			if most := arrivals * 11 / 10; d.calls > most {
				t.Errorf("%d RunTask calls, want at most %d", d.calls, most)
			}
			// The quota's own time is 20 calls at once, and 20 each second.
			most := time.Duration(arrivals-20) * time.Second / 20 * 105 / 100
			if arrivals < 10_000 {
				most += 5 * time.Second // what it takes to begin and to end does not grow with the burst
			}
			if places == unlimited && d.after > most {
				t.Errorf("the last launch was after %s of simulated time, want %s at most", d.after, most)
			}
		})
	}
}

// TestBrokenBurst: without the pace, or without the gates, the test above would fail.
func TestBrokenBurst(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		rule     string
		arrivals int
		places   int
		broken   variant
	}{
		{"launchers keep one pace", 1000, unlimited, variant{pace: func(p map[string]any) { p["next"] = time.Time{} }}},
		{"a refusal closes a gate", 200, sixVCPUs, variant{pace: func(p map[string]any) { delete(p, "gates") }}},
	} {
		t.Run(one.rule, func(t *testing.T) {
			t.Parallel()
			if d := simulateBurst(t, one.arrivals, one.places, one.broken); d.calls <= one.arrivals*11/10 {
				t.Errorf("without the rule there were %d RunTask calls for %d runs: nothing was noticed", d.calls, one.arrivals)
			}
		})
	}
}
