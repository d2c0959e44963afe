package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

type runsCommand struct {
	Model string `arg:"" optional:"" help:"List only runs of this model. Default: all models."`
	State string `help:"List only runs in this state: waiting, launching, running, succeeded, failed, cancelled, skipped." placeholder:"STATE"`
	Limit int    `short:"n" default:"20" help:"List at most this number of runs. Default: 20." placeholder:"NUMBER"`
}

// Help returns the long help text.
func (runsCommand) Help() string {
	return `For a waiting run the state shows what it waits for: more events (debounce), S3 objects
(objects), a slot in its concurrency group or the end of a pause (slot), its launch (launch),
capacity in ECS (capacity), or the time of its next attempt (backoff).

  modeldispatch runs sales --state failed`
}

// runRow is a run with its spec, for --json.
type runRow struct {
	run.Run
	Spec run.Spec `json:"spec"`
}

// Run lists runs, newest first.
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
	all := []runRow{}
	for _, doc := range docs {
		var row runRow
		if err := dispatch.Decode(doc, &row.Run); err != nil {
			return err
		}
		if row.Spec, _, err = dispatch.Read[run.Spec](s.ctx, db, dispatch.SpecKey(row.ID)); err != nil {
			return err
		}
		all = append(all, row)
	}
	if s.JSON {
		return s.printJSON(all)
	}
	rows := [][]string{{"RUN", "STATE", "ATTEMPT", "ACCEPTED", "DURATION", "INPUTS", "OUTCOME"}}
	for _, r := range all {
		rows = append(rows, []string{
			r.ID, state(r.Run), fmt.Sprint(r.Attempt), r.Accepted.Local().Format(time.DateTime), duration(r.Run),
			inputText(r.Spec.Inputs), outcome(r.Run),
		})
	}
	return s.table(rows...)
}

// state returns the state of a run. A waiting run has its reason in brackets, as in "waiting (slot)".
func state(r run.Run) string {
	if r.WaitingFor != "" {
		return fmt.Sprintf("%s (%s)", r.State, r.WaitingFor)
	}
	return string(r.State)
}

// duration returns the time from the acceptance of a run to its end, or "-" before the end.
func duration(r run.Run) string {
	if !r.State.Ended() {
		return "-"
	}
	return short(r.Ended.Sub(r.Accepted))
}

// outcome returns the outcome of a run's last attempt, or "-" if there is none or if the attempt succeeded. It leaves
// out a class that only repeats the state, as in "cancelled".
func outcome(r run.Run) string {
	switch {
	case r.Outcome == nil || r.Outcome.Class == run.ClassSucceeded:
		return "-"
	case string(r.Outcome.Class) == string(r.State):
		return dash(r.Outcome.Detail)
	}
	return r.Outcome.String()
}

// inputText returns inputs for a table cell, as in "date=20260105 region=eu". It cuts long values off.
func inputText(inputs model.Inputs) string {
	const maxValue = 40 // bytes
	var all []string
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		value := inputs[name]
		if len(value) > maxValue {
			value = strings.ToValidUTF8(value[:maxValue-len("…")], "") + "…"
		}
		all = append(all, name+"="+value)
	}
	return dash(strings.Join(all, " "))
}

type showCommand struct {
	ID string `arg:"" name:"run" help:"Id of the run."`
}

// Help returns the long help text.
func (showCommand) Help() string {
	return `The command prints the state of the run, each input with its origin, each attempt with its
outcome, and the locations of its outputs and logs.

  modeldispatch show sales-zpebjcuyvgjr`
}

// runDetails holds the documents of a run and the names of its logs.
type runDetails struct {
	Run      run.Run       `json:"run"`
	Spec     run.Spec      `json:"spec"`
	Attempts []run.Attempt `json:"attempts"` // oldest first
	Logs     []string      `json:"logs,omitempty"`

	deployment deployment // deployment that holds the logs
}

// Run shows a run.
func (c showCommand) Run(s *session) error {
	x, err := s.readRun(c.ID)
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(x)
	}
	return s.table(x.rows()...)
}

// rows returns the rows that show prints: a label and a value each.
func (x runDetails) rows() [][]string {
	rows := [][]string{
		{"run", x.Run.ID}, {"state", state(x.Run)}, {"outcome", outcome(x.Run)},
		{"event", x.Spec.Event}, {"trigger", x.Run.Trigger},
		{"accepted", x.Run.Accepted.Local().Format(time.DateTime)}, {"duration", duration(x.Run)},
	}
	if c := x.Run.StopRequest; c != nil && !x.Run.State.Ended() {
		rows = append(rows, []string{"stopping", fmt.Sprintf("%s, by %s, since %s", c.Reason, c.By, c.At.Local().Format(time.DateTime))})
	}
	for _, name := range slices.Sorted(maps.Keys(x.Spec.Inputs)) {
		rows = append(rows, []string{"input " + name, x.Spec.Inputs[name] + "  (from " + x.Spec.From[name] + ")"})
	}
	for _, output := range x.Spec.Task.Outputs {
		rows = append(rows, []string{"output " + output.Name, output.URI})
	}
	for _, a := range x.Attempts {
		ended := "not ended"
		if a.Outcome != nil {
			ended = a.Outcome.String()
		}
		rows = append(rows, []string{fmt.Sprintf("attempt %d", a.Number), a.FirstCall.Local().Format(time.DateTime) + "  " + ended})
	}
	if x.Run.State == run.Succeeded && x.Run.Size.Memory > 0 {
		const text = "%d MiB was enough after a smaller size failed: set task.memory: %[1]d and task.cpu: %d in model.yaml"
		rows = append(rows, []string{"memory", fmt.Sprintf(text, x.Run.Size.Memory, x.Run.Size.CPU)})
	}
	for _, effect := range x.Run.Outbox.Dropped {
		rows = append(rows, []string{"not done", effect})
	}
	for _, log := range x.Logs {
		rows = append(rows, []string{"log", log})
	}
	return rows
}

// readRun reads the documents of a run. It returns an error if there is no such run.
func (s *session) readRun(id string) (runDetails, error) {
	target, db, err := s.store()
	if err != nil {
		return runDetails{}, err
	}
	defer func() { _ = db.Close() }()
	docs, err := db.Partition(s.ctx, dispatch.RunKey(id).PK, "", 0)
	if err != nil {
		return runDetails{}, err
	}
	if len(docs) == 0 {
		return runDetails{}, noSuchRun(id)
	}
	x := runDetails{deployment: target}
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
			return runDetails{}, err
		}
	}
	x.Logs = target.logs(x)
	return x, nil
}

func noSuchRun(id string) error {
	return fmt.Errorf("there is no run %q; modeldispatch runs lists the runs", id)
}
