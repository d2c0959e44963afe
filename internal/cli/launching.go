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

// launching is the chosen environment's deployment as far as launches go: a dispatcher without a store, and without a
// launcher where there is nobody to ask. What cannot be known is a placeholder in angle brackets, which the note explains.
type launching struct {
	*dispatch.Dispatcher
	note string
}

func (s *session) launching(folder string, c model.Catalog) (launching, error) {
	if s.Environment == localEnvironment {
		address, absent := local.Endpoint(s.ctx, dataFolder(folder))
		d, err := local.Wire(address, c, nil)
		if err == nil && absent != nil {
			d.Launcher = nil
		}
		return launching{d, ""}, err
	}
	stack, err := catalog.Stack(folder, s.Environment)
	if err != nil {
		return launching{}, s.problems(err)
	}
	cfg, err := s.aws()
	var o app.Options
	if err == nil {
		o, err = stackOutputs(s.ctx, cfg, s.Environment, stack)
	}
	if err != nil {
		return unknownDeployment(stack, c, err)
	}
	if c, err = c.Deployed(o.Deployment); err != nil {
		return launching{}, err
	}
	d, err := app.Wire(cfg, o, c, nil)
	return launching{d, ""}, err
}

// unknownDeployment is a deployment whose stack does not say where things are.
func unknownDeployment(stack string, c model.Catalog, why error) (launching, error) {
	unknown := func(what string) string { return fmt.Sprintf("<%s of stack %s>", what, stack) }
	c, err := c.Deployed(stack)
	if err != nil {
		return launching{}, err
	}
	routes, err := route.New(c)
	d := dispatch.New(dispatch.Options{
		Deployment: stack, Catalog: c, Routes: routes, Bucket: unknown("StateBucket"),
		Placement: fargate.Placement{Cluster: unknown("Cluster"), Subnets: []string{unknown("Subnets")}, SecurityGroups: []string{unknown("SecurityGroups")}},
	})
	return launching{d, fmt.Sprintf("what is in <…> only the stack knows, as does AssignPublicIp, and it cannot be asked: %v", why)}, err
}

// request is the RunTask request of a run's first attempt, with a note about what is not known of it.
func (l launching) request(s *session, id string, m model.Model, task model.Rendered) (fargate.Request, string) {
	launch := fargate.Launch{Deployment: l.Deployment, Run: id, Attempt: 1, Capacity: m.Capacities()[0], Placement: l.Placement, AWSVPC: ownsNetwork(m)}
	why := "there is no stack to ask for it now"
	if l.Launcher != nil {
		definition, err := l.Launcher.Definition(s.ctx, task.Family, task.Container)
		if err == nil && definition.ARN != task.Family {
			launch.Definition, launch.AWSVPC = definition.ARN, definition.AWSVPC
		}
		why = "ECS does not have it yet"
		if err != nil {
			why = err.Error()
		}
	}
	if launch.Definition == "" {
		return fargate.NewRequest(task, launch), fmt.Sprintf("taskDefinition %s is resolved to its latest ACTIVE revision at launch: %s", task.Family, why)
	}
	return fargate.NewRequest(task, launch), ""
}

// ownsNetwork says whether the task definition that a model brings has the networkMode awsvpc.
func ownsNetwork(m model.Model) bool {
	var definition struct{ NetworkMode string }
	return json.Unmarshal(m.Task.Definition, &definition) == nil && definition.NetworkMode == "awsvpc"
}
