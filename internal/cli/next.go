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
	Model string `arg:"" optional:"" help:"Show only the schedules of this model. Default: all models."`
	Count int    `short:"n" default:"5" help:"Show the next NUMBER due times of each model. Default: 5." placeholder:"NUMBER"`
}

// Help returns the long help text.
func (nextCommand) Help() string {
	return `The times are those of the project's files, in the time zone of each schedule and in UTC. They
take daylight saving time into account as EventBridge Scheduler does.

  modeldispatch next sales -n 10`
}

// dueTime is one due time of a schedule.
type dueTime struct {
	Time     time.Time `json:"time"`
	Model    string    `json:"model"`
	Trigger  string    `json:"trigger"`
	Schedule string    `json:"schedule"`
	Timezone string    `json:"timezone"`
}

// Run prints the next times of the schedules, the earliest first.
func (c nextCommand) Run(s *session) error {
	_, compiled, err := s.compile()
	if err != nil {
		return err
	}
	if c.Model != "" {
		if _, err := findModel(compiled, c.Model); err != nil {
			return err
		}
	}
	var all []dueTime
	for _, m := range compiled.Models {
		if c.Model != "" && m.Name != c.Model {
			continue
		}
		times, err := c.dueTimes(m, time.Now())
		if err != nil {
			return err
		}
		all = append(all, times...)
	}
	slices.SortStableFunc(all, func(a, b dueTime) int { return a.Time.Compare(b.Time) })
	if s.JSON {
		return s.printJSON(all)
	}
	rows := [][]string{{"TIME", "UTC", "MODEL", "TRIGGER", "SCHEDULE", "ZONE"}}
	for _, t := range all {
		local, utc := t.Time.Format("Mon 2006-01-02 15:04 MST"), t.Time.UTC().Format("01-02 15:04")
		rows = append(rows, []string{local, utc, t.Model, t.Trigger, t.Schedule, t.Timezone})
	}
	return s.table(rows...)
}

// dueTimes returns the next due times of a model, over all its schedules.
func (c nextCommand) dueTimes(m model.Model, now time.Time) ([]dueTime, error) {
	var all []dueTime
	for _, t := range m.Triggers {
		if t.Kind != model.Schedule {
			continue
		}
		schedule, err := cron.Parse(t.Schedule, t.Location())
		if err != nil {
			return nil, fmt.Errorf("model %q: trigger %q: %w", m.Name, t.Name, err)
		}
		for n, at := 0, schedule.Next(now); n < c.Count && !at.IsZero(); n, at = n+1, schedule.Next(at) {
			all = append(all, dueTime{at, m.Name, t.Name, t.Schedule, cmp.Or(t.Timezone, "UTC")})
		}
	}
	slices.SortStableFunc(all, func(a, b dueTime) int { return a.Time.Compare(b.Time) })
	return all[:min(len(all), max(c.Count, 0))], nil
}

// findModel returns the model with a name. Its error lists the names of all models.
func findModel(c model.Catalog, name string) (model.Model, error) {
	m, found := c.Model(name)
	if found {
		return m, nil
	}
	var names []string
	for _, e := range c.Index() {
		names = append(names, e.Name)
	}
	if len(names) == 0 {
		return m, fmt.Errorf("there is no model %q; none defined", name)
	}
	return m, fmt.Errorf("there is no model %q; known models: %s", name, strings.Join(names, ", "))
}
