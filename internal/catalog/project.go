package catalog

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"modeldispatch/internal/model"
	"modeldispatch/internal/yamldoc"
)

// project holds modeldispatch.yaml for one environment, and the models that were read so far.
type project struct {
	file            *yamldoc.Document
	options         Options
	deployment      string
	paused          bool             // triggers: paused
	pools           map[string]int   // limits by name
	defaults        []yamldoc.Member // fields for the models that do not set them
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
func readProject(r *yamldoc.Report, dir string, o Options) (*project, bool) {
	p := newProject(r, o)
	v, ok := p.file.Read(dir)
	return p, ok && p.build(v)
}

func newProject(r *yamldoc.Report, o Options) *project {
	return &project{
		file:    &yamldoc.Document{Report: r, File: ProjectFile, Minimum: "environments: { local: {} }"},
		options: o, pools: map[string]int{},
	}
}

// build reads the fields of the file for the environment of the options. It returns false if that environment does not
// exist.
func (p *project) build(v yamldoc.Value) bool {
	o := p.options
	environments := v
	all := map[string]environment{}
	v.Fields("a project", yamldoc.Readers{
		"environments": func(m yamldoc.Member) {
			environments = m.Value
			list, _ := m.Members("environments")
			for _, e := range list {
				all[e.Name] = readEnvironment(e)
			}
		},
		"pools": func(m yamldoc.Member) {
			list, _ := m.Members("pools")
			for _, pool := range list {
				if n, ok := pool.Integer("a pool's limit", 1, 200); ok {
					p.pools[pool.Name] = n
				}
			}
		},
		"defaults": func(m yamldoc.Member) { p.defaults, _ = m.Members("defaults") },
	})
	e, known := all[o.Environment]
	if !known && o.Environment != "local" {
		environments.Errorf("there is no environment %q; %s",
			o.Environment, yamldoc.Hint("environments", o.Environment, slices.Collect(maps.Keys(all))))
		return false
	}
	p.deployment, p.paused = cmp.Or(o.Deployment, e.stack, "modeldispatch"), e.paused
	if !nameForm.MatchString(p.deployment) {
		v.Errorf("%q is not a valid deployment name: %s", p.deployment, nameRule)
	}
	if p.file.Variables = e.variables; e.variables == nil {
		p.file.Variables = map[string]string{}
	}
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

func readEnvironment(m yamldoc.Member) environment {
	e := environment{variables: map[string]string{}}
	m.Fields("an environment", yamldoc.Readers{
		"stack": func(f yamldoc.Member) { e.stack, _ = f.Text("stack") },
		"triggers": func(f yamldoc.Member) {
			word, _ := f.Word("triggers", "paused", "active")
			e.paused = word == "paused"
		},
		"variables": func(f yamldoc.Member) {
			list, _ := f.Members("variables")
			for _, one := range list {
				if !variableNameForm.MatchString(one.Name) || strings.HasPrefix(one.Name, "AWS") {
					one.Key.Errorf("%q is not a valid variable name: %s or with AWS", one.Name, variableNameRule)
					continue
				}
				e.variables[one.Name], _ = one.Text("variable " + one.Name)
			}
		},
	})
	return e
}
