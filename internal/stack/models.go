package stack

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/cron"
	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
)

// generator collects the resources of a catalog.
type generator struct {
	catalog  model.Catalog
	policies map[string][]byte
	now      time.Time
}

func (g generator) resources() ([]resource, error) {
	var all []resource
	for _, m := range g.catalog.Models {
		of, err := g.model(m)
		if err != nil {
			return nil, fmt.Errorf("model %q: %w", m.Name, err)
		}
		all = append(all, of...)
	}
	arrivals, err := g.arrivals()
	if err != nil {
		return nil, err
	}
	events, err := g.events()
	if err != nil {
		return nil, err
	}
	return slices.Concat(all, arrivals, events, g.queues()), nil
}

// model is what one model has for itself: its task definition, its role, its schedules.
func (g generator) model(m model.Model) ([]resource, error) {
	var all []resource
	role := any(ref("TaskRole"))
	if policy := g.policies[m.Name]; policy != nil {
		r, err := taskRole(m.Name, policy)
		if err != nil {
			return nil, err
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
func taskRole(name string, policy []byte) (resource, error) {
	document, err := decode(policy)
	if err != nil {
		return resource{}, fmt.Errorf("policy.json: %w", err)
	}
	return resource{id("Role", name), fields{"Type": "AWS::IAM::Role", "Properties": fields{
		"Path": sub("/${Deployment}/"),
		"AssumeRolePolicyDocument": fields{"Version": "2012-10-17", "Statement": []any{fields{
			"Effect": "Allow", "Principal": fields{"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole",
			"Condition": fields{"StringEquals": fields{"aws:SourceAccount": ref("AWS::AccountId")}},
		}}},
		"Policies": []any{fields{"PolicyName": name, "PolicyDocument": substituted(document)}},
	}}}, nil
}

// schedule is one EventBridge Scheduler schedule. Its Input names the trigger's content and the time that it was due at, so
// that a changed schedule is another event, and a repeated delivery is not.
func (g generator) schedule(name string, t model.Trigger) (resource, error) {
	parsed, err := cron.Parse(t.Schedule, t.Location())
	if err != nil {
		return resource{}, err
	}
	input := string(event.SchedulePayload(event.Scheduled{Model: name, Trigger: t.Name, Hash: t.Hash}))
	zero, _ := json.Marshal(time.Time{})
	properties := fields{
		"Name": scheduleName(name, t.Name), "GroupName": ref("Deployment"), "State": "ENABLED",
		"ScheduleExpression": t.Schedule, "ScheduleExpressionTimezone": t.Location().String(),
		"FlexibleTimeWindow": fields{"Mode": "OFF"},
		"Target": fields{
			"Arn": ref("ScheduleFunction"), "RoleArn": ref("SchedulerRole"),
			"Input":            strings.Replace(input, string(zero), `"<aws.scheduler.scheduled-time>"`, 1),
			"DeadLetterConfig": fields{"Arn": ref("DeadLetters")},
			"RetryPolicy":      fields{"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185},
		},
	}
	if g.catalog.Paused {
		properties["State"] = "DISABLED"
	}
	if strings.HasPrefix(t.Schedule, "rate(") { // without a start it is due at once, at every deployment
		properties["StartDate"] = parsed.Next(g.now).UTC().Format(time.RFC3339)
	}
	return resource{id("Schedule", name, t.Name), fields{"Type": "AWS::Scheduler::Schedule", "Properties": properties}}, nil
}

// scheduleName is a schedule's name in the deployment's group: at most 64 characters.
func scheduleName(name, trigger string) string {
	const most = 64
	if full := name + "-" + trigger; len(full) <= most {
		return full
	}
	return name + "-" + short(trigger)
}

// arrivals are the rules of the buckets that models wait for objects in: one for each. The literal beginnings of their keys
// are in it as long as that fits; what else arrives is dropped by EventBridge, for nothing.
func (g generator) arrivals() ([]resource, error) {
	buckets := map[string][]string{} // the literal beginnings of keys
	for _, m := range g.catalog.Models {
		for _, t := range m.Triggers {
			for _, text := range t.Arrival {
				pattern, err := route.ParseArrival(text)
				if err != nil {
					return nil, fmt.Errorf("model %q: %w", m.Name, err)
				}
				buckets[pattern.Bucket()] = append(buckets[pattern.Bucket()], pattern.Prefix())
			}
		}
		for bucket, prefixes := range awaited(m) {
			buckets[bucket] = append(buckets[bucket], prefixes...)
		}
	}
	var all []resource
	for _, bucket := range slices.Sorted(maps.Keys(buckets)) {
		all = append(all, g.rule("Arrival", "ArrivalFunction", bucket, arrivalPattern(bucket, buckets[bucket])))
	}
	return all, nil
}

// awaited are the literal beginnings of the keys that a model waits for, by bucket. A bucket that depends on inputs is not
// known here: its objects are looked for again every ten minutes.
func awaited(m model.Model) map[string][]string {
	buckets := map[string][]string{}
	if m.Policy.WaitFor == nil {
		return buckets
	}
	for _, object := range m.Policy.WaitFor.Objects {
		literal, _, _ := strings.Cut(object.String(), "{")
		bucket, key, whole := strings.Cut(strings.TrimPrefix(literal, "s3://"), "/")
		if whole {
			buckets[bucket] = append(buckets[bucket], key)
		}
	}
	return buckets
}

// maxPattern is how many characters an event pattern may have.
const maxPattern = 2048

func arrivalPattern(bucket string, prefixes []string) fields {
	slices.Sort(prefixes)
	var keys []any
	for _, prefix := range slices.Compact(prefixes) {
		keys = append(keys, fields{"prefix": prefix})
	}
	pattern := fields{"source": []any{"aws.s3"}, "detail-type": []any{"Object Created"}, "detail": fields{
		"bucket": fields{"name": []any{bucket}}, "object": fields{"key": keys},
	}}
	if text, err := json.Marshal(pattern); prefixes[0] == "" || err != nil || len(text) > maxPattern {
		delete(pattern["detail"].(fields), "object")
	}
	return pattern
}

// events are the rules of event triggers: one for each pattern.
func (g generator) events() ([]resource, error) {
	var patterns []string
	for _, m := range g.catalog.Models {
		for _, t := range m.Triggers {
			if t.Kind != model.Event {
				continue
			}
			if len(t.Pattern) > maxPattern {
				return nil, fmt.Errorf("model %q: trigger %q: its pattern has %d characters, and EventBridge takes %d", m.Name, t.Name, len(t.Pattern), maxPattern)
			}
			patterns = append(patterns, string(t.Pattern))
		}
	}
	slices.Sort(patterns)
	var all []resource
	for _, pattern := range slices.Compact(patterns) {
		decoded, err := decode([]byte(pattern))
		if err != nil {
			return nil, err
		}
		all = append(all, g.rule("Event", "EventFunction", pattern, decoded))
	}
	return all, nil
}

// rule invokes a function for the events of the default bus that match.
func (g generator) rule(kind, function, about string, pattern any) resource {
	state := "ENABLED"
	if g.catalog.Paused {
		state = "DISABLED"
	}
	name := strings.ToLower(kind) + "-" + short(about)
	return resource{id(kind, short(about)), fields{"Type": "AWS::Events::Rule", "Properties": fields{
		"Name": sub("${Deployment}-" + name), "State": state, "EventPattern": pattern,
		"Targets": []any{fields{
			"Id": "function", "Arn": ref(function), "DeadLetterConfig": fields{"Arn": ref("DeadLetters")},
			"RetryPolicy": fields{"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185},
		}},
	}}}
}

// queues are the queues that models read: those that they name are made, and those that they give the ARN of exist.
func (g generator) queues() []resource {
	var all []resource
	var arns []any
	for _, queue := range g.catalog.Queues() {
		arn := substituted(queue)
		if !strings.HasPrefix(queue, "arn:") {
			made := ownQueue(queue)
			all = append(all, made...)
			arn = getAtt(made[0].id, "Arn")
		}
		arns = append(arns, arn)
		all = append(all, resource{id("Mapping", queue), fields{"Type": "AWS::Lambda::EventSourceMapping", "DependsOn": []any{"ReadQueues"}, "Properties": fields{
			"EventSourceArn": arn, "FunctionName": ref("MessageFunction"), "Enabled": !g.catalog.Paused, "BatchSize": 10,
			"FunctionResponseTypes": []any{"ReportBatchItemFailures"}, "ScalingConfig": fields{"MaximumConcurrency": 5},
		}}})
	}
	if len(arns) == 0 {
		return nil
	}
	return append(all, resource{"ReadQueues", fields{"Type": "AWS::IAM::RolePolicy", "Properties": fields{
		"RoleName": ref("MessageRole"), "PolicyName": "queues", "PolicyDocument": fields{"Version": "2012-10-17", "Statement": []any{fields{
			"Effect": "Allow", "Action": []any{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}, "Resource": arns,
		}}},
	}}})
}

// ownQueue is a queue that a model names, which is made for it, and its policy. What fails five times is a dead letter.
func ownQueue(name string) []resource {
	queue := resource{id("Queue", name), fields{"Type": "AWS::SQS::Queue", "UpdateReplacePolicy": "Retain", "DeletionPolicy": "Retain", "Properties": fields{
		"QueueName": sub("${Deployment}-" + name), "VisibilityTimeout": 180, "MessageRetentionPeriod": 1209600, "SqsManagedSseEnabled": true,
		"RedrivePolicy": fields{"deadLetterTargetArn": ref("DeadLetters"), "maxReceiveCount": 5},
	}}}
	arn := getAtt(queue.id, "Arn")
	return []resource{queue, {id("QueuePolicy", name), fields{"Type": "AWS::SQS::QueuePolicy", "Properties": fields{
		"Queues": []any{ref(queue.id)},
		"PolicyDocument": fields{"Version": "2012-10-17", "Statement": []any{fields{
			"Sid": "OnlyTLS", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": arn, "Condition": fields{"Bool": fields{"aws:SecureTransport": "false"}},
		}}},
	}}}}
}
