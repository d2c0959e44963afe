package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
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
		directive := meta.AWS.CloudWatchMetrics[0]
		for _, metric := range directive.Metrics {
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

// TestMetrics checks the metrics that each call of a hook writes.
func TestMetrics(t *testing.T) {
	t.Parallel()
	accepted := run.Run{
		ID: "m-1", Model: "m", State: run.Waiting, WaitingFor: run.ForLaunch,
		Accepted: noon.Add(-time.Minute), ReadySince: noon.Add(-2 * time.Second),
	}
	launching := accepted
	launching.State, launching.WaitingFor, launching.Attempt = run.Launching, "", 1
	throttled := launching
	throttled.RetriesUsed.Refusals, throttled.Outcome = 1, &run.Outcome{Class: run.ClassThrottled}
	refused := launching
	refused.State, refused.Closed, refused.Outcome = run.Waiting, true, &run.Outcome{Class: run.ClassCapacity}
	running := launching
	running.State, running.Task.ARN = run.Running, "arn"
	failed := running
	failed.State, failed.Closed, failed.Outcome, failed.Ended = run.Failed, true, &run.Outcome{Class: run.ClassOutOfMemory}, noon
	skipped := accepted
	skipped.State, skipped.Closed, skipped.Outcome, skipped.Ended = run.Skipped, true, &run.Outcome{Class: run.ClassOverlap}, noon
	for name, one := range map[string]struct {
		happens func(dispatch.Hooks)
		want    []string
	}{
		"a started run": {func(h dispatch.Hooks) {
			h.Decided(event.Event{Kind: model.Arrival}, dispatch.Decision{Model: "m", Kind: dispatch.Started})
		}, []string{"Events team 1", "Bindings team 1"}},
		"a duplicate": {func(h dispatch.Hooks) {
			h.Decided(event.Event{}, dispatch.Decision{Kind: dispatch.Duplicate})
		}, []string{"Events team 1"}},
		"a rejection": {func(h dispatch.Hooks) {
			h.Decided(event.Event{}, dispatch.Decision{Kind: dispatch.Rejected})
		}, []string{"Events team 1", "Rejections team 1"}},
		"a lag": {func(h dispatch.Hooks) { h.LaunchLag(3 * time.Second) }, []string{"DrainLag team 3000"}},
		"a dropped effect": {func(h dispatch.Hooks) {
			h.EffectDropped(run.Effect{Kind: run.Announce})
		}, []string{"EffectsDropped team 1"}},
		"a sweep":  {func(h dispatch.Hooks) { h.Swept() }, []string{"Sweeps team 1"}},
		"accepted": {func(h dispatch.Hooks) { h.RunUpdated(run.Run{}, accepted) }, nil},
		"a launch": {func(h dispatch.Hooks) {
			h.RunUpdated(accepted, launching)
		}, []string{"Launches team 1", "QueueWait team 2000"}},
		"throttled": {func(h dispatch.Hooks) { h.RunUpdated(launching, throttled) }, []string{"Refusals team throttled 1"}},
		"refused":   {func(h dispatch.Hooks) { h.RunUpdated(launching, refused) }, []string{"Refusals team capacity 1"}},
		"running":   {func(h dispatch.Hooks) { h.RunUpdated(launching, running) }, nil},
		"out of memory": {
			func(h dispatch.Hooks) { h.RunUpdated(running, failed) },
			[]string{"Outcomes team out-of-memory 1", "Runs team failed 1", "RunDuration team 60000", "RunsFailed team 1"},
		},
		"skipped": {
			func(h dispatch.Hooks) { h.RunUpdated(accepted, skipped) },
			[]string{"Runs team skipped 1", "RunDuration team 60000"},
		},
	} {
		var out bytes.Buffer
		m := &metrics{out: &out, deployment: "team", now: func() time.Time { return noon }}
		one.happens(m.hooks())
		if got := writtenMetrics(t, out.String()); !slices.Equal(got, one.want) {
			t.Errorf("%s: the metrics are %q, want %q", name, got, one.want)
		}
	}
}

// TestLogLink checks the log links of tasks in each AWS partition.
func TestLogLink(t *testing.T) {
	t.Parallel()
	link := logLink("team")
	const log = "#logsV2:log-groups/log-group/$252Fteam$252Fmodels/log-events/m$252Fmodel$252F0a1b"
	for region, want := range map[string]string{
		"aws:ecs:eu-west-1":         "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1" + log,
		"aws-cn:ecs:cn-north-1":     "https://cn-north-1.console.amazonaws.cn/cloudwatch/home?region=cn-north-1" + log,
		"aws-us-gov:ecs:us-gov-1-x": "https://us-gov-1-x.console.amazonaws-us-gov.com/",
	} {
		got := link(run.Run{Model: "m", Task: run.Task{ARN: "arn:" + region + ":111122223333:task/models/0a1b"}}, "model")
		if !strings.HasPrefix(got, want) {
			t.Errorf("the link is %s, want %s", got, want)
		}
	}
	if got := link(run.Run{Task: run.Task{ARN: "task"}}, "model"); got != "" {
		t.Errorf("the link of a task without an ARN is %q, want none", got)
	}
}
