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

// Result is the result of an event for all models of the catalog.
type Result struct {
	Bindings   []Binding   // the runs that the event starts
	Rejections []Rejection // the runs that it does not start because an input is missing or invalid
	Misses     []Miss      // the models without a trigger that matches it, nearest first; filled by Explain only
}

// Binding is one run that an event starts.
type Binding struct {
	Model       model.Model
	Trigger     model.Trigger
	Combination string            // the for-each values, for example region=us; empty without for-each
	Inputs      model.Inputs      // the canonical text of each input that has a value
	From        map[string]string // the origin of each input's value, as text for users
	// StartsDownstream is set for a manual run whose success starts the models that run after it. A run that an event
	// starts does so in any case.
	StartsDownstream bool
}

// Rejection is a run that an event does not start, because an input is missing or invalid.
type Rejection struct {
	Model       string
	Trigger     string
	Combination string // the for-each values, for example region=us; empty without for-each
	Reason      string // names each wrong input, with the cause
}

// HasDownstream reports whether any model runs after this one.
func (t *Table) HasDownstream(name string) bool { return len(t.index[source{model.After, name}]) > 0 }

// Miss is a model that an event does not start, because none of its triggers matches the event.
type Miss struct {
	Model     string
	Trigger   string // the name of the nearest trigger; empty if the model has no triggers
	Reason    string // the first thing that does not match
	Closeness int    // higher if more of the trigger matches; -1 if the model has no triggers
}

// Table holds the compiled triggers of a catalog. New makes it.
type Table struct {
	models []model.Entry
	index  map[source][]candidate
	// unindexed holds the event triggers whose pattern does not fix the source.
	unindexed []candidate
	all       []candidate
}

// source is the key of the index: the kind of an event and the name of its source.
type source struct {
	kind model.Kind
	name string
}

// candidate is one trigger of one model.
type candidate struct {
	order    int // the position of the model in the catalog
	trigger  model.Trigger
	arrivals []Arrival
	pattern  *pattern.Pattern
	where    *pattern.Pattern
}

// New compiles the triggers of a catalog. It returns an error for the first trigger with an invalid arrival pattern,
// event pattern or `where`.
func New(c model.Catalog) (*Table, error) {
	t := &Table{models: c.Index(), index: map[source][]candidate{}}
	for order, m := range t.models {
		for _, trigger := range m.Triggers {
			compiled, err := compile(order, trigger)
			if err != nil {
				return nil, fmt.Errorf("model %q: trigger %q: %w", m.Name, trigger.Name, err)
			}
			t.add(m.Name, compiled)
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

// compilePattern compiles an event pattern. It returns nil for an empty text.
func compilePattern(text []byte) (*pattern.Pattern, error) {
	if len(text) == 0 {
		return nil, nil
	}
	p, err := pattern.Compile(text)
	return &p, err
}

// add adds a trigger of the named model to the index.
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
		names = []string{model.ParseQueue(c.trigger.Queue).Name}
	case model.After:
		names = c.trigger.After
	case model.Event:
		if names = c.pattern.Literals("source"); names == nil {
			t.unindexed = append(t.unindexed, c)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		at := source{c.trigger.Kind, name}
		t.index[at] = append(t.index[at], c)
	}
}

// Route returns the runs that an event starts, and the rejected ones. It leaves Misses empty.
func (t *Table) Route(e event.Event) Result {
	candidates := t.index[source{e.Kind, e.Source}]
	if e.Kind == model.Event {
		candidates = slices.Concat(candidates, t.unindexed)
		slices.SortStableFunc(candidates, func(a, b candidate) int { return a.order - b.order })
	}
	return t.route(e, candidates)
}

// Explain returns the same bindings and rejections as Route, and a miss for each other model.
func (t *Table) Explain(e event.Event) Result {
	result := t.route(e, t.all)
	for order, m := range t.models {
		if !hasMatch(result, m.Name) {
			result.Misses = append(result.Misses, t.nearest(e, order, m.Name))
		}
	}
	slices.SortStableFunc(result.Misses, func(a, b Miss) int { return b.Closeness - a.Closeness })
	return result
}

// hasMatch reports whether a trigger of the named model took the event.
func hasMatch(r Result, name string) bool {
	return slices.ContainsFunc(r.Bindings, func(b Binding) bool { return b.Model.Name == name }) ||
		slices.ContainsFunc(r.Rejections, func(r Rejection) bool { return r.Model == name })
}

// nearest returns the miss of a model, from its trigger with the highest Closeness.
func (t *Table) nearest(e event.Event, order int, name string) Miss {
	best := Miss{Model: name, Reason: "it has no triggers: it runs by hand only", Closeness: -1}
	for _, c := range t.all {
		if c.order != order {
			continue
		}
		if _, miss := c.match(e, name); miss.Closeness > best.Closeness {
			best = Miss{Model: name, Trigger: c.trigger.Name, Reason: miss.Reason, Closeness: miss.Closeness}
		}
	}
	return best
}

// route tries the candidates, which must be in the order of the catalog. The first trigger of a model that matches the
// event wins, even if its inputs turn out wrong.
func (t *Table) route(e event.Event, candidates []candidate) Result {
	var result Result
	matched := -1
	for _, c := range candidates {
		if c.order == matched {
			continue
		}
		m := t.models[c.order]
		captures, miss := c.match(e, m.Name)
		if miss.Reason != "" {
			continue
		}
		matched = c.order
		for _, combination := range model.Combinations(c.trigger.ForEach) {
			b := binder{model: m.Model(), trigger: c.trigger, event: e, captures: captures, combination: combination}
			inputs, from, err := b.bind()
			if err != nil {
				result.Rejections = append(result.Rejections, Rejection{m.Name, c.trigger.Name, combination.String(), err.Error()})
				continue
			}
			result.Bindings = append(result.Bindings, Binding{
				Model: b.model, Trigger: c.trigger, Combination: combination.String(), Inputs: inputs, From: from,
			})
		}
	}
	return result
}

// The values of Miss.Closeness. Each names the first thing that does not match.
const (
	closenessKind     = iota           // the kind, or the model of a schedule
	closenessSource                    // the bucket, queue, upstream model or event pattern, or the trigger of a schedule
	closenessKey                       // the beginning of the key
	closenessWhere                     // `where`
	closenessKeyShape = closenessWhere // the rest of the key
)

// match compares a trigger of the named model with an event. If the trigger matches the event, match returns the
// captures of its arrival pattern. Otherwise it returns a miss with a reason.
func (c candidate) match(e event.Event, name string) (map[string]string, Miss) {
	if c.trigger.Kind != e.Kind {
		reason := fmt.Sprintf("its trigger %q takes %s events, and this is %s", c.trigger.Name, c.trigger.Kind, article(e.Kind))
		return nil, Miss{Reason: reason, Closeness: closenessKind}
	}
	captures, miss := c.matchSource(e, name)
	if miss.Reason != "" {
		return nil, miss
	}
	if c.where != nil {
		if path, why := c.where.MismatchedField(whereFields(e, captures)); why != "" {
			if e.NoFieldsReason != "" && strings.HasPrefix(path, event.BodyField+".") {
				why = e.NoFieldsReason
			}
			return nil, Miss{Reason: "where: " + why, Closeness: closenessWhere}
		}
	}
	return captures, Miss{}
}

// article returns the name of a kind with its indefinite article.
func article(k model.Kind) string {
	if k == model.Arrival || k == model.Event || k == model.After {
		return fmt.Sprintf("an %s", k)
	}
	return fmt.Sprintf("a %s", k)
}

// whereFields returns the fields that `where` reads: the event's namespaces, and the captures beside them.
func whereFields(e event.Event, captures map[string]string) map[string]any {
	if len(captures) == 0 {
		return e.Fields
	}
	all := maps.Clone(e.Fields)
	for name, text := range captures {
		all[name] = text
	}
	return all
}

// matchSource compares the trigger with the source of an event of the same kind, and with its key or its fields if the
// trigger has a pattern. It returns the captures of an arrival pattern. The miss has no reason if all of it matches.
func (c candidate) matchSource(e event.Event, name string) (map[string]string, Miss) {
	switch e.Kind {
	case model.Schedule:
		if e.Source != name {
			return nil, Miss{Reason: fmt.Sprintf("it is the schedule of model %q", e.Source), Closeness: closenessKind}
		}
		if e.Schedule.Trigger != c.trigger.Name {
			reason := fmt.Sprintf("it is the schedule of trigger %q, which the model no longer has; it has %q",
				e.Schedule.Trigger, c.trigger.Name)
			return nil, Miss{Reason: reason, Closeness: closenessSource}
		}
	case model.Arrival:
		return c.matchObject(*e.Object)
	case model.Message:
		if queue := model.ParseQueue(c.trigger.Queue).Name; e.Source != queue {
			reason := fmt.Sprintf("it reads queue %q, and this message is from queue %q", queue, e.Source)
			return nil, Miss{Reason: reason, Closeness: closenessSource}
		}
	case model.After:
		if !slices.Contains(c.trigger.After, e.Source) {
			reason := fmt.Sprintf("it runs after %s, and this is a success of %q", strings.Join(c.trigger.After, ", "), e.Source)
			return nil, Miss{Reason: reason, Closeness: closenessSource}
		}
	case model.Event:
		if why := c.pattern.Mismatch(e.Fields); why != "" {
			return nil, Miss{Reason: why, Closeness: closenessSource}
		}
	}
	return nil, Miss{}
}

// matchObject compares an object with the trigger's arrival patterns. It returns the captures of the first pattern that
// matches, or the miss of the nearest pattern.
func (c candidate) matchObject(o event.Object) (map[string]string, Miss) {
	if strings.HasSuffix(o.Key, "/") && o.Size == 0 {
		return nil, Miss{Reason: fmt.Sprintf("%s is an empty folder marker", o), Closeness: closenessKey}
	}
	best := Miss{Reason: "it has no arrival pattern", Closeness: -1}
	for _, a := range c.arrivals {
		captures, matched := a.Match(o.ObjectURI)
		if matched {
			return captures, Miss{}
		}
		if miss := a.miss(o.ObjectURI); miss.Closeness > best.Closeness {
			best = miss
		}
	}
	return nil, best
}
