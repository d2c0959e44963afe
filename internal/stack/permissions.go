package stack

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"modeldispatch/internal/model"
)

// maxPolicy is how many characters a policy here may have. IAM takes 10,240 in all policies of a role, without white space
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html); the rest is for those in template.yaml. They
// are counted as they are here, where ${AWS::AccountId} is longer than what it stands for.
const maxPolicy = 8000

// permissions are what the roles of template.yaml are allowed for these models, and for no others.
func (g generator) permissions() ([]resource, error) {
	written, awaited := map[string]bool{}, map[string]bool{}
	outside := map[string]any{}
	var queues []any
	for _, m := range g.catalog.Models {
		for _, o := range m.Outputs {
			bucket, _, _ := literalBucket(o.URI)
			written[bucket] = true
		}
		for _, object := range waitsFor(m) {
			bucket, _, _ := literalBucket(object)
			awaited[bucket] = true
		}
		if m.Task.Definition == nil {
			outside[m.Task.Family] = outsideARN(m.Task.Family)
		}
	}
	for _, queue := range g.catalog.Queues() {
		arn := any(queue)
		if !isARN(queue) {
			arn = sub("arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${Deployment}-" + queue)
		}
		queues = append(queues, arn)
	}
	both := maps.Clone(written)
	maps.Copy(both, awaited)
	run := allow(values(outside), "ecs:RunTask")
	run["Condition"] = fields{"ArnEquals": fields{"ecs:cluster": ref("Cluster")}}

	var all []resource
	for _, p := range []struct {
		id, role, name string
		statement      fields
		wanted         int
	}{
		{"ReadQueues", "MessageRole", "queues", allow(queues, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"), len(queues)},
		{"RunOthers", "LaunchRole", "others", run, len(outside)},
		{"FindAwaited", "ArrivalRole", "objects", find(awaited), len(awaited)},
		{"FindOutputs", "CompletionRole", "objects", find(written), len(written)},
		{"FindBoth", "SweepRole", "objects", find(both), len(both)},
	} {
		if p.wanted == 0 {
			continue
		}
		document := fields{"Version": "2012-10-17", "Statement": []any{p.statement}}
		if text, err := json.Marshal(document); err != nil || len(text) > maxPolicy {
			return nil, fmt.Errorf("the policy %q of %s has %d resources in %d characters, and %d fit: let models share queues, buckets and task definitions of others", p.name, p.role, p.wanted, len(text), maxPolicy)
		}
		all = append(all, resource{p.id, fields{"Type": "AWS::IAM::RolePolicy", "Properties": fields{
			"RoleName": ref(p.role), "PolicyName": p.name, "PolicyDocument": document,
		}}})
	}
	return all, nil
}

// values are the values of a map, in the order of its keys.
func values(m map[string]any) []any {
	var all []any
	for _, key := range slices.Sorted(maps.Keys(m)) {
		all = append(all, m[key])
	}
	return all
}

// find allows to look whether objects are in buckets. Where the name of one depends on inputs, it may be any.
func find(buckets map[string]bool) fields {
	if buckets[""] {
		statement := allow("*", "s3:ListBucket")
		statement["Sid"] = "ABucketDependsOnInputs"
		return statement
	}
	arns := map[string]any{}
	for bucket := range buckets {
		arns[bucket] = sub("arn:${AWS::Partition}:s3:::" + bucket)
	}
	return allow(values(arns), "s3:ListBucket")
}

// outsideARN is the ARN of a task definition that is not ours: of a family, a family:revision, or an ARN with or without one.
func outsideARN(family string) any {
	name := family[strings.LastIndexByte(family, '/')+1:]
	if !strings.Contains(name, ":") {
		family += ":*"
	}
	if isARN(family) {
		return family
	}
	return sub("arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task-definition/" + family)
}

func waitsFor(m model.Model) []model.Template {
	if m.Policy.WaitFor == nil {
		return nil
	}
	return m.Policy.WaitFor.Objects
}

// literalBucket is the bucket of an object's URI, and the literal beginning of its key; "" when it depends on inputs.
func literalBucket(uri model.Template) (bucket, prefix string, literal bool) {
	text, _, _ := strings.Cut(uri.String(), "{")
	bucket, prefix, literal = strings.Cut(strings.TrimPrefix(text, "s3://"), "/")
	if !literal {
		return "", "", false
	}
	return bucket, prefix, true
}
