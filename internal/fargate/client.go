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

// API lists the methods of the SDK's ECS client that Client calls.
type API interface {
	RunTask(context.Context, *ecs.RunTaskInput, ...func(*ecs.Options)) (*ecs.RunTaskOutput, error)
	StopTask(context.Context, *ecs.StopTaskInput, ...func(*ecs.Options)) (*ecs.StopTaskOutput, error)
	DescribeTasks(context.Context, *ecs.DescribeTasksInput, ...func(*ecs.Options)) (*ecs.DescribeTasksOutput, error)
	ListTasks(context.Context, *ecs.ListTasksInput, ...func(*ecs.Options)) (*ecs.ListTasksOutput, error)
	DescribeTaskDefinition(context.Context, *ecs.DescribeTaskDefinitionInput, ...func(*ecs.Options)) (*ecs.DescribeTaskDefinitionOutput, error)
}

// Client launches, stops, describes and lists tasks.
type Client struct{ api API }

// NewClient returns a client that calls the SDK's client.
func NewClient(api API) *Client { return &Client{api} }

// Answer is the result of RunTask: either a task or a refusal.
type Answer struct {
	Task    *event.Task  // the task that ECS started; nil after a refusal
	Refusal *run.Outcome // tells why RunTask returned no task; nil if there is one
	// Indefinite is set only with a refusal. At least one of the SDK's calls got no answer, or a 5xx
	// answer. ECS may still be processing it, so a task with the same client token may still appear.
	Indefinite bool
}

// RunTask sends a stored RunTask request without a change. The SDK may retry the call until the
// deadline. A failure of RunTask is a refusal in the Answer, not an error. The error is not nil only if
// the stored request is not valid JSON, or if RunTask failed after the end of ctx.
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
	case len(conflictTasks(err)) > 0:
		return Answer{Task: &event.Task{ARN: conflictTasks(err)[0], ClusterARN: aws.ToString(in.Cluster)}}, nil
	case err != nil:
		o := refusalFromError(err)
		return Answer{Refusal: &o, Indefinite: calls.indefinite}, nil
	case len(out.Tasks) == 0:
		o := refusalFromFailures(out.Failures)
		return Answer{Refusal: &o, Indefinite: calls.indefinite}, nil
	}
	t := convertTask(out.Tasks[0])
	return Answer{Task: &t}, nil
}

// clusterOf returns the cluster of a task from its ARN (…:task/CLUSTER/ID). It does not use the cluster of
// the deployment, because the deployment may have moved to another cluster since the launch.
func clusterOf(arn string) *string {
	parts := strings.Split(arn, "/")
	if len(parts) < 3 {
		return nil // an ARN in the short form: only tasks of the default cluster still have one
	}
	return &parts[1]
}

// ErrMissing reports that ECS does not know a task, or does not know it yet.
var ErrMissing = errors.New("ECS does not know the task")

// StopTask tells ECS to stop a task. It returns ErrMissing if ECS does not know the task.
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

// Described is the result of DescribeTasks for one task.
type Described struct {
	Task event.Task
	Err  error // ErrMissing if ECS does not know the task; another error if the call failed
}

// maxDescribed is the maximum number of tasks in one call of DescribeTasks.
const maxDescribed = 100

// DescribeTasks describes tasks and returns one result for each ARN. It calls ECS once for up to 100 tasks
// of one cluster. If a call fails, the tasks of that call have an error, and the others do not.
func (c *Client) DescribeTasks(ctx context.Context, arns ...string) map[string]Described {
	clusters := map[string][]string{}
	for _, arn := range arns {
		cluster := aws.ToString(clusterOf(arn))
		clusters[cluster] = append(clusters[cluster], arn)
	}
	all := map[string]Described{}
	for _, arns := range clusters {
		for chunk := range slices.Chunk(arns, maxDescribed) {
			c.describe(ctx, chunk, all)
		}
	}
	return all
}

// describe describes tasks of one cluster with one call, and adds the results to all.
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
		all[aws.ToString(t.TaskArn)] = Described{Task: convertTask(t)}
	}
}

// ListTasks returns the ARNs of the tasks with this startedBy whose desired status is RUNNING. ECS omits
// tasks that are stopping. ListTasks reads all pages of the answer.
func (c *Client) ListTasks(ctx context.Context, cluster, startedBy string) ([]string, error) {
	in := &ecs.ListTasksInput{Cluster: &cluster, StartedBy: &startedBy}
	var arns []string
	for {
		page, err := c.api.ListTasks(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("listing the tasks started by %s: %w", startedBy, err)
		}
		arns = append(arns, page.TaskArns...)
		if in.NextToken = page.NextToken; aws.ToString(in.NextToken) == "" {
			return arns, nil
		}
	}
}

// Definition holds the facts about a task definition that a launch depends on.
type Definition struct {
	ARN                string // the ARN of the revision
	ContainerMemoryMiB int    // the hard memory limit of the model's container; 0 means no limit
	AWSVPC             bool   // the networkMode is awsvpc: only then the request has a network configuration
}

// Definition resolves a family to its latest active revision. If ECS does not know the family, Definition
// returns the family itself as the ARN. RunTask then refuses the launch, and the run keeps that refusal.
func (c *Client) Definition(ctx context.Context, family, container string) (Definition, error) {
	out, err := c.api.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &family})
	var unknown *types.ClientException
	if errors.As(err, &unknown) {
		return Definition{ARN: family}, nil
	}
	if err != nil {
		return Definition{}, fmt.Errorf("resolving task definition %s: %w", family, err)
	}
	d := Definition{
		ARN:    aws.ToString(out.TaskDefinition.TaskDefinitionArn),
		AWSVPC: out.TaskDefinition.NetworkMode == types.NetworkModeAwsvpc,
	}
	for _, c := range out.TaskDefinition.ContainerDefinitions {
		if aws.ToString(c.Name) == container {
			d.ContainerMemoryMiB = int(aws.ToInt32(c.Memory))
		}
	}
	return d, nil
}

// convertTask converts a task of the API to a task of an event.
func convertTask(t types.Task) event.Task {
	out := event.Task{
		ARN: aws.ToString(t.TaskArn), ClusterARN: aws.ToString(t.ClusterArn), DefinitionARN: aws.ToString(t.TaskDefinitionArn),
		StartedBy: aws.ToString(t.StartedBy), LastStatus: aws.ToString(t.LastStatus), DesiredStatus: aws.ToString(t.DesiredStatus),
		StopCode: string(t.StopCode), StoppedReason: aws.ToString(t.StoppedReason), Version: t.Version,
		LaunchType: string(t.LaunchType), CapacityProvider: aws.ToString(t.CapacityProviderName),
		CPU: aws.ToString(t.Cpu), Memory: aws.ToString(t.Memory),
		CreatedAt: aws.ToTime(t.CreatedAt), StartedAt: aws.ToTime(t.StartedAt), StoppedAt: aws.ToTime(t.StoppedAt),
	}
	for _, c := range t.Containers {
		container := event.Container{
			Name:       aws.ToString(c.Name),
			LastStatus: aws.ToString(c.LastStatus),
			Reason:     aws.ToString(c.Reason),
		}
		if c.ExitCode != nil {
			code := int(*c.ExitCode)
			container.ExitCode = &code
		}
		out.Containers = append(out.Containers, container)
	}
	return out
}
