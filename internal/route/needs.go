package route

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
)

// RuleSet lists the EventBridge rules that a catalog needs.
type RuleSet struct {
	Arrivals []ArrivalRule     // for the arrival function, one for each bucket, sorted by bucket
	Events   []json.RawMessage // for the event function: the patterns of event triggers, sorted and each once
}

// ArrivalRule matches the new objects of one bucket that can start a model or let a waiting run continue.
type ArrivalRule struct {
	Bucket   string
	Prefixes []string // the literal beginnings of the keys, sorted and each once; "" stands for any key
}

// MaxEventPattern is the largest size of an event pattern, in characters
// (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html).
const MaxEventPattern = 2048

// Pattern returns the event pattern of the rule. It leaves the keys out when a prefix is empty, because then any key may
// match, and when the pattern would exceed MaxEventPattern.
func (r ArrivalRule) Pattern() map[string]any {
	detail := map[string]any{"bucket": map[string]any{"name": []any{r.Bucket}}}
	pattern := map[string]any{"source": []any{event.SourceS3}, "detail-type": []any{event.ObjectCreated}, "detail": detail}
	var keys []any
	for _, prefix := range r.Prefixes {
		keys = append(keys, map[string]any{"prefix": prefix})
	}
	detail["object"] = map[string]any{"key": keys}
	if text, err := json.Marshal(pattern); err != nil || len(text) > MaxEventPattern || slices.Contains(r.Prefixes, "") {
		delete(detail, "object")
	}
	return pattern
}

// Rules returns the EventBridge rules that a catalog needs. It returns an error for an arrival pattern that is not
// valid, and for an event pattern that exceeds MaxEventPattern.
func Rules(c model.Catalog) (RuleSet, error) {
	prefixes := map[string][]string{} // by bucket
	patterns := map[string]bool{}
	for _, e := range c.Index() {
		for _, t := range e.Triggers {
			for _, text := range t.Arrival {
				a, err := ParseArrival(text)
				if err != nil {
					return RuleSet{}, fmt.Errorf("model %q: %w", e.Name, err)
				}
				prefixes[a.Bucket()] = append(prefixes[a.Bucket()], a.Prefix())
			}
			switch {
			case t.Kind != model.Event:
			case len(t.Pattern) > MaxEventPattern:
				return RuleSet{}, fmt.Errorf("model %q: trigger %q: the event pattern has %d characters; EventBridge allows %d",
					e.Name, t.Name, len(t.Pattern), MaxEventPattern)
			default:
				patterns[string(t.Pattern)] = true
			}
		}
		for _, prefix := range awaitedPrefixes(e.Model()) {
			prefixes[prefix.Bucket] = append(prefixes[prefix.Bucket], prefix.Key)
		}
	}
	var r RuleSet
	for _, bucket := range slices.Sorted(maps.Keys(prefixes)) {
		keys := prefixes[bucket]
		slices.Sort(keys)
		r.Arrivals = append(r.Arrivals, ArrivalRule{Bucket: bucket, Prefixes: slices.Compact(keys)})
	}
	for _, text := range slices.Sorted(maps.Keys(patterns)) {
		r.Events = append(r.Events, json.RawMessage(text))
	}
	return r, nil
}

// awaitedPrefixes returns the literal beginnings of the objects in a model's wait-for. It leaves out an object whose
// bucket depends on inputs: no rule can name the bucket, and the sweep checks such an object every ten minutes.
func awaitedPrefixes(m model.Model) []model.ObjectURI {
	if m.Policy.WaitFor == nil {
		return nil
	}
	var all []model.ObjectURI
	for _, object := range m.Policy.WaitFor.Objects {
		if prefix, literal := object.ObjectPrefix(); literal {
			all = append(all, prefix)
		}
	}
	return all
}

// Queues returns the queues that the message triggers of a catalog read, sorted and each once.
func Queues(c model.Catalog) []model.Queue {
	var texts []string
	for _, e := range c.Index() {
		for _, t := range e.Triggers {
			if t.Kind == model.Message {
				texts = append(texts, t.Queue)
			}
		}
	}
	slices.Sort(texts)
	var all []model.Queue
	for _, text := range slices.Compact(texts) {
		all = append(all, model.ParseQueue(text))
	}
	return all
}
