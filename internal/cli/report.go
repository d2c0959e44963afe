package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/local"
	"modeldispatch/internal/local/play"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
	"modeldispatch/internal/run"
)

// report is what is said at the end of a play.
type report struct {
	catalog model.Catalog
	folder  string
	events  string // folder
	data    string
	started time.Time
	results []play.Result
	rows    []reportRow
	lost    int // accepted, and without an end
	doubled int // tasks beyond one for each attempt
}

// reportRow is one thing that became of an event.
type reportRow struct {
	happened play.Happened
	spec     run.Spec
	log      string
}

// count looks at the store and at ECS for what was lost or doubled, while the stack still runs.
func (r *report) count(ctx context.Context, stack *local.Stack) error {
	tally, err := stack.Tally(ctx)
	if err != nil {
		return err
	}
	r.lost, r.doubled = len(tally.Lost), len(tally.Doubled)
	for _, result := range r.results {
		for _, h := range result.Happened {
			row := reportRow{happened: h}
			if h.Decision.Verdict == dispatch.Started {
				if row.spec, err = stack.Spec(ctx, h.Decision.Run); err != nil {
					return err
				}
				row.log = local.LogFile(r.data, h.Run.ID, h.Run.Attempt, row.spec.Task.Container)
			}
			r.rows = append(r.rows, row)
		}
	}
	return nil
}

// print prints the closing table, the sum and what to try next.
func (r *report) print(s *session) error {
	rows := [][]string{{"MODEL", "TRIGGER", "INPUTS", "ATTEMPTS", "OUTCOME", "DURATION", "OUTPUT", "LOG, OR WHY NOT"}}
	runs := 0
	for _, row := range r.rows {
		if row.happened.Decision.Verdict == dispatch.Started {
			runs++
		}
		rows = append(rows, r.cells(row))
	}
	s.printf("\n")
	if err := s.table(rows...); err != nil {
		return err
	}
	played, wrong := 0, 0
	for _, result := range r.results {
		if result.LeftOut == "" {
			played++
		}
		if result.Wrong != "" {
			wrong++
			s.printf("\n%s went otherwise than declared: %s", result.Step.Name(), result.Wrong)
		}
	}
	s.printf("\n%s, %s, %d lost, %d doubled, in %s\n", count(played, "event"), count(runs, "run"), r.lost, r.doubled, short(time.Since(r.started)))
	for _, result := range r.results {
		if result.LeftOut != "" {
			s.printf("left out: %s: %s\n", result.Step.Name(), result.LeftOut)
		}
	}
	if wrong+r.lost+r.doubled > 0 {
		return failure{}
	}
	s.printf("\nnext:")
	if first := r.explainable(); first != "" {
		s.printf("  modeldispatch explain %s   why an event starts what it starts\n     ", first)
	}
	s.printf("  modeldispatch local                run it all, and send it your own events\n")
	return nil
}

// playReport is the closing object of --json.
type playReport struct {
	Events  int           `json:"events"`
	Runs    int           `json:"runs"`
	Lost    int           `json:"lost"`
	Doubled int           `json:"doubled"`
	Seconds float64       `json:"seconds"`
	Became  []became      `json:"became"`
	Wrong   []happenedNot `json:"wrong"`   // went otherwise than declared
	LeftOut []happenedNot `json:"leftOut"` // could not be played here
}

// became is what became of an event for a model.
type became struct {
	Event    string            `json:"event"`
	Decision dispatch.Decision `json:"decided"`
	Run      *movedRun         `json:"run,omitempty"`
	Trigger  string            `json:"trigger,omitempty"`
	Inputs   model.Inputs      `json:"inputs,omitempty"`
	Outputs  []model.Object    `json:"outputs,omitempty"`
	Log      string            `json:"log,omitempty"`
}

type happenedNot struct {
	Step   string `json:"step"`
	Reason string `json:"reason"`
}

func (r *report) printJSON(s *session) error {
	o := playReport{Lost: r.lost, Doubled: r.doubled, Seconds: time.Since(r.started).Seconds(), Became: []became{}, Wrong: []happenedNot{}, LeftOut: []happenedNot{}}
	for _, result := range r.results {
		switch {
		case result.LeftOut != "":
			o.LeftOut = append(o.LeftOut, happenedNot{result.Step.Name(), result.LeftOut})
			continue
		case result.Wrong != "":
			o.Wrong = append(o.Wrong, happenedNot{result.Step.Name(), result.Wrong})
		}
		o.Events++
	}
	for _, row := range r.rows {
		b := became{Event: row.happened.Event.Identity, Decision: row.happened.Decision}
		if b.Decision.Verdict == dispatch.Started {
			o.Runs++
			b.Run, b.Trigger, b.Inputs, b.Outputs, b.Log = moved(row.happened.Run), row.happened.Run.Trigger, row.spec.Inputs, row.spec.Task.Outputs, row.log
		}
		o.Became = append(o.Became, b)
	}
	err := s.printLine(map[string]any{"report": o})
	if len(o.Wrong)+o.Lost+o.Doubled > 0 {
		return errors.Join(err, failure{})
	}
	return err
}

// explainable is what was played first, as explain takes it; "" where it cannot.
func (r *report) explainable() string {
	switch first := r.results[0].Step; {
	case first.Event != "":
		return filepath.Join(r.events, first.Event)
	case len(first.Put) > 0:
		return first.Put[0]
	}
	return ""
}

func (r *report) cells(row reportRow) []string {
	h := row.happened
	if h.Decision.Verdict != dispatch.Started {
		return []string{cmp.Or(h.Decision.Model, "-"), string(h.Event.Kind), "-", "-", string(h.Decision.Verdict), "-", "-", cmp.Or(h.Decision.Reason, h.Decision.Run)}
	}
	var outputs []string
	if h.Run.State == run.Succeeded {
		for _, out := range row.spec.Task.Outputs {
			outputs = append(outputs, out.URI)
		}
	}
	log := row.log
	if h.Run.Attempt == 0 {
		return []string{h.Decision.Model, h.Run.Trigger, inputText(r.given(h.Decision.Model, row.spec)), "0", string(h.Run.State) + because(h.Run), duration(h.Run), "-", "-"}
	}
	if short, err := filepath.Rel(r.folder, log); err == nil {
		log = short
	}
	return []string{
		h.Decision.Model, h.Run.Trigger, inputText(r.given(h.Decision.Model, row.spec)), fmt.Sprint(h.Run.Attempt), string(h.Run.State) + because(h.Run),
		duration(h.Run), dash(strings.Join(outputs, ", ")), log,
	}
}

// given is a run's inputs without those that have their default, as its model is given them.
func (r *report) given(name string, spec run.Spec) run.Spec {
	m, _ := r.catalog.Model(name)
	spec.Inputs = maps.Clone(spec.Inputs)
	for name, value := range spec.Inputs {
		if in, declared := m.Input(name); declared {
			spec.Inputs[name] = in.Text(value)
		}
	}
	maps.DeleteFunc(spec.Inputs, func(name, _ string) bool { return spec.From[name] == route.Default })
	return spec
}

// because is the class of an outcome that is not success.
func because(r run.Run) string {
	if r.Outcome == nil || r.Outcome.Class == run.OK {
		return ""
	}
	return " (" + r.Outcome.String() + ")"
}
