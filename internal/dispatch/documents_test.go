package dispatch_test

import (
	"errors"
	"maps"
	"reflect"
	"testing"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// TestSweepRepeatsEffectsOfEachDocument makes the first announcement about a run, an event, a pause and an overdue success
// fail. The sweep finds each of the documents by its due time, and repeats the effect of its kind.
func TestSweepRepeatsEffectsOfEachDocument(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(m *model.Model) { m.Policy.Expect = &model.Expect{SuccessBy: "cron(0 10 * * ? *)"} })
	h.sweepAfter(t, 0)
	h.aws.Fail = func(call string) error {
		if call == "Announce" {
			return errors.New("EventBridge is away")
		}
		return nil
	}
	h.now = h.now.Add(time.Hour)
	h.accept(t, "a.csv")
	h.launch(t)
	if _, err := h.Reject(t.Context(), event.Event{Kind: model.Message, Identity: "message/1"}, records.Decision{Reason: "why"}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Pause(t.Context(), "sales", "wrong prices", "ada"); err != nil {
		t.Fatal(err)
	}
	h.sweepAfter(t, 0)
	if got := h.aws.Announced(); len(got) != 0 {
		t.Fatalf("the announcements are %v, want none while they fail", got)
	}
	h.aws.Fail = nil
	for range 3 {
		h.sweepAfter(t, 2*time.Minute)
	}
	want := map[string]int{
		run.DetailStarted: 1, dispatch.DetailRejected: 1, dispatch.DetailPaused: 1, dispatch.DetailOverdue: 1,
	}
	if got := h.aws.Announced(); !maps.Equal(got, want) {
		t.Errorf("after the sweeps the announcements are %v, want %v", got, want)
	}
}

// TestWindowDocumentHasItsKind: package dispatch writes this document itself; package records writes the others.
func TestWindowDocumentHasItsKind(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(m *model.Model) { m.Policy.Debounce = &model.Debounce{Quiet: time.Minute} })
	h.accept(t, "a.csv")
	key := records.WindowKey(h.options.Catalog.Models[0], model.Inputs{"name": "a"})
	doc, err := h.options.Store.Get(t.Context(), key)
	if errors.Is(err, store.ErrNotFound) || doc.Kind != records.KindWindow {
		t.Errorf("the window's document has the kind %q, %v; want %q", doc.Kind, err, records.KindWindow)
	}
}

// TestDispatcherKeepsItsOptions: a caller can change its own copy of the options only.
func TestDispatcherKeepsItsOptions(t *testing.T) {
	t.Parallel()
	of := reflect.TypeFor[dispatch.Dispatcher]()
	for _, f := range reflect.VisibleFields(of) {
		if f.IsExported() && len(f.Index) == 1 {
			t.Errorf("the field %s of a Dispatcher is exported", f.Name)
		}
	}
	for i := range reflect.PointerTo(of).NumMethod() {
		m := reflect.PointerTo(of).Method(i)
		for o := range m.Type.NumOut() {
			if m.Type.Out(o) == reflect.TypeFor[*dispatch.Options]() {
				t.Errorf("the method %s returns the options, which a caller could change", m.Name)
			}
		}
	}
}
