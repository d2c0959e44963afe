// Command event is the event function. EventBridge invokes it for each event that matches the pattern of an `event`
// trigger. It accepts the event, which starts runs.
package main

import (
	"modeldispatch/internal/handler"
	"modeldispatch/internal/wiring"
)

func main() {
	wiring.Start(func(h handler.Handlers) any { return h.Event })
}
