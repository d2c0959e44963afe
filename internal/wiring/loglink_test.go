package wiring

import (
	"strings"
	"testing"

	"modeldispatch/internal/run"
)

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
