// Package cli is the command line of modeldispatch. Users check and compile their models with it, run the local
// stack, and look at and control the runs of a deployment. Commands print tables and sentences for people, or JSON
// with --json.
//
// In the flow (event -> binding -> run -> launch -> task -> outcome -> announcement) the command `run` stands at the
// beginning, as a manual event. `runs`, `show`, `logs` and `events` read the store and the logs at the end. `explain`
// computes the first steps, up to the launch, and stores nothing.
//
// # Terms
//
//   - A project is a folder with modeldispatch.yaml and the models. session.folder finds it.
//   - An environment is an entry of modeldispatch.yaml. The environment "local" is the stack on this machine. Every
//     other environment is a CloudFormation stack in an AWS account.
//   - A deployment is one CloudFormation stack with its models; on a laptop the local stack takes its place. The
//     interface deployment gives access to its store, models, logs and a dispatcher. The type laptop is the local
//     stack, and account is a stack in AWS.
//   - A session holds the parsed command line, the streams and the context of one command.
//   - A live view prints the decisions and runs of a local stack while they happen.
//   - A play delivers sample events to a local stack (`local --play DIR`). The file play.yaml in DIR lists the events
//     and the results that they should have (package play). The report of a play is the table that the command prints
//     at the end, with every result that differs from play.yaml.
//   - A request builder creates the RunTask requests that explain shows.
//
// # Entry points
//
// Main parses the arguments and runs one command. The type commands declares all commands and the flags that they
// share. Each command is a type with its flags and arguments, a method Run, and a method Help with a longer text and
// an example. session.compile compiles the project's files. session.deployment and session.dispatcher reach an
// environment.
//
// The exit code is 0 for success. It is 2 if the command line cannot be parsed: an unknown command or flag, a missing
// argument, a flag value of the wrong type, or a --faults file that does not exist. It is 1 for every other failure and
// problem: an error in a model, a play whose results differ from play.yaml, and a value that the command itself
// rejects, such as an unknown model, run or environment, an invalid input, or a port that is out of range.
//
// # Rules
//
//   - check, compile, explain, next and local read the project's files. run, cancel, pause and resume work with the
//     models that are deployed to an account, and warn if the files differ.
//   - Data goes to standard output, and warnings and errors go to standard error. With --json, the errors of models are
//     data.
//   - Output passes through package safe, since object keys, inputs and logs are untrusted. The exceptions are help
//     texts and `logs --raw`. Text enters a line through session.printf, session.warnf or session.table, which keep
//     it on its line.
//   - With --json, what a command prints about runs, events and pauses has a type of package operate. docs/json.md
//     describes these types for users.
//   - An error names the problem and the correct form.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"modeldispatch/internal/catalog"
	"modeldispatch/internal/cli/safe"
	"modeldispatch/internal/model"
	"modeldispatch/internal/yamldoc"
)

// Streams holds the standard streams of a command. In may be nil if the command does not read it.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// commands declares the command line: the flags that all commands share, and the commands.
type commands struct {
	Project     string `help:"Use the project in DIR. Default: this folder, or its nearest parent with modeldispatch.yaml." placeholder:"DIR"`
	Environment string `short:"e" help:"Use this environment of modeldispatch.yaml. Default: local." default:"local" placeholder:"ENV"`
	JSON        bool   `name:"json" help:"Print JSON. The commands logs, connect and cancel ignore it; compile uses it only for errors."`

	Local   localCommand   `cmd:"" help:"Run S3, SQS, ECS, EventBridge and the models on this machine."`
	Check   checkCommand   `cmd:"" help:"Check all models, and print every error or a table of the models."`
	Compile compileCommand `cmd:"" help:"Compile all models for an environment into .build, for SAM."`
	Explain explainCommand `cmd:"" help:"Explain which models an event would start, and why not the others."`
	Next    nextCommand    `cmd:"" help:"Show the next times of the schedules."`
	Run     runCommand     `cmd:"" help:"Start a run of a model."`
	Runs    runsCommand    `cmd:"" help:"List runs, newest first."`
	Show    showCommand    `cmd:"" help:"Show a run with its inputs, attempts and outcome."`
	Logs    logsCommand    `cmd:"" help:"Print the log of a run's last attempt."`
	Cancel  cancelCommand  `cmd:"" help:"Cancel a run, and stop its task."`
	Pause   pauseCommand   `cmd:"" help:"Pause a model, so that its new runs wait."`
	Resume  resumeCommand  `cmd:"" help:"Resume a paused model, and launch its waiting runs."`
	Events  eventsCommand  `cmd:"" help:"List recorded events, newest first."`
	Connect connectCommand `cmd:"" help:"Connect a bucket to EventBridge, and keep its other notifications."`
}

// session holds the parsed command line and the streams of one command.
type session struct {
	Streams // Out and Err escape control characters
	commands
	raw io.Writer // standard output without escapes
	ctx context.Context
}

// failure is the error of a command that has already printed its problems. Main prints nothing more, and exits with 1.
type failure struct{}

func (failure) Error() string { return "failed" }

// Main runs one command and returns its exit code. When ctx ends, a local stack stops, and any other command is
// aborted.
func Main(ctx context.Context, args []string, streams Streams) int {
	out, errs := safe.NewWriter(streams.Out), safe.NewWriter(streams.Err)
	defer func() { _, _ = out.Flush(), errs.Flush() }()
	s := &session{Streams: Streams{In: streams.In, Out: out, Err: errs}, raw: streams.Out, ctx: ctx}
	exit := -1
	parser, err := s.newParser(func(code int) { exit = code })
	if err != nil {
		_, _ = fmt.Fprintln(s.Err, err)
		return 2
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if exit >= 0 { // the parser has printed the help text
		return exit
	}
	if err != nil {
		s.warnf("modeldispatch: %s; see %s --help\n", err, parsedCommand(err))
		return 2
	}
	code := s.exitCode(command.Run(s))
	if err := out.Flush(); err != nil && code == 0 {
		return s.exitCode(fmt.Errorf("writing the output: %w", err))
	}
	return code
}

// newParser returns the parser of the command line. The parser calls exit after it has printed a help text.
func (s *session) newParser(exit func(code int)) (*kong.Kong, error) {
	options := append(valueMappers(), kong.WithBeforeApply(checkArguments), kong.Name("modeldispatch"),
		kong.Description("modeldispatch runs containerized models on ECS Fargate when an event happens."),
		kong.Writers(s.raw, s.Err), // the parser prints only help texts to s.raw, and reads the width of the terminal from it
		kong.Exit(exit), kong.UsageOnError(), kong.Help(printHelp),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}))
	parser, err := kong.New(&s.commands, options...)
	if err == nil {
		parser.Model.HelpFlag.Help = "Print this help."
	}
	return parser, err
}

// printHelp prints the help text of the chosen command. `local env` has no use for the flags of `local`, so its help
// does not show them.
func printHelp(options kong.HelpOptions, c *kong.Context) error {
	if command := c.Selected(); command != nil && command.Name == "env" {
		for _, flag := range command.Parent.Flags {
			flag.Hidden = true
		}
	}
	return kong.DefaultHelpPrinter(options, c)
}

// parsedCommand returns the command that the parser had found before its error, such as "modeldispatch run", or only
// the name of the program.
func parsedCommand(err error) string {
	const program = "modeldispatch"
	var parsing *kong.ParseError
	if !errors.As(err, &parsing) || parsing.Context.Selected() == nil {
		return program
	}
	return parsing.Context.Selected().FullPath()
}

// exitCode prints the error of a command, and returns the exit code.
func (s *session) exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, failure{}):
		return 1
	default:
		// An error can contain lines of untrusted text. They are indented, so that they do not look like a message of the
		// program.
		_, _ = fmt.Fprintf(s.Err, "modeldispatch: %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
		return 1
	}
}

// folder returns the project's folder: --project or the working directory, or its nearest parent with
// modeldispatch.yaml.
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

// compile compiles the project's models for the chosen environment, and returns the project's folder with the
// catalog. It prints all warnings and errors in the files. The returned error is failure if the files have errors.
func (s *session) compile() (string, model.Catalog, error) {
	folder, err := s.folder()
	if err != nil {
		return "", model.Catalog{}, err
	}
	options := catalog.Options{Environment: s.Environment, Processes: s.Environment == localEnvironment}
	c, warnings, err := catalog.Compile(folder, options)
	if err == nil || !s.JSON {
		for _, w := range warnings {
			s.warnf("%s\n", w)
		}
		warnings = nil
	}
	return folder, c, s.printProblems(err, warnings...)
}

// printProblems prints the problems of a project's files and returns failure. With --json it prints the warnings too.
// It returns any other error unchanged.
func (s *session) printProblems(err error, warnings ...yamldoc.Problem) error {
	var problems yamldoc.Problems
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

// localEnvironment is the name of the local stack's environment.
const localEnvironment = "local"

// dataFolder returns the data folder of a project's local stack.
func dataFolder(project string) string { return filepath.Join(project, ".modeldispatch") }

// printJSON prints a value as indented JSON.
func (s *session) printJSON(v any) error { return s.encode(v, "  ") }

// printLine prints a value as one line of JSON.
func (s *session) printLine(v any) error { return s.encode(v, "") }

func (s *session) encode(v any, indent string) error {
	out := json.NewEncoder(s.Out)
	out.SetEscapeHTML(false)
	out.SetIndent("", indent)
	return out.Encode(v)
}

// table prints rows in aligned columns. Each row stays on one line.
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

// printf prints to standard output. The arguments stay on their line: only the format can start a new one.
func (s *session) printf(format string, args ...any) { safe.Printf(s.Out, format, args...) }

// warnf does for standard error what printf does for standard output.
func (s *session) warnf(format string, args ...any) { safe.Printf(s.Err, format, args...) }

// count returns a number with its noun, in the plural if the number is not 1.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
