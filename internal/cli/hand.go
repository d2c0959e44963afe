package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

type runCommand struct {
	Model  string   `arg:"" help:"The model."`
	Inputs []string `arg:"" optional:"" help:"Its inputs." placeholder:"name=value"`
	Again  bool     `help:"Run it even if the same call was made by hand before."`
	// A run by hand is mostly a repair or a trial: what follows is started only if it is asked for.
	Downstream bool `help:"Start the models that run after it, too, when it succeeds."`
}

// Run runs a model by hand. The same call twice is one run, unless it is wanted again.
func (c runCommand) Run(s *session) error {
	given, err := parseInputs(c.Inputs)
	if err != nil {
		return err
	}
	var m model.Model
	var bound model.Inputs
	var from map[string]string
	d, closeStore, err := s.dispatcher(func(all model.Catalog) (err error) {
		if m, err = modelOf(all, c.Model); err == nil {
			bound, from, err = new(route.Table).Bind(m, given)
			if err != nil {
				err = fmt.Errorf("model %q: %w", m.Name, err)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	defer closeStore()
	repeats := ""
	if c.Again {
		repeats = time.Now().UTC().Format(time.RFC3339Nano)
	}
	decision, err := d.AcceptBinding(s.ctx, event.Manual(m.Name, bound, repeats, time.Now()), route.Binding{
		Model: m, Trigger: model.Trigger{Name: string(model.Manual), Kind: model.Manual}, Inputs: bound, From: from, Downstream: c.Downstream,
	})
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(decision)
	}
	switch decision.Verdict {
	case dispatch.Rejected:
		return fmt.Errorf("model %q: %s", m.Name, decision.Reason)
	case dispatch.Duplicate:
		s.printf("%s  is the run of this very call; --again makes another\n", decision.Run)
	default:
		s.printf("%s  accepted\n", decision.Run)
	}
	return nil
}

func parseInputs(args []string) (map[string]string, error) {
	given := map[string]string{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is not an input; write name=value", arg)
		}
		if _, twice := given[name]; twice {
			return nil, fmt.Errorf("input %q is given twice", name)
		}
		given[name] = value
	}
	return given, nil
}

type cancelCommand struct {
	ID  string `arg:"" name:"run" help:"Id of the run."`
	Why string `default:"cancelled by hand" help:"Why, for the record."`
}

// Run stops a run.
func (c cancelCommand) Run(s *session) error {
	d, closeStore, err := s.dispatcher(nil)
	if err != nil {
		return err
	}
	defer closeStore()
	err = d.Cancel(s.ctx, c.ID, c.Why, who())
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("there is no run %q; modeldispatch runs lists them", c.ID)
	}
	return err
}

type pauseCommand struct {
	Model string `arg:"" help:"The model."`
	Why   string `default:"paused by hand" help:"Why, for the record."`
}

// Run pauses a model.
func (c pauseCommand) Run(s *session) error {
	return s.control(c.Model, "is paused: its new runs wait in line until `modeldispatch resume "+c.Model+"`", "was paused already", func(d *dispatch.Dispatcher) (bool, error) { return d.Pause(s.ctx, c.Model, c.Why, who()) })
}

type resumeCommand struct {
	Model string `arg:"" help:"The model."`
}

// Run resumes a model.
func (c resumeCommand) Run(s *session) error {
	return s.control(c.Model, "is resumed", "was not paused", func(d *dispatch.Dispatcher) (bool, error) { return d.Resume(s.ctx, c.Model, who()) })
}

// control says something about a model.
func (s *session) control(name, done, already string, say func(*dispatch.Dispatcher) (bool, error)) error {
	d, closeStore, err := s.dispatcher(func(c model.Catalog) error {
		_, err := modelOf(c, name)
		return err
	})
	if err != nil {
		return err
	}
	defer closeStore()
	changed, err := say(d)
	if err != nil {
		return err
	}
	if s.JSON {
		c, _, err := d.Control(s.ctx, name)
		c.Outbox = run.Outbox{}
		return errors.Join(err, s.printJSON(c))
	}
	if !changed {
		done = already
	}
	s.printf("model %s %s\n", name, done)
	return nil
}

func who() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return cmp.Or(os.Getenv("USER"), "somebody")
}
