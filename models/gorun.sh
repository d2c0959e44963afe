#!/bin/sh
# gorun.sh PACKAGE [ARGUMENT ...]: build a Go program and become it.
# Plain `go run` does not pass signals on to the program, and turns each of its exit codes into 1. But a model needs its
# signals, and its exit code has a meaning. So this script lets `go run` build the program into Go's cache, asks for its
# path there, and executes it.
package=$1
shift
go run -exec true "$package" && program=$(go run -exec echo "$package") && exec "$program" "$@"
