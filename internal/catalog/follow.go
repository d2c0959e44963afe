package catalog

import (
	"maps"
	"slices"
	"strings"

	"modeldispatch/internal/model"
)

// follow is one model that an `after` trigger names.
type follow struct {
	at       value
	trigger  *triggerDraft
	upstream string
}

// checkFollows checks the `after` triggers once all models are known: what they name is there and has what
// they bind, and nothing comes after itself.
func (p *project) checkFollows() {
	models := map[string]model.Model{}
	for _, m := range p.models {
		models[m.Name] = m
	}
	for _, f := range p.follows {
		upstream, known := models[f.upstream]
		if !known {
			if !slices.Contains(p.folders, f.upstream) { // one that is there and is wrong has its own errors
				f.at.errorf("there is no model %q; %s", f.upstream, meant(f.upstream, slices.Collect(maps.Keys(models))))
			}
			continue
		}
		f.checkBound(upstream)
	}
	p.checkCycles()
}

// checkBound checks that the upstream model has what the trigger takes from it.
func (f follow) checkBound(upstream model.Model) {
	has := []string{"run"}
	for _, in := range upstream.Inputs {
		has = append(has, in.Name)
	}
	for _, out := range upstream.Outputs {
		has = append(has, out.Name)
	}
	for _, a := range f.trigger.Inputs {
		for _, placeholder := range a.Value.Placeholders() {
			name, ofUpstream := strings.CutPrefix(placeholder.Name, "upstream.")
			if ofUpstream && !slices.Contains(has, name) {
				f.at.errorf("input %q takes {upstream.%s}, and model %q has no such input or output; %s", a.Input, name, upstream.Name, meant(name, has))
			}
		}
	}
	if f.trigger.where != nil {
		for _, l := range looks(f.trigger.where.value, "") {
			if l.namespace == "upstream" && l.field != "" && l.field != "model" && !slices.Contains(has, l.field) {
				f.trigger.problem(l.at, false, "where looks at %q of \"upstream\", and model %q has no such input or output; %s", l.field, upstream.Name, meant(l.field, has))
			}
		}
	}
	if f.trigger.Fields == "" {
		return
	}
	for _, in := range f.trigger.draft.model.Inputs {
		if !slices.Contains(has, in.Name) && in.Default == nil && !in.Optional && !f.trigger.assigned[in.Name] {
			f.at.errorf("inputs: upstream does not bind input %q: model %q has no input or output of that name", in.Name, upstream.Name)
		}
	}
}

// checkCycles finds models that would start each other for ever.
func (p *project) checkCycles() {
	before := map[string][]string{}
	for _, f := range p.follows {
		name := f.trigger.draft.model.Name
		before[name] = append(before[name], f.upstream)
	}
	told := map[string]bool{}
	for _, f := range p.follows {
		name := f.trigger.draft.model.Name
		path := wayBack(before, f.upstream, name, []string{f.upstream})
		if path == nil || slices.ContainsFunc(path, func(one string) bool { return told[one] }) {
			continue
		}
		told[name] = true
		slices.Reverse(path)
		f.at.errorf("the models start each other for ever: %s -> %s", strings.Join(path, " -> "), name)
	}
}

// wayBack is the way from a model to one that it comes after, over the models that come after each other.
func wayBack(before map[string][]string, from, to string, path []string) []string {
	if from == to {
		return path
	}
	for _, next := range before[from] {
		if slices.Contains(path, next) {
			continue
		}
		if way := wayBack(before, next, to, append(slices.Clip(path), next)); way != nil {
			return way
		}
	}
	return nil
}
