package catalog

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/cron"
	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/pattern"
	"modeldispatch/internal/route"
	"modeldispatch/internal/yamldoc"
)

// triggerDraft holds a trigger while it is read.
type triggerDraft struct {
	*draft
	model.Trigger
	at         yamldoc.Value   // the whole trigger
	named      bool            // the file gives it a name
	captures   []string        // the captures that all its arrival patterns have
	captured   []string        // the captures that at least one of its arrival patterns has
	badPattern bool            // an arrival pattern has an error, so the captures are not known
	assigned   map[string]bool // the inputs that for-each or inputs binds
	inputs     *yamldoc.Member // read last, because the placeholders depend on the other fields
	forEach    *yamldoc.Member
	where      *yamldoc.Member
	pattern    *yamldoc.Member
	schedule   yamldoc.Member
}

// readTriggers reads the triggers, and checks that their names and contents are unique.
func (d *draft) readTriggers() {
	kinds := map[model.Kind]int{}
	var all []*triggerDraft
	for _, m := range d.triggers {
		if t := d.readTrigger(m); t != nil {
			kinds[t.Kind]++
			all = append(all, t)
		}
	}
	names, hashes := map[string]bool{}, map[string]bool{}
	for _, t := range all {
		if !t.named && kinds[t.Kind] > 1 {
			t.at.Errorf("the model has several triggers of kind %s: give each a name", t.Kind)
		}
		if names[t.Name] && t.named {
			t.at.Errorf("two triggers have the name %q", t.Name)
		}
		names[t.Name] = true
		plain := t.Trigger
		plain.Name = ""
		t.Hash = hash(plain)
		if hashes[t.Hash] {
			t.at.Errorf("two triggers are identical: remove one")
		}
		hashes[t.Hash] = true
		d.model.Triggers = append(d.model.Triggers, t.Trigger)
	}
}

func (d *draft) readTrigger(m yamldoc.Value) *triggerDraft {
	t := &triggerDraft{draft: d, at: m, assigned: map[string]bool{}}
	t.Timezone = d.timezone
	known := yamldoc.Readers{
		"name": func(f yamldoc.Member) {
			if t.Name, t.named = f.Text("name"); t.named && !nameForm.MatchString(t.Name) {
				f.Errorf("%q is not a valid trigger name: %s", t.Name, nameRule)
			}
		},
		"timezone": func(f yamldoc.Member) { t.Timezone = f.TimeZone("timezone") },
		"where":    func(f yamldoc.Member) { t.where, t.Where = &f, d.readPattern(f) },
		"inputs":   func(f yamldoc.Member) { t.inputs = &f },
		"for-each": func(f yamldoc.Member) { t.forEach = &f },
	}
	for _, kind := range []model.Kind{model.Schedule, model.Arrival, model.Message, model.After, model.Event} {
		known[string(kind)] = func(f yamldoc.Member) { t.readKind(kind, f) }
	}
	if !m.Fields("a trigger", known) {
		return nil
	}
	if t.Kind == "" {
		m.Errorf("a trigger needs one of schedule, arrival, message, after, event")
		return nil
	}
	if t.Name == "" {
		t.Name = string(t.Kind)
	}
	if t.Kind != model.Schedule && t.Kind != model.Event {
		t.Timezone = d.timezone
	}
	t.readForEach()
	t.readInputs()
	t.checkBound()
	t.checkPatternFields("where", t.where)
	t.checkPatternFields("event", t.pattern)
	t.checkCaptures()
	t.checkFires()
	return t
}

func (t *triggerDraft) readKind(kind model.Kind, m yamldoc.Member) {
	if t.Kind != "" {
		m.Key.Errorf("a trigger can have only one kind, but this one has %s and %s: split it into two triggers", t.Kind, kind)
		return
	}
	t.Kind = kind
	switch kind {
	case model.Schedule:
		t.readSchedule(m)
	case model.Arrival:
		t.readArrival(m)
	case model.Message:
		t.readQueue(m)
	case model.After:
		t.readAfter(m)
	case model.Event:
		t.pattern, t.Pattern = &m, t.readPattern(m)
	}
}

func (t *triggerDraft) readSchedule(m yamldoc.Member) {
	text, ok := m.Text("schedule")
	if !ok {
		return
	}
	t.Schedule = text
	if _, err := cron.Parse(text, nil); err != nil {
		m.Errorf("%v", err)
		return
	}
	t.schedule = m
}

// checkFires warns about a schedule that has no time in the future.
func (t *triggerDraft) checkFires() {
	schedule, err := cron.Parse(t.Schedule, t.Location())
	now := t.project.options.Now
	if now.IsZero() {
		now = time.Now()
	}
	if t.Kind == model.Schedule && err == nil && schedule.Next(now).IsZero() {
		t.schedule.Warnf("%s has no time in the future: it never fires", t.Schedule)
	}
}

func (t *triggerDraft) readArrival(m yamldoc.Member) {
	for i, v := range m.List() {
		text, ok := v.Text("an arrival pattern")
		if !ok {
			t.badPattern = true
			continue
		}
		a, err := route.ParseArrival(text)
		if err != nil {
			t.badPattern = true
			v.Errorf("%v", err)
			continue
		}
		if !checkBucket(v, text) {
			t.badPattern = true
			continue
		}
		t.captured = append(t.captured, a.Names()...)
		// Only the captures that all patterns have are sure to have a value.
		if names := a.Names(); i == 0 {
			t.captures = names
		} else {
			t.captures = slices.DeleteFunc(t.captures, func(c string) bool { return !slices.Contains(names, c) })
		}
		t.Arrival = append(t.Arrival, text)
	}
}

var queueForm = regexp.MustCompile(`^([A-Za-z0-9_-]{1,80}|arn:[a-z-]+:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,80})$`)

// readQueue reads the queue of a message trigger. A queue that is given by its name gets the prefix <deployment>- in
// AWS.
func (t *triggerDraft) readQueue(m yamldoc.Member) {
	text, ok := m.Text("message")
	t.Queue = text
	if !ok {
		return
	}
	queue := model.ParseQueue(text)
	whole := queue.Name
	if queue.ARN == "" {
		whole = queue.In(t.project.deployment).Name
	}
	switch {
	case !queueForm.MatchString(text):
		m.Errorf("%q is not the name or ARN of a standard queue: a name has at most 80 letters, digits, hyphens and underscores, "+
			"and FIFO queues are not supported", text)
	case slices.ContainsFunc(ownQueues, func(own string) bool { return whole == t.project.deployment+"-"+own }):
		m.Errorf("the deployment itself uses queue %q: choose a name other than %s", whole, strings.Join(ownQueues, ", "))
	case len(whole) > maxQueue:
		m.Errorf("the queue would have the name %q with %d characters, but SQS allows at most %d: choose a shorter name",
			whole, len(whole), maxQueue)
	}
}

// ownQueues lists the queues that template.yaml creates for the functions, without the prefix <deployment>-.
var ownQueues = []string{"launch", "wake", "dead-letters"}

// maxQueue is the maximum length of a queue's name in characters.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
const maxQueue = 80

func (t *triggerDraft) readAfter(m yamldoc.Member) {
	for _, v := range m.List() {
		if text, ok := v.Text("a model"); ok {
			t.After = append(t.After, text)
			t.project.afterReferences = append(t.project.afterReferences, afterReference{v, t, text})
		}
	}
}

// readPattern reads an EventBridge pattern, and returns it as JSON.
func (d *draft) readPattern(m yamldoc.Member) json.RawMessage {
	decoded, ok := m.Decode("a pattern")
	if !ok {
		return nil
	}
	text := rawJSON(decoded)
	if _, err := pattern.Compile(text); err != nil {
		m.Errorf("%v", err)
		return nil
	}
	return text
}

// readForEach reads `for-each: region`, or an object that lists values for each of several inputs.
func (t *triggerDraft) readForEach() {
	m := t.forEach
	if m == nil {
		return
	}
	if !m.IsObject() {
		name, ok := m.Text("for-each")
		if !ok {
			return
		}
		in, known := t.draft.model.Input(name)
		switch {
		case !known:
			m.Errorf("for-each: %q is not an input of the model; %s", name, yamldoc.Hint("inputs", name, t.inputNames()))
		case len(in.Enum) == 0:
			m.Errorf("for-each: input %q has no enum: give it one, or write for-each: { %s: [a, b] }", name, name)
		default:
			t.addAxis(name, in.Enum)
		}
	} else {
		list, _ := m.Members("for-each")
		for _, axis := range list {
			t.readAxis(axis)
		}
	}
	if tooMany(t.ForEach) {
		m.Errorf("for-each would start more than %d runs for one event: use fewer values", maxCombinations)
	}
}

// maxCombinations is the maximum number of combinations of values: in for-each the runs that one event may start, in
// expect the successes that a model may owe.
const maxCombinations = 1000

// tooMany reports whether the axes have more than maxCombinations combinations.
func tooMany(axes []model.Axis) bool {
	n := 1
	for _, axis := range axes {
		if n *= max(len(axis.Values), 1); n > maxCombinations {
			return true // the product of all axes could overflow
		}
	}
	return false
}

// readAxis reads the values of one input in for-each.
func (t *triggerDraft) readAxis(axis yamldoc.Member) {
	in, known := t.draft.model.Input(axis.Name)
	if !known {
		axis.Key.Errorf("for-each: %q is not an input of the model; %s", axis.Name, yamldoc.Hint("inputs", axis.Name, t.inputNames()))
		return
	}
	var values []string
	for _, v := range axis.List() {
		text, ok := v.Text("a value of for-each")
		if !ok {
			continue
		}
		canonical, err := in.Parse(model.Text(text))
		if err != nil {
			v.Errorf("for-each: input %q: %v", axis.Name, err)
			continue
		}
		if slices.Contains(values, canonical) {
			v.Errorf("for-each: input %q lists %q twice", axis.Name, text)
			continue
		}
		values = append(values, in.Text(canonical))
	}
	t.addAxis(axis.Name, values)
}

func (t *triggerDraft) addAxis(name string, values []string) {
	t.ForEach = append(t.ForEach, model.Axis{Input: name, Values: values})
	t.assigned[name] = true
}

// readInputs reads `inputs`: a map, or a word such as body, whose fields bind the inputs of the same names.
func (t *triggerDraft) readInputs() {
	m := t.inputs
	if m == nil {
		return
	}
	if !m.IsObject() {
		word, ok := m.Text("inputs")
		right := event.InputsWord(t.Kind)
		switch {
		case !ok:
		case right == "":
			m.Errorf("inputs is %q; expected a map such as { input: \"{placeholder}\" }", word)
		case word != right:
			m.Errorf("inputs is %q; for a %s trigger, expected %s, or a map such as { input: \"{placeholder}\" }", word, t.Kind, right)
		default:
			t.Fields = word
		}
		return
	}
	list, _ := m.Members("inputs")
	for _, one := range list {
		in, known := t.draft.model.Input(one.Name)
		if !known {
			one.Key.Errorf("%q is not an input of the model; %s", one.Name, yamldoc.Hint("inputs", one.Name, t.inputNames()))
			continue
		}
		template, ok := t.template(one.Value, "input "+one.Name)
		if !ok {
			continue
		}
		t.checkPlaceholders(one.Value, template, in)
		t.Inputs = append(t.Inputs, model.Assignment{Input: one.Name, Value: template})
		t.assigned[one.Name] = true
	}
}

// checkPlaceholders checks the text that a trigger binds to an input: events of its kind must have the placeholders,
// and text without placeholders must be valid for the input.
func (t *triggerDraft) checkPlaceholders(v yamldoc.Value, template model.Template, in model.Input) {
	for _, p := range template.Placeholders() {
		if !t.hasPlaceholder(p.Name) {
			v.Errorf("%s is not a placeholder of %s event; %s", p, withArticle(t.Kind), fieldHint("placeholders", p.Name, t.placeholders()))
		}
	}
	if len(template.Placeholders()) > 0 {
		return
	}
	text, _ := template.Expand(nil)
	if _, err := in.Parse(text); err != nil {
		v.Errorf("input %q: %v", in.Name, err)
	}
}

// withArticle returns the kind with its article, for an error about an event of the kind.
func withArticle(k model.Kind) string {
	if k == model.Event {
		return "an EventBridge"
	}
	if strings.ContainsAny(string(k)[:1], "aeiou") {
		return fmt.Sprintf("an %s", k)
	}
	return fmt.Sprintf("a %s", k)
}

// placeholderFields returns the fields of the trigger's events that placeholders can read.
func (t *triggerDraft) placeholderFields() []event.Field {
	all := append(event.Fields(t.Kind), event.CommonFields()...)
	return slices.DeleteFunc(all, func(f event.Field) bool { return !f.Placeholder })
}

// placeholders returns the placeholders that the trigger's inputs may use. An open field has the form "body.…".
func (t *triggerDraft) placeholders() []string {
	all := slices.Clone(t.captures)
	for _, axis := range t.ForEach {
		all = append(all, axis.Input)
	}
	for _, f := range t.placeholderFields() {
		if f.Open {
			f.Name += ".…"
		}
		all = append(all, f.Name)
	}
	return all
}

// hasPlaceholder reports whether the trigger's events may have a value for the placeholder.
func (t *triggerDraft) hasPlaceholder(name string) bool {
	return slices.Contains(t.placeholders(), name) ||
		slices.ContainsFunc(t.placeholderFields(), func(f event.Field) bool { return f.Has(name) })
}

// checkBound reports inputs that the trigger leaves without a value.
func (t *triggerDraft) checkBound() {
	if t.Fields != "" || t.badPattern {
		return // the fields of an event are known only when it arrives; readArrival has reported the bad pattern
	}
	for _, in := range t.draft.model.Inputs {
		if !t.assigned[in.Name] && !slices.Contains(t.captures, in.Name) && in.Default == nil && !in.Optional {
			t.at.Errorf("trigger %q does not bind input %q: bind it under inputs, or give it a default or optional: true", t.Name, in.Name)
		}
	}
}
