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

// MaxOverrides is how many characters the overrides of one request may have. ECS allows 8,192
// of its own serialisation, which is larger than ours.
const MaxOverrides = 7500

// Placement is where the tasks of a deployment run.
type Placement struct {
	Cluster        string
	Subnets        []string
	SecurityGroups []string
	AssignPublicIP bool
}

// Request is a RunTask request in the form in which it goes over the wire, which is also what
// `aws ecs run-task --cli-input-json` reads.
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

// CapacityProvider is one item of a capacity provider strategy.
type CapacityProvider struct {
	CapacityProvider string `json:"capacityProvider"`
	Weight           int    `json:"weight"`
}

// NetworkConfiguration is the network of an awsvpc task.
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

// Launch is what a request is made of besides the rendered task.
type Launch struct {
	Deployment string
	Run        string
	Attempt    int
	Definition string // the pinned revision; "" leaves the task's family
	AWSVPC     bool   // the definition's networkMode, which on Fargate it is always
	Capacity   model.Capacity
	Placement  Placement
	Size       model.Size // replaces the task's, after it ran out of memory
	Limit      int        // the container's hard memory limit that goes with Size, in MiB; 0 is none
}

// NewRequest is the RunTask request of one attempt. It depends on nothing but its arguments, so
// that it can be shown before it is ever sent.
func NewRequest(t model.Rendered, l Launch) Request {
	r := Request{
		Cluster: l.Placement.Cluster, TaskDefinition: l.Definition, Count: 1,
		StartedBy:            StartedBy(l.Deployment, l.Run, l.Attempt),
		ClientToken:          token(l.Deployment, l.Run, l.Attempt),
		EnableECSManagedTags: true,
		Tags:                 tags(t.Tags, l.Deployment),
		Overrides:            overrides(t, l),
	}
	if r.TaskDefinition == "" {
		r.TaskDefinition = t.Family
	}
	awsvpc, public := true, l.Placement.AssignPublicIP
	switch l.Capacity {
	case model.EC2, model.External: // "Assign public IP is not supported for this launch type"
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

func overrides(t model.Rendered, l Launch) Overrides {
	environment := append(slices.Clone(t.Environment), model.EnvironmentPair{Name: "RUN_ATTEMPT", Value: strconv.Itoa(l.Attempt)})
	container := ContainerOverride{Name: t.Container, Command: t.Command, Environment: environment}
	size := model.Size{CPU: t.CPU, Memory: t.Memory}
	if l.Size.Memory > 0 {
		size, container.Memory = l.Size, l.Limit
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

func (p Placement) network(public bool) *NetworkConfiguration {
	assign := "DISABLED"
	if public {
		assign = "ENABLED"
	}
	return &NetworkConfiguration{Awsvpc{Subnets: p.Subnets, SecurityGroups: p.SecurityGroups, AssignPublicIP: assign}}
}

func tags(own map[string]string, deployment string) []Tag {
	all := []Tag{{"modeldispatch", deployment}}
	for _, key := range slices.Sorted(maps.Keys(own)) {
		all = append(all, Tag{key, own[key]})
	}
	return all
}

// Check says why ECS would refuse the request for its size, and what would be right.
func (r Request) Check() error {
	text, err := json.Marshal(r.Overrides)
	if err != nil {
		return err
	}
	if len(text) > MaxOverrides {
		return fmt.Errorf("the inputs make a container override of %d characters, and ECS takes about %d: declare large inputs with `as: file`", len(text), MaxOverrides)
	}
	return nil
}

// StartedBy marks the tasks of an attempt. The completion rule of a deployment filters on its part.
func StartedBy(deployment, run string, attempt int) string {
	return fmt.Sprintf("%s/%s/%d", deployment, run, attempt)
}

// ParseStartedBy reads a text that StartedBy returned for this deployment. It reports false for every other text, such as one
// with an attempt 01.
func ParseStartedBy(deployment, mark string) (run string, attempt int, ok bool) {
	run, number, _ := strings.Cut(strings.TrimPrefix(mark, deployment+"/"), "/")
	attempt, err := strconv.Atoi(number)
	return run, attempt, err == nil && run != "" && attempt > 0 && StartedBy(deployment, run, attempt) == mark
}

// token is the clientToken of an attempt: 64 hexadecimal characters, which is what ECS allows.
func token(deployment, run string, attempt int) string {
	sum := sha256.Sum256([]byte(StartedBy(deployment, run, attempt)))
	return hex.EncodeToString(sum[:])
}
