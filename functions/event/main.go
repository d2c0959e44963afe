// Command event is the event function. EventBridge invokes it for each event that matches the pattern of an `event`
// trigger. It accepts the event, which starts runs.
package main

import (
	"modeldispatch/internal/app"
	"modeldispatch/internal/handler"
)

func main() {
	app.Start(func(h handler.Handlers) any { return h.Event })
}
