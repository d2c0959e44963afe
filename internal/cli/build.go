package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

type buildCommand struct{}

// Run writes the compiled catalog, which the template makes a layer of the functions.
func (buildCommand) Run(s *session) error {
	if s.Environment == localEnvironment {
		return fmt.Errorf("environment %q is for this machine; name one to deploy to, as modeldispatch build -e prod", s.Environment)
	}
	folder, compiled, err := s.compile()
	if err != nil {
		return err
	}
	text, err := json.Marshal(compiled)
	if err != nil {
		return err
	}
	file := filepath.Join(folder, ".build", "catalog", "catalog.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return err
	}
	s.printf("%s  %s for environment %q, version %s\n", file, count(len(compiled.Models), "model"), compiled.Environment, compiled.Version)
	return nil
}
