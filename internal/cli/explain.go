package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/route"
)

type explainCommand struct {
	Event string `arg:"" help:"Lambda payload in a file or on standard input (-), or URI of a new object." placeholder:"FILE|s3://…|-"`
}

// Help returns the long help text.
func (explainCommand) Help() string {
	return `The command starts nothing. It prints each run that the event would start, with the origin of
each input and the exact RunTask request. For every other model it prints why the model does
not match, the nearest match first.

  modeldispatch explain s3://landing/sales/eu/20260105.csv

With -e ENV the request has the network, the bucket and the task definition revision of that
environment's stack. Values that cannot be read from the stack are placeholders.`
}

// explanation describes the outcome of one event without running it.
type explanation struct {
	Event    string         `json:"event"`           // identity of the event
	Notes    []string       `json:"notes,omitempty"` // values that could not be determined
	Kind     model.Kind     `json:"kind"`
	Function string         `json:"function"` // name of the function that handles the event
	Runs     []explainedRun `json:"runs"`
	Rejected []modelReason  `json:"rejected"` // models that would reject the event, each with the reason
	NoMatch  []modelReason  `json:"noMatch"`  // other models, the nearest match first
}

// explainedRun is a run that an event would start.
type explainedRun struct {
	Model       string           `json:"model"`
	Trigger     string           `json:"trigger"`
	Combination string           `json:"combination,omitempty"` // values of for-each
	Run         string           `json:"run"`                   // id
	Inputs      []explainedInput `json:"inputs"`
	Outputs     []model.Object   `json:"outputs,omitempty"`
	Unused      []string         `json:"unused,omitempty"` // fields of the event that neither an input nor where reads
	Request     fargate.Request  `json:"request"`
	Note        string           `json:"note,omitempty"` // values of the request that could not be determined
}

// explainedInput is an input with its value and the origin of the value.
type explainedInput struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
	Unset bool   `json:"unset,omitempty"` // the input is optional and has no value
}

// modelReason is a model that an event would not start, with the reason.
type modelReason struct {
	Model   string `json:"model"`
	Trigger string `json:"trigger,omitempty"`
	Reason  string `json:"reason"`
}

// Run explains an event, or each event of a batch.
func (c explainCommand) Run(s *session) error {
	folder, compiled, err := s.compile()
	if err != nil {
		return err
	}
	decoded, notes, err := c.decode(s)
	if err != nil {
		return err
	}
	x, err := s.explainer(folder, compiled)
	if err != nil {
		return err
	}
	if x.note != "" {
		notes = append(notes, x.note)
	}
	all := []explanation{}
	for _, e := range decoded.Events {
		one := x.explain(s, e, decoded.Function)
		one.Notes = notes
		all = append(all, one)
	}
	if s.JSON {
		return s.printJSON(all)
	}
	for _, x := range all {
		if err := s.printExplanation(x); err != nil {
			return err
		}
	}
	if decoded.Task != nil {
		s.printf("State change of task %s (%s, started by %s). The completion function handles it. It starts no model.\n",
			decoded.Task.ARN, decoded.Task.LastStatus, dash(decoded.Task.StartedBy))
	} else if len(all) == 0 {
		s.printf("The payload contains no event. The function acknowledges it, and no model starts.\n")
	}
	return nil
}

// assumedArrival is the note on an object that has not arrived yet.
const assumedArrival = "this assumes that the object arrives now; the run of a real arrival has another id, startedBy and " +
	"clientToken, which depend on the object's version or sequencer in S3"

// decode returns the events of the payload, and notes about facts that are not known.
func (c explainCommand) decode(s *session) (event.Decoded, []string, error) {
	if strings.HasPrefix(c.Event, model.ObjectScheme) {
		object, err := model.ParseObjectURI(c.Event)
		if err != nil {
			return event.Decoded{}, nil, err
		}
		e := event.AssumedArrival(object.Bucket, object.Key, time.Now())
		return event.Decoded{Function: "arrival", Events: []event.Event{e}}, []string{assumedArrival}, nil
	}
	payload, err := c.read(s)
	if err != nil {
		return event.Decoded{}, nil, err
	}
	decoded, err := event.Decode(payload)
	if err != nil {
		return event.Decoded{}, nil, fmt.Errorf("%s: %w", c.Event, err)
	}
	return decoded, nil, nil
}

func (c explainCommand) read(s *session) ([]byte, error) {
	if c.Event == "-" {
		return io.ReadAll(s.In)
	}
	return os.ReadFile(c.Event)
}

// explain returns what an event would start, and why it would not start the other models.
func (x explainer) explain(s *session, e event.Event, function string) explanation {
	result := x.routes.Explain(e)
	all := explanation{
		Event: e.Identity, Kind: e.Kind, Function: function,
		Runs: []explainedRun{}, Rejected: []modelReason{}, NoMatch: []modelReason{},
	}
	for _, binding := range result.Bindings {
		r, err := x.explainRun(s, e, binding)
		if err != nil {
			all.Rejected = append(all.Rejected, modelReason{binding.Model.Name, binding.Trigger.Name, err.Error()})
			continue
		}
		all.Runs = append(all.Runs, r)
	}
	for _, r := range result.Rejections {
		all.Rejected = append(all.Rejected, modelReason{r.Model, r.Trigger, r.Reason})
	}
	for _, m := range result.Misses {
		all.NoMatch = append(all.NoMatch, modelReason{m.Model, m.Trigger, m.Reason})
	}
	return all
}

// explainRun explains the run of a binding. It returns an error if the task cannot be rendered, or if ECS would
// refuse its request.
func (x explainer) explainRun(s *session, e event.Event, binding route.Binding) (explainedRun, error) {
	m := binding.Model
	id := records.RunID(m.Name, e.Identity, binding.Combination)
	task, err := m.Render(id, binding.Inputs, dispatch.InputFileURIs(x.bucket, id, binding))
	if err != nil {
		return explainedRun{}, err
	}
	r := explainedRun{
		Model: m.Name, Trigger: binding.Trigger.Name, Combination: binding.Combination, Run: id, Outputs: task.Outputs,
		Unused: unusedFields(e, binding),
	}
	r.Request, r.Note = x.newRequest(s, id, m, task)
	for _, in := range m.Inputs {
		value, set := binding.Inputs[in.Name]
		r.Inputs = append(r.Inputs, explainedInput{in.Name, in.Text(value), binding.From[in.Name], !set})
	}
	return r, r.Request.Check()
}

// unusedFields returns the fields of an event that neither an input nor `where` reads, often because a name is
// misspelt. It looks at the field whose fields `inputs` binds by their names, and by default at the body of a message.
// Other events have no such field, and no unused fields.
func unusedFields(e event.Event, b route.Binding) []string {
	namespace := b.Trigger.Fields
	if namespace == "" && e.Kind == model.Message {
		namespace = event.BodyField
	}
	if namespace == "" {
		return nil
	}
	fields, _ := e.Field(namespace).(map[string]any)
	var where map[string]map[string]any
	_ = json.Unmarshal(b.Trigger.Where, &where) // only fields of namespaces matter here, and these are objects
	isUsed := func(field string) bool {
		_, isInput := b.Model.Input(field)
		_, isInWhere := where[namespace][field]
		return isInWhere || isInput && b.Trigger.Fields != "" || slices.ContainsFunc(b.Trigger.Inputs, func(a model.Assignment) bool {
			return slices.ContainsFunc(a.Value.Placeholders(), func(p model.Placeholder) bool {
				return strings.HasPrefix(p.Name+".", namespace+"."+field+".")
			})
		})
	}
	var all []string
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if !isUsed(field) {
			all = append(all, namespace+"."+field)
		}
	}
	return all
}

func (s *session) printExplanation(x explanation) error {
	s.printf("%s\n  %s event, handled by the %s function\n", x.Event, x.Kind, x.Function)
	for _, note := range x.Notes {
		s.printf("  note: %s\n", note)
	}
	s.printf("\n")
	for _, r := range x.Runs {
		if err := s.printExplainedRun(r); err != nil {
			return err
		}
	}
	if err := s.printReasons("REJECTED", x.Rejected); err != nil {
		return err
	}
	return s.printReasons("NO MATCH", x.NoMatch)
}

func (s *session) printExplainedRun(r explainedRun) error {
	s.printf("RUNS  %s by its trigger %q, as run %s\n", r.Model, r.Trigger, r.Run)
	rows := [][]string{}
	for _, in := range r.Inputs {
		if in.Unset {
			rows = append(rows, []string{"  " + in.Name, "unset (optional)"})
			continue
		}
		rows = append(rows, []string{"  " + in.Name, in.Value, "from " + in.From})
	}
	if err := s.table(rows...); err != nil {
		return err
	}
	if len(r.Unused) > 0 {
		s.printf("  unused fields of the event: %s\n", strings.Join(r.Unused, ", "))
	}
	s.printf("  RunTask request:\n")
	if err := s.printJSON(r.Request); err != nil {
		return err
	}
	if r.Note != "" {
		s.printf("  note: %s\n", r.Note)
	}
	s.printf("\n")
	return nil
}

// printReasons prints a title and the reason for each model, and nothing if there is no model.
func (s *session) printReasons(title string, all []modelReason) error {
	if len(all) == 0 {
		return nil
	}
	s.printf("%s\n", title)
	rows := [][]string{}
	for _, n := range all {
		rows = append(rows, []string{"  " + n.Model, n.Reason})
	}
	return s.table(rows...)
}
