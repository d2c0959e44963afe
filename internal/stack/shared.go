package stack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"modeldispatch/internal/route"
)

// shared returns the resources of the shared template: permissions, queues, mappings, rules, and the nested parts.
// Rules, mappings and parts can start a run, so CloudFormation creates them after the permissions that the run needs.
func (g generator) shared(byPart [partCount][]resource) ([]resource, error) {
	permissions, err := g.permissions()
	if err != nil {
		return nil, err
	}
	rules, err := route.Rules(g.catalog)
	if err != nil {
		return nil, err
	}
	if n := len(rules.Arrivals) + len(rules.Events); n > maxRules {
		return nil, fmt.Errorf("the models need %d EventBridge rules (one for each bucket and each event pattern); a deployment may "+
			"have at most %d of the 300 that an event bus allows: use fewer buckets or share event patterns", n, maxRules)
	}
	events, err := g.events(rules.Events)
	if err != nil {
		return nil, err
	}
	queues, mappings := g.queues()
	var needed []any
	for _, r := range permissions {
		needed = append(needed, r.id)
	}
	starting := slices.Concat(g.arrivals(rules.Arrivals), events, mappings, nestedStacks(byPart))
	for _, r := range starting {
		if needed != nil {
			r.body["DependsOn"] = needed
		}
	}
	return slices.Concat(permissions, queues, starting), nil
}

// arrivals returns the rules that invoke the arrival function.
func (g generator) arrivals(rules []route.ArrivalRule) []resource {
	var all []resource
	for _, r := range rules {
		all = append(all, g.rule("Arrival", "ArrivalFunction", r.Bucket, r.Pattern()))
	}
	return all
}

// events returns the rules that invoke the event function, one for each pattern.
func (g generator) events(patterns []json.RawMessage) ([]resource, error) {
	var all []resource
	for _, pattern := range patterns {
		decoded, err := decode(pattern)
		if err != nil {
			return nil, err
		}
		all = append(all, g.rule("Event", "EventFunction", string(pattern), decoded))
	}
	return all, nil
}

// rule returns a rule on the default event bus that invokes a function for each event that matches a pattern. about
// is the bucket or the pattern text: its hash is in the rule's name. The rule is disabled when the environment's
// triggers are paused.
func (g generator) rule(kind, function, about string, pattern any) resource {
	state := "ENABLED"
	if g.catalog.Paused {
		state = "DISABLED"
	}
	name := strings.ToLower(kind) + "-" + shortHash(about)
	return resource{logicalID(kind, shortHash(about)), fields{"Type": "AWS::Events::Rule", "Properties": fields{
		"Name": sub("${Deployment}-" + name), "State": state, "EventPattern": pattern,
		"Targets": []any{fields{
			"Id": "function", "Arn": ref(function), "DeadLetterConfig": fields{"Arn": ref("DeadLetters")},
			"RetryPolicy": fields{"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185},
		}},
	}}}
}

// queues returns the queues of message triggers and a mapping for each. A trigger that names a queue gets one of the
// deployment's own. A trigger that gives an ARN reads that existing queue, which needs only a mapping.
func (g generator) queues() (queues, mappings []resource) {
	for _, queue := range route.Queues(g.catalog) {
		arn := any(queue.ARN)
		if queue.ARN == "" {
			made := ownQueue(queue.Name)
			queues = append(queues, made...)
			arn = getAtt(made[0].id, "Arn")
		}
		id := logicalID("Mapping", queue.String())
		mappings = append(mappings, resource{id, fields{"Type": "AWS::Lambda::EventSourceMapping", "Properties": fields{
			"EventSourceArn": arn, "FunctionName": ref("MessageFunction"), "Enabled": !g.catalog.Paused, "BatchSize": 10,
			"FunctionResponseTypes": []any{"ReportBatchItemFailures"}, "ScalingConfig": fields{"MaximumConcurrency": 5},
		}}})
	}
	return queues, mappings
}

// ownQueue returns a queue that a message trigger names, and the queue's policy. A message that the function has
// received five times without success goes to the dead-letter queue.
func ownQueue(name string) []resource {
	// CloudFormation keeps the queue and its messages when no model names it any more. It deletes the queue only when
	// it rolls back the creation: otherwise the next deployment could not create a queue with this name.
	queue := resource{logicalID("Queue", name), fields{
		"Type": "AWS::SQS::Queue", "UpdateReplacePolicy": "Retain", "DeletionPolicy": "RetainExceptOnCreate",
		"Properties": fields{
			"QueueName": sub("${Deployment}-" + name), "VisibilityTimeout": 180, "MessageRetentionPeriod": 1209600, "SqsManagedSseEnabled": true,
			"RedrivePolicy": fields{"deadLetterTargetArn": ref("DeadLetters"), "maxReceiveCount": 5},
		},
	}}
	arn := getAtt(queue.id, "Arn")
	return []resource{queue, {logicalID("QueuePolicy", name), fields{"Type": "AWS::SQS::QueuePolicy", "Properties": fields{
		"Queues": []any{ref(queue.id)},
		"PolicyDocument": fields{"Version": "2012-10-17", "Statement": []any{fields{
			"Sid": "OnlyTLS", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": arn,
			"Condition": fields{"Bool": fields{"aws:SecureTransport": "false"}},
		}}},
	}}}}
}
