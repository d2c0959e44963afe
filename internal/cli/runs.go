package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

type runsCommand struct {
	Model string `arg:"" optional:"" help:"Only of this model."`
	State string `help:"Only in this state: waiting, launching, running, succeeded, failed, cancelled, skipped."`
	Limit int    `short:"n" default:"20" help:"How many."`
}

// listed is a run with what it was accepted with.
type listed struct {
	run.Run
	Spec run.Spec `json:"spec"`
}

// Run lists runs.
func (c runsCommand) Run(s *session) error {
	_, db, err := s.store()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	docs, _, err := db.List(s.ctx, store.Query{Kind: dispatch.KindRun, Model: c.Model, State: c.State, Limit: c.Limit})
	if err != nil {
		return err
	}
	all := []listed{}
	for _, doc := range docs {
		var one listed
		if err := dispatch.Decode(doc, &one.Run); err != nil {
			return err
		}
		if one.Spec, _, err = dispatch.Read[run.Spec](s.ctx, db, dispatch.SpecKey(one.ID)); err != nil {
			return err
		}
		all = append(all, one)
	}
	if s.JSON {
		return s.printJSON(all)
	}
	rows := [][]string{{"RUN", "STATE", "ATTEMPT", "ACCEPTED", "DURATION", "INPUTS", "OUTCOME"}}
	for _, r := range all {
		rows = append(rows, []string{
			r.ID, state(r.Run), fmt.Sprint(r.Attempt), r.Accepted.Local().Format(time.DateTime), duration(r.Run), inputText(r.Spec), reason(r.Run),
		})
	}
	return s.table(rows...)
}

func state(r run.Run) string {
	if r.For != "" {
		return fmt.Sprintf("%s (%s)", r.State, r.For)
	}
	return string(r.State)
}

func duration(r run.Run) string {
	if !r.State.Ended() {
		return "-"
	}
	return short(r.Ended.Sub(r.Accepted))
}

func reason(r run.Run) string {
	if r.Outcome == nil || r.Outcome.Class == run.OK {
		return "-"
	}
	return r.Outcome.String()
}

func inputText(s run.Spec) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(s.Inputs)) {
		value := s.Inputs[name]
		if len(value) > 40 {
			value = strings.ToValidUTF8(value[:37], "") + "…"
		}
		all = append(all, name+"="+value)
	}
	return dash(strings.Join(all, " "))
}

type showCommand struct {
	ID string `arg:"" name:"run" help:"Id of the run."`
}

// shown is all that is known of a run.
type shown struct {
	Run      run.Run       `json:"run"`
	Spec     run.Spec      `json:"spec"`
	Attempts []run.Attempt `json:"attempts"`
	Logs     []string      `json:"logs,omitempty"`

	where deployment
}

// Run shows a run.
func (c showCommand) Run(s *session) error {
	x, err := s.find(c.ID)
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(x)
	}
	rows := [][]string{
		{"run", x.Run.ID}, {"state", state(x.Run)}, {"outcome", reason(x.Run)},
		{"event", x.Spec.Event}, {"trigger", x.Run.Trigger},
		{"accepted", x.Run.Accepted.Local().Format(time.DateTime)}, {"duration", duration(x.Run)},
	}
	if c := x.Run.Cancel; c != nil && !x.Run.State.Ended() {
		rows = append(rows, []string{"stopping", fmt.Sprintf("%s, by %s, since %s", c.Why, c.By, c.At.Local().Format(time.DateTime))})
	}
	for _, name := range slices.Sorted(maps.Keys(x.Spec.Inputs)) {
		rows = append(rows, []string{"input " + name, x.Spec.Inputs[name] + "  (from " + x.Spec.From[name] + ")"})
	}
	for _, output := range x.Spec.Task.Outputs {
		rows = append(rows, []string{"output " + output.Name, output.URI})
	}
	for _, a := range x.Attempts {
		outcome := "not ended"
		if a.Outcome != nil {
			outcome = a.Outcome.String()
		}
		rows = append(rows, []string{fmt.Sprintf("attempt %d", a.Number), a.FirstCall.Local().Format(time.DateTime) + "  " + outcome})
	}
	if x.Run.State == run.Succeeded && x.Run.Size.Memory > 0 {
		rows = append(rows, []string{"memory", fmt.Sprintf("%d MiB were enough, after less was not: set task.memory: %[1]d and task.cpu: %d in its model.yaml",
			x.Run.Size.Memory, x.Run.Size.CPU)})
	}
	for _, why := range x.Run.Outbox.Dropped {
		rows = append(rows, []string{"not done", why})
	}
	for _, log := range x.Logs {
		rows = append(rows, []string{"log", log})
	}
	return s.table(rows...)
}

// find reads all that is known of a run.
func (s *session) find(id string) (shown, error) {
	where, db, err := s.store()
	if err != nil {
		return shown{}, err
	}
	defer func() { _ = db.Close() }()
	docs, err := db.Partition(s.ctx, dispatch.RunKey(id).PK, "", 0)
	if err != nil {
		return shown{}, err
	}
	if len(docs) == 0 {
		return shown{}, fmt.Errorf("there is no run %q; modeldispatch runs lists them", id)
	}
	var x shown
	for _, doc := range docs {
		var a run.Attempt
		switch doc.SK {
		case "run":
			err = dispatch.Decode(doc, &x.Run)
		case "spec":
			err = dispatch.Decode(doc, &x.Spec)
		default:
			err = dispatch.Decode(doc, &a)
			x.Attempts = append(x.Attempts, a)
		}
		if err != nil {
			return shown{}, err
		}
	}
	x.Logs, x.where = where.logs(x), where
	return x, nil
}
