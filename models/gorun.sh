#!/bin/sh
# gorun.sh PACKAGE [ARGUMENT ...]: become a Go program, as `go run` cannot. `go run` stands between a
# program and its signals, and answers each of its failures with exit code 1, where a model's exit
# code means something. So let it build the program into Go's cache, ask for the path, and exec that.
package=$1
shift
go run -exec true "$package" && program=$(go run -exec echo "$package") && exec "$program" "$@"
