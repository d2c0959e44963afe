package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/operate"
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

// Run lists runs, newest first.
func (c runsCommand) Run(s *session) error {
	_, db, err := s.store()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	all, err := operate.ListRuns(s.ctx, db, store.Query{Model: c.Model, State: c.State, Limit: c.Limit})
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(all)
	}
	rows := [][]string{{"RUN", "STATE", "ATTEMPT", "ACCEPTED", "DURATION", "INPUTS", "OUTCOME"}}
	for _, r := range all {
		rows = append(rows, []string{
			r.Run, state(r), fmt.Sprint(r.Attempt), r.Accepted.Local().Format(time.DateTime), duration(r),
			inputText(r.Inputs), dash(outcome(r)),
		})
	}
	return s.table(rows...)
}

// state returns the state of a run. A waiting run has its reason in brackets, as in "waiting (slot)".
func state(r operate.Run) string {
	if r.WaitingFor != "" {
		return fmt.Sprintf("%s (%s)", r.State, r.WaitingFor)
	}
	return string(r.State)
}

// duration returns the time from the acceptance of a run to its end, or "-" before the end.
func duration(r operate.Run) string {
	if !r.State.Ended() {
		return "-"
	}
	return short(r.Ended.Sub(r.Accepted))
}

// outcome returns the outcome of a run's last attempt. It is empty if there is none, or if the attempt succeeded. outcome
// leaves out a class that only repeats the state, as in "cancelled".
func outcome(r operate.Run) string {
	switch {
	case r.Outcome == nil || r.Outcome.Class == run.ClassSucceeded:
		return ""
	case string(r.Outcome.Class) == string(r.State):
		return r.Outcome.Detail
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

// Run shows a run.
func (c showCommand) Run(s *session) error {
	_, r, err := s.readRun(c.ID)
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(r)
	}
	return s.table(runRows(r)...)
}

// runRows returns the rows that show prints: a label and a value each.
func runRows(r operate.Run) [][]string {
	rows := [][]string{
		{"run", r.Run}, {"state", state(r)}, {"outcome", dash(outcome(r))},
		{"event", r.Event}, {"trigger", r.Trigger},
		{"accepted", r.Accepted.Local().Format(time.DateTime)}, {"duration", duration(r)},
	}
	if c := r.StopRequest; c != nil && !r.State.Ended() {
		rows = append(rows, []string{"stopping", fmt.Sprintf("%s, by %s, since %s", c.Reason, c.By, c.At.Local().Format(time.DateTime))})
	}
	for _, name := range slices.Sorted(maps.Keys(r.Inputs)) {
		rows = append(rows, []string{"input " + name, r.Inputs[name] + "  (from " + r.InputSources[name] + ")"})
	}
	for _, output := range r.Outputs {
		rows = append(rows, []string{"output " + output.Name, output.URI})
	}
	for _, a := range r.Attempts {
		ended := "not ended"
		if a.Outcome != nil {
			ended = a.Outcome.String()
		}
		rows = append(rows, []string{fmt.Sprintf("attempt %d", a.Attempt), a.Requested.Local().Format(time.DateTime) + "  " + ended})
	}
	if r.State == run.Succeeded && r.RaisedSize.MemoryMiB > 0 {
		const text = "%d MiB was enough after a smaller size failed: set task.memory: %[1]d and task.cpu: %d in model.yaml"
		rows = append(rows, []string{"memory", fmt.Sprintf(text, r.RaisedSize.MemoryMiB, r.RaisedSize.CPUUnits)})
	}
	for _, effect := range r.NotDone {
		rows = append(rows, []string{"not done", effect})
	}
	for _, log := range logNames(r) {
		rows = append(rows, []string{"log", log})
	}
	return rows
}

// logNames returns the names of a run's logs, oldest first.
func logNames(r operate.Run) []string {
	var all []string
	for _, a := range r.Attempts {
		if a.LogName != "" {
			all = append(all, a.LogName)
		}
	}
	return all
}

// readRun reads a run with the names of its logs, and returns the deployment that holds the logs. It returns an error
// if there is no such run.
func (s *session) readRun(id string) (deployment, operate.Run, error) {
	target, db, err := s.store()
	if err != nil {
		return nil, operate.Run{}, err
	}
	defer func() { _ = db.Close() }()
	r, err := operate.ReadRun(s.ctx, db, id)
	if errors.Is(err, store.ErrNotFound) {
		err = noSuchRun(id)
	}
	for i, a := range r.Attempts {
		r.Attempts[i].LogName = target.logName(r, a)
	}
	return target, r, err
}

func noSuchRun(id string) error {
	return fmt.Errorf("there is no run %q; modeldispatch runs lists the runs", id)
}
