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
	"modeldispatch/internal/stack"
)

type buildCommand struct{}

// buildFolder is where a project's build lies, whole each time.
const buildFolder = ".build"

// Run writes what template.yaml packs: the compiled catalog, a layer of the functions, and the templates of what follows
// from the models, which it nests.
func (buildCommand) Run(s *session) error {
	if s.Environment == localEnvironment {
		return fmt.Errorf("environment %q is for this machine; name one to deploy to, as modeldispatch build -e prod", s.Environment)
	}
	folder, compiled, err := s.compile()
	if err != nil {
		return err
	}
	deployment, err := catalog.Stack(folder, s.Environment)
	if err != nil {
		return s.problems(err)
	}
	warning, err := checkSAM(folder, s.Environment, deployment)
	if err != nil {
		return err
	}
	if warning != "" {
		s.warnf("warning: %s\n", warning)
	}
	policies, err := stack.Policies(compiled)
	if err != nil {
		return err
	}
	files, err := stack.Generate(compiled, policies, time.Now())
	if err != nil {
		return err
	}
	text, err := compiled.Compile()
	if err != nil {
		return err
	}
	files[filepath.Join("catalog", "catalog.json")] = text
	build := filepath.Join(folder, buildFolder)
	if err := errors.Join(os.RemoveAll(build), write(build, files)); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		s.printf("%s  %s\n", filepath.Join(build, name), size(len(files[name])))
	}
	s.printf("%s for environment %q, version %s\n", count(len(compiled.Models), "model"), compiled.Environment, compiled.Version)
	return nil
}

func write(folder string, files map[string][]byte) error {
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

// size is a number of bytes.
func size(n int) string {
	const kilo = 1 << 10
	if n < kilo {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f KB", float64(n)/kilo)
}
