package app

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/run"
)

// Namespace is the CloudWatch namespace of the metrics.
const Namespace = "modeldispatch"

// The names of the metrics, each with its unit. All have the dimension deployment. Some have a second dimension: the
// class of an outcome or the state of a run. The model is only a field of the log line, because CloudWatch charges for
// each value of a dimension as for one more metric.
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

// metrics writes metrics in CloudWatch's embedded metric format: CloudWatch Logs reads them from the log lines of the
// functions, so they need no calls. It is safe for concurrent use.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
type metrics struct {
	mu         sync.Mutex
	out        io.Writer
	deployment string
	now        func() time.Time
}

// point is one value of one metric.
type point struct {
	name  string
	unit  string // Count or Milliseconds
	value float64

	dimension      string            // the name of the second dimension; "" means none
	dimensionValue string            // the value of the second dimension
	fields         map[string]string // more fields of the log line, such as the model
}

// count returns a point that counts 1.
func count(name string, fields map[string]string) point {
	return point{name: name, unit: "Count", value: 1, fields: fields}
}

// milliseconds returns a point with a duration.
func milliseconds(name string, d time.Duration, fields map[string]string) point {
	return point{name: name, unit: "Milliseconds", value: float64(d.Milliseconds()), fields: fields}
}

// by returns the point with a second dimension.
func (p point) by(dimension, value string) point {
	p.dimension, p.dimensionValue = dimension, value
	return p
}

// write writes one line for each point.
func (m *metrics) write(points ...point) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range points {
		dimensions := [][]string{{"deployment"}}
		line := map[string]any{"deployment": m.deployment, p.name: p.value}
		for name, value := range p.fields {
			line[name] = value
		}
		if p.dimension != "" {
			dimensions = append(dimensions, []string{"deployment", p.dimension})
			line[p.dimension] = p.dimensionValue
		}
		line["_aws"] = map[string]any{"Timestamp": m.now().UnixMilli(), "CloudWatchMetrics": []any{map[string]any{
			"Namespace": Namespace, "Dimensions": dimensions, "Metrics": []any{map[string]string{"Name": p.name, "Unit": p.unit}},
		}}}
		if text, err := json.Marshal(line); err == nil { // strings and numbers can always be encoded
			_, _ = m.out.Write(append(text, '\n'))
		}
	}
}

// hooks returns hooks that write the metrics.
func (m *metrics) hooks() dispatch.Hooks {
	return dispatch.Hooks{
		Decided: m.decided, RunUpdated: m.runUpdated,
		LaunchLag:     func(lag time.Duration) { m.write(milliseconds(metricDrainLag, lag, nil)) },
		Swept:         func() { m.write(count(metricSweeps, nil)) },
		EffectDropped: func(e run.Effect) { m.write(count(metricDropped, map[string]string{"effect": string(e.Kind)})) },
	}
}

// decided writes the metrics of a decision about an event.
func (m *metrics) decided(e event.Event, d dispatch.Decision) {
	fields := map[string]string{"model": d.Model, "kind": string(e.Kind), "decision": string(d.Kind)}
	points := []point{count(metricEvents, fields)}
	switch d.Kind {
	case dispatch.Started, dispatch.Joined:
		points = append(points, count(metricBindings, fields))
	case dispatch.Rejected:
		points = append(points, count(metricRejections, fields))
	}
	m.write(points...)
}

// runUpdated writes the metrics of a change of a run.
func (m *metrics) runUpdated(before, after run.Run) {
	fields := map[string]string{"model": after.Model, "run": after.ID}
	var points []point
	if after.Attempt > before.Attempt {
		points = append(points, count(metricLaunches, fields))
		if after.Attempt == 1 {
			points = append(points, milliseconds(metricQueueWait, m.now().Sub(after.ReadySince), fields))
		}
	}
	closed := after.Closed && !before.Closed && after.Attempt > 0 && after.Outcome != nil
	switch {
	case closed && (after.Task.ARN != "" || after.Outcome.Class == run.ClassLost || after.Outcome.Class == run.ClassCancelled):
		points = append(points, count(metricOutcomes, fields).by("class", string(after.Outcome.Class)))
	case closed, after.RetriesUsed.Refusals > before.RetriesUsed.Refusals:
		points = append(points, count(metricRefusals, fields).by("class", string(after.Outcome.Class)))
	}
	if after.State.Ended() && !before.State.Ended() {
		points = append(points,
			count(metricRuns, fields).by("state", string(after.State)),
			milliseconds(metricRunDuration, after.Ended.Sub(after.Accepted), fields))
		if after.State == run.Failed {
			points = append(points, count(metricRunsFailed, fields))
		}
	}
	m.write(points...)
}
