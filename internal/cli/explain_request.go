package cli

import (
	"encoding/json"
	"fmt"

	"modeldispatch/internal/app"
	"modeldispatch/internal/catalog"
	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/local"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
)

// requestBuilder creates the RunTask requests of the chosen environment, for explain. Its dispatcher has no store,
// and no launcher if there is no ECS to ask. An unknown value is a placeholder in angle brackets, and the note gives
// the reason.
type requestBuilder struct {
	*dispatch.Dispatcher
	note string
}

// requestBuilder returns the request builder of the chosen environment. It returns an error if there is no such
// environment, or if a trigger of the catalog is invalid. A stack that cannot be read is no error.
func (s *session) requestBuilder(folder string, c model.Catalog) (requestBuilder, error) {
	if s.Environment == localEnvironment {
		address, noStack := local.Endpoint(s.ctx, dataFolder(folder))
		d, err := local.Wire(address, c, nil)
		if err == nil && noStack != nil {
			d.Launcher = nil
		}
		return requestBuilder{d, ""}, err
	}
	stack, err := catalog.DeploymentName(folder, s.Environment)
	if err != nil {
		return requestBuilder{}, s.printProblems(err)
	}
	cfg, err := s.aws()
	var o app.Options
	if err == nil {
		o, err = readStack(s.ctx, cfg, s.Environment, stack)
	}
	if err != nil {
		return unknownDeployment(stack, c, err)
	}
	if c, err = c.ForDeployment(o.Deployment); err != nil {
		return requestBuilder{}, err
	}
	d, err := app.Wire(cfg, o, c, nil)
	return requestBuilder{d, ""}, err
}

// unknownDeployment returns the request builder for a stack that cannot be read. Its values are placeholders.
func unknownDeployment(stack string, c model.Catalog, cause error) (requestBuilder, error) {
	placeholder := func(name string) string { return fmt.Sprintf("<%s of stack %s>", name, stack) }
	c, err := c.ForDeployment(stack)
	if err != nil {
		return requestBuilder{}, err
	}
	routes, err := route.New(c)
	d := dispatch.New(dispatch.Options{
		Deployment: stack, Catalog: c, Routes: routes, Bucket: placeholder("StateBucket"),
		Placement: fargate.Placement{
			Cluster: placeholder("Cluster"), Subnets: []string{placeholder("Subnets")}, SecurityGroups: []string{placeholder("SecurityGroups")},
		},
	})
	note := fmt.Sprintf("values in <…> and assignPublicIp come from the stack, which could not be read: %v", cause)
	return requestBuilder{d, note}, err
}

// newRequest returns the RunTask request of a run's first attempt, and a note if its task definition revision is
// unknown.
func (b requestBuilder) newRequest(s *session, id string, m model.Model, task model.Rendered) (fargate.Request, string) {
	launch := fargate.Launch{
		Deployment: b.Deployment, Run: id, Attempt: 1, Capacity: m.Capacities()[0], Placement: b.Placement, AWSVPC: usesAWSVPC(m),
	}
	reason := "no stack is running that could look it up now"
	if b.Launcher != nil {
		definition, err := b.Launcher.Definition(s.ctx, task.Family, task.Container)
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
