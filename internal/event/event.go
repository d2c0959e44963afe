// Package event turns Lambda payloads into events, and says what makes two of them the same.
//
// An event is one thing that happened: a schedule was due, an object arrived, a message was sent,
// a run succeeded, or anything else on an EventBridge bus. Whatever its wrapping, it is decoded
// into the same shape: an identity that is equal for duplicates, the source by which models are
// found, and a tree of fields that placeholders and patterns look into.
package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"modeldispatch/internal/model"
)

// Event is one thing that happened.
type Event struct {
	Kind     model.Kind
	Identity string // equal for duplicates
	ID       string
	Time     time.Time
	Source   string // bucket, queue, model (of a schedule), upstream model, or EventBridge source
	Schedule *Scheduled
	Object   *Object
	Upstream *Upstream
	// Fields are the namespaces as a tree of decoded JSON, numbers as json.Number.
	Fields map[string]any
	// Fieldless is why the body of a message has no fields: it is not JSON, or no object. "" where it has.
	Fieldless string
	// Payload is this one event as it was received, always valid JSON: what a replay sends.
	Payload json.RawMessage
}

// Scheduled is a time that was due.
type Scheduled struct {
	Model   string
	Trigger string
	Hash    string // of the trigger's content, when the schedule was made
	Time    time.Time
}

// Object is an S3 object that was created.
type Object struct {
	Bucket    string
	Key       string // decoded
	ETag      string
	VersionID string
	Sequencer string
	Size      int64
}

// URI is the object's s3:// URI.
func (o Object) URI() string { return "s3://" + o.Bucket + "/" + o.Key }

// Upstream is a run that succeeded.
type Upstream struct {
	Model   string
	Run     string
	Inputs  map[string]model.Value
	Outputs map[string]string
}

// Value gives the value of a placeholder, with its type. Scheduled times are taken in the zone.
func (e Event) Value(p model.Placeholder, zone *time.Location) (model.Value, bool) {
	namespace, name, _ := strings.Cut(p.Name, ".")
	switch {
	case namespace == "scheduled" && e.Schedule != nil:
		return clock(name, p.Offset.Apply(e.Schedule.Time.In(zone)))
	case p.Name == "event.id":
		return model.Text(e.ID), e.ID != ""
	case p.Name == "event.time" || p.Name == "event.date":
		return clock(name, e.Time.In(zone))
	case namespace == "upstream" && e.Upstream != nil:
		return e.Upstream.value(name)
	}
	return value(e.Field(p.Name))
}

// clock gives a part of a time. The hour and the month are given with what they belong to.
func clock(part string, t time.Time) (model.Value, bool) {
	switch part {
	case "time":
		return model.Value{Type: model.DateTime, Text: t.Format(time.RFC3339)}, true
	case "date":
		return model.Value{Type: model.Date, Text: t.Format(time.DateOnly)}, true
	case "hour":
		return model.Text(t.Format("2006-01-02T15")), true
	case "month":
		return model.Text(t.Format("2006-01")), true
	}
	return model.Value{}, false
}

func (u Upstream) value(name string) (model.Value, bool) {
	if name == "run" {
		return model.Text(u.Run), true
	}
	if v, found := u.Inputs[name]; found {
		return v, true
	}
	uri, found := u.Outputs[name]
	return model.Value{Type: model.S3URI, Text: uri}, found
}

// Field gives the field at a dotted path. A name that itself holds dots is found too; list items
// are named by their number.
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

// value is a decoded JSON value as a typed one. null is absent.
func value(v any) (model.Value, bool) {
	switch v := v.(type) {
	case nil:
		return model.Value{}, false
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

// After is the event that a run succeeded, at the time when it did.
func After(u Upstream, ended time.Time) Event {
	fields := map[string]any{"model": u.Model, "run": u.Run}
	for name, uri := range u.Outputs {
		fields[name] = uri
	}
	for name, v := range u.Inputs {
		fields[name] = v.Text
	}
	payload, err := json.Marshal(map[string]any{"upstream": fields})
	if err != nil {
		payload = json.RawMessage(`{}`)
	}
	return Event{
		Kind: model.After, Identity: "after/" + u.Run, ID: u.Run, Time: ended, Source: u.Model, Upstream: &u,
		Fields: map[string]any{"upstream": fields}, Payload: payload,
	}
}

// Manual is the call of a model by hand. The same call twice is the same event, unless it repeats
// something else.
func Manual(name string, inputs model.Inputs, repeats string, now time.Time) Event {
	payload, err := json.Marshal(map[string]any{"model": name, "inputs": inputs, "repeats": repeats})
	if err != nil {
		payload = json.RawMessage(`{}`)
	}
	return Event{Kind: model.Manual, Identity: "manual/" + name + "/" + digest(payload), Time: now, Source: name, Payload: payload}
}

// Undecoded is a payload that is no event of any known kind: it can only be recorded.
func Undecoded(payload []byte, now time.Time) Event {
	return Event{Kind: model.Event, Identity: "undecoded/" + digest(payload), Time: now, Payload: asJSON(payload)}
}

// asJSON is the payload itself where it is JSON, else a JSON string of it.
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

// object decodes a JSON object, numbers as they are written.
func object(text []byte) (map[string]any, error) {
	v, err := decode(text)
	if err != nil {
		return nil, err
	}
	fields, isObject := v.(map[string]any)
	if !isObject {
		return nil, errors.New("it is JSON, but not an object")
	}
	return fields, nil
}

// decode decodes one JSON value, numbers as they are written.
func decode(text []byte) (any, error) {
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	var v any
	if err := in.Decode(&v); err != nil {
		return nil, fmt.Errorf("it is not JSON: %w", err)
	}
	if _, err := in.Token(); err != io.EOF {
		return nil, fmt.Errorf("it is not one JSON value: something follows at byte %d", in.InputOffset())
	}
	return v, nil
}
