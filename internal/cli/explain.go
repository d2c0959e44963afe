package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/local"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
)

type explainCommand struct {
	Event string `arg:"" help:"A file with a Lambda payload, - for standard input, or s3://bucket/key for an object that arrives." placeholder:"FILE|s3://…|-"`
}

// explanation is what would become of one event.
type explanation struct {
	Event    string         `json:"event"`
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
	Request fargate.Request  `json:"request"`
}

type explainedInput struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

type explainedNot struct {
	Model   string `json:"model"`
	Trigger string `json:"trigger,omitempty"`
	Reason  string `json:"reason"`
}

// Run explains an event, or each of the events of a batch.
func (c explainCommand) Run(s *session) error {
	_, compiled, err := s.compile()
	if err != nil {
		return err
	}
	routes, err := route.New(compiled)
	if err != nil {
		return err
	}
	decoded, err := c.decode(s)
	if err != nil {
		return err
	}
	all := []explanation{}
	for _, e := range decoded.Events {
		all = append(all, explain(routes, e, decoded.Function))
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

func (c explainCommand) decode(s *session) (event.Decoded, error) {
	if strings.HasPrefix(c.Event, "s3://") {
		bucket, key, err := model.SplitS3(c.Event)
		if err != nil {
			return event.Decoded{}, err
		}
		return event.Decoded{Function: "arrival", Events: []event.Event{event.Arrived(bucket, key, time.Now())}}, nil
	}
	payload, err := c.read(s)
	if err != nil {
		return event.Decoded{}, err
	}
	decoded, err := event.Decode(payload)
	if err != nil {
		return event.Decoded{}, fmt.Errorf("%s: %w", c.Event, err)
	}
	return decoded, nil
}

func (c explainCommand) read(s *session) ([]byte, error) {
	if c.Event == "-" {
		return io.ReadAll(s.In)
	}
	return os.ReadFile(c.Event)
}

func explain(routes *route.Table, e event.Event, function string) explanation {
	result := routes.Explain(e)
	x := explanation{Event: e.Identity, Kind: e.Kind, Function: function, Runs: []explainedRun{}, Rejected: []explainedNot{}, Not: []explainedNot{}}
	for _, b := range result.Bindings {
		r, err := explainRun(e, b)
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

func explainRun(e event.Event, b route.Binding) (explainedRun, error) {
	id := dispatch.RunID(b.Model.Name, e.Identity, b.Key)
	task, err := b.Model.Render(id, b.Inputs, dispatch.Files(local.Bucket, id, b))
	if err != nil {
		return explainedRun{}, err
	}
	launch := fargate.Launch{Deployment: local.Deployment, Run: id, Attempt: 1, Capacity: b.Model.Capacities()[0], Placement: local.Placement()}
	x := explainedRun{Model: b.Model.Name, Trigger: b.Trigger.Name, Key: b.Key, Run: id, Outputs: task.Outputs, Request: fargate.NewRequest(task, launch)}
	for _, in := range b.Model.Inputs {
		if value, set := b.Inputs[in.Name]; set {
			x.Inputs = append(x.Inputs, explainedInput{in.Name, in.Text(value), b.From[in.Name]})
		}
	}
	return x, x.Request.Check()
}

func (s *session) explained(x explanation) error {
	s.printf("%s\n  %s event; the %s function takes it\n\n", x.Event, x.Kind, x.Function)
	for _, r := range x.Runs {
		s.printf("RUNS  %s by its trigger %q, as run %s\n", r.Model, r.Trigger, r.Run)
		rows := [][]string{}
		for _, in := range r.Inputs {
			rows = append(rows, []string{"  " + in.Name, in.Value, "from " + in.From})
		}
		if err := s.table(rows...); err != nil {
			return err
		}
		s.printf("  RunTask request:\n")
		if err := s.printJSON(r.Request); err != nil {
			return err
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
