// Command message is the message function. It receives messages from the queues of `message` triggers and accepts
// them as events, which start runs.
package main

import (
	"modeldispatch/internal/app"
	"modeldispatch/internal/handler"
)

func main() {
	app.Start(func(h handler.Handlers) any { return h.Message })
}
