package catalog

import (
	"maps"
	"slices"
	"strings"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/yamldoc"
)

// afterReference is one upstream model that an `after` trigger names.
type afterReference struct {
	at       yamldoc.Value // the model's name in the file
	trigger  *triggerDraft // the trigger, which belongs to the downstream model
	upstream string        // the name of the upstream model
}

// checkAfter checks the `after` triggers when all models are known. The upstream models must exist and have the
// inputs and outputs that the triggers bind, and no model may start itself through a chain of triggers.
func (p *project) checkAfter() {
	models := map[string]model.Model{}
	for _, m := range p.models {
		models[m.Name] = m
	}
	for _, f := range p.afterReferences {
		upstream, known := models[f.upstream]
		if !known {
			if !slices.Contains(p.folders, f.upstream) { // a model that exists and has errors is not in models
				f.at.Errorf("there is no model %q; %s", f.upstream, yamldoc.Hint("models", f.upstream, slices.Collect(maps.Keys(models))))
			}
			continue
		}
		f.checkBound(upstream)
	}
	p.checkCycles()
}

// checkBound checks that the upstream model has the inputs and outputs that the trigger uses.
func (f afterReference) checkBound(upstream model.Model) {
	has := fieldsBelow(f.trigger.placeholderFields(), event.UpstreamField)
	for _, in := range upstream.Inputs {
		has = append(has, in.Name)
	}
	for _, out := range upstream.Outputs {
		has = append(has, out.Name)
	}
	for _, a := range f.trigger.Inputs {
		for _, placeholder := range a.Value.Placeholders() {
			name, ofUpstream := strings.CutPrefix(placeholder.Name, event.UpstreamField+".")
			if ofUpstream && !slices.Contains(has, name) {
				f.at.Errorf("input %q takes {upstream.%s}, but model %q has no such input or output; %s",
					a.Input, name, upstream.Name, fieldHint("names", name, has))
			}
		}
	}
	testable := slices.Concat(has, fieldsBelow(f.trigger.whereFields(), event.UpstreamField))
	if f.trigger.where != nil {
		for _, tested := range patternFields(f.trigger.where.Value, "") {
			if tested.namespace == event.UpstreamField && tested.field != "" && !slices.Contains(testable, tested.field) {
				tested.at.Errorf("where tests \"upstream.%s\", but model %q has no such input or output; %s",
					tested.field, upstream.Name, fieldHint("names", tested.field, testable))
			}
		}
	}
	if f.trigger.Fields == "" {
		return
	}
	for _, in := range f.trigger.draft.model.Inputs {
		if !slices.Contains(has, in.Name) && in.Default == nil && !in.Optional && !f.trigger.assigned[in.Name] {
			f.at.Errorf("inputs: upstream does not bind input %q: model %q has no input or output of that name", in.Name, upstream.Name)
		}
	}
}

// checkCycles reports models that would start each other forever.
func (p *project) checkCycles() {
	before := map[string][]string{}
	for _, f := range p.afterReferences {
		name := f.trigger.draft.model.Name
		before[name] = append(before[name], f.upstream)
	}
	reported := map[string]bool{}
	for _, f := range p.afterReferences {
		name := f.trigger.draft.model.Name
		path := findPath(before, f.upstream, name, []string{f.upstream})
		if path == nil || slices.ContainsFunc(path, func(one string) bool { return reported[one] }) {
			continue
		}
		reported[name] = true
		slices.Reverse(path)
		f.at.Errorf("the models start each other forever: %s -> %s", strings.Join(path, " -> "), name)
	}
}

// findPath returns the models on a path from one model to another, or nil if there is none. before holds the upstream
// models of each model, and path holds the models that the path already has.
func findPath(before map[string][]string, from, to string, path []string) []string {
	if from == to {
		return path
	}
	for _, next := range before[from] {
		if slices.Contains(path, next) {
			continue
		}
		if found := findPath(before, next, to, append(slices.Clip(path), next)); found != nil {
			return found
		}
	}
	return nil
}
