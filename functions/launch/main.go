// Command launch is the launch function. It receives messages from the launch queue and calls RunTask for the runs that
// they name.
package main

import (
	"modeldispatch/internal/app"
	"modeldispatch/internal/handler"
)

func main() {
	app.Start(func(h handler.Handlers) any { return h.Launch })
}
