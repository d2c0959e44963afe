// Command modeldispatch runs batch jobs in containers ("models") on ECS Fargate when an event happens. In AWS it is a
// few Lambda functions (see functions/); on a laptop, `modeldispatch local` runs everything in one process.
//
// This file connects the command line (internal/cli) to the process: arguments, standard streams, exit code, and
// cancellation by an interrupt or SIGTERM.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"modeldispatch/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}
