package cli_test

import (
	"context"
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

var update = flag.Bool("update", false, "write what commands print into the files that they are compared with")

// The scripts run the test binary as the program.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"modeldispatch": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			os.Exit(cli.Main(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
		},
	})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata/script", UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"until": until, "put": put, "harmless": harmless}})
}

// until runs a command until it succeeds and prints what matches a pattern. Each try is a process
// of its own, so nothing else is waited for between them.
func until(ts *testscript.TestScript, _ bool, args []string) {
	wanted := regexp.MustCompile("(?m)" + args[0])
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if err := ts.Exec(args[1], args[2:]...); err == nil && wanted.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("%v did not print %s; it printed %s%s", args[1:], wanted, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
}

// TestAPortThatIsTaken is said with what would be right.
func TestAPortThatIsTaken(t *testing.T) {
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
	if want := "modeldispatch: port " + port + " is taken: choose another, or leave --port out for a free one\n"; code != 1 || errs.String() != want {
		t.Errorf("exit code %d, %q; want 1, %q", code, errs.String(), want)
	}
}
