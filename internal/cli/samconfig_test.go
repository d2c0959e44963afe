package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckSAM(t *testing.T) {
	t.Parallel()
	const at = "samconfig.toml: [prod.deploy.parameters]"
	const head = "version = 0.1\n[default.validate.parameters]\nlint = true\n[prod.deploy.parameters]\n"
	const named = head + "stack_name = \"models\"\n"
	const fix = ` but the stack of environment "prod" is "models": write the same name`
	for _, c := range []struct {
		text    string
		warning string
		wrong   string // beginning of the error; "" for none
	}{
		{text: named + `parameter_overrides = ["Deployment=models", "Subnets=subnet-1,subnet-2"]`},
		{text: named + `parameter_overrides = "Deployment=models Subnets=\"subnet-1\""`},
		{
			text:    named + `parameter_overrides = ["Deployment=models", "Subnets=subnet-00000000000000001"]`,
			warning: at + ": parameter Subnets is subnet-00000000000000001, from the sample: write your own subnets before you deploy",
		},
		{
			text:  "version = 0.1\n[dev.deploy.parameters]\nstack_name = \"models\"",
			wrong: at + ` is missing, so SAM cannot deploy environment "prod": add the section, with stack_name = "models"`,
		},
		{text: head + `stack_name = "modells"`, wrong: at + `: stack_name is "modells",` + fix},
		{text: named + `parameter_overrides = ["Deployment=model"]`, wrong: at + `: parameter Deployment is "model",` + fix},
		{text: named, wrong: at + `: parameter Deployment is "modeldispatch",` + fix},
		{text: named + `parameter_overrides = ["Deployment=models"]`, wrong: at + ": parameter Subnets is missing"},
		{text: head + "stack_name = 7", wrong: at + ": "},
		{text: "[prod", wrong: "samconfig.toml: toml: "},
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, samFile), []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		warning, err := checkSAM(folder, "prod", "models")
		if warning != c.warning || (err == nil) != (c.wrong == "") || err != nil && !strings.HasPrefix(err.Error(), c.wrong) {
			t.Errorf("%s\ngives the warning %q and the error %v; want %q and %s…", c.text, warning, err, c.warning, c.wrong)
		}
	}
	if warning, err := checkSAM(t.TempDir(), "prod", "models"); warning != "" || err != nil {
		t.Errorf("a folder without the file gives the warning %q and the error %v; want none", warning, err)
	}
}
