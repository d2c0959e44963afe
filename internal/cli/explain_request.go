package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"modeldispatch/internal/catalog"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/local"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
	"modeldispatch/internal/wiring"
)

// definitions looks up task definitions.
type definitions interface {
	Definition(ctx context.Context, family, container string) (fargate.Definition, error)
}

// explainer explains what an event would start in the chosen environment. It has no store, and changes nothing. An
// unknown value is a placeholder in angle brackets, and the note gives the reason.
type explainer struct {
	deployment  string
	bucket      string // name of the state bucket
	placement   fargate.Placement
	routes      *route.Table
	definitions definitions // nil if there is no ECS to ask
	note        string
}

// explainer returns the explainer of the chosen environment. It returns an error if there is no such environment, or if
// a trigger of the catalog is invalid. A stack that cannot be read is no error.
func (s *session) explainer(folder string, c model.Catalog) (explainer, error) {
	x, c, err := s.explainedEnvironment(folder, c)
	if err != nil {
		return x, err
	}
	x.routes, err = route.New(c)
	return x, err
}

// explainedEnvironment returns the explainer of the chosen environment without its triggers, and the catalog as it is
// deployed there.
func (s *session) explainedEnvironment(folder string, c model.Catalog) (explainer, model.Catalog, error) {
	if s.Environment == localEnvironment {
		x := explainer{deployment: local.Deployment, bucket: local.Bucket, placement: local.Placement()}
		if address, err := local.Endpoint(s.ctx, dataFolder(folder)); err == nil {
			cfg := wiring.Endpoint(address.URL, local.Region, address.Credential.AccessKeyID, address.Credential.SecretAccessKey)
			x.definitions = fargate.NewClient(ecs.NewFromConfig(cfg))
		}
		return x, c, nil
	}
	stack, err := catalog.DeploymentName(folder, s.Environment)
	if err != nil {
		return explainer{}, c, s.printProblems(err)
	}
	cfg, err := s.aws()
	var o wiring.Options
	if err == nil {
		o, err = readStack(s.ctx, cfg, s.Environment, stack)
	}
	if err != nil {
		c, compileErr := c.ForDeployment(stack)
		return unknownDeployment(stack, err), c, compileErr
	}
	tasks := fargate.NewClient(ecs.NewFromConfig(cfg))
	c, err = c.ForDeployment(o.Deployment)
	return explainer{deployment: o.Deployment, bucket: o.Bucket, placement: o.Placement, definitions: tasks}, c, err
}

// unknownDeployment returns the explainer for a stack that cannot be read. Its values are placeholders.
func unknownDeployment(stack string, cause error) explainer {
	placeholder := func(name string) string { return fmt.Sprintf("<%s of stack %s>", name, stack) }
	return explainer{
		deployment: stack, bucket: placeholder("StateBucket"),
		placement: fargate.Placement{
			Cluster: placeholder("Cluster"), Subnets: []string{placeholder("Subnets")}, SecurityGroups: []string{placeholder("SecurityGroups")},
		},
		note: fmt.Sprintf("values in <…> and assignPublicIp come from the stack, which could not be read: %v", cause),
	}
}

// newRequest returns the RunTask request of a run's first attempt, and a note if its task definition revision is
// unknown.
func (x explainer) newRequest(s *session, id string, m model.Model, task model.Rendered) (fargate.Request, string) {
	launch := fargate.Launch{
		Deployment: x.deployment, Run: id, Attempt: 1, Capacity: m.Capacities()[0], Placement: x.placement, AWSVPC: usesAWSVPC(m),
	}
	reason := "no stack is running that could look it up now"
	if x.definitions != nil {
		definition, err := x.definitions.Definition(s.ctx, task.Family, task.Container)
		if err == nil && definition.ARN != task.Family {
			launch.Definition, launch.AWSVPC = definition.ARN, definition.AWSVPC
		}
		reason = "ECS does not have it yet"
		if err != nil {
			reason = err.Error()
		}
	}
	if launch.Definition == "" {
		const text = "taskDefinition %s is resolved to its latest ACTIVE revision at launch: %s"
		return fargate.NewRequest(task, launch), fmt.Sprintf(text, task.Family, reason)
	}
	return fargate.NewRequest(task, launch), ""
}

// usesAWSVPC reports whether the model brings a task definition with the networkMode awsvpc.
func usesAWSVPC(m model.Model) bool {
	var definition struct{ NetworkMode string }
	return json.Unmarshal(m.Task.Definition, &definition) == nil && definition.NetworkMode == "awsvpc"
}
