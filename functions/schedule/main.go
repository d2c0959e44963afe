// Command schedule is the function that EventBridge Scheduler invokes when a schedule is due.
package main

import (
	"modeldispatch/internal/app"
	"modeldispatch/internal/handler"
)

func main() {
	app.Start(func(h handler.Handlers) any { return h.Schedule })
}
