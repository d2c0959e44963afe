package cli

import (
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/store"
)

type eventsCommand struct {
	Rejected bool   `help:"Only those that could not be used."`
	Model    string `arg:"" optional:"" help:"Only for this model."`
	Limit    int    `short:"n" default:"20" help:"How many."`
}

// Run lists recorded events.
func (c eventsCommand) Run(s *session) error {
	_, db, err := s.store()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	query := store.Query{Kind: dispatch.KindEvent, Model: c.Model, Limit: c.Limit}
	if c.Rejected {
		query.State = string(dispatch.Rejected)
	}
	docs, _, err := db.List(s.ctx, query)
	if err != nil {
		return err
	}
	all := []dispatch.Record{}
	for _, doc := range docs {
		var r dispatch.Record
		if err := dispatch.Decode(doc, &r); err != nil {
			return err
		}
		all = append(all, r)
	}
	if s.JSON {
		return s.printJSON(all)
	}
	rows := [][]string{{"RECEIVED", "EVENT", "MODEL", "DECISION", "RUN", "REASON"}}
	for _, r := range all {
		rows = append(rows, []string{
			r.Received.Local().Format(time.DateTime), r.Identity, dash(r.Model), string(r.Verdict), dash(r.Run), dash(r.Reason),
		})
	}
	return s.table(rows...)
}
