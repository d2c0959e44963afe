package stack

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
)

// maxPolicy is the largest size of a generated role policy, in characters. IAM allows 10,240 characters in all inline
// policies of a role, without white space (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html).
// The rest is for the policies in template.yaml. The size includes CloudFormation's functions and placeholders, so IAM
// gets a shorter policy.
const maxPolicy = 8000

// references holds the resources that models use and that their own templates do not contain.
type references struct {
	queues  []any           // ARNs of the queues of message triggers
	outside map[string]any  // ARNs of outside task definitions, by family
	awaited map[string]bool // buckets of wait-for objects; "" stands for a bucket that depends on inputs
	written map[string]bool // buckets of outputs, in the same form
}

// references collects the references of all models.
func (g generator) references() references {
	r := references{outside: map[string]any{}, awaited: map[string]bool{}, written: map[string]bool{}}
	for _, m := range g.catalog.Models {
		for _, o := range m.Outputs {
			prefix, _ := o.URI.ObjectPrefix()
			r.written[prefix.Bucket] = true
		}
		for _, object := range awaitedObjects(m) {
			prefix, _ := object.ObjectPrefix()
			r.awaited[prefix.Bucket] = true
		}
		if m.Task.Definition == nil {
			r.outside[m.Task.Family] = outsideARN(m.Task.Family)
		}
	}
	for _, queue := range route.Queues(g.catalog) {
		arn := any(queue.ARN)
		if queue.ARN == "" {
			arn = sub("arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${Deployment}-" + queue.Name)
		}
		r.queues = append(r.queues, arn)
	}
	return r
}

// permission is a policy that a role of template.yaml gets for the models.
type permission struct {
	id, role, name string // logical id, parameter with the role's name, name of the policy
	statement      fields
	resources      int // number of resources in the statement; the policy is omitted at 0
}

// permissions returns the role policies that let the functions use the resources that models name, and no others.
func (g generator) permissions() ([]resource, error) {
	r := g.references()
	swept := maps.Clone(r.written)
	maps.Copy(swept, r.awaited)
	read := allow(r.queues, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
	run := allow(valuesByKey(r.outside), "ecs:RunTask")
	run["Condition"] = fields{"ArnEquals": fields{"ecs:cluster": ref("Cluster")}}

	var all []resource
	for _, p := range []permission{
		{"ReadQueues", "MessageRole", "queues", read, len(r.queues)},
		{"RunOthers", "LaunchRole", "others", run, len(r.outside)},
		{"FindAwaited", "ArrivalRole", "objects", listBuckets(r.awaited), len(r.awaited)},
		{"FindOutputs", "CompletionRole", "objects", listBuckets(r.written), len(r.written)},
		{"FindBoth", "SweepRole", "objects", listBuckets(swept), len(swept)},
	} {
		if p.resources == 0 {
			continue
		}
		policy, err := p.policy()
		if err != nil {
			return nil, err
		}
		all = append(all, policy)
	}
	return all, nil
}

// policy returns the role policy of a permission. It returns an error when the policy is longer than maxPolicy or has
// no JSON form.
func (p permission) policy() (resource, error) {
	document := fields{"Version": "2012-10-17", "Statement": []any{p.statement}}
	text, err := json.Marshal(document)
	if err != nil {
		return resource{}, fmt.Errorf("encoding the policy %q of %s: %w", p.name, p.role, err)
	}
	if len(text) > maxPolicy {
		return resource{}, fmt.Errorf("the policy %q of %s has %d resources in %d characters; at most %d characters fit: "+
			"let models share queues, buckets and task definitions from outside the deployment",
			p.name, p.role, p.resources, len(text), maxPolicy)
	}
	return resource{p.id, fields{"Type": "AWS::IAM::RolePolicy", "Properties": fields{
		"RoleName": ref(p.role), "PolicyName": p.name, "PolicyDocument": document,
	}}}, nil
}

// valuesByKey returns the values of a map in the order of its keys.
func valuesByKey(m map[string]any) []any {
	var all []any
	for _, key := range slices.Sorted(maps.Keys(m)) {
		all = append(all, m[key])
	}
	return all
}

// listBuckets returns a statement that allows the functions to list the objects in buckets. It allows all buckets when
// the set contains "", because the name of a bucket that depends on inputs is not known here.
func listBuckets(buckets map[string]bool) fields {
	if buckets[""] {
		statement := allow("*", "s3:ListBucket")
		statement["Sid"] = "ABucketDependsOnInputs"
		return statement
	}
	arns := map[string]any{}
	for bucket := range buckets {
		arns[bucket] = sub("arn:${AWS::Partition}:s3:::" + bucket)
	}
	return allow(valuesByKey(arns), "s3:ListBucket")
}

// outsideARN returns the ARN of an outside task definition. The model names it as a family, as family:revision, or as
// an ARN with or without a revision. Without a revision, the ARN covers all revisions of the family.
func outsideARN(family string) any {
	name := family[strings.LastIndexByte(family, '/')+1:]
	if !strings.Contains(name, ":") {
		family += ":*"
	}
	if strings.HasPrefix(family, "arn:") {
		return family
	}
	return sub("arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task-definition/" + family)
}

// awaitedObjects returns the URIs of the objects in a model's wait-for.
func awaitedObjects(m model.Model) []model.Template {
	if m.Policy.WaitFor == nil {
		return nil
	}
	return m.Policy.WaitFor.Objects
}
