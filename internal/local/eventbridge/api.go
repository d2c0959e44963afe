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
	maxTotalSize = 1 << 20 // the most bytes in one PutEvents call, as entry.size counts them
)

// The types of requests and responses below have the field names of EventBridge's API.

// operations returns the API operations by name.
func (b *Bus) operations() map[string]awsjson.Operation {
	return map[string]awsjson.Operation{
		"PutEvents":        awsjson.Handle(b.putEvents),
		"ListRules":        awsjson.Handle(b.listRules),
		"DescribeEventBus": awsjson.Handle(b.describeEventBus),
		"ListEventBuses":   awsjson.Handle(b.listEventBuses),
	}
}

type putRequest struct{ Entries []entry }

type entry struct {
	Time         *float64 // Unix time in seconds; nil means now
	Source       string
	DetailType   string
	Detail       string
	Resources    []string
	EventBusName string
}

type putResponse struct {
	FailedEntryCount int
	Entries          []result
}

// result holds an entry's event id, or its error.
type result struct {
	EventId      string `json:",omitempty"`
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

func invalid(format string, args ...any) *awsjson.Error {
	return &awsjson.Error{Type: "ValidationException", Message: fmt.Sprintf(format, args...)}
}

// putEvents returns once the targets have stored the entries, or DeliveryTimeout is over. An entry that
// fails has an error in its result; the call itself succeeds.
func (b *Bus) putEvents(ctx context.Context, in putRequest) (putResponse, error) {
	if n := len(in.Entries); n < 1 || n > maxEntries {
		return putResponse{}, invalid("1 validation error detected: Value at 'entries' failed to satisfy constraint: "+
			"Member must have length between 1 and %d; it has %d", maxEntries, n)
	}
	total := 0
	for _, e := range in.Entries {
		total += e.size()
	}
	if total > maxTotalSize {
		return putResponse{}, invalid("Total size of the entries in the request is over the limit: "+
			"it is %d bytes, and the limit is %d bytes.", total, maxTotalSize)
	}
	out := putResponse{Entries: make([]result, len(in.Entries))}
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

// put checks one entry and publishes it.
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
		return result{ErrorCode: "InternalFailure", ErrorMessage: err.Error()} // clients may send the entry again
	}
	return result{EventId: event.ID}
}

// size returns the entry's size in bytes, as EventBridge counts it:
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html
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

// check returns EventBridge's error code and message for an invalid entry, and "" for a valid one.
func (b *Bus) check(e entry) (code, message string) {
	argument := func(name, reason string) (string, string) {
		return "InvalidArgument", fmt.Sprintf("Parameter %s is not valid. Reason: %s", name, reason)
	}
	switch {
	case !b.isDefault(e.EventBusName):
		return argument("EventBusName", fmt.Sprintf("event bus %q does not exist; the local stack has only %q.", e.EventBusName, busName))
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
	case e.Time != nil && !(math.Abs(*e.Time) < 1<<37): // excludes NaN too, and years of more than four digits
		return argument("Time", "Time must be a Unix time in seconds.")
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

type ruleDescription struct {
	Name         string
	Arn          string
	EventBusName string
	State        string
	EventPattern string `json:",omitempty"`
}

type busRequest struct {
	Name         string // the bus to describe, in DescribeEventBus
	EventBusName string // the bus of the rules, in ListRules
	NamePrefix   string // the prefix of the names to list, in ListRules and ListEventBuses
}

// isDefault reports whether a name or an ARN names the default bus. So does "".
func (b *Bus) isDefault(bus string) bool {
	return bus == "" || bus == busName || bus == b.arn("event-bus/"+busName)
}

// checkBus returns ResourceNotFoundException unless the name is that of the default bus.
func (b *Bus) checkBus(name string) error {
	if !b.isDefault(name) {
		message := fmt.Sprintf("Event bus %s does not exist; the local stack has only %s.", name, busName)
		return &awsjson.Error{Type: "ResourceNotFoundException", Message: message}
	}
	return nil
}

func (b *Bus) listRules(_ context.Context, in busRequest) (map[string][]ruleDescription, error) {
	rules := []ruleDescription{}
	for _, r := range b.currentRules() {
		if strings.HasPrefix(r.Name, in.NamePrefix) {
			rules = append(rules, ruleDescription{r.Name, b.arn("rule/" + r.Name), busName, "ENABLED", r.Pattern})
		}
	}
	return map[string][]ruleDescription{"Rules": rules}, b.checkBus(in.EventBusName)
}

type busDescription struct {
	Name         string
	Arn          string
	CreationTime float64
}

func (b *Bus) describe() busDescription {
	return busDescription{busName, b.arn("event-bus/" + busName), float64(b.created.UnixMilli()) / 1000}
}

func (b *Bus) describeEventBus(_ context.Context, in busRequest) (busDescription, error) {
	return b.describe(), b.checkBus(in.Name)
}

func (b *Bus) listEventBuses(_ context.Context, in busRequest) (map[string][]busDescription, error) {
	buses := []busDescription{}
	if strings.HasPrefix(busName, in.NamePrefix) {
		buses = append(buses, b.describe())
	}
	return map[string][]busDescription{"EventBuses": buses}, nil
}
