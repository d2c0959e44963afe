package fargate_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"modeldispatch/internal/fargate"
)

// describer is a fake ECS. The end of an ARN decides the answer for the task.
type describer struct {
	fargate.API
	calls []int // the number of tasks in each call
}

func (d *describer) DescribeTasks(
	_ context.Context, in *ecs.DescribeTasksInput, _ ...func(*ecs.Options),
) (*ecs.DescribeTasksOutput, error) {
	d.calls = append(d.calls, len(in.Tasks))
	if *in.Cluster == "gone" {
		return nil, errors.New("ClusterNotFoundException")
	}
	out := &ecs.DescribeTasksOutput{}
	for _, arn := range in.Tasks {
		switch {
		case strings.HasSuffix(arn, "-missing"):
			out.Failures = append(out.Failures, types.Failure{Arn: aws.String(arn), Reason: aws.String("MISSING")})
		case strings.HasSuffix(arn, "-odd"):
			out.Failures = append(out.Failures, types.Failure{Arn: aws.String(arn), Reason: aws.String("SOMETHING_NEW")})
		default:
			out.Tasks = append(out.Tasks, types.Task{TaskArn: aws.String(arn), LastStatus: aws.String("RUNNING")})
		}
	}
	return out, nil
}

func TestTasksOfAClusterAreDescribedTogether(t *testing.T) {
	t.Parallel()
	arn := func(cluster, id string) string {
		return "arn:aws:ecs:eu-west-1:111122223333:task/" + cluster + "/" + id
	}
	var arns []string
	for i := range 250 {
		arns = append(arns, arn("models", fmt.Sprint(i)))
	}
	arns = append(arns, arn("models", "x-missing"), arn("models", "x-odd"), arn("gone", "y"))
	api := &describer{}
	all := fargate.NewClient(api).DescribeTasks(t.Context(), arns...)
	if len(api.calls) != 4 {
		t.Errorf("DescribeTasks of %d tasks in two clusters made calls with %v tasks, want 4 calls of at most 100", len(arns), api.calls)
	}
	for _, arn := range arns {
		got := all[arn]
		switch {
		case strings.HasSuffix(arn, "-missing"):
			if !errors.Is(got.Err, fargate.ErrMissing) {
				t.Errorf("%s: %v, want ErrMissing", arn, got.Err)
			}
		case strings.HasSuffix(arn, "-odd"), strings.HasSuffix(arn, "/y"):
			if got.Err == nil || errors.Is(got.Err, fargate.ErrMissing) {
				t.Errorf("%s: %v, want an error other than ErrMissing", arn, got.Err)
			}
		case got.Err != nil || got.Task.ARN != arn:
			t.Errorf("%s: %+v, want the task", arn, got)
		}
	}
}

// lister is a fake ECS that lists tasks in pages. The token of a page is its number.
type lister struct {
	fargate.API
	pages [][]string
}

func (l lister) ListTasks(_ context.Context, in *ecs.ListTasksInput, _ ...func(*ecs.Options)) (*ecs.ListTasksOutput, error) {
	if *in.Cluster != "models" || *in.StartedBy != "md/run-1/1" {
		return nil, fmt.Errorf("page %s has other filters: %s, %s", aws.ToString(in.NextToken), *in.Cluster, *in.StartedBy)
	}
	n, err := strconv.Atoi(cmp.Or(aws.ToString(in.NextToken), "0"))
	if err != nil || n >= len(l.pages) {
		return nil, &types.InvalidParameterException{Message: aws.String("Invalid token.")}
	}
	out := &ecs.ListTasksOutput{TaskArns: l.pages[n]}
	if n+1 < len(l.pages) {
		out.NextToken = aws.String(strconv.Itoa(n + 1))
	}
	return out, nil
}

func TestListTasksReadsAllPages(t *testing.T) {
	t.Parallel()
	client := fargate.NewClient(lister{pages: [][]string{{"a", "b"}, {}, {"c"}}})
	got, err := client.ListTasks(t.Context(), "models", "md/run-1/1")
	if err != nil || !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("the tasks are %v, %v; want a, b and c", got, err)
	}
	if _, err := client.ListTasks(t.Context(), "models", "other"); err == nil || !strings.Contains(err.Error(), "started by other") {
		t.Errorf("the error is %v, want one that names startedBy", err)
	}
}

// definer is a fake ECS with one task definition.
type definer struct {
	fargate.API
	mode types.NetworkMode
}

func (d definer) DescribeTaskDefinition(
	_ context.Context, in *ecs.DescribeTaskDefinitionInput, _ ...func(*ecs.Options),
) (*ecs.DescribeTaskDefinitionOutput, error) {
	if *in.TaskDefinition != "sales" {
		return nil, &types.ClientException{Message: aws.String("Unable to describe task definition.")}
	}
	return &ecs.DescribeTaskDefinitionOutput{TaskDefinition: &types.TaskDefinition{
		TaskDefinitionArn: aws.String("sales:7"), NetworkMode: d.mode,
		ContainerDefinitions: []types.ContainerDefinition{
			{Name: aws.String("sidecar"), Memory: aws.Int32(1)},
			{Name: aws.String("model"), Memory: aws.Int32(900)},
		},
	}}, nil
}

func TestDefinition(t *testing.T) {
	t.Parallel()
	for mode, want := range map[types.NetworkMode]fargate.Definition{
		types.NetworkModeAwsvpc: {ARN: "sales:7", ContainerMemoryMiB: 900, AWSVPC: true},
		types.NetworkModeBridge: {ARN: "sales:7", ContainerMemoryMiB: 900},
		"":                      {ARN: "sales:7", ContainerMemoryMiB: 900}, // the default networkMode is bridge
	} {
		client := fargate.NewClient(definer{mode: mode})
		if got, err := client.Definition(t.Context(), "sales", "model"); err != nil || got != want {
			t.Errorf("networkMode %q: %+v, error %v; want %+v", mode, got, err, want)
		}
		if got, err := client.Definition(t.Context(), "other", "model"); err != nil || got != (fargate.Definition{ARN: "other"}) {
			t.Errorf("an unknown family: %+v, error %v; want its name as the ARN", got, err)
		}
	}
}
