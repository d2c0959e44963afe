// Command panics is a function with a bug.
package main

import (
	"modeldispatch/internal/app"
	"modeldispatch/internal/handler"
)

func main() {
	app.Start(func(handler.Handlers) any { return func() error { panic("a bug") } })
}
