package dispatch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// group is the document of a concurrency group: the set of the runs that hold a slot. A set, unlike a count, stays
// right when a slot is given back twice.
type group struct {
	Schema  int      `json:"schema"`
	Holders []string `json:"holders"` // run ids, in the order in which they got their slots
}

// waiter is the document of a run that waits: for a slot, for capacity or for an object, as its key says.
type waiter struct {
	Schema int    `json:"schema"`
	Run    string `json:"run"`
}

// pausedGroup returns the group in which the runs of a model without a concurrency limit wait while the model is paused.
func pausedGroup(name string) run.Group { return run.Group{Model: name, Paused: true} }

// groupOf returns the concurrency group in which a run with these inputs needs a slot. It returns the zero group if the
// model has no limit.
func groupOf(m model.Model, inputs model.Inputs) run.Group {
	c := m.Policy.Concurrency
	switch {
	case c == nil:
		return run.Group{}
	case c.Pool != "":
		return run.Group{Pool: c.Pool, Value: hash(c.Per.Key(inputs))}
	}
	return run.Group{Model: m.Name, Value: hash(c.Per.Key(inputs))}
}

// uses reports whether the runs of a model wait in this group: it is one of the model's own groups, or of its pool's.
func uses(m model.Model, g run.Group) bool {
	c := m.Policy.Concurrency
	if c != nil && c.Pool != "" {
		return g.Pool == c.Pool
	}
	return g.Model == m.Name
}

// hash returns 32 hexadecimal characters of the SHA-256 of a text, for keys.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// groupPartition returns the partition key of a concurrency group's documents.
func groupPartition(g run.Group) string { return "group/" + g.String() }

// breakerPartition returns the partition key of the waiters at the breaker of a capacity type.
func breakerPartition(c model.Capacity) string { return "breaker/" + string(c) }

// groupKey returns the key of a concurrency group's document.
func groupKey(g run.Group) store.Key { return store.Key{PK: groupPartition(g), SK: "holders"} }

// waiterPrefix begins the sort keys of the waiters in the partition of a concurrency group or of a breaker.
const waiterPrefix = "w/"

// waiterKey returns the key of a run that waits for a slot or for capacity. The sort keys order the waiters by when
// their runs were accepted.
func waiterKey(r run.Run) store.Key {
	partition := groupPartition(r.Group)
	if r.WaitingFor == run.ForCapacity {
		partition = breakerPartition(r.Breaker)
	}
	return store.Key{PK: partition, SK: fmt.Sprintf("%s%015d/%s", waiterPrefix, r.Accepted.UnixMilli(), r.ID)}
}

// isWaiter reports whether a run waits for a slot or for capacity.
func isWaiter(r run.Run) bool { return r.WaitingFor == run.ForSlot || r.WaitingFor == run.ForCapacity }

// groupRule holds the limit of a concurrency group for a model, and the policy for a run that finds the group full.
type groupRule struct {
	limit   int // the number of slots; 0 means that there is no limit
	overlap model.Overlap
}

// groupRule returns the rule of a group for a waiter. It reads the rule from the catalog, so that a deploy changes it
// also for runs that wait already. If the model no longer uses this group (it moved to a pool, to another pool, or has
// no limit now), the rule comes from the policy that the run was accepted with.
func (d *Dispatcher) groupRule(g run.Group, r run.Run) groupRule {
	c := r.Policy.Concurrency
	if m, known := d.Catalog.Model(r.Model); known && uses(m, g) {
		c = m.Policy.Concurrency
	}
	switch {
	case c == nil || g.Paused:
		return groupRule{}
	case c.Pool != "":
		return groupRule{d.Catalog.Pools[c.Pool], c.Overlap}
	}
	return groupRule{c.Limit, c.Overlap}
}

// errIgnored reports that a run ignored its input. Mostly, another caller has changed the run meanwhile: it no longer
// waits, or its stop was requested already. An admission reads the group again and starts over.
var errIgnored = errors.New("the run ignored the input")

// errNotWaiting reports that a waiter was removed, because its run no longer waits for a slot in the group. An
// admission reads the group again and starts over.
var errNotWaiting = errors.New("the run does not wait for the slot any more")

// maxConflicts is the maximum number of tries of a commit that ends in a conflict. After that the caller returns an
// error: its effect stays in the outbox, and SQS delivers its message again.
const maxConflicts = 100

// Admit grants the free slots of a concurrency group to its waiters, in the order in which their runs were accepted.
// It skips the runs of paused models. No other code grants slots: each run that joins a group, ends or is resumed
// stores an Admit effect.
func (d *Dispatcher) Admit(ctx context.Context, g run.Group) error {
	for range maxConflicts {
		first, err := d.firstWaiter(ctx, g)
		if err == nil && first.ID == "" {
			return nil
		}
		if err == nil {
			err = d.grantSlot(ctx, g, first)
		}
		switch {
		case errors.Is(err, errGroupFull):
			return nil
		case err != nil && !errors.Is(err, errIgnored) && !errors.Is(err, errNotWaiting) && !errors.Is(err, store.ErrConflict):
			return err
		}
	}
	return fmt.Errorf("admitting the waiters of group %s: gave up after %d tries", g, maxConflicts)
}

// firstWaiter returns the first waiter of a group whose model is not paused, and a run without an id if there is none.
// It reads a page of waiters first. Only if the models of all of them are paused, it reads all waiters.
func (d *Dispatcher) firstWaiter(ctx context.Context, g run.Group) (run.Run, error) {
	const page = 20
	paused := map[string]bool{}
	for _, limit := range []int{page, 0} {
		waiters, err := d.Store.Partition(ctx, groupPartition(g), waiterPrefix, limit)
		if err != nil {
			return run.Run{}, err
		}
		for _, doc := range waiters {
			r, err := d.waitingRun(ctx, doc)
			if err != nil {
				return run.Run{}, err
			}
			isPaused, known := paused[r.Model]
			if !known {
				if isPaused, err = d.noteIfPaused(ctx, r.Model, g); err != nil {
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
func (d *Dispatcher) waitingRun(ctx context.Context, doc store.Doc) (run.Run, error) {
	var w waiter
	if err := Decode(doc, &w); err != nil {
		return run.Run{}, err
	}
	r, _, err := Read[run.Run](ctx, d.Store, RunKey(w.Run))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return r, err
	}
	if err == nil && r.State == run.Waiting && r.WaitingFor == run.ForSlot && groupPartition(r.Group) == doc.PK {
		return r, nil
	}
	if err := d.Store.Commit(ctx, store.Remove(doc)); err != nil && !errors.Is(err, store.ErrConflict) {
		return r, err
	}
	return r, errNotWaiting
}

// errGroupFull reports that a concurrency group has no free slot. Its first waiter continues to wait.
var errGroupFull = errors.New("the concurrency group is full")

// grantSlot grants a slot to the first waiter of a group. If the group is full, it applies the overlap policy of the
// waiter's model.
func (d *Dispatcher) grantSlot(ctx context.Context, g run.Group, first run.Run) error {
	rule := d.groupRule(g, first)
	if rule.limit == 0 {
		return d.tryUpdate(ctx, first.ID, func(r run.Run) run.Transition { return r.GrantSlot(d.Now()) })
	}
	holding, version, err := Read[group](ctx, d.Store, groupKey(g))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	holding.Schema = model.Schema
	if len(holding.Holders) >= rule.limit {
		if holding.Holders, err = d.liveHolders(ctx, holding.Holders); err != nil {
			return err
		}
	}
	if len(holding.Holders) >= rule.limit {
		return d.applyOverlap(ctx, rule.overlap, holding, first)
	}
	holding.Holders = append(holding.Holders, first.ID)
	return d.tryUpdate(ctx, first.ID, func(r run.Run) run.Transition { return r.GrantSlot(d.Now()) },
		store.Write{Doc: store.Doc{Key: groupKey(g), Body: encode(holding)}, IfVersion: version})
}

// liveHolders returns the holders whose runs have not ended. A run that has ended holds no slot, even if the document
// of its group still names it.
func (d *Dispatcher) liveHolders(ctx context.Context, holders []string) ([]string, error) {
	var live []string
	for _, id := range holders {
		r, _, err := Read[run.Run](ctx, d.Store, RunKey(id))
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
func (d *Dispatcher) applyOverlap(ctx context.Context, o model.Overlap, g group, first run.Run) error {
	switch o {
	case model.OverlapSkip:
		return d.tryUpdate(ctx, first.ID, func(r run.Run) run.Transition {
			return r.Skip("its concurrency group is full; its slots are held by "+strings.Join(g.Holders, ", "), d.Now())
		})
	case model.OverlapReplace:
		return d.replaceHolder(ctx, g, first)
	}
	return errGroupFull
}

// replaceHolder makes the newest waiter of a group take the slot of the oldest holder. If the first waiter is not the
// newest, it is skipped. Otherwise the oldest holder is cancelled, and frees its slot when it has ended.
func (d *Dispatcher) replaceHolder(ctx context.Context, g group, first run.Run) error {
	waiters, err := d.Store.Partition(ctx, groupPartition(first.Group), waiterPrefix, 0)
	if err != nil {
		return err
	}
	if len(waiters) == 0 {
		return nil // another caller has admitted the waiters meanwhile
	}
	var newest waiter
	if err := Decode(waiters[len(waiters)-1], &newest); err != nil {
		return err
	}
	if newest.Run != first.ID {
		return d.tryUpdate(ctx, first.ID, func(r run.Run) run.Transition {
			return r.Skip("the newer run "+newest.Run+" replaces it (overlap: replace)", d.Now())
		})
	}
	err = d.tryUpdate(ctx, g.Holders[0], func(r run.Run) run.Transition {
		return r.Stop(run.StopRequest{Class: run.ClassCancelled, Reason: "replaced by run " + first.ID, By: "overlap: replace", At: d.Now()})
	})
	if errors.Is(err, errIgnored) { // the holder is cancelled already, and keeps its slot until it has ended
		return errGroupFull
	}
	return err
}

// tryUpdate applies an input to a run, and stores the result in one commit with more writes. It returns errIgnored if
// the run ignores the input, and store.ErrConflict if another caller changed a document meanwhile.
func (d *Dispatcher) tryUpdate(ctx context.Context, id string, input func(run.Run) run.Transition, more ...store.Write) error {
	before, version, err := Read[run.Run](ctx, d.Store, RunKey(id))
	if err != nil {
		return err
	}
	t := input(before)
	if t.Kind == run.Ignored {
		return errIgnored
	}
	return d.commit(ctx, before, t, version, more...)
}

// groupWrites returns the extra writes for a changed run that starts or stops waiting for a slot or for capacity (its
// waiter), or that ends and gives back its slot (its concurrency group).
func (d *Dispatcher) groupWrites(ctx context.Context, before, after run.Run) ([]store.Write, error) {
	var writes []store.Write
	if isWaiter(before) && before.WaitingFor != after.WaitingFor {
		writes = append(writes, store.Remove(store.Doc{Key: waiterKey(before), Version: 1}))
	}
	if isWaiter(after) && before.WaitingFor != after.WaitingFor {
		writes = append(writes, store.Create(store.Doc{Key: waiterKey(after), Body: encode(waiter{model.Schema, after.ID})}))
	}
	if after.Group == (run.Group{}) || before.WaitingFor == run.ForSlot || !after.State.Ended() {
		return writes, nil
	}
	g, version, err := Read[group](ctx, d.Store, groupKey(after.Group))
	if errors.Is(err, store.ErrNotFound) || err == nil && !slices.Contains(g.Holders, after.ID) {
		return writes, nil
	}
	if err != nil {
		return nil, err
	}
	// The document of an empty group stays, until it expires. If it were removed, a new document of the group would start
	// at version 1 again, and a caller that read the old one could overwrite the new one.
	doc := store.Doc{Key: groupKey(after.Group), Version: version}
	if g.Holders = slices.DeleteFunc(g.Holders, func(id string) bool { return id == after.ID }); len(g.Holders) == 0 {
		doc.Expires = d.expires(after.Ended)
	}
	doc.Body = encode(g)
	return append(writes, store.Update(doc)), nil
}
