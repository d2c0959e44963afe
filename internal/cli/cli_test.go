package cli_test

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"regexp"
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
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"until": until}})
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
