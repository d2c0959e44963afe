package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"modeldispatch/internal/model"
)

// Task is what ECS says of a task: the detail of an ECS Task State Change, or a description.
type Task struct {
	ARN              string    `json:"taskArn"`
	ClusterARN       string    `json:"clusterArn"`
	DefinitionARN    string    `json:"taskDefinitionArn"`
	StartedBy        string    `json:"startedBy"`
	LastStatus       string    `json:"lastStatus"`
	DesiredStatus    string    `json:"desiredStatus"`
	StopCode         string    `json:"stopCode"` // may be absent
	StoppedReason    string    `json:"stoppedReason"`
	LaunchType       string    `json:"launchType"`
	CapacityProvider string    `json:"capacityProviderName"`
	CPU              string    `json:"cpu"`
	Memory           string    `json:"memory"`
	Version          int64     `json:"version"` // grows with each change; orders events
	CreatedAt        time.Time `json:"createdAt"`
	StartedAt        time.Time `json:"startedAt"`
	StoppedAt        time.Time `json:"stoppedAt"`

	Containers []Container `json:"containers"`
}

// Size is how large the task is; zero where ECS does not say, as on container instances.
func (t Task) Size() model.Size {
	cpu, cpuErr := strconv.Atoi(t.CPU)
	memory, memoryErr := strconv.Atoi(t.Memory)
	if cpuErr != nil || memoryErr != nil {
		return model.Size{}
	}
	return model.Size{CPU: cpu, Memory: memory}
}

// Container is what ECS says of a container. An exit code that is absent was never reported: that
// is not a 0.
type Container struct {
	Name       string `json:"name"`
	LastStatus string `json:"lastStatus"`
	Reason     string `json:"reason"`
	ExitCode   *int   `json:"exitCode"`
}

// DecodeTask decodes an ECS Task State Change.
func DecodeTask(payload []byte) (Task, error) {
	e, _, err := readEnvelope(payload)
	if err != nil {
		return Task{}, err
	}
	if e.Source != "aws.ecs" || e.DetailType != "ECS Task State Change" {
		return Task{}, fmt.Errorf("it is a %q event of %q, and not an ECS Task State Change", e.DetailType, e.Source)
	}
	var t Task
	if err := json.Unmarshal(e.Detail, &t); err != nil {
		return Task{}, unread("reading the detail of an ECS Task State Change", err)
	}
	if t.ARN == "" || t.LastStatus == "" {
		return Task{}, errors.New("an ECS Task State Change without taskArn or lastStatus")
	}
	return t, nil
}
