// Package route finds the models that an event starts, with their inputs bound, and can say of
// each other model why it was not started.
//
// A Table is compiled once from the catalog. Its index leads from an event's source (bucket,
// queue, model, EventBridge source) to the triggers that may take it, so that the number of
// models does not matter.
package route

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/pattern"
)

// Result is what an event means for the catalog's models.
type Result struct {
	Bindings   []Binding   // it starts these
	Rejections []Rejection // a trigger takes it, but an input is missing or invalid
	Misses     []Miss      // no trigger of the model takes it: of Explain only, nearest first
}

// Binding is one run that an event starts.
type Binding struct {
	Model   model.Model
	Trigger model.Trigger
	Key     string            // the for-each values, as region=us
	Inputs  model.Inputs      // canonical text
	From    map[string]string // where each input came from, for people
	// Downstream has the success of a run by hand start the models that run after it.
	Downstream bool
}

// Rejection is a run that an event would start if its inputs were right.
type Rejection struct {
	Model   string
	Trigger string
	Key     string
	Reason  string // names the input
}

// Follows says whether any model runs after this one.
func (t *Table) Follows(name string) bool { return len(t.index[source{model.After, name}]) > 0 }

// Miss is a model that an event does not start.
type Miss struct {
	Model   string
	Trigger string // the nearest one; "" where the model has none of the event's kind
	Reason  string
	Near    int // the more of the trigger fits, the higher
}

// Table is a compiled catalog.
type Table struct {
	models []model.Entry
	index  map[source][]candidate
	// open are candidates of event triggers whose pattern does not pin the source.
	open []candidate
	all  []candidate
}

// source is what an event is looked up by.
type source struct {
	kind model.Kind
	name string
}

// candidate is one trigger of one model.
type candidate struct {
	order    int // of the model in the catalog
	trigger  model.Trigger
	arrivals []Arrival
	pattern  *pattern.Pattern
	where    *pattern.Pattern
}

// New compiles a catalog's triggers.
func New(c model.Catalog) (*Table, error) {
	t := &Table{models: c.Index(), index: map[source][]candidate{}}
	for order, m := range t.models {
		for _, trigger := range m.Triggers {
			one, err := compile(order, trigger)
			if err != nil {
				return nil, fmt.Errorf("model %q: trigger %q: %w", m.Name, trigger.Name, err)
			}
			t.add(m.Name, one)
		}
	}
	return t, nil
}

func compile(order int, t model.Trigger) (candidate, error) {
	c := candidate{order: order, trigger: t}
	for _, text := range t.Arrival {
		a, err := ParseArrival(text)
		if err != nil {
			return c, err
		}
		c.arrivals = append(c.arrivals, a)
	}
	var err error
	if c.pattern, err = compilePattern(t.Pattern); err != nil {
		return c, err
	}
	c.where, err = compilePattern(t.Where)
	return c, err
}

func compilePattern(text []byte) (*pattern.Pattern, error) {
	if len(text) == 0 {
		return nil, nil
	}
	p, err := pattern.Compile(text)
	return &p, err
}

func (t *Table) add(name string, c candidate) {
	t.all = append(t.all, c)
	var names []string
	switch c.trigger.Kind {
	case model.Schedule:
		names = []string{name}
	case model.Arrival:
		for _, a := range c.arrivals {
			names = append(names, a.Bucket())
		}
	case model.Message:
		names = []string{c.trigger.Queue[strings.LastIndexByte(c.trigger.Queue, ':')+1:]}
	case model.After:
		names = c.trigger.After
	case model.Event:
		if names = c.pattern.Literals("source"); names == nil {
			t.open = append(t.open, c)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		at := source{c.trigger.Kind, name}
		t.index[at] = append(t.index[at], c)
	}
}

// Route finds what an event starts.
func (t *Table) Route(e event.Event) Result {
	candidates := t.index[source{e.Kind, e.Source}]
	if e.Kind == model.Event {
		candidates = slices.Concat(candidates, t.open)
		slices.SortStableFunc(candidates, func(a, b candidate) int { return a.order - b.order })
	}
	return t.route(e, candidates)
}

// Explain finds what an event starts, and why it starts no other model.
func (t *Table) Explain(e event.Event) Result {
	result := t.route(e, t.all)
	for order, m := range t.models {
		if !concerns(result, m.Name) {
			result.Misses = append(result.Misses, t.nearest(e, order, m.Name))
		}
	}
	slices.SortStableFunc(result.Misses, func(a, b Miss) int { return b.Near - a.Near })
	return result
}

func concerns(r Result, name string) bool {
	return slices.ContainsFunc(r.Bindings, func(b Binding) bool { return b.Model.Name == name }) ||
		slices.ContainsFunc(r.Rejections, func(r Rejection) bool { return r.Model == name })
}

// nearest is why a model is not started, by the trigger that nearly took the event.
func (t *Table) nearest(e event.Event, order int, name string) Miss {
	best := Miss{Model: name, Reason: "it has no triggers: it runs by hand only", Near: -1}
	for _, c := range t.all {
		if c.order != order {
			continue
		}
		if _, miss := c.takes(e, name); miss.Near > best.Near {
			best = Miss{Model: name, Trigger: c.trigger.Name, Reason: miss.Reason, Near: miss.Near}
		}
	}
	return best
}

// route tries candidates, which are in the order of the catalog: the first trigger of a model
// that takes the event wins, even if its inputs turn out wrong.
func (t *Table) route(e event.Event, candidates []candidate) Result {
	var result Result
	taken := -1
	for _, c := range candidates {
		if c.order == taken {
			continue
		}
		m := t.models[c.order]
		captures, miss := c.takes(e, m.Name)
		if miss.Reason != "" {
			continue
		}
		taken = c.order
		for _, each := range combinations(c.trigger.ForEach) {
			b := binder{model: m.Model(), trigger: c.trigger, event: e, captures: captures, each: each}
			inputs, from, err := b.bind()
			if err != nil {
				result.Rejections = append(result.Rejections, Rejection{m.Name, c.trigger.Name, each.key(), err.Error()})
				continue
			}
			result.Bindings = append(result.Bindings, Binding{Model: b.model, Trigger: c.trigger, Key: each.key(), Inputs: inputs, From: from})
		}
	}
	return result
}

// The levels of nearness.
const (
	farKind = iota
	farSource
	farKey
	farWhere
)

// takes says whether the trigger takes the event, with what its arrival pattern captures; else
// the miss says why not.
func (c candidate) takes(e event.Event, name string) (map[string]string, Miss) {
	if c.trigger.Kind != e.Kind {
		return nil, Miss{Reason: fmt.Sprintf("its trigger %q takes %s events, and this is %s", c.trigger.Name, c.trigger.Kind, article(e.Kind)), Near: farKind}
	}
	captures, miss := c.matches(e, name)
	if miss.Reason != "" {
		return nil, miss
	}
	if c.where != nil {
		if why := c.where.Mismatch(view(e, captures)); why != "" {
			if e.Fieldless != "" && strings.HasPrefix(why, "body.") {
				why = e.Fieldless
			}
			return nil, Miss{Reason: "where: " + why, Near: farWhere}
		}
	}
	return captures, Miss{}
}

func article(k model.Kind) string {
	if k == model.Arrival || k == model.Event || k == model.After {
		return fmt.Sprintf("an %s", k)
	}
	return fmt.Sprintf("a %s", k)
}

// view is what `where` looks into: the event's namespaces, and the captures beside them.
func view(e event.Event, captures map[string]string) map[string]any {
	if len(captures) == 0 {
		return e.Fields
	}
	all := maps.Clone(e.Fields)
	for name, text := range captures {
		all[name] = text
	}
	return all
}

// matches compares what is particular to the trigger's kind.
func (c candidate) matches(e event.Event, name string) (map[string]string, Miss) {
	switch e.Kind {
	case model.Schedule:
		if e.Source != name {
			return nil, Miss{Reason: fmt.Sprintf("it is the schedule of model %q", e.Source), Near: farKind}
		}
		if e.Schedule.Trigger != c.trigger.Name {
			return nil, Miss{Reason: fmt.Sprintf("it is the schedule of trigger %q, which the model no longer has; it has %q", e.Schedule.Trigger, c.trigger.Name), Near: farSource}
		}
	case model.Arrival:
		return c.arrives(*e.Object)
	case model.Message:
		if queue := c.trigger.Queue[strings.LastIndexByte(c.trigger.Queue, ':')+1:]; e.Source != queue {
			return nil, Miss{Reason: fmt.Sprintf("it reads queue %q, and this message is of queue %q", queue, e.Source), Near: farSource}
		}
	case model.After:
		if !slices.Contains(c.trigger.After, e.Source) {
			return nil, Miss{Reason: fmt.Sprintf("it runs after %s, and this is the end of %q", strings.Join(c.trigger.After, ", "), e.Source), Near: farSource}
		}
	case model.Event:
		if why := c.pattern.Mismatch(e.Fields); why != "" {
			return nil, Miss{Reason: why, Near: farSource}
		}
	}
	return nil, Miss{}
}

// arrives matches an object with the trigger's patterns; the nearest of them says why not.
func (c candidate) arrives(o event.Object) (map[string]string, Miss) {
	if strings.HasSuffix(o.Key, "/") && o.Size == 0 {
		return nil, Miss{Reason: fmt.Sprintf("%s is an empty folder marker", o.URI()), Near: farKey}
	}
	best := Miss{Reason: "it has no arrival pattern", Near: -1}
	for _, a := range c.arrivals {
		captures, matched := a.Match(o.Bucket, o.Key)
		if matched {
			return captures, Miss{}
		}
		if miss := a.miss(o.Bucket, o.Key); miss.Near > best.Near {
			best = miss
		}
	}
	return nil, best
}
