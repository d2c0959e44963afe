package local

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	runtime "github.com/aws/aws-lambda-go/lambda"

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
)

// The queues of a deployment, as its template makes them.
const (
	launchQueue = "modeldispatch-launch"
	wakeQueue   = "modeldispatch-wake"
	deadQueue   = "modeldispatch-dead-letters"
	// maxReceives is how often a message is tried before it is a dead letter.
	maxReceives = 5
	// functionTimeout is how long a function may take.
	functionTimeout = time.Minute
)

// deploy does what the template does in an account: buckets, queues, task definitions, functions,
// and what invokes them.
func (s *Stack) deploy(ctx context.Context, h handler.Handlers) error {
	for _, bucket := range append(buckets(s.options.Catalog), Bucket) {
		if err := s.objects.CreateBucket(bucket); err != nil {
			return fmt.Errorf("making bucket %s: %w", bucket, err)
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
	s.bus.SetRules(s.rules()...)
	return nil
}

func (s *Stack) makeQueues(ctx context.Context) ([]lambda.Mapping, error) {
	if err := s.queues.Create(ctx, deadQueue, sqs.Attributes{}); err != nil {
		return nil, err
	}
	feeds := map[string]string{launchQueue: "launch", wakeQueue: "sweep"}
	for _, name := range s.options.Catalog.Queues() {
		feeds[queueName(name)] = "message"
	}
	var mappings []lambda.Mapping
	for _, queue := range slices.Sorted(maps.Keys(feeds)) {
		err := s.queues.Create(ctx, queue, sqs.Attributes{Visibility: functionTimeout, DeadLetter: deadQueue, MaxReceives: maxReceives})
		if err != nil {
			return nil, fmt.Errorf("making queue %s: %w", queue, err)
		}
		mappings = append(mappings, lambda.Mapping{Queue: queue, Function: feeds[queue], ReportBatchItemFailures: true})
	}
	return mappings, nil
}

// queueName is the name of a queue that a trigger names, by its name or its ARN.
func queueName(queue string) string { return queue[strings.LastIndexByte(queue, ':')+1:] }

// functions are the functions, each behind its real JSON.
func functions(h handler.Handlers) []lambda.Function {
	all := map[string]any{
		"schedule": h.Schedule, "arrival": h.Arrival, "message": h.Message, "event": h.Event,
		"launch": h.Launch, "completion": h.Completion, "sweep": h.Sweep,
	}
	var list []lambda.Function
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, lambda.Function{Name: name, Handler: runtime.NewHandler(all[name]), Timeout: functionTimeout, OnFailure: deadQueue})
	}
	return list
}

// rules are the rules of the default bus.
func (s *Stack) rules() []eventbridge.Rule {
	return []eventbridge.Rule{
		{Name: "arrival", Match: s.isArrival(), Target: s.invoke("arrival")},
		{Name: "completion", Match: isCompletion, Target: s.invoke("completion")},
		{Name: "event", Match: s.isTriggered(), Target: s.invoke("event")},
	}
}

func (s *Stack) invoke(function string) func(context.Context, json.RawMessage) error {
	return func(ctx context.Context, payload json.RawMessage) error {
		return s.functions.InvokeAsync(ctx, function, payload)
	}
}

func isEvent(source, detailType string) func(any) bool {
	return func(e any) bool {
		fields, _ := e.(map[string]any)
		return fields["source"] == source && fields["detail-type"] == detailType
	}
}

// isArrival matches as the rules of the buckets do that models wait for objects in: what else is
// put somewhere, results above all, concerns nobody.
func (s *Stack) isArrival() func(any) bool {
	watched := map[any]bool{}
	for _, m := range s.options.Catalog.Models {
		for _, t := range m.Triggers {
			for _, pattern := range t.Arrival {
				watched[bucketOf(pattern)] = true
			}
		}
		if m.Policy.WaitFor != nil {
			for _, object := range m.Policy.WaitFor.Objects {
				watched[bucketOf(object.String())] = true
			}
		}
	}
	created := isEvent("aws.s3", "Object Created")
	return func(e any) bool {
		if !created(e) {
			return false
		}
		detail, _ := e.(map[string]any)["detail"].(map[string]any)
		bucket, _ := detail["bucket"].(map[string]any)
		return watched[bucket["name"]]
	}
}

// isCompletion matches as the completion rule does: task state changes of this deployment's tasks.
func isCompletion(e any) bool {
	if !isEvent("aws.ecs", "ECS Task State Change")(e) {
		return false
	}
	detail, _ := e.(map[string]any)["detail"].(map[string]any)
	startedBy, _ := detail["startedBy"].(string)
	status := detail["lastStatus"]
	return strings.HasPrefix(startedBy, Deployment+"/") && (status == "RUNNING" || status == "STOPPED")
}

// isTriggered matches as the rules of `event` triggers do, all at once.
func (s *Stack) isTriggered() func(any) bool {
	var patterns []pattern.Pattern
	for _, m := range s.options.Catalog.Models {
		for _, t := range m.Triggers {
			if p, err := pattern.Compile(t.Pattern); t.Kind == model.Event && err == nil {
				patterns = append(patterns, p)
			}
		}
	}
	return func(e any) bool {
		return slices.ContainsFunc(patterns, func(p pattern.Pattern) bool { return p.Match(e) })
	}
}

// changed puts a task's state change on the bus.
func (s *Stack) changed(e json.RawMessage) {
	if err := s.bus.Publish(context.Background(), e); err != nil {
		s.options.Log.Error().Err(err).Msg("task state change lost; the sweep describes the task")
	}
}

// schedules are the catalog's schedules, and the sweep's.
func (s *Stack) schedules() ([]scheduler.Entry, error) {
	entries := []scheduler.Entry{{
		Name: sweepEntry, Next: func(after time.Time) time.Time { return after.Add(sweepEvery) },
		Payload: func(time.Time) json.RawMessage { return json.RawMessage(`{}`) },
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
			entries = append(entries, scheduler.Entry{Name: m.Name + "/" + t.Name, Next: schedule.Next, Payload: payload(m.Name, t)})
		}
	}
	return entries, nil
}

// sweepEntry is the schedule of the sweep. In an account it is every minute; here somebody may be
// waiting for what a crash has left.
const (
	sweepEntry = "sweep"
	sweepEvery = 5 * time.Second
)

// payload is what a schedule sends, as its Input in an account does.
func payload(name string, t model.Trigger) func(time.Time) json.RawMessage {
	return func(scheduled time.Time) json.RawMessage {
		return event.SchedulePayload(event.Scheduled{Model: name, Trigger: t.Name, Hash: t.Hash, Time: scheduled})
	}
}

// schedule fires the schedules until the stack stops.
func (s *Stack) schedule(ctx context.Context, entries []scheduler.Entry) {
	if err := scheduler.New(scheduler.Options{}).Run(ctx, entries, s.fire); err != nil {
		s.options.Log.Error().Err(err).Msg("schedules not delivered")
	}
}

// fire invokes what a schedule is for.
func (s *Stack) fire(ctx context.Context, e scheduler.Entry, _ time.Time, payload json.RawMessage) error {
	if e.Name == sweepEntry {
		return s.functions.InvokeAsync(ctx, "sweep", payload)
	}
	return s.functions.InvokeAsync(ctx, "schedule", payload)
}

// buckets are those that the catalog's models read and write.
func buckets(c model.Catalog) []string {
	var all []string
	add := func(uri string) {
		if bucket := bucketOf(uri); bucket != "" {
			all = append(all, bucket)
		}
	}
	for _, m := range c.Models {
		for _, t := range m.Triggers {
			for _, pattern := range t.Arrival {
				add(pattern)
			}
		}
		if m.Policy.WaitFor != nil {
			for _, object := range m.Policy.WaitFor.Objects {
				add(object.String())
			}
		}
		for _, out := range m.Outputs {
			add(out.URI.String())
		}
		for _, in := range m.Inputs {
			if in.Default != nil {
				add(in.Default.String())
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// bucketOf is the bucket that an S3 URI or pattern names; "" where it is none, or not the same for all.
func bucketOf(uri string) string {
	rest, isS3 := strings.CutPrefix(uri, "s3://")
	bucket, _, _ := strings.Cut(rest, "/")
	if !isS3 || strings.ContainsAny(bucket, "{}") {
		return ""
	}
	return bucket
}

// folder is where a family's model lies: its tasks run there.
func (s *Stack) folder(family string) string {
	for _, m := range s.options.Catalog.Models {
		if m.Task.Family == family {
			return m.Folder
		}
	}
	return s.options.Data
}

// logFile returns the path of a container's log in the folder of logs.
func logFile(startedBy, task, container string) string {
	if id, attempt, ours := fargate.ParseStartedBy(Deployment, startedBy); ours {
		return runLog(id, attempt, container)
	}
	return filepath.Join(task, container+".log")
}

func (s *Stack) secret(name string) (string, bool) {
	value, set := s.options.Secrets[name]
	return value, set
}

// Deliver brings a payload to its function the way AWS would: events over the bus, messages
// through their queues, and everything else as an invocation.
func (s *Stack) Deliver(ctx context.Context, payload []byte) error {
	decoded, err := event.Decode(payload)
	switch {
	case decoded.Bridge:
		return s.bus.Publish(ctx, payload)
	case decoded.Function == "message":
		return s.send(ctx, payload)
	case decoded.Function == "":
		return err
	default:
		return s.functions.InvokeAsync(ctx, decoded.Function, payload)
	}
}

// send sends the messages of an SQS batch to their queues.
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
		if _, err := s.queues.Send(ctx, queueName(m.EventSourceARN), m.Body, attributes, 0); err != nil {
			return fmt.Errorf("sending message %s: %w", m.MessageId, err)
		}
	}
	return nil
}
