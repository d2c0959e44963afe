package dispatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// DefaultRate is how many RunTask calls a second all launchers together make, where Options do not say: a
// little under the default quota of an account, which is 20 a second and as many at once.
const DefaultRate = 19.5

// gatePause is after how long a closed gate lets one run through, to see whether there are places again.
const gatePause = time.Minute

// turnLife is how long a run may be late for its turn. Whoever is later takes another one: after a time in which nothing was
// launched, not all are to call at once.
const turnLife = 10 * time.Second

// pace is the document that keeps all launchers together.
type pace struct {
	Schema   int                          `json:"schema"`
	Next     time.Time                    `json:"next"`               // when the next call may be made
	Gates    map[model.Capacity]time.Time `json:"gates,omitempty"`    // that are closed, and when the next run is let through to try
	Hour     time.Time                    `json:"hour"`               // the hour that is counted
	Launches map[string]int               `json:"launches,omitempty"` // of each model within it; one more than its brake allows is a model that was paused
}

var paceKey = store.Key{PK: "control/-", SK: "pace"}

func paceWrite(p pace, version int64) store.Write {
	due := time.Time{}
	for _, until := range p.Gates {
		if due.IsZero() || until.Before(due) {
			due = until
		}
	}
	return store.Write{Doc: store.Doc{Key: paceKey, Version: version, Body: encode(p), Due: due}, Was: version}
}

func (d *Dispatcher) pace(ctx context.Context) (pace, int64, error) {
	p, version, err := Read[pace](ctx, d.Store, paceKey)
	if errors.Is(err, store.ErrNotFound) {
		return pace{Schema: model.Schema}, 0, nil
	}
	return p, version, err
}

// changePace changes the pace, and tries again when others were faster. A change that does nothing says so.
func (d *Dispatcher) changePace(ctx context.Context, change func(pace) (pace, bool)) error {
	for range conflicts {
		before, version, err := d.pace(ctx)
		if err != nil {
			return err
		}
		before.Gates, before.Launches = maps.Clone(before.Gates), maps.Clone(before.Launches)
		after, changed := change(before)
		if !changed {
			return nil
		}
		if err := d.Store.Commit(ctx, paceWrite(after, version)); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("pace: others were ahead %d times", conflicts)
}

// Turn is what a run is to do that is ready to be launched.
type Turn struct {
	At       time.Time      // when it may call RunTask
	Capacity int            // the first of its model's list that is not known to be used up
	Gate     model.Capacity // where it waits, because all of them are; "" is nowhere
	Braked   bool           // its model was launched too often
}

// Turns gives each of a batch of runs that is ready to be launched its turn, all in one commit: the
// rate of all launchers together stays under the account's quota, and nobody calls RunTask who is
// known to be refused. Runs that are not ready have none.
func (d *Dispatcher) Turns(ctx context.Context, ids ...string) (map[string]Turn, error) {
	runs := make([]run.Run, len(ids))
	d.Each(len(ids), func(i int) {
		// Of one that cannot be read, whoever launches it finds out.
		if r, _, err := Read[run.Run](ctx, d.Store, RunKey(ids[i])); err == nil && r.Calls(d.Now()) {
			runs[i] = r
		}
	})
	var ready []run.Run // each once, in their order
	for _, r := range runs {
		if r.ID != "" && !slices.ContainsFunc(ready, func(other run.Run) bool { return other.ID == r.ID }) {
			ready = append(ready, r)
		}
	}
	if len(ready) == 0 {
		return nil, nil
	}
	turns := map[string]Turn{}
	var lag time.Duration
	err := d.changePace(ctx, func(p pace) (pace, bool) {
		clear(turns)
		before := p.Next
		for _, r := range ready {
			turns[r.ID] = d.turn(&p, r)
		}
		lag = max(p.Next.Sub(d.Now()), 0)
		return p, !p.Next.Equal(before) || braked(turns)
	})
	if err != nil {
		return nil, err
	}
	if d.Notice.Lag != nil {
		d.Notice.Lag(lag)
	}
	return turns, d.pauseBraked(ctx, ready, turns)
}

func braked(turns map[string]Turn) bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(turns)), func(t Turn) bool { return t.Braked })
}

// turn takes one turn from the pace.
func (d *Dispatcher) turn(p *pace, r run.Run) Turn {
	now := d.Now()
	if hour := now.Truncate(time.Hour); !hour.Equal(p.Hour) { // a model that was paused stays so until it is resumed
		p.Hour = hour
		maps.DeleteFunc(p.Launches, func(name string, n int) bool { return n <= d.brake(name) })
	}
	if p.Launches == nil {
		p.Launches = map[string]int{}
	}
	t, first := Turn{At: r.Turn}, r.Attempt == 0
	if now.Sub(t.At) > turnLife {
		t.At = time.Time{}
	}
	if r.State == run.Waiting { // what is sent again is sent as it was
		t.Capacity, t.Gate = p.capacity(r)
	}
	switch {
	case t.Gate != "" || !t.At.IsZero():
		return t
	case first && p.Launches[r.Model] >= d.brake(r.Model):
		p.Launches[r.Model], t.Braked = d.brake(r.Model)+1, true
		return t
	case first:
		p.Launches[r.Model]++
	}
	p.Next = latest(p.Next, now.Add(-time.Second/2)) // what fits in half a second may be called at once
	t.At, p.Next = p.Next, p.Next.Add(time.Duration(float64(time.Second)/d.rate()))
	return t
}

// capacity is the first of a run's capacities from the one it has come to whose gate is open. Where none is, it is the
// last, at whose gate the run waits unless it was let through.
func (p pace) capacity(r run.Run) (int, model.Capacity) {
	last := len(r.Capacities) - 1
	for i := r.Capacity; i <= last && r.Pass != run.Replacement; i++ {
		if _, closed := p.Gates[r.Capacities[i]]; !closed {
			return i, ""
		}
	}
	if r.Pass != "" {
		return last, ""
	}
	return last, r.Capacities[last]
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (d *Dispatcher) rate() float64 {
	if d.Rate > 0 {
		return d.Rate
	}
	return DefaultRate
}

// brake is how many launches an hour a model may have.
func (d *Dispatcher) brake(name string) int {
	if m, known := d.Catalog.Model(name); known && m.Policy.Brake > 0 {
		return m.Policy.Brake
	}
	return model.DefaultBrake
}

// pauseBraked pauses models that were launched too often: most likely they start themselves.
func (d *Dispatcher) pauseBraked(ctx context.Context, ready []run.Run, turns map[string]Turn) error {
	for _, r := range ready {
		if !turns[r.ID].Braked {
			continue
		}
		name := r.Model
		why := fmt.Sprintf("it was launched %d times within an hour, which looks like a loop; raise launches-per-hour if it is none, and resume it", d.brake(name))
		if _, err := d.Pause(ctx, name, why, "launches-per-hour"); err != nil {
			return err
		}
	}
	return nil
}

// release forgets what a model was launched, when it is resumed.
func (d *Dispatcher) release(ctx context.Context, name string) error {
	return d.changePace(ctx, func(p pace) (pace, bool) {
		_, counted := p.Launches[name]
		delete(p.Launches, name)
		return p, counted
	})
}

// closeGate notes that ECS has no place for more tasks. It stays closed until nobody waits at it.
func (d *Dispatcher) closeGate(ctx context.Context, c model.Capacity) error {
	return d.changePace(ctx, func(p pace) (pace, bool) {
		if _, closed := p.Gates[c]; closed {
			return p, false
		}
		if p.Gates == nil {
			p.Gates = map[model.Capacity]time.Time{}
		}
		p.Gates[c] = d.Now().Add(gatePause)
		return p, true
	})
}

// openGates lets a run through each gate whose time has come. A gate at which nobody waits is open again.
func (d *Dispatcher) openGates(ctx context.Context) error {
	p, _, err := d.pace(ctx)
	if err != nil {
		return err
	}
	for c, until := range p.Gates {
		if d.Now().Before(until) {
			continue
		}
		waiters, err := d.Store.Partition(ctx, run.Gate(c), "w/", 1)
		if err != nil {
			return err
		}
		err = d.changePace(ctx, func(p pace) (pace, bool) {
			if d.Now().Before(p.Gates[c]) || p.Gates[c].IsZero() {
				return p, false
			}
			delete(p.Gates, c)
			if len(waiters) > 0 {
				p.Gates[c] = d.Now().Add(gatePause)
			}
			return p, true
		})
		if err == nil {
			err = d.through(ctx, run.Gate(c), 1, run.Probe)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// atGate does what an effect wants of a gate: where a task has ended, one run takes its place; where one that was let
// through to try has found a place, two more try; where one has come to a gate that is open by now, it goes on.
func (d *Dispatcher) atGate(ctx context.Context, e run.Effect) error {
	switch {
	case e.Attempt > 0:
		return d.through(ctx, e.Line, 2, run.Probe)
	case e.Task != "":
		return d.through(ctx, e.Line, 1, run.Replacement)
	}
	p, _, err := d.pace(ctx)
	if err != nil {
		return err
	}
	if !p.Gates[model.Capacity(strings.TrimPrefix(e.Line, "gate/"))].IsZero() {
		return nil
	}
	return d.through(ctx, e.Line, 1, run.Probe)
}

// through lets the first runs at a gate through.
func (d *Dispatcher) through(ctx context.Context, gate string, n int, pass run.Pass) error {
	waiters, err := d.Store.Partition(ctx, gate, "w/", n)
	if err != nil {
		return err
	}
	for _, doc := range waiters {
		var w waiter
		if err := Decode(doc, &w); err != nil {
			return err
		}
		err := d.step(ctx, w.Run, func(r run.Run) (run.Run, bool) { return r.Through(pass, d.Now()) })
		if err != nil && !errors.Is(err, errAgain) && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}
