// Command message is the message function. It receives messages from the queues of `message` triggers and accepts
// them as events, which start runs.
package main

import (
	"modeldispatch/internal/handler"
	"modeldispatch/internal/wiring"
)

func main() {
	wiring.Start(func(h handler.Handlers) any { return h.Message })
}
