package catalog

import (
	"maps"
	"slices"
	"strings"

	"modeldispatch/internal/model"
)

// looked is a field that a pattern looks at.
type looked struct {
	namespace, field string // field is "" where the namespace itself is looked at
	at               position
}

// looks lists what a pattern looks at: the first two steps of each path, through every $or.
func looks(v value, namespace string) []looked {
	if !v.isObject() {
		return nil
	}
	var all []looked
	members, _ := v.members("a pattern")
	for _, m := range members {
		first, rest, dotted := strings.Cut(m.name, ".") // {"a.b": …} is {"a": {"b": …}}
		switch {
		case m.name == "$or":
			for _, branch := range m.list() {
				all = append(all, looks(branch, namespace)...)
			}
		case namespace != "":
			all = append(all, looked{namespace, first, m.key})
		case dotted:
			field, _, _ := strings.Cut(rest, ".")
			all = append(all, looked{first, "", m.key}, looked{first, field, m.key})
		default:
			all = append(append(all, looked{first, "", m.key}), looks(m.value, first)...)
		}
	}
	return all
}

// tree is what the events of each kind have for `where` to look at: namespaces, and their fields where these are known.
// Of times only what is the same in every time zone is there.
var tree = map[model.Kind]map[string][]string{
	model.Schedule: {"scheduled": {"time"}},
	model.Arrival:  {"object": {"uri", "bucket", "key", "size", "etag", "version"}},
	model.Message:  {"body": nil, "attribute": nil, "message": {"id", "queue"}},
	model.After:    {"upstream": nil}, // checked with the upstream model: see follow
	model.Event: {
		"version": nil, "id": nil, "detail-type": nil, "source": nil, "account": nil, "time": nil, "region": nil, "resources": nil, "detail": nil,
	},
}

// checkLooks checks that a pattern looks at what an event of the trigger's kind has: it would never match otherwise, and
// the model never run.
func (t *triggerDraft) checkLooks(what string, m *member) {
	if m == nil || t.unread {
		return
	}
	has := tree[t.Kind]
	names := slices.Concat(slices.Collect(maps.Keys(has)), t.captured)
	for _, l := range looks(m.value, "") {
		fields, known := has[l.namespace]
		switch {
		case !known && l.field == "" && !slices.Contains(t.captured, l.namespace):
			t.problem(l.at, false, "%s looks at %q, which is nothing that %s event has; %s", what, l.namespace, article(t.Kind), meant(l.namespace, names))
		case l.field != "" && fields != nil && !slices.Contains(fields, l.field):
			t.problem(l.at, false, "%s looks at %q of %q, which %s event does not have; %s", what, l.field, l.namespace, article(t.Kind), meant(l.field, slices.Clone(fields)))
		}
	}
}

// checkCaptures warns of captures that do nothing, where the name of an input that gets its value otherwise is near.
func (t *triggerDraft) checkCaptures() {
	used := []string{}
	for _, a := range t.Inputs {
		for _, p := range a.Value.Placeholders() {
			used = append(used, p.Name)
		}
	}
	if t.where != nil {
		for _, l := range looks(t.where.value, "") {
			used = append(used, l.namespace)
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
		if near := nearest(capture, free); near != "" {
			t.at.warnf("trigger %q: capture {%s} binds no input and is used nowhere; did you mean {%s}?", t.Name, capture, near)
		}
	}
}

// checkBucket checks the bucket of an S3 URI or pattern, where it is the same for all runs.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func (v value) checkBucket(text string) bool {
	rest, isS3 := strings.CutPrefix(text, "s3://")
	bucket, _, slash := strings.Cut(rest, "/")
	switch {
	case !isS3 || !slash || strings.ContainsAny(bucket, "{}*") || model.IsBucket(bucket): // or has its own error, or depends on inputs
		return true
	case bucket == "":
		written, _ := v.raw()
		if name := variableForm.FindStringSubmatch(written); name != nil && v.doc.variables[name[1]] == "" {
			v.errorf("%s has no bucket: variable %s of the environment is empty", written, name[1])
			return false
		}
		v.errorf("%s has no bucket: s3://bucket/key is expected", written)
	default:
		v.errorf("%q is no name of a bucket: 3 to 63 small letters, digits, hyphens and single dots are, the first and the last a letter or a digit", bucket)
	}
	return false
}
