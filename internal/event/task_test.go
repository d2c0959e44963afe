package event_test

import (
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/event"
)

// stopped returns an ECS Task State Change whose detail has the given fields beside the fields that are always there.
func stopped(fields string) []byte {
	return []byte(`{"version": "0", "id": "6f2d8a1e", "detail-type": "ECS Task State Change", "source": "aws.ecs",
		"time": "2026-03-02T10:15:42Z", "resources": [],
		"detail": {"attachments": [{"type": "eni"}], "clusterArn": "arn:aws:ecs:eu-west-1:111122223333:cluster/models",
		"taskArn": "arn:aws:ecs:eu-west-1:111122223333:task/models/0a1b",
		"taskDefinitionArn": "arn:aws:ecs:eu-west-1:111122223333:task-definition/m:7",
		"lastStatus": "STOPPED", "desiredStatus": "STOPPED", ` + fields + `}}`)
}

func TestDecodeTask(t *testing.T) {
	t.Parallel()
	task, err := event.DecodeTask(stopped(`"startedBy": "models/m-5kq2m7x4ab3c/1", "stopCode": "EssentialContainerExited",
		"stoppedReason": "Essential container in task exited", "launchType": "FARGATE", "capacityProviderName": "FARGATE",
		"cpu": "1024", "memory": "2048",
		"version": 6, "createdAt": "2026-03-02T10:12:00.512Z", "startedAt": "2026-03-02T10:12:33Z", "stoppedAt": "2026-03-02T10:15:42.71Z",
		"overrides": {"containerOverrides": [{"name": "model"}]}, "somethingNew": {"of": ["tomorrow"]},
		"containers": [{"name": "sidecar", "lastStatus": "STOPPED", "exitCode": 143},
			{"name": "model", "lastStatus": "STOPPED", "exitCode": 137, "reason": "OutOfMemoryError: container killed due to memory usage"}]`))
	if err != nil {
		t.Fatal(err)
	}
	if task.StartedBy != "models/m-5kq2m7x4ab3c/1" || task.Version != 6 || task.CPU != "1024" || task.StopCode != "EssentialContainerExited" {
		t.Errorf("task %+v", task)
	}
	if want := time.Date(2026, 3, 2, 10, 15, 42, 710_000_000, time.UTC); !task.StoppedAt.Equal(want) {
		t.Errorf("stopped at %v, want %v", task.StoppedAt, want)
	}
	if len(task.Containers) != 2 || *task.Containers[1].ExitCode != 137 || !strings.HasPrefix(task.Containers[1].Reason, "OutOfMemoryError") {
		t.Errorf("containers %+v", task.Containers)
	}
}

// A missing exit code is nil, and a reported exit code of 0 is 0.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, containers string
		reported         bool
	}{
		{"reported", `[{"name": "model", "lastStatus": "STOPPED", "exitCode": 0}]`, true},
		{"absent, as after a failed pull", `[{"name": "model", "lastStatus": "STOPPED", "reason": "CannotPullContainerError: …"}]`, false},
		{"null", `[{"name": "model", "lastStatus": "STOPPED", "exitCode": null}]`, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			task, err := event.DecodeTask(stopped(`"containers": ` + test.containers))
			if err != nil || len(task.Containers) != 1 {
				t.Fatalf("task %+v, error %v", task, err)
			}
			if code := task.Containers[0].ExitCode; (code != nil) != test.reported {
				t.Errorf("exit code %v, want one: %v", code, test.reported)
			}
		})
	}
}

// Some start failures have no container, no stopCode and no times.
func TestTaskThatNeverStarted(t *testing.T) {
	t.Parallel()
	task, err := event.DecodeTask(stopped(
		`"stoppedReason": "Timeout waiting for network interface provisioning to complete.", "containers": [], "version": 3`))
	if err != nil {
		t.Fatal(err)
	}
	if len(task.Containers) != 0 || task.StopCode != "" || !task.StartedAt.IsZero() || !task.StoppedAt.IsZero() {
		t.Errorf("task %+v", task)
	}
}

func TestDecodeTaskErrors(t *testing.T) {
	t.Parallel()
	for payload, says := range map[string]string{
		`{"source": "aws.ecs", "detail-type": "ECS Service Action", "detail": {}}`:    "not an ECS Task State Change",
		`{"source": "acme", "detail-type": "ECS Task State Change", "detail": {}}`:    "not an ECS Task State Change",
		`{"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": {}}`: "has no taskArn or no lastStatus",
		`{"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": []}`: "reading the detail",
		`[]`: "it is a list, not a JSON object",
	} {
		if task, err := event.DecodeTask([]byte(payload)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: task %+v, error %v, want an error that contains %q", payload, task, err, says)
		}
	}
}
