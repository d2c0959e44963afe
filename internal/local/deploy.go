package local

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"modeldispatch/internal/cron"
	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/handler"
	"modeldispatch/internal/local/eventbridge"
	"modeldispatch/internal/local/lambda"
	"modeldispatch/internal/local/scheduler"
	"modeldispatch/internal/local/sqs"
	"modeldispatch/internal/model"
	"modeldispatch/internal/pattern"
	"modeldispatch/internal/route"
)

// The queues and limits of a deployment, with the values that its template has.
const (
	launchQueue = "modeldispatch-launch"
	wakeQueue   = "modeldispatch-wake"
	deadQueue   = "modeldispatch-dead-letters"
	// maxReceives is the number of deliveries of a message before it becomes a dead letter.
	maxReceives = 5
	// functionTimeout is the longest duration of an invocation.
	functionTimeout = time.Minute
)

// deploy creates the resources that CloudFormation creates in an account: buckets, task definitions, queues, functions,
// and the rules and queue mappings that invoke the functions. wire adds the schedules.
func (s *Stack) deploy(ctx context.Context, h handler.Handlers) error {
	rules, err := route.Rules(s.options.Catalog)
	if err != nil {
		return err
	}
	for _, bucket := range append(buckets(s.options.Catalog, rules), Bucket) {
		if err := s.objects.CreateBucket(bucket); err != nil {
			return fmt.Errorf("creating bucket %s: %w", bucket, err)
		}
	}
	for _, m := range s.options.Catalog.Models {
		if m.Task.Definition == nil {
			continue
		}
		if _, err := s.tasks.Register(m.Task.Definition); err != nil {
			return fmt.Errorf("registering the task definition of model %q: %w", m.Name, err)
		}
	}
	mappings, err := s.makeQueues(ctx)
	if err != nil {
		return err
	}
	s.functions, err = lambda.New(ctx, lambda.Options{Queues: s.queues, Functions: functions(h), Mappings: mappings})
	if err != nil {
		return err
	}
	events, err := triggerMatcher(rules)
	if err != nil {
		return err
	}
	s.bus.SetRules( // each invokes the function of its own name
		eventbridge.Rule{Name: "arrival", Match: arrivalMatcher(rules), Target: s.target("arrival")},
		eventbridge.Rule{Name: "completion", Match: isCompletion, Target: s.target("completion")},
		eventbridge.Rule{Name: "event", Match: events, Target: s.target("event")},
	)
	return nil
}

// makeQueues creates the queues of the deployment and those of message triggers. It returns the mappings that invoke
// functions.
func (s *Stack) makeQueues(ctx context.Context) ([]lambda.Mapping, error) {
	if err := s.queues.Create(ctx, deadQueue, sqs.Attributes{}); err != nil {
		return nil, err
	}
	consumers := map[string]string{launchQueue: "launch", wakeQueue: "sweep"}
	for _, queue := range route.Queues(s.options.Catalog) {
		consumers[queue.Name] = "message"
	}
	var mappings []lambda.Mapping
	for _, queue := range slices.Sorted(maps.Keys(consumers)) {
		err := s.queues.Create(ctx, queue, sqs.Attributes{Visibility: functionTimeout, DeadLetter: deadQueue, MaxReceives: maxReceives})
		if err != nil {
			return nil, fmt.Errorf("creating queue %s: %w", queue, err)
		}
		mappings = append(mappings, lambda.Mapping{Queue: queue, Function: consumers[queue], ReportBatchItemFailures: true})
	}
	return mappings, nil
}

// functions returns the Lambda functions. Each decodes and encodes real Lambda JSON, as in an account.
func functions(h handler.Handlers) []lambda.Function {
	all := map[string]any{
		"schedule": h.Schedule, "arrival": h.Arrival, "message": h.Message, "event": h.Event,
		"launch": h.Launch, "completion": h.Completion, "sweep": h.Sweep,
	}
	var list []lambda.Function
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, lambda.Function{Name: name, Handler: all[name], Timeout: functionTimeout, OnFailure: deadQueue})
	}
	return list
}

// target returns the target of a rule: an asynchronous invocation of a function.
func (s *Stack) target(function string) func(context.Context, json.RawMessage) error {
	return func(ctx context.Context, payload json.RawMessage) error {
		return s.functions.InvokeAsync(ctx, function, payload)
	}
}

// isEvent returns a predicate for events with the given source and detail-type.
func isEvent(source, detailType string) func(any) bool {
	return func(e any) bool {
		fields, _ := e.(map[string]any)
		return fields["source"] == source && fields["detail-type"] == detailType
	}
}

// arrivalMatcher returns a predicate for Object Created events in the buckets of the arrival rules. An object in any other
// bucket, such as a result, invokes no function. The rules of a deployment also compare the beginning of the key. They
// spare invocations by that, but here a developer sees why an object starts no model.
func arrivalMatcher(rules route.RuleSet) func(any) bool {
	watched := map[any]bool{}
	for _, r := range rules.Arrivals {
		watched[r.Bucket] = true
	}
	created := isEvent(event.SourceS3, event.ObjectCreated)
	return func(e any) bool {
		if !created(e) {
			return false
		}
		detail, _ := e.(map[string]any)["detail"].(map[string]any)
		bucket, _ := detail["bucket"].(map[string]any)
		return watched[bucket["name"]]
	}
}

// isCompletion reports whether an event matches the completion rule: a task of this deployment has become RUNNING or
// STOPPED.
func isCompletion(e any) bool {
	if !isEvent(event.SourceECS, event.TaskStateChange)(e) {
		return false
	}
	detail, _ := e.(map[string]any)["detail"].(map[string]any)
	startedBy, _ := detail["startedBy"].(string)
	status := detail["lastStatus"]
	_, _, ours := fargate.ParseStartedBy(Deployment, startedBy)
	return ours && (status == event.TaskRunning || status == event.TaskStopped)
}

// triggerMatcher returns a predicate for events that match a rule of the event triggers. A deployment has each rule on
// its own. triggerMatcher returns an error if a pattern is not valid.
func triggerMatcher(rules route.RuleSet) (func(any) bool, error) {
	var patterns []pattern.Pattern
	for _, text := range rules.Events {
		p, err := pattern.Compile(text)
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, p)
	}
	return func(e any) bool {
		return slices.ContainsFunc(patterns, func(p pattern.Pattern) bool { return p.Match(e) })
	}, nil
}

// publishTask publishes a task's state change on the bus. It only logs an error, because the sweep describes silent
// tasks.
func (s *Stack) publishTask(e json.RawMessage) {
	if err := s.bus.Publish(s.withLog(context.Background()), e); err != nil {
		s.options.Log.Error().Err(err).Msg("cannot publish a task state change; the sweep will describe the task")
	}
}

// schedules returns the schedule of the sweep, and the schedules of the catalog unless the catalog is paused.
func (s *Stack) schedules() ([]scheduler.Entry, error) {
	entries := []scheduler.Entry{{
		Name: sweepEntry, Next: func(after time.Time) time.Time { return after.Add(sweepEvery) },
		Payload: func(time.Time) json.RawMessage { return json.RawMessage(`{}`) },
		NoRetry: true, // as in template.yaml
	}}
	if s.options.Catalog.Paused {
		return entries, nil
	}
	for _, m := range s.options.Catalog.Models {
		for _, t := range m.Triggers {
			if t.Kind != model.Schedule {
				continue
			}
			schedule, err := cron.Parse(t.Schedule, t.Location())
			if err != nil {
				return nil, fmt.Errorf("model %q: trigger %q: %w", m.Name, t.Name, err)
			}
			entries = append(entries, scheduler.Entry{Name: m.Name + "/" + t.Name, Next: schedule.Next, Payload: schedulePayload(m.Name, t)})
		}
	}
	return entries, nil
}

// sweepEntry names the schedule of the sweep. The sweep runs every minute in an account. It runs more often here,
// because a developer may be waiting for the runs that a crash interrupted.
const (
	sweepEntry = "sweep"
	sweepEvery = 5 * time.Second
)

// schedulePayload returns a function that builds the payload of a schedule for a time. In an account, the payload is
// the schedule's Input.
func schedulePayload(name string, t model.Trigger) func(time.Time) json.RawMessage {
	return func(scheduled time.Time) json.RawMessage {
		return event.SchedulePayload(event.Scheduled{Model: name, Trigger: t.Name, Hash: t.Hash, Time: scheduled})
	}
}

// schedule fires the schedules until the stack stops, and logs the times that it could not deliver.
func (s *Stack) schedule(ctx context.Context, entries []scheduler.Entry) {
	if err := scheduler.New(scheduler.Options{}).Run(ctx, entries, s.fire); err != nil {
		s.options.Log.Error().Err(err).Msg("cannot deliver all scheduled times")
	}
}

// fire invokes the function of a schedule: the sweep, or the schedule function with the payload.
func (s *Stack) fire(ctx context.Context, e scheduler.Entry, _ time.Time, payload json.RawMessage) error {
	if e.Name == sweepEntry {
		return s.functions.InvokeAsync(ctx, "sweep", payload)
	}
	return s.functions.InvokeAsync(ctx, "schedule", payload)
}

// buckets returns the sorted names of the buckets in the catalog's arrival rules, outputs, and defaults of inputs. It
// leaves out a bucket that depends on inputs.
func buckets(c model.Catalog, rules route.RuleSet) []string {
	var all []string
	for _, r := range rules.Arrivals {
		all = append(all, r.Bucket)
	}
	for _, m := range c.Models {
		var uris []model.Template
		for _, out := range m.Outputs {
			uris = append(uris, out.URI)
		}
		for _, in := range m.Inputs {
			if in.Default != nil {
				uris = append(uris, *in.Default)
			}
		}
		for _, uri := range uris {
			if prefix, literal := uri.ObjectPrefix(); literal && prefix.Bucket != "" {
				all = append(all, prefix.Bucket)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// modelFolder returns the working directory for the tasks of a family: the folder of its model. It returns the data
// folder for a family that no model has.
func (s *Stack) modelFolder(family string) string {
	for _, m := range s.options.Catalog.Models {
		if m.Task.Family == family {
			return m.Dir
		}
	}
	return s.options.Data
}

// logFile returns the path of a container's log below the folder of logs. A task that no run started has a folder of
// its own.
func logFile(startedBy, task, container string) string {
	if id, attempt, ours := fargate.ParseStartedBy(Deployment, startedBy); ours {
		return runLog(id, attempt, container)
	}
	return filepath.Join(task, container+".log")
}

// secret returns the value of a container's secret, and reports whether it is set.
func (s *Stack) secret(name string) (string, bool) {
	value, set := s.options.Secrets[name]
	return value, set
}

// Deliver sends a payload to its function on the path that AWS would use: an EventBridge event over the bus, an SQS
// batch as messages to their queues, and any other payload as an asynchronous invocation. It returns an error if no
// function takes payloads of this shape. When it returns nil, the payload is stored.
func (s *Stack) Deliver(ctx context.Context, payload []byte) error {
	decoded, err := event.Decode(payload)
	switch {
	case decoded.ViaEventBridge:
		return s.bus.Publish(ctx, payload)
	case decoded.Function == "message":
		return s.send(ctx, payload)
	case decoded.Function == "":
		return err
	default:
		return s.functions.InvokeAsync(ctx, decoded.Function, payload)
	}
}

// send sends each message of an SQS batch to its queue, with its string attributes.
func (s *Stack) send(ctx context.Context, payload []byte) error {
	var batch events.SQSEvent
	if err := json.Unmarshal(payload, &batch); err != nil {
		return err
	}
	for _, m := range batch.Records {
		attributes := map[string]sqs.Attribute{}
		for name, a := range m.MessageAttributes {
			if a.StringValue != nil {
				attributes[name] = sqs.Attribute{DataType: a.DataType, StringValue: a.StringValue}
			}
		}
		if _, err := s.queues.Send(ctx, model.ParseQueue(m.EventSourceARN).Name, m.Body, attributes, 0); err != nil {
			return fmt.Errorf("sending message %s: %w", m.MessageId, err)
		}
	}
	return nil
}
