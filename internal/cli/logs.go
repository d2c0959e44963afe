package cli

import (
	"fmt"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

type logsCommand struct {
	ID  string `arg:"" name:"run" help:"Id of the run, or name of a model for its newest run." placeholder:"RUN|MODEL"`
	Raw bool   `help:"Print the log unchanged, without escapes for control characters."`
}

// Help returns the long help text.
func (logsCommand) Help() string {
	return `The command prints everything that the run's last attempt has written so far. The name of a
model stands for its newest run:

  modeldispatch logs sales-forecast

Control characters appear as escapes such as \u001b, so that a log cannot change what the
terminal shows. With --raw they take effect, for colors or for another program:

  modeldispatch logs --raw sales-forecast | less -R`
}

// Run prints the log of the last attempt.
func (c logsCommand) Run(s *session) error {
	id, err := s.newestRun(c.ID)
	if err != nil {
		return err
	}
	x, err := s.readRun(id)
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
	return x.deployment.copyLog(x.Logs[len(x.Logs)-1], to)
}

// newestRun returns the id of the newest run of a model. If no model of this name has a run, the name may be the id
// of a run, and newestRun returns it unchanged.
func (s *session) newestRun(name string) (string, error) {
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
