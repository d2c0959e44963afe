package fargate_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
)

var rendered = model.Rendered{
	Family: "modeldispatch-sales-forecast", Container: "model", CPU: 1024, Memory: 4096, Command: []string{"forecast.R"},
	Environment: []model.EnvironmentPair{{Name: "RUN_ID", Value: "sales-forecast-5kq2m7x4ab3c"}},
	Tags:        map[string]string{"model": "sales-forecast"},
}

var launch = fargate.Launch{
	Deployment: "models", Run: "sales-forecast-5kq2m7x4ab3c", Attempt: 2, Capacity: model.OnDemand,
	Placement: fargate.Placement{Cluster: "models", Subnets: []string{"subnet-0aa1"}},
}

func TestRequest(t *testing.T) {
	t.Parallel()
	got, err := json.MarshalIndent(fargate.NewRequest(rendered, launch), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/request.json"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(want)) != string(got) {
		t.Errorf("the request is\n%s\nwant\n%s", got, want)
	}
}

func TestRequestFollowsTheRulesOfECS(t *testing.T) {
	t.Parallel()
	long := launch
	long.Deployment, long.Run = strings.Repeat("d", 40), strings.Repeat("m", 40)+"-5kq2m7x4ab3c"
	r := fargate.NewRequest(rendered, long)
	if !regexp.MustCompile(`^[A-Za-z0-9/_-]{1,128}$`).MatchString(r.StartedBy) {
		t.Errorf("startedBy %q is not valid in ECS", r.StartedBy)
	}
	if !regexp.MustCompile(`^[!-~]{1,64}$`).MatchString(r.ClientToken) {
		t.Errorf("clientToken %q is not valid in ECS", r.ClientToken)
	}
	other := long
	other.Attempt++
	if fargate.NewRequest(rendered, other).ClientToken == r.ClientToken {
		t.Error("two attempts have the same client token")
	}
	if again := fargate.NewRequest(rendered, long); again.ClientToken != r.ClientToken {
		t.Error("two requests of one attempt have different client tokens")
	}
}

func TestCapacities(t *testing.T) {
	t.Parallel()
	launchTypes := map[model.Capacity]string{
		model.OnDemand: "FARGATE", model.Spot: "", model.EC2: "EC2", model.External: "EXTERNAL",
	}
	for capacity, want := range launchTypes {
		for _, awsvpc := range []bool{false, true} {
			l := launch
			l.Capacity, l.AWSVPC, l.Placement.AssignPublicIP = capacity, awsvpc, true
			r := fargate.NewRequest(rendered, l)
			isFargate := capacity == model.OnDemand || capacity == model.Spot
			if r.LaunchType != want || (want == "") != (len(r.CapacityProviderStrategy) == 1) {
				t.Errorf("%s: launch type %q, capacity provider strategy %v", capacity, r.LaunchType, r.CapacityProviderStrategy)
			}
			if network := awsvpc || isFargate; (r.NetworkConfiguration != nil) != network {
				t.Errorf("%s, awsvpc %t: network configuration is %v, want one: %t", capacity, awsvpc, r.NetworkConfiguration, network)
			}
			if n := r.NetworkConfiguration; n != nil && (n.AwsvpcConfiguration.AssignPublicIP == "ENABLED") != isFargate {
				t.Errorf("%s: assignPublicIp is %s, want ENABLED only on Fargate", capacity, n.AwsvpcConfiguration.AssignPublicIP)
			}
		}
	}
}

func TestCheckOfALongRequestSuggestsAsFile(t *testing.T) {
	t.Parallel()
	big := rendered
	big.Environment = []model.EnvironmentPair{{Name: "INPUT_ROWS", Value: strings.Repeat("x", fargate.MaxOverrides)}}
	if err := fargate.NewRequest(big, launch).Check(); err == nil || !strings.Contains(err.Error(), "as: file") {
		t.Errorf("the error is %v, want one that suggests as: file", err)
	}
	if err := fargate.NewRequest(rendered, launch).Check(); err != nil {
		t.Error(err)
	}
}

func TestParseStartedBy(t *testing.T) {
	t.Parallel()
	for startedBy, ours := range map[string]bool{
		"models/sales-forecast-5kq2m7x4ab3c/1": true,
		"models-dev/sales-forecast-5kq2/1":     false,
		"ecs-svc/123":                          false,
		"models/x":                             false,
		"models/x/0":                           false,
		"models/x/01":                          false,
		"models/x/+1":                          false,
		"models/x/1/1":                         false,
		"x/1":                                  false,
		"models//1":                            false,
		"":                                     false,
	} {
		run, attempt, ok := fargate.ParseStartedBy("models", startedBy)
		if ok != ours || ok && fargate.StartedBy("models", run, attempt) != startedBy {
			t.Errorf("ParseStartedBy(%q) = %q, %d, %t", startedBy, run, attempt, ok)
		}
	}
}
