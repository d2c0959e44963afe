package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"modeldispatch/internal/catalog"
	"modeldispatch/internal/model"
	"modeldispatch/internal/stack"
)

type compileCommand struct{}

// compileFolder is the folder of the compiled files, in the project's folder. Each compile replaces the whole folder.
const compileFolder = ".build"

// Help returns the long help text.
func (compileCommand) Help() string {
	return `The command replaces the folder .build of the project: it writes the catalog for the
functions, and the CloudFormation templates that template.yaml nests. make deploy runs it
before sam build and sam deploy.

  modeldispatch compile -e prod`
}

// Run compiles the models and writes the files that template.yaml needs: the catalog, which becomes a layer of the
// functions, and the nested templates of the models' own resources.
func (compileCommand) Run(s *session) error {
	if s.Environment == localEnvironment {
		const text = "environment %q runs on this machine: choose a deployed environment, such as modeldispatch compile -e prod"
		return fmt.Errorf(text, s.Environment)
	}
	folder, compiled, err := s.compile()
	if err != nil {
		return err
	}
	deployment, err := catalog.DeploymentName(folder, s.Environment)
	if err != nil {
		return s.printProblems(err)
	}
	warning, err := checkSAM(folder, s.Environment, deployment)
	if err != nil {
		return err
	}
	if warning != "" {
		s.warnf("warning: %s\n", warning)
	}
	files, err := compiledFiles(compiled)
	if err != nil {
		return err
	}
	target := filepath.Join(folder, compileFolder)
	if err := errors.Join(os.RemoveAll(target), writeFiles(target, files)); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		s.printf("%s  %s\n", filepath.Join(target, name), size(len(files[name])))
	}
	s.printf("%s for environment %q, version %s\n", count(len(compiled.Models), "model"), compiled.Environment, compiled.Version)
	return nil
}

// compiledFiles returns the templates and the encoded catalog, by their paths in the compile folder.
func compiledFiles(c model.Catalog) (map[string][]byte, error) {
	policies, err := stack.Policies(c)
	if err != nil {
		return nil, err
	}
	files, err := stack.Generate(c, policies, time.Now())
	if err != nil {
		return nil, err
	}
	files[filepath.Join("catalog", "catalog.json")], err = c.Encode()
	return files, err
}

func writeFiles(folder string, files map[string][]byte) error {
	for name, text := range files {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// size returns a number of bytes with its unit, B or KB.
func size(n int) string {
	const kilo = 1 << 10
	if n < kilo {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f KB", float64(n)/kilo)
}
