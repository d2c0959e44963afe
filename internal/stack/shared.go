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

// shared returns the resources of the shared template: permissions, queues, mappings, rules, and the nested parts.
// Rules, mappings and parts can start a run, so CloudFormation creates them after the permissions that the run needs.
func (g generator) shared(byPart [partCount][]resource) ([]resource, error) {
	permissions, err := g.permissions()
	if err != nil {
		return nil, err
	}
	arrivals, err := g.arrivals()
	if err != nil {
		return nil, err
	}
	events, err := g.events()
	if err != nil {
		return nil, err
	}
	if rules := len(arrivals) + len(events); rules > maxRules {
		return nil, fmt.Errorf("the models need %d EventBridge rules (one for each bucket and each event pattern); a deployment may "+
			"have at most %d of the 300 that an event bus allows: use fewer buckets or share event patterns", rules, maxRules)
	}
	queues, mappings := g.queues()
	var needed []any
	for _, r := range permissions {
		needed = append(needed, r.id)
	}
	starting := slices.Concat(arrivals, events, mappings, nestedStacks(byPart))
	for _, r := range starting {
		if needed != nil {
			r.body["DependsOn"] = needed
		}
	}
	return slices.Concat(permissions, queues, starting), nil
}

// arrivals returns one rule for each bucket whose objects start a model or let a waiting run continue. The rule's
// pattern lists the literal beginnings of the keys, as long as they fit, so that the function is invoked for these
// keys only.
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
		for _, object := range awaitedObjects(m) {
			// The name of a bucket that depends on inputs is not known here. The sweep checks its objects every ten
			// minutes.
			if prefix, literal := object.ObjectPrefix(); literal {
				buckets[prefix.Bucket] = append(buckets[prefix.Bucket], prefix.Key)
			}
		}
	}
	var all []resource
	for _, bucket := range slices.Sorted(maps.Keys(buckets)) {
		all = append(all, g.rule("Arrival", "ArrivalFunction", bucket, arrivalPattern(bucket, buckets[bucket])))
	}
	return all, nil
}

// maxPattern is the largest size of an event pattern, in characters
// (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html).
const maxPattern = 2048

// arrivalPattern returns the event pattern of a bucket's rule. It leaves the keys out when a prefix is empty, because
// then any key may match, and when the pattern would exceed maxPattern.
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

// events returns the rules of event triggers, one for each pattern. It returns an error when a pattern exceeds
// maxPattern.
func (g generator) events() ([]resource, error) {
	var patterns []string
	for _, m := range g.catalog.Models {
		for _, t := range m.Triggers {
			if t.Kind != model.Event {
				continue
			}
			if len(t.Pattern) > maxPattern {
				return nil, fmt.Errorf("model %q: trigger %q: the event pattern has %d characters; EventBridge allows %d",
					m.Name, t.Name, len(t.Pattern), maxPattern)
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
	for _, queue := range g.catalog.Queues() {
		arn := any(queue)
		if !isARN(queue) {
			made := ownQueue(queue)
			queues = append(queues, made...)
			arn = getAtt(made[0].id, "Arn")
		}
		mappings = append(mappings, resource{logicalID("Mapping", queue), fields{"Type": "AWS::Lambda::EventSourceMapping", "Properties": fields{
			"EventSourceArn": arn, "FunctionName": ref("MessageFunction"), "Enabled": !g.catalog.Paused, "BatchSize": 10,
			"FunctionResponseTypes": []any{"ReportBatchItemFailures"}, "ScalingConfig": fields{"MaximumConcurrency": 5},
		}}})
	}
	return queues, mappings
}

func isARN(text string) bool { return strings.HasPrefix(text, "arn:") }

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
