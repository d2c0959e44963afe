package wiring

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
)

// validEnvironment returns an environment in which no variable is missing or broken.
func validEnvironment(t *testing.T) map[string]string {
	t.Helper()
	compiled, err := model.Catalog{Schema: model.Schema}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "catalog.json")
	if err := os.WriteFile(file, compiled, 0o644); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"DEPLOYMENT": "team", "CATALOG": file, "TABLE": "team-store", "STATE_BUCKET": "state",
		"EVENT_BUS": "default", "RETENTION": "30",
		"LAUNCH_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/111122223333/team-launch",
		"WAKE_QUEUE_URL":   "https://sqs.eu-west-1.amazonaws.com/111122223333/team-wake",
		"CLUSTER":          "arn:aws:ecs:eu-west-1:111122223333:cluster/team", "SUBNETS": "subnet-1,subnet-2", "SECURITY_GROUPS": "",
		"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
	}
}

// read reads Options from an environment.
func read(environment map[string]string) (Options, error) {
	o, _, err := fromEnvironment(func(name string) string { return environment[name] })
	return o, err
}

// TestEnvironmentIsRead checks the options that an environment leads to, with and without its optional variables.
func TestEnvironmentIsRead(t *testing.T) {
	t.Parallel()
	o, err := read(validEnvironment(t))
	if err != nil {
		t.Fatal(err)
	}
	p := o.Placement
	if o.Retention != records.Retention(30*24*time.Hour) || o.Rate != 0 || p.AssignPublicIP || len(p.Subnets) != 2 || p.SecurityGroups != nil {
		t.Errorf("the options are %+v, want 30 days, no rate, no public IP, two subnets and no security groups", o)
	}
	more := validEnvironment(t)
	maps.Copy(more, map[string]string{
		"RUN_TASK_RATE": "0.5", "ASSIGN_PUBLIC_IP": "ENABLED", "SECURITY_GROUPS": "sg-1,sg-2", "CLUSTER": "models_2",
	})
	if o, err = read(more); err != nil {
		t.Fatal(err)
	}
	if o.Rate != 0.5 || !o.Placement.AssignPublicIP || len(o.Placement.SecurityGroups) != 2 {
		t.Errorf("the options are %+v, want the rate 0.5, a public IP and two security groups", o)
	}
}

// TestBrokenVariables checks that the error for an invalid value has one line, and names the variable and its value.
func TestBrokenVariables(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(t.TempDir(), "newer.json")
	if err := os.WriteFile(newer, []byte(`{"schema": 99}`), 0o644); err != nil {
		t.Fatal(err)
	}
	values := map[string][]string{
		"DEPLOYMENT":       {"Team", "1team", "team_1", strings.Repeat("t", 41), "team\n"},
		"LAUNCH_QUEUE_URL": {"team-launch", "arn:aws:sqs:eu-west-1:111122223333:team-launch", "https://", "ftp://sqs/launch", "http://a b"},
		"WAKE_QUEUE_URL":   {"team-wake"},
		"CLUSTER":          {"a cluster", "arn:aws:ecs:eu-west-1:111122223333:service/team", "arn:aws:ecs:eu-west-1:1:cluster/team"},
		"SUBNETS":          {",", "subnet-1,", "subnet-1,,subnet-2"},
		"SECURITY_GROUPS":  {",", "sg-1,"},
		"ASSIGN_PUBLIC_IP": {"true", "enabled"},
		"RUN_TASK_RATE":    {"fast", "NaN", "Inf", "+Inf", "-1", "0", "1e999"},
		"RETENTION":        {"29", "-90", "a month", "30.5", "99999999999999999999", "106752"},
		"CATALOG":          {broken, newer, filepath.Join(t.TempDir(), "absent.json")},
	}
	for name, all := range values {
		for _, value := range all {
			environment := validEnvironment(t)
			environment[name] = value
			_, err := read(environment)
			if err == nil {
				t.Errorf("%s=%q: no error, want one", name, value)
				continue
			}
			text := err.Error()
			if !strings.HasPrefix(text, "the function's environment is wrong: "+name+" is ") || strings.Contains(text, "\n") {
				t.Errorf("%s=%q: the error is %q, want one line that names the variable", name, value, text)
			}
			if file, isFile := strings.CutSuffix(value, ".json"); isFile && !strings.Contains(text, file) {
				t.Errorf("%s=%q: the error is %q, want one that names the file", name, value, text)
			}
		}
	}
}

// TestAllVariablesInOneError checks that one error names all missing and all broken variables, in one line.
func TestAllVariablesInOneError(t *testing.T) {
	t.Parallel()
	_, err := read(nil)
	const missing = "the function's environment is wrong: missing DEPLOYMENT, TABLE, LAUNCH_QUEUE_URL, WAKE_QUEUE_URL, " +
		"STATE_BUCKET, EVENT_BUS, CLUSTER, SUBNETS, RETENTION, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, CATALOG"
	if err == nil || err.Error() != missing {
		t.Errorf("the error is %v, want %s", err, missing)
	}
	environment := validEnvironment(t)
	delete(environment, "TABLE")
	maps.Copy(environment, map[string]string{"RUN_TASK_RATE": "fast", "ASSIGN_PUBLIC_IP": "yes"})
	const want = `the function's environment is wrong: missing TABLE; ASSIGN_PUBLIC_IP is "yes", want ENABLED or DISABLED; ` +
		`RUN_TASK_RATE is "fast", want a positive number of calls a second, such as 19.5`
	if _, err = read(environment); err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
}
