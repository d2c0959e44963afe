package wiring

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"modeldispatch/internal/run"
)

// LogGroup returns the name of the log group of a deployment's tasks.
func LogGroup(deployment string) string { return "/" + deployment + "/models" }

// LogStream returns the name of a task's log stream in that group. task is the ARN or the id of the task. The awslogs
// driver builds the name from its prefix (the model), the container and the task id.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
func LogStream(model, container, task string) string {
	return model + "/" + container + "/" + task[strings.LastIndexByte(task, '/')+1:]
}

// logLink returns a function that returns the URL of a run's log in the CloudWatch console: the log of its last task.
// The URL is empty if the run has no task.
func logLink(deployment string) func(run.Run, string) string {
	consoles := map[string]string{"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}
	return func(r run.Run, container string) string {
		task, err := arn.Parse(r.Task.ARN)
		if err != nil {
			return ""
		}
		console := cmp.Or(consoles[task.Partition], "console.aws.amazon.com")
		twice := func(s string) string { return strings.ReplaceAll(url.QueryEscape(url.QueryEscape(s)), "%", "$") }
		return fmt.Sprintf("https://%[1]s.%[2]s/cloudwatch/home?region=%[1]s#logsV2:log-groups/log-group/%[3]s/log-events/%[4]s",
			task.Region, console, twice(LogGroup(deployment)), twice(LogStream(r.Model, container, r.Task.ARN)))
	}
}
