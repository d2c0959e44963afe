package event

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"modeldispatch/internal/model"
)

// Event is one thing that happened.
type Event struct {
	Kind     model.Kind
	Identity string     // the same for every delivery of the event
	ID       string     // the value of {event.id}; empty for a manual or undecoded event
	Time     time.Time  // when the event happened; zero if a message does not tell when it was sent
	Source   string     // the bucket, queue, model, upstream model or EventBridge source
	Schedule *Scheduled // nil for all kinds but schedule
	Object   *Object    // nil for all kinds but arrival
	Upstream *Upstream  // nil for all kinds but after
	// Fields holds the fields that `where` can test, as a tree of decoded JSON with numbers as json.Number. The function
	// Fields lists their names.
	Fields map[string]any
	// NoFieldsReason tells why the body of a message has no fields: it is not JSON, or it is not an object. It is empty
	// if the body has fields, and for all other kinds.
	NoFieldsReason string
	// Payload is the JSON that is recorded for this event alone, without the other events of its batch. It is always
	// valid JSON. The payload of an event that came from AWS decodes to the same event again.
	Payload json.RawMessage
}

// Scheduled is a scheduled time of a trigger.
type Scheduled struct {
	Model   string
	Trigger string
	Hash    string // the hash of the trigger's content at the time of its deployment
	Time    time.Time
}

// Object is an S3 object that was created.
type Object struct {
	model.ObjectURI // its key is decoded, also if it came from a notification
	ETag            string
	VersionID       string
	Sequencer       string // S3's hexadecimal number that orders the writes of one key
	Size            int64  // in bytes
}

// Upstream is a run that succeeded.
type Upstream struct {
	Model   string
	Run     string
	Inputs  map[string]model.Value
	Outputs map[string]string // the URI of each output
}

// Value returns the value of a placeholder with its type, and reports whether the event has it. Times are in the given
// zone.
func (e Event) Value(p model.Placeholder, zone *time.Location) (model.Value, bool) {
	if v, found := readField(commonFields, p.Name, eventInZone{e, zone}); found {
		return v, true
	}
	if e.Schedule != nil {
		if v, found := readField(scheduleFields, p.Name, p.Offset.Apply(e.Schedule.Time.In(zone))); found {
			return v, true
		}
	}
	if name, below := strings.CutPrefix(p.Name, UpstreamField+"."); below && e.Upstream != nil {
		if v, found := readField(afterFields, p.Name, *e.Upstream); found {
			return v, true
		}
		return e.Upstream.value(name)
	}
	return typedValue(e.Field(p.Name))
}

// values returns the run's inputs and the URIs of its outputs, as text. An input hides the output of the same name.
func (u Upstream) values() map[string]any {
	all := map[string]any{}
	for name, uri := range u.Outputs {
		all[name] = uri
	}
	for name, v := range u.Inputs {
		all[name] = v.Text
	}
	return all
}

// value returns one of the run's inputs or outputs with its type. An input hides the output of the same name.
func (u Upstream) value(name string) (model.Value, bool) {
	if v, found := u.Inputs[name]; found {
		return v, true
	}
	uri, found := u.Outputs[name]
	return model.Value{Type: model.S3URI, Text: uri}, found
}

// Field returns the field at a dotted path, or nil if there is none. Names in the tree may contain dots themselves. The
// items of a list are numbered from 0.
func (e Event) Field(path string) any { return field(e.Fields, path) }

func field(at any, path string) any {
	if path == "" {
		return at
	}
	switch at := at.(type) {
	case map[string]any:
		for i := len(path); i > 0; i = strings.LastIndexByte(path[:i], '.') {
			if next, found := at[path[:i]]; found {
				if got := field(next, strings.TrimPrefix(path[i:], ".")); got != nil {
					return got
				}
			}
		}
	case []any:
		head, rest, _ := strings.Cut(path, ".")
		if i, err := strconv.Atoi(head); err == nil && i >= 0 && i < len(at) {
			return field(at[i], rest)
		}
	}
	return nil
}

// typedValue returns a decoded JSON value with its type. It reports false for null.
func typedValue(v any) (model.Value, bool) {
	switch v := v.(type) {
	case nil:
		return model.Value{}, false
	case model.Value:
		return v, true
	case string:
		return model.Text(v), true
	case json.Number:
		return model.Value{Type: model.Number, Text: v.String()}, true
	case bool:
		return model.Value{Type: model.Boolean, Text: strconv.FormatBool(v)}, true
	default:
		var text bytes.Buffer
		out := json.NewEncoder(&text)
		out.SetEscapeHTML(false)
		if err := out.Encode(v); err != nil {
			return model.Value{}, false
		}
		return model.Value{Type: model.JSON, Text: strings.TrimSuffix(text.String(), "\n")}, true
	}
}

// After returns the event that a run succeeded at the given time.
func After(u Upstream, ended time.Time) Event {
	fields := newTree(afterFields, u)
	payload, err := json.Marshal(fields)
	if err != nil {
		payload = json.RawMessage(`{}`)
	}
	return Event{
		Kind: model.After, Identity: "after/" + u.Run, ID: u.Run, Time: ended, Source: u.Model, Upstream: &u,
		Fields: fields, Payload: payload,
	}
}

// Manual returns the event of a command that starts a run by hand. The key identifies it: two commands for a model with
// the same key give the same event, whatever their inputs. The payload holds the model and its inputs.
func Manual(name string, inputs model.Inputs, key string, now time.Time) Event {
	payload, err := json.Marshal(map[string]any{"model": name, "inputs": inputs})
	if err != nil {
		payload = json.RawMessage(`{}`)
	}
	return Event{
		Kind: model.Manual, Identity: "manual/" + name + "/" + digest([]byte(key)), Time: now, Source: name, Payload: payload,
	}
}

// Undecoded returns an event for a payload that cannot be decoded. Its only use is to record the payload.
func Undecoded(payload []byte, now time.Time) Event {
	return Event{Kind: model.Event, Identity: "undecoded/" + digest(payload), Time: now, Payload: asJSON(payload)}
}

// asJSON returns a copy of the payload if it is JSON. Otherwise it returns the payload as a JSON string.
func asJSON(payload []byte) json.RawMessage {
	if json.Valid(payload) {
		return bytes.Clone(payload)
	}
	text, err := json.Marshal(strings.ToValidUTF8(string(payload), "\uFFFD"))
	if err != nil {
		return json.RawMessage(`""`)
	}
	return text
}
