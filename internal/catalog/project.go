package catalog

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/model"
)

// project is modeldispatch.yaml, and what is read with it.
type project struct {
	*document
	options    Options
	deployment string
	paused     bool
	pools      map[string]int
	defaults   []member // fields of a model that has none of its own
	models     []model.Model
	folders    []string // of the models that were read, right or wrong
	follows    []follow
}

// environment is one of a project's environments.
type environment struct {
	stack     string
	variables map[string]string
	paused    bool
}

func readProject(r *report, dir string, o Options) (*project, bool) {
	p := newProject(r, o)
	v, ok := p.read(dir)
	return p, ok && p.build(v)
}

func newProject(r *report, o Options) *project {
	return &project{document: &document{report: r, file: ProjectFile, least: "environments: { local: {} } is"}, options: o, pools: map[string]int{}}
}

// build takes what the file has, for the environment of the options. It says whether that is there.
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
		environments.errorf("there is no environment %q; %s", o.Environment, meant(o.Environment, slices.Collect(maps.Keys(all))))
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
		v.errorf("the deployment %q is no name: small letters, digits and hyphens are, at most 40, the first a letter", p.deployment)
	}
	p.defined = true
	return true
}

var (
	nameForm         = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	variableNameForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
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
					one.doc.problem(one.key, false, "%q is no name of a variable: letters, digits and _ are, not beginning with AWS", one.name)
					continue
				}
				e.variables[one.name], _ = one.text("variable " + one.name)
			}
		},
	})
	return e
}

// zone checks a time zone's name.
func (v value) zone() string {
	name, ok := v.text("timezone")
	if !ok {
		return ""
	}
	if _, err := time.LoadLocation(name); err != nil || name == "" || name == "Local" {
		v.errorf("there is no time zone %q; IANA names are right, as Europe/Berlin or UTC", name)
		return ""
	}
	return name
}
