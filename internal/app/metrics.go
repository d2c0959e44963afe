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

// The metrics. Those that say so have the dimension class or state beside the deployment's; models are fields and no
// dimensions, as each would be a metric to pay for.
const (
	metricEvents      = "Events"         // what became of an event for a model was decided
	metricBindings    = "Bindings"       // an event had a run of its own, or joined one
	metricRejections  = "Rejections"     // an event could not be used
	metricLaunches    = "Launches"       // an attempt was begun
	metricQueueWait   = "QueueWait"      // from when a run was ready to its first RunTask call, ms
	metricRefusals    = "Refusals"       // RunTask started nothing, by class
	metricOutcomes    = "Outcomes"       // a task ended, by class
	metricRuns        = "Runs"           // a run ended, by state
	metricRunsFailed  = "RunsFailed"     // a run failed
	metricRunDuration = "RunDuration"    // from acceptance to end, ms
	metricDropped     = "EffectsDropped" // something that was to be done for a run or an event can never be done
	metricSweeps      = "Sweeps"         // a minute's sweep has done all that was due
	metricDrainLag    = "DrainLag"       // until all that is ready has had its turn at RunTask, ms
)

// metrics writes metrics in CloudWatch's embedded metric format: log lines that CloudWatch Logs turns into metrics, without
// a call. https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
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
	by    string // a second dimension, "" for none
	is    string // its value
	about map[string]string
}

func counted(name string, about map[string]string) point {
	return point{name: name, unit: "Count", value: 1, about: about}
}

func lasted(name string, d time.Duration, about map[string]string) point {
	return point{name: name, unit: "Milliseconds", value: float64(d.Milliseconds()), about: about}
}

func (p point) with(by, is string) point {
	p.by, p.is = by, is
	return p
}

func (m *metrics) write(points ...point) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range points {
		dimensions := [][]string{{"deployment"}}
		line := map[string]any{"deployment": m.deployment, p.name: p.value}
		for name, value := range p.about {
			line[name] = value
		}
		if p.by != "" {
			dimensions = append(dimensions, []string{"deployment", p.by})
			line[p.by] = p.is
		}
		line["_aws"] = map[string]any{"Timestamp": m.now().UnixMilli(), "CloudWatchMetrics": []any{map[string]any{
			"Namespace": Namespace, "Dimensions": dimensions, "Metrics": []any{map[string]string{"Name": p.name, "Unit": p.unit}},
		}}}
		if text, err := json.Marshal(line); err == nil { // plain data
			_, _ = m.out.Write(append(text, '\n'))
		}
	}
}

// notice turns what happens into metrics.
func (m *metrics) notice() dispatch.Notice {
	return dispatch.Notice{
		Decided: m.decided, Moved: m.moved,
		Lag:     func(lag time.Duration) { m.write(lasted(metricDrainLag, lag, nil)) },
		Swept:   func() { m.write(counted(metricSweeps, nil)) },
		Dropped: func(e run.Effect) { m.write(counted(metricDropped, map[string]string{"effect": string(e.Kind)})) },
	}
}

func (m *metrics) decided(e event.Event, d dispatch.Decision) {
	about := map[string]string{"model": d.Model, "kind": string(e.Kind), "decision": string(d.Verdict)}
	points := []point{counted(metricEvents, about)}
	switch d.Verdict {
	case dispatch.Started, dispatch.Joined:
		points = append(points, counted(metricBindings, about))
	case dispatch.Rejected:
		points = append(points, counted(metricRejections, about))
	}
	m.write(points...)
}

func (m *metrics) moved(before, after run.Run) {
	about := map[string]string{"model": after.Model, "run": after.ID}
	var points []point
	if after.Attempt > before.Attempt {
		points = append(points, counted(metricLaunches, about))
		if after.Attempt == 1 {
			points = append(points, lasted(metricQueueWait, m.now().Sub(after.Queued), about))
		}
	}
	closed := after.Closed && !before.Closed && after.Attempt > 0 && after.Outcome != nil
	switch {
	case closed && (after.Task.ARN != "" || after.Outcome.Class == run.Lost || after.Outcome.Class == run.Stopped):
		points = append(points, counted(metricOutcomes, about).with("class", string(after.Outcome.Class)))
	case closed, after.Spent.Refusals > before.Spent.Refusals:
		points = append(points, counted(metricRefusals, about).with("class", string(after.Outcome.Class)))
	}
	if after.State.Ended() && !before.State.Ended() {
		points = append(points, counted(metricRuns, about).with("state", string(after.State)), lasted(metricRunDuration, after.Ended.Sub(after.Accepted), about))
		if after.State == run.Failed {
			points = append(points, counted(metricRunsFailed, about))
		}
	}
	m.write(points...)
}
