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

// generator converts a catalog to resources. It holds the arguments of one Generate call.
type generator struct {
	catalog  model.Catalog
	policies map[string][]byte // policy.json texts by model name
	now      time.Time         // the time of the compilation
}

// model returns the resources of one model: its task role, its task definition and its schedules. They refer only to
// each other and to parameters, so the model's part needs no other template.
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

// taskRole returns the task role of a model that has a policy.json. The launch function may pass roles with the path
// /<deployment>/ only, so the role has this path.
func (g generator) taskRole(name string, text []byte) (resource, error) {
	document, err := g.policy(text)
	if err != nil {
		return resource{}, err
	}
	inputs := allow(sub("arn:${AWS::Partition}:s3:::${StateBucket}/inputs/*"), "s3:GetObject")
	return resource{logicalID("Role", name), fields{"Type": "AWS::IAM::Role", "Properties": fields{
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

// variableName matches the name of an environment's variable. It does not match IAM's own variables, such as
// ${aws:username} and ${*}.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// policy decodes a policy.json and replaces the environment's variables. It returns an error for each ${NAME} that
// the environment does not have. Variables of IAM stay as they are, and CloudFormation replaces its own, which
// start with AWS::.
func (g generator) policy(text []byte) (any, error) {
	decoded, err := decode(text)
	if err != nil {
		return nil, err
	}
	var unknown []error
	document := mapStrings(decoded, func(text string) any {
		return placeholder.ReplaceAllStringFunc(text, func(mention string) string {
			name := mention[len("${") : len(mention)-1]
			value, known := g.catalog.Variables[name]
			switch {
			case known:
				return value
			case variableName.MatchString(name):
				names := strings.Join(slices.Sorted(maps.Keys(g.catalog.Variables)), ", ")
				unknown = append(unknown, fmt.Errorf("the environment has no variable %s; it has %s", mention, names))
			}
			return mention
		})
	})
	return substitute(document), errors.Join(unknown...)
}

// allow returns a policy statement that allows actions. resources is one ARN or a list of ARNs.
func allow(resources any, actions ...any) fields {
	return fields{"Effect": "Allow", "Action": actions, "Resource": resources}
}
