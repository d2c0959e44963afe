package catalog

import (
	"fmt"
	"slices"
	"strings"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/similar"
	"modeldispatch/internal/yamldoc"
)

// patternField is a field that an EventBridge pattern tests.
type patternField struct {
	namespace, field string // the first two steps of its path; field is "" for the namespace itself
	at               yamldoc.Value
}

// patternFields returns the fields that a pattern tests, including those in the branches of $or. namespace is the
// namespace of the fields in v, or "" for a whole pattern.
func patternFields(v yamldoc.Value, namespace string) []patternField {
	if !v.IsObject() {
		return nil
	}
	var all []patternField
	members, _ := v.Members("a pattern")
	for _, m := range members {
		first, rest, dotted := strings.Cut(m.Name, ".") // {"a.b": …} means {"a": {"b": …}}
		switch {
		case m.Name == "$or":
			for _, branch := range m.List() {
				all = append(all, patternFields(branch, namespace)...)
			}
		case namespace != "":
			all = append(all, patternField{namespace, first, m.Key})
		case dotted:
			field, _, _ := strings.Cut(rest, ".")
			all = append(all, patternField{first, "", m.Key}, patternField{first, field, m.Key})
		default:
			all = append(append(all, patternField{first, "", m.Key}), patternFields(m.Value, first)...)
		}
	}
	return all
}

// whereFields returns the fields of the trigger's events that `where` can test.
func (t *triggerDraft) whereFields() []event.Field {
	return slices.DeleteFunc(event.Fields(t.Kind), func(f event.Field) bool { return !f.Where })
}

// checkPatternFields checks that a pattern tests only fields that events of the trigger's kind have. Otherwise it would
// never match, and the model would never run. what names the pattern in an error. afterReference.checkBound checks the
// fields of the upstream run.
func (t *triggerDraft) checkPatternFields(what string, m *yamldoc.Member) {
	if m == nil || t.badPattern {
		return
	}
	fields := t.whereFields()
	names := slices.Clone(t.captured) // the captures and the namespaces
	for _, f := range fields {
		namespace, _, _ := strings.Cut(f.Name, ".")
		names = append(names, namespace)
	}
	for _, tested := range patternFields(m.Value, "") {
		path := tested.namespace + "." + tested.field
		below := fieldsBelow(fields, tested.namespace)
		switch {
		case tested.field == "" && !slices.Contains(names, tested.namespace):
			tested.at.Errorf("%s tests %q, which %s event does not have; %s",
				what, tested.namespace, withArticle(t.Kind), fieldHint("names", tested.namespace, names))
		case tested.field == "" || slices.ContainsFunc(fields, func(f event.Field) bool { return f.Has(path) }):
		case below != nil:
			tested.at.Errorf("%s tests %q, which %s event does not have; %s",
				what, path, withArticle(t.Kind), fieldHint("fields", tested.field, below))
		case slices.ContainsFunc(fields, func(f event.Field) bool { return f.Name == tested.namespace }):
			tested.at.Errorf("%s tests %q, but %s of %s event has no fields; expected %[3]s: [...]",
				what, path, tested.namespace, withArticle(t.Kind))
		}
	}
}

// fieldsBelow returns the names of the fields below a namespace. It returns nil if there are none.
func fieldsBelow(fields []event.Field, namespace string) []string {
	var all []string
	for _, f := range fields {
		if name, below := strings.CutPrefix(f.Name, namespace+"."); below {
			all = append(all, name)
		}
	}
	return all
}

// fieldHint returns the end of an error about a field that events do not have: the most similar name, or else all names.
func fieldHint(kind, word string, known []string) string {
	known = slices.Sorted(slices.Values(known))
	if best := similar.Nearest(word, known); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "known " + kind + ": " + strings.Join(slices.Compact(known), ", ")
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
		for _, tested := range patternFields(t.where.Value, "") {
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
			t.at.Warnf("trigger %q: capture {%s} is not an input and is not used; did you mean {%s}?", t.Name, capture, near)
		}
	}
}

// checkBucket checks the bucket of an S3 URI or arrival pattern, unless it depends on inputs. It returns false after an
// error.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func checkBucket(v yamldoc.Value, text string) bool {
	uri, isURI := model.CutObjectURI(text)
	switch {
	case !isURI: // the caller reports it
		return true
	case strings.ContainsAny(uri.Bucket, "{}*") || model.IsBucket(uri.Bucket):
		return true
	case uri.Bucket == "":
		written, _ := v.Raw()
		if rest, named := strings.CutPrefix(written, "s3://${"); named {
			name, _, _ := strings.Cut(rest, "}")
			v.Errorf("%s has no bucket: variable %s of the environment is empty", written, name)
			return false
		}
		v.Errorf("%s has no bucket; expected s3://bucket/key", written)
	default:
		v.Errorf("%q is not a valid bucket name: %s", uri.Bucket, model.BucketRule)
	}
	return false
}
