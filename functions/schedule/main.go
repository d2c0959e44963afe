// Command schedule is the schedule function. EventBridge Scheduler invokes it when a schedule is due. It accepts the
// event, which starts runs.
package main

import (
	"modeldispatch/internal/handler"
	"modeldispatch/internal/wiring"
)

func main() {
	wiring.Start(func(h handler.Handlers) any { return h.Schedule })
}
