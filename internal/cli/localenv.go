package cli

import (
	"maps"
	"slices"

	"modeldispatch/internal/local"
)

type localEnvCommand struct{}

// Help is the long help text.
func (localEnvCommand) Help() string {
	return `Prints shell commands that point the AWS CLI, and each program with an AWS SDK, at the
running stack: its address, Region and credentials. For one shell:

  eval "$(modeldispatch local env)" && aws s3 ls

Without a running stack eval fails, and the shell keeps its own address and credentials.
The credentials are those of the project; another project's stack refuses them.`
}

// Run prints the environment of the running stack's clients.
func (localEnvCommand) Run(s *session) error {
	folder, err := s.folder()
	if err != nil {
		return err
	}
	a, err := local.Endpoint(s.ctx, dataFolder(folder))
	if err != nil {
		if !s.JSON {
			s.printf("false\n") // eval fails, so that what follows by && does not go to AWS
		}
		return err
	}
	set := map[string]string{
		"AWS_ENDPOINT_URL": a.URL, "AWS_REGION": local.Region, "AWS_DEFAULT_REGION": local.Region,
		"AWS_ACCESS_KEY_ID": a.Credential.AccessKeyID, "AWS_SECRET_ACCESS_KEY": a.Credential.SecretAccessKey,
	}
	if s.JSON {
		return s.printJSON(map[string]any{"set": set, "unset": misleading})
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		s.printf("export %s=%s\n", name, set[name]) // each value is of letters, digits and :/.- only
	}
	for _, name := range misleading {
		s.printf("unset %s\n", name)
	}
	return nil
}

// misleading lists the variables that local env unsets: SDKs read them before the ones it sets, or use them with other credentials.
var misleading = []string{
	"AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
	"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_ECS", "AWS_ENDPOINT_URL_EVENTBRIDGE",
}
