// Command event is the function that takes the EventBridge events of `event` triggers.
package main

import (
	"modeldispatch/internal/app"
	"modeldispatch/internal/handler"
)

func main() {
	app.Start(func(h handler.Handlers) any { return h.Event })
}
