// Package catalog turns a project's files into a compiled catalog: modeldispatch.yaml and one
// models/<name>/model.yaml for each model, with its task definition beside it.
//
// Everything that can be wrong is found here, all at once, each with its place and with what
// would be right; what is compiled needs no further checks. The package is strict: a field that
// it does not know is an error.
package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"modeldispatch/internal/model"
)

// ProjectFile is the file that makes a folder a project.
const ProjectFile = "modeldispatch.yaml"

// Find gives the project folder of a folder: itself, or the nearest parent that has a project file.
func Find(dir string) (string, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for at := start; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, ProjectFile)); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("neither %s nor a folder above it has a %s; make one with the line \"environments: { local: {} }\"", start, ProjectFile)
		}
	}
}

// Options are what a catalog is compiled for.
type Options struct {
	Environment string // default local
	Deployment  string // default: the environment's stack, else modeldispatch
	// Processes: tasks run as processes on this machine. A model's local.command then replaces its
	// command, and the entry point of its container.
	Processes bool
	// Now is when it is: schedules whose times are over are warned of. Default: the clock's time.
	Now time.Time
}

// Compile compiles a project's models. It gives warnings, and an error that is Problems when the
// files are not right.
func Compile(dir string, o Options) (model.Catalog, []Problem, error) {
	if o.Environment == "" {
		o.Environment = "local"
	}
	r := &report{}
	p, ok := readProject(r, dir, o)
	if ok {
		p.readModels(dir)
		p.checkTogether()
	}
	warnings, problems := r.split()
	if len(problems) > 0 {
		return model.Catalog{}, warnings, problems
	}
	c := model.Catalog{
		Schema: model.Schema, Environment: o.Environment, Variables: p.variables, Paused: p.paused, Pools: p.pools, Models: p.models,
	}
	c.Version = hash(c)
	return c, warnings, nil
}

// Stack is the name of the deployment of an environment, and of its CloudFormation stack. The models are not looked at.
func Stack(dir, environment string) (string, error) {
	r := &report{}
	p, _ := readProject(r, dir, Options{Environment: environment})
	if _, problems := r.split(); len(problems) > 0 {
		return "", problems
	}
	return p.deployment, nil
}

// readModels reads every model of the project.
func (p *project) readModels(dir string) {
	folders, err := os.ReadDir(filepath.Join(dir, "models"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.problem(position{}, false, "the folder models cannot be read: %v", err)
	}
	for _, folder := range folders {
		file := filepath.Join("models", folder.Name(), "model.yaml")
		if _, err := os.Stat(filepath.Join(dir, file)); !folder.IsDir() || err != nil {
			continue // what models share lies beside them
		}
		p.folders = append(p.folders, folder.Name())
		p.readModel(dir, folder.Name(), file)
	}
	if len(p.models) == 0 && len(p.all) == 0 {
		p.problem(position{}, false, "the project has no models: make models/<name>/model.yaml")
	}
}

// checkTogether checks what only all models together can get wrong.
func (p *project) checkTogether() {
	slices.SortFunc(p.models, func(a, b model.Model) int { return strings.Compare(a.Name, b.Name) })
	p.checkFollows()
}

// hash is the version of what marshals to the same JSON.
func hash(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("a catalog that cannot be encoded: %v", err)) // plain data: cannot happen
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
