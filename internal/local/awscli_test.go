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

// TestAWSCLI starts runs, reads results, and runs and stops tasks with the AWS CLI.
func TestAWSCLI(t *testing.T) {
	t.Parallel()
	program := os.Getenv("MODELDISPATCH_AWS_CLI")
	if program == "" {
		t.Skip("needs the AWS CLI: set MODELDISPATCH_AWS_CLI to its path")
	}
	s := start(t, project(t, never))
	cli := awsCLI{t, program, s.Address()}
	file := filepath.Join(t.TempDir(), "figures 100%.txt")
	write(t, file, "17 21 4")

	cli.run("s3", "cp", file, "s3://landing/copy/figures 100%.txt")
	queue := cli.run("sqs", "get-queue-url", "--queue-name", "requests", "--query", "QueueUrl", "--output", "text")
	cli.run("sqs", "send-message", "--queue-url", queue, "--message-body", `{"do": "copy", "name": "from a message"}`)
	if failed := cli.run("events", "put-events", "--query", "FailedEntryCount", "--entries",
		`[{"Source": "acme.jobs", "DetailType": "Job Done", "Detail": "{\"do\": \"exit-7\", \"name\": \"x\"}"}]`); failed != "0" {
		t.Errorf("put-events: %s entries failed, want 0", failed)
	}
	ends := map[run.State]int{}
	var failed run.Run
	for _, r := range s.waitEnded(t, 3) {
		if ends[r.State]++; r.State == run.Failed {
			failed = r
		}
	}
	if ends[run.Succeeded] != 2 || ends[run.Failed] != 1 {
		t.Fatalf("the runs ended as %v, want two succeeded and one failed", ends)
	}
	if got := cli.run("s3", "cp", "s3://results/copy/figures 100%.txt", "-"); got != "17 21 4" {
		t.Errorf("the result is %q, want %q", got, "17 21 4")
	}
	if code := cli.describe(failed.Task.ARN, "containers[0].exitCode"); code != "7" {
		t.Errorf("describe-tasks: exit code %s, want 7", code)
	}
	stopped := cli.run("ecs", "list-tasks", "--cluster", "modeldispatch", "--desired-status", "STOPPED", "--query", "length(taskArns)")
	if stopped != "3" {
		t.Errorf("list-tasks: %s stopped tasks, want 3", stopped)
	}
	// The call overrides no command, so the task runs the model's local.command.
	bare := cli.runTask(`{"containerOverrides": [{"name": "model", "environment": [
		{"name": "MODEL_NAME", "value": "worker"}, {"name": "INPUT_DO", "value": "exit-9"}]}]}`, "--started-by", "by-hand")
	cli.run("ecs", "wait", "tasks-stopped", "--cluster", "modeldispatch", "--tasks", bare)
	if got := cli.describe(bare, "[stoppedReason, containers[0].exitCode]", "--output", "text"); !strings.HasSuffix(got, "\t9") {
		t.Errorf("a task without a command: %s, want exit code 9", got)
	}
	arn := cli.runTask(`{"containerOverrides": [{"name": "model", "command": ["sh", "-c", "mkfifo wait && read forever < wait"]}]}`)
	cli.run("ecs", "stop-task", "--cluster", "modeldispatch", "--task", arn, "--reason", "seen enough")
	cli.run("ecs", "wait", "tasks-stopped", "--cluster", "modeldispatch", "--tasks", arn)
	var why []string
	err := json.Unmarshal([]byte(cli.describe(arn, "[stopCode,stoppedReason]")), &why)
	if err != nil || strings.Join(why, ": ") != "UserInitiated: seen enough" {
		t.Errorf("the task stopped with %q, %v, want UserInitiated: seen enough", why, err)
	}
	s.checkTally(t)
}

// awsCLI runs the AWS CLI against a stack.
type awsCLI struct {
	t       *testing.T
	program string
	address local.Address
}

// runTask runs a task of the model worker with overrides and further arguments, and returns the task's ARN.
func (c awsCLI) runTask(overrides string, args ...string) string {
	c.t.Helper()
	return c.run(append([]string{
		"ecs", "run-task", "--cluster", "modeldispatch", "--task-definition", "modeldispatch-worker", "--launch-type", "FARGATE",
		"--network-configuration", "awsvpcConfiguration={subnets=[subnet-1]}", "--query", "tasks[0].taskArn", "--output", "text",
		"--overrides", overrides,
	}, args...)...)
}

// describe returns the fields of a task that a JMESPath expression selects.
func (c awsCLI) describe(task, fields string, args ...string) string {
	c.t.Helper()
	return c.run(append([]string{
		"ecs", "describe-tasks", "--cluster", "modeldispatch", "--tasks", task, "--query", "tasks[0]." + fields,
	}, args...)...)
}

// run runs the AWS CLI and returns its output.
func (c awsCLI) run(args ...string) string {
	c.t.Helper()
	args = append([]string{"--endpoint-url", c.address.URL, "--region", local.Region}, args...)
	command := exec.CommandContext(c.t.Context(), c.program, args...)
	command.Env = append(os.Environ(), "AWS_PAGER=", "AWS_CONFIG_FILE="+os.DevNull,
		"AWS_ACCESS_KEY_ID="+c.address.Credential.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+c.address.Credential.SecretAccessKey)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		c.t.Fatalf("aws %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}
