package fargate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"modeldispatch/internal/model"
)

// MaxOverrides is the maximum length of the overrides in one request, in bytes of our JSON. ECS allows
// 8,192 characters in its own serialization, which is longer than ours.
const MaxOverrides = 7500

// Placement holds the cluster and the network in which the tasks of a deployment run.
type Placement struct {
	Cluster        string
	Subnets        []string
	SecurityGroups []string
	AssignPublicIP bool
}

// Request is a RunTask request. Its JSON is the body of the API call, and also the input of
// `aws ecs run-task --cli-input-json`.
type Request struct {
	Cluster                  string                `json:"cluster,omitempty"`
	TaskDefinition           string                `json:"taskDefinition"`
	Count                    int                   `json:"count"`
	LaunchType               string                `json:"launchType,omitempty"`
	CapacityProviderStrategy []CapacityProvider    `json:"capacityProviderStrategy,omitempty"`
	NetworkConfiguration     *NetworkConfiguration `json:"networkConfiguration,omitempty"`
	Overrides                Overrides             `json:"overrides"`
	StartedBy                string                `json:"startedBy"`
	ClientToken              string                `json:"clientToken"`
	EnableECSManagedTags     bool                  `json:"enableECSManagedTags"`
	Tags                     []Tag                 `json:"tags,omitempty"`
}

// CapacityProvider is an item of a capacity provider strategy.
type CapacityProvider struct {
	CapacityProvider string `json:"capacityProvider"`
	Weight           int    `json:"weight"`
}

// NetworkConfiguration is the network configuration of a task with networkMode awsvpc.
type NetworkConfiguration struct {
	AwsvpcConfiguration Awsvpc `json:"awsvpcConfiguration"`
}

// Awsvpc names the subnets and security groups of a task's network interface.
type Awsvpc struct {
	Subnets        []string `json:"subnets"`
	SecurityGroups []string `json:"securityGroups,omitempty"`
	AssignPublicIP string   `json:"assignPublicIp"` // ENABLED or DISABLED
}

// Overrides replace parts of the task definition for one task.
type Overrides struct {
	ContainerOverrides []ContainerOverride `json:"containerOverrides"`
	CPU                string              `json:"cpu,omitempty"`    // CPU units
	Memory             string              `json:"memory,omitempty"` // MiB
}

// ContainerOverride replaces a container's command and adds to its environment.
type ContainerOverride struct {
	Name        string                  `json:"name"`
	Command     []string                `json:"command,omitempty"`
	Environment []model.EnvironmentPair `json:"environment,omitempty"`
	Memory      int                     `json:"memory,omitempty"` // hard limit in MiB
}

// Tag is a tag of a task.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Launch holds the facts about an attempt that NewRequest adds to the rendered task of the model.
type Launch struct {
	Deployment         string
	Run                string
	Attempt            int
	Definition         string // the pinned revision; "" means the family of the rendered task
	AWSVPC             bool   // the networkMode of the definition is awsvpc; on Fargate it always is
	Capacity           model.Capacity
	Placement          Placement
	Size               model.Size // replaces the size of the task after it ran out of memory; zero keeps it
	ContainerMemoryMiB int        // the hard memory limit of the container that goes with Size; 0 means no limit
}

// NewRequest returns the RunTask request of one attempt. The result depends only on the arguments, so the
// program can show a request before it sends one.
func NewRequest(t model.Rendered, l Launch) Request {
	r := Request{
		Cluster: l.Placement.Cluster, TaskDefinition: l.Definition, Count: 1,
		StartedBy:            StartedBy(l.Deployment, l.Run, l.Attempt),
		ClientToken:          clientToken(l.Deployment, l.Run, l.Attempt),
		EnableECSManagedTags: true,
		Tags:                 tags(t.Tags, l.Deployment),
		Overrides:            overrides(t, l),
	}
	if r.TaskDefinition == "" {
		r.TaskDefinition = t.Family
	}
	awsvpc, public := true, l.Placement.AssignPublicIP
	switch l.Capacity {
	case model.EC2, model.External: // ECS: "Assign public IP is not supported for this launch type"
		r.LaunchType, awsvpc, public = strings.ToUpper(string(l.Capacity)), l.AWSVPC, false
	case model.Spot:
		r.CapacityProviderStrategy = []CapacityProvider{{"FARGATE_SPOT", 1}}
	default:
		r.LaunchType = "FARGATE"
	}
	if awsvpc {
		r.NetworkConfiguration = l.Placement.network(public)
	}
	return r
}

// overrides returns the overrides of the model's container and of the size of the task.
func overrides(t model.Rendered, l Launch) Overrides {
	environment := append(slices.Clone(t.Environment), model.EnvironmentPair{Name: "RUN_ATTEMPT", Value: strconv.Itoa(l.Attempt)})
	container := ContainerOverride{Name: t.Container, Command: t.Command, Environment: environment}
	size := model.Size{CPU: t.CPU, Memory: t.Memory}
	if l.Size.Memory > 0 {
		size, container.Memory = l.Size, l.ContainerMemoryMiB
	}
	o := Overrides{ContainerOverrides: []ContainerOverride{container}}
	if size.CPU > 0 {
		o.CPU = strconv.Itoa(size.CPU)
	}
	if size.Memory > 0 {
		o.Memory = strconv.Itoa(size.Memory)
	}
	return o
}

// network returns the network configuration of an awsvpc task.
func (p Placement) network(public bool) *NetworkConfiguration {
	assign := "DISABLED"
	if public {
		assign = "ENABLED"
	}
	return &NetworkConfiguration{Awsvpc{Subnets: p.Subnets, SecurityGroups: p.SecurityGroups, AssignPublicIP: assign}}
}

// tags returns the tags of a task: the deployment, then the model's own tags in order of their keys.
func tags(own map[string]string, deployment string) []Tag {
	all := []Tag{{"modeldispatch", deployment}}
	for _, key := range slices.Sorted(maps.Keys(own)) {
		all = append(all, Tag{key, own[key]})
	}
	return all
}

// Check returns an error if ECS would refuse the request because its overrides are too long. The error
// names the remedy.
func (r Request) Check() error {
	text, err := json.Marshal(r.Overrides)
	if err != nil {
		return err
	}
	if len(text) > MaxOverrides {
		return fmt.Errorf("the inputs make a container override of %d characters, but ECS allows about %d: declare large inputs with `as: file`",
			len(text), MaxOverrides)
	}
	return nil
}

// StartedBy returns the startedBy of the tasks of an attempt: DEPLOYMENT/RUN/ATTEMPT. The completion rule
// of a deployment filters on the first part.
func StartedBy(deployment, run string, attempt int) string {
	return fmt.Sprintf("%s/%s/%d", deployment, run, attempt)
}

// ParseStartedBy reads a text that StartedBy returned for this deployment. It reports false for every other
// text, for example one with the attempt 01.
func ParseStartedBy(deployment, startedBy string) (run string, attempt int, ok bool) {
	run, number, _ := strings.Cut(strings.TrimPrefix(startedBy, deployment+"/"), "/")
	attempt, err := strconv.Atoi(number)
	return run, attempt, err == nil && run != "" && attempt > 0 && StartedBy(deployment, run, attempt) == startedBy
}

// clientToken returns the client token of an attempt: 64 hexadecimal characters, the maximum length in ECS.
func clientToken(deployment, run string, attempt int) string {
	sum := sha256.Sum256([]byte(StartedBy(deployment, run, attempt)))
	return hex.EncodeToString(sum[:])
}
