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
	"modeldispatch/internal/dispatch/awsadapters"
	"modeldispatch/internal/handler"
	"modeldispatch/internal/run"
)

// burst simulates the limits of thousands of launches at once: the launch queue, as Lambda polls it, and the quotas of
// ECS.
type burst struct {
	w     *world
	queue []string // the ids of the runs on the launch queue
	busy  int      // the number of invocations of the launch function

	calls, tasks bucket    // the quotas of RunTask calls and of launched tasks
	maxLive      int       // the number of live tasks that the vCPU quota allows; 0 means no limit
	live         int       // the number of live tasks
	launched     int       // the number of tasks so far
	last         time.Time // the time of the last launch
}

// The settings of the launch function's event source mapping.
const (
	batchSize   = 10
	concurrency = 10
)

// bucket is a token bucket. It holds at most size tokens, and gets rate tokens a second.
type bucket struct {
	size, rate, tokens float64
	at                 time.Time // the time to which tokens applies
}

// take takes a token. It returns false if there is none.

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

// pump invokes the launch function with batches of the queue, as many at the same time as its mapping allows.
func (b *burst) pump() {
	for len(b.queue) > 0 && b.busy < concurrency {
		n := min(batchSize, len(b.queue))
		var batch events.SQSEvent
		for i, id := range b.queue[:n] {
			body, err := json.Marshal(awsadapters.RunMessage{Run: id})
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
				b.w.fail("SQS delivers a launch message again")
			}
			b.busy--
			b.pump()
		})
	}
}

// each does the work for all messages of a batch at the same time, with one actor for each message.
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

// latency returns how long an actor waits before or after a call.
func (b *burst) latency(point string) time.Duration {
	if strings.HasSuffix(point, "RunTask") {
		return b.w.between(100*time.Millisecond, 500*time.Millisecond)
	}
	return b.w.between(time.Millisecond, 10*time.Millisecond)
}

// refuse returns the refusal of a RunTask call that exceeds a quota: of calls, of vCPUs or of launches. It returns nil
// if ECS starts the task.
func (b *burst) refuse() *run.Outcome {
	switch now := b.w.now; {
	case !b.calls.take(now):
		return &run.Outcome{Class: run.ClassThrottled, Detail: "Rate exceeded"}
	case b.maxLive > 0 && b.live >= b.maxLive:
		const detail = "You've reached the limit on the number of vCPUs you can run concurrently"
		return &run.Outcome{Class: run.ClassQuota, Detail: detail}
	case !b.tasks.take(now):
		return &run.Outcome{Class: run.ClassThrottled, Detail: "Rate exceeded"}
	}
	return nil
}

// began schedules the life of a task that starts, and exits with 0 after 30 seconds to a minute.
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

// burstResult holds the counts at the end of a burst.
type burstResult struct {
	succeeded, tasks, calls int           // the numbers of runs that succeeded, of tasks, and of RunTask calls
	after                   time.Duration // the time from the start of the world to the last launch
}

func (d burstResult) String() string {
	return fmt.Sprintf("%d runs succeeded, with %d tasks and %d RunTask calls; the last launch was after %s",
		d.succeeded, d.tasks, d.calls, d.after)
}

// simulateBurst lets objects arrive within 20 seconds, and returns when all of their runs have ended. It fails the test
// unless each object led to one task and one run that succeeded.
func simulateBurst(t *testing.T, arrivals, maxLive int, broken variant) burstResult {
	t.Helper()
	w := newWorld(t, 1, faults{}, broken)
	b := &burst{
		w: w, maxLive: maxLive,
		calls: bucket{size: 20, rate: 20, tokens: 20, at: w.now},
		tasks: bucket{size: 100, rate: 20, tokens: 100, at: w.now},
	}
	w.burst = b
	for n := range arrivals {
		w.after(w.between(0, 20*time.Second), func() { w.arrive("fragile", n) })
	}
	w.sweep(func() bool { return b.launched >= arrivals && w.settled() })
	for w.failure == "" && w.step() {
	}
	d := burstResult{tasks: len(w.aws.ECS.Tasks()), calls: w.aws.ECS.Calls, after: b.last.Sub(w.begin)}
	for _, r := range w.runs() {
		if r.State == run.Succeeded {
			d.succeeded++
		}
	}
	t.Log(d)
	if d.succeeded != arrivals || d.tasks != arrivals || w.failure != "" {
		t.Errorf("%s; want %d runs and as many tasks; finding: %q", d, arrivals, w.failure)
	}
	return d
}

// The vCPU quotas of a burst, as the number of live tasks that they allow.
const (
	unlimited = 0
	sixVCPUs  = 24 // each task has a quarter of a vCPU
)

// TestBurst checks that when 10,000 objects arrive at once, each is launched exactly once, as fast as the quotas of the
// account allow, and that at most one call in ten is refused.
func TestBurst(t *testing.T) {
	t.Parallel()
	arrivals := 10_000
	if raceDetector { // ten times slower
		arrivals = 1000
	}
	for name, maxLive := range map[string]int{"the default quotas": unlimited, "6 vCPUs": sixVCPUs} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := simulateBurst(t, arrivals, maxLive, variant{})
			if most := arrivals * 11 / 10; d.calls > most {
				t.Errorf("RunTask was called %d times, want at most %d", d.calls, most)
			}
			// The quota allows 20 calls at once, and 20 each second. The launches may take 5% longer.
			most := time.Duration(arrivals-20) * time.Second / 20 * 105 / 100
			if arrivals < 10_000 {
				most += 5 * time.Second // the start and the end of a burst take the same time for every size
			}
			if maxLive == unlimited && d.after > most {
				t.Errorf("the last launch was after %s of simulated time, want at most %s", d.after, most)
			}
		})
	}
}

// TestBrokenBurst checks that TestBurst fails without the launch rate limiter, and without the capacity breaker.
func TestBrokenBurst(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		rule     string
		arrivals int
		maxLive  int
		broken   variant
	}{
		{
			"all launchers share one launch rate limiter", 1000, unlimited,
			variant{limiter: func(l map[string]any) { l["next"] = time.Time{} }},
		},
		{
			"a refusal for lack of quota opens a capacity breaker", 200, sixVCPUs,
			variant{limiter: func(l map[string]any) { delete(l, "breakers") }},
		},
	} {
		t.Run(one.rule, func(t *testing.T) {
			t.Parallel()
			if d := simulateBurst(t, one.arrivals, one.maxLive, one.broken); d.calls <= one.arrivals*11/10 {
				t.Errorf("with this rule broken, RunTask was called %d times for %d runs; want more calls than TestBurst allows",
					d.calls, one.arrivals)
			}
		})
	}
}
