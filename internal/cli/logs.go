package cli

import (
	"fmt"
	"io"
	"os"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/local"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

type logsCommand struct {
	ID string `arg:"" name:"run" help:"Id of a run, or a model: then of its newest run." placeholder:"RUN|MODEL"`
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
	file, err := os.Open(x.Logs[len(x.Logs)-1])
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = io.Copy(s.Out, file)
	return err
}

// newest gives the newest run of a model; what is no model with runs is a run's own id.
func (s *session) newest(name string) (string, error) {
	db, err := s.store()
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

// logFiles are the logs of a run's attempts, oldest first.
func (s *session) logFiles(x shown) ([]string, error) {
	folder, err := s.folder()
	if err != nil {
		return nil, err
	}
	var all []string
	for _, a := range x.Attempts {
		file := local.LogFile(dataFolder(folder), x.Run.ID, a.Number, x.Spec.Task.Container)
		if _, err := os.Stat(file); err == nil {
			all = append(all, file)
		}
	}
	return all, nil
}
