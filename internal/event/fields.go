package event

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"modeldispatch/internal/model"
)

// Field describes a field that the events of a kind have.
type Field struct {
	Name        string // the dotted path, such as object.key
	Description string // a noun phrase
	Optional    bool   // some events of the kind do not have the field
	Open        bool   // the field has fields of its own, whose names are known only when an event arrives
	ByName      bool   // `inputs` can name the field instead of a map: the fields below it bind the inputs of their names
	Placeholder bool   // a placeholder of `inputs` can read the field
	Where       bool   // `where` can test the field
}

// Has reports whether a dotted path names this field, or may name a field below it.
func (f Field) Has(path string) bool {
	return path == f.Name || f.Open && strings.HasPrefix(path, f.Name+".")
}

// Fields returns the fields of the events of a kind, without CommonFields. Tests hold the lists in documents and in the
// JSON schema to it.
func Fields(k model.Kind) []Field {
	switch k {
	case model.Schedule:
		return described(scheduleFields)
	case model.Arrival:
		return described(arrivalFields)
	case model.Message:
		return described(messageFields)
	case model.After:
		return described(afterFields)
	case model.Event:
		return described(bridgeFields)
	}
	return nil
}

// CommonFields returns the fields that the events of all kinds have.
func CommonFields() []Field { return described(commonFields) }

// InputsWord returns the name of the field that `inputs` can name instead of a map, for triggers of a kind. It returns
// "" for a kind that has none.
func InputsWord(k model.Kind) string {
	for _, f := range Fields(k) {
		if f.ByName {
			return f.Name
		}
	}
	return ""
}

// BodyField names the body of a message, whose fields may be missing (Event.NoFieldsReason).
const BodyField = "body"

// UpstreamField names the upstream run of an event of kind after. The fields below it include the run's inputs and
// outputs.
const UpstreamField = "upstream"

// detailField names the detail of an EventBridge event.
const detailField = "detail"

// fieldOf is a field with the function that reads its value. The value is decoded JSON, or a model.Value. Nothing else
// gives a field its name: decoding and Event.Value look it up here.
type fieldOf[T any] struct {
	Field
	read func(T) any
}

// The fields of scheduled times, read from the time. `where` reads the time in UTC, and placeholders read it in the
// trigger's time zone. The other parts depend on the time zone, so `where` cannot test them.
var scheduleFields = []fieldOf[time.Time]{
	{Field{Name: "scheduled.time", Description: "the scheduled time", Placeholder: true, Where: true}, asTime},
	{Field{Name: "scheduled.date", Description: "its date", Placeholder: true}, asDate},
	{Field{Name: "scheduled.hour", Description: "its date and hour, such as 2026-01-05T06", Placeholder: true}, asHour},
	{Field{Name: "scheduled.month", Description: "its year and month, such as 2026-01", Placeholder: true}, asMonth},
}

var arrivalFields = []fieldOf[Object]{
	{Field{Name: "object.uri", Description: "the object's s3:// URI", Placeholder: true, Where: true},
		func(o Object) any { return o.String() }},
	{Field{Name: "object.bucket", Description: "its bucket", Placeholder: true, Where: true},
		func(o Object) any { return o.Bucket }},
	{Field{Name: "object.key", Description: "its key, decoded", Placeholder: true, Where: true},
		func(o Object) any { return o.Key }},
	{Field{Name: "object.size", Description: "its size in bytes", Placeholder: true, Where: true},
		func(o Object) any { return json.Number(strconv.FormatInt(o.Size, 10)) }},
	{Field{Name: "object.etag", Description: "its ETag", Placeholder: true, Where: true},
		func(o Object) any { return o.ETag }},
	{Field{Name: "object.version", Description: "its version, in a versioned bucket", Optional: true, Placeholder: true, Where: true},
		func(o Object) any { return nonEmpty(o.VersionID) }},
}

// messageContent holds the values of a message's fields.
type messageContent struct {
	body       any
	attributes map[string]any
	id, queue  string
}

var messageFields = []fieldOf[messageContent]{
	{Field{Name: BodyField, Description: "the message's body; it has fields if it is a JSON object",
		Open: true, ByName: true, Placeholder: true, Where: true},
		func(m messageContent) any { return m.body }},
	{Field{Name: "attribute", Description: "the message's attributes that are text", Open: true, Placeholder: true, Where: true},
		func(m messageContent) any { return m.attributes }},
	{Field{Name: "message.id", Description: "the id that SQS gave the message", Placeholder: true, Where: true},
		func(m messageContent) any { return m.id }},
	{Field{Name: "message.queue", Description: "the name of its queue", Placeholder: true, Where: true},
		func(m messageContent) any { return m.queue }},
}

var afterFields = []fieldOf[Upstream]{
	{Field{Name: UpstreamField, Description: "the upstream run's inputs, and the URIs of its outputs",
		Open: true, ByName: true, Placeholder: true, Where: true},
		func(u Upstream) any { return u.values() }},
	{Field{Name: UpstreamField + ".run", Description: "the upstream run's id", Placeholder: true, Where: true},
		func(u Upstream) any { return u.Run }},
	{Field{Name: UpstreamField + ".model", Description: "the upstream model's name", Where: true},
		func(u Upstream) any { return u.Model }},
}

// The fields of EventBridge events.
// https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
var bridgeFields = []fieldOf[map[string]any]{
	fromBridge(Field{Name: detailField, Description: "the event's own fields", Open: true, ByName: true}),
	fromBridge(Field{Name: "source", Description: "the service or application that sent the event"}),
	fromBridge(Field{Name: "detail-type", Description: "the type of the event"}),
	fromBridge(Field{Name: "account", Description: "the AWS account of the event"}),
	fromBridge(Field{Name: "region", Description: "the AWS region of the event"}),
	fromBridge(Field{Name: "resources", Description: "the ARNs of the resources that the event is about", Open: true}),
	fromBridge(Field{Name: "time", Description: "the time at which the event happened, as text"}),
	fromBridge(Field{Name: "id", Description: "the event's id"}),
	fromBridge(Field{Name: "version", Description: "the version of the event's form"}),
}

// fromBridge returns a field that an EventBridge event has under the same name.
func fromBridge(f Field) fieldOf[map[string]any] {
	f.Placeholder, f.Where = true, true
	return fieldOf[map[string]any]{f, func(event map[string]any) any { return event[f.Name] }}
}

// eventInZone is an event whose times placeholders read in the zone.
type eventInZone struct {
	Event
	zone *time.Location
}

var commonFields = []fieldOf[eventInZone]{
	{Field{Name: "event.id", Description: "the event's id", Optional: true, Placeholder: true}, // a manual event has none
		func(e eventInZone) any { return nonEmpty(e.ID) }},
	{Field{Name: "event.time", Description: "the time at which it happened", Placeholder: true},
		func(e eventInZone) any { return asTime(e.Time.In(e.zone)) }},
	{Field{Name: "event.date", Description: "the date of this time", Placeholder: true},
		func(e eventInZone) any { return asDate(e.Time.In(e.zone)) }},
}

func asTime(t time.Time) any  { return model.Value{Type: model.DateTime, Text: t.Format(time.RFC3339)} }
func asDate(t time.Time) any  { return model.Value{Type: model.Date, Text: t.Format(time.DateOnly)} }
func asHour(t time.Time) any  { return model.Text(t.Format("2006-01-02T15")) }
func asMonth(t time.Time) any { return model.Text(t.Format("2006-01")) }

// described returns the descriptions of fields.
func described[T any](fields []fieldOf[T]) []Field {
	all := make([]Field, len(fields))
	for i, f := range fields {
		all[i] = f.Field
	}
	return all
}

// readField returns the value of the placeholder with this name. It reports false if there is no such placeholder, or if
// the field has no value.
func readField[T any](fields []fieldOf[T], name string, from T) (model.Value, bool) {
	for _, f := range fields {
		if f.Placeholder && f.Name == name {
			return typedValue(f.read(from))
		}
	}
	return model.Value{}, false
}

// newTree returns the tree of the fields that `where` can test: decoded JSON under the names of the fields. A field below
// an open one does not replace a field of the same name that the open one has.
func newTree[T any](fields []fieldOf[T], from T) map[string]any {
	tree := map[string]any{}
	for _, f := range fields {
		if !f.Where {
			continue
		}
		v := f.read(from)
		if typed, isTyped := v.(model.Value); isTyped {
			v = typed.Text
		}
		above, name, isBelow := strings.Cut(f.Name, ".")
		if !isBelow {
			tree[f.Name] = v
			continue
		}
		below, _ := tree[above].(map[string]any)
		if below == nil {
			below = map[string]any{}
			tree[above] = below
		}
		if _, hidden := below[name]; !hidden {
			below[name] = v
		}
	}
	return tree
}
