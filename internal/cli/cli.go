// Package cli is the command line: one file for each command, and one place where a project, its
// catalog and its local data are found. A command prints a table for people, or JSON with --json.
//
// Exit codes: 0 all is well; 1 the command says what is not (errors in models, a run that failed,
// a play that went otherwise than declared); 2 the command line itself is wrong.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"modeldispatch/internal/catalog"
	"modeldispatch/internal/cli/safe"
	"modeldispatch/internal/model"
)

// Streams are what a command reads and writes.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// commands is the command line. Its fields are the commands and the flags that all of them have.
type commands struct {
	Project     string `help:"Folder with modeldispatch.yaml (default: this one, or its nearest parent that has one)." placeholder:"DIR"`
	Environment string `short:"e" help:"Environment of modeldispatch.yaml." default:"local"`
	JSON        bool   `name:"json" help:"Print JSON."`

	Local   localCommand   `cmd:"" help:"Run everything on this machine: S3, SQS, ECS, EventBridge, schedules and functions."`
	Check   checkCommand   `cmd:"" help:"Check all models: every error at once, or a table of them."`
	Build   buildCommand   `cmd:"" help:"Compile all models for an environment, into what sam build packs."`
	Explain explainCommand `cmd:"" help:"Say which models an event would run, with which inputs, and why not the others."`
	Next    nextCommand    `cmd:"" help:"Show when schedules fire next."`
	Run     runCommand     `cmd:"" help:"Run a model by hand."`
	Runs    runsCommand    `cmd:"" help:"List runs, newest first."`
	Show    showCommand    `cmd:"" help:"Show a run: its inputs, attempts and outcome."`
	Logs    logsCommand    `cmd:"" help:"Print the log of a run's last attempt."`
	Cancel  cancelCommand  `cmd:"" help:"Stop a run."`
	Pause   pauseCommand   `cmd:"" help:"Launch no new run of a model; its runs wait in line."`
	Resume  resumeCommand  `cmd:"" help:"Let the runs of a paused model go, in their order."`
	Events  eventsCommand  `cmd:"" help:"List recorded events, newest first."`
	Connect connectCommand `cmd:"" help:"Have a bucket send its events to EventBridge, beside where it sends them now."`
}

// session is what a command works with.
type session struct {
	Streams // Out and Err escape control characters
	commands
	raw io.Writer // Out as it is
	ctx context.Context
}

// failure is the error of a command that has said all there is to say.
type failure struct{}

func (failure) Error() string { return "failed" }

// Main runs one command and gives its exit code.
func Main(ctx context.Context, args []string, streams Streams) int {
	out, errs := safe.NewWriter(streams.Out), safe.NewWriter(streams.Err)
	defer func() { _, _ = out.Flush(), errs.Flush() }()
	s := &session{Streams: Streams{In: streams.In, Out: out, Err: errs}, raw: streams.Out, ctx: ctx}
	exit := -1
	parser, err := kong.New(&s.commands, kong.Name("modeldispatch"),
		kong.Description("Runs containerised models on ECS Fargate when something happens."),
		kong.Writers(streams.Out, s.Err), // to Out goes nothing but help, as wide as the terminal that the parser sees there
		kong.Exit(func(code int) { exit = code }), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}))
	if err != nil {
		_, _ = fmt.Fprintln(s.Err, err)
		return 2
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if exit >= 0 { // --help was asked for
		return exit
	}
	if err != nil {
		s.warnf("modeldispatch: %s; see modeldispatch --help\n", plainly(err))
		return 2
	}
	return s.code(command.Run(s))
}

var (
	noValue  = regexp.MustCompile(`expected .* value but got "EOL" \(<EOL>\)`)
	noNumber = regexp.MustCompile(`expected a valid [0-9]+ bit int but got ("[^"]*")`)
)

// plainly is an error of the command line without the parser's own words.
func plainly(err error) string {
	text := noValue.ReplaceAllString(err.Error(), "a value is expected after it")
	return noNumber.ReplaceAllString(text, "$1 is not a whole number")
}

func (s *session) code(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, failure{}):
		return 1
	default:
		// Only the first line of an error begins at the margin. The others are indented, so they cannot pass for a message of ours.
		_, _ = fmt.Fprintf(s.Err, "modeldispatch: %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
		return 1
	}
}

// folder is the project's folder.
func (s *session) folder() (string, error) {
	if s.Project != "" {
		return catalog.Find(s.Project)
	}
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	return catalog.Find(here)
}

// compile compiles the project's models for the chosen environment. Warnings are printed; errors
// are printed all at once.
func (s *session) compile() (string, model.Catalog, error) {
	folder, err := s.folder()
	if err != nil {
		return "", model.Catalog{}, err
	}
	c, warnings, err := catalog.Compile(folder, catalog.Options{Environment: s.Environment, Processes: s.Environment == localEnvironment})
	if err == nil || !s.JSON {
		for _, w := range warnings {
			s.warnf("%s\n", w)
		}
		warnings = nil
	}
	return folder, c, s.problems(err, warnings...)
}

// problems prints all that is wrong with a project, if that is the error; with --json, warnings too.
func (s *session) problems(err error, warnings ...catalog.Problem) error {
	var problems catalog.Problems
	if !errors.As(err, &problems) {
		return err
	}
	if s.JSON {
		return errors.Join(s.printJSON(append(warnings, problems...)), failure{})
	}
	for _, p := range problems {
		s.warnf("%s\n", p)
	}
	s.warnf("%s\n", count(len(problems), "error"))
	return failure{}
}

// localEnvironment is the environment of the local stack.
const localEnvironment = "local"

// dataFolder is where the local stack of a project keeps its data.
func dataFolder(project string) string { return filepath.Join(project, ".modeldispatch") }

// printJSON prints a value as indented JSON.
func (s *session) printJSON(v any) error { return s.encode(v, "  ") }

// printLine prints a value as a line of JSON.
func (s *session) printLine(v any) error { return s.encode(v, "") }

func (s *session) encode(v any, indent string) error {
	out := json.NewEncoder(s.Out)
	out.SetEscapeHTML(false)
	out.SetIndent("", indent)
	return out.Encode(v)
}

// table prints rows in aligned columns, each on one line.
func (s *session) table(rows ...[]string) error {
	w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = safe.Line(cell)
		}
		_, _ = fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t "))
	}
	return w.Flush()
}

// printf prints a text of ours. What is put into it stays on its line.
func (s *session) printf(format string, args ...any) { safe.Printf(s.Out, format, args...) }

// warnf prints to standard error as printf does to standard output.
func (s *session) warnf(format string, args ...any) { safe.Printf(s.Err, format, args...) }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
