package cli

import (
	"errors"
	"fmt"
	"time"

	"modeldispatch/internal/operate"
	"modeldispatch/internal/records"
	"modeldispatch/internal/store"
)

type eventsCommand struct {
	Decision string `help:"List only events with this decision: started, joined or rejected." placeholder:"DECISION"`
	Model    string `arg:"" optional:"" help:"List only events of this model. Default: all models."`
	Limit    int    `short:"n" default:"20" help:"List at most this number of events. Default: 20." placeholder:"NUMBER"`
}

// Help returns the long help text.
func (eventsCommand) Help() string {
	return `An event has a record for each model that it concerns, with the decision. started: the event has
a run of its own. joined: the event was added to a run that waits in its debounce window.
rejected: the event cannot be used, and the record has the reason. With --json a record
contains the payload and the number of duplicates.

  modeldispatch events sales --decision rejected`
}

// Run lists recorded events, newest first.
func (c eventsCommand) Run(s *session) error {
	if err := checkDecision(c.Decision); err != nil {
		return err
	}
	_, db, err := s.store()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	all, err := operate.ListEvents(s.ctx, db, store.Query{Model: c.Model, State: c.Decision, Limit: c.Limit})
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(all)
	}
	rows := [][]string{{"RECEIVED", "EVENT", "MODEL", "DECISION", "RUN", "REASON"}}
	for _, r := range all {
		rows = append(rows, []string{
			r.Received.Local().Format(time.DateTime), r.Event, dash(r.Model), string(r.Decision), dash(r.Run), dash(r.Reason),
		})
	}
	return s.table(rows...)
}

// checkDecision returns an error if no event with this decision is recorded. The empty decision stands for all.
func checkDecision(decision string) error {
	switch records.DecisionKind(decision) {
	case "", records.Started, records.Joined, records.Rejected:
		return nil
	case records.Duplicate:
		return errors.New("--decision duplicate: a duplicate has no record of its own; `events --json` counts the duplicates of each event")
	case records.Unmatched, records.Awaited:
		return fmt.Errorf("--decision %s: such events are only logged; use started, joined or rejected", decision)
	}
	return fmt.Errorf("--decision %q is unknown: use started, joined or rejected", decision)
}
