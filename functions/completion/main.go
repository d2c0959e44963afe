// Command completion is the completion function. EventBridge invokes it when one of the deployment's ECS tasks starts
// to run and when it stops. It records the task's status in the run, and the outcome when the task has stopped.
package main

import (
	"modeldispatch/internal/handler"
	"modeldispatch/internal/wiring"
)

func main() {
	wiring.Start(func(h handler.Handlers) any { return h.Completion })
}
