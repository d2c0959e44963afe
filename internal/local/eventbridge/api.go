package eventbridge

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"modeldispatch/internal/local/awsjson"
)

const (
	busName      = "default"
	maxEntries   = 10
	maxTotalSize = 1 << 20 // of one PutEvents, by EventBridge's own way of counting
)

// The requests and answers here are EventBridge's own, in its own names.

func (b *Bus) operations() map[string]awsjson.Operation {
	return map[string]awsjson.Operation{
		"PutEvents":        requireUTF8(awsjson.Handle(b.putEvents)),
		"ListRules":        awsjson.Handle(b.listRules),
		"DescribeEventBus": awsjson.Handle(b.describeEventBus),
		"ListEventBuses":   awsjson.Handle(b.listEventBuses),
	}
}

// requireUTF8 refuses what the JSON decoder would silently replace.
func requireUTF8(operation awsjson.Operation) awsjson.Operation {
	return func(ctx context.Context, request json.RawMessage) (any, error) {
		if !utf8.Valid(request) {
			return nil, &awsjson.Error{Type: "SerializationException", Message: "the request is not UTF-8"}
		}
		return operation(ctx, request)
	}
}

type putRequest struct{ Entries []entry }

type entry struct {
	Time         *float64 // seconds since 1970
	Source       string
	DetailType   string
	Detail       string
	Resources    []string
	EventBusName string
}

type putAnswer struct {
	FailedEntryCount int
	Entries          []result
}

// result is the event's id, or what was wrong.
type result struct {
	EventId      string `json:",omitempty"`
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

func invalid(format string, args ...any) *awsjson.Error {
	return &awsjson.Error{Type: "ValidationException", Message: fmt.Sprintf(format, args...)}
}

// putEvents answers when the good entries are with their targets. A bad one fails alone, under 200.
func (b *Bus) putEvents(ctx context.Context, in putRequest) (putAnswer, error) {
	if n := len(in.Entries); n < 1 || n > maxEntries {
		return putAnswer{}, invalid("1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and %d; it has %d", maxEntries, n)
	}
	total := 0
	for _, e := range in.Entries {
		total += e.size()
	}
	if total > maxTotalSize {
		return putAnswer{}, invalid("Total size of the entries in the request is over the limit: %d bytes, %d is the most.", total, maxTotalSize)
	}
	ctx, cancel := context.WithTimeout(ctx, b.options.Patience)
	defer cancel()
	out := putAnswer{Entries: make([]result, len(in.Entries))}
	var puts sync.WaitGroup
	for i, e := range in.Entries {
		puts.Go(func() { out.Entries[i] = b.put(ctx, e) })
	}
	puts.Wait()
	for _, r := range out.Entries {
		if r.ErrorCode != "" {
			out.FailedEntryCount++
		}
	}
	return out, nil
}

func (b *Bus) put(ctx context.Context, e entry) result {
	if code, message := b.check(e); code != "" {
		return result{ErrorCode: code, ErrorMessage: message}
	}
	event := envelope{DetailType: e.DetailType, Source: e.Source, Resources: e.Resources, Detail: json.RawMessage(e.Detail)}
	if e.Time != nil {
		event.Time = time.Unix(int64(*e.Time), 0).UTC().Format(time.RFC3339)
	}
	event = event.complete(b.options)
	if err := b.publish(ctx, event); err != nil {
		return result{ErrorCode: "InternalFailure", ErrorMessage: err.Error()} // which clients may send again
	}
	return result{EventId: event.ID}
}

// size is what EventBridge counts.
func (e entry) size() int {
	n := len(e.Source) + len(e.DetailType) + len(e.Detail)
	if e.Time != nil {
		n += 14
	}
	for _, r := range e.Resources {
		n += len(r)
	}
	return n
}

// check names what is wrong with an entry, by the code and message that EventBridge uses.
func (b *Bus) check(e entry) (code, message string) {
	argument := func(name, reason string) (string, string) {
		return "InvalidArgument", fmt.Sprintf("Parameter %s is not valid. Reason: %s", name, reason)
	}
	switch {
	case !b.isDefault(e.EventBusName):
		return argument("EventBusName", fmt.Sprintf("there is no event bus %q here; %q is the only one.", e.EventBusName, busName))
	case e.Source == "":
		return argument("Source", "Source is a required argument.")
	case len(e.Source) > 256:
		return argument("Source", "Source must be at most 256 characters.")
	case e.DetailType == "":
		return argument("DetailType", "DetailType is a required argument.")
	case utf8.RuneCountInString(e.DetailType) > 128:
		return argument("DetailType", "DetailType must be at most 128 characters.")
	case e.Detail == "":
		return argument("Detail", "Detail is a required argument.")
	case e.Time != nil && !(math.Abs(*e.Time) < 1<<37): // not NaN, and a year of four digits
		return argument("Time", "Time must be seconds since 1970.")
	case strings.HasPrefix(e.Source, "aws."):
		return "NotAuthorizedForSourceException", "Not authorized for the source."
	case !isObject(json.RawMessage(e.Detail)):
		return "MalformedDetail", "Detail is malformed: it must be a JSON object, given as a string."
	}
	return "", ""
}

func (b *Bus) arn(resource string) string {
	return "arn:aws:events:" + b.options.Region + ":" + b.options.Account + ":" + resource
}

type ruleAnswer struct {
	Name         string
	Arn          string
	EventBusName string
	State        string
	EventPattern string `json:",omitempty"`
}

type busRequest struct {
	Name         string // DescribeEventBus
	EventBusName string // ListRules
	NamePrefix   string
}

func (b *Bus) isDefault(bus string) bool {
	return bus == "" || bus == busName || bus == b.arn("event-bus/"+busName)
}

func (b *Bus) checkBus(name string) error {
	if !b.isDefault(name) {
		return &awsjson.Error{Type: "ResourceNotFoundException", Message: fmt.Sprintf("Event bus %s does not exist; %s is the only one here.", name, busName)}
	}
	return nil
}

func (b *Bus) listRules(_ context.Context, in busRequest) (map[string][]ruleAnswer, error) {
	rules := []ruleAnswer{}
	for _, r := range b.currentRules() {
		if strings.HasPrefix(r.Name, in.NamePrefix) {
			rules = append(rules, ruleAnswer{r.Name, b.arn("rule/" + r.Name), busName, "ENABLED", r.Pattern})
		}
	}
	return map[string][]ruleAnswer{"Rules": rules}, b.checkBus(in.EventBusName)
}

type busAnswer struct {
	Name         string
	Arn          string
	CreationTime float64
}

func (b *Bus) describe() busAnswer {
	return busAnswer{busName, b.arn("event-bus/" + busName), float64(b.created.UnixMilli()) / 1000}
}

func (b *Bus) describeEventBus(_ context.Context, in busRequest) (busAnswer, error) {
	return b.describe(), b.checkBus(in.Name)
}

func (b *Bus) listEventBuses(_ context.Context, in busRequest) (map[string][]busAnswer, error) {
	buses := []busAnswer{}
	if strings.HasPrefix(busName, in.NamePrefix) {
		buses = append(buses, b.describe())
	}
	return map[string][]busAnswer{"EventBuses": buses}, nil
}
