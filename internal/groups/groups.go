package groups

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// Runs applies inputs to stored runs.
type Runs interface {
	// TryUpdate applies an input to a run, and stores the result in one commit with more writes. It returns
	// run.ErrIgnored if the run ignores the input, store.ErrConflict if another caller changed a document meanwhile, and
	// store.ErrNotFound for an unknown run.
	TryUpdate(ctx context.Context, id string, input func(run.Run) run.Transition, more ...store.Write) error
}

// Pauses tells which models are paused.
type Pauses interface {
	// NoteIfPaused reports whether a model is paused. If so, it notes the group first, so that a resume of the model
	// admits its waiters.
	NoteIfPaused(ctx context.Context, model string, g run.Group) (bool, error)
}

// Options holds the settings of Groups. All fields are required.
type Options struct {
	Store   store.Store
	Runs    Runs
	Pauses  Pauses
	Catalog model.Catalog
	Now     func() time.Time
}

// Groups grants the slots of all concurrency groups of a deployment. It is safe for concurrent use, in one process and
// in several.
type Groups struct{ o Options }

// New returns groups with these options.
func New(o Options) *Groups { return &Groups{o} }

// Paused returns the group in which the runs of a model without a concurrency limit wait while the model is paused.
func Paused(name string) run.Group { return run.Group{Model: name, Paused: true} }

// Of returns the concurrency group in which a run with these inputs needs a slot. It returns the zero group if the model
// has no limit.
func Of(m model.Model, inputs model.Inputs) run.Group {
	c := m.Policy.Concurrency
	switch {
	case c == nil:
		return run.Group{}
	case c.Pool != "":
		return run.Group{Pool: c.Pool, Value: records.Hash(c.Per.Key(inputs))}
	}
	return run.Group{Model: m.Name, Value: records.Hash(c.Per.Key(inputs))}
}

// uses reports whether the runs of a model wait in this group: it is one of the model's own groups, or of its pool's.
func uses(m model.Model, g run.Group) bool {
	c := m.Policy.Concurrency
	if c != nil && c.Pool != "" {
		return g.Pool == c.Pool
	}
	return g.Model == m.Name
}

// rule holds the limit of a concurrency group for a model, and the policy for a run that finds the group full.
type rule struct {
	limit   int // the number of slots; 0 means that there is no limit
	overlap model.Overlap
}

// ruleOf returns the rule of a group for a waiter. It reads the rule from the catalog, so that a deploy changes it
// also for runs that wait already. If the model no longer uses this group (it moved to a pool, to another pool, or has
// no limit now), the rule comes from the policy that the run was accepted with.
func (g *Groups) ruleOf(group run.Group, r run.Run) rule {
	c := r.Policy.Concurrency
	if m, known := g.o.Catalog.Model(r.Model); known && uses(m, group) {
		c = m.Policy.Concurrency
	}
	switch {
	case c == nil || group.Paused:
		return rule{}
	case c.Pool != "":
		return rule{g.o.Catalog.Pools[c.Pool], c.Overlap}
	}
	return rule{c.Limit, c.Overlap}
}

// errNotWaiting reports that a waiter was removed, because its run no longer waits for a slot in the group. An
// admission reads the group again and starts over.
var errNotWaiting = errors.New("the run does not wait for the slot any more")

// Admit grants the free slots of a concurrency group to its waiters, in the order in which their runs were accepted.
// It skips the runs of paused models. No other code grants slots: each run that joins a group, ends or is resumed
// stores an Admit effect.
func (g *Groups) Admit(ctx context.Context, group run.Group) error {
	for range store.MaxConflicts {
		first, err := g.firstWaiter(ctx, group)
		if err == nil && first.ID == "" {
			return nil
		}
		if err == nil {
			err = g.grantSlot(ctx, group, first)
		}
		switch {
		case errors.Is(err, errGroupFull):
			return nil
		case err != nil && !errors.Is(err, run.ErrIgnored) && !errors.Is(err, errNotWaiting) && !errors.Is(err, store.ErrConflict):
			return err
		}
	}
	return fmt.Errorf("admitting the waiters of group %s: gave up after %d tries", group, store.MaxConflicts)
}

// firstWaiter returns the first waiter of a group whose model is not paused, and a run without an id if there is none.
// It reads a page of waiters first. Only if the models of all of them are paused, it reads all waiters.
func (g *Groups) firstWaiter(ctx context.Context, group run.Group) (run.Run, error) {
	const page = 20
	paused := map[string]bool{}
	for _, limit := range []int{page, 0} {
		waiters, err := g.o.Store.Partition(ctx, records.GroupPartition(group), records.WaiterPrefix, limit)
		if err != nil {
			return run.Run{}, err
		}
		for _, doc := range waiters {
			r, err := g.waitingRun(ctx, doc)
			if err != nil {
				return run.Run{}, err
			}
			isPaused, known := paused[r.Model]
			if !known {
				if isPaused, err = g.o.Pauses.NoteIfPaused(ctx, r.Model, group); err != nil {
					return run.Run{}, err
				}
				paused[r.Model] = isPaused
			}
			if !isPaused {
				return r, nil
			}
		}
		if len(waiters) < page {
			break
		}
	}
	return run.Run{}, nil
}

// waitingRun returns the run of a waiter. If the run does not wait for a slot in this group any more, waitingRun
// removes the waiter and returns errNotWaiting.
func (g *Groups) waitingRun(ctx context.Context, doc store.Doc) (run.Run, error) {
	w, err := records.Decode[records.Waiter](doc)
	if err != nil {
		return run.Run{}, err
	}
	r, _, err := records.Read[run.Run](ctx, g.o.Store, records.RunKey(w.Run))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return r, err
	}
	if err == nil && r.State == run.Waiting && r.WaitingFor == run.ForSlot && records.GroupPartition(r.Group) == doc.PK {
		return r, nil
	}
	if err := g.o.Store.Commit(ctx, store.Remove(doc)); err != nil && !errors.Is(err, store.ErrConflict) {
		return r, err
	}
	return r, errNotWaiting
}

// errGroupFull reports that a concurrency group has no free slot. Its first waiter continues to wait.
var errGroupFull = errors.New("the concurrency group is full")

// grantSlot grants a slot to the first waiter of a group. If the group is full, it applies the overlap policy of the
// waiter's model.
func (g *Groups) grantSlot(ctx context.Context, group run.Group, first run.Run) error {
	rule := g.ruleOf(group, first)
	if rule.limit == 0 {
		return g.o.Runs.TryUpdate(ctx, first.ID, func(r run.Run) run.Transition { return r.GrantSlot(g.o.Now()) })
	}
	holders, version, err := records.Read[records.Holders](ctx, g.o.Store, records.HoldersKey(group))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	holders.Schema = model.Schema
	if len(holders.Holders) >= rule.limit {
		if holders.Holders, err = g.liveHolders(ctx, holders.Holders); err != nil {
			return err
		}
	}
	if len(holders.Holders) >= rule.limit {
		return g.applyOverlap(ctx, rule.overlap, holders, first)
	}
	holders.Holders = append(holders.Holders, first.ID)
	return g.o.Runs.TryUpdate(ctx, first.ID, func(r run.Run) run.Transition { return r.GrantSlot(g.o.Now()) },
		store.Write{Doc: records.HoldersDoc(group, holders, version), IfVersion: version})
}

// liveHolders returns the holders whose runs have not ended. A run that has ended holds no slot, even if the document
// of its group still names it.
func (g *Groups) liveHolders(ctx context.Context, holders []string) ([]string, error) {
	var live []string
	for _, id := range holders {
		r, _, err := records.Read[run.Run](ctx, g.o.Store, records.RunKey(id))
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return nil, err
		case !r.State.Ended():
			live = append(live, id)
		}
	}
	return live, nil
}

// applyOverlap applies an overlap policy to the first waiter of a full group: the run is skipped, it replaces a
// holder, or it continues to wait (errGroupFull).
func (g *Groups) applyOverlap(ctx context.Context, o model.Overlap, h records.Holders, first run.Run) error {
	switch o {
	case model.OverlapSkip:
		return g.o.Runs.TryUpdate(ctx, first.ID, func(r run.Run) run.Transition {
			return r.Skip("its concurrency group is full; its slots are held by "+strings.Join(h.Holders, ", "), g.o.Now())
		})
	case model.OverlapReplace:
		return g.replaceHolder(ctx, h, first)
	}
	return errGroupFull
}

// replaceHolder makes the newest waiter of a group take the slot of the oldest holder. If the first waiter is not the
// newest, it is skipped. Otherwise the oldest holder is cancelled, and frees its slot when it has ended.
func (g *Groups) replaceHolder(ctx context.Context, h records.Holders, first run.Run) error {
	waiters, err := g.o.Store.Partition(ctx, records.GroupPartition(first.Group), records.WaiterPrefix, 0)
	if err != nil {
		return err
	}
	if len(waiters) == 0 {
		return nil // another caller has admitted the waiters meanwhile
	}
	newest, err := records.Decode[records.Waiter](waiters[len(waiters)-1])
	if err != nil {
		return err
	}
	if newest.Run != first.ID {
		return g.o.Runs.TryUpdate(ctx, first.ID, func(r run.Run) run.Transition {
			return r.Skip("the newer run "+newest.Run+" replaces it (overlap: replace)", g.o.Now())
		})
	}
	err = g.o.Runs.TryUpdate(ctx, h.Holders[0], func(r run.Run) run.Transition {
		return r.Stop(run.StopRequest{Class: run.ClassCancelled, Reason: "replaced by run " + first.ID, By: "overlap: replace", At: g.o.Now()})
	})
	if errors.Is(err, run.ErrIgnored) { // the holder is cancelled already, and keeps its slot until it has ended
		return errGroupFull
	}
	return err
}

// Leave returns the write that gives back the slot of a run that has ended. It returns none if the run holds no slot. The
// document of a group without holders expires after keep.
func Leave(ctx context.Context, s store.Store, r run.Run, keep records.Retention) ([]store.Write, error) {
	holders, version, err := records.Read[records.Holders](ctx, s, records.HoldersKey(r.Group))
	if errors.Is(err, store.ErrNotFound) || err == nil && !slices.Contains(holders.Holders, r.ID) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// The document of an empty group stays, until it expires. If it were removed, a new document of the group would start
	// at version 1 again, and a caller that read the old one could overwrite the new one.
	holders.Holders = slices.DeleteFunc(holders.Holders, func(id string) bool { return id == r.ID })
	doc := records.HoldersDoc(r.Group, holders, version)
	if len(holders.Holders) == 0 {
		doc.Expires = keep.Since(r.Ended)
	}
	return []store.Write{store.Update(doc)}, nil
}
