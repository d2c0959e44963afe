package metrics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
)

// emf holds the metadata that CloudWatch reads from a line.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
type emf struct {
	AWS struct {
		Timestamp         int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	} `json:"_aws"`
}

// writtenMetrics returns the metrics in some lines, each with its dimensions and value. It fails the test if CloudWatch
// would not accept a line.
func writtenMetrics(t *testing.T, lines string) []string {
	t.Helper()
	var all []string
	for line := range strings.Lines(lines) {
		var meta emf
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &meta); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if meta.AWS.Timestamp != noon.UnixMilli() {
			t.Errorf("%s has the timestamp %d, want %d", line, meta.AWS.Timestamp, noon.UnixMilli())
		}
		for _, directive := range meta.AWS.CloudWatchMetrics {
			metric := directive.Metrics[0]
			text := metric.Name
			for _, name := range directive.Dimensions[len(directive.Dimensions)-1] {
				value, isText := fields[name].(string)
				if !isText || value == "" {
					t.Errorf("%s has no text for its dimension %s", line, name)
				}
				text += " " + value
			}
			value, isNumber := fields[metric.Name].(float64)
			if !isNumber || metric.Unit != "Count" && metric.Unit != "Milliseconds" || directive.Namespace != Namespace {
				t.Errorf("%s is not a metric with a number, a known unit and the namespace %s", line, Namespace)
			}
			all = append(all, text+fmt.Sprintf(" %g", value))
		}
	}
	return all
}

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// TestHooks checks the metrics that each call of a hook writes.
func TestHooks(t *testing.T) {
	t.Parallel()
	r := run.Run{
		ID: "m-1", Model: "m", State: run.Launching, Attempt: 1, Accepted: noon.Add(-time.Minute), ReadySince: noon.Add(-2 * time.Second),
	}
	second, failed, skipped := r, r, r
	second.Attempt = 2
	failed.State, failed.Ended = run.Failed, noon
	skipped.State, skipped.Ended = run.Skipped, noon
	transition := func(x run.Transition) func(dispatch.Hooks) { return func(h dispatch.Hooks) { h.Transitioned(x) } }
	for name, one := range map[string]struct {
		happens func(dispatch.Hooks)
		want    []string
	}{
		"a started run": {func(h dispatch.Hooks) {
			h.Decided(event.Event{Kind: model.Arrival}, records.Decision{Model: "m", Kind: records.Started})
		}, []string{"Events team 1", "Bindings team 1"}},
		"a duplicate": {func(h dispatch.Hooks) {
			h.Decided(event.Event{}, records.Decision{Kind: records.Duplicate})
		}, []string{"Events team 1"}},
		"a rejection": {func(h dispatch.Hooks) {
			h.Decided(event.Event{}, records.Decision{Kind: records.Rejected})
		}, []string{"Events team 1", "Rejections team 1"}},
		"a lag":            {func(h dispatch.Hooks) { h.LaunchLag(3 * time.Second) }, []string{"DrainLag team 3000"}},
		"a dropped effect": {func(h dispatch.Hooks) { h.EffectDropped(run.Wake{}) }, []string{"EffectsDropped team 1"}},
		"a sweep":          {func(h dispatch.Hooks) { h.Swept() }, []string{"Sweeps team 1"}},
		"accepted":         {transition(run.Transition{Run: r, Kind: run.Accepted}), nil},
		"a launch": {
			transition(run.Transition{Run: r, Kind: run.AttemptStarted}),
			[]string{"Launches team 1", "QueueWait team 2000"},
		},
		"a second launch": {transition(run.Transition{Run: second, Kind: run.AttemptStarted}), []string{"Launches team 1"}},
		"throttled": {
			transition(run.Transition{Run: r, Kind: run.CallThrottled, Class: run.ClassThrottled}),
			[]string{"Refusals team throttled 1"},
		},
		"refused": {
			transition(run.Transition{Run: r, Kind: run.CallRefused, Class: run.ClassCapacity}),
			[]string{"Refusals team capacity 1"},
		},
		"refused for good": {
			transition(run.Transition{Run: failed, Kind: run.CallRefused, Class: run.ClassMisconfigured, Ended: true}),
			[]string{"Refusals team misconfigured 1", "Runs team failed 1", "RunDuration team 60000", "RunsFailed team 1"},
		},
		"running": {transition(run.Transition{Run: r, Kind: run.TaskStarted}), nil},
		"a retry": {
			transition(run.Transition{Run: r, Kind: run.AttemptEnded, Class: run.ClassInterrupted}),
			[]string{"Outcomes team interrupted 1"},
		},
		"out of memory": {
			transition(run.Transition{Run: failed, Kind: run.AttemptEnded, Class: run.ClassOutOfMemory, Ended: true}),
			[]string{"Outcomes team out-of-memory 1", "Runs team failed 1", "RunDuration team 60000", "RunsFailed team 1"},
		},
		"skipped": {
			transition(run.Transition{Run: skipped, Kind: run.GroupFull, Class: run.ClassOverlap, Ended: true}),
			[]string{"Runs team skipped 1", "RunDuration team 60000"},
		},
	} {
		var out bytes.Buffer
		one.happens(Hooks(&out, "team", func() time.Time { return noon }))
		if got := writtenMetrics(t, out.String()); !slices.Equal(got, one.want) {
			t.Errorf("%s: the metrics are %q, want %q", name, got, one.want)
		}
		if lines := strings.Count(out.String(), "\n"); lines > 1 {
			t.Errorf("%s: %d lines, want one for all metrics", name, lines)
		}
	}
}

// TestFieldsOfLines checks the fields of a line that are no metric: queries of CloudWatch Logs Insights and the runbook's
// filter patterns select lines by them. It also checks the unit of each metric, and that each count has its plain
// dimension: the alarms of template.yaml watch metrics by the deployment alone.
func TestFieldsOfLines(t *testing.T) {
	t.Parallel()
	failed := run.Run{ID: "m-1", Model: "m", State: run.Failed, Accepted: noon.Add(-time.Minute), Ended: noon}
	for name, c := range map[string]struct {
		happens func(dispatch.Hooks)
		fields  map[string]any
		units   map[string]string
	}{
		"joined": {
			func(h dispatch.Hooks) {
				h.Decided(event.Event{Kind: model.Arrival}, records.Decision{Model: "m", Kind: records.Joined})
			},
			map[string]any{"deployment": "team", "model": "m", "kind": "arrival", "decision": "joined"},
			map[string]string{"Events": "Count", "Bindings": "Count"},
		},
		"an end": {
			func(h dispatch.Hooks) {
				h.Transitioned(run.Transition{Run: failed, Kind: run.AttemptEnded, Class: run.ClassLost, Ended: true})
			},
			map[string]any{"deployment": "team", "model": "m", "run": "m-1", "state": "failed", "class": "lost"},
			map[string]string{"Outcomes": "Count", "Runs": "Count", "RunDuration": "Milliseconds", "RunsFailed": "Count"},
		},
		"a dropped effect": {
			func(h dispatch.Hooks) { h.EffectDropped(run.Wake{}) },
			map[string]any{"deployment": "team", "effect": "wake"},
			map[string]string{"EffectsDropped": "Count"},
		},
	} {
		var out bytes.Buffer
		c.happens(Hooks(&out, "team", func() time.Time { return noon }))
		var meta emf
		var fields map[string]any
		if err := json.Unmarshal(out.Bytes(), &meta); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out.Bytes(), &fields); err != nil {
			t.Fatal(err)
		}
		units := map[string]string{}
		for _, d := range meta.AWS.CloudWatchMetrics {
			units[d.Metrics[0].Name] = d.Metrics[0].Unit
			delete(fields, d.Metrics[0].Name)
			if len(d.Dimensions[0]) != 1 || d.Dimensions[0][0] != "deployment" {
				t.Errorf("%s: the first dimensions of %s are %q, want the deployment alone", name, d.Metrics[0].Name, d.Dimensions[0])
			}
		}
		delete(fields, "_aws")
		if !maps.Equal(fields, c.fields) || !maps.Equal(units, c.units) {
			t.Errorf("%s: the fields are %v and the units %v, want %v and %v", name, fields, units, c.fields, c.units)
		}
	}
}
