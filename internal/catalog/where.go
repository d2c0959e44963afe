package catalog

import (
	"maps"
	"slices"
	"strings"

	"modeldispatch/internal/model"
	"modeldispatch/internal/similar"
)

// patternField is a field that an EventBridge pattern tests.
type patternField struct {
	namespace, field string // the first two steps of its path; field is "" for the namespace itself
	at               position
}

// patternFields returns the fields that a pattern tests, including those in the branches of $or. namespace is the
// namespace of the fields in v, or "" for a whole pattern.
func patternFields(v value, namespace string) []patternField {
	if !v.isObject() {
		return nil
	}
	var all []patternField
	members, _ := v.members("a pattern")
	for _, m := range members {
		first, rest, dotted := strings.Cut(m.name, ".") // {"a.b": …} means {"a": {"b": …}}
		switch {
		case m.name == "$or":
			for _, branch := range m.list() {
				all = append(all, patternFields(branch, namespace)...)
			}
		case namespace != "":
			all = append(all, patternField{namespace, first, m.key})
		case dotted:
			field, _, _ := strings.Cut(rest, ".")
			all = append(all, patternField{first, "", m.key}, patternField{first, field, m.key})
		default:
			all = append(append(all, patternField{first, "", m.key}), patternFields(m.value, first)...)
		}
	}
	return all
}

// whereFields holds the namespaces that `where` can test for each kind of trigger, each with its fields. A namespace
// with nil has fields that are not known before an event arrives. Of the times, only scheduled.time is included,
// because the others depend on the time zone.
var whereFields = map[model.Kind]map[string][]string{
	model.Schedule: {"scheduled": {"time"}},
	model.Arrival:  {"object": {"uri", "bucket", "key", "size", "etag", "version"}},
	model.Message:  {"body": nil, "attribute": nil, "message": {"id", "queue"}},
	model.After:    {"upstream": nil}, // afterReference.checkBound checks its fields
	model.Event: {
		"version": nil, "id": nil, "detail-type": nil, "source": nil, "account": nil, "time": nil, "region": nil, "resources": nil,
		"detail": nil,
	},
}

// checkPatternFields checks that a pattern tests only fields that events of the trigger's kind have. Otherwise it would
// never match, and the model would never run. what names the pattern in an error.
func (t *triggerDraft) checkPatternFields(what string, m *member) {
	if m == nil || t.badPattern {
		return
	}
	has := whereFields[t.Kind]
	names := slices.Concat(slices.Collect(maps.Keys(has)), t.captured)
	for _, tested := range patternFields(m.value, "") {
		fields, known := has[tested.namespace]
		switch {
		case !known && tested.field == "" && !slices.Contains(t.captured, tested.namespace):
			t.problem(tested.at, false, "%s tests %q, which %s event does not have; %s",
				what, tested.namespace, withArticle(t.Kind), hint("names", tested.namespace, names))
		case tested.field != "" && fields != nil && !slices.Contains(fields, tested.field):
			t.problem(tested.at, false, "%s tests \"%s.%s\", which %s event does not have; %s",
				what, tested.namespace, tested.field, withArticle(t.Kind), hint("fields", tested.field, slices.Clone(fields)))
		}
	}
}

// checkCaptures warns about an unused capture whose name is similar to that of an input that the capture could bind.
func (t *triggerDraft) checkCaptures() {
	used := []string{}
	for _, a := range t.Inputs {
		for _, p := range a.Value.Placeholders() {
			used = append(used, p.Name)
		}
	}
	if t.where != nil {
		for _, tested := range patternFields(t.where.value, "") {
			used = append(used, tested.namespace)
		}
	}
	var free []string // inputs that a capture could bind
	for _, name := range t.inputNames() {
		if !slices.Contains(t.captured, name) && !t.assigned[name] {
			free = append(free, name)
		}
	}
	for _, capture := range t.captured {
		if _, binds := t.draft.model.Input(capture); binds || slices.Contains(used, capture) {
			continue
		}
		if near := similar.Nearest(capture, free); near != "" {
			t.at.warnf("trigger %q: capture {%s} is not an input and is not used; did you mean {%s}?", t.Name, capture, near)
		}
	}
}

// checkBucket checks the bucket of an S3 URI or arrival pattern, unless it depends on inputs. It returns false after an
// error.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func (v value) checkBucket(text string) bool {
	rest, isS3 := strings.CutPrefix(text, "s3://")
	bucket, _, slash := strings.Cut(rest, "/")
	switch {
	case !isS3 || !slash: // the caller reports it
		return true
	case strings.ContainsAny(bucket, "{}*") || model.IsBucket(bucket):
		return true
	case bucket == "":
		written, _ := v.raw()
		if name := variableForm.FindStringSubmatch(written); name != nil && v.doc.variables[name[1]] == "" {
			v.errorf("%s has no bucket: variable %s of the environment is empty", written, name[1])
			return false
		}
		v.errorf("%s has no bucket; expected s3://bucket/key", written)
	default:
		v.errorf("%q is not a valid bucket name: %s", bucket, model.BucketRule)
	}
	return false
}
