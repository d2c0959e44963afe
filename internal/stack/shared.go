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

// shared is what models have in common: the rules of buckets and patterns, the queues, what the functions are allowed for
// them, and the parts with the models themselves. What starts a model is made after what it needs.
func (g generator) shared(own [parts][]resource) ([]resource, error) {
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
		return nil, fmt.Errorf("the models need %d EventBridge rules (one for each bucket and each event pattern), and a deployment may have %d of the 300 of an account: use fewer buckets, or event patterns in common", rules, maxRules)
	}
	queues, mappings := g.queues()
	var needed []any
	for _, r := range permissions {
		needed = append(needed, r.id)
	}
	starting := slices.Concat(arrivals, events, mappings, nested(own))
	for _, r := range starting {
		if needed != nil {
			r.body["DependsOn"] = needed
		}
	}
	return slices.Concat(permissions, queues, starting), nil
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
		for _, object := range waitsFor(m) {
			// A bucket that depends on inputs is not known here: its objects are looked for again every ten minutes.
			if bucket, prefix, literal := literalBucket(object); literal {
				buckets[bucket] = append(buckets[bucket], prefix)
			}
		}
	}
	var all []resource
	for _, bucket := range slices.Sorted(maps.Keys(buckets)) {
		all = append(all, g.rule("Arrival", "ArrivalFunction", bucket, arrivalPattern(bucket, buckets[bucket])))
	}
	return all, nil
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

// queues are the queues that models read, and their mappings: those that they name are made, and those that they give the ARN
// of exist.
func (g generator) queues() (queues, mappings []resource) {
	for _, queue := range g.catalog.Queues() {
		arn := any(queue)
		if !isARN(queue) {
			made := ownQueue(queue)
			queues = append(queues, made...)
			arn = getAtt(made[0].id, "Arn")
		}
		mappings = append(mappings, resource{id("Mapping", queue), fields{"Type": "AWS::Lambda::EventSourceMapping", "Properties": fields{
			"EventSourceArn": arn, "FunctionName": ref("MessageFunction"), "Enabled": !g.catalog.Paused, "BatchSize": 10,
			"FunctionResponseTypes": []any{"ReportBatchItemFailures"}, "ScalingConfig": fields{"MaximumConcurrency": 5},
		}}})
	}
	return queues, mappings
}

func isARN(text string) bool { return strings.HasPrefix(text, "arn:") }

// ownQueue is a queue that a model names, which is made for it, and its policy. What fails five times is a dead letter.
func ownQueue(name string) []resource {
	// It stays when no model names it any more, with what is in it. Only when its creation is taken back it goes, too: its name
	// would be taken the next time.
	queue := resource{id("Queue", name), fields{"Type": "AWS::SQS::Queue", "UpdateReplacePolicy": "Retain", "DeletionPolicy": "RetainExceptOnCreate", "Properties": fields{
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
