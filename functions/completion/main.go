// Command completion is the completion function. EventBridge invokes it when one of the deployment's ECS tasks starts
// to run and when it stops. It records the task's status in the run, and the outcome when the task has stopped.
package main

import (
	"modeldispatch/internal/app"
	"modeldispatch/internal/handler"
)

func main() {
	app.Start(func(h handler.Handlers) any { return h.Completion })
}
