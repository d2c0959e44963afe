package groups_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/groups"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/memory"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// world implements groups.Runs and groups.Pauses with a store in memory.
type world struct {
	store.Store
	paused map[string]bool
	noted  []run.Group
}

// TryUpdate implements groups.Runs.
func (w *world) TryUpdate(ctx context.Context, id string, input func(run.Run) run.Transition, more ...store.Write) error {
	r, version, err := records.Read[run.Run](ctx, w, records.RunKey(id))
	if err != nil {
		return err
	}
	t := input(r)
	if t.Kind == run.Ignored {
		return run.ErrIgnored
	}
	if r.WaitingFor == run.ForSlot && t.Run.WaitingFor != run.ForSlot {
		more = append(more, store.Remove(records.WaiterDoc(r)))
	}
	return w.Commit(ctx, append(more, store.Update(records.RunDoc(t.Run, version, 0)))...)
}

// NoteIfPaused implements groups.Pauses.
func (w *world) NoteIfPaused(_ context.Context, name string, g run.Group) (bool, error) {
	if w.paused[name] {
		w.noted = append(w.noted, g)
	}
	return w.paused[name], nil
}

// accept stores a run of a model that waits for its slot. The runs are accepted one second after the other.
func (w *world) accept(t *testing.T, m model.Model, number int) run.Run {
	t.Helper()
	r := run.Accept(run.AcceptInput{
		ID: fmt.Sprintf("%s-%d", m.Name, number), Model: m, Group: groups.Of(m, model.Inputs{"region": "eu"}),
	}, noon.Add(time.Duration(number)*time.Second)).Run
	err := w.Commit(t.Context(), store.Create(records.RunDoc(r, 0, 0)), store.Create(records.WaiterDoc(r)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// status returns the state of a run, or what it waits for.
func (w *world) status(t *testing.T, id string) string {
	t.Helper()
	r, _, err := records.Read[run.Run](t.Context(), w, records.RunKey(id))
	if err != nil {
		t.Fatal(err)
	}
	if r.State == run.Waiting {
		return string(r.WaitingFor)
	}
	return string(r.State)
}

// limited returns a model with a concurrency limit.
func limited(name string, c model.Concurrency) model.Model {
	return model.Model{Name: name, Policy: model.Policy{Concurrency: &c}}
}

func TestGroupOfARun(t *testing.T) {
	t.Parallel()
	eu, us := model.Inputs{"region": "eu", "n": "1"}, model.Inputs{"region": "us", "n": "1"}
	per := limited("m", model.Concurrency{Limit: 1, Per: model.Per{"region"}})
	if groups.Of(per, eu) == groups.Of(per, us) || groups.Of(per, eu) != groups.Of(per, model.Inputs{"region": "eu", "n": "2"}) {
		t.Error("runs share a group unless their values of `per` are equal")
	}
	pool := model.Concurrency{Pool: "warehouse"}
	if groups.Of(limited("a", pool), eu) != groups.Of(limited("b", pool), eu) {
		t.Error("the models of a pool have different groups")
	}
	if g := groups.Of(model.Model{Name: "m"}, eu); g != (run.Group{}) {
		t.Errorf("a model without a limit has the group %s", g)
	}
	all := []string{
		groups.Of(per, eu).String(), groups.Of(limited("m", model.Concurrency{Limit: 1}), eu).String(),
		groups.Of(limited("m", pool), eu).String(), groups.Paused("m").String(),
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 4 {
		t.Errorf("the groups %v have %d names, want 4", all, n)
	}
}

// TestAdmit admits the waiters of a pool with two slots, of which one is held and one model is paused.
func TestAdmit(t *testing.T) {
	t.Parallel()
	pool := model.Concurrency{Pool: "p"}
	a, b := limited("a", pool), limited("b", pool)
	w := &world{Store: memory.New(), paused: map[string]bool{"b": true}}
	g := groups.New(groups.Options{
		Store: w, Runs: w, Pauses: w, Now: func() time.Time { return noon.Add(time.Hour) },
		Catalog: model.Catalog{Models: []model.Model{a, b}, Pools: map[string]int{"p": 2}},
	})
	group := groups.Of(a, nil)
	w.accept(t, b, 1)
	for number := 2; number <= 4; number++ {
		w.accept(t, a, number)
	}
	if err := g.Admit(t.Context(), group); err != nil {
		t.Fatal(err)
	}
	got := []string{w.status(t, "b-1"), w.status(t, "a-2"), w.status(t, "a-3"), w.status(t, "a-4")}
	if want := []string{"slot", "launch", "launch", "slot"}; !slices.Equal(got, want) {
		t.Errorf("the runs are %v, want %v", got, want)
	}
	if !slices.Contains(w.noted, group) {
		t.Error("the group was not noted for the resume of the paused model")
	}
	holders, _, err := records.Read[records.Holders](t.Context(), w, records.HoldersKey(group))
	if err != nil || !slices.Equal(holders.Holders, []string{"a-2", "a-3"}) {
		t.Errorf("the holders are %v, %v; want a-2 and a-3", holders.Holders, err)
	}
}

func TestSkipNamesTheHolders(t *testing.T) {
	t.Parallel()
	m := limited("m", model.Concurrency{Limit: 1, Overlap: model.OverlapSkip})
	w := &world{Store: memory.New()}
	g := groups.New(groups.Options{
		Store: w, Runs: w, Pauses: w, Now: func() time.Time { return noon }, Catalog: model.Catalog{Models: []model.Model{m}},
	})
	w.accept(t, m, 1)
	w.accept(t, m, 2)
	if err := g.Admit(t.Context(), groups.Of(m, nil)); err != nil {
		t.Fatal(err)
	}
	r, _, err := records.Read[run.Run](t.Context(), w, records.RunKey("m-2"))
	if err != nil || r.State != run.Skipped || !strings.Contains(r.Outcome.Detail, "m-1") {
		t.Errorf("the second run is %s with the outcome %v, %v; want it skipped because of m-1", r.State, r.Outcome, err)
	}
}

// TestLeave gives back a slot twice. The second time there is nothing to give back.
func TestLeave(t *testing.T) {
	t.Parallel()
	s := memory.New()
	group := run.Group{Model: "m", Value: "v"}
	held := records.Holders{Schema: model.Schema, Holders: []string{"m-1"}}
	if err := s.Commit(t.Context(), store.Create(records.HoldersDoc(group, held, 0))); err != nil {
		t.Fatal(err)
	}
	ended := run.Run{ID: "m-1", Group: group, Ended: noon}
	writes, err := groups.Leave(t.Context(), s, ended, records.Retention(time.Hour))
	if err != nil || len(writes) != 1 || !writes[0].Doc.Expires.Equal(noon.Add(time.Hour)) {
		t.Fatalf("Leave returns %+v, %v; want the empty group, which expires after an hour", writes, err)
	}
	if err := s.Commit(t.Context(), writes...); err != nil {
		t.Fatal(err)
	}
	if writes, err := groups.Leave(t.Context(), s, ended, 0); err != nil || len(writes) != 0 {
		t.Errorf("the second Leave returns %+v, %v; want nothing", writes, err)
	}
	other := run.Run{ID: "x-1", Group: run.Group{Model: "x"}}
	if writes, err := groups.Leave(t.Context(), s, other, 0); err != nil || len(writes) != 0 {
		t.Errorf("for a group without a document, Leave returns %+v, %v; want nothing", writes, err)
	}
}
