package cli_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"modeldispatch/internal/cli"
)

var update = flag.Bool("update", false, "Write the output of commands to the files that the scripts compare with it.")

// TestMain runs the tests, or a command: scripts run the test binary as the program.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"modeldispatch": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			os.Exit(cli.Main(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
		},
	})
}

// TestScripts runs the scripts of testdata/script.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"until": until, "put": put, "harmless": harmless, "valid": valid},
	})
}

// until runs a command again and again, for at most a minute, until it succeeds and its output matches a pattern.
// Each try is a process of its own, so it needs no pause between them.
func until(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile("(?m)" + args[0])
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if err := ts.Exec(args[1], args[2:]...); err == nil && want.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("%v did not print %s; it printed %s%s", args[1:], want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
}

// TestPortInUse starts a local stack on a port that is in use. The error must name the remedy.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	project := t.TempDir()
	if err := os.CopyFS(project, os.DirFS("testdata/project")); err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	var errs strings.Builder
	code := cli.Main(t.Context(), []string{"local", "--project", project, "--port", port}, cli.Streams{Out: io.Discard, Err: &errs})
	want := "modeldispatch: port " + port + " is in use: choose another port, or omit --port to get a free one\n"
	if code != 1 || errs.String() != want {
		t.Errorf("the exit code is %d and the error %q; want 1 and %q", code, errs.String(), want)
	}
}

// fullDisk is a stream on which every write fails.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestLostOutputIsAnError checks that a command whose output cannot be written fails.
func TestLostOutputIsAnError(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"check"}, {"check", "--json"}, {"check", "--schema"}, {"next"}, {"next", "--json"}} {
		var errs strings.Builder
		args = append(args, "--project", "testdata/project")
		code := cli.Main(t.Context(), args, cli.Streams{Out: fullDisk{}, Err: &errs})
		if code != 1 || strings.Count(errs.String(), "no space left on device") != 1 {
			t.Errorf("%v: the exit code is %d and the error %q; want 1 and the error of the stream", args, code, errs.String())
		}
	}
}

// TestWrongCommandLine checks the errors of the parser, which end a command with exit code 2.
func TestWrongCommandLine(t *testing.T) {
	t.Parallel()
	tests := []struct{ args, want string }{
		{"run", "the argument <model> is missing; see modeldispatch run --help"},
		{"explain", "the argument <event> is missing; see modeldispatch explain --help"},
		{"cancel --reason x", "the argument <run> is missing; see modeldispatch cancel --help"},
		{"local --port", "--port: a value is missing; see modeldispatch local --help"},
		{"runs --state", "--state: a value is missing; see modeldispatch runs --help"},
		{"local --faults", "--faults: a value is missing; see modeldispatch local --help"},
		{"local --allow-host", "--allow-host: a value is missing; see modeldispatch local --help"},
		{"--project", "--project: a value is missing; see modeldispatch --help"},
		{"local --port --json", "--port: a value is missing before --json; if --json is the value, write --port=--json; " +
			"see modeldispatch local --help"},
		{"local --port -1", "--port: a value is missing before -1; if -1 is the value, write --port=-1; see modeldispatch local --help"},
		{"local --port x", `--port: "x" is not a whole number; see modeldispatch local --help`},
		{"runs -n 1.5", `--limit: "1.5" is not a whole number; see modeldispatch runs --help`},
		{"runs --stat x", `unknown flag --stat, did you mean "--state"?; see modeldispatch runs --help`},
		{"localx", `unexpected argument localx, did you mean "local"?; see modeldispatch --help`},
		{"next a b", "unexpected argument b; see modeldispatch next --help"},
	}
	for _, test := range tests {
		var out, errs strings.Builder
		code := cli.Main(t.Context(), strings.Fields(test.args), cli.Streams{Out: &out, Err: &errs})
		if want := "modeldispatch: " + test.want + "\n"; code != 2 || errs.String() != want || out.Len() > 0 {
			t.Errorf("%s: the exit code is %d, the error %q and the output %q; want 2 and %q", test.args, code, errs.String(), out.String(), want)
		}
	}
}
