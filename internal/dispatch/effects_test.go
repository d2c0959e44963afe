package dispatch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// TestEachKindOfEffectIsCarriedOut checks that the dispatcher has a case for each kind of effect. It also checks that an
// effect of newer code stays in its outbox.
func TestEachKindOfEffectIsCarriedOut(t *testing.T) {
	t.Parallel()
	const newer = "dance"
	for _, kind := range append(run.EffectKinds(), newer) {
		h := newHarness(t, func(m *model.Model) { m.Policy.Expect = &model.Expect{SuccessBy: "cron(0 12 * * ? *)"} })
		id := h.accept(t, "may.csv")
		r := h.run(t, id)
		text := fmt.Sprintf(`{"id":9,"kind":%q,"effect":{},"next":"2026-01-05T06:00:00Z"}`, kind)
		var pending run.Pending
		if err := json.Unmarshal([]byte(text), &pending); err != nil {
			t.Fatal(err)
		}
		r.Outbox.Effects = []run.Pending{pending}
		doc, err := h.options.Store.Get(t.Context(), records.RunKey(id))
		if err != nil {
			t.Fatal(err)
		}
		if err := h.options.Store.Commit(t.Context(), store.Update(records.RunDoc(r, doc.Version, 0))); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		ctx := zerolog.New(&log).WithContext(t.Context())
		if err := h.Advance(ctx, id); err != nil {
			t.Fatal(err)
		}
		isUnknown := strings.Contains(log.String(), "this code does not know the effect")
		if isUnknown != (kind == newer) {
			t.Errorf("%s: unknown is %t, want %t; the log is %s", kind, isUnknown, kind == newer, log.String())
		}
		if left := h.run(t, id).Outbox.Effects; kind == newer && (len(left) != 1 || left[0].Effect.Kind() != newer) {
			t.Errorf("the effects of newer code are %+v, want one that stays", left)
		}
	}
}

// recorder is a Queue that records its calls.
type recorder struct{ calls []string }

func (r *recorder) Enqueue(_ context.Context, id string, delay time.Duration) error {
	r.calls = append(r.calls, fmt.Sprint("enqueue ", id, " ", delay))
	return nil
}

func (r *recorder) Wake(_ context.Context, id string, delay time.Duration) error {
	r.calls = append(r.calls, fmt.Sprint("wake ", id, " ", delay))
	return nil
}

// carryOut replaces the outbox of a run with one overdue effect, and carries it out. The run itself is not due.
func (h *harness) carryOut(t *testing.T, id string, e run.Effect) {
	t.Helper()
	r := h.run(t, id)
	r.Outbox, r.Due = run.Outbox{}.Add(e, h.now.Add(-time.Hour)), h.now.Add(time.Hour)
	doc, err := h.options.Store.Get(t.Context(), records.RunKey(id))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.options.Store.Commit(t.Context(), store.Update(records.RunDoc(r, doc.Version, 0))); err != nil {
		t.Fatal(err)
	}
	if err := h.Advance(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

// TestMessagesHaveTheirQueueAndDelay checks that Enqueue and Wake send the run to their own queue, for the time that the
// effect names.
func TestMessagesHaveTheirQueueAndDelay(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	id := h.accept(t, "a.csv")
	queue := &recorder{}
	h.change(func(o *dispatch.Options) { o.Queue = queue })
	for _, e := range []run.Effect{
		run.Enqueue{At: h.now.Add(30 * time.Second)}, run.Enqueue{}, run.Wake{At: h.now.Add(time.Minute)}, run.Wake{At: h.now.Add(-time.Hour)},
	} {
		h.carryOut(t, id, e)
	}
	want := []string{"enqueue " + id + " 30s", "enqueue " + id + " 0s", "wake " + id + " 1m0s", "wake " + id + " 0s"}
	if !slices.Equal(queue.calls, want) {
		t.Errorf("the messages are %q, want %q", queue.calls, want)
	}
}

// TestEffectsReleaseWaitersOfBreaker checks how many runs each effect releases from a breaker, and as what.
func TestEffectsReleaseWaitersOfBreaker(t *testing.T) {
	t.Parallel()
	const task = "arn:aws:ecs:eu-west-1:111122223333:task/c/0a1b"
	for _, c := range []struct {
		effect run.Effect
		open   bool
		want   map[run.BreakerRelease]int
	}{
		{run.ReplaceTask{Capacity: model.OnDemand, Task: task}, true, map[run.BreakerRelease]int{run.ReleasedAsReplacement: 1}},
		{run.ConfirmProbe{Capacity: model.OnDemand, Task: task}, true, map[run.BreakerRelease]int{run.ReleasedAsProbe: 2}},
		{run.CheckBreaker{Capacity: model.OnDemand}, true, map[run.BreakerRelease]int{}},
		{run.CheckBreaker{Capacity: model.OnDemand}, false, map[run.BreakerRelease]int{run.ReleasedAsProbe: 1}},
		{run.ReplaceTask{Capacity: model.Spot, Task: task}, true, map[run.BreakerRelease]int{}},
	} {
		h := newHarness(t, nil)
		none := 0
		h.limitLiveTasks(&none, run.ClassCapacity)
		ids := h.acceptEach(t, keys(4)...)
		h.launch(t)
		h.wantStatuses(t, ids, "capacity", "capacity", "capacity", "capacity")
		if !c.open {
			doc, version, err := records.Read[records.Limiter](t.Context(), h.options.Store, records.LimiterKey())
			if err != nil {
				t.Fatal(err)
			}
			doc.Breakers = nil
			if err := h.options.Store.Commit(t.Context(), doc.Write(version)); err != nil {
				t.Fatal(err)
			}
		}
		h.carryOut(t, ids[3], c.effect)
		got := map[run.BreakerRelease]int{}
		for _, id := range ids {
			if r := h.run(t, id); r.WaitingFor == run.ForLaunch {
				got[r.Released]++
			}
		}
		if !maps.Equal(got, c.want) {
			t.Errorf("%+v with the breaker open %t releases %v, want %v", c.effect, c.open, got, c.want)
		}
	}
}
