// Command schedule is the schedule function. EventBridge Scheduler invokes it when a schedule is due. It accepts the
// event, which starts runs.
package main

import (
	"modeldispatch/internal/app"
	"modeldispatch/internal/handler"
)

func main() {
	app.Start(func(h handler.Handlers) any { return h.Schedule })
}
