package ecs

import (
	"encoding/json"
	"strings"
	"time"
)

// The statuses that a task goes through.
const (
	provisioning   = "PROVISIONING"
	pending        = "PENDING"
	running        = "RUNNING"
	deprovisioning = "DEPROVISIONING"
	stopped        = "STOPPED"
)

// taskState is a task as ECS shows it.
type taskState struct {
	ARN                string           `json:"taskArn"`
	ClusterARN         string           `json:"clusterArn"`
	DefinitionARN      string           `json:"taskDefinitionArn"`
	Group              string           `json:"group"`
	StartedBy          string           `json:"startedBy,omitempty"`
	LaunchType         string           `json:"launchType,omitempty"`
	CapacityProvider   string           `json:"capacityProviderName,omitempty"`
	PlatformVersion    string           `json:"platformVersion,omitempty"`
	CPU                string           `json:"cpu,omitempty"`
	Memory             string           `json:"memory,omitempty"`
	LastStatus         string           `json:"lastStatus"`
	DesiredStatus      string           `json:"desiredStatus"`
	StopCode           string           `json:"stopCode,omitempty"`
	StoppedReason      string           `json:"stoppedReason,omitempty"`
	Version            int64            `json:"version"`
	Overrides          overrides        `json:"overrides"`
	Containers         []containerState `json:"containers"`
	Attachments        []attachment     `json:"attachments"`
	Tags               []tag            `json:"tags"`
	CreatedAt          stamp            `json:"createdAt"`
	PullStartedAt      stamp            `json:"pullStartedAt,omitzero"`
	PullStoppedAt      stamp            `json:"pullStoppedAt,omitzero"`
	StartedAt          stamp            `json:"startedAt,omitzero"`
	StoppingAt         stamp            `json:"stoppingAt,omitzero"`
	ExecutionStoppedAt stamp            `json:"executionStoppedAt,omitzero"`
	StoppedAt          stamp            `json:"stoppedAt,omitzero"`
}

type containerState struct {
	ARN        string `json:"containerArn"`
	TaskARN    string `json:"taskArn"`
	Name       string `json:"name"`
	Image      string `json:"image,omitempty"`
	LastStatus string `json:"lastStatus"`
	ExitCode   *int   `json:"exitCode,omitempty"`
	Reason     string `json:"reason,omitempty"`
	CPU        string `json:"cpu"`
}

type attachment struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Status  string `json:"status"`
	Details []pair `json:"details"`
}

type pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type overrides struct {
	ContainerOverrides []containerOverride `json:"containerOverrides"`
	CPU                string              `json:"cpu,omitempty"`
	Memory             string              `json:"memory,omitempty"`
}

type containerOverride struct {
	Name        string   `json:"name"`
	Command     []string `json:"command,omitempty"`
	Environment []pair   `json:"environment,omitempty"`
	CPU         int      `json:"cpu,omitempty"`
	Memory      int      `json:"memory,omitempty"`
}

// stamp is a time: seconds since 1970 with a fraction in answers, ISO 8601 in events.
type stamp struct{ time.Time }

// MarshalJSON writes seconds.
func (t stamp) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(t.UnixMilli()) / 1000)
}

// UnmarshalJSON reads seconds.
func (t *stamp) UnmarshalJSON(text []byte) error {
	var seconds float64
	err := json.Unmarshal(text, &seconds)
	t.Time = time.UnixMilli(int64(seconds * 1000)).UTC()
	return err
}

// eventJSON is a task as a state-change event shows it: the same, but for the times, the names of
// the attachments' kinds, and the tags, which events do not carry.
func (t taskState) eventJSON() (map[string]any, error) {
	text, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	var detail map[string]any
	if err := json.Unmarshal(text, &detail); err != nil {
		return nil, err
	}
	delete(detail, "tags")
	for name, value := range detail {
		if seconds, isTime := value.(float64); isTime && strings.HasSuffix(name, "At") {
			detail[name] = time.UnixMilli(int64(seconds * 1000)).UTC().Format("2006-01-02T15:04:05.999Z07:00")
		}
	}
	detail["attachments"] = t.eventAttachments()
	detail["overrides"] = t.eventOverrides()
	return detail, nil
}

func (t taskState) eventAttachments() []attachment {
	all := make([]attachment, len(t.Attachments))
	for i, a := range t.Attachments {
		a.Type = "eni"
		all[i] = a
	}
	return all
}

// eventOverrides names every container, also those that nothing was overridden for.
func (t taskState) eventOverrides() overrides {
	o := t.Overrides
	for _, c := range t.Containers {
		if o.of(c.Name) == nil {
			o.ContainerOverrides = append(o.ContainerOverrides[:len(o.ContainerOverrides):len(o.ContainerOverrides)], containerOverride{Name: c.Name})
		}
	}
	return o
}

func (o overrides) of(container string) *containerOverride {
	for i := range o.ContainerOverrides {
		if o.ContainerOverrides[i].Name == container {
			return &o.ContainerOverrides[i]
		}
	}
	return nil
}
