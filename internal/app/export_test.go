package app

import (
	"io"
	"time"

	"modeldispatch/internal/dispatch"
)

// NoticeTo writes the functions' metrics to a writer, for tests from outside.
func NoticeTo(w io.Writer, deployment string, now func() time.Time) dispatch.Notice {
	return (&metrics{out: w, deployment: deployment, now: now}).notice()
}
