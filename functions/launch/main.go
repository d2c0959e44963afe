// Command launch is the launch function. It receives messages from the launch queue and calls RunTask for the runs that
// they name.
package main

import (
	"modeldispatch/internal/handler"
	"modeldispatch/internal/wiring"
)

func main() {
	wiring.Start(func(h handler.Handlers) any { return h.Launch })
}
