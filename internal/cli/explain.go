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
	"modeldispatch/internal/route"
)

type explainCommand struct {
	Event string `arg:"" help:"A file with a Lambda payload, - for standard input, or s3://bucket/key for an object that arrives." placeholder:"FILE|s3://…|-"`
}

// explanation is what would become of one event.
type explanation struct {
	Event    string         `json:"event"`
	Notes    []string       `json:"notes,omitempty"` // what is not known of the event, or of the deployment
	Kind     model.Kind     `json:"kind"`
	Function string         `json:"function"` // that gets it
	Runs     []explainedRun `json:"runs"`
	Rejected []explainedNot `json:"rejected"`
	Not      []explainedNot `json:"notStarted"`
}

type explainedRun struct {
	Model   string           `json:"model"`
	Trigger string           `json:"trigger"`
	Key     string           `json:"key,omitempty"`
	Run     string           `json:"run"`
	Inputs  []explainedInput `json:"inputs"`
	Outputs []model.Object   `json:"outputs,omitempty"`
	Unused  []string         `json:"unused,omitempty"` // fields of the event that no input takes
	Request fargate.Request  `json:"request"`
	Note    string           `json:"note,omitempty"` // what is not known of the request
}

type explainedInput struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
	Unset bool   `json:"unset,omitempty"` // optional, and nothing gives it a value
}

type explainedNot struct {
	Model   string `json:"model"`
	Trigger string `json:"trigger,omitempty"`
	Reason  string `json:"reason"`
}

// Run explains an event, or each of the events of a batch.
func (c explainCommand) Run(s *session) error {
	folder, compiled, err := s.compile()
	if err != nil {
		return err
	}
	decoded, notes, err := c.decode(s)
	if err != nil {
		return err
	}
	l, err := s.launching(folder, compiled)
	if err != nil {
		return err
	}
	if l.note != "" {
		notes = append(notes, l.note)
	}
	all := []explanation{}
	for _, e := range decoded.Events {
		x := l.explain(s, e, decoded.Function)
		x.Notes = notes
		all = append(all, x)
	}
	if s.JSON {
		return s.printJSON(all)
	}
	for _, x := range all {
		if err := s.explained(x); err != nil {
			return err
		}
	}
	if decoded.Task != nil {
		s.printf("A state change of task %s (%s, started by %s): the completion function takes it; it starts no model.\n",
			decoded.Task.ARN, decoded.Task.LastStatus, dash(decoded.Task.StartedBy))
	} else if len(all) == 0 {
		s.printf("Nothing in it is an event: it is acknowledged and starts no model.\n")
	}
	return nil
}

// unwritten is said of an object that somebody only asks about.
const unwritten = "the object is taken to arrive now: the run's id, startedBy and clientToken follow from the version or the sequencer that S3 gives it then, and are others"

// decode gives what is to be explained, and notes about what is not known of it.
func (c explainCommand) decode(s *session) (event.Decoded, []string, error) {
	if strings.HasPrefix(c.Event, "s3://") {
		bucket, key, err := model.SplitS3(c.Event)
		if err != nil {
			return event.Decoded{}, nil, err
		}
		return event.Decoded{Function: "arrival", Events: []event.Event{event.Arrived(bucket, key, time.Now())}}, []string{unwritten}, nil
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

func (l launching) explain(s *session, e event.Event, function string) explanation {
	result := l.Routes.Explain(e)
	x := explanation{Event: e.Identity, Kind: e.Kind, Function: function, Runs: []explainedRun{}, Rejected: []explainedNot{}, Not: []explainedNot{}}
	for _, b := range result.Bindings {
		r, err := l.explainRun(s, e, b)
		if err != nil {
			x.Rejected = append(x.Rejected, explainedNot{b.Model.Name, b.Trigger.Name, err.Error()})
			continue
		}
		x.Runs = append(x.Runs, r)
	}
	for _, r := range result.Rejections {
		x.Rejected = append(x.Rejected, explainedNot{r.Model, r.Trigger, r.Reason})
	}
	for _, m := range result.Misses {
		x.Not = append(x.Not, explainedNot{m.Model, m.Trigger, m.Reason})
	}
	return x
}

func (l launching) explainRun(s *session, e event.Event, b route.Binding) (explainedRun, error) {
	id := dispatch.RunID(b.Model.Name, e.Identity, b.Key)
	task, err := b.Model.Render(id, b.Inputs, dispatch.Files(l.Bucket, id, b))
	if err != nil {
		return explainedRun{}, err
	}
	x := explainedRun{Model: b.Model.Name, Trigger: b.Trigger.Name, Key: b.Key, Run: id, Outputs: task.Outputs, Unused: unused(e, b)}
	x.Request, x.Note = l.request(s, id, b.Model, task)
	for _, in := range b.Model.Inputs {
		value, set := b.Inputs[in.Name]
		x.Inputs = append(x.Inputs, explainedInput{in.Name, in.Text(value), b.From[in.Name], !set})
	}
	return x, x.Request.Check()
}

// unused are the fields of a message's body, or of what `inputs` takes by its names, that neither an input nor `where`
// looks at: often a name that is misspelt.
func unused(e event.Event, b route.Binding) []string {
	namespace := b.Trigger.Fields
	if namespace == "" && e.Kind == model.Message {
		namespace = "body"
	}
	fields, _ := e.Field(namespace).(map[string]any)
	var where map[string]map[string]any
	_ = json.Unmarshal(b.Trigger.Where, &where) // its own namespaces are objects; what else it has is not looked for
	taken := func(field string) bool {
		_, input := b.Model.Input(field)
		_, asked := where[namespace][field]
		return asked || input && b.Trigger.Fields != "" || slices.ContainsFunc(b.Trigger.Inputs, func(a model.Assignment) bool {
			return slices.ContainsFunc(a.Value.Placeholders(), func(p model.Placeholder) bool {
				return strings.HasPrefix(p.Name+".", namespace+"."+field+".")
			})
		})
	}
	var all []string
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if !taken(field) {
			all = append(all, namespace+"."+field)
		}
	}
	return all
}

func (s *session) explained(x explanation) error {
	s.printf("%s\n  %s event; the %s function takes it\n", x.Event, x.Kind, x.Function)
	for _, note := range x.Notes {
		s.printf("  note: %s\n", note)
	}
	s.printf("\n")
	for _, r := range x.Runs {
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
			s.printf("  no input takes %s\n", strings.Join(r.Unused, ", "))
		}
		s.printf("  RunTask request:\n")
		if err := s.printJSON(r.Request); err != nil {
			return err
		}
		if r.Note != "" {
			s.printf("  note: %s\n", r.Note)
		}
		s.printf("\n")
	}
	if err := s.reasons("REJECTED", x.Rejected); err != nil {
		return err
	}
	return s.reasons("NOT STARTED", x.Not)
}

func (s *session) reasons(title string, all []explainedNot) error {
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
