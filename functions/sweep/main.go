// Command sweep is the function that runs every minute, and for the messages of the wake queue.
package main

import (
	"modeldispatch/internal/app"
	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/handler"
)

func main() {
	app.Start(func(h handler.Handlers) any { return h.Sweep }, (*dispatch.Dispatcher).Publish)
}
