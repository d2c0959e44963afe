package scheduler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"modeldispatch/internal/local/scheduler"
)

// every returns an entry that is due at each multiple of d, counted from midnight UTC.
func every(name string, d time.Duration) scheduler.Entry {
	return scheduler.Entry{
		Name: name,
		Next: func(after time.Time) time.Time { return after.UTC().Truncate(d).Add(d) },
		Payload: func(scheduled time.Time) json.RawMessage {
			return json.RawMessage(fmt.Sprintf(`{"schedule":%q,"time":%q}`, name, scheduled.UTC().Format(time.RFC3339)))
		},
	}
}

// once returns an entry that is due once, like AWS's at(…) expression.
func once(name string, at time.Time) scheduler.Entry {
	e := every(name, time.Hour)
	e.Next = func(after time.Time) time.Time {
		if after.Before(at) {
			return at
		}
		return time.Time{}
	}
	return e
}

// inbox receives deliveries and records the entry and the scheduled time of each.
type inbox struct {
	mu       sync.Mutex
	got      []string
	failures int // the number of further deliveries that fail
}

func (i *inbox) deliver(_ context.Context, e scheduler.Entry, scheduled time.Time, payload json.RawMessage) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.failures > 0 {
		i.failures--
		return errors.New("queue unavailable")
	}
	if !strings.Contains(string(payload), scheduled.UTC().Format(time.RFC3339)) {
		return fmt.Errorf("payload %s does not name the time %s", payload, scheduled)
	}
	i.got = append(i.got, e.Name+" "+scheduled.UTC().Format("15:04:05"))
	return nil
}

func (i *inbox) all() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Sorted(slices.Values(i.got))
}

// start runs a scheduler in a synctest bubble, whose clock starts at midnight UTC.
func start(
	t *testing.T, options scheduler.Options, deliver scheduler.Deliver, entries ...scheduler.Entry,
) (s *scheduler.Scheduler, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s = scheduler.New(options)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, entries, deliver) }()
	synctest.Wait()
	return s, func() error {
		cancel()
		return <-ended
	}
}

func expect(t *testing.T, i *inbox, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := i.all(); !slices.Equal(got, want) {
		t.Errorf("delivered\n%v, want\n%v", got, want)
	}
}

func TestEachEntryFiresAtItsTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var in inbox
		_, stop := start(t, scheduler.Options{}, in.deliver,
			every("hourly", time.Hour), every("half", 30*time.Minute), once("party", time.Now().Add(45*time.Minute)))
		time.Sleep(29*time.Minute + 59*time.Second)
		expect(t, &in)
		time.Sleep(time.Second)
		expect(t, &in, "half 00:30:00")
		time.Sleep(60 * time.Minute)
		expect(t, &in, "half 00:30:00", "half 01:00:00", "half 01:30:00", "hourly 01:00:00", "party 00:45:00")
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestFailedDeliveryIsRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := inbox{failures: 12}
		_, stop := start(t, scheduler.Options{}, in.deliver, once("party", time.Now().Add(time.Minute)))
		time.Sleep(time.Hour)
		expect(t, &in, "party 00:01:00")
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestFailedDeliveryWithoutRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := inbox{failures: 2}
		sweep := every("sweep", time.Minute)
		sweep.NoRetry = true
		_, stop := start(t, scheduler.Options{}, in.deliver, sweep)
		time.Sleep(4 * time.Minute)
		expect(t, &in, "sweep 00:03:00", "sweep 00:04:00")
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestSlowDeliveryDoesNotDelayOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var in inbox
		release := make(chan struct{})
		_, stop := start(t, scheduler.Options{}, func(ctx context.Context, e scheduler.Entry, at time.Time, p json.RawMessage) error {
			if e.Name == "slow" {
				<-release
			}
			return in.deliver(ctx, e, at, p)
		}, once("slow", time.Now().Add(time.Minute)), once("quick", time.Now().Add(time.Minute)))
		time.Sleep(time.Minute)
		expect(t, &in, "quick 00:01:00")
		close(release)
		expect(t, &in, "quick 00:01:00", "slow 00:01:00")
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestUndeliveredFiringIsReported(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		options scheduler.Options
		wait    time.Duration
	}{
		"after the last retry": {scheduler.Options{Retries: 3, LastPause: time.Second}, time.Hour},
		"when Run ends":        {scheduler.Options{}, time.Minute + time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				in := inbox{failures: 1000}
				_, stop := start(t, c.options, in.deliver, once("party", time.Now().Add(time.Minute)))
				time.Sleep(c.wait)
				err := stop()
				var lost *scheduler.UndeliveredError
				if !errors.As(err, &lost) {
					t.Fatalf("Run: %v, want an UndeliveredError", err)
				}
				if lost.Entry != "party" || !strings.Contains(string(lost.Payload), "00:01:00") ||
					lost.Err.Error() != "queue unavailable" {
					t.Errorf("UndeliveredError is %+v with payload %s", lost, lost.Payload)
				}
			})
		})
	}
}

func TestSetReplacesEntries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var in inbox
		s, stop := start(t, scheduler.Options{}, in.deliver, every("old", time.Minute))
		time.Sleep(time.Minute)
		// The new entries include one whose current minute has just fired, and one whose time has passed.
		s.Set([]scheduler.Entry{
			every("old", time.Minute),
			once("past", time.Now().Add(-time.Second)),
			once("soon", time.Now().Add(10*time.Second)),
		})
		time.Sleep(10 * time.Second)
		expect(t, &in, "old 00:01:00", "soon 00:01:10")
		s.Set(nil)
		time.Sleep(time.Hour)
		expect(t, &in, "old 00:01:00", "soon 00:01:10")
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// While a machine sleeps, its timers stand still. When it wakes, the wall clock has jumped ahead.
func TestTimesMissedDuringSleepAreSkipped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var in inbox
		var mu sync.Mutex
		var slept time.Duration
		now := func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(slept)
		}
		_, stop := start(t, scheduler.Options{Now: now}, in.deliver, every("minutely", time.Minute))
		time.Sleep(90 * time.Second)
		mu.Lock()
		slept = 8 * time.Hour
		mu.Unlock()
		time.Sleep(30 * time.Second) // the wall clock now shows 08:02:00
		expect(t, &in, "minutely 00:01:00", "minutely 08:01:00", "minutely 08:02:00")
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestEntryWhoseNextTimeDoesNotAdvanceIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var in inbox
		stuck := once("stuck", time.Now())
		stuck.Next = func(after time.Time) time.Time { return after }
		_, stop := start(t, scheduler.Options{}, in.deliver, stuck, every("hourly", time.Hour))
		time.Sleep(time.Hour)
		expect(t, &in, "hourly 01:00:00")
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}
