package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
)

// samFile is the configuration file of SAM in a project's folder, with a section for each environment.
const samFile = "samconfig.toml"

// samSection is the section of one environment. parameter_overrides is a list or a text of Name=value.
type samSection struct {
	Deploy struct {
		Parameters *struct {
			StackName  string `toml:"stack_name"`
			Parameters any    `toml:"parameter_overrides"`
		} `toml:"parameters"`
	} `toml:"deploy"`
}

// checkSAM returns an error if the section of an environment would deploy a stack that modeldispatch.yaml does not
// name: then no command would find the deployment. It returns a warning if the section still has the subnets of the
// sample. A project without the file has another way to deploy, and is not checked.
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
	if primitive, exists := sections[environment]; exists {
		err = meta.PrimitiveDecode(primitive, &section)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", at, err)
	}
	deploy := section.Deploy.Parameters
	if deploy == nil {
		const text = "%s is missing, so SAM cannot deploy environment %q: add the section, with stack_name = %q"
		return "", fmt.Errorf(text, at, environment, stack)
	}
	parameters := parameterOverrides(deploy.Parameters)
	if parameters["Deployment"] == "" {
		parameters["Deployment"] = "modeldispatch" // the default in template.yaml
	}
	const notEqual = "%s: %s is %q, but the stack of environment %q is %q: write the same name"
	switch subnets := parameters["Subnets"]; {
	case deploy.StackName != stack:
		return "", fmt.Errorf(notEqual, at, "stack_name", deploy.StackName, environment, stack)
	case parameters["Deployment"] != stack:
		return "", fmt.Errorf(notEqual, at, "parameter Deployment", parameters["Deployment"], environment, stack)
	case subnets == "":
		return "", fmt.Errorf("%s: parameter Subnets is missing: add the subnets of the tasks, such as Subnets=subnet-0123,subnet-4567", at)
	case strings.Contains(subnets, "subnet-00000000"):
		return fmt.Sprintf("%s: parameter Subnets is %s, from the sample: write your own subnets before you deploy", at, subnets), nil
	}
	return "", nil
}

// parameterOverrides returns the values of parameter_overrides by name.
func parameterOverrides(v any) map[string]string {
	var words []string
	switch v := v.(type) {
	case string:
		words = strings.Fields(v)
	case []any:
		for _, element := range v {
			words = append(words, fmt.Sprint(element))
		}
	}
	parameters := map[string]string{}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		parameters[name] = strings.Trim(value, `"`)
	}
	return parameters
}
