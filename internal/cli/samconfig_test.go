package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSAMIsToldOfTheEnvironmentsStack(t *testing.T) {
	t.Parallel()
	const at = "samconfig.toml: [prod.deploy.parameters]"
	const head = "version = 0.1\n[default.validate.parameters]\nlint = true\n[prod.deploy.parameters]\n"
	for _, c := range []struct{ text, warning, wrong string }{
		{head + "stack_name = \"models\"\nparameter_overrides = [\"Deployment=models\", \"Subnets=subnet-1,subnet-2\"]", "", ""},
		{head + "stack_name = \"models\"\nparameter_overrides = \"Deployment=models Subnets=\\\"subnet-1\\\"\"", "", ""},
		{head + "stack_name = \"models\"\nparameter_overrides = [\"Deployment=models\", \"Subnets=subnet-00000000000000001\"]", at + ": parameter Subnets is subnet-00000000000000001, the sample's: put yours there before you deploy", ""},
		{"version = 0.1\n[dev.deploy.parameters]\nstack_name = \"models\"", "", at + ` is missing: it says how environment "prod" is deployed; write it, with stack_name = "models"`},
		{head + "stack_name = \"modells\"", "", at + `: stack_name is "modells", and the stack of environment "prod" is "models": they must be equal`},
		{head + "stack_name = \"models\"\nparameter_overrides = [\"Deployment=model\"]", "", at + `: parameter Deployment is "model", and the stack of environment "prod" is "models": they must be equal`},
		{head + "stack_name = \"models\"", "", at + `: parameter Deployment is "modeldispatch", and`},
		{head + "stack_name = \"models\"\nparameter_overrides = [\"Deployment=models\"]", "", at + ": parameter Subnets is missing"},
		{head + "stack_name = 7", "", at + ": "},
		{"[prod", "", "samconfig.toml: toml: "},
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, samFile), []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		warning, err := checkSAM(folder, "prod", "models")
		if warning != c.warning || (err == nil) != (c.wrong == "") || err != nil && !strings.HasPrefix(err.Error(), c.wrong) {
			t.Errorf("%s\nis %q, %v; want %q, %s", c.text, warning, err, c.warning, c.wrong)
		}
	}
	if warning, err := checkSAM(t.TempDir(), "prod", "models"); warning != "" || err != nil {
		t.Errorf("without the file: %q, %v", warning, err)
	}
}
