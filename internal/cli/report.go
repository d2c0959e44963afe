package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"modeldispatch/internal/local"
	"modeldispatch/internal/model"
	"modeldispatch/internal/operate"
	"modeldispatch/internal/play"
	"modeldispatch/internal/records"
	"modeldispatch/internal/route"
	"modeldispatch/internal/run"
)

// report holds the results of a play, and prints them at its end.
type report struct {
	catalog model.Catalog
	folder  string // project's folder
	events  string // folder of the events
	data    string // data folder of the stack
	started time.Time
	results []play.StepResult
	rows    []reportRow
	lost    int // number of runs that have not ended
	doubled int // number of attempts that have more than one task
}

// reportRow is the result of one event for one model. The spec and the log are empty if the event started no run.
type reportRow struct {
	result play.EventResult
	spec   run.Spec
	log    string // file
}

// check reads the store and the tasks of the stack, while it still runs. It counts lost runs and doubled attempts,
// and sets the rows.
func (r *report) check(ctx context.Context, stack *local.Stack) error {
	tally, err := stack.Tally(ctx)
	if err != nil {
		return err
	}
	r.lost, r.doubled = len(tally.Lost), len(tally.Doubled)
	for _, step := range r.results {
		for _, result := range step.Decisions {
			row := reportRow{result: result}
			if result.Decision.Kind == records.Started {
				if row.spec, err = stack.Spec(ctx, result.Decision.Run); err != nil {
					return err
				}
				row.log = local.LogFile(r.data, result.Run.ID, result.Run.Attempt, row.spec.Task.Container)
			}
			r.rows = append(r.rows, row)
		}
	}
	return nil
}

// print prints a table of the results, the differences from play.yaml, a summary, and what to do next. It returns
// failure if a result differs, or if a run was lost or an attempt doubled.
func (r *report) print(s *session) error {
	rows := [][]string{{"MODEL", "TRIGGER", "INPUTS", "ATTEMPTS", "OUTCOME", "DURATION", "OUTPUT", "LOG OR REASON"}}
	runs := 0
	for _, row := range r.rows {
		if row.result.Decision.Kind == records.Started {
			runs++
		}
		rows = append(rows, r.cells(row))
	}
	s.printf("\n")
	if err := s.table(rows...); err != nil {
		return err
	}
	played, wrong := 0, 0
	for _, step := range r.results {
		if step.LeftOut == "" {
			played++
		}
		if step.Difference != "" {
			wrong++
			s.printf("\n%s differs from play.yaml: %s", step.Step.Name(), step.Difference)
		}
	}
	s.printf("\n%s, %s, %d lost, %d doubled, in %s\n",
		count(played, "event"), count(runs, "run"), r.lost, r.doubled, short(time.Since(r.started)))
	for _, step := range r.results {
		if step.LeftOut != "" {
			s.printf("left out: %s: %s\n", step.Step.Name(), step.LeftOut)
		}
	}
	if wrong+r.lost+r.doubled > 0 {
		return failure{}
	}
	r.printNext(s)
	return nil
}

// printNext prints commands to try next.
func (r *report) printNext(s *session) {
	s.printf("\nnext:")
	if first := r.firstExplainable(); first != "" {
		s.printf("  modeldispatch explain %s   see why an event starts a run\n     ", first)
	}
	s.printf("  modeldispatch local                run the stack, and send it your own events\n")
}

// printJSON prints the report as the last line of --json, and returns failure as print does.
func (r *report) printJSON(s *session) error {
	o := operate.Report{
		Lost: r.lost, Doubled: r.doubled, DurationSeconds: time.Since(r.started).Seconds(),
		Results: []operate.PlayResult{}, Wrong: []operate.PlayStep{}, LeftOut: []operate.PlayStep{},
	}
	for _, step := range r.results {
		switch {
		case step.LeftOut != "":
			o.LeftOut = append(o.LeftOut, operate.PlayStep{Step: step.Step.Name(), Reason: step.LeftOut})
			continue
		case step.Difference != "":
			o.Wrong = append(o.Wrong, operate.PlayStep{Step: step.Step.Name(), Reason: step.Difference})
		}
		o.Events++
	}
	for _, row := range r.rows {
		e, d := row.result.Event, row.result.Decision
		result := operate.PlayResult{Decided: operate.NewDecision(e.Identity, e.Kind, d)}
		if d.Kind == records.Started {
			o.Runs++
			if ended := row.result.Run; ended.ID != "" {
				result.Updated = new(operate.NewRun(ended).WithSpec(row.spec))
			}
			if row.result.Run.Attempt > 0 {
				result.LogName = row.log
			}
		}
		o.Results = append(o.Results, result)
	}
	err := s.printJSONLine(operate.Line{Report: &o}, time.Now())
	if len(o.Wrong)+o.Lost+o.Doubled > 0 {
		return errors.Join(err, failure{})
	}
	return err
}

// firstExplainable returns the first event of the play as an argument for explain, or "" if the first step has no
// event.
func (r *report) firstExplainable() string {
	switch first := r.results[0].Step; {
	case first.Event != "":
		return filepath.Join(r.events, first.Event)
	case len(first.Put) > 0:
		return first.Put[0]
	}
	return ""
}

// cells returns the cells of a row in the table.
func (r *report) cells(row reportRow) []string {
	d, ended := row.result.Decision, operate.NewRun(row.result.Run)
	if d.Kind != records.Started {
		return []string{dash(d.Model), string(row.result.Event.Kind), "-", "-", string(d.Kind), "-", "-", cmp.Or(d.Reason, d.Run)}
	}
	outputs, log := "-", "-"
	if ended.State == run.Succeeded {
		outputs = outputURIs(row.spec)
	}
	if ended.Attempt > 0 {
		log = row.log
		if relative, err := filepath.Rel(r.folder, log); err == nil {
			log = relative
		}
	}
	state := string(ended.State)
	if why := outcome(ended); why != "" {
		state += " (" + why + ")"
	}
	inputs := inputText(r.givenInputs(d.Model, row.spec))
	return []string{d.Model, ended.Trigger, inputs, fmt.Sprint(ended.Attempt), state, duration(ended), outputs, log}
}

func outputURIs(spec run.Spec) string {
	var all []string
	for _, out := range spec.Task.Outputs {
		all = append(all, out.URI)
	}
	return dash(strings.Join(all, ", "))
}

// givenInputs returns the inputs of a run in the form that its task gets, without inputs that have their default.
func (r *report) givenInputs(name string, spec run.Spec) model.Inputs {
	m, _ := r.catalog.Model(name)
	given := model.Inputs{}
	for name, value := range spec.Inputs {
		if spec.From[name] == route.FromDefault {
			continue
		}
		if in, declared := m.Input(name); declared {
			value = in.Text(value)
		}
		given[name] = value
	}
	return given
}
