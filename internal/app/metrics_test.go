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

// emf is what CloudWatch reads of a line. https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
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

// written are the metrics of some lines, each with its dimensions and value. Every line has to be what CloudWatch takes.
func written(t *testing.T, lines string) []string {
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
			t.Errorf("%s has the time %d", line, meta.AWS.Timestamp)
		}
		directive := meta.AWS.CloudWatchMetrics[0]
		for _, metric := range directive.Metrics {
			text := metric.Name
			for _, name := range directive.Dimensions[len(directive.Dimensions)-1] {
				value, isText := fields[name].(string)
				if !isText || value == "" {
					t.Errorf("%s lacks its dimension %s", line, name)
				}
				text += " " + value
			}
			value, isNumber := fields[metric.Name].(float64)
			if !isNumber || metric.Unit != "Count" && metric.Unit != "Milliseconds" || directive.Namespace != Namespace {
				t.Errorf("%s is no metric", line)
			}
			all = append(all, text+fmt.Sprintf(" %g", value))
		}
	}
	return all
}

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func TestMetrics(t *testing.T) {
	t.Parallel()
	accepted := run.Run{ID: "m-1", Model: "m", State: run.Waiting, For: run.Queued, Accepted: noon.Add(-time.Minute), Queued: noon.Add(-2 * time.Second)}
	launching := accepted
	launching.State, launching.For, launching.Attempt = run.Launching, "", 1
	throttled := launching
	throttled.Spent.Refusals, throttled.Outcome = 1, &run.Outcome{Class: run.Throttled}
	refused := launching
	refused.State, refused.Closed, refused.Outcome = run.Waiting, true, &run.Outcome{Class: run.Capacity}
	running := launching
	running.State, running.Task.ARN = run.Running, "arn"
	failed := running
	failed.State, failed.Closed, failed.Outcome, failed.Ended = run.Failed, true, &run.Outcome{Class: run.OutOfMemory}, noon
	skipped := accepted
	skipped.State, skipped.Closed, skipped.Outcome, skipped.Ended = run.Skipped, true, &run.Outcome{Class: run.Overlap}, noon
	for name, one := range map[string]struct {
		happens func(dispatch.Notice)
		want    []string
	}{
		"a run": {func(n dispatch.Notice) {
			n.Decided(event.Event{Kind: model.Arrival}, dispatch.Decision{Model: "m", Verdict: dispatch.Started})
		}, []string{"Events team 1", "Bindings team 1"}},
		"a duplicate":      {func(n dispatch.Notice) { n.Decided(event.Event{}, dispatch.Decision{Verdict: dispatch.Duplicate}) }, []string{"Events team 1"}},
		"a rejection":      {func(n dispatch.Notice) { n.Decided(event.Event{}, dispatch.Decision{Verdict: dispatch.Rejected}) }, []string{"Events team 1", "Rejections team 1"}},
		"a lag":            {func(n dispatch.Notice) { n.Lag(3 * time.Second) }, []string{"DrainLag team 3000"}},
		"what is given up": {func(n dispatch.Notice) { n.Dropped(run.Effect{Kind: run.Announce}) }, []string{"EffectsDropped team 1"}},
		"a sweep":          {func(n dispatch.Notice) { n.Swept() }, []string{"Sweeps team 1"}},
		"accepted":         {func(n dispatch.Notice) { n.Moved(run.Run{}, accepted) }, nil},
		"a launch":         {func(n dispatch.Notice) { n.Moved(accepted, launching) }, []string{"Launches team 1", "QueueWait team 2000"}},
		"throttled":        {func(n dispatch.Notice) { n.Moved(launching, throttled) }, []string{"Refusals team throttled 1"}},
		"refused":          {func(n dispatch.Notice) { n.Moved(launching, refused) }, []string{"Refusals team capacity 1"}},
		"running":          {func(n dispatch.Notice) { n.Moved(launching, running) }, nil},
		"out of memory":    {func(n dispatch.Notice) { n.Moved(running, failed) }, []string{"Outcomes team out-of-memory 1", "Runs team failed 1", "RunDuration team 60000", "RunsFailed team 1"}},
		"skipped":          {func(n dispatch.Notice) { n.Moved(accepted, skipped) }, []string{"Runs team skipped 1", "RunDuration team 60000"}},
	} {
		var out bytes.Buffer
		m := &metrics{out: &out, deployment: "team", now: func() time.Time { return noon }}
		one.happens(m.notice())
		if got := written(t, out.String()); !slices.Equal(got, one.want) {
			t.Errorf("%s writes %q, want %q", name, got, one.want)
		}
	}
}

func TestLogLink(t *testing.T) {
	t.Parallel()
	link := logLink("team")
	for region, want := range map[string]string{
		"aws:ecs:eu-west-1":         "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Fteam$252Fmodels/log-events/m$252Fmodel$252F0a1b",
		"aws-cn:ecs:cn-north-1":     "https://cn-north-1.console.amazonaws.cn/cloudwatch/home?region=cn-north-1#logsV2:log-groups/log-group/$252Fteam$252Fmodels/log-events/m$252Fmodel$252F0a1b",
		"aws-us-gov:ecs:us-gov-1-x": "https://us-gov-1-x.console.amazonaws-us-gov.com/",
	} {
		got := link(run.Run{Model: "m", Task: run.Task{ARN: "arn:" + region + ":111122223333:task/models/0a1b"}}, "model")
		if !strings.HasPrefix(got, want) {
			t.Errorf("the link is %s, want %s", got, want)
		}
	}
	if got := link(run.Run{Task: run.Task{ARN: "task"}}, "model"); got != "" {
		t.Errorf("of no ARN the link is %q", got)
	}
}
