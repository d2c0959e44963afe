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
	"modeldispatch/internal/yamldoc"
)

// ProjectFile is the name of the file that makes a folder a project.
const ProjectFile = "modeldispatch.yaml"

// Find returns the absolute path of the project that dir belongs to: dir itself, or its nearest parent with a
// ProjectFile. It returns an error if there is none.
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
			return "", fmt.Errorf("there is no %s in %s or in a folder above it; create one with the line \"environments: { local: {} }\"",
				ProjectFile, start)
		}
	}
}

// Options holds the settings of Compile.
type Options struct {
	// Environment is the name of an environment in modeldispatch.yaml. The default is "local".
	Environment string
	// Deployment is the name of the deployment. The default is the environment's stack, or else "modeldispatch".
	Deployment string
	// Processes is true if tasks run as processes on this machine. A model's local.command then replaces the command of
	// the model, and the entry point of its container.
	Processes bool
	// Now is the time with which schedules are compared: Compile warns about a schedule that has no later time. The
	// default is the current time.
	Now time.Time
}

// Compile compiles the models of the project in the folder dir. It returns the catalog and all warnings. If a file
// has an error, it returns an empty catalog, and yamldoc.Problems with all errors.
func Compile(dir string, o Options) (model.Catalog, []yamldoc.Problem, error) {
	if o.Environment == "" {
		o.Environment = "local"
	}
	r := &yamldoc.Report{}
	p, ok := readProject(r, dir, o)
	if ok {
		p.readModels(dir)
		p.finish()
	}
	warnings, problems := r.Split()
	if len(problems) > 0 {
		return model.Catalog{}, warnings, problems
	}
	c := model.Catalog{
		Schema: model.Schema, Environment: o.Environment, Variables: p.file.Variables, Paused: p.paused, Pools: p.pools, Models: p.models,
	}
	c.Version = hash(c)
	return c, warnings, nil
}

// DeploymentName returns the name of an environment's deployment, which is also the name of its CloudFormation stack.
// It does not read the models. If modeldispatch.yaml has errors, it returns them as yamldoc.Problems.
func DeploymentName(dir, environment string) (string, error) {
	r := &yamldoc.Report{}
	p, _ := readProject(r, dir, Options{Environment: environment})
	if _, problems := r.Split(); len(problems) > 0 {
		return "", problems
	}
	return p.deployment, nil
}

// readModels reads every model of the project.
func (p *project) readModels(dir string) {
	folders, err := os.ReadDir(filepath.Join(dir, "models"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.file.Errorf("cannot read the folder models: %v", err)
		return
	}
	for _, folder := range folders {
		file := filepath.Join("models", folder.Name(), "model.yaml")
		if _, err := os.Stat(filepath.Join(dir, file)); !folder.IsDir() || err != nil {
			continue // not a model: files that models share
		}
		p.folders = append(p.folders, folder.Name())
		p.readModel(dir, folder.Name(), file)
	}
	if len(p.folders) == 0 {
		p.file.Errorf("the project has no models: create models/<name>/model.yaml")
	}
}

// finish sorts the models by name, and makes the checks that need all of them.
func (p *project) finish() {
	slices.SortFunc(p.models, func(a, b model.Model) int { return strings.Compare(a.Name, b.Name) })
	p.checkAfter()
}

// hash returns a short hash of the value's JSON: equal JSON gives an equal hash.
func hash(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encoding a catalog: %v", err)) // cannot happen: it is plain data
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
