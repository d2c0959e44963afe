package local_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"modeldispatch/internal/local"
	"modeldispatch/internal/run"
)

// TestWithTheAWSCLI does with the AWS CLI what people do with it.
func TestWithTheAWSCLI(t *testing.T) {
	t.Parallel()
	program := os.Getenv("MODELDISPATCH_AWS_CLI")
	if program == "" {
		t.Skip("the AWS CLI is not used: set MODELDISPATCH_AWS_CLI to its path")
	}
	s := start(t, project(t, never))
	cli := awsCLI{t, program, s.Address()}
	file := filepath.Join(t.TempDir(), "figures 100%.txt")
	write(t, file, "17 21 4")

	cli.run("s3", "cp", file, "s3://landing/copy/figures 100%.txt")
	cli.run("sqs", "send-message", "--queue-url", cli.run("sqs", "get-queue-url", "--queue-name", "requests", "--query", "QueueUrl", "--output", "text"),
		"--message-body", `{"do": "copy", "name": "from a message"}`)
	if failed := cli.run("events", "put-events", "--query", "FailedEntryCount", "--entries",
		`[{"Source": "acme.jobs", "DetailType": "Job Done", "Detail": "{\"do\": \"exit-7\", \"name\": \"x\"}"}]`); failed != "0" {
		t.Errorf("put-events: %s failed", failed)
	}
	ends := map[run.State]int{}
	var failed run.Run
	for _, r := range s.ended(t, 3) {
		if ends[r.State]++; r.State == run.Failed {
			failed = r
		}
	}
	if ends[run.Succeeded] != 2 || ends[run.Failed] != 1 {
		t.Fatalf("the runs ended as %v, want two that succeeded and one that failed", ends)
	}
	if got := cli.run("s3", "cp", "s3://results/copy/figures 100%.txt", "-"); got != "17 21 4" {
		t.Errorf("the result is %q", got)
	}
	if code := cli.run("ecs", "describe-tasks", "--cluster", "modeldispatch", "--tasks", failed.Task.ARN, "--query", "tasks[0].containers[0].exitCode"); code != "7" {
		t.Errorf("describe-tasks: exit code %s, want 7", code)
	}
	if n := cli.run("ecs", "list-tasks", "--cluster", "modeldispatch", "--desired-status", "STOPPED", "--query", "length(taskArns)"); n != "3" {
		t.Errorf("list-tasks: %s have stopped, want 3", n)
	}
	// Nobody gives this one a command: it runs the model's local.command.
	bare := cli.run("ecs", "run-task", "--started-by", "by-hand", "--cluster", "modeldispatch", "--task-definition", "modeldispatch-worker", "--launch-type", "FARGATE",
		"--network-configuration", "awsvpcConfiguration={subnets=[subnet-1]}", "--query", "tasks[0].taskArn", "--output", "text",
		"--overrides", `{"containerOverrides": [{"name": "model", "environment": [{"name": "MODEL_NAME", "value": "worker"}, {"name": "INPUT_DO", "value": "exit-9"}]}]}`)
	cli.run("ecs", "wait", "tasks-stopped", "--cluster", "modeldispatch", "--tasks", bare)
	if said := cli.run("ecs", "describe-tasks", "--cluster", "modeldispatch", "--tasks", bare, "--query", "tasks[0].[stoppedReason, containers[0].exitCode]", "--output", "text"); !strings.HasSuffix(said, "\t9") {
		t.Errorf("a task without a command: %s, want exit code 9", said)
	}
	arn := cli.run("ecs", "run-task", "--cluster", "modeldispatch", "--task-definition", "modeldispatch-worker", "--launch-type", "FARGATE",
		"--network-configuration", "awsvpcConfiguration={subnets=[subnet-1]}", "--query", "tasks[0].taskArn", "--output", "text",
		"--overrides", `{"containerOverrides": [{"name": "model", "command": ["sh", "-c", "mkfifo wait && read forever < wait"]}]}`)
	cli.run("ecs", "stop-task", "--cluster", "modeldispatch", "--task", arn, "--reason", "seen enough")
	cli.run("ecs", "wait", "tasks-stopped", "--cluster", "modeldispatch", "--tasks", arn)
	var why []string
	if err := json.Unmarshal([]byte(cli.run("ecs", "describe-tasks", "--cluster", "modeldispatch", "--tasks", arn, "--query", "tasks[0].[stopCode,stoppedReason]")), &why); err != nil ||
		strings.Join(why, ": ") != "UserInitiated: seen enough" {
		t.Errorf("the task stopped for %q, %v", why, err)
	}
	s.settled(t)
}

// awsCLI runs the AWS CLI against a stack.
type awsCLI struct {
	t       *testing.T
	program string
	address local.Address
}

func (c awsCLI) run(args ...string) string {
	c.t.Helper()
	command := exec.CommandContext(c.t.Context(), c.program, append([]string{"--endpoint-url", c.address.URL, "--region", local.Region}, args...)...)
	command.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+c.address.Credential.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+c.address.Credential.SecretAccessKey, "AWS_PAGER=", "AWS_CONFIG_FILE="+os.DevNull)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		c.t.Fatalf("aws %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}
