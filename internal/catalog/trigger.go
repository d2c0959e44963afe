package catalog

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/cron"
	"modeldispatch/internal/model"
	"modeldispatch/internal/pattern"
	"modeldispatch/internal/route"
)

// triggerDraft is a trigger that is being read.
type triggerDraft struct {
	*draft
	model.Trigger
	at       value
	named    bool
	captures []string // that every key gives
	captured []string // that some key gives
	unread   bool     // a pattern of it is wrong, so what it captures is not known
	assigned map[string]bool
	inputs   *member // read last: which placeholders there are depends on the rest
	forEach  *member
	where    *member
	pattern  *member
	schedule member
}

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
			t.at.errorf("two triggers of kind %s: give each a name", t.Kind)
		}
		if names[t.Name] && t.named {
			t.at.errorf("two triggers have the name %q", t.Name)
		}
		names[t.Name] = true
		plain := t.Trigger
		plain.Name = ""
		t.Hash = hash(plain)
		if hashes[t.Hash] {
			t.at.errorf("two triggers are the same: one of them does nothing")
		}
		hashes[t.Hash] = true
		d.model.Triggers = append(d.model.Triggers, t.Trigger)
	}
}

func (d *draft) readTrigger(m member) *triggerDraft {
	t := &triggerDraft{draft: d, at: m.value, assigned: map[string]bool{}}
	t.Timezone = d.timezone
	known := map[string]func(member){
		"name": func(f member) {
			if t.Name, t.named = f.text("name"); t.named && !nameForm.MatchString(t.Name) {
				f.errorf("%q is no name: small letters, digits and hyphens are", t.Name)
			}
		},
		"timezone": func(f member) { t.Timezone = f.zone() },
		"where":    func(f member) { t.where, t.Where = &f, d.compiled(f) },
		"inputs":   func(f member) { t.inputs = &f },
		"for-each": func(f member) { t.forEach = &f },
	}
	for _, kind := range []model.Kind{model.Schedule, model.Arrival, model.Message, model.After, model.Event} {
		known[string(kind)] = func(f member) { t.readKind(kind, f) }
	}
	if !m.fields("a trigger", known) {
		return nil
	}
	if t.Kind == "" {
		m.errorf("a trigger needs one of schedule, arrival, message, after, event")
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
	t.checkLooks("where", t.where)
	t.checkLooks("its pattern", t.pattern)
	t.checkCaptures()
	t.checkFires()
	return t
}

func (t *triggerDraft) readKind(kind model.Kind, m member) {
	if t.Kind != "" {
		m.doc.problem(m.key, false, "a trigger has one kind, and this one has %s and %s: make two triggers of it", t.Kind, kind)
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
		t.pattern, t.Pattern = &m, t.compiled(m)
	}
}

func (t *triggerDraft) readSchedule(m member) {
	text, ok := m.text("schedule")
	if !ok {
		return
	}
	t.Schedule = text
	if _, err := cron.Parse(text, nil); err != nil {
		m.errorf("%v", err)
		return
	}
	t.schedule = m
}

// checkFires warns of a schedule whose times are all over.
func (t *triggerDraft) checkFires() {
	schedule, err := cron.Parse(t.Schedule, t.Location())
	now := t.project.options.Now
	if now.IsZero() {
		now = time.Now()
	}
	if t.Kind == model.Schedule && err == nil && schedule.Next(now).IsZero() {
		t.schedule.warnf("%s is over: it never fires again", t.Schedule)
	}
}

func (t *triggerDraft) readArrival(m member) {
	for i, v := range m.list() {
		text, ok := v.text("an arrival pattern")
		if !ok {
			t.unread = true
			continue
		}
		a, err := route.ParseArrival(text)
		if err != nil {
			t.unread = true
			v.errorf("%v", err)
			continue
		}
		if !v.checkBucket(text) {
			t.unread = true
			continue
		}
		t.captured = append(t.captured, a.Names()...)
		// With several patterns only what all of them capture is there for sure.
		if names := a.Names(); i == 0 {
			t.captures = names
		} else {
			t.captures = slices.DeleteFunc(t.captures, func(c string) bool { return !slices.Contains(names, c) })
		}
		t.Arrival = append(t.Arrival, text)
	}
}

var queueForm = regexp.MustCompile(`^([A-Za-z0-9_-]{1,80}|arn:[a-z-]+:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,80})$`)

func (t *triggerDraft) readQueue(m member) {
	text, ok := m.text("message")
	t.Queue = text
	if !ok {
		return
	}
	name, whole := text[strings.LastIndexByte(text, ':')+1:], t.project.deployment+"-"+text
	if strings.HasPrefix(text, "arn:") {
		whole = name
	}
	switch {
	case !queueForm.MatchString(text):
		m.errorf("%q is neither a queue's name (letters, digits, hyphens and _, at most 80; FIFO queues are not read) nor the ARN of one", text)
	case slices.ContainsFunc(ownQueues, func(own string) bool { return whole == t.project.deployment+"-"+own }):
		m.errorf("queue %q is the deployment's own: choose another name than %s", whole, strings.Join(ownQueues, ", "))
	case len(whole) > maxQueue:
		m.errorf("the deployment's queue would be called %q, which has %d characters, and SQS takes %d: choose a shorter name", whole, len(whole), maxQueue)
	}
}

// ownQueues are the queues that template.yaml makes for the functions, after the deployment's name.
var ownQueues = []string{"launch", "wake", "dead-letters"}

// maxQueue is how many characters a queue's name has at most.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
const maxQueue = 80

func (t *triggerDraft) readAfter(m member) {
	for _, v := range m.list() {
		if text, ok := v.text("a model"); ok {
			t.After = append(t.After, text)
			t.project.follows = append(t.project.follows, follow{v, t, text})
		}
	}
}

// compiled reads an EventBridge pattern.
func (d *draft) compiled(m member) json.RawMessage {
	decoded, ok := m.decoded(0)
	if !ok {
		return nil
	}
	text := rawJSON(decoded)
	if _, err := pattern.Compile(text); err != nil {
		m.errorf("%v", err)
		return nil
	}
	return text
}

// readForEach reads `for-each: region`, or an object with the values of each input.
func (t *triggerDraft) readForEach() {
	m := t.forEach
	if m == nil {
		return
	}
	if !m.isObject() {
		name, ok := m.text("for-each")
		if !ok {
			return
		}
		in, known := t.draft.model.Input(name)
		switch {
		case !known:
			m.errorf("for-each %q is no input of the model; %s", name, meant(name, t.inputNames()))
		case len(in.Enum) == 0:
			m.errorf("for-each %q needs values: give the input an enum, or write for-each: { %s: [a, b] }", name, name)
		default:
			t.addAxis(name, in.Enum)
		}
		return
	}
	list, _ := m.members("for-each")
	for _, axis := range list {
		t.readAxis(axis)
	}
	if n := t.combinations(); n > maxCombinations {
		m.errorf("for-each makes %d runs of one event, and at most %d are allowed", n, maxCombinations)
	}
}

// maxCombinations is how many runs one event may start of a model.
const maxCombinations = 1000

func (t *triggerDraft) combinations() int {
	n := 1
	for _, axis := range t.ForEach {
		n *= max(len(axis.Values), 1)
	}
	return n
}

func (t *triggerDraft) readAxis(axis member) {
	in, known := t.draft.model.Input(axis.name)
	if !known {
		t.problem(axis.key, false, "for-each %q is no input of the model; %s", axis.name, meant(axis.name, t.inputNames()))
		return
	}
	var values []string
	for _, v := range axis.list() {
		text, ok := v.text("a value")
		if !ok {
			continue
		}
		canonical, err := in.Parse(model.Text(text))
		if err != nil {
			v.errorf("for-each %q: %v", axis.name, err)
			continue
		}
		if slices.Contains(values, canonical) {
			v.errorf("for-each %q: %q is there twice", axis.name, text)
			continue
		}
		values = append(values, in.Text(canonical))
	}
	t.addAxis(axis.name, values)
}

func (t *triggerDraft) addAxis(name string, values []string) {
	t.ForEach = append(t.ForEach, model.Axis{Input: name, Values: values})
	t.assigned[name] = true
}

// fieldsOf is what `inputs: body` and its like are for each kind.
var fieldsOf = map[model.Kind]string{model.Message: "body", model.Event: "detail", model.After: "upstream"}

// readInputs reads `inputs`: a word that stands for all fields of the same names, or a map.
func (t *triggerDraft) readInputs() {
	m := t.inputs
	if m == nil {
		return
	}
	if !m.isObject() {
		word, ok := m.text("inputs")
		right := fieldsOf[t.Kind]
		switch {
		case !ok:
		case right == "":
			m.errorf("inputs is %q, and a map is expected: { input: \"{placeholder}\" }", word)
		case word != right:
			m.errorf("inputs is %q; for a %s trigger it is %s, or a map: { input: \"{placeholder}\" }", word, t.Kind, right)
		default:
			t.Fields = word
		}
		return
	}
	list, _ := m.members("inputs")
	for _, one := range list {
		in, known := t.draft.model.Input(one.name)
		if !known {
			t.problem(one.key, false, "%q is no input of the model; %s", one.name, meant(one.name, t.inputNames()))
			continue
		}
		template, ok := t.template(one.value, "input "+one.name)
		if !ok {
			continue
		}
		t.checkPlaceholders(one.value, template, in)
		t.Inputs = append(t.Inputs, model.Assignment{Input: one.name, Value: template})
		t.assigned[one.name] = true
	}
}

// checkPlaceholders checks what a trigger binds to an input: a placeholder must be one that the
// event can have, and constant text must be right for the input.
func (t *triggerDraft) checkPlaceholders(v value, template model.Template, in model.Input) {
	for _, p := range template.Placeholders() {
		if !t.gives(p.Name) {
			v.errorf("%s is nothing that %s event has; %s", p, article(t.Kind), meant(p.Name, t.placeholders()))
		}
	}
	if len(template.Placeholders()) > 0 {
		return
	}
	text, _ := template.Expand(nil)
	if _, err := in.Parse(text); err != nil {
		v.errorf("input %q: %v", in.Name, err)
	}
}

func article(k model.Kind) string {
	if k == model.Event {
		return "an EventBridge"
	}
	if strings.ContainsAny(string(k)[:1], "aeiou") {
		return fmt.Sprintf("an %s", k)
	}
	return fmt.Sprintf("a %s", k)
}

// open are the namespaces of which any field may be there.
var open = map[model.Kind][]string{
	model.Message: {"body", "attribute"}, model.Event: {"detail", "source", "detail-type", "account", "region", "resources", "time", "id"}, model.After: {"upstream"},
}

// closed are the placeholders of each kind that are always there.
var closed = map[model.Kind][]string{
	model.Schedule: {"scheduled.time", "scheduled.date", "scheduled.hour", "scheduled.month"},
	model.Arrival:  {"object.uri", "object.bucket", "object.key", "object.size", "object.etag", "object.version"},
	model.Message:  {"message.id", "message.queue"},
}

func (t *triggerDraft) placeholders() []string {
	all := slices.Concat(closed[t.Kind], t.captures, []string{"event.id", "event.time", "event.date"})
	for _, namespace := range open[t.Kind] {
		all = append(all, namespace+".…")
	}
	for _, axis := range t.ForEach {
		all = append(all, axis.Input)
	}
	return all
}

func (t *triggerDraft) gives(name string) bool {
	namespace, _, _ := strings.Cut(name, ".")
	return slices.Contains(t.placeholders(), name) || slices.Contains(open[t.Kind], namespace)
}

// checkBound finds inputs that would never have a value.
func (t *triggerDraft) checkBound() {
	if t.Fields != "" || t.unread {
		return // which fields an event has is only known when it comes; a pattern that is wrong has its own error
	}
	for _, in := range t.draft.model.Inputs {
		if !t.assigned[in.Name] && !slices.Contains(t.captures, in.Name) && in.Default == nil && !in.Optional {
			t.at.errorf("trigger %q does not bind input %q: bind it under inputs, or give it a default or optional: true", t.Name, in.Name)
		}
	}
}
