// Command sweep is the sweep function. It does the work that is due: once a minute for the whole deployment, and for
// single runs when a message from the wake queue names them. At each cold start it publishes a copy of the catalog to
// the state bucket, for the command line.
package main

import (
	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/handler"
	"modeldispatch/internal/wiring"
)

func main() {
	wiring.Start(func(h handler.Handlers) any { return h.Sweep }, (*dispatch.Dispatcher).Publish)
}
