package app

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"modeldispatch/internal/run"
)

// logLink gives the page of CloudWatch's console that shows the log of a task: a stream of the deployment's log group,
// named after the model, the container and the task, as the awslogs driver does.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
func logLink(deployment string) func(run.Run, string) string {
	consoles := map[string]string{"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}
	return func(r run.Run, container string) string {
		task, err := arn.Parse(r.Task.ARN)
		if err != nil {
			return ""
		}
		console := cmp.Or(consoles[task.Partition], "console.aws.amazon.com")
		id := task.Resource[strings.LastIndexByte(task.Resource, '/')+1:]
		twice := func(s string) string { return strings.ReplaceAll(url.QueryEscape(url.QueryEscape(s)), "%", "$") }
		return fmt.Sprintf("https://%[1]s.%[2]s/cloudwatch/home?region=%[1]s#logsV2:log-groups/log-group/%[3]s/log-events/%[4]s",
			task.Region, console, twice("/"+deployment+"/models"), twice(r.Model+"/"+container+"/"+id))
	}
}
