package cli

import (
	"maps"
	"slices"

	"modeldispatch/internal/local"
)

type localEnvCommand struct{}

// Help returns the long help text.
func (localEnvCommand) Help() string {
	return `The commands set the address, the Region and the credentials of the running stack. The AWS
CLI and every program with an AWS SDK in this shell then use the stack instead of AWS:

  eval "$(modeldispatch local env)" && aws s3 ls

If no stack is running, eval fails, and the shell keeps its own address and credentials. The
credentials belong to the project. The stack of another project rejects them.`
}

// Run prints the variables that connect a client to the running stack.
func (localEnvCommand) Run(s *session) error {
	folder, err := s.folder()
	if err != nil {
		return err
	}
	a, err := local.Endpoint(s.ctx, dataFolder(folder))
	if err != nil {
		if !s.JSON {
			s.printf("false\n") // eval fails, so that a command after && is not sent to AWS
		}
		return err
	}
	set := map[string]string{
		"AWS_ENDPOINT_URL": a.URL, "AWS_REGION": local.Region, "AWS_DEFAULT_REGION": local.Region,
		"AWS_ACCESS_KEY_ID": a.Credential.AccessKeyID, "AWS_SECRET_ACCESS_KEY": a.Credential.SecretAccessKey,
	}
	if s.JSON {
		return s.printJSON(map[string]any{"set": set, "unset": unsetVariables})
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		s.printf("export %s=%s\n", name, set[name]) // values need no quotes: they contain only letters, digits and :/.-
	}
	for _, name := range unsetVariables {
		s.printf("unset %s\n", name)
	}
	return nil
}

// unsetVariables lists the variables that local env unsets. An SDK would prefer them to the variables that it sets, or
// combine them with its credentials.
var unsetVariables = []string{
	"AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
	"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_ECS", "AWS_ENDPOINT_URL_EVENTBRIDGE",
}
