package ecs

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// The statuses of a task, in order. This package leaves out ACTIVATING, DEACTIVATING and STOPPING.
const (
	provisioning   = "PROVISIONING"
	pending        = "PENDING"
	running        = "RUNNING"
	deprovisioning = "DEPROVISIONING"
	stopped        = "STOPPED"
)

// taskState is a task in the form of the API's answers. The SQLite file stores it in the same form.
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
	CreatedAt          timestamp        `json:"createdAt"`
	PullStartedAt      timestamp        `json:"pullStartedAt,omitzero"`
	PullStoppedAt      timestamp        `json:"pullStoppedAt,omitzero"`
	StartedAt          timestamp        `json:"startedAt,omitzero"`
	StoppingAt         timestamp        `json:"stoppingAt,omitzero"`
	ExecutionStoppedAt timestamp        `json:"executionStoppedAt,omitzero"`
	StoppedAt          timestamp        `json:"stoppedAt,omitzero"`
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

// timestamp is a time that is written as a number of seconds since 1970, with a fraction, as in the API's answers.
// eventDetail writes it in ISO 8601.
type timestamp struct{ time.Time }

// MarshalJSON writes seconds since 1970.
func (t timestamp) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(t.UnixMilli()) / 1000)
}

// UnmarshalJSON reads seconds since 1970.
func (t *timestamp) UnmarshalJSON(text []byte) error {
	var seconds float64
	err := json.Unmarshal(text, &seconds)
	t.Time = time.UnixMilli(int64(seconds * 1000)).UTC()
	return err
}

// eventDetail returns the task in the form of a state-change event's detail. It differs from an answer of the API
// in four points: times are in ISO 8601, the attachments' type is eni, the overrides name every container, and tags are
// missing.
func (t taskState) eventDetail() (map[string]any, error) {
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

// eventOverrides returns the overrides with an item for every container, as events have them. Containers without
// overrides have an item with only a name.
func (t taskState) eventOverrides() overrides {
	o := t.Overrides
	for _, c := range t.Containers {
		if o.forContainer(c.Name) == nil {
			o.ContainerOverrides = append(slices.Clip(o.ContainerOverrides), containerOverride{Name: c.Name})
		}
	}
	return o
}

// forContainer returns the overrides of a container, or nil if it has none.
func (o overrides) forContainer(container string) *containerOverride {
	for i := range o.ContainerOverrides {
		if o.ContainerOverrides[i].Name == container {
			return &o.ContainerOverrides[i]
		}
	}
	return nil
}
