// Command launch is the function that reads the launch queue and calls RunTask.
package main

import (
	"modeldispatch/internal/app"
	"modeldispatch/internal/handler"
)

func main() {
	app.Start(func(h handler.Handlers) any { return h.Launch })
}
