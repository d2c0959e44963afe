package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Task describes a task in the words of ECS. Its JSON form is the detail of an ECS Task State Change event. Package
// fargate also makes one from each task in the answer of DescribeTasks.
type Task struct {
	ARN              string    `json:"taskArn"`
	ClusterARN       string    `json:"clusterArn"`
	DefinitionARN    string    `json:"taskDefinitionArn"`
	StartedBy        string    `json:"startedBy"`
	LastStatus       string    `json:"lastStatus"`
	DesiredStatus    string    `json:"desiredStatus"`
	StopCode         string    `json:"stopCode"` // empty for some tasks that never started
	StoppedReason    string    `json:"stoppedReason"`
	LaunchType       string    `json:"launchType"`
	CapacityProvider string    `json:"capacityProviderName"`
	CPU              string    `json:"cpu"`
	Memory           string    `json:"memory"`
	Version          int64     `json:"version"` // grows with each change of the task, so it orders the events
	CreatedAt        time.Time `json:"createdAt"`
	StartedAt        time.Time `json:"startedAt"`
	StoppedAt        time.Time `json:"stoppedAt"`

	Containers []Container `json:"containers"`
}

// The values of LastStatus that the program knows.
const (
	TaskRunning = "RUNNING"
	TaskStopped = "STOPPED"
)

// Container describes a container in the words of ECS. ExitCode is nil if ECS reported none, which differs from 0.
type Container struct {
	Name       string `json:"name"`
	LastStatus string `json:"lastStatus"`
	Reason     string `json:"reason"`
	ExitCode   *int   `json:"exitCode"`
}

// DecodeTask decodes an ECS Task State Change. It returns an error for any other payload, and if taskArn or lastStatus
// is missing.
func DecodeTask(payload []byte) (Task, error) {
	e, _, err := readEnvelope(payload)
	if err != nil {
		return Task{}, err
	}
	if e.Source != SourceECS || e.DetailType != TaskStateChange {
		return Task{}, fmt.Errorf("it is a %q event of source %q, not an ECS Task State Change", e.DetailType, e.Source)
	}
	var t Task
	if err := json.Unmarshal(e.Detail, &t); err != nil {
		return Task{}, readError("reading the detail of an ECS Task State Change", err)
	}
	if t.ARN == "" || t.LastStatus == "" {
		return Task{}, errors.New("the ECS Task State Change has no taskArn or no lastStatus")
	}
	return t, nil
}
