package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"modeldispatch/internal/local"
	"modeldispatch/internal/local/fault"
	"modeldispatch/internal/model"
	"modeldispatch/internal/operate"
	"modeldispatch/internal/play"
)

// stopTimeout bounds the time that the local stack takes to stop. Containers have 30 s of it to exit.
const stopTimeout = 45 * time.Second

type localCommand struct {
	Port int    `help:"Port of the endpoint; --port=-1 for a free port. Default: 4566, or a free port if it is in use." placeholder:"PORT"`
	Play string `help:"Play the sample events of the folder DIR, wait for the end of each run, and stop." placeholder:"DIR"`
	// docs/faults.md and package fault document the fields and kinds of faults.
	Faults string `help:"Inject the failures of FILE. Default: faults.yaml in the folder of --play." type:"existingfile" placeholder:"FILE"`
	Logs   bool   `help:"Print the logs of the functions and of the local services to standard error, as JSON."`

	NewCredentials bool `help:"Replace the project's credentials in .modeldispatch/credentials."`
	AnyCredentials bool `help:"Accept requests with any credentials, or none. Requests of web pages are still rejected."`

	AllowHost   []string `help:"Answer to HOST too, such as host.docker.internal; *.NAME allows hosts such as BUCKET.NAME." placeholder:"HOST"`
	AllowOrigin []string `help:"Let the web app at URL call the stack, such as http://localhost:3000." placeholder:"URL"`

	Start localStartCommand `cmd:"" default:"1" hidden:""`
	Env   localEnvCommand   `cmd:"" help:"Print shell commands that connect AWS tools to the local stack."`
}

// Help returns the long help text.
func (localCommand) Help() string {
	return `The stack serves S3, SQS, ECS and EventBridge on one port, and runs the functions and schedules
of the project. Tasks run as processes. No AWS account is needed. Each decision and each run
is printed when it happens, until Ctrl-C. The next start continues unfinished runs.

  modeldispatch local --play events

With --play the command delivers the events that play.yaml in the folder lists, and prints a
table of the results. It exits with 0 only if they are the results that play.yaml wants.`
}

type localStartCommand struct{}

// Run starts the local stack, and stops it at Ctrl-C or at the end of a play.
func (localStartCommand) Run(s *session) error {
	s.Environment = localEnvironment
	if port := s.Local.Port; port < -1 || port > 65535 {
		return fmt.Errorf("--port %d is not a port: use 1 to 65535, 0 for 4566 or a free port, or --port=-1 for a free port", port)
	}
	folder, compiled, err := s.compile()
	if err != nil {
		return err
	}
	o, err := s.localOptions(folder, compiled)
	if err != nil {
		return err
	}
	if events := s.Local.Play; events != "" {
		return s.play(folder, events, o)
	}
	stack, err := startStack(s.ctx, o)
	if err != nil {
		return err
	}
	v := s.newLiveView()
	v.watch(stack)
	v.queue(func() { s.printBanner(stack.URL(), compiled) })
	<-s.ctx.Done()
	if !s.JSON {
		s.printf("\nstopping; the next start continues the runs that have not ended\n")
	}
	return closeStack(s.ctx, stack)
}

// localOptions returns the options of the local stack from the flags, the project's secrets and the faults file.
func (s *session) localOptions(folder string, c model.Catalog) (local.Options, error) {
	flags := s.Local
	secrets, err := s.secrets(folder)
	if err != nil {
		return local.Options{}, err
	}
	// Errors of the services are printed in any case: an event may be lost.
	services := zerolog.New(zerolog.ConsoleWriter{Out: s.Err, NoColor: true, TimeFormat: time.TimeOnly}).Level(zerolog.ErrorLevel)
	functions := zerolog.Nop()
	if flags.Logs {
		services = zerolog.New(s.Err)
		functions = services.With().Timestamp().Logger()
	}
	o := local.Options{
		Catalog: c, Data: dataFolder(folder), Port: flags.Port, Secrets: secrets,
		Log: services.With().Timestamp().Logger(), FunctionLog: functions,
		NewCredentials: flags.NewCredentials, AnyCredentials: flags.AnyCredentials,
		AllowHosts: flags.AllowHost, AllowOrigins: flags.AllowOrigin,
	}
	if file := flags.faultsFile(); file != "" {
		faults, err := fault.Read(file, c)
		if err != nil {
			return local.Options{}, err
		}
		o.Faults = fault.Faults(faults)
	}
	return o, nil
}

// faultsFile returns the file of --faults, or the faults file in the folder of --play, or "" if there is none.
func (c localCommand) faultsFile() string {
	if c.Faults != "" || c.Play == "" {
		return c.Faults
	}
	file := filepath.Join(c.Play, fault.File)
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return file
}

func startStack(ctx context.Context, o local.Options) (*local.Stack, error) {
	stack, err := local.Start(ctx, o)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port %d is in use: choose another port, or omit --port to get a free one", o.Port)
	}
	return stack, err
}

func closeStack(ctx context.Context, stack *local.Stack) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return stack.Close(ctx)
}

// printBanner prints the URL of the stack, the triggers of the models, and what to do next.
func (s *session) printBanner(url string, c model.Catalog) {
	if s.JSON {
		_ = s.printJSONLine(operate.Line{URL: url}, time.Now())
		return
	}
	s.printf("modeldispatch local  %s  (S3, SQS, ECS, EventBridge)\n\n", url)
	for _, m := range c.Models {
		for _, t := range m.Triggers {
			s.printf("  %-20s %s\n", m.Name, describeTrigger(t))
		}
	}
	s.printf("\n  in another terminal:  eval \"$(modeldispatch local env)\" && aws s3 ls\n  stop:                 Ctrl-C\n\n")
}

func describeTrigger(t model.Trigger) string {
	switch t.Kind {
	case model.Schedule:
		return strings.TrimSpace(fmt.Sprintf("schedule  %s %s", t.Schedule, t.Timezone))
	case model.Arrival:
		return "arrival   " + strings.Join(t.Arrival, ", ")
	case model.Message:
		return "message   queue " + t.Queue
	default:
		return string(t.Kind)
	}
}

// play plays a folder of events on a stack with a data folder of its own, which is empty at each start. The stack
// uses the project's credential.
func (s *session) play(folder, events string, o local.Options) error {
	steps, err := play.ReadSteps(events)
	if err != nil {
		return err
	}
	o.Credentials, o.Data = local.CredentialFile(o.Data), filepath.Join(o.Data, "play")
	if err := os.RemoveAll(o.Data); err != nil {
		return err
	}
	if o.Port == 0 {
		o.Port = -1
	}
	stack, err := startStack(s.ctx, o)
	if err != nil {
		return err
	}
	if !s.JSON {
		s.printf("playing %s from %s on %s\n\n", count(len(steps), "event"), events, stack.URL())
	}
	v := s.newLiveView()
	v.watch(stack)
	r := report{catalog: o.Catalog, folder: folder, events: events, data: o.Data, started: time.Now()}
	if err := errors.Join(s.playSteps(stack, steps, v, &r), closeStack(s.ctx, stack)); err != nil {
		return err
	}
	v.flush()
	if s.JSON {
		return r.printJSON(s)
	}
	return r.print(s)
}

// playSteps plays the steps on a stack, and adds their results to the report. The live view shows the steps that are
// left out.
func (s *session) playSteps(stack *local.Stack, steps []play.Step, v liveView, r *report) error {
	player := play.Player{Stack: stack, Catalog: r.catalog, Folder: r.events}
	err := player.Play(s.ctx, steps, func(result play.StepResult) {
		r.results = append(r.results, result)
		if name := result.Step.Name(); result.LeftOut != "" {
			line := operate.Line{LeftOut: &operate.PlayStep{Step: name, Reason: result.LeftOut}}
			v.show(fmt.Sprintf("left out     %s: %s", name, result.LeftOut), line)
		}
	})
	if err != nil {
		return err
	}
	return r.check(s.ctx, stack)
}

// clock returns the time of day for a live line.
func clock(t time.Time) string { return t.Format("15:04:05.0") }
