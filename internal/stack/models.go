package stack

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/model"
)

// generator makes the resources of a catalog.
type generator struct {
	catalog  model.Catalog
	policies map[string][]byte
	now      time.Time
}

// model is what one model has for itself: its task definition, its role, its schedules. They refer to each other, and to
// parameters only.
func (g generator) model(m model.Model) ([]resource, error) {
	var all []resource
	role := any(ref("TaskRole"))
	if policy := g.policies[m.Name]; policy != nil {
		r, err := g.taskRole(m.Name, policy)
		if err != nil {
			return nil, fmt.Errorf("policy.json: %w", err)
		}
		all = append(all, r)
		role = getAtt(r.id, "Arn")
	}
	if m.Task.Definition != nil {
		r, err := taskDefinition(m, role)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	for _, t := range m.Triggers {
		if t.Kind != model.Schedule {
			continue
		}
		r, err := g.schedule(m.Name, t)
		if err != nil {
			return nil, fmt.Errorf("trigger %q: %w", t.Name, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// taskRole is the role of a model that brings its own policy. Its path is the one whose roles the launch function may pass.
func (g generator) taskRole(name string, text []byte) (resource, error) {
	document, err := g.policy(text)
	if err != nil {
		return resource{}, err
	}
	inputs := allow(sub("arn:${AWS::Partition}:s3:::${StateBucket}/inputs/*"), "s3:GetObject")
	return resource{id("Role", name), fields{"Type": "AWS::IAM::Role", "Properties": fields{
		"Path": sub("/${Deployment}/"),
		"AssumeRolePolicyDocument": fields{"Version": "2012-10-17", "Statement": []any{fields{
			"Effect": "Allow", "Principal": fields{"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole",
			"Condition": fields{"StringEquals": fields{"aws:SourceAccount": ref("AWS::AccountId")}},
		}}},
		"Policies": []any{
			fields{"PolicyName": "inputs", "PolicyDocument": fields{"Version": "2012-10-17", "Statement": []any{inputs}}},
			fields{"PolicyName": name, "PolicyDocument": document},
		},
	}}}, nil
}

// variableName tells a variable of the environment from one of IAM's, as ${aws:username} and ${*}.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// policy is a policy.json with the environment's variables in place.
func (g generator) policy(text []byte) (any, error) {
	document, err := decode(text)
	if err != nil {
		return nil, err
	}
	var unknown []error
	document = texts(document, func(text string) any {
		return variable.ReplaceAllStringFunc(text, func(mention string) string {
			name := mention[len("${") : len(mention)-1]
			value, known := g.catalog.Variables[name]
			switch {
			case known:
				return value
			case variableName.MatchString(name):
				unknown = append(unknown, fmt.Errorf("the environment has no variable %s; it has %s", mention, strings.Join(slices.Sorted(maps.Keys(g.catalog.Variables)), ", ")))
			}
			return mention
		})
	})
	return substituted(document), errors.Join(unknown...)
}

// allow is a statement of a policy. resources is an ARN, or a list of them.
func allow(resources any, actions ...any) fields {
	return fields{"Effect": "Allow", "Action": actions, "Resource": resources}
}
