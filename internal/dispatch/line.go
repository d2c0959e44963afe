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

// line is the document of a line: the runs that hold a place in it. A set and never a count, so
// that a place is given back once, whoever does it and however often.
type line struct {
	Schema  int      `json:"schema"`
	Holders []string `json:"holders"` // oldest first
}

// waiter is the document of a run that stands in a line.
type waiter struct {
	Schema int    `json:"schema"`
	Run    string `json:"run"`
}

// pausedLine is where the runs of a model without a limit wait while it is paused.
func pausedLine(name string) string { return "line/" + name + "/-" }

// lineOf is the line in which a run with these inputs needs a place; "" is none.
func lineOf(m model.Model, inputs model.Inputs) string {
	c := m.Policy.Concurrency
	if c == nil {
		return ""
	}
	key, _ := c.Per.Expand(m.Lookup(inputs))
	return linesOf(m) + hash(key.Text)
}

// linesOf is what the names of a model's lines begin with: its own, or those of its pool.
func linesOf(m model.Model) string {
	if c := m.Policy.Concurrency; c != nil && c.Pool != "" {
		return "line/pool:" + c.Pool + "/"
	}
	return "line/" + m.Name + "/"
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

func lineKey(name string) store.Key { return store.Key{PK: name, SK: "line"} }

// waiterKey orders those who wait, in a line or at a gate, by when they were accepted.
func waiterKey(r run.Run) store.Key {
	at := r.Line
	if r.For == run.Place {
		at = r.Gate
	}
	return store.Key{PK: at, SK: fmt.Sprintf("w/%015d/%s", r.Accepted.UnixMilli(), r.ID)}
}

// stands says whether a run is one of those who wait in a line or at a gate.
func stands(r run.Run) bool { return r.For == run.Line || r.For == run.Place }

// rule is how many places a line has for a model, and what becomes of those who find none.
type rule struct {
	limit   int // 0 is none
	overlap model.Overlap
}

// rule is read live: a deploy changes it for those who wait already. Who stands in a line that its model has left
// since (for a pool, for another one, for none) is held to what it was accepted with.
func (d *Dispatcher) rule(name string, r run.Run) rule {
	c := r.Policy.Concurrency
	if m, known := d.Catalog.Model(r.Model); known && strings.HasPrefix(name, linesOf(m)) {
		c = m.Policy.Concurrency
	}
	switch {
	case c == nil || strings.HasSuffix(name, "/-"):
		return rule{}
	case c.Pool != "":
		return rule{d.Catalog.Pools[c.Pool], c.Overlap}
	}
	return rule{c.Limit, c.Overlap}
}

// errAgain says that an admission has to start again from what is stored now.
var errAgain = errors.New("again")

// conflicts is how often a commit that others get ahead of is tried again. After that the caller
// fails, and its effect or message comes back later.
const conflicts = 100

// Admit gives the free places of a line to those who wait, first come first served. It is the only
// code that gives places; whoever joins, ends or resumes has it called.
func (d *Dispatcher) Admit(ctx context.Context, name string) error {
	for range conflicts {
		first, err := d.first(ctx, name)
		if err == nil && first.ID == "" {
			return nil
		}
		if err == nil {
			err = d.place(ctx, name, first)
		}
		switch {
		case errors.Is(err, errFull):
			return nil
		case err != nil && !errors.Is(err, errAgain) && !errors.Is(err, store.ErrConflict):
			return err
		}
	}
	return fmt.Errorf("line %s: others were ahead %d times", name, conflicts)
}

// first is the first run in a line whose model is not paused.
func (d *Dispatcher) first(ctx context.Context, name string) (run.Run, error) {
	const page = 20
	paused := map[string]bool{}
	for _, limit := range []int{page, 0} {
		waiters, err := d.Store.Partition(ctx, name, "w/", limit)
		if err != nil {
			return run.Run{}, err
		}
		for _, doc := range waiters {
			r, err := d.waiting(ctx, doc)
			if err != nil {
				return run.Run{}, err
			}
			isPaused, known := paused[r.Model]
			if !known {
				if isPaused, err = d.held(ctx, r.Model, name); err != nil {
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

// waiting is the run of a waiter. One that does not wait any more is taken out of the line.
func (d *Dispatcher) waiting(ctx context.Context, doc store.Doc) (run.Run, error) {
	var w waiter
	if err := Decode(doc, &w); err != nil {
		return run.Run{}, err
	}
	r, _, err := Read[run.Run](ctx, d.Store, RunKey(w.Run))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return r, err
	}
	if err == nil && r.State == run.Waiting && r.For == run.Line && r.Line == doc.PK {
		return r, nil
	}
	if err := d.Store.Commit(ctx, store.Remove(doc)); err != nil && !errors.Is(err, store.ErrConflict) {
		return r, err
	}
	return r, errAgain
}

// errFull says that a line has no place, and that the first of it waits.
var errFull = errors.New("the line is full")

// place gives a run a place in its line, or does what its model wants where there is none.
func (d *Dispatcher) place(ctx context.Context, name string, first run.Run) error {
	rule := d.rule(name, first)
	if rule.limit == 0 {
		return d.step(ctx, first.ID, func(r run.Run) (run.Run, bool) { return r.Grant(d.Now()) })
	}
	l, version, err := Read[line](ctx, d.Store, lineKey(name))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	l.Schema = model.Schema
	if len(l.Holders) >= rule.limit {
		if l.Holders, err = d.present(ctx, l.Holders); err != nil {
			return err
		}
	}
	if len(l.Holders) >= rule.limit {
		return d.overlap(ctx, rule.overlap, l, first)
	}
	l.Holders = append(l.Holders, first.ID)
	return d.step(ctx, first.ID, func(r run.Run) (run.Run, bool) { return r.Grant(d.Now()) },
		store.Write{Doc: store.Doc{Key: lineKey(name), Body: encode(l)}, Was: version})
}

// present are those of a line's holders that still live: one that has ended has given its place
// back, whatever the document says.
func (d *Dispatcher) present(ctx context.Context, holders []string) ([]string, error) {
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

// overlap decides about the first of a line that is full.
func (d *Dispatcher) overlap(ctx context.Context, o model.Overlap, l line, first run.Run) error {
	switch o {
	case model.OverlapSkip:
		return d.step(ctx, first.ID, func(r run.Run) (run.Run, bool) {
			return r.Skip("its line is full: "+strings.Join(l.Holders, ", ")+" has not ended", d.Now())
		})
	case model.OverlapReplace:
		return d.replace(ctx, l, first)
	}
	return errFull
}

// replace has the newest of a line take the place of the oldest holder; those in between are skipped.
func (d *Dispatcher) replace(ctx context.Context, l line, first run.Run) error {
	waiters, err := d.Store.Partition(ctx, first.Line, "w/", 0)
	if err != nil {
		return err
	}
	if len(waiters) == 0 {
		return errAgain // others have been here since
	}
	newest := waiters[len(waiters)-1]
	if waiterKey(first) != newest.Key {
		id := newest.SK[strings.LastIndexByte(newest.SK, '/')+1:]
		return d.step(ctx, first.ID, func(r run.Run) (run.Run, bool) { return r.Skip("run "+id+" takes its turn", d.Now()) })
	}
	err = d.step(ctx, l.Holders[0], func(r run.Run) (run.Run, bool) {
		return r.Stop(run.Cancel{Class: run.Stopped, Why: "replaced by run " + first.ID, By: "overlap: replace", At: d.Now()})
	})
	if errors.Is(err, errAgain) { // it is cancelled already, and holds its place until it has ended
		return errFull
	}
	return err
}

// step gives an input to a run in one commit with more writes. It fails when the run does not take it, or
// when somebody was faster.
func (d *Dispatcher) step(ctx context.Context, id string, input func(run.Run) (run.Run, bool), more ...store.Write) error {
	before, version, err := Read[run.Run](ctx, d.Store, RunKey(id))
	if err != nil {
		return err
	}
	after, changed := input(before)
	if !changed {
		return errAgain
	}
	return d.commit(ctx, before, after, version, more...)
}

// lineWrites are what a move of a run changes where it waits in order: it comes, is let go, or leaves its
// place in its line.
func (d *Dispatcher) lineWrites(ctx context.Context, before, after run.Run) ([]store.Write, error) {
	var writes []store.Write
	if stands(before) && before.For != after.For {
		writes = append(writes, store.Remove(store.Doc{Key: waiterKey(before), Version: 1}))
	}
	if stands(after) && before.For != after.For {
		writes = append(writes, store.Create(store.Doc{Key: waiterKey(after), Body: encode(waiter{model.Schema, after.ID})}))
	}
	if after.Line == "" || before.For == run.Line || !after.State.Ended() {
		return writes, nil
	}
	l, version, err := Read[line](ctx, d.Store, lineKey(after.Line))
	if errors.Is(err, store.ErrNotFound) || err == nil && !slices.Contains(l.Holders, after.ID) {
		return writes, nil
	}
	if err != nil {
		return nil, err
	}
	// A line that is empty stays: were it removed, its versions would begin again, and who read it before could
	// take one line for the other.
	doc := store.Doc{Key: lineKey(after.Line), Version: version}
	if l.Holders = slices.DeleteFunc(l.Holders, func(id string) bool { return id == after.ID }); len(l.Holders) == 0 {
		doc.Expires = d.expires(after.Ended)
	}
	doc.Body = encode(l)
	return append(writes, store.Update(doc)), nil
}
