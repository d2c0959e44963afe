package cli

import (
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/catalog"
	"modeldispatch/internal/model"
)

type checkCommand struct {
	Schema        bool `help:"Print the JSON schema of model.yaml, for editors."`
	ProjectSchema bool `help:"Print the JSON schema of modeldispatch.yaml, for editors."`
}

// Help returns the long help text.
func (checkCommand) Help() string {
	return `The command prints every error at once, with its file, line and column and the correct form,
and exits with 1. If there are no errors, it prints a table of the models. Variables have
other values in each environment, so check each one:

  modeldispatch check -e prod`
}

// Run checks the models, or prints a JSON schema.
func (c checkCommand) Run(s *session) error {
	switch {
	case c.Schema:
		_, err := s.Out.Write(catalog.Schema())
		return err
	case c.ProjectSchema:
		_, err := s.Out.Write(catalog.ProjectSchema())
		return err
	}
	_, compiled, err := s.compile()
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(compiled)
	}
	rows := [][]string{{"MODEL", "TRIGGERS", "INPUTS", "OUTPUTS", "TIMEOUT", "DESCRIPTION"}}
	for _, m := range compiled.Models {
		rows = append(rows, []string{m.Name, triggers(m), inputs(m), outputs(m), timeout(m), m.Description})
	}
	if err := s.table(rows...); err != nil {
		return err
	}
	s.printf("%s, no errors\n", count(len(compiled.Models), "model"))
	return nil
}

func triggers(m model.Model) string {
	var all []string
	for _, t := range m.Triggers {
		all = append(all, string(t.Kind))
	}
	return dash(strings.Join(slices.Compact(all), ", "))
}

func inputs(m model.Model) string {
	var all []string
	for _, in := range m.Inputs {
		all = append(all, in.Name)
	}
	return dash(strings.Join(all, ", "))
}

func outputs(m model.Model) string {
	var all []string
	for _, out := range m.Outputs {
		all = append(all, out.Name)
	}
	return dash(strings.Join(all, ", "))
}

func timeout(m model.Model) string {
	if m.Policy.Timeout == 0 {
		return "none" // not a dash: a task without a timeout can run forever
	}
	return short(m.Policy.Timeout)
}

// short returns a duration without zero parts: 45m, 1h30m, 2.5s.
func short(d time.Duration) string {
	if d < time.Minute {
		return d.Round(10 * time.Millisecond).String()
	}
	text := d.Round(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// dash returns a text for a table cell: "-" if it is empty.
func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
