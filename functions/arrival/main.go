// Command arrival is the function that is invoked when S3 objects are created.
package main

import (
	"modeldispatch/internal/app"
	"modeldispatch/internal/handler"
)

func main() {
	app.Start(func(h handler.Handlers) any { return h.Arrival })
}
