// Command modeldispatch runs containerised models on ECS Fargate when something happens: locally
// with one command, and in AWS as a few Lambda functions.
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
