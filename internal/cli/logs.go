package cli

import (
	"cmp"
	"fmt"

	"modeldispatch/internal/operate"
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
	target, r, err := s.readRun(id)
	if err != nil {
		return err
	}
	logs := logNames(r)
	if len(logs) == 0 {
		return fmt.Errorf("run %s has no log: it has not been launched, or its container never started", id)
	}
	to := s.Out
	if c.Raw {
		to = s.raw
	}
	return target.copyLog(logs[len(logs)-1], to)
}

// newestRun returns the id of the newest run of a model. If no model of this name has a run, the name may be the id
// of a run, and newestRun returns it unchanged.
func (s *session) newestRun(name string) (string, error) {
	_, db, err := s.store()
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	id, err := operate.NewestRun(s.ctx, db, name)
	return cmp.Or(id, name), err
}
