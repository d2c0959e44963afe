package cli

import (
	"fmt"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

type logsCommand struct {
	ID  string `arg:"" name:"run" help:"Id of a run, or a model: then of its newest run." placeholder:"RUN|MODEL"`
	Raw bool   `help:"Print the bytes of the log as they are."`
}

// Help is the long help text.
func (logsCommand) Help() string {
	return `The name of a model stands for its newest run:

  modeldispatch logs sales-forecast

Control characters are printed as escapes such as \u001b, so that a log cannot change what
the terminal shows. With --raw they take effect: for colours, or where a program reads them:

  modeldispatch logs --raw sales-forecast | less -R`
}

// Run prints the log of the last attempt.
func (c logsCommand) Run(s *session) error {
	id, err := s.newest(c.ID)
	if err != nil {
		return err
	}
	x, err := s.find(id)
	if err != nil {
		return err
	}
	if len(x.Logs) == 0 {
		return fmt.Errorf("run %s has no log: it has not been launched, or its container never started", id)
	}
	to := s.Out
	if c.Raw {
		to = s.raw
	}
	return x.where.log(x.Logs[len(x.Logs)-1], to)
}

// newest gives the newest run of a model; what is no model with runs is a run's own id.
func (s *session) newest(name string) (string, error) {
	_, db, err := s.store()
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	docs, _, err := db.List(s.ctx, store.Query{Kind: dispatch.KindRun, Model: name, Limit: 1})
	if err != nil || len(docs) == 0 {
		return name, err
	}
	var r run.Run
	err = dispatch.Decode(docs[0], &r)
	return r.ID, err
}
