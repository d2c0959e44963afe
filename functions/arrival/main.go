// Command arrival is the arrival function. EventBridge invokes it when an object is created in a bucket that models
// use. It accepts the event: it starts runs, and lets runs that wait for the object continue.
package main

import (
	"modeldispatch/internal/handler"
	"modeldispatch/internal/wiring"
)

func main() {
	wiring.Start(func(h handler.Handlers) any { return h.Arrival })
}
