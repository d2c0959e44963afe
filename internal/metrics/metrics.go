// Package metrics writes the metrics of the functions in CloudWatch's embedded metric format: CloudWatch Logs reads them
// from the log lines of the functions, so they need no calls and no permissions.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
//
// Package dispatch calls the hooks (dispatch.Hooks) that [Hooks] returns: after each decision about an event, after each
// transition of a run (run.Transition), after reservations, sweeps and dropped effects. Each call of a hook writes at most
// one line of JSON, which holds all of its metrics.
//
// # Terms
//
//   - A point is one value of one metric.
//   - A dimension selects values of a metric: an alarm watches a metric with the value of a dimension. All metrics have
//     the dimension deployment. Some can also be selected by a second one: the class of an outcome, or the state of a run.
//   - A field of a line is no dimension, such as the model: CloudWatch charges for each value of a dimension as for one
//     more metric. CloudWatch Logs Insights can select lines by their fields.
package metrics

import (
	"encoding/json"
	"io"
	"maps"
	"sync"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
)

// Namespace is the CloudWatch namespace of the metrics.
const Namespace = "modeldispatch"

// The names of the metrics, each with its unit. Outcomes and Refusals have the second dimension class, and Runs has the
// second dimension state.
const (
	metricEvents      = "Events"         // count of decisions about events, one for each event and model
	metricBindings    = "Bindings"       // count of events that started a run or joined one
	metricRejections  = "Rejections"     // count of rejected events
	metricLaunches    = "Launches"       // count of new attempts
	metricQueueWait   = "QueueWait"      // milliseconds from when a run is ready to its first attempt
	metricRefusals    = "Refusals"       // count of RunTask calls that started no task, by class
	metricOutcomes    = "Outcomes"       // count of attempts that ended otherwise than by a refusal, by class
	metricRuns        = "Runs"           // count of runs that ended, by state
	metricRunsFailed  = "RunsFailed"     // count of runs that failed
	metricRunDuration = "RunDuration"    // milliseconds from the acceptance of a run to its end
	metricDropped     = "EffectsDropped" // count of effects that were given up, because they can never succeed
	metricSweeps      = "Sweeps"         // count of the sweeps of a minute that ended without an error
	metricDrainLag    = "DrainLag"       // milliseconds until every reservation given so far has come
)

// writer writes lines of metrics. It is safe for concurrent use.
type writer struct {
	mu         sync.Mutex
	out        io.Writer
	deployment string
	now        func() time.Time
}

// Hooks returns hooks that write the metrics of a deployment to a writer. now returns the time of a line.
func Hooks(out io.Writer, deployment string, now func() time.Time) dispatch.Hooks {
	w := &writer{out: out, deployment: deployment, now: now}
	return dispatch.Hooks{
		Decided: w.decided, Transitioned: w.transitioned,
		LaunchLag: func(lag time.Duration) { w.write(nil, milliseconds(metricDrainLag, lag)) },
		Swept:     func() { w.write(nil, count(metricSweeps)) },
		EffectDropped: func(e run.Effect) {
			w.write(map[string]any{"effect": e.Kind()}, count(metricDropped))
		},
	}
}

// point is one value of one metric.
type point struct {
	name      string
	unit      string // Count or Milliseconds
	value     float64
	dimension string // the name of the second dimension, which is also a field of the line; "" is none
}

// count returns a point that counts 1.
func count(name string) point { return point{name: name, unit: "Count", value: 1} }

// countBy returns a point that counts 1, with a second dimension.
func countBy(name, dimension string) point {
	return point{name: name, unit: "Count", value: 1, dimension: dimension}
}

// milliseconds returns a point with a duration.
func milliseconds(name string, d time.Duration) point {
	return point{name: name, unit: "Milliseconds", value: float64(d.Milliseconds())}
}

// directive tells CloudWatch which fields of a line are metrics, and which are their dimensions.
type directive struct {
	Namespace  string              `json:"Namespace"`
	Dimensions [][]string          `json:"Dimensions"`
	Metrics    []map[string]string `json:"Metrics"`
}

// write writes one line with all points, and with fields that the points share. It writes nothing without points.
func (w *writer) write(fields map[string]any, points ...point) {
	if len(points) == 0 {
		return
	}
	line := map[string]any{"deployment": w.deployment}
	maps.Copy(line, fields)
	var directives []directive
	for _, p := range points {
		line[p.name] = p.value
		dimensions := [][]string{{"deployment"}}
		if p.dimension != "" {
			dimensions = append(dimensions, []string{"deployment", p.dimension})
		}
		metric := []map[string]string{{"Name": p.name, "Unit": p.unit}}
		directives = append(directives, directive{Namespace, dimensions, metric})
	}
	line["_aws"] = map[string]any{"Timestamp": w.now().UnixMilli(), "CloudWatchMetrics": directives}
	text, err := json.Marshal(line)
	if err != nil {
		panic("encoding metrics: " + err.Error()) // strings and numbers: cannot happen
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.out.Write(append(text, '\n')) // standard output: there is no other place to report an error to
}

// decided writes the metrics of a decision about an event.
func (w *writer) decided(e event.Event, d records.Decision) {
	points := []point{count(metricEvents)}
	switch d.Kind {
	case records.Started, records.Joined:
		points = append(points, count(metricBindings))
	case records.Rejected:
		points = append(points, count(metricRejections))
	}
	w.write(map[string]any{"model": d.Model, "kind": e.Kind, "decision": d.Kind}, points...)
}

// transitioned writes the metrics of a transition of a run.
func (w *writer) transitioned(t run.Transition) {
	var points []point
	switch t.Kind {
	case run.AttemptStarted:
		points = append(points, count(metricLaunches))
		if t.Run.Attempt == 1 {
			points = append(points, milliseconds(metricQueueWait, w.now().Sub(t.Run.ReadySince)))
		}
	case run.CallThrottled, run.CallRefused:
		points = append(points, countBy(metricRefusals, "class"))
	case run.AttemptEnded:
		points = append(points, countBy(metricOutcomes, "class"))
	}
	if t.Ended {
		points = append(points, countBy(metricRuns, "state"), milliseconds(metricRunDuration, t.Run.Ended.Sub(t.Run.Accepted)))
		if t.Run.State == run.Failed {
			points = append(points, count(metricRunsFailed))
		}
	}
	fields := map[string]any{"model": t.Run.Model, "run": t.Run.ID, "state": t.Run.State}
	if t.Class != "" {
		fields["class"] = t.Class
	}
	w.write(fields, points...)
}
