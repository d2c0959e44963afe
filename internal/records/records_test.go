package records_test

import (
	"errors"
	"testing"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/memory"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// withEffect returns an outbox with one effect.
func withEffect() run.Outbox { return run.Outbox{}.Add(run.Wake{At: noon}, noon) }

// TestOutboxOfEachKind checks that the effects of each document with an outbox can be read and removed, and that the due
// time follows from what is left.
func TestOutboxOfEachKind(t *testing.T) {
	t.Parallel()
	later := noon.Add(time.Hour)
	control := records.Control{Schema: model.Schema, Model: "m", Outbox: withEffect()}
	expectation := records.Expectation{Schema: model.Schema, Model: "m", Outbox: withEffect()}
	for _, c := range []struct {
		doc store.Doc
		due time.Time // the due time after the effect was removed
	}{
		{records.RunDoc(run.Run{Schema: model.Schema, ID: "m-1", Due: later, Outbox: withEffect()}, 0, 0), later},
		{records.EventDoc(records.EventRecord{Schema: model.Schema, Identity: "event/1", Outbox: withEffect()}, 0, 0), time.Time{}},
		{control.Write(0).Doc, time.Time{}},
		{expectation.Write(0).Doc, time.Time{}},
	} {
		if want := noon.Add(time.Minute); !c.doc.Due.Equal(want) {
			t.Errorf("%s is due at %s, want %s for its effect", c.doc.Key, c.doc.Due, want)
		}
		before, err := records.OutboxOf(c.doc)
		if err != nil || len(before.Effects) != 1 {
			t.Fatalf("the outbox of %s is %+v, %v; want one effect", c.doc.Key, before, err)
		}
		changed, err := records.ChangeOutbox(c.doc, func(o run.Outbox) run.Outbox { return o.Remove([]int{1}) })
		if err != nil {
			t.Fatal(err)
		}
		after, err := records.OutboxOf(changed)
		if err != nil || len(after.Effects) != 0 || !changed.Due.Equal(c.due) {
			t.Errorf("after the change, the outbox of %s is %+v and it is due at %s; want no effect and %s",
				c.doc.Key, after, changed.Due, c.due)
		}
	}
	limiter := records.Limiter{Schema: model.Schema}.Write(0).Doc
	if _, err := records.ChangeOutbox(limiter, func(o run.Outbox) run.Outbox { return o }); err == nil {
		t.Error("the outbox of the limiter can be changed, want an error: it has none")
	}
}

func TestReadControl(t *testing.T) {
	t.Parallel()
	s := memory.New()
	c, version, err := records.ReadControl(t.Context(), s, "m")
	if err != nil || version != 0 || c.Paused || c.Model != "m" {
		t.Errorf("the control document of a model that was never paused is %+v, version %d, %v", c, version, err)
	}
	c.Paused = true
	if err := s.Commit(t.Context(), c.Write(version)); err != nil {
		t.Fatal(err)
	}
	if c, version, err := records.ReadControl(t.Context(), s, "m"); err != nil || version != 1 || !c.Paused {
		t.Errorf("the control document of a paused model is %+v, version %d, %v", c, version, err)
	}
	if _, _, err := records.Read[run.Run](t.Context(), s, records.RunKey("m-1")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the error for an unknown run is %v, want ErrNotFound", err)
	}
}

// TestRetention checks that only the documents of ended runs expire.
func TestRetention(t *testing.T) {
	t.Parallel()
	live := records.RunDoc(run.Run{ID: "m-1"}, 0, 0)
	ended := records.RunDoc(run.Run{ID: "m-1", Ended: noon}, 0, records.Retention(time.Hour))
	if !live.Expires.IsZero() || !ended.Expires.Equal(noon.Add(time.Hour)) {
		t.Errorf("a live run expires at %s and an ended one at %s, want never and an hour after its end", live.Expires, ended.Expires)
	}
	if got, want := records.Retention(0).Since(noon), noon.AddDate(0, 0, 90); !got.Equal(want) {
		t.Errorf("without a retention, a document expires at %s, want %s", got, want)
	}
}

// TestKindOfEachDocument pins the kind of each document as it is stored. The sweep, the lists and the readers of a
// partition tell documents apart by it.
func TestKindOfEachDocument(t *testing.T) {
	t.Parallel()
	waits := run.Run{ID: "m-1", WaitingFor: run.ForSlot, Group: run.Group{Model: "m"}}
	limiter := records.Limiter{Breakers: map[model.Capacity]time.Time{model.Spot: noon.Add(time.Hour), model.OnDemand: noon}}.Write(0).Doc
	for kind, doc := range map[string]store.Doc{
		"run":           records.RunDoc(run.Run{ID: "m-1"}, 0, 0),
		"spec":          records.SpecDoc(run.Spec{Run: "m-1"}, 0),
		"attempt":       records.AttemptDoc("m-1", run.Attempt{Number: 1}, 0, 0),
		"event":         records.EventDoc(records.EventRecord{Identity: "event/1"}, 0, 0),
		"holders":       records.HoldersDoc(waits.Group, records.Holders{}, 0),
		"waiter":        records.WaiterDoc(waits),
		"object-waiter": records.ObjectDoc("s3://b/k", "m-1"),
		"window":        records.WindowDoc(store.Key{PK: "window/m", SK: "-"}, waits, 0),
		"control":       records.Control{Model: "m"}.Write(0).Doc,
		"expectation":   records.Expectation{Model: "m"}.Write(0).Doc,
		"limiter":       limiter,
	} {
		if doc.Kind != kind {
			t.Errorf("%s has the kind %q, want %q", doc.Key, doc.Kind, kind)
		}
	}
	if !limiter.Due.Equal(noon) {
		t.Errorf("the limiter is due at %s, want the earliest probe, %s", limiter.Due, noon)
	}
}
