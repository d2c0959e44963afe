// Package fargate is all that is known of ECS: how RunTask is asked and what its refusals mean,
// what a stopped task says of its end, and which sizes a Fargate task can have. One table
// (taxonomy.go) turns ECS's texts into the classes that the rest of the program decides by.
package fargate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"modeldispatch/internal/event"
	"modeldispatch/internal/run"
)

// API is what is used of the SDK's ECS client.
type API interface {
	RunTask(context.Context, *ecs.RunTaskInput, ...func(*ecs.Options)) (*ecs.RunTaskOutput, error)
	StopTask(context.Context, *ecs.StopTaskInput, ...func(*ecs.Options)) (*ecs.StopTaskOutput, error)
	DescribeTasks(context.Context, *ecs.DescribeTasksInput, ...func(*ecs.Options)) (*ecs.DescribeTasksOutput, error)
	ListTasks(context.Context, *ecs.ListTasksInput, ...func(*ecs.Options)) (*ecs.ListTasksOutput, error)
	DescribeTaskDefinition(context.Context, *ecs.DescribeTaskDefinitionInput, ...func(*ecs.Options)) (*ecs.DescribeTaskDefinitionOutput, error)
}

// Client launches, stops and looks at tasks.
type Client struct{ api API }

// NewClient makes a client over the SDK's.
func NewClient(api API) *Client { return &Client{api} }

// Answer is what RunTask said: a task, or why there is none.
type Answer struct {
	Task    *event.Task
	Refusal *run.Outcome
	// Indefinite goes with a refusal. Of the calls that the SDK made one at least was not answered,
	// or with 5xx: ECS may be at work on it, and a task with its token may still appear.
	Indefinite bool
}

// RunTask sends a stored request, byte for byte as it was stored, the SDK's own retries included
// before the deadline. Every way to fail is an answer.
func (c *Client) RunTask(ctx context.Context, request json.RawMessage, deadline time.Time) (Answer, error) {
	var in ecs.RunTaskInput
	if err := json.Unmarshal(request, &in); err != nil {
		return Answer{}, fmt.Errorf("reading the stored request: %w", err)
	}
	call, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	calls := &calls{}
	out, err := c.api.RunTask(call, &in, ecs.WithAPIOptions(calls.watch))
	switch {
	case err != nil && ctx.Err() != nil:
		return Answer{}, fmt.Errorf("calling RunTask: %w", ctx.Err())
	case len(conflict(err)) > 0:
		return Answer{Task: &event.Task{ARN: conflict(err)[0], ClusterARN: aws.ToString(in.Cluster)}}, nil
	case err != nil:
		o := refusal(err)
		return Answer{Refusal: &o, Indefinite: calls.indefinite}, nil
	case len(out.Tasks) == 0:
		o := failed(out.Failures)
		return Answer{Refusal: &o, Indefinite: calls.indefinite}, nil
	}
	t := task(out.Tasks[0])
	return Answer{Task: &t}, nil
}

// clusterOf is the cluster of a task, from its ARN (…:task/CLUSTER/ID): the deployment may have
// moved to another cluster since it was launched.
func clusterOf(arn string) *string {
	parts := strings.Split(arn, "/")
	if len(parts) < 3 {
		return nil // an ARN of the short form, which only tasks of the default cluster still have
	}
	return &parts[1]
}

// ErrMissing says that ECS does not know a task, or does not know it yet.
var ErrMissing = errors.New("ECS does not know the task")

// StopTask tells ECS to stop a task. ErrMissing when it does not know it.
func (c *Client) StopTask(ctx context.Context, arn, reason string) error {
	_, err := c.api.StopTask(ctx, &ecs.StopTaskInput{Cluster: clusterOf(arn), Task: &arn, Reason: &reason})
	var unknown *types.InvalidParameterException
	if errors.As(err, &unknown) {
		return fmt.Errorf("stopping task %s: %w", arn, ErrMissing)
	}
	if err != nil {
		return fmt.Errorf("stopping task %s: %w", arn, err)
	}
	return nil
}

// Described is what ECS says of a task.
type Described struct {
	Task event.Task
	Err  error // ErrMissing where ECS does not know it
}

// describable is how many tasks one call describes.
const describable = 100

// DescribeTasks looks at tasks, by ARN; those of one cluster together.
func (c *Client) DescribeTasks(ctx context.Context, arns ...string) map[string]Described {
	clusters := map[string][]string{}
	for _, arn := range arns {
		cluster := aws.ToString(clusterOf(arn))
		clusters[cluster] = append(clusters[cluster], arn)
	}
	all := map[string]Described{}
	for _, of := range clusters {
		for some := range slices.Chunk(of, describable) {
			c.describe(ctx, some, all)
		}
	}
	return all
}

func (c *Client) describe(ctx context.Context, arns []string, all map[string]Described) {
	out, err := c.api.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: clusterOf(arns[0]), Tasks: arns})
	for _, arn := range arns {
		all[arn] = Described{Err: fmt.Errorf("describing task %s: %w", arn, cmp.Or(err, ErrMissing))}
	}
	if err != nil {
		return
	}
	for _, f := range out.Failures {
		if reason := aws.ToString(f.Reason); reason != "MISSING" {
			all[aws.ToString(f.Arn)] = Described{Err: fmt.Errorf("describing task %s: %s", aws.ToString(f.Arn), reason)}
		}
	}
	for _, t := range out.Tasks {
		all[aws.ToString(t.TaskArn)] = Described{Task: task(t)}
	}
}

// ListTasks gives the tasks with a mark whose desired status is RUNNING: stopping ones are hidden.
func (c *Client) ListTasks(ctx context.Context, cluster, startedBy string) ([]string, error) {
	out, err := c.api.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &cluster, StartedBy: &startedBy})
	if err != nil {
		return nil, fmt.Errorf("listing the tasks of %s: %w", startedBy, err)
	}
	return out.TaskArns, nil
}

// Definition is what a launch needs to know of a task definition.
type Definition struct {
	ARN    string // of the revision
	Limit  int    // hard memory limit of the container in MiB; 0 is none
	AWSVPC bool   // its networkMode: its tasks need a network configuration, and others must have none
}

// Definition resolves a family to its latest active revision. A family that ECS does not
// have stays as it is: RunTask then refuses it, and its answer is the one that is kept.
func (c *Client) Definition(ctx context.Context, family, container string) (Definition, error) {
	out, err := c.api.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &family})
	var unknown *types.ClientException
	if errors.As(err, &unknown) {
		return Definition{ARN: family}, nil
	}
	if err != nil {
		return Definition{}, fmt.Errorf("resolving task definition %s: %w", family, err)
	}
	d := Definition{ARN: aws.ToString(out.TaskDefinition.TaskDefinitionArn), AWSVPC: out.TaskDefinition.NetworkMode == types.NetworkModeAwsvpc}
	for _, one := range out.TaskDefinition.ContainerDefinitions {
		if aws.ToString(one.Name) == container {
			d.Limit = int(aws.ToInt32(one.Memory))
		}
	}
	return d, nil
}

// task turns the API's form of a task into the event's.
func task(t types.Task) event.Task {
	out := event.Task{
		ARN: aws.ToString(t.TaskArn), ClusterARN: aws.ToString(t.ClusterArn), DefinitionARN: aws.ToString(t.TaskDefinitionArn),
		StartedBy: aws.ToString(t.StartedBy), LastStatus: aws.ToString(t.LastStatus), DesiredStatus: aws.ToString(t.DesiredStatus),
		StopCode: string(t.StopCode), StoppedReason: aws.ToString(t.StoppedReason), Version: t.Version,
		LaunchType: string(t.LaunchType), CapacityProvider: aws.ToString(t.CapacityProviderName),
		CPU: aws.ToString(t.Cpu), Memory: aws.ToString(t.Memory),
		CreatedAt: aws.ToTime(t.CreatedAt), StartedAt: aws.ToTime(t.StartedAt), StoppedAt: aws.ToTime(t.StoppedAt),
	}
	for _, c := range t.Containers {
		container := event.Container{Name: aws.ToString(c.Name), LastStatus: aws.ToString(c.LastStatus), Reason: aws.ToString(c.Reason)}
		if c.ExitCode != nil {
			code := int(*c.ExitCode)
			container.ExitCode = &code
		}
		out.Containers = append(out.Containers, container)
	}
	return out
}
