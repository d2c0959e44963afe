package app

import (
	"io"
	"time"

	"modeldispatch/internal/dispatch"
)

// MetricsTo returns hooks that write the metrics of the functions to a writer. Tests in package app_test use it.
func MetricsTo(w io.Writer, deployment string, now func() time.Time) dispatch.Hooks {
	return (&metrics{out: w, deployment: deployment, now: now}).hooks()
}
