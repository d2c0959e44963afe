package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/operate"
	"modeldispatch/internal/records"
	"modeldispatch/internal/route"
	"modeldispatch/internal/store"
)

type runCommand struct {
	Model  string   `arg:"" help:"Name of the model."`
	Inputs []string `arg:"" optional:"" help:"Values of the inputs. Other inputs take their defaults." placeholder:"name=value"`
	Key    string   `name:"idempotency-key" help:"Start only one run for all commands with this key." placeholder:"KEY"`
	// A manual run is mostly a repair or a trial, so it does not start other models by default.
	Downstream bool `help:"Start the models after this one when the run succeeds."`
}

// Help returns the long help text.
func (runCommand) Help() string {
	return `The command starts a new run and prints its id. It does not wait for the end of the run: see
modeldispatch show.

  modeldispatch run sales region=eu date=20260105

If a script may repeat the command, let it use --idempotency-key: commands with the same key
and the same inputs start only one run.`
}

// Run starts a new run of a model. Commands with the same idempotency key start only one run.
func (c runCommand) Run(s *session) error {
	given, err := parseInputs(c.Inputs)
	if err != nil {
		return err
	}
	var binding route.Binding
	d, closeStore, err := s.dispatcher(func(all model.Catalog) (err error) {
		binding, err = c.bind(all, given)
		return err
	})
	if err != nil {
		return err
	}
	defer closeStore()
	e := event.Manual(binding.Model.Name, binding.Inputs, cmp.Or(c.Key, rand.Text()), time.Now())
	decision, err := d.AcceptBinding(s.ctx, e, binding)
	if err == nil && decision.Kind == records.Duplicate {
		err = c.checkFirstCommand(s.ctx, d, e, decision.Run)
	}
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(operate.NewDecision(e.Identity, e.Kind, decision))
	}
	switch decision.Kind {
	case records.Rejected:
		return fmt.Errorf("model %q: %s", binding.Model.Name, decision.Reason)
	case records.Duplicate:
		s.printf("%s  was started with this idempotency key before: no new run\n", decision.Run)
	default:
		s.printf("%s  accepted\n", decision.Run)
	}
	return nil
}

// bind returns the binding of the model to the given inputs. It returns an error if there is no such model, or if an
// input is missing, unknown or invalid.
func (c runCommand) bind(all model.Catalog, given map[string]string) (route.Binding, error) {
	m, err := findModel(all, c.Model)
	if err != nil {
		return route.Binding{}, err
	}
	inputs, from, err := new(route.Table).Bind(m, given)
	if err != nil {
		return route.Binding{}, fmt.Errorf("model %q: %w", m.Name, err)
	}
	trigger := model.Trigger{Name: string(model.Manual), Kind: model.Manual}
	return route.Binding{Model: m, Trigger: trigger, Inputs: inputs, From: from, StartsDownstream: c.Downstream}, nil
}

// checkFirstCommand returns an error if the first command with the idempotency key was rejected, or had other inputs.
// id is the run that the first command started.
func (c runCommand) checkFirstCommand(ctx context.Context, d *dispatch.Dispatcher, e event.Event, id string) error {
	if id == "" {
		return fmt.Errorf("idempotency key %q was used before, and that command was rejected: use a new key", c.Key)
	}
	first, err := d.Payload(ctx, e.Identity, c.Model)
	if err != nil || bytes.Equal(first, e.Payload) {
		return err
	}
	return fmt.Errorf("idempotency key %q was used before with other inputs, for run %s: use a new key", c.Key, id)
}

// parseInputs returns the inputs of arguments such as region=eu.
func parseInputs(args []string) (map[string]string, error) {
	given := map[string]string{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is not an input: write name=value", arg)
		}
		if _, twice := given[name]; twice {
			return nil, fmt.Errorf("input %q is given twice: remove one of the two", name)
		}
		given[name] = value
	}
	return given, nil
}

type cancelCommand struct {
	ID     string `arg:"" name:"run" help:"Id of the run."`
	Reason string `default:"cancelled by hand" help:"Record this reason. Default: cancelled by hand." placeholder:"TEXT"`
}

// Help returns the long help text.
func (cancelCommand) Help() string {
	return `A waiting run ends at once. If the run has a task, the command records the request, the sweep
function tells ECS to stop the task, and the run ends when the task has stopped. A run that has
already ended does not change.

  modeldispatch cancel sales-zpebjcuyvgjr --reason "wrong date"`
}

// Run cancels a run.
func (c cancelCommand) Run(s *session) error {
	d, closeStore, err := s.dispatcher(nil)
	if err != nil {
		return err
	}
	defer closeStore()
	err = d.Cancel(s.ctx, c.ID, c.Reason, currentUser())
	if errors.Is(err, store.ErrNotFound) {
		return noSuchRun(c.ID)
	}
	return err
}

type pauseCommand struct {
	Model  string `arg:"" help:"Name of the model."`
	Reason string `default:"paused by hand" help:"Record this reason. Default: paused by hand." placeholder:"TEXT"`
}

// Help returns the long help text.
func (pauseCommand) Help() string {
	return `Events still create runs of the model. They wait until you run modeldispatch resume. The pause
holds runs that do not have their slot yet. Runs that are already queued for launch, waiting
for capacity or a retry, or running are not affected; use modeldispatch cancel to stop them.

  modeldispatch pause sales --reason "wrong prices"`
}

// Run pauses a model.
func (c pauseCommand) Run(s *session) error {
	done := "is paused. Events still create runs. They wait until you run `modeldispatch resume " + c.Model + "`."
	return s.control(c.Model, done, "was already paused", func(d *dispatch.Dispatcher) (bool, error) {
		return d.Pause(s.ctx, c.Model, c.Reason, currentUser())
	})
}

type resumeCommand struct {
	Model string `arg:"" help:"Name of the model."`
}

// Help returns the long help text.
func (resumeCommand) Help() string {
	return `The waiting runs of the model are launched in the order in which they were accepted, within
its concurrency limit.

  modeldispatch resume sales`
}

// Run resumes a model.
func (c resumeCommand) Run(s *session) error {
	return s.control(c.Model, "is resumed", "was not paused", func(d *dispatch.Dispatcher) (bool, error) {
		return d.Resume(s.ctx, c.Model, currentUser())
	})
}

// control pauses or resumes a model by the function apply, which reports whether this changed anything. It prints done
// after a change, and unchanged otherwise.
func (s *session) control(name, done, unchanged string, apply func(*dispatch.Dispatcher) (bool, error)) error {
	d, closeStore, err := s.dispatcher(func(c model.Catalog) error {
		_, err := findModel(c, name)
		return err
	})
	if err != nil {
		return err
	}
	defer closeStore()
	changed, err := apply(d)
	if err != nil {
		return err
	}
	if s.JSON {
		c, err := d.Control(s.ctx, name)
		return errors.Join(err, s.printJSON(operate.NewPause(c)))
	}
	if !changed {
		done = unchanged
	}
	s.printf("model %s %s\n", name, done)
	return nil
}

// currentUser returns the name of the user who runs the command.
func currentUser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return cmp.Or(os.Getenv("USER"), "unknown user")
}
