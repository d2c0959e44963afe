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
	"modeldispatch/internal/local/play"
	"modeldispatch/internal/model"
)

// stopTimeout is how long the local stack may take to stop: containers have 30 s by themselves.
const stopTimeout = 45 * time.Second

type localCommand struct {
	Port int    `help:"Port of the endpoint (default: 4566, or a free one where that is taken)."`
	Play string `help:"Play the sample events of this folder, show each run to its end, and stop." placeholder:"DIR"`
	// Its fields and kinds are documented in README.md and in package fault.
	Faults string `help:"What goes wrong on purpose, such as interruptions (default: the faults.yaml beside the events that are played)." type:"existingfile" placeholder:"FILE"`
	Logs   bool   `help:"Print the functions' own logs too, as JSON, to standard error."`

	NewCredentials bool     `help:"Replace the project's credentials in .modeldispatch/credentials."`
	AnyCredentials bool     `help:"Take requests with any credentials, or none. Web pages are still refused."`
	AllowHost      []string `help:"Answer to this host name too, as host.docker.internal; *.NAME for any bucket before it." placeholder:"HOST"`
	AllowOrigin    []string `help:"Let the web app of this origin call the stack, as http://localhost:3000." placeholder:"URL"`

	Start localStartCommand `cmd:"" default:"1" hidden:""`
	Env   localEnvCommand   `cmd:"" help:"Print shell commands that point AWS tools at the running stack."`
}

type localStartCommand struct{}

// Run starts the local stack, and stops it again at Ctrl-C or when all is played.
func (localStartCommand) Run(s *session) error {
	c := s.Local
	s.Environment = localEnvironment
	if c.Port < -1 || c.Port > 65535 {
		return fmt.Errorf("--port %d is no port: 1 to 65535 are, 0 is 4566 or a free one, and -1 a free one", c.Port)
	}
	folder, compiled, err := s.compile()
	if err != nil {
		return err
	}
	secrets, err := s.secrets(folder)
	if err != nil {
		return err
	}
	log := zerolog.Nop()
	if c.Logs {
		log = zerolog.New(s.Err).With().Timestamp().Logger()
	}
	o := local.Options{
		Catalog: compiled, Data: dataFolder(folder), Port: c.Port, Log: log, Secrets: secrets,
		NewCredentials: c.NewCredentials, AnyCredentials: c.AnyCredentials, AllowHosts: c.AllowHost, AllowOrigins: c.AllowOrigin,
	}
	if beside := filepath.Join(c.Play, fault.File); c.Play != "" && c.Faults == "" {
		if _, err := os.Stat(beside); err == nil {
			c.Faults = beside
		}
	}
	if c.Faults != "" {
		faults, err := fault.Read(c.Faults, compiled)
		if err != nil {
			return err
		}
		o.Faults = fault.Faults(faults)
	}
	if c.Play != "" {
		return s.play(folder, c.Play, o)
	}
	stack, err := start(s.ctx, o)
	if err != nil {
		return err
	}
	t := s.teller()
	t.watch(stack)
	t.do(func() { s.banner(stack.URL(), compiled) })
	<-s.ctx.Done()
	if !s.JSON {
		s.printf("\nstopping; runs that are live are settled at the next start\n")
	}
	return closeStack(s.ctx, stack)
}

func start(ctx context.Context, o local.Options) (*local.Stack, error) {
	stack, err := local.Start(ctx, o)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port %d is taken: choose another, or leave --port out for a free one", o.Port)
	}
	return stack, err
}

func closeStack(ctx context.Context, stack *local.Stack) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return stack.Close(ctx)
}

// banner says what is there, and how to try it.
func (s *session) banner(url string, c model.Catalog) {
	if s.JSON {
		_ = s.printLine(map[string]string{"url": url})
		return
	}
	s.printf("modeldispatch local  %s  (S3, SQS, ECS, EventBridge)\n\n", url)
	for _, m := range c.Models {
		for _, t := range m.Triggers {
			s.printf("  %-20s %s\n", m.Name, describeTrigger(t))
		}
	}
	s.printf("\n  in another terminal:  eval \"$(modeldispatch local env)\"; aws s3 ls\n  stop:                 Ctrl-C\n\n")
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

// play plays a folder of events on a stack of its own, whose data is new each time.
func (s *session) play(folder, events string, o local.Options) error {
	steps, err := play.ReadPlan(events)
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
	stack, err := start(s.ctx, o)
	if err != nil {
		return err
	}
	if !s.JSON {
		s.printf("playing %s from %s on %s\n\n", count(len(steps), "event"), events, stack.URL())
	}
	t := s.teller()
	t.watch(stack)
	r := report{catalog: o.Catalog, folder: folder, events: events, data: o.Data, started: time.Now()}
	err = play.Player{Stack: stack, Catalog: o.Catalog, Folder: events}.Play(s.ctx, steps, func(result play.Result) {
		r.results = append(r.results, result)
		if result.LeftOut != "" {
			t.tell(fmt.Sprintf("left out     %s: %s", result.Step.Name(), result.LeftOut), happening{LeftOut: result.Step.Name(), Reason: result.LeftOut})
		}
	})
	if err == nil {
		err = r.count(s.ctx, stack)
	}
	if err := errors.Join(err, closeStack(s.ctx, stack)); err != nil {
		return err
	}
	t.flush()
	if s.JSON {
		return r.printJSON(s)
	}
	return r.print(s)
}

func clock(t time.Time) string { return t.Format("15:04:05.0") }
