package catalog

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/model"
)

// project holds modeldispatch.yaml for one environment, and the models that were read so far.
type project struct {
	*document
	options         Options
	deployment      string
	paused          bool           // triggers: paused
	pools           map[string]int // limits by name
	defaults        []member       // fields for the models that do not set them
	models          []model.Model
	folders         []string // the folders in models/ that have a model.yaml, with or without errors
	afterReferences []afterReference
}

// environment is one entry of `environments`.
type environment struct {
	stack     string
	variables map[string]string
	paused    bool
}

// readProject reads modeldispatch.yaml. It returns false if the file cannot be read or lacks the environment.
func readProject(r *report, dir string, o Options) (*project, bool) {
	p := newProject(r, o)
	v, ok := p.read(dir)
	return p, ok && p.build(v)
}

func newProject(r *report, o Options) *project {
	return &project{
		document: &document{report: r, file: ProjectFile, minimum: "environments: { local: {} }"},
		options:  o, pools: map[string]int{},
	}
}

// build reads the fields of the file for the environment of the options. It returns false if that environment does not
// exist.
func (p *project) build(v value) bool {
	o := p.options
	var environments value
	all := map[string]environment{}
	v.fields("a project", map[string]func(member){
		"environments": func(m member) {
			environments = m.value
			list, _ := m.members("environments")
			for _, e := range list {
				all[e.name] = readEnvironment(e)
			}
		},
		"pools": func(m member) {
			list, _ := m.members("pools")
			for _, pool := range list {
				if n, ok := pool.integer("a pool's limit", 1, 200); ok {
					p.pools[pool.name] = n
				}
			}
		},
		"defaults": func(m member) { p.defaults, _ = m.members("defaults") },
	})
	e, known := all[o.Environment]
	if !known && o.Environment != "local" {
		if environments.doc == nil {
			environments = v
		}
		environments.errorf("there is no environment %q; %s", o.Environment, hint("environments", o.Environment, slices.Collect(maps.Keys(all))))
		return false
	}
	p.deployment, p.paused, p.variables = o.Deployment, e.paused, e.variables
	if p.deployment == "" {
		p.deployment = e.stack
	}
	if p.deployment == "" {
		p.deployment = "modeldispatch"
	}
	if !nameForm.MatchString(p.deployment) {
		v.errorf("%q is not a valid deployment name: %s", p.deployment, nameRule)
	}
	p.defined = true
	return true
}

var (
	nameForm         = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	variableNameForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

const (
	nameRule         = "use at most 40 lowercase letters, digits and hyphens, starting with a letter"
	variableNameRule = "use letters, digits and underscores, not starting with a digit"
)

func readEnvironment(m member) environment {
	e := environment{variables: map[string]string{}}
	m.fields("an environment", map[string]func(member){
		"stack": func(f member) { e.stack, _ = f.text("stack") },
		"triggers": func(f member) {
			word, _ := f.word("triggers", "paused", "active")
			e.paused = word == "paused"
		},
		"variables": func(f member) {
			list, _ := f.members("variables")
			for _, one := range list {
				if !variableNameForm.MatchString(one.name) || strings.HasPrefix(one.name, "AWS") {
					one.doc.problem(one.key, false, "%q is not a valid variable name: %s or with AWS", one.name, variableNameRule)
					continue
				}
				e.variables[one.name], _ = one.text("variable " + one.name)
			}
		},
	})
	return e
}

// zone reads the name of a time zone.
func (v value) zone() string {
	name, ok := v.text("timezone")
	if !ok {
		return ""
	}
	if _, err := time.LoadLocation(name); err != nil || name == "" || name == "Local" {
		v.errorf("there is no time zone %q; use an IANA name such as Europe/Berlin or UTC", name)
		return ""
	}
	return name
}
