package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
)

// samFile says how SAM deploys each environment, where a project lies beside template.yaml.
const samFile = "samconfig.toml"

// samSection is what it says of one environment. parameter_overrides is a list or a text of Name=value.
type samSection struct {
	Deploy struct {
		Parameters *struct {
			StackName  string `toml:"stack_name"`
			Parameters any    `toml:"parameter_overrides"`
		} `toml:"parameters"`
	} `toml:"deploy"`
}

// checkSAM holds what SAM is told of an environment against its stack: the command line finds a deployment by it. A project
// without the file is deployed otherwise. The warning is of what the sample leaves to fill in.
func checkSAM(folder, environment, stack string) (warning string, err error) {
	at := fmt.Sprintf("%s: [%s.deploy.parameters]", samFile, environment)
	var sections map[string]toml.Primitive
	meta, err := toml.DecodeFile(filepath.Join(folder, samFile), &sections)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", samFile, err)
	}
	var section samSection
	if own, has := sections[environment]; has {
		err = meta.PrimitiveDecode(own, &section)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", at, err)
	}
	said := section.Deploy.Parameters
	if said == nil {
		return "", fmt.Errorf("%s is missing: it says how environment %q is deployed; write it, with stack_name = %q", at, environment, stack)
	}
	given := parameterOverrides(said.Parameters)
	if given["Deployment"] == "" {
		given["Deployment"] = "modeldispatch" // the default in template.yaml
	}
	switch {
	case said.StackName != stack:
		return "", fmt.Errorf("%s: stack_name is %q, and the stack of environment %q is %q: they must be equal", at, said.StackName, environment, stack)
	case given["Deployment"] != stack:
		return "", fmt.Errorf("%s: parameter Deployment is %q, and the stack of environment %q is %q: they must be equal", at, given["Deployment"], environment, stack)
	case given["Subnets"] == "":
		return "", fmt.Errorf("%s: parameter Subnets is missing: the subnets that tasks run in, as Subnets=subnet-0123,subnet-4567", at)
	case strings.Contains(given["Subnets"], "subnet-00000000"):
		return fmt.Sprintf("%s: parameter Subnets is %s, the sample's: put yours there before you deploy", at, given["Subnets"]), nil
	}
	return "", nil
}

func parameterOverrides(v any) map[string]string {
	var words []string
	switch v := v.(type) {
	case string:
		words = strings.Fields(v)
	case []any:
		for _, one := range v {
			words = append(words, fmt.Sprint(one))
		}
	}
	given := map[string]string{}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		given[name] = strings.Trim(value, `"`)
	}
	return given
}
