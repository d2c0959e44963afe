package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/cron"
	"modeldispatch/internal/model"
)

type nextCommand struct {
	Model string `arg:"" optional:"" help:"Only of this model."`
	Count int    `short:"n" default:"5" help:"How many times to show for each schedule."`
}

// firing is one time at which a schedule is due.
type firing struct {
	Time     time.Time `json:"time"`
	Model    string    `json:"model"`
	Trigger  string    `json:"trigger"`
	Schedule string    `json:"schedule"`
	Timezone string    `json:"timezone"`
}

// Run shows when schedules fire next.
func (c nextCommand) Run(s *session) error {
	_, compiled, err := s.compile()
	if err != nil {
		return err
	}
	if _, known := compiled.Model(c.Model); c.Model != "" && !known {
		return unknownModel(compiled, c.Model)
	}
	var all []firing
	for _, m := range compiled.Models {
		if c.Model != "" && m.Name != c.Model {
			continue
		}
		firings, err := c.firings(m, time.Now())
		if err != nil {
			return err
		}
		all = append(all, firings...)
	}
	slices.SortStableFunc(all, func(a, b firing) int { return a.Time.Compare(b.Time) })
	if s.JSON {
		return s.printJSON(all)
	}
	rows := [][]string{{"TIME", "UTC", "MODEL", "TRIGGER", "SCHEDULE", "ZONE"}}
	for _, f := range all {
		rows = append(rows, []string{f.Time.Format("Mon 2006-01-02 15:04 MST"), f.Time.UTC().Format("01-02 15:04"), f.Model, f.Trigger, f.Schedule, f.Timezone})
	}
	return s.table(rows...)
}

func (c nextCommand) firings(m model.Model, now time.Time) ([]firing, error) {
	var all []firing
	for _, t := range m.Triggers {
		if t.Kind != model.Schedule {
			continue
		}
		schedule, err := cron.Parse(t.Schedule, t.Location())
		if err != nil {
			return nil, fmt.Errorf("model %q: trigger %q: %w", m.Name, t.Name, err)
		}
		for at := schedule.Next(now); len(all) < c.Count && !at.IsZero(); at = schedule.Next(at) {
			all = append(all, firing{at, m.Name, t.Name, t.Schedule, cmp.Or(t.Timezone, "UTC")})
		}
	}
	return all, nil
}

func unknownModel(c model.Catalog, name string) error {
	var names []string
	for _, e := range c.Index() {
		names = append(names, e.Name)
	}
	return fmt.Errorf("there is no model %q; there are %s", name, strings.Join(names, ", "))
}
